"""The log: plain lines or one JSON object a line, never with the token in it."""

import json
import logging
from datetime import UTC, datetime

import discord

from bot.config import JSON

MASK = "<token>"


def set_up(kind: str, token: str) -> None:
    """Log everything of the process to standard error.

    Args:
        kind: `PLAIN` for discord.py's lines, in colour on a terminal, or `JSON`.
        token: what is to be masked.
    """
    handler = logging.StreamHandler()
    handler.addFilter(TokenFilter(token))
    if kind == JSON:
        logging.captureWarnings(True)
        discord.utils.setup_logging(handler=handler, formatter=JsonFormatter())
    else:
        discord.utils.setup_logging(handler=handler)


class TokenFilter(logging.Filter):
    """Lets every record pass, but without the token: neither in its message nor in a traceback."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self._token = token

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask the token in the record."""
        try:
            message = record.getMessage()
        except Exception:  # a message that does not fit its arguments would be shown with them
            message = f"{record.msg} {record.args}"
        if self._token in message:
            record.msg, record.args = message.replace(self._token, MASK), ()
        exception = _exception(record)
        if self._token in exception:
            record.exc_info, record.exc_text = None, exception.replace(self._token, MASK)
        if record.stack_info:
            record.stack_info = record.stack_info.replace(self._token, MASK)
        return True


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
