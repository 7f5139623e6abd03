"""The local dates that DiscordChatExporter prints in its CSV and text, in the form of the exporter's machine."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

from training.exports.message import seconds_since_epoch
from training.exports.whatsapp_header import DateOrder, Header, date_order, parse_header, time_of

_ISO = re.compile(r"\d{4}-\d\d-\d\dT")
_NAMED_MONTH = re.compile(r"(\d{1,2})-(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)-(\d\d)\b")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class DateReader:
    """Reads the dates of one file, in which day and month have one order.

    Attributes:
        time: gives seconds since the epoch for a printed date, see `_time`.
        runs_backwards: the newest comes first.
    """

    def __init__(self, printed: Sequence[str]) -> None:
        """Args: the first dates of the file, which show the order."""
        self.time = lru_cache(maxsize=64)(self._time)  # many messages fall into one minute
        headers = [header for date in printed if (header := _header(date))]
        self._order, forwards = _order(headers)
        backwards_order, backwards = _order(headers[::-1])
        times = [time for date in printed if (time := self.time(date)) is not None]
        self.runs_backwards = _falls(times) > _falls(times[::-1])
        if backwards < forwards:
            self._order, self.runs_backwards = backwards_order, True

    def _time(self, printed: str) -> float | None:
        """Seconds since the epoch, a time without a zone taken for UTC; None if it cannot be told."""
        try:
            if _ISO.match(printed):
                return seconds_since_epoch(printed)
        except (ValueError, OverflowError):
            return None
        header = _header(printed)
        return time_of(header, self._order) if header else None


def _header(printed: str) -> Header | None:
    date = _NAMED_MONTH.sub(lambda match: f"20{match[3]}-{_MONTHS.index(match[2]) + 1}-{match[1]}", printed.strip())
    header = parse_header(f"[{date}] ")
    return header if header and not header.rest else None


def _order(headers: Sequence[Header]) -> tuple[DateOrder, int]:
    """Which number is what if the dates go forwards, and how often they do not."""
    order = date_order(headers)
    return order, _falls(time for header in headers if (time := time_of(header, order)) is not None)


def _falls(times: Iterable[float]) -> int:
    return sum(later < earlier for earlier, later in pairwise(times))
