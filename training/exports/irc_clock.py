"""When the lines of an IRC log were said: clocks without a date in, seconds since the epoch out."""

import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

from training.exports.irc_line import Stamp
from training.exports.time_range import checked_time

_DATES = (
    re.compile(r"(?<!\d)((?:19|20)\d\d)([-_./]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])(?!\d)"),
    re.compile(r"(?<!\d)(0[1-9]|[12]\d|3[01])([-_.])(0[1-9]|1[0-2])\2((?:19|20)\d\d)(?!\d)"),
)
_DAY = 24 * 3600
_HALF_DAY = 12 * 3600
_DISORDER = 5 * 60  # clocks are set right, lines of several servers cross
_SUMMER_TIME_STEP = 65 * 60
_SUMMER_TIME_ENDS_BEFORE = 4 * 3600


def date_in(name: str) -> tuple[date | None, str]:
    """The last date in a name or path, and the name without it."""
    for order, pattern in zip(((1, 3, 4), (4, 3, 1)), _DATES, strict=True):
        for match in reversed(list(pattern.finditer(name))):
            try:
                found = date(*(int(match[group]) for group in order))
            except ValueError:
                continue
            return found, name[: match.start()] + name[match.end() :]
    return None, name


def is_twelve_hour(stamps: Iterable[Stamp]) -> bool:
    """Whether the clock of a log of one day goes around twice, as on irclogs.ubuntu.com: 12, 1, ... 12, 1, ..."""
    jumps = half_days = 0
    last: int | None = None
    for stamp in stamps:
        if stamp.date or stamp.half or not 1 <= stamp.hour <= 12:
            return False
        if last is not None:
            jumps += stamp.seconds < last - _SUMMER_TIME_STEP
            half_days += stamp.seconds % _HALF_DAY < last % _HALF_DAY - _SUMMER_TIME_STEP
        last = stamp.seconds
    return jumps > 0 and half_days <= 1


class Clock:
    """Follows a log from line to line: midnight passes when the clock goes back by more than disorder explains."""

    def __init__(self, begin: date | None, *, is_twelve_hour: bool = False) -> None:
        """Begin with a date, if one is known."""
        self._date = begin
        self._midnight = _midnight(begin)
        self._around = _HALF_DAY if is_twelve_hour else _DAY
        self._at: int | None = None  # seconds since the midnight that began the date
        self._last_month = 0

    def begin_day(self, new: date | None) -> None:
        """The log says which date it is, or only that one begins."""
        if new is None and self._date and self._at is not None:
            with suppress(OverflowError):
                new = self._date + timedelta(days=self._at // _DAY + 1)
        if new:
            self._date, self._at, self._last_month = new, None, 0
            self._midnight = _midnight(new)

    def time(self, stamp: Stamp | None) -> tuple[float | None, str]:
        """When a line was said, None if no date is known; and the same as a text that is never empty.

        A line without a clock is as old as the one before it.
        """
        if stamp and stamp.date:
            seconds = self._dated(stamp, *stamp.date)
            return seconds, f"{seconds}" if seconds is not None else f"{stamp.date} {stamp.seconds}"
        if stamp:
            self._at = self._following(stamp.seconds)
        if self._midnight is None or self._at is None:
            return None, f"+{self._at}"
        seconds = self._midnight + self._at
        return _possible(seconds), f"{seconds}"

    def _following(self, clock: int) -> int:
        if self._at is None:
            return clock % self._around
        step = (clock - self._at) % self._around
        back = self._around - step
        is_summer_time_over = back <= _SUMMER_TIME_STEP and clock < _SUMMER_TIME_ENDS_BEFORE
        return self._at - back if back <= _DISORDER or is_summer_time_over else self._at + step

    def _dated(self, stamp: Stamp, year: int, month: int, day: int) -> float | None:
        try:
            if not year and self._date:
                if month < self._last_month - 6:  # a new year has begun
                    self._date = self._date.replace(year=self._date.year + 1, day=1)
                year, self._last_month = self._date.year, month
            moment = datetime(year, month, day, tzinfo=UTC) + timedelta(seconds=stamp.seconds)
        except (ValueError, OverflowError):
            return None
        return _possible(moment.timestamp() - _offset(stamp.zone))


def _possible(seconds: float) -> float | None:
    with suppress(ValueError):
        return checked_time(seconds)
    return None


def _midnight(day: date | None) -> float | None:
    return None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def _offset(zone: str | None) -> int:
    """Seconds east of Greenwich of `+01:00`."""
    if zone is None:
        return 0
    digits = zone[1:].replace(":", "")
    return (1 if zone[0] == "+" else -1) * (int(digits[:2]) * 3600 + int(digits[2:]) * 60)
