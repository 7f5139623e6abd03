"""The model that is live now: loads it, and takes a newly trained one without a restart."""

import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from model import ChinwagError
from model.attention import Attention
from model.bundle import CURRENT, PRETRAINED, live_bundle
from model.dialogue import Turn
from model.library import COMMON, FolderLibrary, Library, SharedModels
from model.reply import Question, Reply

logger = logging.getLogger(__name__)

SHARED = "shared"
"""In the models folder: what was fetched from the database. It may be deleted while no bot runs."""


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
        """Where a server's models are trained, whether there are any or not."""
        ...

    def library(self, server: int) -> Library:
        """The models of a server, to look at and to choose from."""
        ...


def load_chatbot(directory: Path) -> ReplyModel:
    """Load a bundle."""
    from model.chatbot import ChatBot  # ONNX Runtime comes along: only when a model is needed

    return ChatBot.load(directory)


class LiveModel:
    """Answers with the live bundle of a models folder, whichever that is at the time.

    Attributes:
        trouble: why another model answers than the live one, in a sentence; None where the live one does.
    """

    def __init__(
        self,
        models: Path,
        *,
        load: Callable[[Path], ReplyModel] = load_chatbot,
        instead: Callable[[], ReplyModel] | None = None,
    ) -> None:
        """Load the live bundle.

        Args:
            models: the folder.
            load: loads a bundle.
            instead: gives what answers until there is a live bundle that can be loaded.

        Raises:
            ModelFormatError: there is no readable model to start with, nor anything instead.
        """
        self._models = models
        self._load = load
        self._lock = threading.Lock()
        self._tried: Path | None = None
        self._taken: Path | None = None
        self.trouble: str | None = None
        try:
            self._take(live_bundle(models).resolve())
        except Exception as error:
            if instead is None:
                raise
            self._model = instead()
            self._note(error)

    def replies(self, questions: Sequence[Question]) -> list[Reply]:
        """Answer each question, after a look for a newer model."""
        return self._current().replies(questions)

    def describe(self) -> dict[str, str]:
        """What an admin may want to know of the model that answers, by headings."""
        told = {"Model": (self._taken or PRETRAINED).name, **self._model.describe()}
        return {**told, "Instead of the live one": self.trouble} if self.trouble else told

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
                    self._take(directory)
                    logger.info("Took the new model %s.", directory.name)
                elif directory == self._taken:
                    self.trouble = None
            except Exception as error:
                self._note(error)
            return self._model

    def _take(self, directory: Path) -> None:
        self._tried = directory  # a broken bundle is tried once, not at every message
        self._model = self._load(directory)
        self._taken, self.trouble = directory, None

    def _note(self, error: Exception) -> None:
        """Say once why the live bundle does not answer."""
        known = isinstance(error, ChinwagError)
        trouble = str(error) if known else f"It cannot be loaded ({type(error).__name__}): my log says why."
        if trouble != self.trouble:
            self.trouble = trouble
            logger.error("The live model of %s does not answer: %s", self._models, trouble, exc_info=not known)


class ServerModels:
    """The model of each server: its own, in `guilds/ID` of the models folder, or else that of the folder itself.

    Where a database holds the models, those that answer are brought into the folder `shared` of the models folder.
    """

    def __init__(
        self,
        models: Path,
        *,
        load: Callable[[Path], ReplyModel] = load_chatbot,
        most: int = 8,
        shared: SharedModels | None = None,
    ) -> None:
        """Load the model that servers without their own have.

        Args:
            models: the folder.
            load: loads a bundle.
            most: models of servers that are kept in memory; the one that was not asked for longest gives way.
            shared: the models in a database; None where they are in the folder.

        Where that of the folder cannot be loaded, the shipped one answers; where that of a server cannot, the folder's.

        Raises:
            ModelFormatError: the shipped one cannot be loaded either.
        """
        self._models, self._load, self._most, self._shared = models, load, most, shared
        self._answering = models if shared is None else models / SHARED
        self._trouble: str | None = None
        self._bring(COMMON)
        self._default = LiveModel(self._answering, load=load, instead=lambda: load(PRETRAINED))
        if self._default.trouble:
            logger.error("The shipped model answers instead.")
        self._own: OrderedDict[int, LiveModel] = OrderedDict()
        self._lock = threading.Lock()

    def folder(self, server: int) -> Path:
        """Where a server's models are trained, whether there are any or not."""
        return _of(self._models, server)

    def library(self, server: int) -> Library:
        """The models of a server, to look at and to choose from."""
        return FolderLibrary(self.folder(server)) if self._shared is None else self._shared.of(server)

    def of(self, server: int) -> ReplyModel:
        """The model of a server. May fetch and load one, which takes a moment."""
        self._bring(COMMON)
        self._bring(server)
        folder = _of(self._answering, server)
        if not os.path.lexists(folder / CURRENT):
            return self._default
        with self._lock:
            model = self._own.pop(server, None)
            if model is None:
                model = LiveModel(folder, load=self._load, instead=lambda: self._default)
                if model.trouble:
                    logger.error("Server %s is answered by the common model.", server)
            self._own[server] = model
            if len(self._own) > self._most:
                self._own.popitem(last=False)
            return model

    def _bring(self, server: int) -> None:
        """Fetch the model that is live in the database, if that is another one than before."""
        if self._shared is None:
            return
        try:
            self._shared.bring(server, _of(self._answering, server) if server else self._answering)
            self._trouble = None
        except ChinwagError as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                logger.error("The models from before go on answering: %s", error)


def _of(models: Path, server: int) -> Path:
    return models / "guilds" / str(server)
