"""One line of an IRC log in, what it says out: irssi, WeeChat, ZNC, energymech, HexChat, mIRC, BotBot, irclogs.ubuntu.

They differ in the clock at the start, which may stand in brackets and may have a date, and in the few marks behind it.
"""

import re
from datetime import date
from enum import Enum, auto
from typing import NamedTuple

_CONTROL_CODES = re.compile(r"[\x02\x0f\x11\x16\x1d-\x1f]|\x03(?:\d{1,2}(?:,\d{1,2})?)?|\x04(?:[0-9A-Fa-f]{6})?")
_ESCAPES = re.compile(r"((?:\\x[0-9a-f]{2})+)|\\(['\"\\])")

_STAMP = re.compile(
    r"[\[(]?(?:(?P<date>\d{4}-\d\d-\d\d)[T ]|(?P<month>[A-Za-z]{3}) {1,2}(?P<day>\d{1,2}) )?"
    r"(?P<hour>\d{1,2}):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d|60)(?:\.\d{1,9})?)?"
    r"(?:Z|(?P<zone>[+-]\d\d:?\d\d))?(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?[\])]?(?P<gap>[ \t])(?P<body>.*)",
    re.ASCII | re.DOTALL,
)
_MODES = "~&@%+!"
_NICK = r"[^\s<>]{1,64}"
_MESSAGE = re.compile(rf"< *[{_MODES}]?({_NICK})>(?:\s(.*))?", re.DOTALL)
_ACTION = re.compile(rf"\s?\*\s+[{_MODES}]?({_NICK})(?:\s(.*))?", re.DOTALL)
_TABBED = re.compile(
    rf"(?P<mark>-->|<--|--|=!=)?(?P<action> \*)?[ {_MODES}]?(?P<nick>[^\t]{{0,64}})\t(?P<text>.*)", re.DOTALL
)
_NOTICE = re.compile(r"(?:-!-|\*\*\*|===|>>>)(?:\s|$)|-\S{1,200}- ")
_UBUNTU_NOTICE = re.compile(rf"=== ({_NICK})(?: (.*))?", re.DOTALL)

# What follows a name in a notice that looks like an action.
_EVENT = re.compile(
    r"(?:[\[(]\S*@[^\])]*[\])] )?(?:(?:has )?(?:joined|left|parted) (?:the channel|[#&(])"
    r"|has (?:joined|left|parted|quit)\b|[Qq]uit (?:IRC|\()|is now known as |(?:has )?(?:changed|set) the topic"
    r"|sets? (?:\S+ )?mode|(?:was|has been) kicked|(?:gives?|removes?) (?:channel |half-)?(?:operator|voice)"
    r"|invited \S+ (?:in)?to )"
)
_NOT_A_NICK = re.compile(r"TOPIC:|[Tt]opic|Now|Users|Set|Retrieving|Disconnected|Loaded|Channel|Mode|Irssi:|#.*")

_DAY = re.compile(
    r"(?:--- (?:Log|Day) \w+|\*{4} \w+ LOGGING AT|Session (?:Start|Time|Close):)"
    r"(?: \S+)? (?P<month>[^\W\d_]{3})\S* +(?P<day>\d{1,2})(?: [\d:]{5,8})? (?P<year>\d{4})\b"
)
_BORDER = re.compile(r"--- (?:Log|Day) \w+|\*{4} \w+ LOGGING AT|Session (?:Start|Time|Close|Ident):")
# English, and where they differ German, French, Spanish, Italian, Portuguese and Dutch: the log's locale decides.
_MONTHS = (
    {"jan", "ene", "gen"},
    {"feb", "fév", "fev"},
    {"mar", "mär", "mrt"},
    {"apr", "avr", "abr"},
    {"may", "mai", "mag", "mei"},
    {"jun", "jui", "giu"},
    {"jul", "lug"},
    {"aug", "aoû", "ago"},
    {"sep", "set"},
    {"oct", "okt", "ott", "out"},
    {"nov"},
    {"dec", "dez", "déc", "dic"},
)


class Kind(Enum):
    """What a line is."""

    MESSAGE = auto()
    ACTION = auto()
    NOTICE = auto()
    DAY = auto()
    """A line about the log itself, perhaps with the date of what follows."""


