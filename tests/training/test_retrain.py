"""What is published, and what is not."""

import math
import os
import re
import shutil
import subprocess
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from safetensors import SafetensorError
from typer.testing import CliRunner, Result

from model.bundle import (
    COPIES,
    PRETRAINED,
    TOKENIZER,
    BundleFacts,
    bundles,
    live_bundle,
    publish,
    report_of,
    staging,
)
from model.copies import CopyIndex
from model.onnx_graph import export
from model.seq2seq import Seq2Seq, Seq2SeqConfig, build
from model.tokenizer import END, Tokenizer
from training import retrain as module
from training import train as loop
from training.__main__ import _seconds, app
from training.dataset import Dataset
from training.evaluate import evaluate
from training.gate import bits_per_byte
from training.presets import Preset
from training.run_report import RunReport, write_run_report


def network(vocabulary_size: int) -> Seq2Seq:
    keras.utils.set_random_seed(4)
    return build(Seq2SeqConfig(vocabulary_size=vocabulary_size, embedding_dim=12, encoder_units=10))


def bundle_of(made: Seq2Seq, tokenizer: Tokenizer, models: Path) -> Path:
    facts = BundleFacts(
        preset="base", network=asdict(made.config), max_context_tokens=48, max_reply_tokens=48, training={}
    )
    with staging(models) as staged:
        export(made, staged, quantized=False)
        (staged / TOKENIZER).write_bytes(tokenizer.to_bytes())
        CopyIndex().save(staged / COPIES)
        return publish(staged, facts)


class TestGate:
    def test_it_measures_what_evaluate_measures(self, dataset: Dataset, tmp_path: Path) -> None:
        bundle = bundle_of(network(dataset.tokenizer.vocabulary_size), dataset.tokenizer, tmp_path)
        assert bits_per_byte(bundle, dataset) == pytest.approx(evaluate(bundle, dataset).bits_per_byte)

    def test_a_model_with_another_vocabulary_is_asked_for_the_same_texts(
        self, dataset: Dataset, tmp_path: Path
    ) -> None:
        tokenizer = Tokenizer.train(["where is the kettle", "under the stairs", "thanks a lot"], vocabulary_size=300)
        indifferent = network(tokenizer.vocabulary_size)
        indifferent.set_weights([np.zeros_like(array) for array in indifferent.get_weights()])
        replies = dataset.validation.replies
        texts = [dataset.tokenizer.decode(replies[row].tolist()) for row in range(len(replies))]
        assert all(replies[row][-1] == END for row in range(len(replies)))
        bits = sum(len(tokenizer.encode(text)) + 1 for text in texts) * math.log2(tokenizer.vocabulary_size)
        expected = bits / sum(len(text.encode()) + 1 for text in texts)
        assert bits_per_byte(bundle_of(indifferent, tokenizer, tmp_path), dataset) == pytest.approx(expected, rel=1e-5)


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


class Quick:
    """Nothing is trained, and measuring is left out."""

    @pytest.fixture
    def data(self, dataset_directory: Path, tmp_path: Path, tiny_presets: dict[str, Preset]) -> Path:
        return shutil.copytree(dataset_directory, tmp_path / "data")

    @pytest.fixture(autouse=True)
    def _quickly(self, monkeypatch: pytest.MonkeyPatch, pageless: None) -> None:
        def untrained(*arguments: Any, **options: Any) -> loop.History:
            options["checkpoint"].mkdir(exist_ok=True)
            options["checkpoint"].joinpath("run.safetensors").touch()
            return loop.History()

        monkeypatch.setattr(module, "train", untrained)
        figures = dict.fromkeys(["perplexity", "token_perplexity", "f1", "bleu", "distinct_1", "distinct_2"], 1.0)
        figures |= {"reply_words": 1.0, "dullness": 0.1, "copy_rate": 0.0}
        measured = module.Figures(replies=1, words=1, bytes=1, bits_per_byte=2.0, **figures)
        monkeypatch.setattr(module, "evaluate", lambda *arguments: measured)


