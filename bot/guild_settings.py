"""What the admins of a server have set for it: in a small file beside the models or a database, effective at once."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from model import ChinwagError
from model.blocklist import Blocklist
from model.database import Schema, Server, Table, Transaction, open_database
from model.dialogue import MAX_CONTEXT_TURNS
from model.reply import ReplyConfig

FILE_NAME = "guilds.sqlite"
"""The file in the models folder."""

LENGTHS = {"short": -1.0, "normal": 0.0, "long": 0.5}
"""What each token of a reply adds to its score, in nats."""

MAX_BLOCKED = 200
"""Words and phrases that a server can block."""

_PATIENCE = 2.0  # seconds for another process that writes: Discord waits three for an answer


class SettingsError(ChinwagError):
    """What is set for a server cannot be read or written; the message says why and what to do."""


SCHEMA = Schema(
    application=0x43684753,  # "ChGS"
    steps=("CREATE TABLE guild (id BIGINT NOT NULL PRIMARY KEY, settings TEXT NOT NULL)",),
    error=SettingsError,
    holds="holds what servers have set",
)

GUILDS = Table("guild")


@dataclass(frozen=True, kw_only=True)
class GuildSettings:
    """How the bot is to behave in one server.

    Attributes:
        channels: ids of channels in which every message is answered; a thread belongs to its channel.
        muted: ids of channels in which nothing is said.
        roles: ids of the roles whose members are answered; of all members if there are none.
        chance: how probably a message is answered that is for nobody in particular, from 0 to 1.
        temperature: how adventurous replies are, from 0 to 2.
        length: one of `LENGTHS`.
        turns: how much of the conversation is looked back on, from 1 to `MAX_CONTEXT_TURNS`.
        blocked: words and phrases that are never said.
        feedback: whether members' 👍 and 👎 under replies are kept, with what was said, for the next training.
    """

    channels: tuple[int, ...] = ()
    muted: tuple[int, ...] = ()
    roles: tuple[int, ...] = ()
    chance: float = 0.0
    temperature: float = 0.9
    length: str = "normal"
    turns: int = MAX_CONTEXT_TURNS
    blocked: tuple[str, ...] = ()
    feedback: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.chance <= 1:
            raise ValueError(f"the chance must be from 0 to 1, not {self.chance}")
        if not 0 <= self.temperature <= 2:
            raise ValueError(f"the temperature must be from 0 to 2, not {self.temperature}")
        if self.length not in LENGTHS:
            raise ValueError(f"the length must be one of {', '.join(LENGTHS)}, not {self.length}")
        if not 1 <= self.turns <= MAX_CONTEXT_TURNS:
            raise ValueError(f"from 1 to {MAX_CONTEXT_TURNS} turns can be looked back on, not {self.turns}")
        if len(self.blocked) > MAX_BLOCKED:
            raise ValueError(f"at most {MAX_BLOCKED} words can be blocked, not {len(self.blocked)}")

    def replies(self, config: ReplyConfig) -> ReplyConfig:
        """How replies are found here.

        Args:
            config: how they are found where nothing is set.
        """
        blocked = Blocklist([*config.blocklist.entries, *self.blocked]) if self.blocked else config.blocklist
        sampling = replace(config.sampling, temperature=self.temperature)
        return replace(config, sampling=sampling, talkativeness=LENGTHS[self.length], blocklist=blocked)


DEFAULT = GuildSettings()


class GuildSettingsStore:
    """The settings of all servers, which several processes may change; what is read is remembered until one does."""

    def __init__(self, place: Path | Server) -> None:
        """Read nothing yet; the file need not exist."""
        self.database = open_database(place, SCHEMA, timeout=_PATIENCE)
        self._known: tuple[tuple[int, ...] | None, dict[int, GuildSettings]] = None, {}

    def of(self, guild: int) -> GuildSettings:
        """What is set for a server.

        Raises:
            SettingsError: it cannot be read.
        """
        state = self.database.state()
        if state is None or state != self._known[0]:
            self._known = state, {}
        _, known = self._known  # another thread may begin a new one, in which what is read here has no place
        if guild not in known:
            known[guild] = self._read(guild)
        return known[guild]

    def change(self, guild: int, **changes: Any) -> GuildSettings:
        """Set something for a server; it is on the disk when the call returns.

        Args:
            guild: the id of the server.
            changes: new values of fields of `GuildSettings`; the others stay as they are.

        Raises:
            ValueError: a value is none that can be set.
            SettingsError: it cannot be written.
        """
        GuildSettings(**changes)
        return self._update(guild, lambda settings: replace(settings, **changes))

    def block(self, guild: int, phrase: str) -> GuildSettings:
        """Add a word or phrase to those that are never said; others may be doing so too.

        Raises:
            ValueError: there are too many.
            SettingsError: it cannot be written.
        """
        if len(set(self.of(guild).blocked) | {phrase}) > MAX_BLOCKED:
            raise ValueError(f"At most {MAX_BLOCKED} words can be blocked.")
        return self._update(guild, lambda settings: replace(settings, blocked=_with(settings.blocked, phrase)))

    def unblock(self, guild: int, phrase: str) -> GuildSettings:
        """Take one back."""
        return self._update(guild, lambda settings: replace(settings, blocked=_without(settings.blocked, phrase)))

    def _read(self, guild: int) -> GuildSettings:
        if not self.database.exists():
            return DEFAULT
        with self.database.transaction(write=False) as transaction:
            return _read(transaction, guild)

    def _update(self, guild: int, change: Callable[[GuildSettings], GuildSettings]) -> GuildSettings:
        with self.database.transaction(write=True) as transaction:
            settings = change(_read(transaction, guild))
            row = GUILDS.insert(id=guild, settings=json.dumps(asdict(settings)))
            transaction.run(row.on_conflict(conflict_target=["id"], preserve=["settings"]))
        return settings


def _with(phrases: tuple[str, ...], phrase: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*phrases, phrase)))


def _without(phrases: tuple[str, ...], phrase: str) -> tuple[str, ...]:
    return tuple(each for each in phrases if each != phrase)


def _read(transaction: Transaction, guild: int) -> GuildSettings:
    rows = transaction.run(GUILDS.select(GUILDS.c.settings).where(GUILDS.c.id == guild))
    if not rows:
        return DEFAULT
    known = {field.name for field in fields(GuildSettings)}  # of a later version there may be others
    stored: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in json.loads(rows[0][0]).items()
        if name in known
    }
    return GuildSettings(**stored)
