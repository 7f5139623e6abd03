"""Exports to a dataset directory."""

import json
from pathlib import Path

import pytest

from model.tokenizer import Tokenizer
from tests.training.conftest import write_corpus
from training.dataset import Dataset, DatasetError, Split
from training.exports import ExportError
from training.prepare import prepare


def texts(dataset: Dataset, split: Split) -> set[str]:
    return {dataset.tokenizer.decode(split.replies[row].tolist()) for row in range(len(split))}


def corpus_of(path: Path, *conversations: list[str]) -> Path:
    records = [
        {"conversation": str(n), "id": f"{n}-{m}", "author": str(m % 2), "timestamp": None, "content": text}
        for n, lines in enumerate(conversations)
        for m, text in enumerate(lines)
    ]
    path.write_text("".join(json.dumps(record | {"reply_to": None}) + "\n" for record in records))
    return path


def test_the_counts_balance(corpus: Path, tmp_path: Path) -> None:
    preparation = prepare([corpus], tmp_path / "d", vocabulary_size=320)
    tally, dataset = preparation.tally, preparation.dataset
    assert tally.messages == len(corpus.read_text().splitlines()) == tally.kept
    assert tally.examples == tally.turns - tally.conversations
    assert tally.examples == len(dataset.train) + len(dataset.validation)
    assert dataset.facts["counts"] == tally.as_json()


def test_no_conversation_is_on_both_sides(tmp_path: Path) -> None:
    path = corpus_of(tmp_path / "c.jsonl", *([f"question {n}", f"answer {n}", f"remark {n}"] for n in range(800)))
    dataset = prepare([path], tmp_path / "d").dataset

    def numbers(split: Split) -> set[str]:
        return {text.split()[1] for text in texts(dataset, split)}

    assert not numbers(dataset.train) & numbers(dataset.validation)
    assert 20 <= len(numbers(dataset.validation)) <= 80  # 5 % of 800


def test_the_vocabulary_is_learned_without_what_is_held_out(tmp_path: Path) -> None:
    path = corpus_of(tmp_path / "c.jsonl", *([f"question {n}", f"answer {n}"] for n in range(800)))
    dataset = prepare([path], tmp_path / "d", vocabulary_size=400).dataset
    again = Tokenizer.train(
        (dataset.tokenizer.decode(dataset.train.replies[row].tolist()) for row in range(len(dataset.train))),
        vocabulary_size=400,
    )
    assert again.to_bytes() == dataset.tokenizer.to_bytes()


def test_preparing_again_gives_the_same_bytes(corpus: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        prepare([corpus], tmp_path / name, vocabulary_size=320)
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "two").iterdir())
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_the_vocabulary_of_a_model_is_kept(corpus: Path, tmp_path: Path) -> None:
    tokenizer = Tokenizer.train(["something else altogether"], vocabulary_size=300)
    dataset = prepare([corpus], tmp_path / "d", tokenizer=tokenizer).dataset
    assert dataset.tokenizer.to_bytes() == tokenizer.to_bytes()
    assert any("umbrella" in text for text in texts(dataset, dataset.train))  # words it has never seen


def test_too_few_to_hold_some_out_are_all_trained_on(tmp_path: Path) -> None:
    dataset = prepare([write_corpus(tmp_path / "c.jsonl", conversations=12)], tmp_path / "d").dataset
    assert dataset.facts["held_out"] is False
    assert len(dataset.train) == dataset.facts["train_examples"] == dataset.facts["counts"]["examples"]


def test_peoples_words_do_not_stay_in_plain_text(corpus: Path, tmp_path: Path) -> None:
    prepare([corpus], tmp_path / "d", vocabulary_size=320)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d"]
    assert not [path for path in (tmp_path / "d").iterdir() if b"where is the" in path.read_bytes()]


def test_nothing_to_learn_from_says_why(tmp_path: Path) -> None:
    path = corpus_of(tmp_path / "c.jsonl", ["hello?"], ["anyone?"])
    with pytest.raises(DatasetError, match=r"no exchange to learn from in 2 messages \(2 no context\)"):
        prepare([path], tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_a_failure_leaves_the_old_dataset(corpus: Path, tmp_path: Path) -> None:
    prepare([corpus], tmp_path / "d", vocabulary_size=320)
    with pytest.raises(ExportError):
        prepare([tmp_path / "missing.json"], tmp_path / "d")
    assert len(Dataset.open(tmp_path / "d").train)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d"]


def test_a_dataset_that_cannot_be_put_in_place_leaves_the_old_one(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare([corpus], tmp_path / "d", vocabulary_size=320)
    before = (tmp_path / "d" / "dataset.json").read_bytes()
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.name.endswith(".new"):
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(DatasetError, match="cannot be written"):
        prepare([write_corpus(tmp_path / "c.jsonl", 30)], tmp_path / "d", vocabulary_size=320)
    assert (tmp_path / "d" / "dataset.json").read_bytes() == before
    assert len(Dataset.open(tmp_path / "d").train)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.jsonl", "d"]


def test_a_folder_with_something_else_is_left_alone(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(DatasetError, match="no dataset"):
        prepare([corpus], tmp_path)
    assert (tmp_path / "precious.txt").read_text() == "mine"
