"""The network: an encoder reads the context, a decoder that looks at it writes the reply (Keras on TensorFlow).

Two faces of one set of layers: `call` scores known replies (training), `encode` and `decode_step` write new ones.
Stepwise logits equal the teacher-forced ones. Shapes are `[batch, time, units]`.

Products with weights are of two dimensions: TensorFlow's gradient of a `[batch, time, ...]` one makes a gradient of the
weights for each row of the batch and adds them up, which costs more time and memory than all the rest.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from model.recurrence import CELLS, State, Tensor, product, side_by_side, sizes
from model.tokenizer import PAD

MASKED = -1e9
"""What is added to the scores of what must not be looked at."""

NORM_EPSILON = 1e-5
_RESIDUAL = 0.3
"""Of the matrices whose products are added up from layer to layer: how large they are at first."""


@dataclass(frozen=True, kw_only=True)
class Seq2SeqConfig:
    """The shape of a network.

    Attributes:
        vocabulary_size: number of token ids.
        cell: the layers: recurrent ones, `lstm`, `gru` or the simple `rnn`, or those of a `transformer`.
        embedding_dim: width of the token embedding, shared by encoder and decoder.
        encoder_layers: layers of the encoder.
        encoder_units: units of each; of recurrent ones in each direction.
        bidirectional: recurrent layers of the encoder read in both directions, as a Transformer always does.
        decoder_layers: layers of the decoder. Recurrent ones start from the encoder's state and are as wide as it;
            a Transformer's are as wide as `encoder_units`.
        attention: how a recurrent decoder scores the encoder's outputs: Luong's general product, Bahdanau's additive
            score, or no attention.
        heads: of a Transformer, which share its units.
        tied: the softmax is the embedding, behind a projection to its width; else a matrix of its own.
        dropout: share of units dropped between layers in training.

    Raises:
        ValueError: the heads of a Transformer cannot share its units, an even number for each.
    """

    vocabulary_size: int
    cell: Literal["lstm", "gru", "rnn", "transformer"] = "lstm"
    embedding_dim: int = 256
    encoder_layers: int = 1
    encoder_units: int = 256
    bidirectional: bool = True
    decoder_layers: int = 2
    attention: Literal["luong", "bahdanau", "none"] = "luong"
    heads: int = 4
    tied: bool = True
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.cell == "transformer" and self.encoder_units % (2 * self.heads):
            raise ValueError(f"{self.heads} heads cannot share {self.encoder_units} units")

    @property
    def directions(self) -> tuple[str, ...]:
        """The directions that each recurrent layer of the encoder reads in."""
        return ("forward", "backward") if self.bidirectional else ("forward",)

    @property
    def decoder_units(self) -> int:
        """Units of each decoder layer, and of the encoder's outputs."""
        return self.encoder_units * (1 if self.cell == "transformer" else len(self.directions))

    @property
    def head_units(self) -> int:
        """Units of each head of a Transformer."""
        return self.encoder_units // self.heads

    @property
    def attends(self) -> bool:
        """Whether the decoder looks at the tokens of the context."""
        return self.cell == "transformer" or self.attention != "none"


