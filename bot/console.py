"""The same reply path in the terminal, for trying without a token."""

import contextlib
import io
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

import numpy as np

from bot.live_model import ReplyModel
from model.dialogue import MAX_CONTEXT_TURNS, ME, Turn, clean_text, merge_bursts
from model.reply import LIKELIEST, Question, ReplyConfig

if TYPE_CHECKING:
    from model.chatbot import ChatBot

_GREETING = (
    "Say something. Ctrl-D ends the chat." if sys.platform != "win32" else "Say something. Ctrl-C ends the chat."
)
_YOU = "you"


class Conversation:
    """A chat of two: remembers its turns."""

    def __init__(self, model: ReplyModel, rng: np.random.Generator, replies: ReplyConfig | None = None) -> None:
        self._model = model
        self._replies = replies or ReplyConfig()
        self._rng = rng
        self._turns: list[Turn] = []

    def answer(self, line: str) -> str:
        """The reply to a line, on one line. A line without text gets one too."""
        self._remember(_YOU, line)
        (reply,) = self._model.replies([Question(self._turns, self._rng, self._replies)])
        self._remember(ME, reply.text)
        return " ".join(reply.text.split())

    def _remember(self, speaker: str, text: str) -> None:
        self._turns = merge_bursts([*self._turns, Turn(speaker, clean_text(text))])[-MAX_CONTEXT_TURNS:]


def chat(model: ReplyModel, *, seed: int | None = None, replies: ReplyConfig | None = None) -> None:
    """Talk with a person at the terminal, or answer each line of piped text with exactly one line."""
    _speak_utf8(sys.stdin, sys.stdout)
    conversation = Conversation(model, np.random.default_rng(seed), replies)
    if sys.stdin.isatty():
        _talk(conversation)
    else:
        answer_lines(conversation, sys.stdin, sys.stdout)


def apply(chatbot: "ChatBot") -> None:
    """Write the likeliest reply to each line of the input, which knows nothing of the others."""
    _speak_utf8(sys.stdin, sys.stdout)
    rng = np.random.default_rng(0)
    for line in sys.stdin:
        reply = chatbot.reply([Turn(_YOU, clean_text(line))], rng, LIKELIEST)
        print(" ".join(reply.split()), flush=True)


def answer_lines(conversation: Conversation, lines: Iterable[str], out: TextIO) -> None:
    """Write one reply line for each input line, an empty one included, so that the two can be put side by side."""
    for line in lines:
        print(conversation.answer(line), file=out, flush=True)


def _talk(conversation: Conversation) -> None:
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401 - gives input() its editing keys; Windows has its own
    print(_GREETING)
    try:
        while True:
            if line := input("you: ").strip():
                print(f"bot: {conversation.answer(line)}")
    except (EOFError, KeyboardInterrupt):
        print()


def _speak_utf8(*streams: TextIO) -> None:
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):  # a terminal on Windows may still be in its old code page
            stream.reconfigure(encoding="utf-8", errors="replace")
