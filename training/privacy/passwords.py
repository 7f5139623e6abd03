"""What lets one in and is told by the words around it: passwords, codes, logins."""

import re
from itertools import pairwise

from training.privacy.rule import PARTS, Match, Rule, one_of, rule

PASSWORDS_NAMES = """password passwords passwort passwörter pass_word pass_wd pass_code pass_phrase pass_wort
    passwrd pw pwd pws
    kennwort mot_de_passe mdp contraseña contrasena clave senha palavra_passe wachtwoord hasło haslo lösenord lösenordet
    passord passordet adgangskode kodeord salasana parola parola_chiave chiave_wifi пароль şifre sifre heslo jelszó psk
    wpa_key wifi_key wifi_code wlan_key wlan_schlüssel netzwerkschlüssel network_key sudo_password secret_word
    magic_word safeword codeword maiden_name contra lösen"""
CODES = """pin puk puk2 tan code codes kod kode koden código codigo códigos codice cod otp totp 2fa mfa combo
    combination geheimzahl verification_code türcode zugangscode zutrittscode kombination digicode код"""
LOGINS = """login logins log_in logged_in cred creds credential credentials zugang zugangsdaten logindaten anmeldedaten
    identifiants credenciales credenziali inloggegevens inlog user username admin acc account benutzer usuario
    utilisateur utente"""
_PROGRAMS = """mysql mysqldump mysqladmin mariadb sshpass smbclient ldapsearch mongo mongosh mongodump psql curl wget
    docker htpasswd vncpasswd ansible openssl redis_cli rdesktop xfreerdp"""


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
    "password": one_of(PASSWORDS_NAMES),
    "code": one_of(CODES),
    "login": one_of(LOGINS),
    "program": one_of(_PROGRAMS),
}

