"""Machines that train together: of these tests, processes of one Ray on this machine."""

import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from model import ChinwagError
from model.seq2seq import Seq2Seq, Seq2SeqConfig, build
from training import crew
from training.crew import Crew
from training.dataset import Dataset
from training.presets import TrainingConfig
from training.train import Evaluation, train

CONFIG = TrainingConfig(learning_rate=1e-2, epochs=2.2, batch_size=31, clip_norm=0.5, context_dropout=0.2, anchor=2.0)


def untrained(dataset: Dataset) -> Seq2Seq:
    keras.utils.set_random_seed(0)
    shape = {"embedding_dim": 8, "encoder_units": 6, "bidirectional": False, "decoder_layers": 1}
    return build(Seq2SeqConfig(vocabulary_size=dataset.tokenizer.vocabulary_size, **shape))


def trainers() -> list[int]:
    """The processes of this user in which Ray trains."""
    named = ((path, path.joinpath("cmdline")) for path in Path("/proc").iterdir() if path.name.isdecimal())
    return [int(path.name) for path, line in named if line.exists() and b"RayTrainWorker" in line.read_bytes()]


@pytest.mark.parametrize(
    ("workers", "machines", "processors"),
    [(2, [8, 8], 8), (4, [8, 8], 4), (3, [8, 8], 4), (1, [2], 2), (3, [4, 2, 16], 2)],
)
def test_workers_share_the_processors_of_the_smallest_machine(
    workers: int, machines: list[int], processors: int
) -> None:
    assert crew._processors(cluster_of(machines), workers) == processors


def test_more_workers_than_processors_are_a_plain_sentence() -> None:
    with pytest.raises(ChinwagError, match="9 workers cannot train on 8 processors: name fewer"):
        crew._processors(cluster_of([4, 4]), 9)


def cluster_of(machines: list[int]) -> Any:
    pytest.importorskip("ray", reason="needs the extra: pip install -e '.[train,cluster,test]'")
    return SimpleNamespace(processors=sum(machines), machines=[{"Resources": {"CPU": count}} for count in machines])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Ray's own settings
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks for the processes in /proc")
def test_two_workers_of_which_one_is_killed_learn_what_one_process_does(
    ray: str, dataset_directory: Path, dataset: Dataset, tmp_path: Path
) -> None:
    alone, together, notes = untrained(dataset), untrained(dataset), list[str]()
    expected = train(alone, dataset, CONFIG)
    before, killed = set(trainers()), list[int]()

    def kill_one(evaluation: Evaluation, samples: Any) -> None:
        assert len(samples) == 3
        while not killed and not list(tmp_path.iterdir()):
            time.sleep(0.05)
        if not killed:
            killed.extend(sorted({*trainers()} - before)[-1:])
            os.kill(killed[0], signal.SIGKILL)

    history = Crew(ray, 2, dataset_directory).train(
        together, dataset, CONFIG, checkpoint=f"file://{tmp_path}", on_evaluation=kill_one, on_note=notes.append
    )
    assert killed
    (note,) = notes
    assert note.startswith("Going on from the checkpoint")
    assert len(history.evaluations) == len(expected.evaluations) == 3
    for mine, other in zip(history.evaluations, expected.evaluations, strict=True):
        assert (mine.step, mine.tokens) == (other.step, other.tokens)
        np.testing.assert_allclose(
            [mine.train_loss, mine.validation_loss], [other.train_loss, other.validation_loss], rtol=1e-5
        )
    for mine, other in zip(together.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-4)
