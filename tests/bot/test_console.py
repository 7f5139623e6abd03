"""The chat in the terminal, piped and typed."""

import io
import sys
from collections.abc import Iterable

import numpy as np
import pytest

from bot.console import Conversation, answer_lines, chat
from model.dialogue import MAX_CONTEXT_TURNS
from model.reply import ReplyConfig
from tests.bot.scripted_model import ScriptedModel


class Terminal(io.TextIOWrapper):
    """A stream of bytes that says whether a person sits at it."""

    def __init__(self, data: bytes = b"", *, person: bool = False, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(data), encoding=encoding)
        self.person = person

    def isatty(self) -> bool:
        return self.person

    @property
    def written(self) -> str:
        self.flush()
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue().decode()


def pipe(monkeypatch: pytest.MonkeyPatch, data: bytes, *, encoding: str = "utf-8") -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(data, encoding=encoding))


def typed(monkeypatch: pytest.MonkeyPatch, lines: Iterable[str | type[BaseException]]) -> list[str]:
    """Let a person type `lines`; the list that is returned fills with the prompts."""
    monkeypatch.setattr(sys, "stdin", Terminal(person=True))
    prompts, script = [], iter(lines)

    def answer(prompt: str) -> str:
        prompts.append(prompt)
        line = next(script)
        if isinstance(line, str):
            return line
        raise line

    monkeypatch.setattr("builtins.input", answer)
    return prompts


def test_piped_text_gets_one_line_for_each(
    model: ScriptedModel, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model.answer = "first\nsecond"
    pipe(monkeypatch, b"hello\n\nlast without an end")
    chat(model)
    assert capsys.readouterr().out == "first second\n" * 3


def test_piped_text_is_a_conversation(
    model: ScriptedModel, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe(monkeypatch, b"hello\nwhat is new?\n")
    chat(model)
    assert model.contexts == [[("you", "hello")], [("you", "hello"), ("me", "sure"), ("you", "what is new?")]]


def test_nothing_piped_gets_nothing(
    model: ScriptedModel, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe(monkeypatch, b"")
    chat(model)
    assert capsys.readouterr().out == ""


def test_utf8_whatever_the_terminal_says(monkeypatch: pytest.MonkeyPatch, model: ScriptedModel) -> None:
    out = Terminal(encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", out)
    pipe(monkeypatch, "gr\u00fc\u00dfe \U0001f44b\n".encode() + b"broken \xff byte\n", encoding="cp1252")
    model.answer = "\U0001f980"
    chat(model)
    assert out.written == "\U0001f980\n\U0001f980\n"
    assert model.contexts[0] == [("you", "gr\u00fc\u00dfe \U0001f44b")]
    assert model.contexts[1][-1] == ("you", "broken \ufffd byte")


def test_seed_makes_it_repeatable(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    draws = []
    for seed in (1, 1, 2):
        model = ScriptedModel()
        pipe(monkeypatch, b"hello\nhello\n")
        chat(model, seed=seed)
        draws.append(model.draws)
    assert draws[0] == draws[1]
    assert draws[0] != draws[2]
    assert draws[0][0] != draws[0][1]


def test_memory_is_bounded(model: ScriptedModel) -> None:
    conversation = Conversation(model, np.random.default_rng(1))
    answer_lines(conversation, ["hello"] * 3 * MAX_CONTEXT_TURNS, io.StringIO())
    assert len(model.contexts[-1]) == MAX_CONTEXT_TURNS


@pytest.mark.parametrize("end", [EOFError, KeyboardInterrupt])
def test_a_person_is_prompted_until_the_end(
    end: type[BaseException], model: ScriptedModel, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = typed(monkeypatch, ["hello", "  ", "more", end])
    chat(model)
    assert prompts == ["you: "] * 4
    assert capsys.readouterr().out.splitlines()[1:] == ["bot: sure", "bot: sure", ""]
    assert len(model.contexts) == 2


def test_what_is_blocked_is_a_matter_of_settings(model: ScriptedModel) -> None:
    replies = ReplyConfig(candidates=3)
    Conversation(model, np.random.default_rng(0), replies).answer("hello")
    assert model.configs == [replies]