PASSWORDS: tuple[Rule, ...] = (
    rule(
        "code",
        r"""\b(?:backup|recovery|rescue|2fa|gift|scratch|emergency|ersatz|wiederherstellungs)[\s-]?(?:codes?
            |keys?){{for_what}}
            (?:{{is}}|[\s:]+)(?P<out>(?:[\s,;:*•#-]{0,3}(?:\d\d?[.)]\s)?(?=[\w-]*\d)[\w-]{3,}){1,24})""",
        words="backup recovery rescue 2fa gift scratch emergency",
        digits=3,
    ),
    rule(
        "code",
        r"""(?<!error\s)(?<!status\s)(?<!exit\s)(?<!return\s)(?<!zip\s)(?<!post\s)(?<!postal\s)(?<!response\s)
            (?<!http\s)(?<!color\s)(?<!colour\s)(?<!area\s)(?<!hex\s)\b{{code}}
            (?:{{is}}|[:\s]+(?:[^\W\d]{1,14}\s){0,4}(?:[^\W\d]{1,14}{{is}})?)
            (?P<out>(?!(?:19|20)\d\d\b|\#[0-9a-f]{3,6}\b)\#?(?:\d[\d -]{2,9}\d|(?=(?:[A-Z-]*\d))[A-Z0-9-]{5,}
            |\d{4,6})\#?)(?![\w:/%]|[.,]\d)""",
        words=CODES,
        digits=3,
    ),
    rule(
        "code",
        r"\b{{code}}\b[^\n\d]{1,30}?(?P<out>(?!(?:19|20)\d\d\b)(?:\#?\d{4,8}\#?|\d{3}[ -]\d{3}))(?![\w:/%]|[.,]\d)",
        words=CODES,
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
        words=f"{PASSWORDS_NAMES} pin pass fi userpassword",
    ),
    rule(
        "password",
        r"""\b(?:passphrase|seed\sphrase)s?\s+(?P<out>(?!(?:is|was|for|and|or|to|on|in|of|when|if|that|protected
            |prompt)\b)[^\W\d]+(?:[ -][^\W\d]+){3,11})""",
        words="passphrase phrase",
    ),
    rule(
        "password",
        r"""\b(?:{{password}}|pass(?!\s(?:the|me|it|on|by|out|through))|login)\b[^\n]{0,40}?[\s\"'(:=>]\s*
            (?P<out>{{strong}})""",
        words=f"{PASSWORDS_NAMES} pass login",
    ),
    rule(
        "password",
        r"""(?<!\S)(?P<out>{{strong}})["')]?,?\s+(?:is|was|as|ist|als|es|est|era|è|é|for|ist|är|som|jest|to)\s+
            (?:[^\W\d]{1,8}\s){0,3}(?:{{password}}|pass)\b""",
        words=f"{PASSWORDS_NAMES} pass",
    ),
    rule(
        "password",
        r"""\b(?:use|using|used|enter|type|put|try)s?\s+(?:the\s+)?(?:password|passcode|pass|pw|code|pin)\s+
            (?P<out>{{value}}(?:\S*[\d_]\S*|["'`]\S+)|(?<=password\s){{value}}\S+)""",
        words="password passcode pass pw code pin",
    ),
    rule(
        "password",
        r"""\b(?:use|using|used|enter|type|put|try|set)s?\s+(?P<out>{{value}}\S+)\s+as\s+(?:\w{1,6}\s+)?
            (?:password|passcode|pass|pw|code|pin)\b""",
        words="password passcode pass pw code pin",
    ),
    rule(
        "password",
        r"""\b(?:maiden\sname|first\spet|security\s(?:question\s)?answer|geburtsname\sder\smutter)(?:{{is}}|\s+)
            (?P<out>{{value}}\S+)""",
        words="maiden security geburtsname",
    ),
    rule(
        "code",
        r"""(?<![\w.,$€£-])(?P<out>\d{3}[ -]?\d{3}|\d{4,8}|(?=[A-Z-]*\d)(?-i:[A-Z0-9-]{5,}))\s(?:is|was|ist|es|est|è
            |é)\s(?:[^\W\d]{1,12}\s){0,4}{{code}}\b""",
        words=CODES,
        digits=3,
    ),
    rule(
        "code",
        r"\b(?:authy|authenticator|2fa|otp)\b[^\n\d]{0,20}(?P<out>\d{3}[ -]?\d{3})\b",
        words="authy authenticator 2fa otp",
        digits=6,
    ),
    rule(
        "password",
        r"""\b\w*(?:pass(?:word|wd|phrase)?|pwd?|secret|token|(?<!\bmon)(?<!\btur)(?<!\bdon)key
            |auth)\w{0,8}["']?\s?:?=>?\s?["']?
            (?P<out>(?=\S{0,60}[\d_-])[^\s"'=][^\s"']{3,})""",
        signs="=",
    ),
    rule(
        "password",
        r"""(?<![^\s(\"'])(?P<out>\w[\w.-]{2,31}:(?=[^\s:]{0,40}\d)(?=[^\s:]{0,40}[a-z])
            (?!\d+[a-z]{1,3}\b)[^\s:;,()/]{6,64})(?![:/])""",
        digits=1,
        signs=":",
        run=10,
    ),
    rule(
        "code",
        r"""\b(?!(?:uni|op|key|x|vs|bar|qr|en|de|byte|source)code)\w{2,20}(?:code|pin|tan|passwort|kennwort|password
            |lösenord|kod)
            (?:{{is}}|\s+)(?P<out>(?=\S*\d)[^\s,;]{4,})""",
        digits=3,
        signs="code pin wort word kod ",
    ),
    rule(
        "code",
        r"""\b(?:alarm|gate|door|locker|safe|lockbox|padlock|garage|keypad|buzzer|intercom|tür|tor|porte|puerta
            |portone|dörr|brama)
            (?:{{is}}|\s+)(?P<out>(?!(?:19|20)\d\d\b)\#?\d{4,6}\#?)(?!\w)""",
        words="""alarm gate door locker safe lockbox padlock garage keypad buzzer intercom tür tor porte puerta
            portone dörr brama""",
        digits=4,
    ),
    rule(
        "password",
        r"""\b(?:pw|pwd|mdp|psk)\s+(?P<out>(?!(?:reset|manager|prompt|hash|file|field|changed?|and|or|for
            |protected?|wrong|works?|pls)\b)
            {{value}}[^\W\d][^\s,;]{4,})""",
        words="pw pwd mdp psk",
    ),
    rule(
        "password",
        r"""\b(?:set|setting|chang(?:e|ed|ing)|reset|made?)\b[^\n]{0,30}?\b(?:{{password}}|(?:pass|pin)(?=\s\w+\s\S*\d))\s(?:to|into
            |as)\s(?P<out>{{value}}\S{4,})""",
        words=f"{PASSWORDS_NAMES} pass pin",
    ),
    rule(
        "password",
        r"\bww\b{{for_what}}{{is}}(?P<out>{{value}}\S{4,})",
        words="ww",
    ),
    rule(
        "password",
        r"""\b(?:cred(?:ential)?s?|logins?|login|zugangsdaten|identifiants)\b(?:{{is}}|\s+)
            (?P<out>{{value}}[\w.@+-]{2,32}\s?[:/|]\s?[^\s:/|]{3,64})""",
        words="cred creds credential credentials login logins zugangsdaten identifiants",
    ),
    rule(
        "password",
        r"\b(?:u|user|l|login)\s?[:=]\s?\S{2,40}\s+(?:p|pw|pass)\s?[:=]\s?\S{3,64}",
        words="p pw pass",
        signs=":=",
    ),
    rule(
        "password",
        r"(?<![^\s(\"'])[a-z]{5,24}(?:_\d{1,8}|[!@\#$%&*]\d{2,8}|\d{3,8})[!@\#$%&*]?(?![^\s,.!?)\"'])",
        digits=1,
        run=7,
    ),
    rule(
        "password",
        r"""\b(?:wi-?fi|wlan|router|netflix|disney\+?|hulu|vpn|ssh|ftp|server|admin)\b[^\n:]{0,25}[:=]\s
            (?P<out>{{value}}(?=\S*[\d_-])[^\s,;]{5,64})""",
        words="wifi wi wlan router netflix disney hulu vpn ssh ftp server admin",
        signs=":=",
    ),
    rule(
        "password",
        r"""\b{{login}}\b(?:{{is}}|\s+)(?:(?:with|as|by|using|mit|als|con|avec|di|for)\s+)?
            (?P<out>{{value}}[\w.@+-]{2,32}\s?[:/|]\s?{{strong}})""",
        words=LOGINS,
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
