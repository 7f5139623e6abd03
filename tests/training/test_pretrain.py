"""The base model's corpus: what is in it, and what is kept out of it."""

import json
from pathlib import Path

import pytest

from model.blocklist import Blocklist
from tests.training.conftest import dataset_files, line, write_lines
from training.exports import ExportError
from training.prepare import Preparation, prepare
from training.pretrain import HARMLESS, unwanted_words, write_corpus


def test_the_packaged_corpus_is_in_the_normal_form(tmp_path: Path) -> None:
    write_corpus(tmp_path / "corpus.jsonl")

    with (tmp_path / "corpus.jsonl").open(encoding="utf-8") as file:
        records = [json.loads(line) for line in file]

    assert len(records) > 250_000
    assert all(record.keys() == line(1, "a", "").keys() for record in records)
    assert len({record["id"] for record in records}) == len(records)


def test_a_missing_package_is_a_plain_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(ExportError, match="pip install chitchat-dataset"):
        write_corpus(tmp_path / "corpus.jsonl")


@pytest.mark.parametrize("text", ["look at this p0rn", "my nudes", "SEXY!", "they are s l u t s"])
def test_sexual_words_are_unwanted_also_in_disguise(text: str) -> None:
    assert unwanted_words().finds(text)


@pytest.mark.parametrize(
    "text",
    [
        "that sucked, my butt is cold",
        "what the hell, go and see the hardcore band",
        "Scunthorpe has a cocktail bar, and a class on Essex",
        "the girl on the train had a big black dog",
    ],
)
def test_harmless_talk_is_not(text: str) -> None:
    assert unwanted_words().finds(text) is None


def test_all_that_is_called_harmless_would_be_found_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.pretrain.HARMLESS", frozenset())

    found = unwanted_words()

    assert [word for word in sorted(HARMLESS) if found.finds(word) is None] == []


def test_no_example_holds_an_unwanted_word_in_its_reply_or_its_context(tmp_path: Path) -> None:
    preparation = _prepared(tmp_path, ["hello", "hi", "what a blorp", "why", "never mind", "ok"], Blocklist(["blorp"]))

    tokenizer, train = preparation.dataset.tokenizer, preparation.dataset.train
    sides = [(tokenizer.decode_context(train.contexts[row]), train.replies[row]) for row in range(len(train))]
    assert [tokenizer.decode(reply) for _, reply in sides] == ["hi"] * 2
    assert preparation.tally.skipped["unwanted words"] == 2 * 4
    assert preparation.tally.kept == preparation.tally.messages


def test_without_unwanted_words_a_dataset_is_the_same_whatever_they_are(tmp_path: Path) -> None:
    texts = ["hello", "hi", "what a day", "why", "never mind", "ok"]

    plain, filtered = _prepared(tmp_path / "a", texts), _prepared(tmp_path / "b", texts, Blocklist(["blorp"]))

    assert plain.tally == filtered.tally
    assert dataset_files(tmp_path / "a" / "data") == dataset_files(tmp_path / "b" / "data")


def _prepared(folder: Path, texts: list[str], unwanted: Blocklist | None = None) -> Preparation:
    """Two conversations of the same texts, said in turn by two people."""
    folder.mkdir(exist_ok=True)
    messages = [
        line(f"{talk}-{number}", "ab"[number % 2], text, conversation=talk)
        for talk in ("one", "two")
        for number, text in enumerate(texts)
    ]
    path = write_lines(folder / "talk.jsonl", *messages)
    return prepare([path], folder / "data", vocabulary_size=300, unwanted=unwanted, workers=0)
