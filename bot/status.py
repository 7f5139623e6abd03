"""What the bot has done since it started, for its admins."""

import statistics
import sys
import time
from collections import Counter, deque
from collections.abc import Mapping
from pathlib import Path

ANSWERED, BUSY, TOO_SOON = "answered", "too busy", "too soon"
FAILED, NOT_SENT, NOT_ALLOWED = "failed", "not sent", "not allowed"
_LAST = 500  # answers whose time is remembered


class Status:
    """Counts what became of the messages that were for the bot."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self._started = time.monotonic()
        self._seconds: deque[float] = deque(maxlen=_LAST)

    def count(self, outcome: str, seconds: float | None = None) -> None:
        """Note what became of a message, and how long its answer took."""
        self.outcomes[outcome] += 1
        if seconds is not None:
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
