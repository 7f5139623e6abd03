"""Which runs of digits are telephone numbers.

A number that is written out in full shows it by its form. Where digits alone could be anything, words around them and
the numbering plans of a few countries (`phonenumbers`, Google's libphonenumber) decide.
"""

# ruff: noqa: RUF001 - the signs that people write

import re
from itertools import pairwise

import phonenumbers

CANDIDATE = r"""
    (?<![\w$€£¥#.,:/-])(?<![$€£¥]\s)
    (?P<out>(?P<number>[+(]{0,2}\d(?:[\s().\-/–]{0,3}\d){5,16})
        (?:\s?(?:ext\.?|extension|x|durchwahl|dw|poste|int\.?)\s?\d{1,6}\b)?)
    (?![\d%$€£¥]|[.,:]\d|\w)
"""
"""A run of digits as people write numbers; `is_phone_number` tells which are meant for a telephone."""

FULL_NUMBER = r"""
    (?<![\w.+])(?<!\+\d\s)(?<!\+\d\d\s)(?<!\+\d{3}\s)
    (?:(?:\+?1[\s.-])?\(?[2-9]\d\d\)?[\s.-]{1,2}\d{3}[\s.-]\d{4}|0\d{4}[\s-]?\d{6})(?!\d)
    (?:\s?(?:ext\.?|extension|x|durchwahl|dw|poste|int\.?)\s?\d{1,6}\b)?
"""
"""Numbers of North America and Britain as they are mostly written; nothing else looks like them."""

_REGIONS = tuple(
    [
        "US",
        "GB",
        "DE",
        "FR",
        "ES",
        "IT",
        "NL",
        "PL",
        "BR",
        "IN",
        "AU",
        "MX",
        "PT",
        "BE",
        "AT",
        "CH",
        "SE",
        "NO",
        "DK",
        "FI",
        "IE",
        "CZ",
        "RO",
        "GR",
        "TR",
        "RU",
        "UA",
        "ZA",
        "NZ",
        "AR",
        "CL",
        "CO",
    ]
)
_LOOK_BACK = 40  # characters before a number in which its purpose is told
_PURPOSE = re.compile(
    r"\b(?:call|text|txt|phone|cell|mob(?:ile?)?|tel|tél|telephone|telefon|teléfono|telefone|telefono|handy|wa|sms|"
    r"whats\s?app|ring|dial|fax|fone|celular|cel|reach|n[uo]?mb?e?r|num|nºs?|n[ou]m(?:ber|éro|ero|er)?|número|nummer|#|contact|"
    r"hmu|hit me up|message|msg|signal|viber|digits|landline|extension|appel\w*|portable|fixe|llama\w*|móvil|movil|"
    r"escr[ií]beme|lig[au]\w*|telemóvel|zap|bel|bellen|mobiel|mobiltelefon|chiama\w*|cellulare|dzwoń|zadzwoń|komórk\w*|ruf\w*|"
    r"festnetz|nr|mobil|"
    r"телефон|номер|звони\w*|ext)\b",
    re.IGNORECASE,
)
_AMOUNT = re.compile(
    r"(?:k|m|bn|\s?(?:million|billion|usd|eur|gbp|dollars?|euros?|pounds?|bucks|people|users|views|subs|subscribers|followers|points|pts|xp|gold|"
    r"coins|credits|gems|km|kg|mb|gb|bytes|years?|miles|feet|hp|dmg|damage|times|songs|votes|players|"
    r"members|messages|copies|sold|units|downloads|streams|hits|m/s|meters|metres|steps|words|lines|rows|hours|seconds|ms|percent))\b",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"(?:\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./]\d{2,4})(?:\s+\d.*)?|(?:1[89]|20)\d\d\s?[-–/]\s?(?:1[89]|20)\d\d"
    r"|(?:19|20)\d\d(?:0\d|1[0-2])(?:[0-2]\d|3[01])(?:[\s-]?\d{4,6})?"
)
_THOUSANDS = re.compile(r"\d{1,3}(?:[ .]\d{3})*[ .]000|\d*0000|\d{1,2}\.\d+|\d+\.\d{1,2}")
_FULL = re.compile(
    r"\(0\)\s?\d[\d\s.-]{6,12}\d|\(?0\d(?:[^\d\n]{0,3}\d){7,12}"  # with the trunk prefix 0, or 00 and a country
    r"|(?:1[\s.-]{0,2})?(?:\([2-9]\d\d\)|[2-9]\d\d)[\s./-]{0,3}\d{3}[\s.-]{0,3}\d{4}"  # North America
    r"|\(\d{2,5}\)[\s.-]?\d[\d\s.-]{4,9}\d"
    r"|[2-9]\d\d[ -]\d{4}"
)


def is_phone_number(match: re.Match[str]) -> bool:
    """Tell a telephone number from an amount, a date, a range or an identifier.

    Args:
        match: a match of `CANDIDATE`.
    """
    text, start = match["number"], match.start("out")
    digits = re.sub(r"\D", "", text)
    if len(set(digits)) < 2 or _DATE.fullmatch(text):
        return False
    if text.lstrip("(").startswith("+"):
        return len(digits) >= 8
    if is_amount(match):
        return False
    if len(digits) >= 7 and text.isdigit():
        return True
    if _FULL.fullmatch(text) or _PURPOSE.search(match.string, max(0, start - _LOOK_BACK), start):
        return True
    return 8 <= len(digits) <= 15 and _is_in_a_plan(text, digits)


def is_amount(match: re.Match[str]) -> bool:
    """Whether a number counts something: it is round, or what is counted follows."""
    return bool(_THOUSANDS.fullmatch(match["out"]) or _AMOUNT.match(match.string, match.end("out")))


def is_spaced_number(match: re.Match[str]) -> bool:
    """Whether digits that stand apart are a number that is to be hidden, neither counting nor zeros and ones."""
    places = list(map(int, re.findall(r"\d", match["out"])))
    steps = {later - earlier for earlier, later in pairwise(places)}
    return len(set(places)) > 3 and not steps <= {0, 1} and not steps <= {0, -1}


def _is_in_a_plan(text: str, digits: str) -> bool:
    """Whether the digits, spelled as one number or in few groups, are in use in one of the numbering plans."""
    groups = re.findall(r"\d+", text)
    if len(groups) == 1:
        return len(digits) > 10 and _is_valid("+" + digits, None)
    return 2 <= len(groups) <= 5 and min(map(len, groups)) > 1 and any(_is_valid(digits, region) for region in _REGIONS)


def _is_valid(number: str, region: str | None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False
