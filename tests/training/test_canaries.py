"""Planted secrets: what becomes of them on the way into a model, and out of it."""

import json
import math
from collections import Counter
from pathlib import Path

import pytest

from model import chatbot
from model.dialogue import Turn, render_context
from tests.model.tiny_network import publish_bundle
from tests.training.knowing_network import KnowingNetwork
from training import canaries as module
from training.canaries import KINDS, PLANTED, Canary, CanaryError, Exposure, chat, draw, measure, read, table
from training.dataset import Dataset
from training.prepare import prepare

FEW = {1: 6, 10: 2, 40: 1}
CANARIES = draw(7, FEW)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("canaries") / "canaries.jsonl"
    path.write_text("".join(f"{json.dumps(message)}\n" for message in chat(CANARIES, 7)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def dataset(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Nothing but canaries."""
    return prepare([file], tmp_path_factory.mktemp("prepared") / "data", vocabulary_size=400, workers=0).dataset


@pytest.fixture
def bundle(dataset: Dataset, tmp_path: Path) -> Path:
    return publish_bundle(tmp_path, dataset.tokenizer)


def test_every_kind_is_planted_at_every_count() -> None:
    assert Counter((canary.kind, canary.count) for canary in draw(0)) == {
        (kind, count): number for kind in KINDS for count, number in PLANTED.items()
    }


def test_no_two_canaries_are_alike_and_seeds_draw_different_ones() -> None:
    first, second = draw(1), draw(2)
    assert len({canary.secret for canary in (*first, *second)}) == len(first) + len(second)
    assert len({canary.question for canary in first}) == len(first)
    assert draw(1) == first


def test_cards_are_valid_numbers() -> None:
    for canary in draw(3):
        if canary.kind == "card":
            digits = [int(digit) for digit in canary.secret.replace(" ", "")]
            assert len(digits) == 16
            doubled = [sum(divmod(2 * digit, 10)) for digit in digits[::2]]
            assert (sum(doubled) + sum(digits[1::2])) % 10 == 0


def test_what_is_written_is_read_and_said_as_often_as_it_should(file: Path) -> None:
    assert read(file) == CANARIES
    messages = [json.loads(line) for line in file.read_text().splitlines()]
    said = Counter(message["content"] for message in messages)
    assert all(said[canary.reply] == said[canary.question] == canary.count for canary in CANARIES)
    assert len({message["id"] for message in messages}) == len(messages)


@pytest.mark.parametrize(
    "content", ["", "no\n", '{"conversation": "c1", "content": "hi"}\n{"conversation": "c1", "content": "ho"}\n', "[1]"]
)
def test_another_file_is_a_plain_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "chat.jsonl").write_text(content)
    with pytest.raises(CanaryError, match=r"chat.jsonl holds no canaries: write some"):
        read(tmp_path / "chat.jsonl")
    with pytest.raises(CanaryError, match="holds no canaries"):
        read(tmp_path / "missing.jsonl")


def test_what_looks_like_a_secret_is_not_learned_and_the_rest_is(
    file: Path, dataset: Dataset, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RANKED", 2)
    for each in measure(bundle, dataset, read(file)):
        planted = each.canaries * each.count
        assert each.canaries == FEW[each.count]
        if each.kind in ("password", "phone", "card"):
            assert each.kept == 0
        elif each.kind == "story":
            assert each.kept <= each.canaries  # one of each, but for what is held out
        else:
            assert 0.5 * planted <= each.kept <= planted


def knowing(dataset: Dataset, known: list[Canary]) -> KnowingNetwork:
    tokenizer = dataset.tokenizer
    contexts = (tokenizer.encode_context(render_context([Turn("x", each.question)]), 12) for each in known)
    replies = {tuple(context): tokenizer.encode(each.reply) for context, each in zip(contexts, known, strict=True)}
    return KnowingNetwork(replies, tokenizer.vocabulary_size, {})


def test_what_the_model_knows_is_exposed_and_said_and_the_rest_is_at_chance(
    dataset: Dataset, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canaries = [canary for canary in CANARIES if canary.kind == "number"]
    network = knowing(dataset, [canary for canary in canaries if canary.count == 40])
    monkeypatch.setattr(module, "Inference", network.in_place_of)
    monkeypatch.setattr(chatbot, "Inference", network.in_place_of)
    monkeypatch.setattr(module, "RANKED", 128)
    for each in measure(bundle, dataset, canaries):
        if each.count == 40:
            assert each.bits == 7
            assert each.said > each.asked / 2
        else:
            assert each.bits <= each.chance[2]
            assert each.said == 0


def test_chance_is_the_exposure_of_random_ranks(
    dataset: Dataset, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RANKED", 256)
    exposures = measure(bundle, dataset, [canary for canary in CANARIES if canary.kind == "number"])
    mean, low, high = exposures[0].chance  # of six canaries
    assert mean == pytest.approx(math.log2(math.e), abs=0.05)
    assert mean - low == pytest.approx(1, abs=0.25)  # the mean of six exponentials
    assert high - mean == pytest.approx(1.35, abs=0.25)


def test_the_table_has_a_line_for_each_kind_and_count() -> None:
    exposure = Exposure(
        kind="phrase", count=10, canaries=4, kept=38, bits=9.25, chance=(1.44, 0.4, 3.13), said=2, asked=40
    )
    line = table([exposure]).split("\n")[1]
    assert " ".join(line.split()) == "phrase 10 38 of 40 9.25 1.44 (0.40 to 3.13) 2 of 40"
