"""A newly trained model is taken by the running bot."""

import logging
from pathlib import Path

import numpy as np
import pytest

from bot.live_model import LiveModel, ServerModels
from model.bundle import PRETRAINED, ModelFormatError
from model.reply import Question
from tests.bot.conftest import Connect
from tests.bot.scripted_model import ScriptedModel
from tests.discord_server import DiscordServer


class Shelf:
    """A models folder of scripted models, each of which answers with its own name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.loaded: list[str] = []
        self.broken: set[str] = set()
        self.faulty: set[str] = set()

    def publish(self, name: str) -> None:
        (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "current").write_text(name, encoding="utf-8")

    def load(self, directory: Path) -> ScriptedModel:
        self.loaded.append(directory.name)
        if directory.name in self.broken:
            raise ModelFormatError(f"{directory.name} is damaged; train again.")
        if directory.name in self.faulty:
            raise RuntimeError("a fault")
        return ScriptedModel(directory.name)

    def open(self) -> LiveModel:
        return LiveModel(self.folder, load=self.load)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    shelf = Shelf(tmp_path / "models")
    shelf.publish("first")
    return shelf


def ask(model: LiveModel) -> str:
    (reply,) = model.replies([Question([], np.random.default_rng(1))])
    return reply.text


def test_is_loaded_once(shelf: Shelf) -> None:
    model = shelf.open()
    assert [ask(model), ask(model)] == ["first", "first"]
    assert shelf.loaded == ["first"]


def test_takes_a_new_one(shelf: Shelf) -> None:
    model = shelf.open()
    shelf.publish("second")
    assert [ask(model), ask(model)] == ["second", "second"]
    assert shelf.loaded == ["first", "second"]


def test_goes_back_to_an_old_one(shelf: Shelf) -> None:
    model = shelf.open()
    shelf.publish("second")
    assert ask(model) == "second"
    shelf.publish("first")
    assert ask(model) == "first"


def test_keeps_the_old_one_if_the_new_one_is_broken(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    model = shelf.open()
    shelf.broken.add("second")
    shelf.publish("second")
    assert [ask(model), ask(model)] == ["first", "first"]
    assert shelf.loaded == ["first", "second"]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "Traceback" not in caplog.text
    assert model.describe()["Instead of the live one"] == "second is damaged; train again."
    shelf.publish("third")
    assert ask(model) == "third"
    assert "Instead of the live one" not in model.describe()


def test_goes_back_to_the_old_one_after_a_broken_one(shelf: Shelf) -> None:
    model = shelf.open()
    shelf.broken.add("second")
    shelf.publish("second")
    assert ask(model) == "first"
    shelf.publish("first")
    assert ask(model) == "first"
    assert model.trouble is None


def test_says_once_that_current_names_nothing(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    model = shelf.open()
    (shelf.folder / "current").write_text("nothing", encoding="utf-8")
    assert [ask(model) for _ in range(3)] == ["first"] * 3
    (record,) = caplog.records
    assert "current names 'nothing'" in record.getMessage()
    shelf.publish("first")
    assert ask(model) == "first"
    assert model.trouble is None
    assert shelf.loaded == ["first"]


def test_a_fault_of_the_program_is_logged_as_one(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    model = shelf.open()
    shelf.faulty.add("second")
    shelf.publish("second")
    assert [ask(model), ask(model)] == ["first", "first"]
    assert "RuntimeError: a fault" in caplog.text
    assert model.trouble == "It cannot be loaded (RuntimeError): my log says why."


def test_counts_rejected_drafts_of_the_live_one(shelf: Shelf) -> None:
    assert shelf.open().rejected() == {"blocked word": 2, "empty": 0}


def test_needs_one_to_start_with(shelf: Shelf) -> None:
    shelf.broken.add("first")
    with pytest.raises(ModelFormatError, match="first is damaged"):
        shelf.open()


async def test_the_connected_bot_takes_a_new_one(shelf: Shelf, server: DiscordServer, connect: Connect) -> None:
    alice = server.user("alice")
    async with connect(model=shelf.open()):
        for name in ("first", "second"):
            shelf.publish(name)
            await server.say(alice, f"{server.mention} hello")
            await server.until(lambda name=name: name in [reply["content"] for reply in server.replies])
    assert [reply["content"] for reply in server.replies] == ["first", "second"]
    assert len(server.gateway.identified) == 1


class TestServers:
    @pytest.fixture
    def models(self, shelf: Shelf) -> ServerModels:
        return ServerModels(shelf.folder, load=shelf.load, most=2)

    def publish(self, models: ServerModels, server: int, name: str) -> None:
        Shelf(models.folder(server)).publish(name)

    def ask(self, models: ServerModels, server: int) -> str:
        (reply,) = models.of(server).replies([Question([], np.random.default_rng(1))])
        return reply.text

    def test_have_the_common_one_or_their_own(self, models: ServerModels, shelf: Shelf) -> None:
        self.publish(models, 1, "mine")
        assert [self.ask(models, server) for server in (1, 2, 1)] == ["mine", "first", "mine"]
        assert shelf.loaded == ["first", "mine"]
        self.publish(models, 2, "yours")
        self.publish(models, 1, "newer")
        assert [self.ask(models, server) for server in (1, 2)] == ["newer", "yours"]

    def test_go_back_to_the_common_one(self, models: ServerModels, shelf: Shelf) -> None:
        self.publish(models, 1, "mine")
        assert self.ask(models, 1) == "mine"
        (models.folder(1) / "current").unlink()
        assert self.ask(models, 1) == "first"

    def test_with_a_broken_one_have_the_common_one(
        self, models: ServerModels, shelf: Shelf, caplog: pytest.LogCaptureFixture
    ) -> None:
        shelf.broken.add("mine")
        self.publish(models, 1, "mine")
        assert [self.ask(models, 1) for _ in range(3)] == ["first"] * 3
        assert caplog.text.count("Server 1 is answered by the common model") == 1
        assert shelf.loaded == ["first", "mine"]
        assert models.of(1).describe()["Instead of the live one"] == "mine is damaged; train again."
        assert "Instead of the live one" not in models.of(2).describe()
        self.publish(models, 1, "mended")
        assert self.ask(models, 1) == "mended"

    def test_start_with_the_shipped_one_where_the_common_one_is_broken(
        self, shelf: Shelf, caplog: pytest.LogCaptureFixture
    ) -> None:
        shelf.broken.add("first")
        models = ServerModels(shelf.folder, load=shelf.load)
        assert [self.ask(models, server) for server in (1, 2)] == [PRETRAINED.name] * 2
        assert "first is damaged; train again." in caplog.text
        assert "The shipped model answers instead" in caplog.text
        told = models.of(1).describe()
        assert told["Instead of the live one"] == "first is damaged; train again."
        shelf.publish("second")
        assert self.ask(models, 1) == "second"
        shelf.broken.add(PRETRAINED.name)
        shelf.publish("first")
        with pytest.raises(ModelFormatError, match="pretrained is damaged"):
            ServerModels(shelf.folder, load=shelf.load)

    def test_are_kept_in_memory_as_far_as_there_is_room(self, models: ServerModels, shelf: Shelf) -> None:
        for server in (1, 2, 3):
            self.publish(models, server, f"of {server}")
        for server in (1, 2, 1, 3, 1, 2):
            assert self.ask(models, server) == f"of {server}"
        assert shelf.loaded == ["first", "of 1", "of 2", "of 3", "of 2"]
