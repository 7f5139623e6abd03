"""What the bot tells of its work."""

import math

import pytest

from bot import status as module
from bot.status import ANSWERED, BUSY, FAILED, NOT_ALLOWED, NOT_SENT, TOO_SOON, Histogram, Status, resident_memory


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


def test_all_is_counted_and_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    status = Status()
    for seconds in [0.1] * 60 + [0.9] * 40:
        status.count(ANSWERED, seconds)
    for outcome, times in ((BUSY, 2), (TOO_SOON, 3), (FAILED, 4), (NOT_SENT, 5), (NOT_ALLOWED, 6)):
        for _ in range(times):
            status.count(outcome)
    clock.now += 2 * 86400 + 3 * 3600 + 240
    text = status.text({"Model": "mine"}, waiting=5, latency=0.04)
    assert text.startswith(
        "**Model**: mine\n**Since the start**, 2 d 3 h 4 min ago: 100 answers, half of them within 0.10 s"
    )
    assert "95 % within 0.90 s; 2 refused because too many waited, 3 because they came too soon, 6 as the" in text
    assert "4 failed, 5 could not be sent" in text
    assert "**Waiting**: 5. **To Discord and back**: 40 ms." in text


def test_a_new_one_has_done_nothing() -> None:
    assert "0 min ago: 0 answers; 0 refused" in Status().text({}, waiting=0, latency=0.0)


def test_memory_is_about_that_of_a_python_with_libraries() -> None:
    memory = resident_memory()
    assert memory is None or 10 < memory < 4000


def test_a_histogram_counts_what_is_no_greater_than_each_bound() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.5, 9.0):
        histogram.add(value)
    assert histogram.cumulative() == [(1.0, 2), (2.0, 3), (math.inf, 5)]
    assert histogram.sum == 14.5


def test_all_answers_are_in_the_histogram_not_only_the_last() -> None:
    status = Status()
    for _ in range(600):
        status.count(ANSWERED, 0.01)
    status.count(FAILED)
    assert status.seconds.cumulative()[-1] == (math.inf, 600)
