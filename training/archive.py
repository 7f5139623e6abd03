"""All messages of all exports, and the turns made of them, on disk: memory stays small whatever their size."""

import itertools
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from training.exports import ExportError, Message

_FILE_NAME = "archive.sqlite"

# Nothing here outlives the run, so nothing is journalled.
_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA cache_size = -32768;
CREATE TABLE messages (
    arrival INTEGER PRIMARY KEY,
    channel TEXT NOT NULL, id TEXT NOT NULL, author TEXT NOT NULL, timestamp REAL, content TEXT NOT NULL,
    reply_to TEXT, edited REAL, is_bot INTEGER NOT NULL, is_system INTEGER NOT NULL,
    turn INTEGER,
    UNIQUE (channel, id)
);
CREATE TABLE turns (
    number INTEGER PRIMARY KEY, speaker TEXT NOT NULL, text TEXT NOT NULL, parent INTEGER, conversation TEXT NOT NULL
);
BEGIN;
"""

_COLUMNS = "channel, id, author, timestamp, content, reply_to, edited, is_bot, is_system"

# Of two exports of one message the later edit wins, then any fixed choice: the order of files must not matter.
_INSERT = f"""
INSERT INTO messages ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (channel, id) DO UPDATE SET
    author = excluded.author, timestamp = excluded.timestamp, content = excluded.content,
    reply_to = excluded.reply_to, edited = excluded.edited, is_bot = excluded.is_bot, is_system = excluded.is_system
WHERE (coalesce(excluded.edited, 0), coalesce(excluded.reply_to, ''), excluded.content)
    > (coalesce(edited, 0), coalesce(reply_to, ''), content)
"""

# Within one tick of the clock ids that are numbers tell the order; other ids, and no clock, leave the order of arrival.
_ORDER = "channel, timestamp, iif(timestamp IS NULL OR id GLOB '*[^0-9]*', arrival, length(id)), id"


@dataclass(frozen=True, slots=True)
class LinkedTurn:
    """A turn and its place among the others.

    Attributes:
        number: counts all turns; grows with time within a channel.
        speaker: the author's account id.
        text: clean text, a line for each line of each message.
        parent: the number of the turn it answers, always smaller; None if it starts something new.
        conversation: names the tree of turns that it belongs to.
    """

    number: int
    speaker: str
    text: str
    parent: int | None
    conversation: str


class Archive:
    """Messages, each kept once, by channel and in order of time; and the turns made of them.

    Used in a `with` statement it turns a failing disk into an ExportError.
    """

    def __init__(self, folder: Path) -> None:
        """Begin an empty archive in a folder that exists; a left-over one is replaced."""
        self._path = folder / _FILE_NAME
        self._path.unlink(missing_ok=True)
        self._database = sqlite3.connect(self._path, isolation_level=None)
        self._database.executescript(_SCHEMA)
        self.received = 0
        """How many messages have been added, those counted that were there already."""

    def __enter__(self) -> "Archive":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        if isinstance(error, sqlite3.OperationalError):
            raise ExportError(f"{self._path} cannot be written ({error}): make room on that disk.") from error

    def close(self) -> None:
        """Remove the archive: it holds people's words."""
        self._database.close()
        self._path.unlink(missing_ok=True)

    def add(self, messages: Iterable[Message]) -> None:
        """Take messages in; of two with the same channel and id the one edited last stays."""
        self._database.executemany(_INSERT, map(self._row, messages))

    def __len__(self) -> int:
        """The number of different messages."""
        return int(self._database.execute("SELECT count(*) FROM messages").fetchone()[0])

    def channels(self) -> Iterator[tuple[str, Iterator[Message]]]:
        """Each channel and its messages in order of time; take all of one before the next."""
        self._database.execute(f"CREATE INDEX IF NOT EXISTS in_order ON messages ({_ORDER})")
        rows = self._database.execute(f"SELECT {_COLUMNS} FROM messages ORDER BY {_ORDER}")
        for channel, group in itertools.groupby(rows, key=lambda row: str(row[0])):
            yield channel, map(_message, group)

    def add_turn(self, turn: LinkedTurn, channel: str, message_ids: Sequence[str]) -> None:
        """Keep a turn and remember which messages of the channel it is made of."""
        self._database.execute(
            "INSERT INTO turns VALUES (?, ?, ?, ?, ?)",
            (turn.number, turn.speaker, turn.text, turn.parent, turn.conversation),
        )
        for id_ in message_ids:
            self._database.execute(
                "UPDATE messages SET turn = ? WHERE channel = ? AND id = ?", (turn.number, channel, id_)
            )

    def turn(self, number: int) -> LinkedTurn:
        """A turn that was added."""
        return LinkedTurn(*self._database.execute("SELECT * FROM turns WHERE number = ?", (number,)).fetchone())

    def turn_of_message(self, channel: str, id_: str) -> LinkedTurn | None:
        """The turn that a message is part of, if it is part of one."""
        row = self._database.execute(
            "SELECT turn FROM messages WHERE channel = ? AND id = ?", (channel, id_)
        ).fetchone()
        return None if row is None or row[0] is None else self.turn(row[0])

    def _row(self, message: Message) -> tuple[str | float | None, ...]:
        self.received += 1
        return (
            message.channel,
            message.id,
            message.author,
            message.timestamp,
            message.content,
            message.reply_to,
            message.edited,
            message.is_bot,
            message.is_system,
        )


def _message(row: tuple[str, str, str, float | None, str, str | None, float | None, int, int]) -> Message:
    channel, id_, author, timestamp, content, reply_to, edited, is_bot, is_system = row
    return Message(channel, id_, author, timestamp, content, reply_to, edited, bool(is_bot), bool(is_system))
