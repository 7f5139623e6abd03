"""What the admin sets, from the environment and a `.env` file, as one typed object."""

import codecs
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dotenv import dotenv_values

from model import ChinwagError

if TYPE_CHECKING:
    from model.reply import ReplyConfig


class ConfigError(ChinwagError):
    """A setting has a value that it cannot have; the message says which and what it can have."""


@dataclass(frozen=True)
class BotConfig:
    """The settings of one bot process.

    Attributes:
        token: the bot's secret, or None to chat in the terminal (DISCORD_TOKEN).
        models: the folder of trained models; without it the shipped one answers (CHINWAG_MODELS).
        exports: a folder of chat logs to train on, those of a server in a folder with its id (CHINWAG_EXPORTS).
        blocklist: a file of words and phrases that are never said (CHINWAG_BLOCKLIST).
        api_base: the REST address of another Discord-compatible server, None for Discord (CHINWAG_API_BASE).
        shards: connections to the gateway, None for as many as Discord advises (CHINWAG_SHARDS, a number or "auto").
    """

    token: str | None = field(default=None, repr=False)
    models: Path = Path("models")
    exports: Path = Path("exports")
    blocklist: Path | None = None
    api_base: str | None = None
    shards: int | None = 1

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ, directory: Path = Path()) -> "BotConfig":
        """Read the environment and `directory/.env`; a variable of the real environment wins, even an empty one.

        Raises:
            ConfigError: a setting has a value that it cannot have.
        """
        values = {**_read_env_file(directory / ".env"), **environ}
        return cls(
            token=_bare(values.get("DISCORD_TOKEN")),
            models=Path(_bare(values.get("CHINWAG_MODELS")) or cls.models),
            exports=Path(_bare(values.get("CHINWAG_EXPORTS")) or cls.exports),
            blocklist=Path(blocklist) if (blocklist := _bare(values.get("CHINWAG_BLOCKLIST"))) else None,
            api_base=_bare(values.get("CHINWAG_API_BASE")),
            shards=_shards(_bare(values.get("CHINWAG_SHARDS"))),
        )

    def replies(self) -> "ReplyConfig":
        """How replies are found.

        Raises:
            BlocklistError: the blocklist cannot be used.
        """
        from model.blocklist import Blocklist  # NumPy comes along: only when the bot is to answer
        from model.reply import ReplyConfig

        return ReplyConfig(blocklist=Blocklist.load(self.blocklist)) if self.blocklist else ReplyConfig()


def _read_env_file(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    raw = path.read_bytes()
    # PowerShell's `>` writes UTF-16, and Notepad may put a mark in front of UTF-8.
    utf16 = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = raw.decode("utf-16" if utf16 else "utf-8-sig", errors="replace")
    pairs = dotenv_values(stream=io.StringIO(text), interpolate=False)
    return {name: value for name, value in pairs.items() if value is not None}


def _shards(value: str | None) -> int | None:
    if value is None:
        return 1
    if value.lower() == "auto":
        return None
    if not value.isascii() or not value.isdigit() or not int(value):
        raise ConfigError(f'CHINWAG_SHARDS must be a number of connections, such as 4, or "auto", not {value!r}.')
    return int(value)


def _bare(value: str | None) -> str | None:
    """The value without the spaces and quotes that come along when it is pasted; None if nothing is left."""
    return (value or "").strip(" \t\r\n\"'") or None
