"""The model that is live now: loads it, and takes a newly trained one without a restart."""

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from model.bundle import live_bundle
from model.reply import Question, Reply

logger = logging.getLogger(__name__)


class ReplyModel(Protocol):
    """Whatever answers questions."""

    def replies(self, questions: Sequence[Question]) -> list[Reply]:
        """Answer each question. Slow, and safe to call from several threads."""
        ...

    def describe(self) -> dict[str, str]:
        """What an admin may want to know of it, by headings."""
        ...

    def rejected(self) -> dict[str, int]:
        """How many drafts were not said so far, by reason."""
        ...


def load_chatbot(directory: Path) -> ReplyModel:
    """Load a bundle."""
    from model.chatbot import ChatBot  # ONNX Runtime comes along: only when a model is needed

    return ChatBot.load(directory)


class LiveModel:
    """Answers with the live bundle of a models folder, whichever that is at the time."""

    def __init__(self, models: Path, *, load: Callable[[Path], ReplyModel] = load_chatbot) -> None:
        """Load the live bundle.

        Raises:
            ModelFormatError: there is no readable model to start with.
        """
        self._models = models
        self._load = load
        self._lock = threading.Lock()
        self._tried = live_bundle(models).resolve()
        self._model = load(self._tried)

    def replies(self, questions: Sequence[Question]) -> list[Reply]:
        """Answer each question, after a look for a newer model."""
        return self._current().replies(questions)

    def describe(self) -> dict[str, str]:
        """What an admin may want to know of the live model, by headings."""
        return {"Model": self._tried.name, **self._model.describe()}

    def rejected(self) -> dict[str, int]:
        """How many drafts of the live model were not said, by reason; a new model starts at none."""
        return self._model.rejected()

    def _current(self) -> ReplyModel:
        with self._lock:  # one thread loads, the others wait for the new model
            try:
                directory = live_bundle(self._models).resolve()
                if directory != self._tried:
                    self._tried = directory  # a broken bundle is tried once, not at every message
                    self._model = self._load(directory)
                    logger.info("Took the new model %s.", directory.name)
            except Exception:
                logger.exception("Kept the old model: the new one cannot be loaded.")
            return self._model
