"""What lets one in or pays: keys, tokens, passwords, codes, wallets, cards and bank accounts."""

# ruff: noqa: RUF001 - the signs that people write

import re
from itertools import pairwise

from training.privacy.rule import PARTS, Match, Rule, rule

_FOUR_FOURS = re.compile(r"\d{4}([ -])\d{4}\1\d{4}\1\d{4}")


def _passes_luhn(match: Match) -> bool:
    """The checksum of card numbers (ISO/IEC 7812-1, annex B); sixteen digits in fours are a card even if mistyped."""
    digits = [int(character) for character in match["out"] if character.isdigit()]
    total = sum(digits[-1::-2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return len(set(digits)) > 1 and (total % 10 == 0 or bool(_FOUR_FOURS.fullmatch(match["out"])))


def _passes_mod_97(match: Match) -> bool:
    """The checksum of IBANs (ISO 13616)."""
    iban = "".join(filter(str.isalnum, match["out"]))
    return len(iban) >= 15 and int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97 == 1


def _is_random(match: Match) -> bool:
    """Whether letters and digits alternate as they do in keys, not in words, names and dates."""
    kinds = ["0" if c.isdigit() else "a" if c.islower() else "A" for c in match["out"] if c.isalnum()]
    switches = sum(earlier != later for earlier, later in pairwise(kinds))
    if "0" not in kinds and kinds.count("A") < 0.3 * len(kinds):  # as in CamelCase
        return False
    return switches >= max(6, len(kinds) / 6) and len(set(match["out"])) > 7


PARTS |= {
    "clause": r"""(?:"[^"\n]{1,80}"|'[^'\n]{1,80}'|`[^`\n]{1,80}`
        |\S{1,199}[^\s,;](?:[ ](?![-–(&|])[^\s,.!?;]{1,40}){0,4})""",
    "for_what": r"(?:\s(?:for|to|of|on)\s[\w'’.-]{1,20}(?:\s[\w'’.-]{1,20}){0,3}?)?",
}
_PASSWORDS = """password passwords passcode passphrase passwd pass pwd pw pin psk fi wifi kennwort passwort clave
    contraseña passe senha parola hasło haslo userpassword"""

CREDENTIALS: tuple[Rule, ...] = (
    rule(
        "key",
        r"-{3,}\s?BEGIN\s[A-Z0-9 ]{1,40}-{3,}[\s\S]*?(?:-{3,}\s?END\s[A-Z0-9 ]{1,40}-{3,}|\Z)",
        words="begin",
    ),
    rule(
        "key",
        r"""(?:sk-)?(?:ssh-(?:rsa|ed25519|dss)|ecdsa-sha2-[\w-]{1,30})(?:@[\w.]{1,30})?\s+[A-Za-z0-9+/=]{16,}
            (?:\s+[\w.-]+@[\w.-]+)?""",
        words="ssh ecdsa",
    ),
    rule(
        "token",
        r"\beyJ[\w-]{8,}(?:\.[\w-]*){0,4}|\bmfa\.[\w-]{20,}|\b[\w-]{23,28}\.[\w-]{5,7}\.[\w-]{25,50}",
        run=16,
    ),
    rule(
        "token",
        r"""\b(?:gh[pousr]_\w{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|xox[a-z]-[\w-]{8,}|xapp-[\w-]{8,}
            |(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{12,}|AIza[\w-]{20,}|ya29\.[\w-]{10,}|sk-[\w-]{12,}
            |[srp]k_(?:live|test)_\w{8,}|whsec_\w{8,}|\d{6,12}:\s?AA[\w-]{20,}|(?:AC|SK)[0-9a-f]{32}
            |SG\.[\w-]{10,}\.[\w-]{10,}|npm_\w{16,}|pypi-[\w-]{12,}|hf_\w{16,}|EAA\w{20,}|shp[a-z]{2}_\w{16,}
            |AGE-SECRET-KEY-\w{10,}|[a-z]{2,10}(?:[_-][a-z]{2,10}){0,2}[_-](?=\w*\d)(?=\w*[a-z])\w{24,})""",
        run=20,
    ),
    rule("wallet", r"\b(?:0x[0-9a-f]{16,}|(?:bc|tb|ltc)1[a-z0-9]{20,80})\b", digits=1, run=18),
    rule(
        "iban",
        r"""\b[A-Z]{2}\d{2}(?:[ -]?[A-Z]{4})?(?:[ -]?(?=[A-Z]{0,3}\d)[A-Z0-9]{4}){2,7}
            (?:[ -]?(?=[A-Z]{0,2}\d)[A-Z0-9]{1,3})?\b""",
        _passes_mod_97,
        digits=10,
    ),
    rule(
        "iban",
        r"\b[A-Z]{2}\d{2}(?:[ ]?[A-Z]{4})?(?:[ ]?(?=[A-Z]{0,3}\d)[A-Z0-9]{4}){2,7}[ ]?(?-i:[A-Z0-9]{0,2}[A-Z])\b",
        _passes_mod_97,
        digits=10,
    ),
    rule(
        "card",
        r"""(?<![\d.])[2-6]\d{3}(?:(?P<sep>[ -]?)\d{4}(?P=sep)\d{4}(?P=sep)\d{4}|[ -]?\d{6}[ -]?\d{4,5}
            |(?:[ -]?\d){9,15})(?!\d)""",
        _passes_luhn,
        digits=13,
    ),
    rule("user id", r"(?<![\w.])\d{15,20}(?![\w.]\d)\b", digits=15, run=15),
    rule(
        "user id",
        r"\bSTEAM_\d:\d:\d+|\[U:\d:\d+\]|\b(?-i:[UWTDCGB]0[A-Z0-9]{7,10})\b",
        digits=1,
        run=9,
    ),
    rule("token", r"(?<![\w+/=-])[\w+/=%.-]{16,}", _is_random, digits=1, run=16),
    rule("token", r"(?<![\w+/=-])[\w+/=-]{20,}", _is_random, run=20),
    rule(
        "token",
        r"""\b(?:(?=[A-Z-]*\d)(?-i:(?:[A-Z0-9]{4,6}-){2,7}[A-Z0-9]{4,6})
            |(?=[a-f-]*\d)(?:[0-9a-f]{4,8}-){2,7}[0-9a-f]{4,12})\b""",
        digits=2,
        run=14,
    ),
    rule(
        "code",
        r"""\b(?:cvv2?|cvc|security\scode|(?:card\s)?exp(?:iry|ires)?(?:\sdate)?|(?:2fa|verification|one.time|otp|backup|
            login|auth|sms|access|gate|door|alarm|garage|lock|entry|locker|safe|building)\s(?:code|pin|combo)|otp
            |(?:code|combo|combination|pin)
            \s(?:to|for|of)\s[\w' ]{1,25}?(?=\s?[:=]|\sis\s)|pin(?:\s(?:code|number|no))?)
            (?:{{is}}|\s+)
            (?P<out>\#?\d[\d /-]{1,9}\d)""",
        words="cvv cvv2 cvc code exp expiry expires otp pin combo combination",
        digits=3,
    ),
    rule(
        "code",
        r"\bcode{{is}}(?P<out>(?-i:(?=[A-Z-]*\d)(?=[\d-]*[A-Z])[A-Z0-9-]{5,}))",
        words="code",
        digits=1,
    ),
    rule(
        "password",
        r"""\b(?:\w{0,10}pass\s?(?:word|code|wd|wort|phrase)s?|(?<!movie\s)(?<!league\s)(?<!season\s)(?<!bus\s)pass|pwd?|pw|
            pin(?:\s?(?:code|number))?|psk|kennwort|wi-?fi\s(?:key|code)|contraseña|clave|mot\sde\spasse|senha|parola|
            has[lł]o){{for_what}}{{is}}
            (?P<out>{{value}}(?!-?\d{1,3}\.\d{3}){{clause}})""",
        words=_PASSWORDS,
    ),
    rule(
        "password",
        r"\b(?:password|passcode|pwd?|pw|login|creds?|credentials?)\s+(?P<out>(?=\S{0,99}\d)\S{4,})",
        words="password passcode pwd pw login cred creds credentials",
        digits=1,
    ),
    rule(
        "password",
        r"\b(?:use|enter|type)\s+(?:the\s)?(?:password|passcode|pass|pw|code|pin)\s+(?P<out>{{value}}\S+)",
        words="password passcode pass pw code pin",
    ),
    rule(
        "wallet",
        r"""\b(?:seed|recovery|backup|mnemonic|secret)(?:\s?(?:phrase|words?))?{{for_what}}{{is}}
            (?P<out>[a-z]{3,8}(?:[\s,]+[a-z]{3,8}){7,23})\b""",
        words="seed recovery backup mnemonic secret",
    ),
    rule(
        "token",
        r"""\b(?:key|secret|token|bearer|basic|otp|session|cookie|(?:recovery|backup)\scodes?)\w{0,3}{{for_what}}
            (?:{{is}}|\s+(?=[\w-]*\d[\w-]{5}|[\w-]{5,}\d)){{value}}
            (?P<out>(?=\S{0,99}\d)\S{6,}(?:\s(?![-–(&|])(?=\S{0,40}\d)[^\s,.!?;]{1,40}){0,23})""",
        words="key keys secret token tokens bearer basic otp session sessionid cookie recovery backup",
        digits=1,
    ),
)
