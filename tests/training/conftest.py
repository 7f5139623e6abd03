"""Fixtures of the training tests: a made-up corpus, a dataset of it, and a network small enough to train in seconds."""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from training.dataset import Dataset
from training.prepare import prepare
from training.presets import PRESETS, Preset

THINGS = ("kettle", "badger", "umbrella", "crumpet", "teapot", "bicycle", "lantern", "piano")
PLACES = ("in the attic", "by the canal", "under the stairs", "at the market", "on the roof", "in the shed")


def write_corpus(path: Path, conversations: int = 500, seed: int = 0) -> Path:
    """Write small talk in the normal form: whoever asks where a thing is, is told; some thank for it."""
    rng = random.Random(seed)
    with path.open("w", encoding="utf-8") as file:
        for number in range(conversations):
            thing, place = rng.choice(THINGS), rng.choice(PLACES)
            lines = [f"where is the {thing}?", f"the {thing} is {place}"]
            if rng.random() < 0.5:
                lines.append("thanks a lot")
            for position, line in enumerate(lines):
                record = {"conversation": f"c{number}", "id": f"{number}-{position}", "author": f"a{position % 2}"}
                file.write(json.dumps(record | {"timestamp": None, "content": line, "reply_to": None}) + "\n")
    return path


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "corpus.jsonl")


@pytest.fixture(scope="session")
def dataset_directory(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("prepared") / "data"
    prepare([corpus], directory, vocabulary_size=320)
    return directory


@pytest.fixture(scope="session")
def dataset(dataset_directory: Path) -> Dataset:
    return Dataset.open(dataset_directory)


@pytest.fixture
def tiny_presets(monkeypatch: pytest.MonkeyPatch) -> dict[str, Preset]:
    """The presets with their networks and vocabularies shrunk; all else is theirs."""
    tiny = {
        name: replace(
            preset,
            network={**preset.network, "embedding_dim": 12, "encoder_units": 10},
            vocabulary_size=320,
            training=replace(preset.training, learning_rate=1e-2),
        )
        for name, preset in PRESETS.items()
    }
    for name, preset in tiny.items():
        monkeypatch.setitem(PRESETS, name, preset)
    return tiny
