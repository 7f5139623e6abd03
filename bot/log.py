"""The log: plain lines or one JSON object a line, never with a secret in it."""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime

import discord

from bot.config import JSON


def set_up(kind: str, secrets: Mapping[str, str]) -> None:
    """Log everything of the process to standard error.

    Args:
        kind: `PLAIN` for discord.py's lines, in colour on a terminal, or `JSON`.
        secrets: what is to be masked, and by what.
    """
    handler = logging.StreamHandler()
    handler.addFilter(SecretFilter(secrets))
    if kind == JSON:
        logging.captureWarnings(True)
        discord.utils.setup_logging(handler=handler, formatter=JsonFormatter())
    else:
        discord.utils.setup_logging(handler=handler)


class SecretFilter(logging.Filter):
    """Lets every record pass, but without secrets: neither in its message nor in a traceback."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        """See `set_up`."""
        super().__init__()
        self._secrets = secrets

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask the secrets in the record."""
        try:
            message = record.getMessage()
        except Exception:  # a message that does not fit its arguments would be shown with them
            message = f"{record.msg} {record.args}"
        if (masked := self._masked(message)) != message:
            record.msg, record.args = masked, ()
        exception = _exception(record)
        if (masked := self._masked(exception)) != exception:
            record.exc_info, record.exc_text = None, masked
        if record.stack_info:
            record.stack_info = self._masked(record.stack_info)
        return True

    def _masked(self, text: str) -> str:
        for secret, mask in self._secrets.items():
            text = text.replace(secret, mask)
        return text


class JsonFormatter(logging.Formatter):
    """A record as one JSON object on one line, in ASCII, with its exception as text."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        entry = {"time": time, "level": record.levelname, "logger": record.name, "message": record.getMessage()}
        if exception := _exception(record):
            entry["exception"] = exception
        if record.stack_info:
            entry["stack"] = record.stack_info
        return json.dumps(entry)


def _exception(record: logging.LogRecord) -> str:
    """The traceback, and those of the exceptions that it came of; empty if there is none."""
    return record.exc_text or (logging.Formatter().formatException(record.exc_info) if record.exc_info else "")
