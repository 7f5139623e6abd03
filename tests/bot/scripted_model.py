"""A model that says what it is told to say, and remembers what it was asked."""

import threading
from collections.abc import Sequence

import numpy as np

from model.dialogue import Turn


class ScriptedModel:
    """Answers every context with `answer`, or raises it if it is an exception."""

    def __init__(self, answer: str | Exception = "sure") -> None:
        self.answer = answer
        self.contexts: list[list[tuple[str, str]]] = []
        self.draws: list[float] = []
        self.free = threading.Event()
        """Clear it to keep replies waiting."""
        self.free.set()
        self.busy = self.most_busy = 0
        self._lock = threading.Lock()

    def reply(self, turns: Sequence[Turn], rng: np.random.Generator) -> str:
        with self._lock:
            self.contexts.append([(turn.speaker, turn.text) for turn in turns])
            self.draws.append(float(rng.random()))
            self.busy += 1
            self.most_busy = max(self.most_busy, self.busy)
        self.free.wait(timeout=5)
        with self._lock:
            self.busy -= 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer
