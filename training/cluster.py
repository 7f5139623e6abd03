"""Work spread over several machines by Ray, its results in order."""

import functools
import hashlib
import logging
import os
import socket
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

# Nothing is told to Ray's makers; it reads this when it is imported.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import ray
from ray.exceptions import AuthenticationError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from model import ChinwagError

LOCAL = "local"
"""The address of a Ray that is started on this machine, and ends with the work."""

_AHEAD = 2  # tasks that wait for each processor, so that none is idle while a result is taken
_MOST_TRIES = 8  # of a task whose process ends, or whose machine is lost
_PATIENCE = 10.0  # seconds for a machine to answer at all
_OBJECTS_BYTES = 256 << 20  # of results that wait, on this machine: a few hundred kilobytes each

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


class ClusterError(ChinwagError):
    """The machines cannot do the work; the message says why and what to do, in one sentence."""


class Cluster:
    """The machines that a Ray joins, in a `with` statement; `map` is as that of `training.workers.Workers`."""

    def __init__(self, address: str, *, workers: int | None = None, needed: Sequence[Path] = ()) -> None:
        """Args:
        address: of a Ray that this machine has joined, `HOST:PORT` or `auto`; or `LOCAL`.
        workers: how many tasks run at a time; by default one for each processor.
        needed: files and folders that each machine must see.
        """
        self._address, self._workers, self._needed = address, workers, needed
        self._stack = ExitStack()
        self._folder = os.getcwd()

    def __enter__(self) -> "Cluster":
        with self._stack:
            self._join()
            self._check()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def processors(self) -> int:
        """Of all machines."""
        return int(ray.cluster_resources().get("CPU", 0))

    @property
    def machines(self) -> list[dict[str, Any]]:
        """Those that are there, as Ray describes them."""
        return [machine for machine in ray.nodes() if machine["Alive"]]

    def map(self, function: Callable[[_Task], _Result], tasks: Iterable[_Task]) -> Iterator[_Result]:
        """Yield what a function makes of each task, in the order of the tasks; a bounded number is under way.

        A task whose process ends is begun again, elsewhere if its machine is gone: the function must give the same
        again, however far it came the first time.

        Raises:
            ClusterError: a task ends every process that it is given to, or no machine is left.
        """
        task_of = ray.remote(max_retries=_MOST_TRIES, num_cpus=1)(_do)
        most = self.processors * _AHEAD
        if self._workers is not None and self._address != LOCAL:  # there so many processors are all
            most = self._workers
        waiting: deque[Any] = deque()
        try:
            for task in tasks:
                waiting.append(task_of.remote(self._folder, function, task))
                if len(waiting) >= most:
                    yield _result(waiting.popleft())
            while waiting:
                yield _result(waiting.popleft())
        finally:
            for reference in waiting:
                ray.cancel(reference)

    def _join(self) -> None:
        quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
        if self._address == LOCAL:
            folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True))
            quiet |= {"num_cpus": self._workers, "object_store_memory": _OBJECTS_BYTES, "_temp_dir": folder}
            quiet |= {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        else:
            _check_that_somebody_answers(self._address)
        self._stack.callback(ray.shutdown)  # also of what was begun and failed
        try:
            ray.init(address=self._address, **quiet)
        except AuthenticationError as error:
            raise ClusterError(
                f"The Ray at {self._address} wants its token: set RAY_AUTH_MODE=token, and have in ~/.ray/auth_token "
                "what it holds on the machine where that Ray was started."
            ) from error
        except (ConnectionError, ValueError, RuntimeError, RayError) as error:
            raise ClusterError(_why_not_joined(self._address, error)) from error

    def _check(self) -> None:
        """See that each machine has this very Chinwag and the files, rather than fail in the middle."""
        check = ray.remote(num_cpus=0, max_retries=1)(_lacks)
        machines = self.machines
        places = [NodeAffinitySchedulingStrategy(machine["NodeID"], soft=False) for machine in machines]
        asked = [check.options(scheduling_strategy=each).remote(self._folder, _code(), self._needed) for each in places]
        for machine, answer in zip(machines, asked, strict=True):
            name = machine["NodeManagerHostname"]
            try:
                lack = ray.get(answer)
            except RayError as error:
                raise ClusterError(
                    f"{name} cannot run Chinwag ({last_line(error)}): install the same version there, with the extras "
                    "train and cluster, and start Ray from that environment."
                ) from error
            if lack:
                raise ClusterError(f"{name} {lack}")


def _do(folder: str, function: Callable[[_Task], _Result], task: _Task) -> _Result:
    """Do a task on some machine, where a relative path means what it does here."""
    with suppress(OSError):  # where all paths are absolute the folder need not be there
        os.chdir(folder)
    return function(task)


def _result(reference: Any) -> Any:
    try:
        return ray.get(reference)
    except RayTaskError as error:
        raise error.cause from error
    except RayError as error:
        raise ClusterError(
            f"A piece of the work could not be done in {_MOST_TRIES + 1} tries ({last_line(error)}), probably because "
            "memory ran out: free some, or name fewer with --workers; what was read so far is kept."
        ) from error


def _lacks(folder: str, code: str, needed: Sequence[Path]) -> str | None:
    """What this machine lacks for the work, and the remedy, as the end of a sentence."""
    with suppress(OSError):
        os.chdir(folder)
    if _code() != code:
        return "has another version of Chinwag: install the same one on all machines."
    if missing := [path for path in needed if not path.exists()]:
        return (
            f"does not see {missing[0]}: exports, dataset and models must lie in a folder that all machines see under "
            "the same name."
        )
    return None


@functools.cache
def _code() -> str:
    """Names this version by all that decides what a task gives."""
    root = Path(__file__).parents[1]
    sources = sorted(path for package in ("model", "training") for path in (root / package).rglob("*.py"))
    digest = hashlib.sha256()
    for path in [*sources, root / "training" / "linking" / "linker.npz"]:
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def _check_that_somebody_answers(address: str) -> None:
    """Ray itself asks for ever."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host and address == "auto":
        return
    try:
        if not host:
            raise ValueError(f"{address!r} has no port")
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
    except (OSError, ValueError, OverflowError) as error:
        raise ClusterError(_why_not_joined(address, error)) from error


def _why_not_joined(address: str, error: Exception) -> str:
    if "ersion mismatch" in str(error):
        return (
            f"The Ray at {address} is of another version than the one here, or of another Python: install the same "
            "versions on all machines."
        )
    if address == LOCAL:
        return f"Ray cannot be started on this machine ({last_line(error)}): work without --ray."
    return (
        f"There is no Ray to join at {address} ({last_line(error)}): start one with `ray start --head` on one "
        "machine, and join it on this and each other one with `ray start --address HOST:PORT`; or, if it wants its "
        "token, set RAY_AUTH_MODE=token."
    )


def last_line(error: BaseException) -> str:
    """What an error of Ray's comes down to."""
    return next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
