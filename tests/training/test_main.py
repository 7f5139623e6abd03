"""The command line as an admin meets it."""

import gzip
import json
import shutil
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from model import bundle
from model.bundle import Bundle, live_bundle
from tests.training.conftest import write_corpus
from training import train as loop
from training.__main__ import app
from training.dataset import Dataset
from training.presets import Preset
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
def _uncompiled(monkeypatch: pytest.MonkeyPatch, tiny_presets: dict[str, Preset]) -> None:
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


def test_retrain_publishes_a_model_that_says_what_it_is(trained: Path) -> None:
    facts = Bundle.open(live_bundle(trained)).facts
    assert facts.preset == "classic"
    assert facts.training["dataset"]["counts"]["conversations"] == 60
    assert facts.training["figures"]["perplexity"] > 1
    assert facts.training["config"]["seed"] == 0
    assert sorted(path.name for path in trained.iterdir()) == sorted(["current", live_bundle(trained).name])
    assert "corpus.jsonl" not in json.dumps(facts.training)  # what, never who


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
    result = call("evaluate", tmp_path / "data", "--models", models, "--samples", "2")
    assert result.exit_code == 0, result.output
    figures = Bundle.open(live_bundle(models)).facts.training["figures"]
    assert f"perplexity per word {figures['perplexity']:.1f}" in result.stdout
    assert result.stdout.count("human: ") == 2


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
    monkeypatch.setattr("training.prepare.examples_of", interrupt)
    assert "nothing was changed" in refused(call("retrain", small, "--models", trained, "--preset", "base"))
    assert live_bundle(trained) == before
    assert len(list(trained.iterdir())) == 2


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
    result = call("pretrain", "--out", out, "--epochs", "1")
    assert result.exit_code == 0, result.output
    assert Bundle.open(out).facts.training["dataset"]["counts"]["examples"] == 60
    assert (out / "MODEL_CARD.md").read_text() == "keep me"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus.jsonl", "shipped", "site"]
