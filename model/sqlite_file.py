"""Tables in a small SQLite file that processes share: every transaction opens it anew and is on the disk when it ends.

It has a rollback journal, so that neither a kill at any moment nor several writers at once can lose anything. A file
that is damaged, cut short or of another program is an error, never taken for an empty one; `mend` goes on with what can
be saved of it. A file of an older Chinwag is brought up to date by whoever uses it first, and kept beside as it was.
"""

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from model.database import SQLITE, Schema, Transaction
from model.lock import locked

_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table'"

_LARGEST = 2**32
"""Bytes of a file that is mended where it was cut: what it says of its size may be damaged too."""

_SETTLED = 2_000_000_000
"""Nanoseconds after which a change shows in the time of a file, on every file system."""


class _DamagedError(sqlite3.DatabaseError):
    """The file is not whole."""


class _RefusedError(sqlite3.DatabaseError):
    """The file is whole, but not for this program; the message says why and what to do."""


class SqliteFile:
    """One such file, which need not exist yet; see `model.database.Database`."""

    def __init__(self, path: Path, schema: Schema, *, timeout: float = 10.0) -> None:
        """Open nothing yet.

        Args:
            path: of the file.
            schema: what it holds.
            timeout: how many seconds to wait while another process writes.
        """
        self.path = path
        self._schema, self._timeout = schema, timeout
        self._checked: tuple[int, ...] | None = None
        """The file when it was last found whole."""

    @property
    def place(self) -> str:
        """The path, for the user."""
        return str(self.path)

    def exists(self) -> bool:
        """Whether the file does."""
        return self.path.exists()

    def state(self) -> tuple[int, ...] | None:
        """What changes whenever the file does; None if what is read now must not be remembered.

        A missing file has a state too.
        """
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return ()
        # Two changes in one tick of the file system's clock look like one.
        return _identity(stat) if time.time_ns() - stat.st_mtime_ns > _SETTLED else None

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[Transaction]:
        """One transaction, durable when the block ends; SQLite's own troubles become the error of the file.

        Args:
            write: whether something will be changed. The file is made if it does not exist; to read, it has to.
        """
        with self._explained("written" if write else "read"):
            if write and not self.path.exists():
                self._create()
            with self._connected() as connection:
                self._begin(connection, write=write)
                if self._version(connection) < len(self._schema.steps):
                    connection.execute("ROLLBACK")
                    self._migrate(connection)
                    self._begin(connection, write=write)
                self._check(connection)
                yield Transaction(connection.execute, SQLITE)
                connection.execute("COMMIT")
            if write:
                self._checked = _identity(self.path.stat())

    def inspect(self) -> None:
        """Read all of the file, if there is one, and change nothing.

        Raises:
            The error of the file: it cannot be used.
        """
        if self.path.exists():
            with self._explained("read"):
                if (damage := self._damage()) is not None:
                    raise damage

    def mend(self) -> str | None:
        """See whether the file is whole; if not, keep it beside and go on with what can be read of it.

        For the start of a program: those that use the file already must not go on.

        Returns:
            What was done, in one sentence; None if nothing was wrong.

        Raises:
            The error of the file: it is locked, of another program or of a later version, or cannot be mended.
        """
        if not self.path.exists():
            return None
        with self._explained("read"):
            if self._damage() is None:
                return None
        with self._explained("mended"), locked(self.path.parent):
            damage = self._damage()
            if damage is None:  # another process was first
                return None
            draft = self._draft()
            try:
                saved = self._salvage(draft)
                kept = self._kept("damaged", lambda target: _link_or_copy(self.path, target))
                os.replace(draft, self.path)
            finally:
                draft.unlink(missing_ok=True)
        entries = "1 of its entries" if saved == 1 else f"{saved} of its entries"
        return (
            f"{self.path}, which {self._schema.holds}, was damaged ({damage}): it is kept as {kept.name}, and "
            f"{entries} could be saved; if you have a copy from before, put it back."
        )

    def _damage(self) -> Exception | None:
        """What is wrong with the file, if anything is."""
        self._checked = None
        try:
            with self._connected() as connection:
                self._begin(connection, write=False)
                self._check(connection, "integrity_check")
                for (table,) in connection.execute(_TABLES).fetchall():  # a check does not look at what is in a row
                    for _ in connection.execute(f"SELECT * FROM {table}"):
                        pass
        except (sqlite3.Error, UnicodeDecodeError) as error:
            if not _is_damage(error):
                raise
            return error
        return None

    def _salvage(self, draft: Path) -> int:
        """Copy all rows that can be read into a new file.

        Returns:
            How many.
        """
        whole = Path(f"{draft}.read")
        with closing(sqlite3.connect(draft)) as target, target:
            tables = [name for (name,) in target.execute(_TABLES)]
            try:
                _copy_padded(self.path, whole)
                with suppress(sqlite3.Error), closing(sqlite3.connect(whole)) as source:
                    source.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
                    for table in tables:
                        _copy_rows(source, target, table)
            finally:
                whole.unlink(missing_ok=True)
            saved = 0
            for table in tables:
                (rows,) = target.execute(f"SELECT count(*) FROM {table}").fetchone()
                saved += rows
            if self._schema.loss is not None:
                target.execute(self._schema.loss)
        return saved

    def _migrate(self, connection: sqlite3.Connection) -> None:
        """Bring the file to the version of this program, all at once, and keep it beside as it was."""
        self._begin(connection, write=True)
        version = self._version(connection)
        if version < len(self._schema.steps):  # no other process was first
            self._check(connection, "integrity_check")
            self._kept(f"version-{version}", self._copy)
            self._step(connection, version)
        connection.execute("COMMIT")

    def _copy(self, target: Path) -> None:
        if target.exists():
            raise FileExistsError
        with self._connected("ro") as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)

    def _kept(self, what: str, keep: Callable[[Path], None]) -> Path:
        """Keep the file beside itself, under a name that says what it is and when that was."""
        stem = f"{self.path.name}.{what}.{datetime.now(UTC):%Y%m%d-%H%M%S}"
        for number in range(1000):
            target = self.path.with_name(f"{stem}-{number}" if number else stem)
            with suppress(FileExistsError):
                keep(target)
                return target
        raise OSError("there are too many copies beside it")

    @contextmanager
    def _connected(self, mode: str = "rw") -> Iterator[sqlite3.Connection]:
        address = f"{self.path.absolute().as_uri()}?mode={mode}"
        with closing(sqlite3.connect(address, uri=True, timeout=self._timeout, isolation_level=None)) as connection:
            connection.text_factory = partial(str, encoding="utf-8")  # SQLite's own error would show the text
            connection.execute("PRAGMA synchronous = EXTRA")
            yield connection

    def _begin(self, connection: sqlite3.Connection, *, write: bool) -> None:
        connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        if application != self._schema.application:
            if not application:  # what another program has written has a number, or tables, of its own
                (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
                if not tables:
                    raise _DamagedError("it is empty")
            raise _RefusedError(
                f"{self.path} is where Chinwag has the file that {self._schema.holds}, but was not written by Chinwag: "
                "move it away, or choose another folder."
            )
        if (version := self._version(connection)) > len(self._schema.steps):
            raise _RefusedError(
                f"{self.path}, which {self._schema.holds}, was written by a later version of Chinwag (its format is "
                f"{version}, this one knows {len(self._schema.steps)}): update Chinwag, or put back a copy from before."
            )

    def _version(self, connection: sqlite3.Connection) -> int:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        return int(version or 1)  # the first version did not write it down

    def _check(self, connection: sqlite3.Connection, check: str = "quick_check") -> None:
        """See that the file is whole, unless it is as it was when that was seen last."""
        stat = self.path.stat()
        if _identity(stat) == self._checked:
            return
        (pages,), (size,) = (connection.execute(f"PRAGMA {it}").fetchone() for it in ("page_count", "page_size"))
        if stat.st_size < pages * size:  # SQLite takes what is missing for zeros
            raise _DamagedError("it is cut short")
        (verdict,) = connection.execute(f"PRAGMA {check}(1)").fetchone()
        if verdict != "ok":
            raise _DamagedError(verdict.removeprefix("*** in database main ***\n"))
        self._checked = _identity(stat)

    @contextmanager
    def _explained(self, used: str) -> Iterator[None]:
        """Turn what goes wrong into the error of the file, in one sentence.

        Args:
            used: what cannot be done with the file, such as "read".
        """
        try:
            yield
        except (sqlite3.Error, OSError, ValueError) as error:
            raise self._schema.error(self._told(error, used)) from error

    def _told(self, error: Exception, used: str) -> str:
        if isinstance(error, _RefusedError):
            return str(error)
        file = f"{self.path}, which {self._schema.holds},"
        if _is_damage(error):
            return (
                f"{file} is damaged ({error}): put back a copy, or start the bot again, which keeps the file beside "
                "and saves what can be read of it."
            )
        if getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return (
                f"{file} has been in use by another process for {self._timeout:g} seconds, and nothing has changed: "
                "try again, and end that process if it lasts."
            )
        return f"{file} cannot be {used} ({error}): see to its permissions and to the disk, or put back a copy."

    def _create(self) -> None:
        """Make the file whole under another name first: nobody ever sees it without its tables."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._draft()
        try:
            with suppress(FileExistsError):  # another process was first
                _move_if_absent(draft, self.path)
        finally:
            draft.unlink(missing_ok=True)

    def _draft(self) -> Path:
        """A new file with empty tables, under a name of its own."""
        descriptor, name = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.parent)
        os.close(descriptor)
        with closing(sqlite3.connect(name, isolation_level=None)) as connection:
            connection.execute("BEGIN")
            connection.execute(f"PRAGMA application_id = {self._schema.application}")
            self._step(connection, 0)
            connection.execute("COMMIT")
        return Path(name)

    def _step(self, connection: sqlite3.Connection, version: int) -> None:
        """Go from a version to that of this program."""
        for statement in self._schema.statements(version):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(self._schema.steps)}")


def _copy_padded(source: Path, target: Path) -> None:
    """Copy a file that may have been cut, with empty pages for those that it lacks: else SQLite reads nothing of it."""
    shutil.copyfile(source, target)
    with target.open("r+b") as file:
        header = file.read(100)
        size = int.from_bytes(header[16:18], "big")
        size = 65536 if size == 1 else size
        if size >= 512:
            there, should = file.seek(0, os.SEEK_END) // size * size, int.from_bytes(header[28:32], "big") * size
            if there < should <= _LARGEST:
                file.truncate(there)
                file.truncate(should)


def _copy_rows(source: sqlite3.Connection, target: sqlite3.Connection, table: str) -> None:
    """Copy what can be read of a table, in the order of its pages and of its key, from either end."""
    for order in ("", "ORDER BY rowid DESC", "ORDER BY 1", "ORDER BY 1 DESC"):
        with suppress(sqlite3.Error):
            rows = source.execute(f"SELECT * FROM {table} {order}")
            columns = ", ".join(name for name, *_ in rows.description)
            for row in rows:
                marks = ", ".join("?" * len(row))
                with suppress(sqlite3.Error, UnicodeEncodeError):  # a row that cannot have been there
                    target.execute(f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})", row)


def _is_damage(error: Exception) -> bool:
    if isinstance(error, _DamagedError | UnicodeDecodeError):
        return True
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest of the number says more of what
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _identity(stat: os.stat_result) -> tuple[int, ...]:
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _move_if_absent(source: Path, target: Path) -> None:
    """Give a file its name unless the name is taken; a hard link does so in one step."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if not target.exists():
            source.rename(target)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        shutil.copy2(source, target)
