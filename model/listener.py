"""A connection to PostgreSQL that hears what other processes change, and holds what only one process may have."""

import logging
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import psycopg

from model.shared_lock import HeldError, Lock

logger = logging.getLogger(__name__)

CHANNEL = "chinwag"
"""On which each change is told: the number of the schema that it is in."""

_PULSE = 5.0  # seconds without a word after which it is seen whether the server is still there
_REST = 1.0  # seconds between two tries to reach it
_PATIENCE, _LONG_PATIENCE = 2.0, 60.0  # seconds in which whoever was killed may let go, at the start and after a loss
_WAIT = 0.25  # seconds between two tries to have a lock

Connection = psycopg.Connection[tuple[Any, ...]]


class Listener:
    """Hears of changes in a thread of its own, from `start` to `close`.

    Attributes:
        generation: changes with each new connection; None while there is none: then much may be missed.
    """

    def __init__(
        self, connect: Callable[[], Connection], locks: Sequence[Lock], on_loss: Callable[[str], None]
    ) -> None:
        """Connect to nothing yet; arguments as for `PostgresServer.listen`."""
        self.generation: int | None = None
        self._connect, self._locks, self._on_loss = connect, locks, on_loss
        self._generations, self._changes = 0, Counter[int]()
        self._connection: Connection | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        """Connect, take the locks and listen.

        Raises:
            HeldError: another process has a lock.
            psycopg.Error: the server cannot be reached.
        """
        self._connection = self._open(_PATIENCE)
        self._thread.start()

    def close(self) -> None:
        """Let go of the locks, and listen no more."""
        self._closing.set()
        connection = self._connection
        if connection is not None:
            with suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as end:
                end.shutdown(socket.SHUT_RDWR)  # which wakes the thread
        self._thread.join(_REST)

    def state(self, application: int) -> tuple[int, ...] | None:
        """What changes with each change of a schema; None while nothing is heard."""
        generation = self.generation
        return None if generation is None else (generation, self._changes[application])

    def changed(self, application: int) -> None:
        """Something has been changed in a schema."""
        self._changes[application] += 1

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                if self._connection is None:
                    self._connection = self._open(_LONG_PATIENCE)
                    logger.warning("The database is there again.")
                self._hear(self._connection)
            except HeldError as error:
                self.generation = None
                if not self._closing.is_set():
                    self._on_loss(str(error))
                return
            except psycopg.Error as error:
                if self.generation is not None and not self._closing.is_set():
                    logger.error("The connection to the database is lost (%s).", type(error).__name__)
            finally:
                self.generation = None
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            self._closing.wait(_REST)

    def _open(self, patience: float) -> Connection:
        """Connect and take the locks; what was remembered from before counts no more."""
        connection = self._connect()
        try:
            self._take(connection, patience)
            connection.execute(f"LISTEN {CHANNEL}")
        except BaseException:
            connection.close()
            raise
        self._generations += 1
        self.generation = self._generations
        return connection

    def _hear(self, connection: Connection) -> None:
        while not self._closing.is_set():
            for notice in connection.notifies(timeout=_PULSE):
                if notice.payload.isdigit():
                    self.changed(int(notice.payload))
            connection.execute("SELECT 1")

    def _take(self, connection: Connection, patience: float) -> None:
        end = time.monotonic() + patience
        for lock in self._locks:
            while not _taken(connection, lock):
                if time.monotonic() > end or self._closing.wait(_WAIT):
                    raise HeldError(lock.held)


def _taken(connection: Connection, lock: Lock) -> bool:
    kind = "_shared" if lock.shared else ""
    row = connection.execute(f"SELECT pg_try_advisory_lock{kind}(%s, %s)".encode(), (lock.kind, lock.number)).fetchone()
    if row is None or not row[0]:
        return False
    if not lock.shared:
        return True
    others = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database"
    others += " WHERE datname = current_database()) AND classid = %s AND objid <> %s AND granted"
    found = connection.execute(others.encode(), (lock.kind, lock.number)).fetchone()
    if found is not None and not found[0]:
        return True
    connection.execute(b"SELECT pg_advisory_unlock_shared(%s, %s)", (lock.kind, lock.number))
    return False
