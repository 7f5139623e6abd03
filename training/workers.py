"""Work spread over processes, its results in order."""

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import ParamSpec, Protocol, TypeVar

from model import ChinwagError

_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_MOST_ON_WINDOWS = 61  # what a process can wait for there
_AHEAD = 2  # tasks that wait for each process, so that none is idle while a result is taken

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")
_P = ParamSpec("_P")


class WorkersError(ChinwagError):
    """A process ended without an answer."""


class Pool(Protocol):
    """Whoever does the work: processes of this machine, or other machines (`training.cluster`)."""

    def map(self, function: Callable[[_Task], _Result], tasks: Iterable[_Task]) -> Iterator[_Result]:
        """Yield what a function makes of each task, in the order of the tasks; a bounded number is under way."""


class Workers:
    """Some processes that stay ready; with a count of 0, this process itself."""

    def __init__(self, count: int) -> None:
        for variable in _THREADS:  # of NumPy in each process: there are as many processes as cores
            os.environ.setdefault(variable, "1")
        if sys.platform == "win32":
            count = min(count, _MOST_ON_WINDOWS)
        # Spawned, not forked: the same on all systems, and safe beside threads.
        self._count = count
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(count, mp_context=context, initializer=_begin) if count else None

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def map(self, function: Callable[[_Task], _Result], tasks: Iterable[_Task]) -> Iterator[_Result]:
        """Yield what a function makes of each task, in the order of the tasks; a bounded number is under way.

        Raises:
            WorkersError: a process died, as they do where memory runs out.
        """
        if self._pool is None:
            yield from map(function, tasks)
            return
        waiting: deque[Future[_Result]] = deque()
        try:
            for task in tasks:
                waiting.append(self._pool.submit(function, task))
                if len(waiting) >= self._count * _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise WorkersError(
                "A helper process was ended from outside, probably because memory ran out: free some, "
                "or name fewer with --workers; what was read so far is kept."
            ) from error
        finally:
            for future in waiting:
                future.cancel()


def _begin() -> None:
    """Leave Ctrl-C to the process that gives the work, and end when that one is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
    os._exit(1)
