"""The start of a message in WhatsApp's text: a date and a clock in the form of the phone's language.

`1/5/24, 9:07 PM - Ann: text` on Android, `[05.01.24, 21:07:03] Ann: text` on iOS, and what other languages make of it.
"""

# ruff: noqa: RUF001

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

INVISIBLE = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
"""Marks of writing direction, which WhatsApp sets around what it writes itself."""

_PLAIN = dict.fromkeys(map(ord, "\u00a0\u2007\u2009\u202f"), " ") | dict.fromkeys(
    map(ord, "\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
)
_HEADER_CHARACTERS = 80

# The halves of the day as the phones' languages write them (after Unicode's CLDR), without dots and spaces.
_BEFORE_NOON = re.split(
    r"\s+",
    "am vm fm ap dop pd pg sa de öö πμ дп проб ص قظ صباحا पूर्वाह्न मपू 上午 凌晨 清晨 早上 오전 午前"
    " לפנהצ לפנה״צ ก่อนเที่ยง முற்பகல் ಪೂರ್ವಾಹ್ನ",
)
_AFTER_NOON = re.split(
    r"\s+",
    "pm nm em ip odp md ptg ch du ös μμ пп слоб م بظ مساء अपराह्न मउ 下午 中午 晚上 오후 午後"
    " אחהצ אחה״צ หลังเที่ยง பிற்பகல் ಅಪರಾಹ್ನ",
)
_HALF = "|".join(r"\.? ?".join(map(re.escape, word)) + r"\.?" for word in ("am", "pm", *_BEFORE_NOON, *_AFTER_NOON))

_HEADER = re.compile(
    r"(?P<bracket>\[)?(\d{1,4})( ?[./-] ?|년 ?|年)(\d{1,2})(?: ?[./-] ?|월 ?|月)"
    r"(\d{1,4})(?: ?(?:일|日|г\.?|\.))?[,،、]? (?:(?:klo|kl\.?|um|at|às|a las|à|alle|ore|в|о) )?"
    rf"(?:(?=[^\W\d])({_HALF}) ?)?"
    r"(\d{1,2}) ?[:.h] ?(\d\d)(?:[:.](\d\d))?"
    rf"(?: ?(?=\w)({_HALF}))?"
    r"(?(bracket)\] ?|(?: ?[-–] |: |, ))",
    re.IGNORECASE,
)
_FIRST_YEAR, _LAST_YEAR = 2009, 2099  # WhatsApp began in 2009
_THAI_YEARS_AHEAD = 543
_DOUBTFUL_SPAN = 2
_CLEAR_LEAD = 30  # days that only one order makes dates of


class Header(NamedTuple):
    """What stands before a message.

    Attributes:
        has_bracket: iOS's form.
        numbers: the three of the date, in the order printed.
        is_month_first_likely: the clock and the date look as in the United States.
        seconds: since midnight.
        rest: of the line.
    """

    has_bracket: bool
    numbers: tuple[int, int, int]
    is_month_first_likely: bool
    seconds: int
    rest: str


class DateOrder(NamedTuple):
    """Which of the three numbers is what."""

    year: int
    month: int
    day: int


DAY_FIRST = DateOrder(2, 1, 0)
_MONTH_FIRST = DateOrder(2, 0, 1)
_ORDERS = (DAY_FIRST, _MONTH_FIRST, DateOrder(0, 1, 2), DateOrder(0, 2, 1))


def parse_header(line: str) -> Header | None:
    """Take the start of a line apart; None if no message starts there."""
    start = line[:_HEADER_CHARACTERS]
    if not start.isascii():
        start = start.translate(_PLAIN)
    match = _HEADER.match(start) if start[:1] == "[" or start[:1].isdigit() else None
    if match is None:
        return None
    bracket, first, separator, second, third, before, hours, minutes, seconds, after = match.groups()
    half = before or after
    hour, minute, second_ = int(hours), int(minutes), int(seconds or 0)
    if hour > (12 if half else 24) or minute > 59 or second_ > 59:
        return None
    if half:
        hour = hour % 12 + (12 if _is_after_noon(half) else 0)
    return Header(
        bracket is not None,
        (int(first), int(second), int(third)),
        half in ("AM", "PM") and separator == "/",
        hour * 3600 + minute * 60 + second_,
        line[_end(line, match.end()) :],
    )


@lru_cache(maxsize=64)
def _is_after_noon(half: str) -> bool:
    return re.sub("[. ]", "", half).lower() in _AFTER_NOON


def _end(line: str, shown: int) -> int:
    """Where in a line so many characters end that are not invisible."""
    end = shown
    while not line[:end].isascii() and (missing := shown - len(line[:end].translate(_PLAIN))):
        end += missing
    return end


def date_order(headers: Iterable[Header]) -> DateOrder:
    """Decide for a whole chat which number is the day: as the dates exist, go forwards, and lie close together.

    If that leaves a choice, the day comes first, except where the United States' form is likely. As soon as there is no
    doubt left, the rest is not looked at.
    """
    trials = [_Trial(order) for order in _ORDERS]
    last: tuple[int, int, int] | None = None
    is_month_first_likely = False
    for header in headers:
        is_month_first_likely |= header.is_month_first_likely
        if header.numbers != last:
            last = header.numbers
            for trial in trials:
                trial.add(last)
            best, second = sorted(trial.impossible for trial in trials)[:2]
            if second - best >= _CLEAR_LEAD:
                break
    fewest = min((trial.impossible, trial.backwards) for trial in trials)
    left = [trial for trial in trials if (trial.impossible, trial.backwards) == fewest]
    shortest = min(trial.span for trial in left)
    orders = [trial.order for trial in left if trial.span <= _DOUBTFUL_SPAN * shortest]
    return _MONTH_FIRST if is_month_first_likely and _MONTH_FIRST in orders else orders[0]


def time_of(header: Header, order: DateOrder) -> float | None:
    """Seconds since the epoch, the phone's zone taken for UTC; None if there is no such date."""
    midnight = _midnight(*(header.numbers[place] for place in order))
    return None if midnight is None else float(midnight + header.seconds)


class _Trial:
    """What a chat would be like if its dates were in one order."""

    def __init__(self, order: DateOrder) -> None:
        self.order = order
        self.impossible = 0
        self.backwards = 0
        self._first: int | None = None
        self._last = 0

    def add(self, numbers: tuple[int, int, int]) -> None:
        midnight = _midnight(*(numbers[place] for place in self.order))
        if midnight is None:
            self.impossible += 1
            return
        if self._first is None:
            self._first = self._last = midnight
        self.backwards += midnight < self._last
        self._last = midnight

    @property
    def span(self) -> int:
        return 0 if self._first is None else abs(self._last - self._first)


@lru_cache(maxsize=64)
def _midnight(year: int, month: int, day: int) -> int | None:
    if year < 100:
        year += 2000
    elif year > _LAST_YEAR:
        year -= _THAI_YEARS_AHEAD
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        return None
    try:
        return int(datetime(year, month, day, tzinfo=UTC).timestamp())
    except ValueError:
        return None
