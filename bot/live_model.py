"""The model that is live now: loads it, and takes a newly trained one without a restart."""

import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from model.attention import Attention
from model.bundle import CURRENT, live_bundle
from model.dialogue import Turn
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

    def look(self, turns: Sequence[Turn], text: str) -> Attention | None:
        """What it looks at in a conversation as it writes a reply; None if it cannot tell. Takes a moment."""
        ...


class Models(Protocol):
    """The models of all servers."""

    def of(self, server: int) -> ReplyModel:
        """What answers in a server. May take a moment."""
        ...

    def folder(self, server: int) -> Path:
        """Where the models of a server are, whether there are any or not."""
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

    def look(self, turns: Sequence[Turn], text: str) -> Attention | None:
        """What the live model looks at in a conversation as it writes a reply, which another one may have written."""
        return self._model.look(turns, text)

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


class ServerModels:
    """The model of each server: its own, in `guilds/ID` of the models folder, or else that of the folder itself."""

    def __init__(self, models: Path, *, load: Callable[[Path], ReplyModel] = load_chatbot, most: int = 8) -> None:
        """Load the model that servers without their own have.

        Args:
            models: the folder.
            load: loads a bundle.
            most: models of servers that are kept in memory; the one that was not asked for longest gives way.

        Raises:
            ModelFormatError: there is no readable model to start with.
        """
        self._models, self._load, self._most = models, load, most
        self._default = LiveModel(models, load=load)
        self._own: OrderedDict[int, LiveModel] = OrderedDict()
        self._lock = threading.Lock()

    def folder(self, server: int) -> Path:
        """Where the models of a server are, whether there are any or not."""
        return self._models / "guilds" / str(server)

    def of(self, server: int) -> ReplyModel:
        """The model of a server. May load one, which takes a moment."""
        folder = self.folder(server)
        if not os.path.lexists(folder / CURRENT):
            return self._default
        with self._lock:
            try:
                model = self._own.pop(server, None) or LiveModel(folder, load=self._load)
            except Exception:
                logger.exception("Server %s is answered by the common model: its own cannot be loaded.", server)
                return self._default
            self._own[server] = model
            if len(self._own) > self._most:
                self._own.popitem(last=False)
            return model
