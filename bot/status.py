"""What the bot has done since it started, for its admins."""

import math
import statistics
import sys
import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path

ANSWERED, BUSY, TOO_SOON = "answered", "too busy", "too soon"
FAILED, NOT_SENT, NOT_ALLOWED = "failed", "not sent", "not allowed"
OUTCOMES = (ANSWERED, BUSY, TOO_SOON, FAILED, NOT_SENT, NOT_ALLOWED)
SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Times by which answers are counted."""

_LAST = 500  # answers whose time is remembered


class Histogram:
    """Counts values by how large they are; `sum` is of all."""

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        self.sum = 0.0
        self._bounds = (*bounds, math.inf)
        self._counts = [0] * len(self._bounds)

    def add(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def cumulative(self) -> list[tuple[float, int]]:
        """Each bound, the last of which is infinity, and how many values are no greater."""
        return list(zip(self._bounds, accumulate(self._counts), strict=True))


class Status:
    """Counts what became of the messages that were for the bot, and how long answers took."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.seconds = Histogram()
        self._started = time.monotonic()
        self._seconds: deque[float] = deque(maxlen=_LAST)

    def count(self, outcome: str, seconds: float | None = None) -> None:
        """Note what became of a message, and how long its answer took."""
        self.outcomes[outcome] += 1
        if seconds is not None:
            self.seconds.add(seconds)
            self._seconds.append(seconds)

    def text(self, model: Mapping[str, str], *, waiting: int, latency: float) -> str:
        """All of it for people to read, in Discord's markdown.

        Args:
            model: what the model tells of itself.
            waiting: questions in the queue.
            latency: seconds that Discord takes to answer a heartbeat.
        """
        lines = [*(f"**{name}**: {value}" for name, value in model.items()), self._work()]
        lines.append(f"**Waiting**: {waiting}. **To Discord and back**: {latency * 1000:.0f} ms.")
        if (memory := resident_memory()) is not None:
            lines.append(f"**Memory**: {memory:.0f} MiB.")
        return "\n".join(lines)

    def _work(self) -> str:
        outcomes = self.outcomes
        took = ""
        if self._seconds:
            ordered = sorted(self._seconds)
            late = ordered[int(0.95 * (len(ordered) - 1))]
            took = f", half of them within {statistics.median(ordered):.2f} s, 95 % within {late:.2f} s"
        return (
            f"**Since the start**, {_span(time.monotonic() - self._started)} ago: {outcomes[ANSWERED]} answers{took}; "
            f"{outcomes[BUSY]} refused because too many waited, {outcomes[TOO_SOON]} because they came too soon, "
            f"{outcomes[NOT_ALLOWED]} as the settings of their server say; "
            f"{outcomes[FAILED]} failed, {outcomes[NOT_SENT]} could not be sent (the log says why)."
        )


def resident_memory() -> float | None:
    """MiB of memory that the process has; None where the system does not say so in a file."""
    if sys.platform != "linux":
        return None
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20


def _span(seconds: float) -> str:
    minutes = int(seconds // 60)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [f"{days} d" if days else "", f"{hours} h" if hours else "", f"{minutes} min"]
    return " ".join(filter(None, parts))
