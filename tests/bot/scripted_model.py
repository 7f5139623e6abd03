"""A model that says what it is told to say, and remembers what it was asked."""

import threading
from collections.abc import Sequence

from model.attention import Attention
from model.dialogue import Turn
from model.reply import Question, Reply, ReplyConfig


class ScriptedModel:
    """Answers every question with `answer`, or raises it if it is an exception."""

    def __init__(self, answer: str | Reply | Exception = "sure") -> None:
        self.answer = answer
        self.contexts: list[list[tuple[str, str]]] = []
        self.draws: list[float] = []
        self.batches: list[int] = []
        self.configs: list[ReplyConfig] = []
        self.looked: list[tuple[list[str], str]] = []
        self.attention: Attention | None = None
        self.free = threading.Event()
        """Clear it to keep replies waiting."""
        self.free.set()
        self.busy = self.most_busy = 0
        self._lock = threading.Lock()

    def describe(self) -> dict[str, str]:
        return {"Model": "scripted", "Preset": "tiny"}

    def rejected(self) -> dict[str, int]:
        return {"blocked word": 2, "empty": 0}

    def look(self, turns: Sequence[Turn], text: str) -> Attention | None:
        self.looked.append(([turn.text for turn in turns], text))
        return self.attention

    def replies(self, questions: Sequence[Question]) -> list[Reply]:
        with self._lock:
            for question in questions:
                self.contexts.append([(turn.speaker, turn.text) for turn in question.turns])
                self.draws.append(float(question.rng.random()))
                self.configs.append(question.config)
            self.batches.append(len(questions))
            self.busy += 1
            self.most_busy = max(self.most_busy, self.busy)
        self.free.wait(timeout=5)
        with self._lock:
            self.busy -= 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return [self.answer if isinstance(self.answer, Reply) else Reply(self.answer, ()) for _ in questions]
