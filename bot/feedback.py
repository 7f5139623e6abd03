"""What members thought of replies: exchanges with 👍 and 👎, kept for the next training where a server wants that."""

import json
import sqlite3
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from model import ChinwagError
from model.database import Database, Schema
from model.dialogue import ME, Turn

FILE_NAME = "feedback.sqlite"
"""The file in the models folder."""

VOTES = {"👍": 1, "👎": -1}


class FeedbackError(ChinwagError):
    """Feedback cannot be kept or read; the message says why and what to do."""


SCHEMA = Schema(
    application=0x43684642,  # "ChFB"
    steps=(
        """
        CREATE TABLE exchange (message INTEGER PRIMARY KEY, guild INTEGER NOT NULL, at REAL NOT NULL,
                               turns TEXT NOT NULL, reply TEXT NOT NULL);
        CREATE TABLE vote (message INTEGER NOT NULL, member INTEGER NOT NULL, value INTEGER NOT NULL,
                           PRIMARY KEY (message, member)) WITHOUT ROWID
        """,
        "CREATE INDEX exchange_guild ON exchange (guild)",
    ),
    error=FeedbackError,
    holds="holds members' feedback",
)


@dataclass(frozen=True)
class Exchange:
    """A reply, and what it answered.

    Attributes:
        message: the id of the message with the reply.
        guild: where it was said.
        turns: the conversation before it, oldest first.
        reply: its text.
    """

    message: int
    guild: int
    turns: Sequence[Turn]
    reply: str


class Feedback:
    """The votes of all servers that want them kept."""

    def __init__(self, path: Path) -> None:
        """Read nothing yet; the file need not exist."""
        self.database = Database(path, SCHEMA)

    def vote(self, exchange: Exchange, member: int, value: int) -> None:
        """Keep what a member thinks of an exchange, instead of what that member thought before.

        Args:
            exchange: with the reply.
            member: the id of the account.
            value: 1 or -1; 0 takes the vote back.

        Raises:
            FeedbackError: it cannot be written.
        """
        turns = json.dumps([[turn.speaker, turn.text] for turn in exchange.turns], ensure_ascii=False)
        row = (exchange.message, exchange.guild, time.time(), turns, exchange.reply)
        with self.database.transaction(write=True) as connection:
            if value:
                connection.execute("INSERT OR IGNORE INTO exchange VALUES (?, ?, ?, ?, ?)", row)
                connection.execute("INSERT OR REPLACE INTO vote VALUES (?, ?, ?)", (exchange.message, member, value))
            else:
                connection.execute("DELETE FROM vote WHERE message = ? AND member = ?", (exchange.message, member))

    def forget(self, message: int) -> None:
        """Drop an exchange: its message is gone."""
        if self.database.path.exists():
            with self.database.transaction(write=True) as connection:
                _drop(connection, message)

    def forget_speaker(self, account: int) -> None:
        """Drop all exchanges in which somebody speaks, and that account's votes."""
        if not self.database.path.exists():
            return
        with self.database.transaction(write=True) as connection:
            for message, turns in connection.execute("SELECT message, turns FROM exchange").fetchall():
                if any(speaker == str(account) for speaker, _ in json.loads(turns)):
                    _drop(connection, message)
            connection.execute("DELETE FROM vote WHERE member = ?", (account,))

    def liked(self, guild: int, excluded: Collection[str] = ()) -> list[Exchange]:
        """The exchanges of a server with more 👍 than 👎.

        Args:
            guild: the id of the server.
            excluded: whose words must not be learned; exchanges with them are left out.
        """
        if not self.database.path.exists():
            return []
        query = """
            SELECT message, turns, reply FROM exchange JOIN vote USING (message)
            WHERE guild = ? GROUP BY message HAVING sum(value) > 0 ORDER BY message
        """
        with self.database.transaction(write=False) as connection:
            rows = connection.execute(query, (guild,)).fetchall()
        found = [
            Exchange(message, guild, [Turn(*turn) for turn in json.loads(turns)], reply)
            for message, turns, reply in rows
        ]
        return [each for each in found if not any(turn.speaker in excluded for turn in each.turns)]

    def write(self, file: Path, guild: int, excluded: Collection[str] = ()) -> int:
        """Write the liked exchanges of a server as chat logs that `chinwag-train` reads.

        Returns:
            How many.
        """
        exchanges = self.liked(guild, excluded)
        with file.open("w", encoding="utf-8") as out:
            for exchange in exchanges:
                for turn in (*exchange.turns, Turn(ME, exchange.reply)):
                    said = {"conversation": str(exchange.message), "author": turn.speaker, "content": turn.text}
                    print(json.dumps(said, ensure_ascii=False), file=out)
        return len(exchanges)


def _drop(connection: sqlite3.Connection, message: int) -> None:
    for table in ("exchange", "vote"):
        connection.execute(f"DELETE FROM {table} WHERE message = ?", (message,))
