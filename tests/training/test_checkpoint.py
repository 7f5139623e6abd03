"""A run that is killed goes on as if it had not been."""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from safetensors import SafetensorError

from model.seq2seq import Seq2Seq, Seq2SeqConfig, build
from training import train as loop
from training.checkpoint import Checkpoint, CheckpointError, Snapshot, fingerprint
from training.dataset import Dataset
from training.plan import Plan
from training.presets import TrainingConfig
from training.train import History, conclude, train

CONFIG = TrainingConfig(learning_rate=1e-2, epochs=2.5, batch_size=32, context_dropout=0.3, seed=3)


def run(data: Path, checkpoint: Path | None, config: TrainingConfig = CONFIG) -> tuple[History, Seq2Seq, list[str]]:
    """Train a small network with dropout, evaluating and saving much more often than one should; and what was noted."""
    loop._SMALLEST_EVALUATION_INTERVAL, loop._EVALUATIONS_PER_EPOCH = 4, 100
    loop._COMPILE_FROM_STEPS, loop._SAVE_INTERVAL = 10**9, 0.0
    dataset, notes = Dataset.open(data), []
    keras.utils.set_random_seed(config.seed)
    shape = {"embedding_dim": 12, "encoder_units": 10, "bidirectional": False, "decoder_layers": 1, "dropout": 0.3}
    network = build(Seq2SeqConfig(vocabulary_size=dataset.tokenizer.vocabulary_size, **shape))
    history = train(
        network,
        dataset,
        config,
        checkpoint=checkpoint,
        on_evaluation=lambda evaluation, _: print(evaluation.step, flush=True),
        on_note=notes.append,
    )
    return history, network, notes


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `run` sets is set back."""
    names = ("_SMALLEST_EVALUATION_INTERVAL", "_EVALUATIONS_PER_EPOCH", "_COMPILE_FROM_STEPS", "_SAVE_INTERVAL")
    for name in names:
        monkeypatch.setattr(loop, name, getattr(loop, name))


def test_a_run_killed_anywhere_goes_on_to_the_same_losses_and_weights(dataset_directory: Path, tmp_path: Path) -> None:
    program = (
        f"from tests.training.test_checkpoint import *; run(Path({str(dataset_directory)!r}), Path({str(tmp_path)!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    rng = random.Random(time.time_ns())
    for _ in range(rng.randint(1, 8)):
        assert process.stdout.readline()
    time.sleep(rng.random() / 10)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()

    unbroken, expected, _ = run(dataset_directory, None)
    history, network, notes = run(dataset_directory, tmp_path)
    assert len(notes) == 1
    assert notes[0].startswith("Going on from")
    assert history == unbroken
    assert len(history.evaluations) > 10
    for mine, other in zip(network.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)

    keras.utils.set_random_seed(CONFIG.seed)
    learned = build(network.config)
    assert conclude(learned, Dataset.open(dataset_directory), CONFIG, tmp_path) == unbroken
    assert all(map(np.array_equal, learned.get_weights(), expected.get_weights()))

    history, network, _ = run(dataset_directory, tmp_path)  # once more: nothing is left to do
    assert history == unbroken
    assert all(map(np.array_equal, network.get_weights(), expected.get_weights()))


@pytest.mark.parametrize("change", [{"seed": 4}, {"learning_rate": 2e-2}, {"epochs": 0.4}])
def test_whatever_decides_how_a_run_goes_is_part_of_what_it_is(dataset: Dataset, change: dict[str, Any]) -> None:
    shape = Seq2SeqConfig(vocabulary_size=dataset.tokenizer.vocabulary_size, embedding_dim=4, encoder_units=3)
    keras.utils.set_random_seed(0)
    network, other_weights = build(shape), build(shape)

    def identity(data: Dataset, config: TrainingConfig = CONFIG, network: Seq2Seq = network) -> str:
        return loop._identity(network, data, Plan.of(data.train, config))

    others = [
        identity(dataset, replace(CONFIG, **change)),
        identity(replace(dataset, validation=dataset.train)),
        identity(dataset, network=other_weights),
    ]
    assert identity(dataset, replace(CONFIG)) == identity(dataset)
    assert identity(dataset) not in others


class TestCheckpoint:
    SNAPSHOT = Snapshot(
        {"step": 7, "loss": 0.1 + 0.2}, {"a": np.arange(6, dtype=np.float32), "b": np.array(5, np.int64)}
    )

    def test_what_is_saved_comes_back_to_the_bit(self, tmp_path: Path) -> None:
        Checkpoint(tmp_path / "new", "x").save(self.SNAPSHOT)
        snapshot, note = Checkpoint(tmp_path / "new", "x").load()
        assert snapshot is not None
        assert asdict(snapshot)["progress"] == self.SNAPSHOT.progress
        for name, array in self.SNAPSHOT.arrays.items():
            assert snapshot.arrays[name].dtype == array.dtype
            np.testing.assert_array_equal(snapshot.arrays[name], array)
        assert note.startswith("Going on")

    def test_one_of_another_run_is_not_taken_and_that_is_said(self, tmp_path: Path) -> None:
        Checkpoint(tmp_path, "x").save(self.SNAPSHOT)
        snapshot, note = Checkpoint(tmp_path, "y").load()
        assert snapshot is None
        assert "of another run" in note

    def test_where_none_is_there_is_nothing_to_say(self, tmp_path: Path) -> None:
        assert Checkpoint(tmp_path / "none", "x").load() == (None, "")

    @pytest.mark.parametrize("size", [0, 4, 100, -1])
    def test_a_damaged_one_is_not_taken_and_that_is_said(self, tmp_path: Path, size: int) -> None:
        checkpoint = Checkpoint(tmp_path, "x")
        checkpoint.save(self.SNAPSHOT)
        (path,) = tmp_path.iterdir()
        path.write_bytes(path.read_bytes()[:size])
        snapshot, note = checkpoint.load()
        assert snapshot is None
        assert "damaged" in note

    def test_a_failure_to_write_leaves_the_last_one(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(arrays: object, path: Path, about: object) -> None:
            path.write_bytes(b"half")
            raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

        checkpoint = Checkpoint(tmp_path, "x")
        checkpoint.save(self.SNAPSHOT)
        monkeypatch.setattr("training.checkpoint.save_file", full)
        with pytest.raises(CheckpointError, match=r"No space.*make room"):
            checkpoint.save(Snapshot({"step": 8}, {}))
        snapshot, _ = checkpoint.load()
        assert snapshot is not None
        assert snapshot.progress["step"] == 7
        assert len(list(tmp_path.iterdir())) == 1  # half of one would take what room there is

    def test_a_fingerprint_tells_settings_and_arrays_apart(self) -> None:
        array = np.arange(6, dtype=np.float32)
        same = fingerprint({"rate": 1.0, "seed": 2}, [array])
        assert same == fingerprint({"seed": 2, "rate": 1.0}, [array.copy()])
        others = [fingerprint({"rate": 1.0, "seed": 3}, [array]), fingerprint({"rate": 1.0, "seed": 2}, [array + 1])]
        assert len({same, *others}) == 3


class TestStore:
    """Checkpoints in a place that a URL names."""

    SNAPSHOT = TestCheckpoint.SNAPSHOT

    @pytest.fixture(params=["memory", "file"])
    def url(self, request: pytest.FixtureRequest, tmp_path: Path) -> str:
        pytest.importorskip("fsspec", reason="needs the extra: pip install -e '.[train,cluster,test]'")
        return f"{request.param}://{tmp_path}/new/run"

    def test_what_is_saved_comes_back_to_the_bit_until_it_is_deleted(self, url: str) -> None:
        Checkpoint(url, "x").save(Snapshot({}, {}))
        Checkpoint(url, "x").save(self.SNAPSHOT)
        snapshot, note = Checkpoint(url, "x").load()
        assert snapshot is not None
        assert snapshot.progress == self.SNAPSHOT.progress
        for name, array in self.SNAPSHOT.arrays.items():
            np.testing.assert_array_equal(snapshot.arrays[name], array)
        assert note.startswith("Going on")
        assert "of another run" in Checkpoint(url, "y").load()[1]
        Checkpoint(url, "x").delete()
        assert Checkpoint(url, "x").load() == (None, "")

    def test_a_url_is_where_it_lies_and_nothing_else_stays(self, url: str) -> None:
        from fsspec.core import url_to_fs

        Checkpoint(url, "x").save(self.SNAPSHOT)
        files, folder = url_to_fs(url)
        assert [Path(path).name for path in files.ls(folder, detail=False)] == ["run.safetensors"]

    def test_a_store_that_fails_is_not_taken_for_an_empty_one(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        memory = pytest.importorskip("fsspec.implementations.memory").MemoryFileSystem

        def fail(*arguments: object, **options: object) -> None:
            raise TimeoutError("no answer")

        for name in ("get_file", "put_file"):
            monkeypatch.setattr(memory, name, fail)
        checkpoint = Checkpoint(f"memory://{tmp_path}", "x")
        with pytest.raises(CheckpointError, match=r"memory://.* cannot be read \(no answer\): see"):
            checkpoint.load()
        with pytest.raises(CheckpointError, match=r"No checkpoint can be written to memory://.* \(no answer\): see"):
            checkpoint.save(self.SNAPSHOT)

    def test_an_unknown_kind_of_place_is_a_plain_sentence(self) -> None:
        pytest.importorskip("fsspec")
        with pytest.raises(CheckpointError, match=r"moon://x is no place for checkpoints .*name another URL"):
            Checkpoint("moon://x", "x")
