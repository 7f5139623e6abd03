"""The models of a server, in a folder and in a database: the same to look at, to choose from and to delete."""

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from model.bundle import (
    FILES,
    PRETRAINED,
    TRAINING,
    WEIGHTS,
    Bundle,
    ModelFormatError,
    bundles,
    live_bundle,
    report_of,
    seal,
)
from model.environment import connect
from model.library import COMMON, FolderLibrary, Library, SharedModels
from model.postgres import PostgresServer
from tests.conftest import POSTGRESQL, SQLITE
from tests.model.test_bundle import FACTS, put
from tests.postgres_server import PostgresProcess

GUILD = 2**60


class Shelf:
    """A library, and a way to put models into it."""

    def __init__(self, library: Library, add: Callable[[Path, bool], str]) -> None:
        self.library, self._add = library, add

    def put(self, folder: Path, preset: str = "base", *, live: bool = True) -> str:
        directory = put(folder, replace(FACTS, preset=preset))
        report_of(directory).write_text(f"all about {preset}", encoding="utf-8")
        return self._add(directory, live)


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    if request.param == SQLITE:
        return Shelf(FolderLibrary(tmp_path), lambda directory, live: directory.name)
    models = SharedModels(request.getfixturevalue("database"))
    return Shelf(models.of(GUILD), lambda directory, live: models.add(GUILD, directory, live=live))


def test_there_are_none_at_first(shelf: Shelf) -> None:
    assert (shelf.library.names(), shelf.library.live()) == ([], None)


def test_what_is_published_is_live_and_says_what_it_is(shelf: Shelf, tmp_path: Path) -> None:
    first, second = shelf.put(tmp_path), shelf.put(tmp_path, "classic")
    assert shelf.library.names() == [first, second]
    assert shelf.library.live() == second
    assert [shelf.library.facts(name).preset for name in (first, second)] == ["base", "classic"]
    assert shelf.library.report(second) == b"all about classic"
    assert shelf.library.report("other") is None


def test_another_one_is_chosen_or_the_common_one(shelf: Shelf, tmp_path: Path) -> None:
    first, second = shelf.put(tmp_path), shelf.put(tmp_path, "classic")
    shelf.library.make_live(first)
    assert shelf.library.live() == first
    shelf.library.remove(second)
    assert shelf.library.names() == [first]
    shelf.library.make_live(None)
    assert shelf.library.live() is None
    with pytest.raises(ModelFormatError):
        shelf.library.make_live(second)


class TestInADatabase:
    @pytest.fixture
    def models(self, database: PostgresServer) -> SharedModels:
        return SharedModels(database)

    @pytest.fixture
    def trained(self, tmp_path: Path) -> Path:
        """A bundle that training can go on from."""
        directory = put(tmp_path / "trained")
        head = Bundle.open(directory).facts
        (directory / TRAINING).write_bytes(os.urandom(3 << 20))  # more than is fetched at a time
        seal(directory, head)
        return directory

    def test_one_comes_over_whole(self, models: SharedModels, trained: Path, tmp_path: Path) -> None:
        report_of(trained).write_text("all about it", encoding="utf-8")
        name = models.add(COMMON, trained, live=True)
        here, there = tmp_path / "here", tmp_path / "there"
        models.bring(COMMON, here)
        models.bring(COMMON, there, training=True)
        assert live_bundle(here) == here / name
        for file in FILES:
            assert (here / name / file).read_bytes() == (trained / file).read_bytes()
        assert Bundle.open(here / name) == Bundle(here / name, FACTS)
        assert not (here / name / TRAINING).exists()  # the bot does without
        assert (there / name / TRAINING).read_bytes() == (trained / TRAINING).read_bytes()
        assert Bundle.open(there / name, training=True).facts == FACTS
        models.bring(COMMON, here, training=False)
        SharedModels(models._server).bring(COMMON, here, training=True)  # that of a bot may lack something
        assert (here / name / TRAINING).exists()
        models.fetch(COMMON, name, tmp_path / "back")
        assert report_of(tmp_path / "back" / name).read_text(encoding="utf-8") == "all about it"

    def test_a_folder_keeps_what_was_live_last(self, models: SharedModels, tmp_path: Path) -> None:
        shared = tmp_path / "shared"
        names = []
        for preset in ("a", "b", "c"):
            names.append(models.add(COMMON, put(tmp_path, replace(FACTS, preset=preset)), live=True))
            models.bring(COMMON, shared)
        assert [path.name for path in bundles(shared)] == names[1:]
        models.of(COMMON).make_live(names[0])
        models.bring(COMMON, shared)
        assert live_bundle(shared).name == names[0]
        models.of(COMMON).make_live(None)
        models.bring(COMMON, shared)
        assert live_bundle(shared) == PRETRAINED

    def test_names_differ_whoever_gives_them(self, models: SharedModels, trained: Path, tmp_path: Path) -> None:
        names = {models.add(guild, trained, live=False) for guild in (1, 1, 1)}
        assert names == {trained.name, f"{trained.name}-1", f"{trained.name}-2"}
        assert models.add(2, trained, live=True) == trained.name
        assert (models.of(1).live(), models.of(2).live()) == (None, trained.name)
        assert models.guilds() == [1, 2]

    def test_what_is_damaged_neither_goes_in_nor_comes_out(
        self, models: SharedModels, tmp_path: Path, postgres: PostgresProcess
    ) -> None:
        whole, broken = put(tmp_path), put(tmp_path)
        (broken / WEIGHTS).write_bytes(b"garbage")
        with pytest.raises(ModelFormatError, match="is damaged"):
            models.add(COMMON, broken, live=True)
        first = models.add(COMMON, whole, live=True)
        models.bring(COMMON, tmp_path / "shared")
        second = models.add(COMMON, whole, live=True)
        for damage in ("content = ''", "content = substr(content, 1, 3000)", "head = '{}'"):
            fresh = SharedModels(models._server)
            postgres.execute(f"UPDATE chinwag.model SET {damage} WHERE name = '{second}'")
            for _ in range(2):
                with pytest.raises(ModelFormatError):
                    fresh.bring(COMMON, tmp_path / "shared")
            assert live_bundle(tmp_path / "shared").name == first

    def test_a_live_one_stays(self, models: SharedModels, trained: Path) -> None:
        name = models.add(COMMON, trained, live=True)
        with pytest.raises(ModelFormatError, match="is live: use another one first"):
            models.of(COMMON).remove(name)

    def test_many_that_want_it_fetch_it_once(
        self, models: SharedModels, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        name = models.add(COMMON, trained, live=True)
        fetched: list[str] = []
        fetch = models._fetch

        def counted(guild: int, name: str, folder: Path, *, training: bool) -> None:
            fetched.append(name)
            fetch(guild, name, folder, training=training)

        monkeypatch.setattr(models, "_fetch", counted)
        threads = [threading.Thread(target=models.bring, args=(COMMON, tmp_path / "shared")) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert fetched == [name]

    def test_one_that_trains_is_waited_for(self, postgres: PostgresProcess) -> None:
        order: list[str] = []
        waits = threading.Event()

        def train() -> None:
            with connect(postgres.url).alone(7, waits.set):
                order.append("second")

        with connect(postgres.url).alone(7, lambda: order.append("never")):
            other = threading.Thread(target=train)
            other.start()
            assert waits.wait(10)
            order.append("first")
        other.join()
        assert order == ["first", "second"]
