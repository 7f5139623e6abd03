"""All messages that were read, on disk: what a next run need not read again, in order however they came.

An SQLite file holds the messages of every reading (an export, or a part of a big one) that was finished; a process that
is killed loses the reading it was at. Only what has passed the filters is ever written here.
"""

import contextlib
import sqlite3
import urllib.parse
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from training.exports import ExportError

FILE_NAME = "messages.sqlite"

_VERSION = 1
"""Of the tables: an archive with another one is begun anew."""

_SCHEMA = f"""
PRAGMA user_version = {_VERSION};
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA cache_size = -8192;
PRAGMA journal_size_limit = 67108864;
PRAGMA secure_delete = ON;
CREATE TABLE IF NOT EXISTS readings (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, summary TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS messages (
    channel TEXT NOT NULL, time REAL NOT NULL, place INTEGER NOT NULL, id TEXT NOT NULL,
    author TEXT NOT NULL, text TEXT NOT NULL, reply_to TEXT, edited REAL, mentions TEXT NOT NULL, signature BLOB,
    reading INTEGER NOT NULL,
    PRIMARY KEY (channel, time, place, id, reading)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS speakers (
    digest BLOB NOT NULL, reading INTEGER NOT NULL, PRIMARY KEY (digest, reading)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS duplicates (
    channel TEXT NOT NULL, time REAL NOT NULL, place INTEGER NOT NULL, id TEXT NOT NULL, reading INTEGER NOT NULL,
    PRIMARY KEY (channel, time, place, id, reading)
) WITHOUT ROWID;
"""
# Built after the messages are in, which is faster than keeping them up to date.
_INDEXES = """
CREATE INDEX IF NOT EXISTS by_id ON messages (channel, id);
CREATE INDEX IF NOT EXISTS by_target ON messages (channel, reply_to) WHERE reply_to IS NOT NULL;
"""

# Of several copies of a message the one edited last stays, then any fixed choice: the order of files must not matter.
_INSERT = """
INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (channel, time, place, id, reading) DO UPDATE SET
    author = excluded.author, text = excluded.text, reply_to = excluded.reply_to, edited = excluded.edited,
    mentions = excluded.mentions, signature = excluded.signature
WHERE (coalesce(edited, 0), coalesce(reply_to, ''), text, author, mentions) < (
    coalesce(excluded.edited, 0), coalesce(excluded.reply_to, ''), excluded.text, excluded.author, excluded.mentions
)
"""
_FIND_DUPLICATES = """
INSERT INTO duplicates SELECT channel, time, place, id, reading FROM (
    SELECT channel, time, place, id, reading, row_number() OVER (
        PARTITION BY channel, id
        ORDER BY coalesce(edited, 0) DESC, coalesce(reply_to, '') DESC, text DESC, author DESC, mentions DESC,
            time, place, reading
    ) AS rank FROM messages INDEXED BY by_id
    WHERE (channel, id) IN (SELECT channel, id FROM messages GROUP BY channel, id HAVING count(*) > 1)
) WHERE rank > 1
"""
_READINGS_OF = "SELECT key FROM speakers JOIN readings ON reading = number WHERE digest = ?"
_NTH_PLACE = """
SELECT channel, time, place, id FROM messages WHERE (channel, time, place, id) > (?, ?, ?, ?)
ORDER BY channel, time, place, id LIMIT 1 OFFSET ?
"""
_COLUMNS = """
channel, time, place, id, author, text, reply_to, mentions, signature,
EXISTS (
    SELECT 1 FROM messages AS reply
    WHERE reply.channel = messages.channel AND reply.reply_to = messages.id
)
"""
_MESSAGES = f"""
SELECT {_COLUMNS} FROM messages
WHERE (channel, time, place, id) >= (?, ?, ?, ?) AND (channel, time, place, id) < (?, ?, ?, ?) {{unless}}
ORDER BY channel, time, place, id
"""
_BEFORE = f"""
SELECT {_COLUMNS} FROM messages WHERE channel = ? AND (time, place, id) < (?, ?, ?) {{unless}}
ORDER BY time DESC, place DESC, id DESC LIMIT ?
"""
_UNLESS_DUPLICATE = """AND NOT EXISTS (
    SELECT 1 FROM duplicates AS copy WHERE copy.channel = messages.channel AND copy.time = messages.time
    AND copy.place = messages.place AND copy.id = messages.id AND copy.reading = messages.reading
)"""

NO_CLOCK = -1.0
"""The time of a message whose format has none."""


class Place(NamedTuple):
    """Where a message stands in the order of all: by channel, then time, then place within a tick of the clock."""

    channel: str
    time: float
    place: int
    id: str


BEGINNING = Place("", NO_CLOCK, 0, "")
END = Place("\U0010ffff", NO_CLOCK, 0, "")  # no channel comes behind the last character


class ArchivedMessage(NamedTuple):
    """A message that passed the filters.

    Attributes:
        channel: an opaque id.
        time: seconds since the epoch, `NO_CLOCK` if unknown.
        place: decides the order within one tick of the clock.
        id: names the message within its channel.
        author: an opaque account id.
        text: clean.
        reply_to: the id of the message it answers, `GONE`, or None.
        mentions: account ids of those it speaks to.
        signature: of a long message, to find near copies (see `training.cleanliness`).
        is_target: another message says that it answers this one.
    """

    channel: str
    time: float
    place: int
    id: str
    author: str
    text: str
    reply_to: str | None
    mentions: tuple[str, ...]
    signature: bytes | None
    is_target: bool

    @property
    def position(self) -> Place:
        """Where it stands in the order of all."""
        return Place(self.channel, self.time, self.place, self.id)

    @property
    def timestamp(self) -> float | None:
        """The time, None if unknown."""
        return None if self.time == NO_CLOCK else self.time


