"""Figures of a bundle."""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import keras
import numpy as np
import pytest

from model import chatbot
from model.bundle import COPIES, TOKENIZER, BundleFacts, publish, staging
from model.copies import CopyIndex
from model.dialogue import Marker
from model.onnx_graph import export
from model.seq2seq import Seq2Seq, Seq2SeqConfig, build
from model.tokenizer import END, Tokenizer
from tests.training.conftest import PLACES, THINGS, ragged
from tests.training.knowing_network import KnowingNetwork
from training import evaluate as evaluation
from training.dataset import Dataset, DatasetError, Split
from training.evaluate import EvaluationConfig, compare, evaluate, references, sample_exchanges
from training.metrics import Estimate, Row

SMALL = EvaluationConfig(foretold=25, ranked=25, sampled=20)


def bundle_of(network: Seq2Seq, tokenizer: Tokenizer, models: Path, *, quantized: bool = True) -> Path:
    facts = BundleFacts(
        preset="base", network=asdict(network.config), max_context_tokens=48, max_reply_tokens=48, training={}
    )
    with staging(models) as staged:
        export(network, staged, quantized=quantized)
        (staged / TOKENIZER).write_bytes(tokenizer.to_bytes())
        CopyIndex().save(staged / COPIES)
        return publish(staged, facts)


@pytest.fixture(scope="module")
def network(dataset: Dataset) -> Seq2Seq:
    keras.utils.set_random_seed(4)
    size = dataset.tokenizer.vocabulary_size
    return build(Seq2SeqConfig(vocabulary_size=size, embedding_dim=12, encoder_units=10))


def validation_texts(dataset: Dataset) -> Iterator[str]:
    split = dataset.validation
    return (dataset.tokenizer.decode(split.replies[row].tolist()) for row in range(len(split)))


def test_a_network_that_knows_nothing_is_as_perplexed_as_its_vocabulary_is_large(
    dataset: Dataset, tmp_path: Path
) -> None:
    config = Seq2SeqConfig(
        vocabulary_size=dataset.tokenizer.vocabulary_size, embedding_dim=8, encoder_units=6, tied=False
    )
    ignorant = build(config)
    ignorant.softmax.kernel.assign(ignorant.softmax.kernel * 0)
    figures = evaluate(bundle_of(ignorant, dataset.tokenizer, tmp_path), dataset)
    tokens, texts = int(dataset.validation.replies.lengths.sum()), list(validation_texts(dataset))
    nats = tokens * math.log(config.vocabulary_size)
    words = sum(len(text.split()) + 1 for text in texts)  # the end of a reply is a word
    size = sum(len(text.encode()) + 1 for text in texts)
    assert figures.token_perplexity == pytest.approx(config.vocabulary_size, rel=1e-5)
    assert (figures.replies, figures.words, figures.bytes) == (len(texts), words, size)
    assert figures.perplexity == pytest.approx(math.exp(nats / words), rel=1e-4)
    assert figures.bits_per_byte == pytest.approx(nats / math.log(2) / size, rel=1e-5)


def test_int8_costs_little(network: Seq2Seq, dataset: Dataset, tmp_path: Path) -> None:
    figures = [
        evaluate(bundle_of(network, dataset.tokenizer, tmp_path, quantized=quantized), dataset, SMALL)
        for quantized in (False, True)
    ]
    assert figures[1].bits_per_byte == pytest.approx(figures[0].bits_per_byte, rel=0.005)


def test_another_vocabulary_is_refused(network: Seq2Seq, dataset: Dataset, tmp_path: Path) -> None:
    other = Tokenizer.train(["something else"], vocabulary_size=300)
    with pytest.raises(DatasetError, match=r"another vocabulary.*prepare"):
        evaluate(bundle_of(network, other, tmp_path), dataset, SMALL)


