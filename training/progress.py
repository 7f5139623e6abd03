"""How far long work is: a bar for people and, where one is wanted, a small file for programs or a listener."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from model.lock import locked
from model.replacing import replace
from training.failure import explain

_INTERVAL = 1.0  # seconds between two looks of a program at the file

_listener: Callable[[dict[str, Any]], None] | None = None


@contextmanager
def heard(listener: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """Give a listener all that is told within the block."""
    global _listener
    _listener = listener
    try:
        yield
    finally:
        _listener = None


@contextmanager
def told(file: Path | None) -> Iterator[None]:
    """Write all progress within the block to a file, as one JSON object that is replaced in one step.

    Its `state` is "working", "done" or "failed"; while it is "working", `stage`, `done` of `total`, `first` (what was
    done before), `unit`, `started` and `at` (in seconds since 1970) tell how far it is, and `loss` how well; `pid` is
    this process. The folder of the file is locked meanwhile.

    Args:
        file: which; None for none.
    """
    if file is None:
        yield
        return
    with locked(file.parent), heard(partial(_write, file)):
        try:
            yield
        except BaseException as error:
            tell(state="failed", error=explain(error) or f"It ended early ({type(error).__name__}).")
            raise


def tell(**facts: Any) -> None:
    """Replace what was said before, if somebody listens; nothing is said after the end was told.

    Where there is no room for it nothing is said either: that ends no work.
    """
    if _listener is not None:
        _listener(facts)


class Bar(tqdm):  # type: ignore[type-arg]  # it is generic in its stubs only
    """A bar on the terminal, if that is one; what it counts is told too."""

    def __init__(self, *, desc: str, total: float, initial: float = 0, **options: Any) -> None:
        """Args:
        desc: the stage of the work.
        total: how much there is to do.
        initial: how much was done before.
        options: as for tqdm.
        """
        self._stage, self._unit, self._first, self._count = desc, options.get("unit", "it"), initial, initial
        self._started, self._told, self._loss = time.time(), 0.0, ""
        super().__init__(desc=desc, total=total, initial=initial, ncols=100, **options)

    def update(self, n: float | None = 1) -> bool | None:
        """Count `n` more."""
        self._count += n or 0
        if time.time() - self._told >= _INTERVAL:
            self._told = time.time()
            facts = {"done": self._count, "first": self._first, "total": self.total, "unit": self._unit}
            tell(state="working", stage=self._stage, **facts, started=self._started, loss=self._loss)
        return super().update(n)

    def reach(self, count: float) -> None:
        """Count up to `count`."""
        self.update(count - self._count)

    def describe(self, stage: str, loss: str) -> None:
        """Say what is done, and how well."""
        self._stage, self._loss = stage, loss
        if not self.disable:
            self.set_postfix(loss=loss, refresh=False)
            self.set_description(stage, refresh=False)


def _write(file: Path, facts: dict[str, Any]) -> None:
    if _ended(file):
        return
    temporary = file.with_name(f".{file.name}.new")
    with suppress(OSError):
        temporary.write_text(json.dumps({"at": time.time(), "pid": os.getpid(), **facts}), encoding="utf-8")
        replace(temporary, file)


def _ended(file: Path) -> bool:
    try:
        return json.loads(file.read_text(encoding="utf-8")).get("state") in ("done", "failed")
    except (OSError, ValueError):
        return False