class ReadMessage(NamedTuple):
    """A message on its way into the archive: the columns of `messages` but the reading."""

    channel: str
    time: float
    place: int
    id: str
    author: str
    text: str
    reply_to: str | None
    edited: float | None
    mentions: str
    signature: bytes | None


class Archive:
    """The messages of all readings. In a `with` statement it turns a failing disk into an ExportError."""

    def __init__(self, folder: Path, *, settled: bool = False) -> None:
        """Open the archive of a folder that exists; one that is damaged, or of another version, is begun anew.

        Args:
            folder: where it lies.
            settled: only to be read, after `settle`: then from other machines too, by a folder that they share.
        """
        self.path = folder / FILE_NAME
        if settled:
            uri = f"file:{urllib.parse.quote(self.path.as_posix())}?immutable=1"
            self._database = sqlite3.connect(uri, uri=True, isolation_level=None)
            return
        try:
            self._connect()
        except sqlite3.OperationalError as error:
            raise self._failure(error) from error
        except sqlite3.DatabaseError:
            self.delete()
            self._connect()

    def __enter__(self) -> "Archive":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        if isinstance(error, sqlite3.DatabaseError):
            raise self._failure(error) from error

    def __len__(self) -> int:
        """The number of different messages; known after `settle`."""
        return self._count("messages") - self._count("duplicates")

    def close(self) -> None:
        """Leave it on the disk."""
        self._database.close()

    def delete(self) -> None:
        """Remove the archive from the disk."""
        self.close()
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def summaries(self) -> dict[str, str]:
        """What was noted of each reading, by its key."""
        return dict(self._database.execute("SELECT key, summary FROM readings ORDER BY key"))

    def keep_only(self, keys: Collection[str]) -> None:
        """Forget all other readings: an export that is no longer given is no longer learned from."""
        rows = self._database.execute("SELECT number, key FROM readings").fetchall()
        gone = [(number,) for number, key in rows if key not in keys]
        if gone:
            with self._transaction():
                self._database.executemany("DELETE FROM readings WHERE number = ?", gone)
                for table in ("messages", "speakers"):
                    self._database.execute(f"DELETE FROM {table} WHERE reading NOT IN (SELECT number FROM readings)")

    def add_reading(self, key: str, summary: str, messages: Iterable[ReadMessage], speakers: Iterable[bytes]) -> None:
        """Take in a finished reading: all of it or, if this process dies, nothing.

        Args:
            key: names it.
            summary: what is to be noted of it.
            messages: those to keep.
            speakers: digests of the names of those who wrote them.
        """
        with self._transaction():
            number = self._database.execute(
                "INSERT INTO readings (key, summary) VALUES (?, ?)", (key, summary)
            ).lastrowid
            self._database.executemany(_INSERT, ((*message, number) for message in messages))
            self._database.executemany("INSERT INTO speakers VALUES (?, ?)", ((digest, number) for digest in speakers))

    def readings_of(self, speakers: Iterable[bytes]) -> set[str]:
        """The keys of the readings with messages of some people, who are known by the digests of their names."""
        return {key for digest in speakers for (key,) in self._database.execute(_READINGS_OF, (digest,))}

    def settle(self) -> None:
        """After the last reading: find the copies of messages that came several times, and put all in one file."""
        self._database.executescript(_INDEXES)
        with self._transaction():
            self._database.execute("DELETE FROM duplicates")
            self._database.execute(_FIND_DUPLICATES)
        self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def pieces(self, size: int) -> Iterator[tuple[Place, Place]]:
        """Divide the messages into pieces of a size: where each begins, and where the next one does."""
        begin = BEGINNING
        while begin < END:
            row = self._database.execute(_NTH_PLACE, (*begin, size)).fetchone()
            end = Place(*row) if row else END
            yield begin, end
            begin = end

    def messages(self, begin: Place = BEGINNING, end: Place = END) -> Iterator[ArchivedMessage]:
        """Yield each message once, in order, from one place on and before another."""
        unless = _UNLESS_DUPLICATE if self._count("duplicates") else ""
        for row in self._database.execute(_MESSAGES.format(unless=unless), (*begin, *end)):
            yield _message(row)

    def before(self, place: Place, count: int) -> list[ArchivedMessage]:
        """The last messages of the same channel before a place, in order."""
        rows = self._database.execute(_BEFORE.format(unless=_UNLESS_DUPLICATE), (*place, count))
        return [_message(row) for row in rows][::-1]

    def _failure(self, error: sqlite3.DatabaseError) -> ExportError:
        if isinstance(error, sqlite3.OperationalError):
            return ExportError(f"{self.path} cannot be written ({error}): make room on that disk.")
        return ExportError(f"{self.path} is damaged ({error}): delete it and run again.")

    def _connect(self) -> None:
        self._database = sqlite3.connect(self.path, isolation_level=None)
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        (tables,) = self._database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and version != _VERSION:
            raise sqlite3.DatabaseError("it is another version's")
        self._database.executescript(_SCHEMA)

    def _count(self, table: str) -> int:
        return int(self._database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled back by itself
                self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")


def _message(row: tuple[Any, ...]) -> ArchivedMessage:
    channel, time, place, id_, author, text, reply_to, mentions, signature, is_target = row
    spoken_to = tuple(mentions.split("\n")) if mentions else ()
    return ArchivedMessage(channel, time, place, id_, author, text, reply_to, spoken_to, signature, bool(is_target))
