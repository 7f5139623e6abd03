"""Who may not be learned from: who opted out, and who asked to be forgotten.

The bot and the command line write it, training obeys it. It is one small SQLite file in the models folder with a
rollback journal: a request is on the disk when the call returns, and neither a kill at any moment nor several processes
at once can lose one. A missing file means that nobody asked; a file that cannot be read is an error, never "nobody".
"""

import os
import sqlite3
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from model import ChinwagError

FILE_NAME = "consent.sqlite"
"""The file in the models folder."""

OPTED_OUT, FORGOTTEN = "opted out", "forgotten"

_APPLICATION_ID = 0x4368574E  # "ChWN": tells the file from any other SQLite database
_SCHEMA = f"""
    CREATE TABLE request (id TEXT PRIMARY KEY, kind TEXT NOT NULL, at TEXT NOT NULL) WITHOUT ROWID;
    PRAGMA application_id = {_APPLICATION_ID};
"""


class ConsentError(ChinwagError):
    """It cannot be told, or recorded, who may be learned from; the message says why and what to do."""


def consent_key(account: str) -> str:
    """How an account is named in the file: ids and names differ neither by case nor by spaces around them."""
    return unicodedata.normalize("NFKC", account).strip().casefold()


class Consent:
    """The requests of one models folder. Every call opens the file anew, so that threads and processes can share it."""

    def __init__(self, path: Path, *, timeout: float = 10.0) -> None:
        self._path = path
        self._timeout = timeout

    @classmethod
    def open(cls, path: Path, *, timeout: float = 10.0) -> "Consent":
        """Open the file, which need not exist yet.

        Args:
            path: the file itself.
            timeout: how many seconds to wait while another process writes.

        Raises:
            ConsentError: it cannot be read.
        """
        consent = cls(path, timeout=timeout)
        consent.excluded()
        return consent

    def opt_out(self, account: str) -> None:
        """Learn nothing of this account from now on; one that is forgotten stays so."""
        self._record(account, OPTED_OUT, "ON CONFLICT DO NOTHING")

    def forget(self, account: str) -> None:
        """Learn nothing of this account, and note that models trained before should be replaced."""
        self._record(account, FORGOTTEN, "ON CONFLICT DO UPDATE SET kind = excluded.kind, at = excluded.at")

    def opt_in(self, account: str) -> None:
        """Take back what the account asked for, whichever it was."""
        with self._connect(write=True) as connection:
            connection.execute("DELETE FROM request WHERE id = ?", (self._key(account),))

    def excluded(self) -> frozenset[str]:
        """The keys (`consent_key`) of all who may not be learned from."""
        return frozenset(self._requests(OPTED_OUT, FORGOTTEN))

    def forgotten(self) -> dict[str, datetime]:
        """The keys of those who asked to be forgotten, and when: a model trained before may still know them."""
        return self._requests(FORGOTTEN)

    def _requests(self, *kinds: str) -> dict[str, datetime]:
        if not self._path.exists():
            return {}
        with self._connect(write=False) as connection:
            rows = connection.execute("SELECT id, kind, at FROM request").fetchall()
            return {key: datetime.fromisoformat(at) for key, kind, at in rows if kind in kinds}

    def _record(self, account: str, kind: str, on_conflict: str) -> None:
        row = (self._key(account), kind, datetime.now(UTC).isoformat(timespec="seconds"))
        with self._connect(write=True) as connection:
            connection.execute(f"INSERT INTO request VALUES (?, ?, ?) {on_conflict}", row)

    def _key(self, account: str) -> str:
        key = consent_key(account)
        if not key:
            raise ConsentError(
                "An account is named by its id or, where there are no ids, by its name; this one is empty."
            )
        return key

    @contextmanager
    def _connect(self, *, write: bool) -> Iterator[sqlite3.Connection]:
        """One transaction, durable when the block ends; SQLite's own troubles become a `ConsentError`."""
        try:
            if write and not self._path.exists():
                self._create()
            address = f"{self._path.absolute().as_uri()}?mode=rw"
            with closing(sqlite3.connect(address, uri=True, timeout=self._timeout, isolation_level=None)) as connection:
                connection.execute("PRAGMA synchronous = EXTRA")
                connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
                self._check(connection)
                yield connection
                connection.execute("COMMIT")
        except (sqlite3.Error, OSError, ValueError) as error:
            raise ConsentError(
                f"{self._path} says who opted out, and cannot be {'written' if write else 'read'} ({error}): close "
                "what else uses it, see to its permissions, or put back a copy; nobody's messages are used until then."
            ) from error

    def _check(self, connection: sqlite3.Connection) -> None:
        """A file that is empty, foreign or damaged must not pass for one in which nobody asked for anything."""
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        if application != _APPLICATION_ID:
            raise sqlite3.DatabaseError("it was not written by Chinwag")
        (pages,), (size,) = (connection.execute(f"PRAGMA {it}").fetchone() for it in ("page_count", "page_size"))
        if self._path.stat().st_size < pages * size:  # SQLite takes what is missing for zeros
            raise sqlite3.DatabaseError("it is cut short")
        (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)

    def _create(self) -> None:
        """Make the file whole under another name first: nobody ever sees it without its table."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{self._path.name}.", dir=self._path.parent)
        os.close(descriptor)
        draft = Path(name)
        try:
            with closing(sqlite3.connect(draft)) as connection:
                connection.executescript(_SCHEMA)
            with suppress(FileExistsError):  # another process was first
                _move_if_absent(draft, self._path)
        finally:
            draft.unlink(missing_ok=True)


def _move_if_absent(source: Path, target: Path) -> None:
    """Give a file its name unless the name is taken; a hard link does so in one step."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if not target.exists():
            source.rename(target)
