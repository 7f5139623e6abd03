"""One process at a time in a folder, and whether there is one."""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from model import ChinwagError

LOCK = ".lock"
"""The file in the folder."""


class LockedError(ChinwagError):
    """The folder cannot be had: another process is at work in it, or it cannot be written."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder. The lock is SQLite's: it ends with this process, however that ends."""
    path = folder / LOCK
    with ExitStack() as stack:
        try:
            lock = stack.enter_context(closing(sqlite3.connect(path, timeout=0, isolation_level=None)))
            lock.execute("PRAGMA journal_mode = MEMORY")  # nothing is written, so that a full disk can be locked too
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise LockedError(f"Another process is at work in {folder}: wait for it, or end it.") from error
            raise LockedError(f"{path} cannot be written ({error}): delete it, or choose another folder.") from error
        yield


def is_locked(folder: Path) -> bool:
    """Whether a process is at work in a folder."""
    if not (folder / LOCK).exists():
        return False
    try:
        with locked(folder):
            return False
    except LockedError:
        return True
