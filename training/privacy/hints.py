"""What only a hint betrays: beside words like "password" or "booking", whatever looks like a value is taken for one.

The rules before these know how people tell their details. These do not ask how: if such a word stands anywhere in a
message, odd words and long numbers in it go.
"""

# ruff: noqa: RUF001 - the signs that people write

import re

from training.privacy.contacts import SERVICES
from training.privacy.identity import BIRTH, DOCUMENTS
from training.privacy.passwords import CODES, LOGINS, PASSWORDS_NAMES
from training.privacy.payment import BANK
from training.privacy.rule import PARTS, Match, Rule, rule
from training.privacy.telephone import is_amount

_GAMES = """osu valorant fortnite rsn runescape osrs vrchat genshin overwatch warzone csgo cs2 faceit hypixel
    duolingo letterboxd myanimelist mal anilist patreon etsy ebay vinted depop tinder bumble grindr hinge weibo
    kakaotalk
    zalo imessage facetime teamspeak ts3 matrix irc libera freenode threema jabber xmpp nick nickname nicknames ign
    username usernames handle gamertag pseudo usuario nutzername apodo """
_NO_NAME = re.compile(
    r"\d+-[a-z]+|\d+(?:[.,x/-]\d+)*[a-z]{0,3}\+?|\d+(?:seconds?|mins?|minutes|hours?|hrs?|days?|years?|times|fps|mbps|gb|th)"
    r"|[a-z]{1,6}-?\d{1,2}|[a-z]\.[a-z.]+|v\d+(?:\.\d+)*|i(?:phone|pad)s?\d*\w{0,2}|[a-z]{1,4}\d{4}[a-z]{0,2}"
    r"|[a-z]+'?s|(?:mac|win|linux|xbox|gta|mine|you|face|tik|pay|what|git|sound|deviant|one|power)\w*",
    re.IGNORECASE,
)


def _is_no_word(match: Match) -> bool:
    """Whether an odd word is more than a count, an ordinal, a version or a product."""
    return not _NO_NAME.fullmatch(match["out"].strip(".-"))


def _is_number(match: Match) -> bool:
    return not is_amount(match)


PARTS |= {
    "long_number": r"""(?<![\w$€£¥.,:/+-])(?<![$€£¥]\s)(?!(?:1[5-9]|20)\d\d(?!\d))\#?\d{4,}(?:-\d+)*(?![\w%$€£¥:]
            |[.,/]\d)""",
    "mixed": r"(?<![\w.,/$-])(?=[A-Z0-9-]{0,30}[A-Z])(?=[A-Z-]{0,30}\d)[A-Z0-9]{2,}(?:-?[A-Z0-9]+)*(?<=[\w-]{5})(?!\w)",
}

HINTS: tuple[Rule, ...] = (
    rule(
        "password",
        r"(?<![^\s\"'(:=/>])(?P<out>{{strong}})",
        _is_no_word,
        words=f"{PASSWORDS_NAMES} passphrase credentials creds pass",
        digits=1,
    ),
    rule(
        "code",
        r"{{long_number}}|\b\d{3}[ -]\d{3}\b|(?-i:{{mixed}})",
        _is_number,
        words=f"{CODES} door gate keypad buzzer",
        digits=2,
    ),
    rule("account", r"{{long_number}}|(?-i:{{mixed}})", _is_number, words=BANK, digits=4),
    rule(
        "id number",
        r"{{long_number}}|(?-i:{{mixed}})",
        _is_number,
        words=DOCUMENTS,
        digits=2,
    ),
    rule(
        "birth date", r"(?<![\w.])(?P<out>\d{1,4}\s?([./-])\s?\d{1,2}\s?\2\s?\d{2,4})(?![\w/])", words=BIRTH, digits=3
    ),
    rule(
        "handle",
        r"""(?<![\w.,/$:-])(?P<out>(?=[\w.-]*(?:[\d_]|[a-z]\.(?!(?:com?|tv|org|net|gov|edu|gg|io|me|ly
            |it)\b)[a-z]{2}))(?=\S*[a-z])[\w.-]{4,32}\w)(?![\w/]|['’]\w)""",
        _is_no_word,
        words=f"{SERVICES} {_GAMES}",
    ),
    rule(
        "handle",
        r"""\b(?:(?:nick(?:name)?|username|user)(?:\sname)?{{is}}|(?:ign|rsn|gamertag|gt)(?:{{is}}|\s+))["']?
            (?P<out>(?-i:[A-Z])[\w.-]{2,20}(?:\s(?-i:[A-Z])[\w.-]{0,20}|\s\d{1,4}\b){0,2})""",
        words="ign rsn gamertag gt nick nickname username user",
    ),
    rule(
        "password",
        r"\b(?:{{login}}|root|pi|postgres)\s?[:/]\s?(?P<out>{{value}}{{strong}})",
        words=f"{LOGINS} root pi postgres",
        digits=1,
    ),
)
"""To be tried last of what is told by words."""
