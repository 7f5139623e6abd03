"""Beyond chat: pairs of a source and a target, through the same commands."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bot.__main__ import app as bot_app
from model.tokenizer import LINE_ID
from training import train as loop
from training.__main__ import app
from training.dataset import Dataset, DatasetConfig
from training.prepare import prepare
from training.presets import PRESETS, Preset
from training.reading import Filters

NUMBERS = {"one": "eins", "two": "zwei", "three": "drei", "four": "vier", "five": "fünf", "six": "sechs"}
BYTES = range(LINE_ID + 1, LINE_ID + 257)


def write_pairs(path: Path, pairs: Iterable[tuple[str, str]]) -> Path:
    lines = (json.dumps({"source": source, "target": target}) + "\n" for source, target in pairs)
    path.write_text("".join(lines), encoding="utf-8")
    return path


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def texts(dataset: Dataset) -> set[tuple[str, str]]:
    """The pairs that a dataset holds."""
    return {
        (dataset.tokenizer.decode_context(split.contexts[row].tolist())[0][1], dataset.tokenizer.decode(reply))
        for split in (dataset.train, dataset.validation)
        for row, reply in enumerate(split.replies[row].tolist() for row in range(len(split)))
    }


STRANGE = {
    ("!play 2024-05-03", "3 May 2024"),
    ("write to ann.example@example.org", "ann.example@example.org, please"),
    ("```x = 1```", "=================="),
    ("ann took the old kettle down from the cold attic at four o'clock", "ann took a kettle, ann.example@example.org"),
    ("ann took the old kettle down from the cold attic at four o'clock!", "==================================="),
}


def test_verbatim_pairs_are_learned_as_they_are(tmp_path: Path) -> None:
    path = write_pairs(tmp_path / "pairs.jsonl", STRANGE)

    preparation = prepare([path], tmp_path / "data", filters=Filters(verbatim=True))

    assert texts(preparation.dataset) == STRANGE
    assert preparation.notes.warnings == []


def test_other_pairs_are_read_as_chat_which_a_note_says(tmp_path: Path) -> None:
    path = write_pairs(tmp_path / "pairs.jsonl", [*STRANGE, ("hello there", "good morning")])

    preparation = prepare([path], tmp_path / "data")

    assert ("hello there", "good morning") in texts(preparation.dataset)
    assert not texts(preparation.dataset) & STRANGE
    assert any("--verbatim" in warning for warning in preparation.notes.warnings)


def test_a_blocklist_holds_for_verbatim_pairs_too(tmp_path: Path) -> None:
    path = write_pairs(tmp_path / "pairs.jsonl", [("a blorp", "b"), ("c", "d")])

    filters = Filters(verbatim=True, blocklist=("blorp",))

    assert texts(prepare([path], tmp_path / "data", filters=filters).dataset) == {("c", "d")}


def test_the_vocabulary_is_of_both_languages(tmp_path: Path) -> None:
    path = write_pairs(tmp_path / "pairs.jsonl", [(f"дом {number % 7}", f"house {number % 7}") for number in range(50)])

    dataset = prepare([path], tmp_path / "data", filters=Filters(verbatim=True)).dataset

    assert all(token not in BYTES for token in dataset.train.contexts.ids)


def test_lengths_and_the_kind_of_tokens_can_be_chosen(tmp_path: Path) -> None:
    path, usual = write_pairs(tmp_path / "pairs.jsonl", [("ab " * 200, "cd " * 200)]), DatasetConfig()

    by_default = call("prepare", path, "--out", tmp_path / "a", "--preset", "base", "--tokens", "char", "--verbatim")
    chosen = call(
        *("prepare", path, "--out", tmp_path / "b", "--preset", "base", "--tokens", "word", "--verbatim"),
        *("--max-context", 10, "--max-reply", 20),
    )

    assert (by_default.exit_code, chosen.exit_code) == (0, 0), by_default.output + chosen.output
    characters, words = Dataset.open(tmp_path / "a"), Dataset.open(tmp_path / "b")
    assert characters.config.max_context_tokens == 4 * usual.max_context_tokens
    assert characters.config.max_reply_tokens == len(characters.train.replies[0]) == 4 * usual.max_reply_tokens
    assert [len(side[0]) for side in (words.train.contexts, words.train.replies)] == [10, 20]
    assert words.tokenizer.decode(words.train.replies[0][:3].tolist()) == "cd cd cd"


def test_a_trained_model_keeps_its_tokens(tmp_path: Path) -> None:
    path = write_pairs(tmp_path / "pairs.jsonl", [("a", "b")])

    result = call("prepare", path, "--out", tmp_path / "data", "--from", "base", "--tokens", "char")

    assert result.exit_code == 2
    assert "--preset" in result.output


def test_a_translation_is_learned_and_applied_line_by_line(
    tmp_path: Path, tiny_presets: dict[str, Preset], monkeypatch: pytest.MonkeyPatch, pageless: None
) -> None:
    monkeypatch.setattr(loop, "_COMPILE_FROM_STEPS", 10**9)  # XLA takes longer to compile than this to learn
    wide = tiny_presets["classic"].network | {"embedding_dim": 32, "encoder_units": 32}
    monkeypatch.setitem(PRESETS, "classic", replace(tiny_presets["classic"], network=wide))
    path, models = write_pairs(tmp_path / "pairs.jsonl", NUMBERS.items()), tmp_path / "models"

    trained = call(
        *("retrain", path, "--models", models, "--preset", "classic", "--verbatim"),
        *("--epochs", 150, "--learning-rate", 0.01),
    )
    applied = CliRunner().invoke(
        bot_app, ["apply", "--models", str(models)], input="".join(f"{source}\n" for source in NUMBERS)
    )

    assert trained.exit_code == 0, trained.output
    assert applied.stdout.splitlines() == [*NUMBERS.values()]
