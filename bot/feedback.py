"""What members thought of replies: exchanges with 👍 and 👎, kept for the next training where a server wants that.

Whoever speaks in an exchange has no say in whether it is good, and nobody's 👍 counts for more than `MAX_LIKES`
exchanges: it takes two people to teach something, and many to teach much.
"""

import json
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from model import ChinwagError
from model.blocklist import Blocklist
from model.database import Schema, Server, Table, Transaction, open_database
from model.dialogue import ME, Turn

FILE_NAME = "feedback.sqlite"
"""The file in the models folder."""

VOTES = {"👍": 1, "👎": -1}

MAX_LIKES = 100
"""Exchanges of a server that a member's 👍 counts for: the newest ones."""


class FeedbackError(ChinwagError):
    """Feedback cannot be kept or read; the message says why and what to do."""


SCHEMA = Schema(
    application=0x43684642,  # "ChFB"
    steps=(
        """
        CREATE TABLE exchange (message BIGINT NOT NULL PRIMARY KEY, guild BIGINT NOT NULL, at DOUBLE PRECISION NOT NULL,
                               turns TEXT NOT NULL, reply TEXT NOT NULL);
        CREATE TABLE vote (message BIGINT NOT NULL, member BIGINT NOT NULL, value INTEGER NOT NULL,
                           PRIMARY KEY (message, member))
        """,
        "CREATE INDEX exchange_guild ON exchange (guild)",
    ),
    error=FeedbackError,
    holds="holds members' feedback",
)

EXCHANGES = Table("exchange")
JUDGEMENTS = Table("vote")


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

    def __init__(self, place: Path | Server) -> None:
        """Read nothing yet; the file need not exist."""
        self.database = open_database(place, SCHEMA)

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
        exchanged = {"message": exchange.message, "guild": exchange.guild, "at": time.time()}
        with self.database.transaction(write=True) as transaction:
            if value:
                row = EXCHANGES.insert(**exchanged, turns=turns, reply=exchange.reply)
                transaction.run(row.on_conflict(action="ignore"))
                vote = JUDGEMENTS.insert(message=exchange.message, member=member, value=value)
                transaction.run(vote.on_conflict(conflict_target=["message", "member"], preserve=["value"]))
            else:
                mine = (JUDGEMENTS.c.message == exchange.message) & (JUDGEMENTS.c.member == member)
                transaction.run(JUDGEMENTS.delete().where(mine))
                _drop_unjudged(transaction)

    def forget(self, message: int) -> None:
        """Drop an exchange: its message is gone."""
        if self.database.exists():
            with self.database.transaction(write=True) as transaction:
                _drop(transaction, message)

    def forget_speaker(self, account: int) -> None:
        """Drop all exchanges in which somebody speaks, and that account's votes."""
        if not self.database.exists():
            return
        with self.database.transaction(write=True) as transaction:
            for message, turns in transaction.run(EXCHANGES.select(EXCHANGES.c.message, EXCHANGES.c.turns)):
                if any(speaker == str(account) for speaker, _ in json.loads(turns)):
                    _drop(transaction, message)
            transaction.run(JUDGEMENTS.delete().where(JUDGEMENTS.c.member == account))
            _drop_unjudged(transaction)

    def liked(self, guild: int, excluded: Collection[str] = (), blocklist: Blocklist | None = None) -> list[Exchange]:
        """The exchanges of a server with more 👍 than 👎 of others than those who speak in them, the oldest first.

        Args:
            guild: the id of the server.
            excluded: whose words must not be learned, and who has no vote; exchanges with them are left out.
            blocklist: of what must not be learned either.
        """
        if not self.database.exists():
            return []
        here = EXCHANGES.c.guild == guild
        with self.database.transaction(write=False) as transaction:
            columns = (EXCHANGES.c.message, EXCHANGES.c.turns, EXCHANGES.c.reply)
            rows = transaction.run(EXCHANGES.select(*columns).where(here).order_by(EXCHANGES.c.message.desc()))
            votes: dict[int, list[tuple[int, int]]] = {}
            given = JUDGEMENTS.select(JUDGEMENTS.c.message, JUDGEMENTS.c.member, JUDGEMENTS.c.value)
            given = given.join(EXCHANGES, on=JUDGEMENTS.c.message == EXCHANGES.c.message).where(here)
            for message, member, value in transaction.run(given):
                votes.setdefault(message, []).append((member, value))
        likes, found = Counter[int](), list[Exchange]()
        for message, turns, reply in rows:
            exchange = Exchange(message, guild, [Turn(*turn) for turn in json.loads(turns)], reply)
            unheard = {*excluded, *(turn.speaker for turn in exchange.turns)}
            heard = [(member, value) for member, value in votes.get(message, ()) if str(member) not in unheard]
            likes.update(member for member, value in heard if value > 0)
            balance = sum(value for member, value in heard if value < 0 or likes[member] <= MAX_LIKES)
            if balance > 0 and not _must_not_be_learned(exchange, excluded, blocklist):
                found.append(exchange)
        return found[::-1]

    def write(self, file: Path, guild: int, excluded: Collection[str] = (), blocklist: Blocklist | None = None) -> int:
        """Write the liked exchanges of a server as chat logs that `chinwag-train` reads; arguments as for `liked`.

        Returns:
            How many.
        """
        exchanges = self.liked(guild, excluded, blocklist)
        with file.open("w", encoding="utf-8") as out:
            for exchange in exchanges:
                for turn in (*exchange.turns, Turn(ME, exchange.reply)):
                    said = {"conversation": str(exchange.message), "author": turn.speaker, "content": turn.text}
                    print(json.dumps(said, ensure_ascii=False), file=out)
        return len(exchanges)


def _must_not_be_learned(exchange: Exchange, excluded: Collection[str], blocklist: Blocklist | None) -> bool:
    said = [*(turn.text for turn in exchange.turns), exchange.reply]
    is_blocked = blocklist is not None and any(map(blocklist.finds, said))
    return is_blocked or any(turn.speaker in excluded for turn in exchange.turns)


def _drop_unjudged(transaction: Transaction) -> None:
    judged = JUDGEMENTS.select(JUDGEMENTS.c.message)
    transaction.run(EXCHANGES.delete().where(EXCHANGES.c.message.not_in(judged)))


def _drop(transaction: Transaction, message: int) -> None:
    for table in (EXCHANGES, JUDGEMENTS):
        transaction.run(table.delete().where(table.c.message == message))
