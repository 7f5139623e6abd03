"""What lets one in and is told by the words around it: passwords, codes, logins."""

import re
from itertools import pairwise

from training.privacy.rule import PARTS, Match, Rule, one_of, rule

_PASSWORDS = """password passwords passwort passwörter pass_word pass_wd pass_code pass_phrase pass_wort passwrd pw pwd pws
    kennwort mot_de_passe mdp contraseña contrasena clave senha palavra_passe wachtwoord hasło haslo lösenord lösenordet
    passord passordet adgangskode kodeord salasana parola parola_chiave chiave_wifi пароль şifre sifre heslo jelszó psk
    wpa_key wifi_key wifi_code wlan_key wlan_schlüssel netzwerkschlüssel network_key sudo_password"""
_CODES = """pin pins puk puk2 tan code codes kod kode koden código codigo códigos codice cod otp totp 2fa mfa combo
    combination geheimzahl verification_code türcode zugangscode zutrittscode kombination digicode код"""
_LOGINS = """login logins log_in logged_in cred creds credential credentials zugang zugangsdaten logindaten anmeldedaten
    identifiants credenciales credenziali inloggegevens inlog user username admin acc account benutzer usuario
    utilisateur utente"""
_PROGRAMS = """mysql mysqldump mysqladmin mariadb sshpass smbclient ldapsearch mongo mongosh mongodump psql curl wget
    docker htpasswd vncpasswd ansible openssl rdesktop xfreerdp"""


def _is_made_up(match: Match) -> bool:
    """Whether one word mixes capitals, digits and signs, or letters and digits in turn, as passwords do."""
    word = match["out"]
    if len(word) < 8:
        return False
    kinds = ["0" if c.isdigit() else "a" for c in word if c.isalnum()]
    turns = sum(earlier != later for earlier, later in pairwise(kinds))
    all_kinds = bool(re.search(r"[a-z]", word) and re.search(r"[A-Z]", word) and "0" in kinds)
    return (all_kinds and bool(re.search(r"\w[!@#$%^&*]\w", word))) or (
        turns > 4 and kinds.count("a") > kinds.count("0")
    )


PARTS |= {
    "password": one_of(_PASSWORDS),
    "code": one_of(_CODES),
    "login": one_of(_LOGINS),
    "program": one_of(_PROGRAMS),
}

PASSWORDS: tuple[Rule, ...] = (
    rule(
        "code",
        r"""\b(?:backup|recovery|rescue|2fa|gift|scratch|emergency|ersatz|wiederherstellungs)[\s-]?(?:codes?|keys?){{for_what}}
            (?:{{is}}|[\s:]+)(?P<out>(?:[\s,;:*•#-]{0,3}(?:\d\d?[.)]\s)?(?=[\w-]*\d)[\w-]{3,}){1,24})""",
        words="backup recovery rescue 2fa gift scratch emergency",
        digits=3,
    ),
    rule(
        "code",
        r"""(?<!error\s)(?<!status\s)(?<!exit\s)(?<!return\s)(?<!zip\s)(?<!post\s)(?<!postal\s)(?<!response\s)(?<!http\s)\b{{code}}
            (?:{{is}}|[:\s]+(?:[^\W\d]{1,14}\s){0,4}(?:[^\W\d]{1,14}{{is}})?)
            (?P<out>(?!(?:19|20)\d\d\b)\#?(?:\d[\d -]{2,9}\d|(?=(?:[A-Z-]*\d))[A-Z0-9-]{5,})\#?|\d{4,6})(?![\w:/%]|[.,]\d)""",
        words=_CODES,
        digits=3,
    ),
    rule(
        "code",
        r"\b{{code}}\b[^\n\d]{1,30}?(?P<out>(?!(?:19|20)\d\d\b)(?:\#?\d{4,8}\#?|\d{3}[ -]\d{3}))(?![\w:/%]|[.,]\d)",
        words=_CODES,
        digits=4,
    ),
    rule(
        "code",
        r"\b(?:code|key|guard){{is}}(?P<out>(?-i:(?=[A-Z-]*\d)(?=[\d-]*[A-Z])[A-Z0-9-]{5,}))",
        words="code key guard",
        digits=1,
    ),
    rule(
        "password",
        r"""\b(?:\w{0,10}{{password}}|(?<!movie\s)(?<!league\s)(?<!season\s)(?<!bus\s)pass|
            pin(?:\s?(?:code|number))?){{for_what}}{{is}}
            (?P<out>{{value}}(?!-?\d{1,3}\.\d{3}){{clause}})""",
        words=f"{_PASSWORDS} pin pass fi userpassword",
    ),
    rule(
        "password",
        r"\b(?:passphrase|seed\sphrase)s?\s+(?P<out>(?!(?:is|was|for|and|or|to|on|in|of|when|if|that|protected|prompt)\b)[^\W\d]+(?:[ -][^\W\d]+){3,11})",
        words="passphrase phrase",
    ),
    rule(
        "password",
        r"\b(?:{{password}}|pass(?!\s(?:the|me|it|on|by|out|through))|login)\b[^\n]{0,40}?[\s\"'(:=>]\s*(?P<out>{{strong}})",
        words=f"{_PASSWORDS} pass login",
    ),
    rule(
        "password",
        r"""(?<!\S)(?P<out>{{strong}})["')]?,?\s+(?:is|was|as|ist|als|es|est|era|è|é|for|ist|är|som|jest|to)\s+
            (?:[^\W\d]{1,8}\s){0,3}(?:{{password}}|pass)\b""",
        words=f"{_PASSWORDS} pass",
    ),
    rule(
        "password",
        r"""\b(?:use|using|used|enter|type|put|try)s?\s+(?:the\s+)?(?:password|passcode|pass|pw|code|pin)\s+(?P<out>{{value}}\S+)""",
        words="password passcode pass pw code pin",
    ),
    rule(
        "password",
        r"""\b(?:use|using|used|enter|type|put|try|set)s?\s+(?P<out>{{value}}\S+)\s+as\s+(?:(?:the|a|my|ur|your|our)\s+)?
            (?:password|passcode|pass|pw|code|pin)\b""",
        words="password passcode pass pw code pin",
    ),
    rule(
        "password",
        r"""\b{{login}}\b(?:{{is}}|\s+)(?:(?:with|as|by|using|mit|als|con|avec|di|for)\s+)?
            (?P<out>{{value}}[\w.@+-]{2,32}\s?[:/|]\s?{{strong}})""",
        words=_LOGINS,
    ),
    rule(
        "password",
        r"""\b{{program}}\b[^\n]{0,120}?\s(?:-[paw](?!\d+\b)\s?|--?pass(?:word|wd)?[=\s]\s?|(?:-u|--user)[=\s]\s?
            (?=\S{1,40}:))["']?(?P<out>[^\s"']{4,})""",
        words=_PROGRAMS,
    ),
    rule(
        "password",
        r"(?<!\S)(?P<out>[^\s\d/\\:;,()<>\[\]]{0,30}\d[^\s/\\:;,()<>\[\]]{2,39})(?![^\s.,!?)])",
        _is_made_up,
        digits=1,
        run=8,
    ),
)
