"""What is kept beside the models, in tables, whether these are in a file here or on a server.

peewee makes the statements, so that there is one of each for SQLite and for PostgreSQL; the connections are made in
`model.sqlite_file`, as much care goes into the file there.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from model import ChinwagError


@contextmanager
def _hidden(module: str) -> Iterator[None]:
    """Keep a module that may be installed from being imported as an option of another one."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]  # as the documentation of Python has it
    try:
        yield
    finally:
        del sys.modules[module]


with _hidden("psycopg"):  # 10 MiB, which peewee takes where it can; the connections here are not peewee's
    import peewee

Row = tuple[Any, ...]
Table = peewee.Table
"""What statements are about."""
fn = peewee.fn
"""Functions of the database."""

SQLITE, POSTGRESQL = peewee.SqliteDatabase(None), peewee.PostgresqlDatabase(None)
"""How SQL is spelled."""


@dataclass(frozen=True, kw_only=True)
class Schema:
    """What a database holds.

    Attributes:
        application: a number that tells it from others, of 31 bits.
        steps: statements that all databases know: the first makes the tables of version 1, each other one brings a
            version to the next.
        error: what is raised when it cannot be used.
        holds: what the user is told of it, such as "says who opted out".
        loss: a statement for a file of which only a part could be saved.
    """

    application: int
    steps: tuple[str, ...]
    error: type[ChinwagError]
    holds: str
    loss: str | None = None

    def statements(self, version: int) -> Iterator[str]:
        """What brings a version, or 0 for nothing at all, to the last one."""
        for step in self.steps[version:]:
            yield from step.split(";")


class Transaction:
    """In which statements are run."""

    def __init__(self, execute: Callable[[str, Sequence[Any]], Any], dialect: peewee.Database) -> None:
        """Begin nothing: whoever makes it does.

        Args:
            execute: of the connection; gives a cursor.
            dialect: how SQL is spelled there.
        """
        self._execute, self._dialect = execute, dialect

    def run(self, query: peewee.BaseQuery) -> list[Row]:
        """Run a statement of peewee's.

        Returns:
            The rows of a SELECT.
        """
        statement, values = self._dialect.get_sql_context().sql(query).query()
        cursor = self._execute(statement, values)
        return cursor.fetchall() if cursor.description else []


class Database(Protocol):
    """Tables of one `Schema`, somewhere."""

    @property
    def place(self) -> str:
        """Where they are, for the user."""
        ...

    def exists(self) -> bool:
        """Whether anything has been written yet; nothing can be read before."""
        ...

    def state(self) -> tuple[int, ...] | None:
        """What changes whenever the content does; None if what is read now must not be remembered."""
        ...

    def transaction(self, *, write: bool) -> AbstractContextManager[Transaction]:
        """One transaction, durable when the block ends. Those that write come one after the other.

        On a server, each statement of one that reads sees what is there at its time.

        Args:
            write: whether something will be changed.

        Raises:
            The error of the schema: it cannot be read or written.
        """
        ...

    def inspect(self) -> None:
        """Read it, and change nothing.

        Raises:
            The error of the schema: it cannot be used.
        """
        ...

    def mend(self) -> str | None:
        """For the start of a program: see whether it is whole, and go on with what can be saved of it.

        Returns:
            What was done, in one sentence; None if nothing was wrong.

        Raises:
            The error of the schema: it cannot be used.
        """
        ...


class Server(Protocol):
    """Where the tables of all schemas can be, instead of in files."""

    def database(self, schema: Schema, *, timeout: float = 10.0) -> Database:
        """The tables of a schema.

        Args:
            schema: what they hold.
            timeout: how many seconds to wait while others write.
        """
        ...


def open_database(place: Path | Server, schema: Schema, *, timeout: float = 10.0) -> Database:
    """The tables of a schema in a file, which need not exist yet, or on a server.

    Args:
        place: of the file, or the server.
        schema: what they hold.
        timeout: how many seconds to wait while others write.
    """
    from model.sqlite_file import SqliteFile

    if isinstance(place, Path):
        return SqliteFile(place, schema, timeout=timeout)
    return place.database(schema, timeout=timeout)
