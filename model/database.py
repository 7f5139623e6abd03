"""A small SQLite file that several processes share: every transaction opens it anew and is on the disk when it ends.

It has a rollback journal, so that neither a kill at any moment nor several writers at once can lose anything. A file
that is damaged, cut short or of another program is an error, never taken for an empty one.
"""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from model import ChinwagError


class Database:
    """One such file, which need not exist yet."""

    def __init__(
        self, path: Path, *, application: int, schema: str, error: type[ChinwagError], holds: str, timeout: float = 10.0
    ) -> None:
        """Open nothing yet.

        Args:
            path: of the file.
            application: a number that tells the file from other programs' databases.
            schema: the statements that make its tables.
            error: what is raised when the file cannot be used.
            holds: what the user is told of it, such as "says who opted out".
            timeout: how many seconds to wait while another process writes.
        """
        self.path = path
        self._application, self._schema, self._timeout = application, schema, timeout
        self._error, self._holds = error, holds

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[sqlite3.Connection]:
        """One transaction, durable when the block ends; SQLite's own troubles become the error of the file.

        Args:
            write: whether something will be changed. The file is made if it does not exist; to read, it has to.
        """
        try:
            if write and not self.path.exists():
                self._create()
            address = f"{self.path.absolute().as_uri()}?mode=rw"
            with closing(sqlite3.connect(address, uri=True, timeout=self._timeout, isolation_level=None)) as connection:
                connection.execute("PRAGMA synchronous = EXTRA")
                connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
                self._check(connection)
                yield connection
                connection.execute("COMMIT")
        except (sqlite3.Error, OSError, ValueError) as error:
            raise self._error(
                f"{self.path} {self._holds}, and cannot be {'written' if write else 'read'} ({error}): close what else "
                "uses it, see to its permissions, or put back a copy."
            ) from error

    def _check(self, connection: sqlite3.Connection) -> None:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        if application != self._application:
            raise sqlite3.DatabaseError("it was not written by Chinwag")
        (pages,), (size,) = (connection.execute(f"PRAGMA {it}").fetchone() for it in ("page_count", "page_size"))
        if self.path.stat().st_size < pages * size:  # SQLite takes what is missing for zeros
            raise sqlite3.DatabaseError("it is cut short")
        (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)

    def _create(self) -> None:
        """Make the file whole under another name first: nobody ever sees it without its tables."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.parent)
        os.close(descriptor)
        draft = Path(name)
        try:
            with closing(sqlite3.connect(draft)) as connection:
                connection.executescript(f"{self._schema}; PRAGMA application_id = {self._application};")
            with suppress(FileExistsError):  # another process was first
                _move_if_absent(draft, self.path)
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