class Seq2Seq(keras.Model):  # type: ignore[misc]
    """A network over token ids; `build` makes one. What lies between embedding and softmax its two kinds decide."""

    def __init__(self, config: Seq2SeqConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.embedding = keras.layers.Embedding(config.vocabulary_size, config.embedding_dim, name="embedding")
        # One mask for all time steps (Gal & Ghahramani, 2016), which also makes its random numbers affordable.
        self.dropout = keras.layers.Dropout(config.dropout, noise_shape=(None, 1, None))
        if config.tied:
            self.projection = keras.layers.Dense(config.embedding_dim, use_bias=False, name="projection")
        else:
            self.softmax = keras.layers.Dense(config.vocabulary_size, use_bias=False, name="softmax")
        self.output_bias = self.add_weight(name="output_bias", shape=(config.vocabulary_size,), initializer="zeros")

    def call(self, encoder_ids: Tensor, decoder_ids: Tensor, training: bool = False) -> Tensor:
        """Score known replies.

        Args:
            encoder_ids: context `[batch, context time]`, padded with `PAD`.
            decoder_ids: reply behind a start token, `[batch, reply time]`.
            training: whether units are dropped.

        Returns:
            Logits of the token after each decoder id, `[batch, reply time, vocabulary]`.
        """
        return self._logits(self._decode(encoder_ids, decoder_ids, training)[0])

    def attention_weights(self, encoder_ids: Tensor, decoder_ids: Tensor) -> Tensor:
        """How much each step of known replies looks at each token of the context; None for a network that cannot.

        Returns:
            Shares that add up to 1, `[batch, reply time, context time]`; of a Transformer the mean over the heads of
            its last layer.
        """
        return self._decode(encoder_ids, decoder_ids, training=False)[1]

    def encode(self, encoder_ids: Tensor, training: bool = False) -> tuple[Tensor, Tensor, list[State]]:
        """Read the context.

        Returns:
            Outputs `[batch, time, units]`, mask `[batch, time]`, and the first state of each decoder layer.
        """
        raise NotImplementedError

    def decode_step(
        self, tokens: Tensor, memory: Tensor, mask: Tensor, states: Sequence[State]
    ) -> tuple[Tensor, list[State]]:
        """Write one token.

        Args:
            tokens: the last token of each reply, `[batch]`.
            memory, mask, states: as `encode` returned them; then the states of the step before.

        Returns:
            Logits `[batch, vocabulary]` and the new state of each layer.
        """
        raise NotImplementedError

    def _decode(self, encoder_ids: Tensor, decoder_ids: Tensor, training: bool) -> tuple[Tensor, Tensor]:
        """What logits are made of, `[batch, reply time, units]`, and the weights of `attention_weights`."""
        raise NotImplementedError

    def _embed(self, ids: Tensor, training: bool) -> Tensor:
        return self.dropout(self.embedding(ids), training=training)

    def _mask(self, ids: Tensor) -> Tensor:
        return tf.cast(tf.not_equal(ids, PAD), self.compute_dtype)

    def _logits(self, outputs: Tensor) -> Tensor:
        if self.config.tied:
            embeddings = tf.cast(self.embedding.embeddings, self.compute_dtype)
            logits = product(self.projection(outputs), embeddings, transpose_b=True)
        else:
            logits = self.softmax(outputs)
        return tf.cast(logits, tf.float32) + tf.cast(self.output_bias, tf.float32)


def build(config: Seq2SeqConfig) -> Seq2Seq:
    """A network with its weights created (at random: see `keras.utils.set_random_seed`)."""
    network = Transformer(config) if config.cell == "transformer" else RecurrentSeq2Seq(config)
    network(tf.ones([1, 2], tf.int32), tf.ones([1, 2], tf.int32))
    return network


class RecurrentSeq2Seq(Seq2Seq):
    """Recurrent layers, with attention after them or without (Sutskever et al., 2014; Luong et al., 2015)."""

    def __init__(self, config: Seq2SeqConfig, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        cell, units = CELLS[config.cell], config.decoder_units
        self.encoder = [
            [cell(config.encoder_units, name=f"encoder_{layer}_{direction}") for direction in config.directions]
            for layer in range(config.encoder_layers)
        ]
        self.decoder = [cell(units, name=f"decoder_{layer}") for layer in range(config.decoder_layers)]
        if config.attention != "none":
            self.keys = keras.layers.Dense(units, use_bias=False, name="keys")
            self.combine = keras.layers.Dense(units, use_bias=False, activation="tanh", name="combine")
        if config.attention == "bahdanau":
            self.query = keras.layers.Dense(units, name="query")
            self.energy = keras.layers.Dense(1, use_bias=False, name="energy")

    def encode(self, encoder_ids: Tensor, training: bool = False) -> tuple[Tensor, Tensor, list[State]]:
        mask, memory = self._mask(encoder_ids), self._embed(encoder_ids, training)
        (batch,) = sizes(encoder_ids, 1)
        for layers in self.encoder:
            zeros = [layer.zero_state(batch, self.compute_dtype) for layer in layers]
            inputs, present = _both_ways(memory, layers), _both_ways(mask, layers)
            outputs, states = zip(*side_by_side(layers, inputs, zeros, present), strict=True)
            memory = tf.concat([outputs[0], *(tf.reverse(each, [1]) for each in outputs[1:])], -1)
            state = tuple(tf.concat(parts, -1) for parts in zip(*states, strict=True))
            memory = self.dropout(memory, training=training)
        return memory, mask, [state] * self.config.decoder_layers

    def decode_step(
        self, tokens: Tensor, memory: Tensor, mask: Tensor, states: Sequence[State]
    ) -> tuple[Tensor, list[State]]:
        outputs = self.embedding(tokens)
        new_states: list[State] = []
        for layer, state in zip(self.decoder, states, strict=True):
            new_states.append(layer.step(outputs, state))
            outputs = new_states[-1][0]
        return self._logits(self._attend(outputs[:, tf.newaxis], memory, mask)[0])[:, 0], new_states

    def _decode(self, encoder_ids: Tensor, decoder_ids: Tensor, training: bool) -> tuple[Tensor, Tensor]:
        memory, mask, states = self.encode(encoder_ids, training=training)
        outputs = self._embed(decoder_ids, training)
        for layer, state in zip(self.decoder, states, strict=True):
            outputs = self.dropout(layer(outputs, state)[0], training=training)
        return self._attend(outputs, memory, mask)

    def _attend(self, queries: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs and what they look at in one, `[batch, reply time, units]`, and the weights of looking."""
        if self.config.attention == "none":
            return queries, None
        weights = _shares(self._scores(queries, self.keys(memory)), mask[:, tf.newaxis])
        return self.combine(tf.concat([tf.matmul(weights, memory), queries], -1)), weights

    def _scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Luong's general score, or Bahdanau's additive one (2015), here too after the recurrence."""
        if self.config.attention == "luong":
            return tf.matmul(queries, keys, transpose_b=True)
        sums = self.query(queries)[:, :, tf.newaxis] + keys[:, tf.newaxis]
        return tf.squeeze(self.energy(tf.tanh(sums)), -1)


class Transformer(Seq2Seq):
    """Layers of attention (Vaswani et al., 2017), each part of which normalises what it gets (Xiong et al., 2020).

    Positions are rotations of queries and keys (Su et al., 2021), so that texts of any length can be read. The state
    of a decoder layer is keys and values of what it wrote, and those of the context, `[batch, heads, time, units]`.
    """

    def __init__(self, config: Seq2SeqConfig, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        heads = config.heads
        self.widening = keras.layers.Dense(config.encoder_units, use_bias=False, name="widening")
        self.encoder = [
            (SelfAttention(heads, name=f"encoder_{layer}_self"), FeedForward(name=f"encoder_{layer}_forward"))
            for layer in range(config.encoder_layers)
        ]
        self.decoder = [
            (
                SelfAttention(heads, name=f"decoder_{layer}_self"),
                ContextAttention(heads, name=f"decoder_{layer}_context"),
                FeedForward(name=f"decoder_{layer}_forward"),
            )
            for layer in range(config.decoder_layers)
        ]
        self.input_norm, self.memory_norm, self.output_norm = (
            Norm(name=f"{name}_norm") for name in ("input", "memory", "output")
        )

    def encode(self, encoder_ids: Tensor, training: bool = False) -> tuple[Tensor, Tensor, list[State]]:
        mask, outputs = self._mask(encoder_ids), self._embed(encoder_ids, training)
        batch, time = sizes(encoder_ids, 2)
        rotations = self._rotations(0, time)
        for attention, forward in self.encoder:
            mixed, _, _ = attention(outputs, rotations, mask[:, tf.newaxis, tf.newaxis])
            outputs += self.dropout(mixed, training=training)
            outputs += self.dropout(forward(outputs), training=training)
        memory = self.memory_norm(outputs)
        nothing = tf.zeros([batch, self.config.heads, 0, self.config.head_units], memory.dtype)
        return memory, mask, [(nothing, nothing, *context.read(memory)) for _, context, _ in self.decoder]

    def decode_step(
        self, tokens: Tensor, memory: Tensor, mask: Tensor, states: Sequence[State]
    ) -> tuple[Tensor, list[State]]:
        outputs, states, _ = self._write(tokens[:, tf.newaxis], mask, states, training=False)
        return self._logits(outputs)[:, 0], states

    def _decode(self, encoder_ids: Tensor, decoder_ids: Tensor, training: bool) -> tuple[Tensor, Tensor]:
        _, mask, states = self.encode(encoder_ids, training=training)
        outputs, _, weights = self._write(decoder_ids, mask, states, training)
        return outputs, tf.reduce_mean(weights, 1)

    def _write(
        self, ids: Tensor, mask: Tensor, states: Sequence[State], training: bool
    ) -> tuple[Tensor, list[State], Tensor]:
        """Outputs of more tokens `[batch, time]`, the states after them, and the weights of the last layer's heads."""
        past, (_, time) = sizes(states[0][0], 3)[2], sizes(ids, 2)
        rotations, outputs = self._rotations(past, time), self._embed(ids, training)
        written = tf.linalg.band_part(tf.ones([time, past + time], outputs.dtype), -1, past)
        new_states, weights = list[State](), None
        for (attention, context, forward), (keys, values, *read) in zip(self.decoder, states, strict=True):
            mixed, keys, values = attention(outputs, rotations, written, (keys, values))
            outputs += self.dropout(mixed, training=training)
            mixed, weights = context(outputs, read, mask[:, tf.newaxis, tf.newaxis])
            outputs += self.dropout(mixed, training=training)
            outputs += self.dropout(forward(outputs), training=training)
            new_states.append((keys, values, *read))
        return self.output_norm(outputs), new_states, weights

    def _embed(self, ids: Tensor, training: bool) -> Tensor:
        return self.dropout(self.input_norm(self.widening(self.embedding(ids))), training=training)

    def _rotations(self, first: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines of the angles of some positions, `[time, head_units / 2]`."""
        positions = tf.cast(first + tf.range(count), tf.float32)
        angles = positions[:, tf.newaxis] * rotary_frequencies(self.config)
        return tf.cast(tf.cos(angles), self.compute_dtype), tf.cast(tf.sin(angles), self.compute_dtype)


class SelfAttention(keras.layers.Layer):  # type: ignore[misc]
    """Attention of tokens to each other, in several heads."""

    def __init__(self, heads: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heads, self.norm = heads, Norm(name="norm")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        units = int(input_shape[-1] or 0)
        self.query_key_value = _matrix(self, "query_key_value", units, 3 * units)
        self.mix = _matrix(self, "mix", units, units, _RESIDUAL)

    def call(
        self, inputs: Tensor, rotations: tuple[Tensor, Tensor], visible: Tensor, past: Sequence[Tensor] = ()
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Look at the past and at each other.

        Args:
            inputs: `[batch, time, units]`.
            rotations: of their positions, as `Transformer` makes them.
            visible: 1 for each token that one may look at, else 0, in a shape that fits `[batch, heads, time, all]`.
            past: keys and values of the tokens before.

        Returns:
            What is to be added to the inputs; the keys and values of all tokens.
        """
        queries, keys, values = tf.split(product(self.norm(inputs), self.query_key_value), 3, -1)
        queries, keys = (_rotated(_split(each, self.heads), *rotations) for each in (queries, keys))
        new = keys, _split(values, self.heads)
        keys, values = (tf.concat(parts, 2) for parts in zip(past, new, strict=True)) if past else new
        return product(_look(queries, keys, values, visible)[0], self.mix), keys, values


class ContextAttention(keras.layers.Layer):  # type: ignore[misc]
    """Attention of what is written to the context, in several heads."""

    def __init__(self, heads: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heads, self.norm = heads, Norm(name="norm")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        units = int(input_shape[-1] or 0)
        self.query = _matrix(self, "query", units, units)
        self.key_value = _matrix(self, "key_value", units, 2 * units)
        self.mix = _matrix(self, "mix", units, units, _RESIDUAL)

    def read(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of the encoder's outputs `[batch, time, units]`."""
        if not self.built:  # before the first `call`
            self.build(memory.shape)
        keys, values = tf.split(product(memory, self.key_value), 2, -1)
        return _split(keys, self.heads), _split(values, self.heads)

    def call(self, inputs: Tensor, read: Sequence[Tensor], visible: Tensor) -> tuple[Tensor, Tensor]:
        """Look at what `read` returned; returns what is to be added to the inputs, and the weights of each head."""
        queries, (keys, values) = _split(product(self.norm(inputs), self.query), self.heads), read
        mixed, weights = _look(queries, keys, values, visible)
        return product(mixed, self.mix), weights


class FeedForward(keras.layers.Layer):  # type: ignore[misc]
    """Two products with a rectifier between them, for each token by itself; the layer between is four times as wide."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.norm = Norm(name="norm")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        units = int(input_shape[-1] or 0)
        self.widen = _matrix(self, "widen", units, 4 * units)
        self.narrow = _matrix(self, "narrow", 4 * units, units, _RESIDUAL)

    def call(self, inputs: Tensor) -> Tensor:
        """What is to be added to the inputs."""
        return product(tf.nn.relu(product(self.norm(inputs), self.widen)), self.narrow)


class Norm(keras.layers.Layer):  # type: ignore[misc]
    """Layer normalisation (Ba et al., 2016) with a scale and no shift."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.gain = self.add_weight(name="gain", shape=(input_shape[-1],), initializer="ones")

    def call(self, inputs: Tensor) -> Tensor:
        """The same shape, each token's units of mean 0 and variance 1, scaled."""
        centred = tf.cast(inputs, tf.float32)
        centred -= tf.reduce_mean(centred, -1, keepdims=True)
        spread = tf.math.rsqrt(tf.reduce_mean(centred * centred, -1, keepdims=True) + NORM_EPSILON)
        return tf.cast(centred * spread, inputs.dtype) * self.gain


def rotary_frequencies(config: Seq2SeqConfig) -> npt.NDArray[np.float32]:
    """The angles, in radians, that the pairs of a head's units turn by from one position to the next."""
    pairs = config.head_units // 2
    return np.power(10_000.0, -np.arange(pairs) / pairs).astype(np.float32)


def _matrix(layer: keras.layers.Layer, name: str, inputs: int, outputs: int, gain: float = 1.0) -> Tensor:
    deviation = gain / math.sqrt(inputs)
    return layer.add_weight(
        name=name, shape=(inputs, outputs), initializer=keras.initializers.RandomNormal(stddev=deviation)
    )


def _split(tensor: Tensor, heads: int) -> Tensor:
    """`[batch, time, units]` as `[batch, heads, time, head_units]`."""
    parts = tf.reshape(tensor, [*sizes(tensor, 2), heads, tensor.shape[-1] // heads])
    return tf.transpose(parts, [0, 2, 1, 3])


def _rotated(tensor: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    first, second = tf.split(tensor, 2, -1)
    return tf.concat([first * cosines - second * sines, second * cosines + first * sines], -1)


def _look(queries: Tensor, keys: Tensor, values: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
    """The values by scaled dot products, `[batch, time, units]`, and their weights, `[batch, heads, time, all]`."""
    scores = tf.matmul(queries, keys, transpose_b=True) / math.sqrt(queries.shape[-1])
    weights = _shares(scores, visible)
    mixed = tf.transpose(tf.matmul(weights, values), [0, 2, 1, 3])
    return tf.reshape(mixed, [*sizes(mixed, 2), mixed.shape[2] * mixed.shape[3]]), weights


def _shares(scores: Tensor, visible: Tensor) -> Tensor:
    """The softmax of scores over what is visible, the last axis."""
    hidden = tf.cast(1 - visible, tf.float32)
    return tf.cast(tf.nn.softmax(tf.cast(scores, tf.float32) + MASKED * hidden), scores.dtype)


def _both_ways(tensor: Tensor, directions: Sequence[Any]) -> list[Tensor]:
    """A tensor `[batch, time, ...]`, and where there is a second direction also reversed in time."""
    return [tensor, *(tf.reverse(tensor, [1]) for _ in directions[1:])]
