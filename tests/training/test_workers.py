"""Work spread over processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from training.workers import Workers, WorkersError

TASKS = list(range(20))
_WORK = """
import time
from tests.training.test_workers import process_of
from training.workers import Workers
with Workers(2) as workers:
    print(*set(workers.map(process_of, range(20))), flush=True)
    time.sleep(60)
"""


def square(number: int) -> int:
    time.sleep(0.002 * (number % 3))  # the later ones are often done first
    return number * number


def process_of(number: int) -> int:
    return os.getpid()


def fail_at_seven(number: int) -> int:
    if number == 7:
        raise OSError(28, "No space left on device")
    return number


def die_at_seven(number: int) -> int:
    if number == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.fixture(scope="module")
def two() -> Iterator[Workers]:
    with Workers(2) as workers:
        yield workers


def test_results_come_in_the_order_of_the_tasks(two: Workers) -> None:
    assert list(two.map(square, TASKS)) == [number * number for number in TASKS]


def test_the_work_is_done_by_other_processes(two: Workers) -> None:
    assert os.getpid() not in set(two.map(process_of, TASKS))


def test_an_error_of_a_task_comes_through_as_it_is_and_the_workers_go_on(two: Workers) -> None:
    with pytest.raises(OSError, match="No space left on device") as caught:
        list(two.map(fail_at_seven, TASKS))
    assert caught.value.errno == 28
    assert list(two.map(square, [3])) == [9]


def test_only_a_few_tasks_are_taken_ahead(two: Workers) -> None:
    taken = []

    def tasks() -> Iterator[int]:
        for number in TASKS:
            taken.append(number)
            yield number

    results = two.map(square, tasks())
    next(results)
    assert len(taken) <= 5
    results.close()  # type: ignore[attr-defined]


def test_a_worker_that_is_killed_is_one_plain_sentence() -> None:
    with Workers(2) as workers, pytest.raises(WorkersError, match=r"memory ran out: free some, or name fewer"):
        list(workers.map(die_at_seven, TASKS))


def test_none_means_this_process() -> None:
    with Workers(0) as workers:
        assert set(workers.map(process_of, TASKS)) == {os.getpid()}
        with pytest.raises(OSError, match="No space left"):
            list(workers.map(fail_at_seven, TASKS))


@pytest.mark.skipif(sys.platform == "win32", reason="has no kill that cannot be caught")
def test_workers_end_with_a_process_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", _WORK], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        orphans = list(map(int, process.stdout.readline().split()))
        process.kill()
    assert orphans
    deadline = time.monotonic() + 20
    while any(map(is_running, orphans)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_running, orphans))


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
