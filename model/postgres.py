"""Tables on a PostgreSQL server that several processes share: what one of them changes, the others hear of at once.

All tables are in the namespace `chinwag` of the database. A process has one connection for statements, which is made
anew when it was lost, and another one that listens (`model.listener`) if something is to be remembered.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Self

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from model import ChinwagError
from model.database import POSTGRESQL, Schema, Transaction
from model.environment import DATABASE_URL, ConfigError, passwords
from model.listener import CHANNEL, Listener
from model.shared_lock import Lock

_NAMESPACE = "chinwag"
_VERSIONS = f"{_NAMESPACE}.version"
_MAKING = (0x43684D6B, 0)  # "ChMk": the lock of who makes tables
_SETTINGS = {
    "search_path": _NAMESPACE,
    "statement_timeout": "60s",
    "idle_in_transaction_session_timeout": "60s",
    # Whoever vanishes without a word, a host without power for one, must not keep its locks.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
_CONNECTING = {
    "connect_timeout": 3,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": "chinwag",
}
_HEARING = 5.0  # seconds in which one's own notice must come
_REST = 1.0  # seconds in which nobody tries again to reach a server that was not to be reached

Connection = psycopg.Connection[tuple[Any, ...]]


class ServerError(ChinwagError):
    """The database server cannot be used; the message says why and what to do."""


class _RefusedError(Exception):
    """The tables are not for this program; the message says why and what to do."""


class _BusyError(Exception):
    """Others write for too long."""


class PostgresServer:
    """The database of a bot."""

    def __init__(self, url: str) -> None:
        """Ask it for nothing yet.

        Raises:
            ConfigError: PostgreSQL knows no such address.
        """
        try:
            known = conninfo_to_dict(url)
        except psycopg.Error as error:
            raise ConfigError(f"{DATABASE_URL} is no address that PostgreSQL knows: see to its spelling.") from error
        self._url, self._hidden = url, passwords(url)
        options = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
        self._options = {**_CONNECTING, "options": f"{known.get('options', '')} {options}".strip()}
        self.place = f"PostgreSQL's database {known.get('dbname')} on {known.get('host') or 'this machine'}"
        self._turn = threading.Lock()
        self._connection: Connection | None = None
        self._up_to_date: set[int] = set()
        self._failed: tuple[float, str] | None = None
        self._listener: Listener | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def database(self, schema: Schema, *, timeout: float = 10.0) -> "PostgresTables":
        """The tables of a schema, see `model.database.Server`."""
        return PostgresTables(self, schema, timeout)

    def listen(self, locks: Sequence[Lock] = (), *, on_loss: Callable[[str], None] = lambda why: None) -> None:
        """Hear of changes from now on, so that what is read may be remembered.

        Args:
            locks: to be held as long as this process listens; another process may not have them.
            on_loss: told, from another thread, why a lock is lost for good.

        Raises:
            ServerError: the server cannot be reached.
            HeldError: another process has a lock.
        """
        listener = Listener(self.connect, locks, on_loss)
        with self.explained(ServerError, f"is set as {DATABASE_URL}", "used"):
            listener.start()
        self._listener = listener

    @property
    def is_deaf(self) -> bool:
        """Whether it should hear of changes, and does not."""
        return self._listener is not None and self._listener.generation is None

    def state(self, application: int) -> tuple[int, ...] | None:
        """What changes whenever the tables of a schema do; None while nothing is heard of it."""
        return None if self._listener is None else self._listener.state(application)

    def close(self) -> None:
        """Hear of nothing any more."""
        if self._listener is not None:
            self._listener.close()
        with self._turn:
            self._drop()

    def apart(self) -> "PostgresServer":
        """The same with a connection of its own, for what takes a while."""
        return PostgresServer(self._url)

    @contextmanager
    def alone(self, kind: int, on_wait: Callable[[], object]) -> Iterator[None]:
        """Be the only process that does something, when others that do it have come to their end.

        Args:
            kind: of what is done; a number of 31 bits.
            on_wait: called if others have to be waited for.

        Raises:
            ServerError: the server cannot be reached.
        """
        connection = self._alone(kind, on_wait)
        try:
            yield
        finally:
            connection.close()

    def take_turns(self, kind: int, seconds: float) -> None:
        """Wait until no process has done something for a while.

        Args:
            kind: of what is to be done now; a number of 31 bits.
            seconds: how long others have to wait from now on.

        Raises:
            ServerError: the server cannot be reached.
        """
        timer = threading.Timer(seconds, self._alone(kind, lambda: None).close)
        timer.daemon = True
        timer.start()

    def _alone(self, kind: int, on_wait: Callable[[], object]) -> Connection:
        """A connection with a lock, whose end, however it comes, lets others begin."""
        with self.explained(ServerError, f"is set as {DATABASE_URL}", "used"):
            connection = self.connect()
            if not _first(connection, "SELECT pg_try_advisory_lock(%s, 0)", kind):
                on_wait()
                connection.execute("SET statement_timeout = 0")
                connection.execute("SELECT pg_advisory_lock(%s, 0)", (kind,))
        return connection

    def connect(self) -> Connection:
        """A new connection, which commits each statement that is in no transaction."""
        return psycopg.connect(self._url, autocommit=True, **self._options)  # type: ignore[arg-type]

    def version(self, schema: Schema, timeout: float = 10.0) -> int:
        """Of the tables of a schema there; 0 if there are none yet. Changes nothing.

        Raises:
            The error of the schema: it cannot be reached, or is of a later version.
        """
        if schema.application in self._up_to_date:
            return len(schema.steps)
        with self.explained(schema.error, schema.holds, "read", timeout), self._taken(timeout):
            version: int = self._anew(lambda connection: self._version(connection, schema))
            return version

    def check(self) -> str:
        """See that it can be used as several processes need it, without changing anything.

        Returns:
            What it is, in a sentence.

        Raises:
            ServerError: it cannot.
        """
        with self.explained(ServerError, f"is set as {DATABASE_URL}", "used"), self.connect() as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            connection.execute("SELECT pg_notify(%s, '')", (CHANNEL,))
            if not any(connection.notifies(timeout=_HEARING, stop_after=1)):
                raise _RefusedError(
                    f"{self.place} does not tell what is changed (LISTEN): reach PostgreSQL itself, not through a pool "
                    "that lends connections for a transaction."
                )
            version = connection.info.server_version
        return f"{self.place} can be reached and tells of changes; it is of version {version // 10000}."

    @contextmanager
    def transaction(self, schema: Schema, timeout: float, *, write: bool) -> Iterator[Transaction]:
        """See `model.database.Database`."""
        with (
            self.explained(schema.error, schema.holds, "written" if write else "read", timeout),
            self._taken(timeout),
        ):
            if not write:  # PostgreSQL looks at each statement on its own, and who only looks may look twice
                self._anew(lambda connection: self._bring_up_to_date(connection, schema))
                yield Transaction(self._look, POSTGRESQL)
                return
            connection = self._begun(schema)
            try:
                connection.execute("SELECT set_config('lock_timeout', %s, true)", (f"{round(1000 * timeout)}ms",))
                connection.execute("SELECT pg_advisory_xact_lock(%s, 0)", (schema.application,))
                yield Transaction(connection.execute, POSTGRESQL)
                connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, str(schema.application)))
                connection.execute("COMMIT")
            except BaseException:
                with suppress(psycopg.Error):
                    connection.execute("ROLLBACK")
                raise
        if self._listener is not None:
            self._listener.changed(schema.application)  # it hears of its own changes too, but later

    @contextmanager
    def explained(self, error: type[ChinwagError], holds: str, used: str, timeout: float = 10.0) -> Iterator[None]:
        """Turn PostgreSQL's troubles into one sentence.

        Args:
            error: what is raised instead.
            holds: what the user is told of the tables.
            used: what cannot be done with them, such as "read".
            timeout: how many seconds others were waited for.
        """
        try:
            yield
        except (psycopg.Error, _RefusedError, _BusyError) as trouble:
            raise error(self._told(trouble, f"{self.place}, which {holds},", used, timeout)) from trouble

    def _told(self, trouble: Exception, database: str, used: str, timeout: float) -> str:
        match trouble:
            case _RefusedError():
                return str(trouble)
            case _BusyError() | errors.LockNotAvailable() | errors.QueryCanceled():
                return (
                    f"{database} has been in use by others for {timeout:g} seconds, and nothing has changed: try again."
                )
            case errors.InsufficientPrivilege():
                return f"{database} may not be {used} by this user ({self._line(trouble)}): give it the rights there."
            case psycopg.OperationalError() | psycopg.InterfaceError():
                return (
                    f"{database} cannot be reached ({self._line(trouble)}): see to it that PostgreSQL runs, and that "
                    f"{DATABASE_URL} is right."
                )
        return f"{database} cannot be {used} ({self._line(trouble)}): see to the database, or put back a copy."

    def _line(self, trouble: Exception) -> str:
        """What PostgreSQL says, without the values of a row that it may quote after it."""
        primary = trouble.diag.message_primary if isinstance(trouble, psycopg.Error) else None
        line = next(iter((primary or str(trouble)).strip().splitlines()), type(trouble).__name__)
        for password in self._hidden:
            line = line.replace(password, "<password>")
        return line

    @contextmanager
    def _taken(self, timeout: float) -> Iterator[None]:
        """The connection, for one thread at a time."""
        if not self._turn.acquire(timeout=timeout):
            raise _BusyError
        try:
            yield
        finally:
            self._turn.release()

    def _begun(self, schema: Schema) -> Connection:
        """The connection in a transaction, with the tables of a schema."""
        self._anew(lambda connection: connection.execute("BEGIN"))
        connection = self._connected()
        if schema.application not in self._up_to_date:
            connection.execute("ROLLBACK")
            self._bring_up_to_date(connection, schema)
            connection.execute("BEGIN")
        return connection

    def _look(self, statement: str, values: Sequence[Any]) -> Any:
        return self._anew(lambda connection: connection.execute(statement.encode(), values))

    def _anew(self, use: Callable[[Connection], Any]) -> Any:
        """Do what may be done twice, on a new connection if the one that there is was lost since it was used last."""
        connection = self._connected()
        try:
            return use(connection)
        except psycopg.OperationalError:
            if not connection.closed:
                raise
            self._drop()
            return use(self._connected())

    def _connected(self) -> Connection:
        if self._connection is not None and self._connection.closed:
            self._drop()
        if self._connection is None:
            if self._failed is not None and time.monotonic() < self._failed[0]:
                # A host that does not answer would keep everybody waiting, one after the other.
                raise psycopg.OperationalError(self._failed[1])
            try:
                self._connection = self.connect()
            except psycopg.Error as error:
                self._failed = time.monotonic() + _REST, str(error)
                raise
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection, self._up_to_date = None, set()  # the database may be another one

    def _version(self, connection: Connection, schema: Schema) -> int:
        if _first(connection, "SELECT to_regclass(%s) IS NULL", _VERSIONS):
            return 0
        version = _first(connection, f"SELECT max(version) FROM {_VERSIONS} WHERE application = %s", schema.application)
        if (version or 0) > len(schema.steps):
            raise _RefusedError(
                f"{self.place}, which {schema.holds}, was written by a later version of Chinwag (its format is "
                f"{version}, this one knows {len(schema.steps)}): update Chinwag here."
            )
        return version or 0

    def _bring_up_to_date(self, connection: Connection, schema: Schema) -> None:
        """Make the tables, or bring them to the version of this program, whoever else is about to."""
        if schema.application in self._up_to_date:
            return
        if self._version(connection, schema) < len(schema.steps):
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", _MAKING)
                if _first(connection, "SELECT to_regnamespace(%s) IS NULL", _NAMESPACE):
                    connection.execute(f"CREATE SCHEMA {_NAMESPACE}")
                connection.execute(
                    f"CREATE TABLE IF NOT EXISTS {_VERSIONS} (application BIGINT PRIMARY KEY, version INTEGER NOT NULL)"
                )
                version = self._version(connection, schema)
                for statement in schema.statements(version):
                    connection.execute(statement.encode())
                connection.execute(f"DELETE FROM {_VERSIONS} WHERE application = %s", (schema.application,))
                row = (schema.application, len(schema.steps))
                connection.execute(f"INSERT INTO {_VERSIONS} VALUES (%s, %s)", row)
        self._up_to_date.add(schema.application)


class PostgresTables:
    """The tables of one schema; see `model.database.Database`."""

    def __init__(self, server: PostgresServer, schema: Schema, timeout: float) -> None:
        self._server, self._schema, self._timeout = server, schema, timeout

    @property
    def place(self) -> str:
        """Where the tables are, for the user."""
        return self._server.place

    def exists(self) -> bool:
        """Whether there are any yet."""
        return self._server.version(self._schema) > 0

    def state(self) -> tuple[int, ...] | None:
        """What changes whenever they do."""
        return self._server.state(self._schema.application)

    def transaction(self, *, write: bool) -> Any:
        """One transaction."""
        return self._server.transaction(self._schema, self._timeout, write=write)

    def inspect(self) -> None:
        """See that they can be read."""
        self._server.version(self._schema)

    def mend(self) -> None:
        """See that they can be read: the server itself sees to the rest."""
        self.inspect()


def _first(connection: Connection, statement: str, value: object) -> Any:
    row = connection.execute(statement.encode(), (value,)).fetchone()
    assert row is not None
    return row[0]