class Stamp(NamedTuple):
    """The clock at the start of a line.

    Attributes:
        date: year, month and day; the year is 0 where it is not printed; None without a date.
        seconds: since midnight, or since noon if `half` is `p`, or since either.
        hour: as printed.
        half: `a` or `p` of a 12-hour clock.
        zone: as printed, e.g. `+01:00`.
    """

    date: tuple[int, int, int] | None
    seconds: int
    hour: int
    half: str | None
    zone: str | None


class Line(NamedTuple):
    """What a line says. For a notice the nick is empty, for a day there is no text."""

    kind: Kind
    stamp: Stamp | None
    nick: str
    text: str
    begins: date | None = None


def parse(line: str) -> Line | None:
    """Take a line apart; None if it is none of a log."""
    line = _CONTROL_CODES.sub("", line)
    match = _STAMP.match(line)
    if match is None:
        return _parse_without_stamp(line)
    stamp, body = _stamp(match), match["body"]
    if stamp is None:
        return None
    if match["gap"] == "\t":
        return _parse_tabbed(stamp, body)
    if message := _MESSAGE.fullmatch(body):
        return Line(Kind.MESSAGE, stamp, message[1], message[2] or "")
    if action := _ACTION.fullmatch(body):
        return _action(stamp, action[1], action[2] or "")
    return Line(Kind.NOTICE, stamp, "", body) if _NOTICE.match(body) else None


def unescaped(line: str) -> str:
    r"""A line of a log that was printed as Python's `b'...'`, with its characters in place of `\xe2\x80\x99`."""
    return _ESCAPES.sub(
        lambda match: bytes.fromhex(match[1].replace("\\x", "")).decode("utf-8", "replace") if match[1] else match[2],
        line.removeprefix("b'").removeprefix('b"'),
    )


def month_number(name: str) -> int:
    """1 to 12 for a name in one of several languages; 0 if it is none."""
    return next((number for number, names in enumerate(_MONTHS, 1) if name[:3].lower() in names), 0)


def _parse_without_stamp(line: str) -> Line | None:
    if _BORDER.match(line):
        return Line(Kind.DAY, None, "", "", _day(line))
    if notice := _UBUNTU_NOTICE.fullmatch(line):
        # Its logs of 2004 to 2006 have actions in this form as well: only who speaks in the log can tell.
        return _action(None, notice[1], notice[2] or "")
    return None


def _parse_tabbed(stamp: Stamp, body: str) -> Line | None:
    """WeeChat's columns."""
    columns = _TABBED.fullmatch(body)
    if columns is None:
        return None
    if columns["mark"] or not (columns["nick"] or columns["action"]):
        return Line(Kind.NOTICE, stamp, "", columns["text"])
    if columns["action"]:
        nick, _, text = columns["text"].partition(" ")
        return Line(Kind.ACTION, stamp, nick.lstrip(_MODES), text)
    return Line(Kind.MESSAGE, stamp, columns["nick"], columns["text"])


def _action(stamp: Stamp | None, nick: str, text: str) -> Line:
    if _EVENT.match(text) or _NOT_A_NICK.fullmatch(nick):
        return Line(Kind.NOTICE, stamp, "", f"{nick} {text}".rstrip())
    return Line(Kind.ACTION, stamp, nick, text)


def _stamp(match: re.Match[str]) -> Stamp | None:
    hour = int(match["hour"])
    half = match["half"] and match["half"].lower()
    if hour > 24 or (half and not 1 <= hour <= 12):
        return None
    hours = hour % 12 + (12 if half == "p" else 0) if half else hour
    seconds = hours * 3600 + int(match["minute"]) * 60 + int(match["second"] or 0)
    return Stamp(_printed_date(match), seconds, hour, half, match["zone"])


def _printed_date(match: re.Match[str]) -> tuple[int, int, int] | None:
    if match["date"]:
        year, month, day = match["date"].split("-")
        return int(year), int(month), int(day)
    if match["month"]:
        return 0, month_number(match["month"]), int(match["day"])
    return None


def _day(line: str) -> date | None:
    match = _DAY.match(line)
    try:
        return date(int(match["year"]), month_number(match["month"]), int(match["day"])) if match else None
    except ValueError:
        return None
