"""From files to a database and back: all of it, counted, as often as one likes."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bot.__main__ import app
from bot.feedback import Exchange
from bot.stores import Stores
from model.bundle import FILES, live_bundle, report_of
from model.dialogue import Turn
from model.library import COMMON, SharedModels
from model.postgres import PostgresServer
from tests.model.test_bundle import FACTS, put
from tests.postgres_server import PostgresProcess

GUILD = 7
EXCHANGE = Exchange(99, GUILD, [Turn("1", "cats or dogs?")], "cats")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("DISCORD_TOKEN", *(name for name in os.environ if name.startswith("CHINWAG_"))):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def move(to: str, **environ: str) -> Result:
    return CliRunner().invoke(app, ["move-data", to], env=environ)


def fill(stores: Stores) -> None:
    stores.consent.opt_out("1")
    stores.consent.forget("2")
    stores.settings.change(GUILD, chance=0.5, blocked=("a", "ß"))
    stores.feedback.vote(EXCHANGE, 3, 1)
    stores.feedback.vote(EXCHANGE, 4, -1)


def test_all_goes_over_and_comes_back(folder: Path, postgres: PostgresProcess, database: PostgresServer) -> None:
    files = Stores.open(folder)
    fill(files)
    names = [put(folder, replace(FACTS, preset=preset)).name for preset in ("a", "b")]
    report_of(folder / names[0]).write_text("all about it", encoding="utf-8")
    own = put(folder / "guilds" / str(GUILD))
    result = move("database", DATABASE_URL=postgres.url)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "opt-outs: 2 taken over, 0 put in place of others, 0 were there, 0 more are there alone."
    assert "votes: 2 taken over" in lines[3]
    assert lines[4:] == [
        "all servers: 2 models taken over, 0 were there.",
        "server 7: 1 models taken over, 0 were there.",
    ]

    shared, models = Stores.open(folder, database), SharedModels(database)
    assert (shared.consent.excluded(), shared.consent.forgotten()) == (
        files.consent.excluded(),
        files.consent.forgotten(),
    )
    assert shared.settings.of(GUILD) == files.settings.of(GUILD)
    assert shared.feedback.liked(GUILD) == files.feedback.liked(GUILD)
    assert (models.of(COMMON).names(), models.of(COMMON).live()) == (names, names[1])
    assert (models.of(GUILD).live(), models.of(COMMON).report(names[0])) == (own.name, b"all about it")

    again = move("database", DATABASE_URL=postgres.url).stdout.splitlines()
    assert again[0] == "opt-outs: 0 taken over, 0 put in place of others, 2 were there, 0 more are there alone."
    assert again[4] == "all servers: 0 models taken over, 2 were there."

    shared.consent.opt_out("5")
    shared.settings.change(GUILD, chance=0.25)
    models.of(COMMON).make_live(names[0])
    fresh = folder.with_name("fresh")
    fresh.mkdir()
    assert move("files", DATABASE_URL=postgres.url, CHINWAG_MODELS=str(fresh)).exit_code == 0
    back = Stores.open(fresh)
    assert back.consent.excluded() == {"1", "2", "5"}
    assert back.settings.of(GUILD).chance == 0.25
    assert live_bundle(fresh).name == names[0]
    assert live_bundle(fresh / "guilds" / str(GUILD)).name == own.name
    for name in names:
        for file in FILES:
            assert (fresh / name / file).read_bytes() == (folder / name / file).read_bytes()
    assert report_of(fresh / names[0]).read_text(encoding="utf-8") == "all about it"


def test_what_is_there_alone_stays_and_who_is_to_be_forgotten_stays_so(
    folder: Path, postgres: PostgresProcess, database: PostgresServer
) -> None:
    files, shared = Stores.open(folder), Stores.open(folder, database)
    files.consent.opt_out("1")
    shared.consent.forget("1")
    shared.consent.opt_out("9")
    files.settings.change(GUILD, turns=2)
    shared.settings.change(GUILD, turns=3)
    shared.settings.change(8, turns=4)
    told = move("database", DATABASE_URL=postgres.url).stdout.splitlines()
    assert told[0] == "opt-outs: 0 taken over, 0 put in place of others, 1 were there, 1 more are there alone."
    assert (
        told[1]
        == "servers with settings: 0 taken over, 1 put in place of others, 0 were there, 1 more are there alone."
    )
    other = Stores.open(folder, database)
    assert other.consent.forgotten().keys() == {"1"}
    assert other.consent.excluded() == {"1", "9"}
    assert [other.settings.of(guild).turns for guild in (GUILD, 8)] == [2, 4]


def test_a_damaged_model_is_told_and_left(folder: Path, postgres: PostgresProcess) -> None:
    whole, broken = put(folder), put(folder)
    (broken / FILES[0]).write_bytes(b"garbage")
    told = move("database", DATABASE_URL=postgres.url).stdout.splitlines()
    assert told[-2].startswith("all servers: not taken over: ")
    assert told[-1] == "all servers: 1 models taken over, 0 were there."
    assert whole.exists()


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        ({}, "DATABASE_URL is not set"),
        ({"DATABASE_URL": "postgresql://bot:secret@127.0.0.1:1/chinwag"}, "cannot be reached"),
    ],
)
def test_what_keeps_it_from_moving_is_one_sentence(folder: Path, environ: dict[str, str], why: str) -> None:
    result = move("database", **environ)
    assert result.exit_code == 1
    assert why in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert "secret" not in result.output
