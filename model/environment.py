"""What is set for the bot and for training alike: in the environment, or in a file `.env`."""

import codecs
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from dotenv import dotenv_values

from model import ChinwagError

if TYPE_CHECKING:
    from model.postgres import PostgresServer

DATABASE_URL = "DATABASE_URL"
"""Names the PostgreSQL database that several processes share; without it all is in files."""

_SCHEMES = ("postgresql", "postgres")


class ConfigError(ChinwagError):
    """A setting has a value that it cannot have; the message says which and what it can have."""


def read_environment(environ: Mapping[str, str] = os.environ, directory: Path = Path()) -> dict[str, str]:
    """The environment and `directory/.env`; a variable of the real environment wins, even an empty one."""
    return {**_read_env_file(directory / ".env"), **environ}


def bare(value: str | None) -> str | None:
    """A value without the spaces and quotes that come along when it is pasted; None if nothing is left."""
    return (value or "").strip(" \t\r\n\"'") or None


def database_url(values: Mapping[str, str]) -> str | None:
    """The address of the database, None for files.

    Raises:
        ConfigError: it is none of PostgreSQL's; the message does not show it, as it may hold a password.
    """
    url = bare(values.get(DATABASE_URL))
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        known = parts.scheme in _SCHEMES and parts.path.strip("/") != ""
    except ValueError:
        known = False
    if not known:
        raise ConfigError(f"{DATABASE_URL} must be an address such as postgresql://user:password@host:5432/chinwag.")
    return url


def passwords(url: str) -> set[str]:
    """The ways in which the password of an address may be written."""
    password = urlsplit(url).password
    return {password, unquote(password)} if password else set()


def connect(url: str) -> "PostgresServer":
    """The server of an address; it is asked for nothing yet.

    Raises:
        ConfigError: what speaks to it is not installed.
    """
    try:
        from model.postgres import PostgresServer  # memory that those with files do without
    except ImportError as error:
        raise ConfigError(
            f"{DATABASE_URL} is set, but what speaks to PostgreSQL is not installed here: `pip install "
            "'chinwag[cluster]'`, or unset it."
        ) from error
    return PostgresServer(url)


def server_of_environment() -> "PostgresServer | None":
    """The server that is set here, None for files.

    Raises:
        ConfigError: it is set to what it cannot be.
    """
    url = database_url(read_environment())
    return None if url is None else connect(url)


def _read_env_file(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    raw = path.read_bytes()
    # PowerShell's `>` writes UTF-16, and Notepad may put a mark in front of UTF-8.
    utf16 = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = raw.decode("utf-16" if utf16 else "utf-8-sig", errors="replace")
    pairs = dotenv_values(stream=io.StringIO(text), interpolate=False)
    return {name: value for name, value in pairs.items() if value is not None}