@pytest.fixture(scope="module")
def bundle(network: Seq2Seq, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle_of(network, dataset.tokenizer, tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def rows(bundle: Path, dataset: Dataset) -> dict[str, Row]:
    return {row.name: row for row in compare({"model": bundle, "again": bundle}, dataset, SMALL)}


def test_every_figure_has_an_interval_around_it_and_fits_in_a_bundle(bundle: Path, dataset: Dataset) -> None:
    figures = evaluate(bundle, dataset, SMALL)
    measured = {key: value for key, value in asdict(figures).items() if key in figures.intervals}
    assert set(asdict(figures)) - set(measured) == {"replies", "words", "bytes", "mmi_prior", "mmi_length", "intervals"}
    for name, (low, high) in figures.intervals.items():
        assert low <= measured[name] <= high
    assert json.loads(json.dumps(asdict(figures)))["perplexity"] == figures.perplexity


def test_equal_evaluations_give_equal_figures(bundle: Path, dataset: Dataset, rows: dict[str, Row]) -> None:
    figures = evaluate(bundle, dataset, SMALL)
    assert figures == evaluate(bundle, dataset, SMALL)
    assert figures.row("model") == rows["model"]
    assert figures != evaluate(bundle, dataset, replace(SMALL, seed=1))


def test_a_model_saves_nothing_on_itself(rows: dict[str, Row]) -> None:
    assert rows["again"].figures["saved"] == Estimate(0, 0, 0)
    assert "saved" not in rows["model"].figures


def test_what_a_model_saves_on_the_ngrams_is_the_difference_in_bits(rows: dict[str, Row]) -> None:
    bits = [rows[name].figures["bits_per_byte"].value for name in ("model", "5-gram")]
    assert rows["5-gram"].figures["saved"].value == pytest.approx(1 - bits[0] / bits[1])
    assert rows["5-gram"].figures["saved"].value < -0.5  # the network has not been trained


def test_references_are_beside_every_model(dataset: Dataset, rows: dict[str, Row]) -> None:
    alone = {row.name: row for row in references(dataset, SMALL)}
    assert list(rows) == ["model", "again", *alone] == ["model", "again", "5-gram", "random reply", "human reply"]
    assert alone["human reply"] == rows["human reply"]
    assert alone["5-gram"].figures["perplexity"] == rows["5-gram"].figures["perplexity"]


def test_references_are_what_they_say(dataset: Dataset, rows: dict[str, Row]) -> None:
    random, human = rows["random reply"].figures, rows["human reply"].figures
    assert random["copy_rate"].value == 1
    assert random["f1"].value > 0.05  # most replies say that something is somewhere
    assert "f1" not in human
    rng = np.random.default_rng(SMALL.seed)
    asked = rng.permutation(len(dataset.validation))[: SMALL.sampled]
    replies = [dataset.tokenizer.decode(dataset.validation.replies[row].tolist()) for row in asked]
    assert human["reply_words"].value == np.mean([len(reply.split()) for reply in replies])
    assert rows["5-gram"].figures["perplexity"].value < 10  # such talk is foreseeable


def talk(tokenizer: Tokenizer, numbers: range) -> Split:
    """Exchanges of which no two are alike, two in each conversation."""
    contexts = [tokenizer.encode_context([(Marker.YOU, f"where is number {number}?")], 48) for number in numbers]
    texts = [f"number {number} is {PLACES[number % 6]} with the {THINGS[number % 8]}" for number in numbers]
    replies = [[*tokenizer.encode(text), END] for text in texts]
    return Split(ragged(contexts), ragged(replies), np.array(numbers, np.uint32) // 2)


def test_a_model_that_knows_the_replies_gets_all_of_them_right(
    bundle: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    vocabulary = dataset.tokenizer
    unlike = replace(dataset, train=talk(vocabulary, range(50)), validation=talk(vocabulary, range(50, 90)))
    known = {
        tuple(split.contexts[row].tolist()): split.replies[row].tolist()[:-1]
        for split in (unlike.train, unlike.validation)
        for row in range(len(split))
    }
    network = KnowingNetwork(known, vocabulary.vocabulary_size, {})
    monkeypatch.setattr(evaluation, "Inference", network.in_place_of)
    monkeypatch.setattr(chatbot, "Inference", network.in_place_of)
    figures = evaluate(bundle, unlike, SMALL)
    assert figures.bits_per_byte < 0.2
    assert figures.recall_at_1_of_20 == figures.recall_at_1_of_20_mmi == 1
    assert figures.f1 == 1
    assert figures.bleu == pytest.approx(100)
    assert figures.copy_rate == 0


def test_recall_is_left_out_where_there_are_too_few_replies(bundle: Path, dataset: Dataset) -> None:
    few = talk(dataset.tokenizer, range(15))
    figures = evaluate(bundle, replace(dataset, validation=few), SMALL)
    assert figures.recall_at_1_of_20 is None
    assert figures.mmi_prior is None
    assert "recall_at_1_of_20" not in figures.row("model").figures


def test_intervals_are_wide_where_conversations_are_unlike(dataset: Dataset) -> None:
    replies = [[*dataset.tokenizer.encode("no" if row % 40 < 20 else "no it is not there"), END] for row in range(80)]
    validation = Split(ragged([[END]] * 80), ragged(replies), np.arange(80, dtype=np.uint32) // 20)
    config = replace(SMALL, sampled=80)
    together, apart = (
        references(replace(dataset, validation=split), config)[-1].figures["reply_words"]
        for split in (validation, replace(validation, conversations=None))
    )
    assert together.value == apart.value == 3
    assert together.margin > 2 * apart.margin


def test_sample_exchanges_show_question_human_and_model(network: Seq2Seq, dataset: Dataset, tmp_path: Path) -> None:
    directory = bundle_of(network, dataset.tokenizer, tmp_path)
    samples = list(sample_exchanges(directory, dataset, 3))
    assert len(samples) == 3
    assert all(human in set(validation_texts(dataset)) and reply for _, human, reply in samples)
    assert samples == list(sample_exchanges(directory, dataset, 3))
