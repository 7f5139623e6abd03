"""Examples to ids on disk to batches."""

import errno
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.bundle import TOKENIZER
from model.dialogue import Turn
from model.tokenizer import END, PAD, START, Tokenizer
from tests.training.conftest import ragged
from training.dataset import (
    NOBODY,
    Dataset,
    DatasetConfig,
    DatasetError,
    DatasetWriter,
    Split,
    batches,
    count_batches,
    encode_examples,
)
from training.examples import Example
from training.exports.pairs import TARGET

VOCABULARY = Tokenizer.train(["hello there", "good morning to you", "a b c d e f g"], vocabulary_size=300)


def example(context: str, reply: str, conversation: str = "c") -> Example:
    return Example(conversation, (Turn("a", context),), Turn("b", reply))


def split_of(pairs: list[tuple[list[int], list[int]]]) -> Split:
    return Split(ragged([context for context, _ in pairs]), ragged([reply for _, reply in pairs]))


def write(directory: Path, examples: list[tuple[str, Example]], config: DatasetConfig | None = None) -> Dataset:
    config = config or DatasetConfig()
    directory.mkdir()
    (directory / TOKENIZER).write_bytes(VOCABULARY.to_bytes())
    with DatasetWriter(directory) as writer:
        for side, item in examples:
            writer.add(side, encode_examples([item], VOCABULARY, config))
        writer.finish(config, {"held_out": True})
    return Dataset.open(directory)


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    dataset = write(
        tmp_path / "d", [("train", example("hello", "good morning")), ("validation", example("a b", "to you\nc"))]
    )
    assert len(dataset.train) == len(dataset.validation) == 1
    assert VOCABULARY.decode_context(dataset.train.contexts[0].tolist()) == [("<you>", "hello")]
    assert VOCABULARY.decode(dataset.validation.replies[0].tolist()) == "to you\nc"
    assert dataset.validation.replies[0][-1] == END


def test_examples_encoded_in_pieces_are_those_encoded_at_once(tmp_path: Path) -> None:
    examples = [example("hello " * (number % 7), "a b c d e f g"[: number % 13]) for number in range(50)]
    datasets = []
    for size in (50, 7, 1):
        (tmp_path / str(size)).mkdir()
        (tmp_path / str(size) / TOKENIZER).write_bytes(VOCABULARY.to_bytes())
        with DatasetWriter(tmp_path / str(size)) as writer:
            for start in range(0, 50, size):
                writer.add("train", encode_examples(examples[start : start + size], VOCABULARY, DatasetConfig()))
            writer.finish(DatasetConfig(), {})
        datasets.append({path.name: path.read_bytes() for path in (tmp_path / str(size)).iterdir()})
    assert datasets[0] == datasets[1] == datasets[2]
    dataset = Dataset.open(tmp_path / "1")
    assert [VOCABULARY.decode(dataset.train.replies[row].tolist()) for row in range(50)] == [
        each.reply.text.strip() for each in examples
    ]


def test_files_that_could_not_be_written_to_the_end_are_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"), DatasetWriter(tmp_path) as writer:
        writer.finish(DatasetConfig(), {})
    assert all(file.closed for file in writer._files())


def test_a_context_that_is_too_long_loses_its_beginning(tmp_path: Path) -> None:
    config = DatasetConfig(max_context_tokens=6)
    context = write(tmp_path / "d", [("train", example("a b c d e f g", "hello"))], config).train.contexts[0]
    assert len(context) <= 6
    (said,) = VOCABULARY.decode_context(context.tolist())
    assert said[0] == "<you>"
    assert "a b c d e f g".endswith(said[1])


def test_a_reply_that_is_too_long_is_cut_and_not_taught_to_end_there(tmp_path: Path) -> None:
    config = DatasetConfig(max_reply_tokens=4)
    reply = write(tmp_path / "d", [("train", example("hello", "a b c d e f g"))], config).train.replies[0]
    assert len(reply) == 4
    assert END not in reply


def test_a_dataset_with_nothing_held_out_is_validated_on_what_it_trains_on(tmp_path: Path) -> None:
    dataset = write(tmp_path / "d", [("train", example("hello", "there"))])
    assert dataset.validation is dataset.train


ids = st.lists(st.integers(PAD + 1, 60), min_size=1, max_size=30)


@given(st.lists(st.tuples(ids, ids), min_size=1, max_size=40), st.integers(1, 9), st.booleans())
def test_batches_hold_every_example_once_shifted_padded_and_weighed(
    pairs: list[tuple[list[int], list[int]]], batch_size: int, shuffled: bool
) -> None:
    rng = np.random.default_rng(0) if shuffled else None
    seen = []
    for batch in batches(split_of(pairs), batch_size=batch_size, rng=rng):
        assert len(batch.encoder_ids) == batch_size
        assert (batch.decoder_ids[:, 0] == START).all()
        assert (batch.decoder_ids[:, 1:] == batch.targets[:, :-1]).all()
        assert ((batch.targets != PAD) == (batch.weights == 1)).all()
        for context, target, weights in zip(batch.encoder_ids, batch.targets, batch.weights, strict=True):
            if weights.any():
                seen.append((context[context != PAD].tolist(), target[target != PAD].tolist()))
            else:
                assert context.tolist() == [END] + [PAD] * (len(context) - 1)  # attention needs something to look at
    assert sorted(seen) == sorted(pairs)


