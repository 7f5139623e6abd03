"""The log never holds the token, and is JSON where that is wanted."""

import io
import json
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bot.config import JSON, PLAIN
from bot.log import set_up

TOKEN = "MTk4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs"

Write = Callable[[str], io.StringIO]


@pytest.fixture
def write(monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Sets the log up, of one kind or the other, and tells what has been written; afterwards all is as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def start(kind: str) -> io.StringIO:
        stream = io.StringIO()
        monkeypatch.setattr(sys, "stderr", stream)
        set_up(kind, {TOKEN: "<token>"})
        return stream

    yield start
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(False)


def fail(text: str) -> None:
    try:
        try:
            raise ValueError(f"the cause has it: {text}")
        except ValueError as error:
            raise RuntimeError(f"Bot {text} was refused") from error
    except RuntimeError:
        logging.getLogger("bot.test").exception("A request failed.")


def entries(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize("kind", [PLAIN, JSON])
class TestTheToken:
    def test_is_masked_in_messages(self, write: Write, kind: str) -> None:
        stream = write(kind)
        logging.getLogger("bot.test").info("Authorization: Bot %s, twice: %r", TOKEN, [TOKEN])
        assert "Authorization: Bot <token>, twice: ['<token>']" in stream.getvalue()
        assert TOKEN not in stream.getvalue()

    def test_is_masked_in_tracebacks(self, write: Write, kind: str) -> None:
        stream = write(kind)
        fail(TOKEN)
        assert "RuntimeError: Bot <token> was refused" in stream.getvalue()
        assert "ValueError: the cause has it: <token>" in stream.getvalue()
        assert TOKEN not in stream.getvalue()

    def test_is_masked_in_colour(self, write: Write, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("discord.utils.stream_supports_colour", lambda stream: True)
        stream = write(kind)
        fail(TOKEN)
        assert "<token>" in stream.getvalue()
        assert TOKEN not in stream.getvalue()

    def test_is_masked_where_the_arguments_do_not_fit(self, write: Write, kind: str) -> None:
        stream = write(kind)
        record = logging.makeLogRecord({"levelno": 20, "msg": "no place for it", "args": (TOKEN,)})
        logging.getLogger().handlers[-1].handle(record)  # others would raise
        assert "no place for it ('<token>',)" in stream.getvalue()
        assert TOKEN not in stream.getvalue()

    def test_is_masked_in_stacks(self, write: Write, kind: str) -> None:
        stream = write(kind)
        logging.getLogger("bot.test").handle(
            logging.makeLogRecord({"name": "bot", "levelno": 20, "msg": "Stack.", "stack_info": f"in {TOKEN}"})
        )
        assert "in <token>" in stream.getvalue()
        assert TOKEN not in stream.getvalue()


def test_a_plain_line_has_the_level_and_the_logger(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("discord.utils.stream_supports_colour", lambda stream: False)
    stream = write(PLAIN)
    logging.getLogger("bot.test").warning("It %s.", "rains")
    assert stream.getvalue().endswith("[WARNING ] bot.test: It rains.\n")


def test_json_has_a_line_for_each_record(write: Write) -> None:
    stream = write(JSON)
    logging.getLogger("bot.test").warning("It rains\nin %s.", "Grünau\u2028")
    fail("x")
    first, second = entries(stream)
    assert first["time"].endswith("+00:00")
    assert {key: first[key] for key in first if key != "time"} == {
        "level": "WARNING",
        "logger": "bot.test",
        "message": "It rains\nin Grünau\u2028.",
    }
    assert second["message"] == "A request failed."
    assert second["exception"].startswith("Traceback (most recent call last):\n")
    assert second["exception"].endswith("RuntimeError: Bot x was refused")
    assert stream.getvalue().isascii()


def test_json_holds_warnings_too(write: Write) -> None:
    stream = write(JSON)
    warnings.showwarning("old", DeprecationWarning, "module.py", 1)
    assert entries(stream)[0]["logger"] == "py.warnings"
