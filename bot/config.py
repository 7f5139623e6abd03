"""What the admin sets, from the environment and a `.env` file, as one typed object."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bot.shards import ONE, Shards
from model.environment import ConfigError, bare, connect, database_url, passwords, read_environment

if TYPE_CHECKING:
    from model.postgres import PostgresServer
    from model.reply import ReplyConfig


PLAIN, JSON = "plain", "json"
"""How the log is written."""

_LOOPBACK = "127.0.0.1"
_ADDRESS = re.compile(r"(?:([^\s:/\[\]]+|\[[0-9a-fA-F:.]+\]):)?([0-9]{1,5})")


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int


@dataclass(frozen=True)
class BotConfig:
    """The settings of one bot process.

    Attributes:
        token: the bot's secret, or None to chat in the terminal (DISCORD_TOKEN).
        models: the folder of trained models; without it the shipped one answers (CHINWAG_MODELS).
        exports: a folder of chat logs to train on, those of a server in a folder with its id (CHINWAG_EXPORTS).
        blocklist: a file of words and phrases that are never said (CHINWAG_BLOCKLIST).
        api_base: the REST address of another Discord-compatible server, None for Discord (CHINWAG_API_BASE).
        shards: connections to the gateway (CHINWAG_SHARDS, a number, "auto", or a part such as "0-15/64").
        metrics: where figures and health are served, None for nowhere (CHINWAG_METRICS, a port or an address with one).
        log: how the log is written, `PLAIN` or `JSON` (CHINWAG_LOG).
        database: the address of a PostgreSQL database that several processes share, None for files (DATABASE_URL).
    """

    token: str | None = field(default=None, repr=False)
    models: Path = Path("models")
    exports: Path = Path("exports")
    blocklist: Path | None = None
    api_base: str | None = None
    shards: Shards = ONE
    metrics: Address | None = None
    log: str = PLAIN
    database: str | None = field(default=None, repr=False)

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ, directory: Path = Path()) -> "BotConfig":
        """Read the environment and `directory/.env`; a variable of the real environment wins, even an empty one.

        Raises:
            ConfigError: a setting has a value that it cannot have.
        """
        values = read_environment(environ, directory)
        return cls(
            token=bare(values.get("DISCORD_TOKEN")),
            models=Path(bare(values.get("CHINWAG_MODELS")) or cls.models),
            exports=Path(bare(values.get("CHINWAG_EXPORTS")) or cls.exports),
            blocklist=Path(blocklist) if (blocklist := bare(values.get("CHINWAG_BLOCKLIST"))) else None,
            api_base=bare(values.get("CHINWAG_API_BASE")),
            shards=Shards.parse(shards, "CHINWAG_SHARDS")
            if (shards := bare(values.get("CHINWAG_SHARDS")))
            else cls.shards,
            metrics=_metrics(bare(values.get("CHINWAG_METRICS"))),
            log=_log(bare(values.get("CHINWAG_LOG"))),
            database=database_url(values),
        )

    def server(self) -> "PostgresServer | None":
        """The server with the database, which is asked for nothing yet; None for files.

        Raises:
            ConfigError: what speaks to it is not installed.
        """
        return None if self.database is None else connect(self.database)

    def secrets(self) -> dict[str, str]:
        """What must not be in a log, and what is there instead."""
        hidden = dict.fromkeys(passwords(self.database), "<password>") if self.database else {}
        return {**hidden, self.token: "<token>"} if self.token else hidden

    def replies(self) -> "ReplyConfig":
        """How replies are found.

        Raises:
            BlocklistError: the blocklist cannot be used.
        """
        from model.blocklist import Blocklist  # NumPy comes along: only when the bot is to answer
        from model.reply import ReplyConfig

        return ReplyConfig(blocklist=Blocklist.load(self.blocklist)) if self.blocklist else ReplyConfig()


def _metrics(value: str | None) -> Address | None:
    if value is None:
        return None
    found = _ADDRESS.fullmatch(value)
    if found is None or not 0 < int(found[2]) < 65536:
        raise ConfigError(
            "CHINWAG_METRICS must be a port, such as 9464, or an address with one, such as 0.0.0.0:9464, "
            f"not {value!r}."
        )
    return Address((found[1] or _LOOPBACK).strip("[]"), int(found[2]))


def _log(value: str | None) -> str:
    chosen = (value or PLAIN).lower()
    if chosen not in (PLAIN, JSON):
        raise ConfigError(f'CHINWAG_LOG must be "{PLAIN}" or "{JSON}", not {value!r}.')
    return chosen