class TestPublishing(Quick):
    def test_a_model_that_is_worse_is_kept_but_not_published(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = []

        def better(directory: Path, dataset: Dataset) -> float:
            asked.append(directory)
            return 1.9

        monkeypatch.setattr(module, "bits_per_byte", better)
        models = tmp_path / "models"
        result = call("train", data, "--preset", "classic", "--models", models)
        assert result.exit_code == 1
        assert asked == [PRETRAINED]
        (kept,) = models.iterdir()
        (sentence,) = [line for line in result.stderr.splitlines() if line.startswith("Not published")]
        assert "1.900 bits a byte to 2.000" in sentence
        assert str(kept) in sentence
        assert live_bundle(models) == PRETRAINED
        assert not (data / "checkpoint").exists()

    @pytest.mark.parametrize("rival", [2.0, 2.1])
    def test_a_model_that_is_no_worse_is_published(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rival: float
    ) -> None:
        monkeypatch.setattr(module, "bits_per_byte", lambda *arguments: rival)
        result = call("train", data, "--preset", "classic", "--models", tmp_path / "models")
        assert result.exit_code == 0, result.output
        assert f"Published {live_bundle(tmp_path / 'models')}" in result.stdout
        assert not (data / "checkpoint").exists()

    def test_force_asks_nobody(self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "bits_per_byte", None)
        result = call("train", data, "--preset", "classic", "--models", tmp_path / "models", "--force")
        assert result.exit_code == 0, result.output
        assert live_bundle(tmp_path / "models") != PRETRAINED

    def test_a_live_model_that_cannot_be_read_is_replaced_and_that_is_said(self, data: Path, tmp_path: Path) -> None:
        models = tmp_path / "models"
        (models / "old").mkdir(parents=True)
        (models / "current").write_text("old")
        result = call("train", data, "--preset", "classic", "--models", models)
        assert result.exit_code == 0, result.output
        assert "without a comparison" in result.stderr
        assert live_bundle(models) != models / "old"


def full(*arguments: object, **options: object) -> None:
    raise OSError(28, "No space left on device")


def full_for_weights(*arguments: object, **options: object) -> None:
    raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")


def exhausted(*arguments: object, **options: object) -> None:
    raise type("ResourceExhaustedError", (Exception,), {})("OOM when allocating tensor")


def greedy(*arguments: object, **options: object) -> None:
    raise MemoryError


class TestDisasters(Quick):
    """Each is one plain sentence; the live model stays live, and the same command goes on."""

    @pytest.fixture
    def models(self, dataset: Dataset, tmp_path: Path) -> Path:
        bundle_of(network(dataset.tokenizer.vocabulary_size), dataset.tokenizer, tmp_path / "models")
        return tmp_path / "models"

    @pytest.mark.parametrize(
        ("where", "function", "said"),
        [
            ("model.onnx_graph.save_file", full_for_weights, "The model cannot be written to "),
            ("model.onnx_graph.onnx.save", full, "The model cannot be written to "),
            ("model.copies.CopyIndex.save", full, "The model cannot be written to "),
            ("model.bundle._sync", full, "The model cannot be written to "),
            ("model.bundle._point", full, "The model cannot be written to "),
            ("training.retrain._copies", greedy, "Memory ran out: "),
            ("training.retrain.evaluate", exhausted, "Memory ran out: "),
            ("training.retrain.evaluate", full, "A file cannot be written (No space left on device): make room "),
        ],
    )
    def test_one_in_the_making_of_a_model(
        self, data: Path, models: Path, monkeypatch: pytest.MonkeyPatch, where: str, function: Any, said: str
    ) -> None:
        before, command = live_bundle(models), ("train", data, "--preset", "classic", "--models", models, "--force")
        with monkeypatch.context() as patch:
            patch.setattr(where, function)
            result = call(*command)
        assert result.exit_code == 1, result.output
        assert isinstance(result.exception, SystemExit)  # no traceback
        sentence = result.stderr.splitlines()[-1]
        assert sentence.startswith(said)
        assert "make room " in sentence or "free" in sentence or "end other programs" in sentence
        assert live_bundle(models) == before
        assert not list(models.glob(".*"))
        assert (data / "checkpoint").exists()
        result = call(*command)
        assert result.exit_code == 0, result.output
        assert live_bundle(models) != before
        assert not (data / "checkpoint").exists()

    def test_a_page_that_finds_no_room_is_done_without(
        self, data: Path, models: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def write_page(bundle: Path, *arguments: Any, **options: Any) -> None:
            report = RunReport(**{each.name: None for each in fields(RunReport)} | {"name": "x"})  # type: ignore[arg-type]
            monkeypatch.setattr("training.run_report.os.replace", full)
            write_run_report(report_of(bundle), report)

        for name in ("section", "page", "_head", "_curves_in_words", "curves", "figures", "_samples", "_attentions"):
            monkeypatch.setattr(f"training.run_report.{name}", lambda *arguments, **options: "")
        for name in ("_data_in_words", "_data"):
            monkeypatch.setattr(f"training.run_report.{name}", lambda *arguments: "")
        monkeypatch.setattr(module, "report_run", write_page)
        result = call("train", data, "--preset", "classic", "--models", models, "--force")
        assert result.exit_code == 0, result.output
        assert "The page about the run could not be made (OSError: [Errno 28] No space left" in result.stderr
        assert not [path for path in models.iterdir() if "html" in path.name]

    def test_a_second_trainer_is_refused_until_the_first_one_is_killed(
        self, data: Path, corpus: Path, models: Path
    ) -> None:
        """Whether it would learn the same or not."""
        retrain_ = ["retrain", str(corpus), "--models", str(models), "--preset", "classic", "--force"]
        train_ = ["train", str(data), *retrain_[2:]]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        first = subprocess.Popen(
            [sys.executable, "-c", _AT_WORK, *retrain_], stdout=subprocess.PIPE, text=True, env=environment
        )
        with first:
            assert first.stdout is not None
            assert first.stdout.readline() == "at work\n"
            for command, place in ((retrain_, ".retrain"), (train_, ".new")):
                result = call(*command)
                assert result.exit_code == 1, result.output
                sentence = f"Another process is at work in {models / place}: wait for it, or end it."
                assert result.stderr.splitlines()[-1] == sentence
            first.kill()
        before = live_bundle(models)
        for command in (retrain_, train_):
            result = call(*command)
            assert result.exit_code == 0, result.output
        assert len(bundles(models)) == 3
        assert live_bundle(models) != before
        assert not list(models.glob(".*"))


_AT_WORK = """
import time
from pathlib import Path
from model.bundle import staging
import training.__main__ as program

def work(exports, data, start, models, *arguments, **options):
    with staging(models):
        print("at work", flush=True)
        time.sleep(60)

program._prepare = work
program.app()
"""


def test_a_run_that_broke_off_goes_on_and_shows_how_it_gets_on(
    dataset_directory: Path, tmp_path: Path, tiny_presets: dict[str, Preset], monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off(*arguments: object) -> tuple[float, float]:
        raise RuntimeError

    data, models = shutil.copytree(dataset_directory, tmp_path / "data"), tmp_path / "models"
    command = ("train", data, "--preset", "classic", "--models", models, "--epochs", "1.2", "--force")
    monkeypatch.setattr(loop, "_SAVE_INTERVAL", 0.0)
    monkeypatch.setattr(loop, "_COMPILE_FROM_STEPS", 10**9)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "_evaluate", break_off)
        assert isinstance(call(*command).exception, RuntimeError)
    assert (data / "checkpoint").exists()
    result = call(*command)
    assert result.exit_code == 0, result.output
    assert re.search(r"Going on from the checkpoint in .*data/checkpoint. Step 24 of \d\d is done", result.stderr)
    shown = [line for line in result.stdout.splitlines() if line.startswith("step ")]
    assert re.match(r"step +25  epoch 1.\d+  loss \d.* validation loss \d.* perplexity .* accuracy .* rate", shown[0])
    assert result.stdout.count("model: ") == 3 * len(shown)
    assert not (data / "checkpoint").exists()


class TestTimeLimit:
    @pytest.mark.parametrize("nonsense", ["soon", "30", "-5m", "0s", "1d", "m"])
    def test_what_is_no_duration_is_refused_with_what_is_one(self, tmp_path: Path, nonsense: str) -> None:
        result = call("train", tmp_path, f"--time-limit={nonsense}")
        assert result.exit_code == 2
        assert "90s, 30m or 2h" in result.stderr

    @pytest.mark.parametrize(("written", "seconds"), [("90s", 90), ("30m", 1800), ("1.5h", 5400), (" 2 H ", 7200)])
    def test_durations_are_written_as_people_write_them(self, written: str, seconds: float) -> None:
        assert _seconds(written) == seconds
