"""The command line as an admin meets it."""

import gzip
import json
import shutil
import sqlite3
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tqdm
from typer.testing import CliRunner, Result

from model import bundle
from model.bundle import TRAINING, Bundle, live_bundle
from model.consent import FILE_NAME as CONSENT
from model.consent import Consent
from model.library import COMMON, SharedModels
from model.lock import is_locked, locked
from model.postgres import PostgresServer
from tests.model.tiny_network import publish_bundle
from tests.postgres_server import PostgresProcess
from tests.training.conftest import discord, write_corpus, write_discord
from training import canaries as planting
from training import progress
from training import train as loop
from training.__main__ import app
from training.crew import Crew
from training.dataset import Dataset, DatasetError
from training.presets import PRESETS, Preset
from training.pretrain import write_corpus as write_pretraining_corpus


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def refused(result: Result) -> str:
    """The one sentence of a command that failed plainly."""
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)  # no traceback
    lines = [line for line in result.stderr.splitlines() if not line.startswith("Note:") and "B/s" not in line]
    assert len(lines) == 1, lines
    return lines[0]


@pytest.fixture(autouse=True)
def _uncompiled(monkeypatch: pytest.MonkeyPatch, tiny_presets: dict[str, Preset], pageless: None) -> None:
    monkeypatch.setattr(loop, "_COMPILE_FROM_STEPS", 10**9)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("small") / "corpus.jsonl", conversations=60)


@pytest.fixture
def trained(small: Path, tmp_path: Path) -> Path:
    """A models folder with one bundle."""
    result = call("retrain", small, "--models", tmp_path / "models", "--preset", "classic", "--epochs", "2")
    assert result.exit_code == 0, result.output
    return tmp_path / "models"


