"""One process at a time in a folder."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from model import ChinwagError

LOCK = ".lock"
"""The file in the folder."""


class LockedError(ChinwagError):
    """Another process is at work in the folder."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder. The lock is SQLite's: it ends with this process, however that ends."""
    with closing(sqlite3.connect(folder / LOCK, timeout=0, isolation_level=None)) as lock:
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise LockedError(f"Another process is at work in {folder}: wait for it, or end it.") from error
        yield
