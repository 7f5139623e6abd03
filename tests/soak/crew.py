"""Processes of a Ray are killed while they prepare and train: `python tests/soak/crew.py [--kills 8]` (Linux).

A Ray is started on this machine. It prepares made-up chat while its processes are killed at random, and the dataset is
compared, byte by byte, with one that was prepared without; then two of its processes train together and one of them is
killed at random moments, and losses and weights are compared with those of one process that is left alone. Last of
all a dataset that is none is named, to see that the machines' error arrives. Needs the extras `train` and `cluster`.
"""

import argparse
import contextlib
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
os.environ["PYTHONPATH"] = str(ROOT)

from training.loading import load_tensorflow  # noqa: E402

load_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402

from model.seq2seq import Seq2Seq, Seq2SeqConfig, build  # noqa: E402
from tests.benchmarks.prepare import write_export  # noqa: E402
from training.cluster import LOCAL  # noqa: E402
from training.crew import Crew  # noqa: E402
from training.dataset import Dataset, DatasetError  # noqa: E402
from training.prepare import prepare  # noqa: E402
from training.presets import TrainingConfig  # noqa: E402
from training.train import History, train  # noqa: E402

EXPORT_BYTES = 160_000_000
CONFIG = TrainingConfig(optimizer="adam", learning_rate=2e-3, epochs=1.5, batch_size=64, context_dropout=0.1)
SHAPE: dict[str, Any] = {"embedding_dim": 64, "encoder_units": 64, "bidirectional": False, "decoder_layers": 1}


class Killer:
    """Kills processes of this one's family that have a word in their names, at random moments."""

    def __init__(self, word: bytes, kills: int, longest: float) -> None:
        self._word, self._kills, self._longest = word, kills, longest
        self._over = threading.Event()
        self.killed = 0

    def __enter__(self) -> "Killer":
        self._thread = threading.Thread(target=self._kill)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _kill(self) -> None:
        rng = random.Random(0)
        while self.killed < self._kills and not self._over.wait(rng.uniform(0.2, 1.0) * self._longest):
            if found := list(self._found()):
                os.kill(rng.choice(found), signal.SIGKILL)
                self.killed += 1

    def _found(self) -> Iterator[int]:
        todo = [os.getpid()]
        while todo:
            pid = todo.pop()
            with contextlib.suppress(OSError):
                for thread in Path(f"/proc/{pid}/task").iterdir():
                    todo += map(int, (thread / "children").read_text().split())
                if self._word in Path(f"/proc/{pid}/cmdline").read_bytes():
                    yield pid


def dataset_of(export: Path, out: Path, **options: Any) -> dict[str, bytes]:
    """Its files, but for what remembers how it came about."""
    begin = time.perf_counter()
    prepare([export], out, **options)
    print(f"{out.name}: prepared in {time.perf_counter() - begin:.1f} s", flush=True)
    kept = (path for path in out.iterdir() if not path.name.startswith((".lock", "messages.sqlite")))
    return {path.name: path.read_bytes() for path in kept}


def learned(learn: Callable[..., History], dataset: Dataset, checkpoint: Path) -> tuple[History, Seq2Seq]:
    """What a run gives, from the same weights each time."""
    begin = time.perf_counter()
    keras.utils.set_random_seed(0)
    network = build(Seq2SeqConfig(vocabulary_size=dataset.tokenizer.vocabulary_size, **SHAPE))
    checkpoint.mkdir()
    history = learn(network, dataset, CONFIG, checkpoint=checkpoint, on_note=print)
    print(
        f"{checkpoint.name}: {len(history.evaluations)} evaluations in {time.perf_counter() - begin:.1f} s", flush=True
    )
    return history, network


def soak(folder: Path, kills: int) -> None:
    export, data = folder / "export.json", folder / "alone.data"
    write_export(export, EXPORT_BYTES)
    expected = dataset_of(export, data)
    with Killer(b"ray::_do", kills, 4.0) as killer:
        found = dataset_of(export, folder / "killed.data", ray=LOCAL)
    assert found == expected, [name for name in expected if found.get(name) != expected[name]]
    print(f"Prepared to the same bytes with {killer.killed} processes killed.")

    dataset = Dataset.open(data)
    alone, weights = learned(train, dataset, folder / "alone")
    with Killer(b"RayTrainWorker", kills, 60.0) as killer:
        together, others = learned(Crew(LOCAL, 2, data).train, dataset, folder / "killed")
    for mine, other in zip(together.evaluations, alone.evaluations, strict=True):
        assert mine.step == other.step
        np.testing.assert_allclose(
            [mine.train_loss, mine.validation_loss], [other.train_loss, other.validation_loss], rtol=1e-3
        )
    apart = max(
        np.abs(mine - other).max() for mine, other in zip(others.get_weights(), weights.get_weights(), strict=True)
    )
    losses = [history.evaluations[-1].validation_loss for history in (together, alone)]
    print(
        f"Trained to a validation loss of {losses[0]:.6f} with {killer.killed} processes killed, {losses[1]:.6f} "
        f"alone; the weights differ by {apart:.1e} at most."
    )

    (folder / "none").mkdir()
    try:
        learned(Crew(LOCAL, 2, folder / "none").train, dataset, folder / "failed")
    except DatasetError as error:
        print(f"As it should be: {error}")
    else:
        raise AssertionError("a dataset that is none was learned")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=8, help="in each part, as long as it lasts")
    with tempfile.TemporaryDirectory() as folder:
        soak(Path(folder), parser.parse_args().kills)


if __name__ == "__main__":
    main()
