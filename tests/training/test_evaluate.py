"""Figures of a bundle."""

import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.bundle import TOKENIZER, BundleFacts, publish, staging
from model.inference import Inference
from model.onnx_graph import export
from model.seq2seq import Seq2Seq, Seq2SeqConfig, build
from model.tokenizer import Tokenizer
from training.dataset import Dataset, DatasetError, batches
from training.evaluate import evaluate, log_probabilities, sample_exchanges


def bundle_of(network: Seq2Seq, tokenizer: Tokenizer, models: Path, *, quantized: bool = True) -> Path:
    facts = BundleFacts(
        preset="base", network=asdict(network.config), max_context_tokens=48, max_reply_tokens=48, training={}
    )
    with staging(models) as staged:
        export(network, staged, quantized=quantized)
        (staged / TOKENIZER).write_bytes(tokenizer.to_bytes())
        return publish(staged, facts)


@pytest.fixture(scope="module")
def network(dataset: Dataset) -> Seq2Seq:
    keras.utils.set_random_seed(4)
    shape = {"embedding_dim": 12, "encoder_units": 10}
    return build(Seq2SeqConfig(vocabulary_size=dataset.tokenizer.vocabulary_size, **shape))


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


def test_log_probabilities_are_those_of_training(network: Seq2Seq, dataset: Dataset, tmp_path: Path) -> None:
    directory = bundle_of(network, dataset.tokenizer, tmp_path, quantized=False)
    split = dataset.validation
    rows = range(8)
    contexts, replies = [split.contexts[row].tolist() for row in rows], [split.replies[row] for row in rows]
    got = log_probabilities(Inference(directory), contexts, replies)
    batch = next(iter(batches(split, batch_size=8)))
    logits = network(tf.constant(batch.encoder_ids), tf.constant(batch.decoder_ids))
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(batch.targets, logits).numpy() * batch.weights
    assert np.allclose(got, -losses.sum(axis=1), atol=1e-3)


def test_int8_costs_little(network: Seq2Seq, dataset: Dataset, tmp_path: Path) -> None:
    figures = [
        evaluate(bundle_of(network, dataset.tokenizer, tmp_path, quantized=quantized), dataset, max_examples=20)
        for quantized in (False, True)
    ]
    assert figures[1].bits_per_byte == pytest.approx(figures[0].bits_per_byte, rel=0.005)


def test_another_vocabulary_is_refused(network: Seq2Seq, dataset: Dataset, tmp_path: Path) -> None:
    other = Tokenizer.train(["something else"], vocabulary_size=300)
    with pytest.raises(DatasetError, match=r"another vocabulary.*prepare"):
        evaluate(bundle_of(network, other, tmp_path), dataset)


def test_sample_exchanges_show_question_human_and_model(network: Seq2Seq, dataset: Dataset, tmp_path: Path) -> None:
    directory = bundle_of(network, dataset.tokenizer, tmp_path)
    samples = list(sample_exchanges(directory, dataset, 3))
    assert len(samples) == 3
    assert all(human in set(validation_texts(dataset)) and reply for _, human, reply in samples)
    assert samples == list(sample_exchanges(directory, dataset, 3))
