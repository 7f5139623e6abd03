"""What the training tests share: made-up exports, a dataset of one, and a network small enough to train in seconds."""

import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.dataset import Dataset, RaggedIds
from training.prepare import prepare
from training.presets import PRESETS, Preset

ROOT = Path(__file__).parents[2]
THINGS = ("kettle", "badger", "umbrella", "crumpet", "teapot", "bicycle", "lantern", "piano")
PLACES = ("in the attic", "by the canal", "under the stairs", "at the market", "on the roof", "in the shed")
NEW_YEAR = datetime(2024, 1, 1, tzinfo=UTC).timestamp()
_DISCORD_EPOCH = datetime(2015, 1, 1, tzinfo=UTC).timestamp()


def line(
    id_: object,
    author: str,
    content: str,
    *,
    at: float | None = None,
    to: object = None,
    conversation: str = "c",
    **more: Any,
) -> dict[str, Any]:
    """A message in the normal form; `at` is in seconds since the new year of 2024."""
    return {
        "conversation": conversation,
        "id": str(id_),
        "author": author,
        "timestamp": None if at is None else _printed(NEW_YEAR + at),
        "content": content,
        "reply_to": None if to is None else str(to),
    } | more


def write_lines(path: Path, *lines: dict[str, Any]) -> Path:
    """Write JSON Lines."""
    path.write_text("".join(json.dumps(each) + "\n" for each in lines), encoding="utf-8")
    return path


def snowflake(at: float, number: int = 0) -> str:
    """The id that Discord gives to what happens at a time."""
    return str(int((NEW_YEAR + at - _DISCORD_EPOCH) * 1000) << 22 | number)


def discord(
    author: str,
    content: str,
    *,
    at: float,
    to: str | None = None,
    nickname: str | None = None,
    edited: float | None = None,
) -> dict[str, Any]:
    """A message as DiscordChatExporter writes it."""
    account = {"id": str(10**17 + sum(author.encode())), "name": author, "nickname": nickname or author, "isBot": False}
    record: dict[str, Any] = {
        "id": snowflake(at),
        "type": "Default" if to is None else "Reply",
        "timestamp": _printed(NEW_YEAR + at),
        "timestampEdited": None if edited is None else _printed(NEW_YEAR + edited),
        "content": content,
        "author": account,
        "mentions": [],
    }
    return record if to is None else record | {"reference": {"messageId": to, "channelId": "1", "guildId": "9"}}


def write_discord(path: Path, *messages: dict[str, Any], channel: str = "general", kind: str = "GuildTextChat") -> Path:
    """Write DiscordChatExporter's JSON in its own layout; the channel's id is made of its name."""
    about = {"id": str(2 * 10**17 + sum(channel.encode())), "type": kind, "category": "Talk", "name": channel}
    export = {"guild": {"id": "9", "name": "A server"}, "channel": about, "messages": list(messages)}
    text = json.dumps(export | {"messageCount": len(messages)}, indent=2, ensure_ascii=False)
    path.write_text(text, encoding="utf-8")
    return path


def write_corpus(path: Path, conversations: int = 500, seed: int = 0) -> Path:
    """Write small talk in the normal form: whoever asks where a thing is, is told; some thank for it."""
    rng = random.Random(seed)
    with path.open("w", encoding="utf-8") as file:
        for number in range(conversations):
            thing, place = rng.choice(THINGS), rng.choice(PLACES)
            lines = [f"where is the {thing}?", f"the {thing} is {place}"]
            if rng.random() < 0.5:
                lines.append("thanks a lot")
            for position, text in enumerate(lines):
                to = f"{number}-{position - 1}" if position else None
                message = line(f"{number}-{position}", f"a{position % 2}", text, to=to, conversation=f"c{number}")
                file.write(json.dumps(message) + "\n")
    return path


def write_talk(path: Path, messages: int, seed: int = 0) -> Path:
    """Write some channels in which five people talk, with a clock, replies and short texts that differ."""
    rng = random.Random(seed)
    words = [*THINGS, *(word for place in PLACES for word in place.split()), "where", "is", "it", "no", "yes", "why"]
    start = seed * 1e6
    lines = []
    for number in range(messages):
        id_ = 1000 * 1000 * (seed + 1) + number
        to = id_ - rng.randrange(1, 9) if number > 9 and rng.random() < 0.3 else None
        text = f"{' '.join(rng.choices(words, k=rng.randrange(1, 7)))} {number}"
        channel = f"c{number % 2}"
        lines.append(line(id_, f"a{rng.randrange(5)}", text, at=start + 20.0 * number, to=to, conversation=channel))
    return write_lines(path, *lines)


def ragged(sequences: Sequence[Sequence[int]]) -> RaggedIds:
    offsets = np.cumsum([0, *map(len, sequences)]).astype(np.uint64)
    return RaggedIds(np.array([token for ids in sequences for token in ids], np.uint16), offsets)


def dataset_files(folder: Path) -> dict[str, bytes]:
    """What a dataset is made of: all but the archive and the lock, which remember how it came about."""
    return {
        path.name: path.read_bytes()
        for path in sorted(folder.iterdir())
        if path.name != ".lock" and not path.name.startswith("messages.sqlite")
    }


def _printed(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat()


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
def pageless(monkeypatch: pytest.MonkeyPatch) -> None:
    """No page about a run: it takes longer than a run of the tiny presets."""
    monkeypatch.setattr("training.retrain.report_run", lambda *arguments, **options: None)


@pytest.fixture
def tiny_presets(monkeypatch: pytest.MonkeyPatch) -> dict[str, Preset]:
    """The presets with their networks and vocabularies shrunk; all else is theirs."""
    tiny = {
        name: replace(
            preset,
            network={**preset.network, "embedding_dim": 12, "encoder_units": 10, "heads": 1},
            vocabulary_size=320,
            training=replace(preset.training, learning_rate=1e-2),
        )
        for name, preset in PRESETS.items()
    }
    for name, preset in tiny.items():
        monkeypatch.setitem(PRESETS, name, preset)
    return tiny


@pytest.fixture(scope="session")
def ray() -> Iterator[str]:
    """The address of a Ray of this machine, with two processors."""
    pytest.importorskip("ray", reason="needs the extra: pip install -e '.[train,cluster,test]'")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Without a token: this user's own, if there is one, is for other Rays.
    environment = {"PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "disabled"}
    options = f"--head --block --port {port} --node-ip-address 127.0.0.1 --num-cpus 2 --include-dashboard false"
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", *options.split()]
    with (
        pytest.MonkeyPatch.context() as patch,
        subprocess.Popen(
            [*command, "--object-store-memory", str(1 << 27), "--disable-usage-stats"],
            env=os.environ | environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process,
    ):
        patch.setenv("RAY_AUTH_MODE", "disabled")
        try:
            _wait_for(f"127.0.0.1:{port}")
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait_for(address: str) -> None:
    from training.cluster import Cluster, ClusterError

    for _ in range(150):
        try:
            with Cluster(address):
                return
        except ClusterError:
            time.sleep(0.2)
    raise AssertionError(f"no Ray at {address}")