@pytest.mark.parametrize(("context", "shapes"), [(1, 8), (40, 5)])
def test_batches_come_in_few_shapes_and_waste_little(context: int, shapes: int) -> None:
    """Contexts of all lengths come in two of them, those of nearly equal ones in one."""
    rng = np.random.default_rng(3)
    lengths = np.minimum(rng.geometric(0.06, 9000), 48)
    pairs = [([5] * max(context, int(lengths[-1 - row])), [6] * int(lengths[row])) for row in range(9000)]
    split = split_of(pairs)
    made = list(batches(split, batch_size=32, rng=rng))
    counts = Counter((batch.encoder_ids.shape[1], batch.targets.shape[1]) for batch in made)
    assert count_batches(split, 32) == counts
    assert len(counts) == shapes
    assert sum(batch.weights.sum() for batch in made) / sum(batch.weights.size for batch in made) > 0.7


def test_a_small_split_is_one_shape_to_compile() -> None:
    split = split_of([([5] * (row % 40 + 1), [6] * (row % 20 + 1)) for row in range(500)])
    assert count_batches(split, 32) == {(40, 20): 16}


def test_lengths_are_cut_where_the_least_is_padded() -> None:
    split = split_of([([5], [6] * length) for length in [4] * 1500 + [20] * 1000 + [40] * 10])
    assert count_batches(split, 10) == {(4, 4): 150, (4, 40): 101}


def test_batches_can_be_begun_anywhere() -> None:
    split = split_of([([row + 5] * (row % 7 + 1), [row + 5] * (row % 5 + 1)) for row in range(50)])
    options: dict[str, Any] = {"batch_size": 4, "context_dropout": 0.3}
    whole = list(batches(split, **options, rng=np.random.default_rng(2)))
    rest = list(batches(split, **options, rng=np.random.default_rng(2), skipped=5))
    assert len(rest) == len(whole) - 5
    for mine, other in zip(rest, whole[5:], strict=True):
        assert all(map(np.array_equal, mine, other))


def test_context_dropout_leaves_the_empty_context_of_its_share_and_all_replies() -> None:
    split = split_of([([7, 8, 9], [6, 7])] * 2000)
    made = list(batches(split, batch_size=40, rng=np.random.default_rng(0), context_dropout=0.25))
    contexts = np.concatenate([batch.encoder_ids for batch in made])
    blind = (contexts[:, :3] == [END, PAD, PAD]).all(axis=1)
    assert (contexts[~blind][:, :3] == [7, 8, 9]).all()
    assert 0.22 < blind.mean() < 0.28
    assert sum(batch.weights.sum() for batch in made) == 4000


def test_equal_generators_shuffle_equally_and_others_do_not(dataset: Dataset) -> None:
    def first(seed: int) -> list[list[int]]:
        batch = next(iter(batches(dataset.train, batch_size=16, rng=np.random.default_rng(seed))))
        return batch.targets.tolist()

    assert first(1) == first(1)
    assert first(1) != first(2)


@pytest.mark.parametrize("name", ["dataset.json", "tokenizer.model", "train.contexts.offsets", "train.authors"])
def test_a_missing_file_is_a_plain_error(dataset_directory: Path, tmp_path: Path, name: str) -> None:
    copy = shutil.copytree(dataset_directory, tmp_path / "copy")
    (copy / name).unlink()
    with pytest.raises(DatasetError, match="prepare"):
        Dataset.open(copy)


@pytest.mark.parametrize(
    "name",
    [
        "train.replies.ids",
        "validation.contexts.ids",
        "train.conversations",
        "train.authors",
        "tokenizer.model",
        "dataset.json",
    ],
)
def test_a_file_cut_short_is_a_plain_error(dataset_directory: Path, tmp_path: Path, name: str) -> None:
    copy = shutil.copytree(dataset_directory, tmp_path / "copy")
    (copy / name).write_bytes((copy / name).read_bytes()[:-100])
    with pytest.raises(DatasetError, match=r"damaged.*prepare"):
        Dataset.open(copy)


def test_examples_of_one_conversation_or_author_have_one_number(tmp_path: Path) -> None:
    names, authors = ["a", "b", "a", "c", "b"], ["eve", "eve", TARGET, "dan", TARGET]
    examples = [
        ("train", Example(name, (Turn("ann", "hello"),), Turn(author, "there")))
        for name, author in zip(names, authors, strict=True)
    ]
    train = write(tmp_path / "d", examples).train
    for numbers, expected in ((train.conversations, names), (train.authors, authors)):
        assert numbers is not None
        assert [[number == other for other in numbers] for number in numbers] == [
            [name == other for other in expected] for name in expected
        ]
    assert train.authors is not None
    assert (train.authors == NOBODY).tolist() == [author == TARGET for author in authors]


def test_a_dataset_from_before_authors_had_numbers_is_read(dataset_directory: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(dataset_directory, tmp_path / "copy")
    head = json.loads((copy / "dataset.json").read_text())
    (copy / "dataset.json").write_text(json.dumps(head | {"format": 3}))
    assert Dataset.open(copy).validation.authors is None


def test_another_versions_dataset_is_refused(dataset_directory: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(dataset_directory, tmp_path / "copy")
    head = json.loads((copy / "dataset.json").read_text())
    (copy / "dataset.json").write_text(json.dumps(head | {"format": 99}))
    with pytest.raises(DatasetError, match="another version"):
        Dataset.open(copy)
