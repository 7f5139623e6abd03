"""How the linker learns: channels with known links in, the weights of the linker out.

The network of `linker.py` in Keras, trained with a softmax over the candidates of each message and "something new".
Most of its words are seen a few times only, so that embeddings are dropped more than half of the time in one way or
another: without that the network knows the training channels by heart after three epochs.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from training.linking.encounters import WINDOW, Channel, read
from training.linking.features import BUCKETS, CANDIDATES, RARITY_UNIT, UNIT, Evidence
from training.linking.linker import NEW, WEIGHT_UNIT, WEIGHTS
from training.linking.score import UNKNOWN, LinkedChannel, read_links

_ROWS = 64  # messages of a block that learn; the WINDOW before them are there to be answered
_MOST_WORDS = 32
_EMBEDDING_UNIT = 64

Array = npt.NDArray[Any]
Tensor = Any


@dataclass(frozen=True, slots=True)
class LinkTraining:
    """How the linker is trained."""

    units: int = 64
    new_units: int = 32
    embedding_dim: int = 16
    epochs: int = 7
    batch_blocks: int = 4
    learning_rate: float = 5e-3
    weight_decay: float = 3e-2
    dropout: float = 0.2
    embedding_dropout: float = 0.5
    word_dropout: float = 0.3
    seed: int = 0


class Blocks(NamedTuple):
    """Training data of b blocks of _ROWS messages each; features in whole units."""

    answer: Array  # [b, rows, f]
    asker: Array  # [b, window + rows, f]
    pair: Array  # [b, rows, k, f]
    candidates: Array  # [b, rows, k] places within the block, -1 for none
    words: Array  # [b, window + rows, words] numbers of embeddings, 0 for none
    target: Array  # [b, rows] the right candidate, CANDIDATES for something new, UNKNOWN


class LinkNetwork(keras.Model):  # type: ignore[misc]
    """Scores candidates as `Linker` does, in floating point."""

    def __init__(self, config: LinkTraining) -> None:
        super().__init__()
        dense, dropout = keras.layers.Dense, keras.layers.Dropout
        self.embedding = keras.layers.Embedding(
            BUCKETS + 1, config.embedding_dim, embeddings_initializer=keras.initializers.RandomNormal(stddev=0.05)
        )
        self.query = dense(config.embedding_dim, use_bias=False)
        self.key = dense(config.embedding_dim, use_bias=False)
        self.asker = dense(config.units, use_bias=False)
        self.answer = dense(config.units)
        self.pair = dense(config.units, use_bias=False)
        self.out = dense(1, use_bias=False)
        self.new = dense(config.new_units)
        self.new_out = dense(1)
        self.dropout = dropout(config.dropout)
        self.embedding_dropout = dropout(config.embedding_dropout)
        self.word_dropout = config.word_dropout

    def call(self, blocks: tuple[Tensor, ...], training: bool = False) -> Tensor:
        """Logits [b, rows, k + 1] of the candidates and of something new."""
        answer, asker, pair, candidates, words = blocks
        text = self._text(words, training)
        at = tf.maximum(candidates, 0)
        query, key = self.query(text[:, WINDOW:]), tf.gather(self.key(text), at, batch_dims=1)
        alike = tf.einsum("brd,brkd->brk", query, key)[..., tf.newaxis]
        situation = tf.concat([answer, text[:, WINDOW:]], -1)
        hidden = self.pair(tf.concat([pair, alike], -1)) + self.answer(situation)[:, :, tf.newaxis]
        hidden += tf.gather(self.asker(tf.concat([asker, text], -1)), at, batch_dims=1)
        scores = self.out(self.dropout(tf.nn.relu(hidden), training=training))[..., 0]
        new = self.new_out(self.dropout(tf.nn.relu(self.new(situation)), training=training))
        return tf.concat([tf.where(candidates >= 0, scores, -30.0), new], -1)

    def _text(self, words: Tensor, training: bool) -> Tensor:
        there = tf.cast(words > 0, tf.float32)
        count = tf.reduce_sum(there, -1, keepdims=True)
        if training:
            there *= tf.cast(tf.random.uniform(tf.shape(there)) > self.word_dropout, tf.float32)
        text = tf.reduce_sum(self.embedding(words) * there[..., tf.newaxis], -2) / tf.sqrt(1 + count)
        return self.embedding_dropout(text, training=training)


def learn(
    files: Iterable[Path],
    out: Path,
    config: LinkTraining | None = None,
    on_epoch: Callable[[int, float], None] | None = None,
) -> None:
    """Train the linker and write its weights; the same files, settings and machine give the same bytes.

    Args:
        files: exports in which people marked what answers what.
        out: the file of weights.
        config: the settings; the defaults if None.
        on_epoch: called with the number of each epoch, from 1, and its mean loss.

    Raises:
        ExportError: an export cannot be read, or there are no links.
    """
    config = config or LinkTraining()
    weights = learn_channels(read_links(files), config, on_epoch)
    with out.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **weights)


def learn_channels(
    channels: list[LinkedChannel], config: LinkTraining, on_epoch: Callable[[int, float], None] | None = None
) -> dict[str, Array]:
    """Train on channels; returns the arrays of WEIGHTS."""
    keras.utils.set_random_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    read_channels = [(read(channel.utterances), channel.links) for channel in channels]
    rarity = _rarity([channel for channel, _ in read_channels])
    blocks = Blocks(*map(np.concatenate, zip(*[_blocks(*known, rarity) for known in read_channels], strict=True)))
    network = LinkNetwork(config)
    _train(network, blocks, config, rng, on_epoch)
    return _whole_weights(network, rarity)


def _rarity(channels: list[Channel]) -> Array:
    """[BUCKETS]: minus the logarithm of the share of messages that hold a word, in whole numbers."""
    held = np.zeros(BUCKETS)
    for channel in channels:
        n = len(channel.author)
        key = channel.words % BUCKETS * n + np.repeat(np.arange(n), np.diff(channel.starts))
        held += np.bincount(np.unique(key) // n, minlength=BUCKETS)
    n = sum(len(channel.author) for channel in channels)
    rarity: Array = np.rint(np.log((n + 1) / (held + 1)) * RARITY_UNIT).astype(np.uint8)
    return rarity


def _blocks(channel: Channel, links: Array, rarity: Array) -> Blocks:
    """Cut the messages with known links, and those between them, into blocks."""
    evidence = Evidence(channel, rarity.astype(np.int64))
    n = len(links)
    begin = int(np.argmax(links != UNKNOWN))
    rows = np.arange(begin, begin + -(-(n - begin) // _ROWS) * _ROWS).reshape(-1, _ROWS)
    around = rows[:, :1] - WINDOW + np.arange(WINDOW + _ROWS)
    inside = rows.clip(max=n - 1)
    there = around.clip(0, n - 1)
    at = np.where((rows < n)[..., None], evidence.candidates[inside], -1)
    target = np.where(at == links[inside][..., None], np.arange(CANDIDATES), -1).max(axis=-1)
    target = np.where(links[inside] == NEW, CANDIDATES, np.where(target < 0, UNKNOWN, target))
    return Blocks(
        answer=evidence.answer[inside].astype(np.int8),
        asker=evidence.asker[there].astype(np.int8),
        pair=np.stack([_pairs(evidence, first) for first in rows[:, 0]]),
        candidates=np.where(at >= 0, at - around[:, :1, None], -1).astype(np.int32),
        words=_padded_words(channel)[there],
        target=np.where((rows < n) & (links[inside] != UNKNOWN), target, UNKNOWN).astype(np.int32),
    )


def _pairs(evidence: Evidence, first: int) -> Array:
    """[rows, k, f] of one block, with zeros behind the last message."""
    pair = evidence.pair(slice(first, first + _ROWS)).transpose(1, 2, 0)
    out = np.zeros((_ROWS, *pair.shape[1:]), np.int8)
    out[: len(pair)] = pair
    return out


def _padded_words(channel: Channel) -> Array:
    counts = np.diff(channel.starts)
    message = np.repeat(np.arange(len(counts)), counts)
    out = np.zeros((len(counts), _MOST_WORDS), np.int32)
    out[message, np.arange(len(message)) - channel.starts[:-1][message]] = channel.words % BUCKETS + 1
    return out


def _inputs(blocks: Blocks, chosen: Array) -> tuple[Tensor, ...]:
    """A batch of blocks as the network takes it."""
    floats = [tf.constant(values[chosen].astype(np.float32) / UNIT) for values in blocks[:3]]
    return (*floats, tf.constant(blocks.candidates[chosen]), tf.constant(blocks.words[chosen]))


def _train(
    network: LinkNetwork,
    blocks: Blocks,
    config: LinkTraining,
    rng: np.random.Generator,
    on_epoch: Callable[[int, float], None] | None,
) -> None:
    batches = -(-len(blocks.target) // config.batch_blocks)
    rate = keras.optimizers.schedules.CosineDecay(config.learning_rate, config.epochs * batches, alpha=0.02)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=config.weight_decay, clipnorm=1.0)

    network(_inputs(blocks, np.arange(1)))  # makes the variables, or tracing would take place twice
    optimizer.build(network.trainable_variables)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(inputs: tuple[Tensor, ...], target: Tensor) -> Tensor:
        with tf.GradientTape() as tape:
            known = tf.cast(target >= 0, tf.float32)
            logits = network(inputs, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(target, 0), logits)
            loss = tf.reduce_sum(known * losses) / tf.maximum(tf.reduce_sum(known), 1.0)
        gradients = tape.gradient(loss, network.trainable_variables)
        optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
        return loss

    for epoch in range(1, config.epochs + 1):
        order = np.array_split(rng.permutation(len(blocks.target)), batches)
        losses = [float(step(_inputs(blocks, chosen), tf.constant(blocks.target[chosen]))) for chosen in order]
        if on_epoch:
            on_epoch(epoch, float(np.mean(losses)))


def _whole_weights(network: LinkNetwork, rarity: Array) -> dict[str, Array]:
    """The arrays of WEIGHTS."""
    bias_unit = UNIT * WEIGHT_UNIT
    layers = {
        "embedding": (network.embedding.embeddings[1:], _EMBEDDING_UNIT),
        "query": (network.query.kernel, WEIGHT_UNIT),
        "key": (network.key.kernel, WEIGHT_UNIT),
        "asker": (network.asker.kernel, WEIGHT_UNIT),
        "answer": (network.answer.kernel, WEIGHT_UNIT),
        "bias": (network.answer.bias, bias_unit),
        "pair": (network.pair.kernel, WEIGHT_UNIT),
        "out": (network.out.kernel[:, 0], WEIGHT_UNIT),
        "new": (network.new.kernel, WEIGHT_UNIT),
        "new_bias": (network.new.bias, bias_unit),
        "new_out": (network.new_out.kernel[:, 0], WEIGHT_UNIT),
        "new_out_bias": (network.new_out.bias[0], bias_unit),
    }
    whole = {"rarity": rarity}
    for name, (values, unit) in layers.items():
        limits = np.iinfo(np.dtype(WEIGHTS[name]))
        whole[name] = np.clip(np.rint(np.asarray(values) * unit), limits.min, limits.max).astype(WEIGHTS[name])
    return whole