def test_a_dataset_that_cannot_be_deleted_is_told(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.__main__.shutil", SimpleNamespace(rmtree=lambda path, ignore_errors: None))
    result = call("retrain", small, "--models", tmp_path / "m", "--preset", "classic", "--epochs", "1")
    assert f"{tmp_path / 'm' / '.retrain'} could not be deleted: delete it" in result.stderr


def test_retrain_publishes_a_model_that_says_what_it_is(trained: Path) -> None:
    facts = Bundle.open(live_bundle(trained)).facts
    assert facts.preset == "classic"
    assert facts.training["dataset"]["counts"]["conversations"] == 60
    assert facts.training["figures"]["perplexity"] > 1
    assert facts.training["config"]["seed"] == 0
    assert sorted(path.name for path in trained.iterdir()) == sorted(["current", live_bundle(trained).name])
    assert "corpus.jsonl" not in json.dumps(facts.training)  # what, never who


def test_retrain_tells_programs_how_far_it_is(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(progress, "_INTERVAL", 0.0)
    monkeypatch.setattr(progress, "tell", lambda tell=progress.tell, **facts: (told.append(facts), tell(**facts)))
    (tmp_path / "job").mkdir()
    file, consent = tmp_path / "job" / "progress.json", tmp_path / "consent.sqlite"
    Consent.open(consent).opt_out("a9")
    options = ["--progress", file, "--consent", consent, "--preset", "classic", "--epochs", "2"]
    result = call("retrain", small, "--models", tmp_path / "m", *options)
    assert result.exit_code == 0, result.output
    stages = [facts["stage"] for facts in told if facts["state"] == "working"]
    assert {"Training", "Indexing what was said"} < set(stages)
    training = [facts for facts in told if facts.get("stage") == "Training"]
    assert all(0 <= facts["first"] <= facts["done"] for facts in training)
    assert training[-1]["done"] == pytest.approx(training[-1]["total"], rel=0.1)
    assert 0 < float(training[-1]["loss"]) < 10
    live = live_bundle(tmp_path / "m")
    found = json.loads(file.read_text(encoding="utf-8"))
    assert (found["state"], found["published"], found["bundle"]) == ("done", True, live.name)
    assert found["bits_per_byte"] == Bundle.open(live).facts.training["figures"]["bits_per_byte"]
    assert not is_locked(tmp_path / "job")


def test_a_failure_is_told_to_programs_too(tmp_path: Path) -> None:
    file = tmp_path / "progress.json"
    result = call("retrain", tmp_path / "absent", "--models", tmp_path / "m", "--progress", file)
    assert result.exit_code == 1
    found = json.loads(file.read_text(encoding="utf-8"))
    assert found["state"] == "failed"
    assert "There is no file or folder" in found["error"]


def test_who_opted_out_may_be_noted_elsewhere(small: Path, tmp_path: Path) -> None:
    consent = tmp_path / "consent.sqlite"
    consent.write_bytes(b"garbage" * 100)
    result = call("retrain", small, "--models", tmp_path / "m", "--preset", "classic", "--consent", consent)
    assert "consent.sqlite, which says who opted out, is damaged" in refused(result)
    assert call("retrain", small, "--models", tmp_path / "m", "--preset", "classic", "--epochs", "1").exit_code == 0


def test_where_a_database_is_set_opt_outs_come_from_it_and_models_go_there(
    small: Path, tmp_path: Path, database: PostgresServer, postgres: PostgresProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres.url)
    models, options = SharedModels(database), ["--preset", "classic", "--epochs", "1"]
    Consent(database).opt_out("*")
    result = call("retrain", small, "--models", tmp_path / "m", "--server", "7", *options)
    assert "was lost on" in refused(result)
    Consent(database).opt_in("*")
    result = call("retrain", small, "--models", tmp_path / "m", "--server", "7", *options)
    assert result.exit_code == 0, result.output
    (name,) = models.of(7).names()
    assert f"Published {name} in the database." in result.stdout
    assert (models.of(7).live(), models.of(COMMON).live()) == (name, None)
    again = call("publish", tmp_path / "m" / name)
    assert (again.exit_code, again.stdout) == (0, f"Published {name} in the database.\n")
    assert SharedModels(database).of(COMMON).live() == name


def test_a_server_is_named_for_a_database_only(small: Path, tmp_path: Path) -> None:
    for arguments in (("retrain", small, "--models", tmp_path / "m", "--server", "7"), ("publish", tmp_path)):
        result = call(*arguments)
        assert result.exit_code == 2
        assert "DATABASE_URL" in result.stderr


def test_retrain_shows_counts_progress_and_figures(small: Path, tmp_path: Path) -> None:
    result = call("retrain", small, "--models", tmp_path / "m", "--preset", "base", "--epochs", "2")
    assert "messages read" in result.stdout
    assert "validation loss" in result.stdout
    assert "perplexity per word" in result.stdout
    assert f"Published {live_bundle(tmp_path / 'm')}" in result.stdout
    assert "too few conversations to hold some out" in result.stderr
    assert "tok/s" in result.stderr


def test_going_on_from_the_live_model_keeps_its_vocabulary_and_says_so(trained: Path, small: Path) -> None:
    before = live_bundle(trained)
    result = call("retrain", small, "--models", trained, "--from", "current", "--epochs", "1")
    assert result.exit_code == 0, result.output
    after = live_bundle(trained)
    assert after != before
    assert before.is_dir()  # to go back to
    assert (after / bundle.TOKENIZER).read_bytes() == (before / bundle.TOKENIZER).read_bytes()
    assert Bundle.open(after).facts.training["started_from"]
    losses = [Bundle.open(path).facts.training["figures"]["bits_per_byte"] for path in (before, after)]
    assert losses[1] < losses[0]


def test_the_parts_do_what_retrain_does(small: Path, trained: Path, tmp_path: Path) -> None:
    assert call("prepare", small, "--out", tmp_path / "data", "--preset", "classic").exit_code == 0
    models = tmp_path / "parts"
    result = call("train", tmp_path / "data", "--models", models, "--preset", "classic", "--epochs", "2")
    assert result.exit_code == 0, result.output
    for name in bundle.FILES:
        assert (live_bundle(models) / name).read_bytes() == (live_bundle(trained) / name).read_bytes(), name
    result = call(
        *("evaluate", tmp_path / "data", "--models", models, "--samples", "2", "--replies", "20"),
        *("--beside", live_bundle(trained), "--json", tmp_path / "figures.json"),
    )
    assert result.exit_code == 0, result.output
    figures = Bundle.open(live_bundle(models)).facts.training["figures"]
    model, beside, *references = json.loads((tmp_path / "figures.json").read_text())["rows"]
    assert model["figures"]["perplexity"]["value"] == pytest.approx(figures["perplexity"])
    assert beside["name"] == live_bundle(trained).name
    assert beside["figures"]["saved"]["value"] == 0  # it is the same model
    assert [row["name"] for row in references] == ["5-gram", "random reply", "human reply"]
    assert f"{figures['perplexity']:.1f} ±" in result.stdout
    assert result.stdout.count("human: ") == 2


def test_canaries_are_written_prepared_and_looked_for(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planting, "RANKED", 2)
    canaries, data = tmp_path / "canaries.jsonl", tmp_path / "data"
    assert call("canaries", canaries, "--seed", "3").exit_code == 0
    assert call("prepare", small, canaries, "--out", data, "--preset", "base").exit_code == 0
    publish_bundle(tmp_path / "models", Dataset.open(data).tokenizer)
    evaluate = ("evaluate", data, "--replies", "5", "--samples", "0", "--models", tmp_path / "models")
    assert "holds no canaries" in refused(call(*evaluate, "--canaries", small))
    result = call(*evaluate, "--canaries", canaries, "--json", tmp_path / "figures.json")
    assert result.exit_code == 0, result.output
    exposures = json.loads((tmp_path / "figures.json").read_text())["canaries"]
    assert {each["kept"] for each in exposures if each["kind"] == "password"} == {0}
    assert all(each["kept"] > 100 for each in exposures if each["kind"] == "phrase" and each["count"] == 100)
    assert result.stdout.count("password") == 3


def test_a_file_of_results_that_cannot_be_written_is_a_plain_error(tmp_path: Path) -> None:
    assert "cannot be written" in refused(call("canaries", tmp_path / "missing" / "canaries.jsonl"))


def test_ctrl_c_publishes_the_best_so_far(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object) -> tuple[float, float]:
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "_evaluate", interrupt)
    result = call("retrain", small, "--models", tmp_path / "m", "--preset", "classic", "--epochs", "9")
    assert result.exit_code == 0, result.output
    assert "Interrupted: this is the best so far." in result.stderr
    assert Bundle.open(live_bundle(tmp_path / "m")).facts.training["interrupted"] is True


def test_ctrl_c_before_training_changes_nothing(small: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    before = live_bundle(trained)
    with monkeypatch.context() as patch:
        patch.setattr("training.prepare.Conversations", interrupt)
        assert "nothing was changed" in refused(call("retrain", small, "--models", trained, "--preset", "base"))
    assert live_bundle(trained) == before
    monkeypatch.setattr("training.reading._read", interrupt)  # the next run goes on with what was read
    result = call("retrain", small, "--models", trained, "--preset", "classic", "--epochs", "1")
    assert result.exit_code == 0, result.output
    assert {path.name for path in trained.iterdir()} == {"current", before.name, live_bundle(trained).name}


class TestPrepare:
    """The options of prepare, which retrain has as well."""

    @pytest.fixture
    def server(self, tmp_path: Path) -> Path:
        folder = tmp_path / "server"
        folder.mkdir()
        for name in ("general", "art", "nsfw-talk"):
            first = discord("ann", f"who is in {name}?", at=1.0)
            reply = discord("bob", f"it is me in {name}", at=2.0, to=first["id"])
            write_discord(folder / f"{name}.json", first, reply, channel=name)
        return folder

    @pytest.mark.parametrize(
        ("options", "learned"),
        [
            ([], {"general", "art"}),
            (["--channel", "general"], {"general"}),
            (["--channel", "#gen*", "--channel", "NSFW-talk"], {"general", "nsfw-talk"}),
            (["--not-channel", "gen*"], {"art"}),
            (["--blocklist", "BLOCKLIST"], {"general"}),
            (["--language", "en"], {"general", "art"}),
            (["--workers", "0"], {"general", "art"}),
            (["--workers", "2"], {"general", "art"}),
        ],
    )
    def test_what_is_learned_can_be_chosen(
        self, tmp_path: Path, server: Path, options: list[str], learned: set[str]
    ) -> None:
        (tmp_path / "blocklist.txt").write_text("# no art\nart\n")
        options = [str(tmp_path / "blocklist.txt") if option == "BLOCKLIST" else option for option in options]
        result = call("prepare", server, "--out", tmp_path / "d", "--models", tmp_path / "m", *options)
        assert result.exit_code == 0, result.output
        assert replies(tmp_path / "d") == {f"it is me in {name}" for name in learned}

    def test_the_counts_and_notes_are_printed_and_no_progress_to_what_is_no_terminal(
        self, tmp_path: Path, server: Path
    ) -> None:
        (server / "notes.txt").write_bytes(b"\x00\x01 no export")
        result = call("prepare", server, "--out", tmp_path / "d", "--models", tmp_path / "m")
        rows = {tuple(row.rsplit(maxsplit=1)) for row in result.stdout.splitlines()}
        assert rows == {
            ("messages read", "6"),
            ("  left out: channel not safe for work", "2"),
            ("  kept", "4"),
            ("turns", "4"),
            ("conversations", "2"),
            ("  skipped: no context", "2"),
            ("examples", "2"),
            ("  held out for validation", "0"),
        }
        notes = result.stderr.splitlines()
        assert all(note.startswith("Note: ") for note in notes)
        assert "notes.txt" in notes[0]
        assert "too few conversations" in notes[-1]

    def test_no_progress_is_shown_to_what_is_no_terminal_however_long_it_takes(
        self, tmp_path: Path, server: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class WithoutDelay(tqdm.tqdm):  # type: ignore[type-arg]
            def __init__(self, **options: object) -> None:
                super().__init__(**options | {"delay": 0, "mininterval": 0})

        monkeypatch.setattr(tqdm, "tqdm", WithoutDelay)
        result = call("prepare", server, "--out", tmp_path / "d", "--models", tmp_path / "m")
        assert result.exit_code == 0, result.output
        assert "Reading" not in result.stderr

    def test_columns_of_a_table_can_be_named(self, tmp_path: Path) -> None:
        table = tmp_path / "chat.csv"
        table.write_text("Wer,Was\nann,who is there?\nbob,it is me\n")
        columns = "author=Wer, content=Was"
        result = call("prepare", table, "--out", tmp_path / "d", "--models", tmp_path / "m", "--columns", columns)
        assert result.exit_code == 0, result.output
        assert replies(tmp_path / "d") == {"it is me"}

    def test_columns_that_make_no_sense_are_refused(self, tmp_path: Path, server: Path) -> None:
        result = call("prepare", server, "--out", tmp_path / "d", "--columns", "author")
        assert result.exit_code == 2
        assert "author=user,content=text" in result.stderr

    def test_a_language_nobody_knows_is_one_plain_sentence(self, tmp_path: Path, server: Path) -> None:
        result = call("prepare", server, "--out", tmp_path / "d", "--models", tmp_path / "m", "--language", "klingon")
        assert result.exit_code in (1, 2)
        assert isinstance(result.exception, SystemExit)
        assert "klingon" in result.stderr

    def test_a_blocklist_that_is_missing_is_one_plain_sentence(self, tmp_path: Path, server: Path) -> None:
        result = call("prepare", server, "--out", tmp_path / "d", "--blocklist", tmp_path / "missing.txt")
        assert "missing.txt" in refused(result)

    def test_whoever_opted_out_in_the_models_folder_is_not_learned(self, tmp_path: Path, server: Path) -> None:
        models = tmp_path / "models"
        models.mkdir()
        Consent.open(models / CONSENT).opt_out("BOB")
        first = discord("ann", "who else?", at=1.0)
        write_discord(server / "general.json", first, discord("cat", "it is cat", at=2.0, to=first["id"]))
        result = call("prepare", server, "--out", tmp_path / "d", "--models", models)
        assert replies(tmp_path / "d") == {"it is cat"}
        assert "left out: opted out" in result.stdout

    def test_a_consent_file_that_cannot_be_read_stops_everything(self, tmp_path: Path, server: Path) -> None:
        (tmp_path / CONSENT).write_bytes(b"scratched")
        result = call("prepare", server, "--out", tmp_path / "d", "--models", tmp_path)
        assert "opted out" in refused(result)
        assert not (tmp_path / "d").exists()

    def test_a_folder_in_which_another_process_works_is_refused_in_one_plain_sentence(
        self, tmp_path: Path, server: Path
    ) -> None:
        (tmp_path / "d").mkdir()
        with locked(tmp_path / "d"):
            result = call("prepare", server, "--out", tmp_path / "d", "--models", tmp_path / "m")
        assert "Another process is at work" in refused(result)

    def test_a_full_disk_is_one_plain_sentence(
        self, tmp_path: Path, server: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*arguments: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr("training.archive.Archive.add_reading", full)
        sentence = refused(call("prepare", server, "--out", tmp_path / "d", "--models", tmp_path / "m"))
        assert "disk is full" in sentence
        assert "make room" in sentence

    @pytest.mark.parametrize(
        "where",
        [
            *("conversations.Conversations.turns", "prepare._encode"),
            *("prepare.write_report", "prepare.os.replace"),
        ],
    )
    def test_so_is_one_that_is_full_later_and_the_next_run_is_whole(
        self, tmp_path: Path, server: Path, monkeypatch: pytest.MonkeyPatch, where: str
    ) -> None:
        def full(*arguments: object) -> None:
            raise OSError(28, "No space left on device")

        command = ("prepare", server, "--out", tmp_path / "d", "--models", tmp_path / "m")
        with monkeypatch.context() as patch:
            patch.setattr(f"training.{where}", full)
            sentence = refused(call(*command))
        assert sentence == (
            f"{tmp_path / 'd'} cannot be written (No space left on device): make room there, or choose another folder."
        )
        with pytest.raises(DatasetError):
            Dataset.open(tmp_path / "d")
        assert not (tmp_path / "d" / ".building").exists()
        assert call(*command).exit_code == 0
        assert replies(tmp_path / "d") == {"it is me in general", "it is me in art"}

    def test_retrain_keeps_the_dataset_where_it_is_told_and_reads_only_what_is_new(
        self, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        options = ["--models", tmp_path / "m", "--preset", "classic", "--epochs", "1", "--data", tmp_path / "data"]
        assert call("retrain", small, *options).exit_code == 0
        assert len(Dataset.open(tmp_path / "data").train)

        def read_again(*arguments: object) -> None:
            raise AssertionError

        monkeypatch.setattr("training.reading._read", read_again)
        assert call("retrain", small, *options).exit_code == 0
        assert len([path for path in (tmp_path / "m").iterdir() if path.is_dir()]) >= 2

    def test_retrain_takes_the_options_of_prepare(self, small: Path, tmp_path: Path) -> None:
        options = ["--models", tmp_path / "m", "--preset", "classic", "--epochs", "1", "--not-channel", "c1*"]
        result = call("retrain", small, *options, "--workers", "0", "--language", "en")
        assert result.exit_code == 0, result.output
        assert "left out: channel left out" in result.stdout


def replies(data: Path) -> set[str]:
    """All replies of a dataset, of one that is too small to hold some out."""
    dataset = Dataset.open(data)
    return {dataset.tokenizer.decode(dataset.train.replies[row].tolist()) for row in range(len(dataset.train))}


class TestBadInput:
    def test_a_missing_export(self, tmp_path: Path) -> None:
        sentence = refused(call("retrain", tmp_path / "no.json", "--models", tmp_path / "m", "--preset", "base"))
        assert "no.json" in sentence

    @pytest.mark.parametrize("content", [b"", b"hello, I am a diary", b"\x89PNG\r\n\x1a\n" + b"\0" * 50, b'{"a": 1}'])
    def test_an_empty_file_or_one_of_another_format(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "export.json").write_bytes(content)
        sentence = refused(call("prepare", tmp_path / "export.json", "--out", tmp_path / "d", "--preset", "base"))
        assert "export.json" in sentence
        assert not (tmp_path / "d").exists()

    def test_no_exchange_to_learn_from(self, tmp_path: Path) -> None:
        record = {"conversation": "c", "id": "1", "author": "a", "timestamp": None, "content": "hm", "reply_to": None}
        (tmp_path / "e.jsonl").write_text(json.dumps(record) + "\n")
        assert "no exchange" in refused(call("prepare", tmp_path / "e.jsonl", "--out", tmp_path / "d"))

    def test_a_truncated_export_gives_what_came_before_and_says_so(self, small: Path, tmp_path: Path) -> None:
        (tmp_path / "e.gz").write_bytes(gzip.compress(small.read_bytes())[:-300])
        result = call("prepare", tmp_path / "e.gz", "--out", tmp_path / "d", "--preset", "base")
        assert result.exit_code == 0, result.output
        assert "Note:" in result.stderr
        assert "e.gz" in result.stderr
        assert 50 < len(Dataset.open(tmp_path / "d").train) < 120

    def test_a_models_folder_that_cannot_be_made(self, small: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        assert "file" in refused(call("retrain", small, "--models", tmp_path / "file" / "m", "--preset", "base"))

    def test_an_output_folder_that_cannot_be_made(self, small: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        assert "file" in refused(call("prepare", small, "--out", tmp_path / "file" / "d", "--preset", "base"))

    def test_a_damaged_model_to_start_from(self, small: Path, trained: Path) -> None:
        weights = live_bundle(trained) / bundle.WEIGHTS
        weights.write_bytes(weights.read_bytes()[:-1])
        assert "damaged" in refused(call("retrain", small, "--models", trained, "--from", "current"))

    def test_a_model_of_an_older_version_to_start_from(self, small: Path, tmp_path: Path) -> None:
        (tmp_path / "m" / "1").mkdir(parents=True)
        (tmp_path / "m" / "1" / bundle.HEAD).write_text('{"format": 3}')
        (tmp_path / "m" / "current").write_text("1")
        sentence = refused(call("retrain", small, "--models", tmp_path / "m", "--from", "current"))
        assert "was made by an older Chinwag (it has format 3, not 4): train it again" in sentence

    def test_a_missing_model_to_start_from(self, small: Path, tmp_path: Path) -> None:
        sentence = refused(call("retrain", small, "--models", tmp_path / "m", "--from", tmp_path / "nothing"))
        assert "missing" in sentence

    def test_a_dataset_prepared_for_another_model(self, small: Path, trained: Path, tmp_path: Path) -> None:
        other = shutil.copytree(live_bundle(trained), tmp_path / "other")
        call("prepare", write_corpus(tmp_path / "c.jsonl", 70, seed=5), "--out", tmp_path / "d", "--preset", "base")
        sentence = refused(call("train", tmp_path / "d", "--models", trained, "--from", other))
        assert "another vocabulary" in sentence

    def test_both_a_preset_and_a_model_to_start_from(self, small: Path, tmp_path: Path) -> None:
        result = call("retrain", small, "--models", tmp_path / "m", "--preset", "base", "--from", "base")
        assert result.exit_code == 2
        assert "not both" in result.stderr

    def test_an_install_without_the_training_extra(
        self, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in [name for name in sys.modules if name.startswith(("training.retrain", "training.train"))]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "keras", None)
        assert ".[train]" in refused(call("retrain", small, "--models", tmp_path / "m", "--preset", "base"))


def test_help_needs_no_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tensorflow", "keras", "onnx", "msgspec"):
        monkeypatch.setitem(sys.modules, name, None)
    result = call("--help")
    assert result.exit_code == 0
    assert all(command in result.stdout for command in ("retrain", "prepare", "train", "evaluate", "pretrain"))


def test_pretrain_reads_the_corpus_package_and_replaces_the_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site" / "chitchat_dataset"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    said = [[("a", "hi"), ("a", "you there?")], [("b", "yes")], [("a", "good")]]
    when = "2018-05-02T19:38:15Z"
    turns = [[{"sender": sender, "text": text, "timestamp": when} for sender, text in turn] for turn in said]
    (package / "dataset.json").write_text(json.dumps({f"c{n}": {"messages": turns} for n in range(30)}))
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.delitem(sys.modules, "chitchat_dataset", raising=False)
    write_pretraining_corpus(tmp_path / "corpus.jsonl")
    first = json.loads((tmp_path / "corpus.jsonl").read_text().splitlines()[2])
    assert first == {
        "conversation": "c0",
        "id": "c0:2",
        "author": "b",
        "timestamp": "2018-05-02T19:38:15Z",
        "content": "yes",
        "reply_to": None,
    }
    out = tmp_path / "shipped"
    out.mkdir()
    (out / "MODEL_CARD.md").write_text("keep me")

    def write_page(bundle: Path, *arguments: object, **options: object) -> Path:
        page = bundle.with_name("page.html")
        page.write_text("about the run")
        return page

    monkeypatch.setattr("training.retrain.report_run", write_page)
    more = write_corpus(tmp_path / "more.jsonl", conversations=40)
    result = call("pretrain", more, "--out", out, "--epochs", "1")
    assert result.exit_code == 0, result.output
    network, facts = Bundle.open(out, training=True).facts.network, Bundle.open(out, training=True).facts.training
    assert network["dropout"] == 0 < PRESETS["base"].network["dropout"]
    assert (out / TRAINING).exists()
    assert facts["dataset"]["counts"]["examples"] == 60  # the second stage's: of the package alone
    assert facts["dataset"]["max_context_tokens"] == 96
    assert facts["started_from"]
    assert (facts["config"]["decay"], facts["config"]["anchor"]) == ("linear", 0)
    assert (out / "MODEL_CARD.md").read_text() == "keep me"
    left = {"corpus.jsonl", "more.jsonl", "shipped", "shipped.html", "site"}
    assert {path.name for path in tmp_path.iterdir()} == left


class TestSeveralMachines:
    CHIEF, HELPER = (
        json.dumps({"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": index}})
        for index in range(2)
    )

    @pytest.fixture
    def data(self, dataset_directory: Path, tmp_path: Path) -> Path:
        return shutil.copytree(dataset_directory, tmp_path / "data")

    @pytest.fixture
    def asked(self, monkeypatch: pytest.MonkeyPatch) -> list[SimpleNamespace]:
        """What the training is asked for; it is that of a process which only helps."""
        asked: list[SimpleNamespace] = []

        def retrain(dataset: Dataset, models: Path, *arguments: Any, **options: Any) -> None:
            asked.append(SimpleNamespace(models=models, **options))

        monkeypatch.setattr("training.retrain.retrain", retrain)
        return asked

    def test_one_that_helps_is_not_kept_out_by_the_chief_of_the_same_folders(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[SimpleNamespace]
    ) -> None:
        (data / "checkpoint").mkdir()
        command = ("train", data, "--preset", "classic", "--models", tmp_path / "models")
        with locked(data / "checkpoint"):
            monkeypatch.setenv("TF_CONFIG", self.CHIEF)
            assert "Another process is at work" in refused(call(*command))
            monkeypatch.setenv("TF_CONFIG", self.HELPER)
            result = call(*command)
        assert (result.exit_code, len(asked)) == (0, 1)
        assert "This machine's part is done" in result.stdout
        assert asked[0].models != tmp_path / "models"
        assert asked[0].checkpoint.parent != data

    def test_a_crew_is_told_where_the_data_lies_and_checkpoints_go_where_they_are_wanted(
        self, data: Path, asked: list[SimpleNamespace]
    ) -> None:
        command = ("train", data, "--preset", "classic", "--ray", "auto", "--workers", 3)
        assert call(*command, "--checkpoints", "s3://bucket/run").exit_code == 0
        assert asked[0].crew == Crew("auto", 3, data)
        assert asked[0].checkpoint == "s3://bucket/run"

    def test_workers_without_machines_are_refused(self, data: Path, asked: list[SimpleNamespace]) -> None:
        result = call("train", data, "--workers", 2)
        assert (result.exit_code, asked) == (2, [])
        assert "machines of a Ray" in result.stderr
