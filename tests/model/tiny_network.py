"""Networks small enough to build in a moment, with weights as busy as trained ones."""

import functools
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from model.bundle import COPIES, TOKENIZER, BundleFacts, publish, staging
from model.copies import CopyIndex
from model.onnx_graph import export
from model.seq2seq import Seq2Seq, Seq2SeqConfig, build
from model.tokenizer import PAD, START, Tokenizer

CONFIGS = {
    "base": Seq2SeqConfig(vocabulary_size=40, embedding_dim=7, encoder_units=6, dropout=0.3),
    "classic": Seq2SeqConfig(
        vocabulary_size=40,
        embedding_dim=8,
        encoder_units=9,
        bidirectional=False,
        decoder_layers=1,
        attention="none",
        tied=False,
    ),
    "deep": Seq2SeqConfig(
        vocabulary_size=30,
        embedding_dim=6,
        encoder_layers=2,
        encoder_units=8,
        bidirectional=False,
        decoder_layers=3,
        attention="bahdanau",
        tied=False,
    ),
    "gru": Seq2SeqConfig(vocabulary_size=30, cell="gru", embedding_dim=6, encoder_layers=2, encoder_units=5),
    "rnn": Seq2SeqConfig(
        vocabulary_size=30, cell="rnn", embedding_dim=6, encoder_units=7, decoder_layers=1, attention="none"
    ),
    "transformer": Seq2SeqConfig(
        vocabulary_size=40,
        cell="transformer",
        embedding_dim=7,
        encoder_layers=2,
        encoder_units=12,
        heads=3,
        dropout=0.3,
    ),
}
"""The shapes of two presets, and each other value of a field at least once."""

Floats = npt.NDArray[np.float32]


@functools.cache
def lively_network(config: Seq2SeqConfig, *, spread: float = 1.0, seed: int = 0) -> Seq2Seq:
    """A network none of whose weights is zero or alike; outputs neither vanish nor saturate. Shared: do not train it.

    Args:
        config: its shape.
        spread: of the embedding and softmax weights, and so of the logits.
        seed: of the weights.
    """
    network, rng = build(config), np.random.default_rng(seed)
    for variable in network.trainable_variables:
        wide = variable.ndim == 1 or config.vocabulary_size in variable.shape
        deviation = 0.5 * spread if wide else 1.5 / np.sqrt(variable.shape[0])
        variable.assign(rng.normal(0, deviation, variable.shape))
    return network


def random_contexts(config: Seq2SeqConfig, lengths: tuple[int, ...] = (5, 1, 9), seed: int = 1) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(PAD + 1, config.vocabulary_size, length).tolist() for length in lengths]


def random_replies(config: Seq2SeqConfig, batch: int = 3, time: int = 6, seed: int = 2) -> npt.NDArray[np.int64]:
    """Decoder ids: a start token and what follows it, `[batch, time]`."""
    ids = np.random.default_rng(seed).integers(PAD + 1, config.vocabulary_size, (batch, time))
    ids[:, 0] = START
    return ids


def padded(contexts: list[list[int]], extra: int = 0) -> npt.NDArray[np.int64]:
    ids = np.full((len(contexts), max(map(len, contexts)) + extra), PAD, np.int64)
    for row, context in zip(ids, contexts, strict=True):
        row[: len(context)] = context
    return ids


def teacher_forced(network: Seq2Seq, contexts: list[list[int]], replies: npt.NDArray[np.int64]) -> Floats:
    return np.asarray(network(tf.constant(padded(contexts)), tf.constant(replies)))


def publish_bundle(models: Path, tokenizer: Tokenizer) -> Path:
    """Export a random network over a vocabulary, as training does."""
    keras.utils.set_random_seed(0)
    config = Seq2SeqConfig(vocabulary_size=tokenizer.vocabulary_size, embedding_dim=8, encoder_units=6)
    facts = BundleFacts(
        preset="base", network=asdict(config), max_context_tokens=12, max_reply_tokens=10, training={"source": "tests"}
    )
    with staging(models) as staged:
        (staged / TOKENIZER).write_bytes(tokenizer.to_bytes())
        export(lively_network(config), staged)
        CopyIndex().save(staged / COPIES)
        return publish(staged, facts)
