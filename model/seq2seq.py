"""The network: an encoder reads the context, a decoder with attention writes the reply (Keras on TensorFlow).

Two faces of one set of layers: `call` scores known replies (training), `encode` and `decode_step` write new ones.
Stepwise logits equal the teacher-forced ones. Shapes are `[batch, time, units]`; the recurrences run time-major
inside, as one compiled loop whose input products are taken out of it.
"""

from dataclasses import dataclass
from typing import Any, Literal

import keras
import tensorflow as tf

from model.tokenizer import PAD

Tensor = Any
State = list[tuple[Tensor, Tensor]]


@dataclass(frozen=True, kw_only=True)
class Seq2SeqConfig:
    """The shape of a network. Decoder states start from the encoder's, so the units of both must agree.

    Attributes:
        vocabulary_size: number of token ids.
        embedding_dim: width of the token embedding, shared by encoder and decoder.
        encoder_units: units of the encoder LSTM, in each direction.
        bidirectional: the encoder reads in both directions.
        decoder_layers: LSTM layers of the decoder, each of `encoder_units` times the directions.
        attention: Luong's general attention over the encoder's outputs, or none.
        tied: the softmax is the embedding, behind a projection to its width; else a matrix of its own.
        dropout: share of units dropped between layers in training.
    """

    vocabulary_size: int
    embedding_dim: int = 256
    encoder_units: int = 256
    bidirectional: bool = True
    decoder_layers: int = 2
    attention: Literal["luong", "none"] = "luong"
    tied: bool = True
    dropout: float = 0.0

    @property
    def decoder_units(self) -> int:
        """Units of each decoder layer, and of the encoder's outputs."""
        return self.encoder_units * (2 if self.bidirectional else 1)


class LSTM(keras.layers.Layer):  # type: ignore[misc]
    """A long short-term memory (Hochreiter & Schmidhuber, 1997); gates in the order input, forget, cell, output.

    Keras's own layer costs 1.2 to 1.5 times as much to train on a processor: it takes the input product a step
    at a time and its masking keeps XLA from compiling one loop.
    """

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        gates = 4 * self.units
        self.kernel = self.add_weight(name="kernel", shape=(input_shape[-1], gates), initializer="glorot_uniform")
        self.recurrent = self.add_weight(name="recurrent", shape=(self.units, gates), initializer="orthogonal")
        self.bias = self.add_weight(name="bias", shape=(gates,), initializer=_forget_bias)

    def call(
        self, inputs: Tensor, h: Tensor, c: Tensor, present: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Run over time.

        Args:
            inputs: `[batch, time, features]`.
            h, c: the state before the first step, `[batch, units]`.
            present: `[batch, time]` of 0 and 1; the state does not move where it is 0.

        Returns:
            Outputs `[batch, time, units]` and the state after the last step.
        """
        products = tf.transpose(tf.matmul(inputs, self.kernel) + self.bias, [1, 0, 2])
        keep = tf.ones([1, 1], products.dtype) if present is None else tf.transpose(present)
        keep = tf.broadcast_to(keep[:, :, tf.newaxis], [*_sizes(products, 2), 1])
        outputs, h, c = _recurrence(products, tf.convert_to_tensor(self.recurrent), h, c, keep)
        return tf.transpose(outputs, [1, 0, 2]), h, c

    def step(self, inputs: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """One step: `[batch, features]` and the state in, the new state out; its `h` is the output."""
        return _advance(_activate(tf.matmul(inputs, self.kernel) + self.bias + tf.matmul(h, self.recurrent)), c)


class Seq2Seq(keras.Model):  # type: ignore[misc]
    """The whole network over token ids."""

    def __init__(self, config: Seq2SeqConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config
        units = config.decoder_units
        self.embedding = keras.layers.Embedding(config.vocabulary_size, config.embedding_dim, name="embedding")
        self.encoder = LSTM(config.encoder_units, name="encoder")
        self.encoder_backward = LSTM(config.encoder_units, name="encoder_backward") if config.bidirectional else None
        self.decoder = [LSTM(units, name=f"decoder_{layer}") for layer in range(config.decoder_layers)]
        # One mask for all time steps (Gal & Ghahramani, 2016), which also makes its random numbers affordable.
        self.dropout = keras.layers.Dropout(config.dropout, noise_shape=(None, 1, None))
        if config.attention == "luong":
            self.keys = keras.layers.Dense(units, use_bias=False, name="keys")
            self.combine = keras.layers.Dense(units, use_bias=False, activation="tanh", name="combine")
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
        memory, mask, state = self.encode(encoder_ids, training=training)
        outputs = self.dropout(self.embedding(decoder_ids), training=training)
        for layer, (h, c) in zip(self.decoder, state, strict=True):
            outputs = self.dropout(layer(outputs, h, c)[0], training=training)
        return self._logits(self._attend(outputs, memory, mask))

    def encode(self, encoder_ids: Tensor, training: bool = False) -> tuple[Tensor, Tensor, State]:
        """Read the context.

        Returns:
            Outputs `[batch, time, units]`, mask `[batch, time]`, and the first state of each decoder layer.
        """
        mask = tf.cast(tf.not_equal(encoder_ids, PAD), self.compute_dtype)
        inputs = self.dropout(self.embedding(encoder_ids), training=training)
        zeros = tf.zeros([*_sizes(encoder_ids, 1), self.config.encoder_units], self.compute_dtype)
        memory, h, c = self.encoder(inputs, zeros, zeros, mask)
        if self.encoder_backward is not None:
            reverse, reverse_mask = tf.reverse(inputs, [1]), tf.reverse(mask, [1])
            backward, back_h, back_c = self.encoder_backward(reverse, zeros, zeros, reverse_mask)
            memory = tf.concat([memory, tf.reverse(backward, [1])], -1)
            h, c = tf.concat([h, back_h], -1), tf.concat([c, back_c], -1)
        return self.dropout(memory, training=training), mask, [(h, c)] * self.config.decoder_layers

    def decode_step(self, tokens: Tensor, memory: Tensor, mask: Tensor, state: State) -> tuple[Tensor, State]:
        """Write one token.

        Args:
            tokens: the last token of each reply, `[batch]`.
            memory, mask, state: as `encode` returned them; then the state of the step before.

        Returns:
            Logits `[batch, vocabulary]` and the new state.
        """
        outputs = self.embedding(tokens)
        new_state: State = []
        for layer, (h, c) in zip(self.decoder, state, strict=True):
            new_state.append(layer.step(outputs, h, c))
            outputs = new_state[-1][0]
        return self._logits(self._attend(outputs[:, tf.newaxis], memory, mask))[:, 0], new_state

    def _attend(self, queries: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        """Luong et al. (2015), general score: `[batch, reply time, units]` in and out."""
        if self.config.attention == "none":
            return queries
        scores = tf.matmul(queries, self.keys(memory), transpose_b=True) + (mask[:, tf.newaxis] - 1.0) * 1e9
        return self.combine(tf.concat([tf.matmul(tf.nn.softmax(scores), memory), queries], -1))

    def _logits(self, outputs: Tensor) -> Tensor:
        if self.config.tied:
            logits = tf.matmul(self.projection(outputs), self.embedding.embeddings, transpose_b=True)
        else:
            logits = self.softmax(outputs)
        return tf.cast(logits + self.output_bias, tf.float32)


def build(config: Seq2SeqConfig) -> Seq2Seq:
    """A network with its weights created (at random: see `keras.utils.set_random_seed`)."""
    network = Seq2Seq(config)
    network(tf.ones([1, 2], tf.int32), tf.ones([1, 2], tf.int32))
    return network


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _recurrence(products: Tensor, recurrent: Tensor, h: Tensor, c: Tensor, keep: Tensor) -> tuple[Any, Any]:
    """The loop of an LSTM over time, and its gradient written out.

    TensorFlow's own gradient of the loop adds a gradient of the whole input and of `recurrent` in every step,
    which is quadratic in time; here the loop back keeps the gates' gradients and one product does the rest.

    Args:
        products: inputs times kernel plus bias, `[time, batch, 4 units]`.
        recurrent: `[units, 4 units]`.
        h, c: the first state, `[batch, units]`.
        keep: 1 where a step counts, `[time, batch, 1]`.
    """
    (steps,) = _sizes(products, 1)
    units = recurrent.shape[0]

    def forward(t: Tensor, h: Tensor, c: Tensor, gates: Tensor, hs: Tensor, cs: Tensor) -> tuple[Tensor, ...]:
        activated = _activate(products[t] + tf.matmul(h, recurrent))
        new_h, new_c = _advance(activated, c)
        h, c = h + keep[t] * (new_h - h), c + keep[t] * (new_c - c)
        return t + 1, h, c, gates.write(t, activated), hs.write(t, h), cs.write(t, c)

    first_h, first_c = h, c
    arrays = [_array(products.dtype, steps, [products.shape[1], size]) for size in (4 * units, units, units)]
    loop = (tf.constant(0), h, c, *arrays)
    _, h, c, gates, hs, cs = tf.while_loop(lambda t, *_: t < steps, forward, loop, maximum_iterations=steps)
    gates, outputs, cells = gates.stack(), hs.stack(), cs.stack()

    def gradient(d_outputs: Tensor, d_h: Tensor, d_c: Tensor) -> tuple[Tensor, ...]:
        h_before = tf.concat([first_h[tf.newaxis], outputs[:-1]], 0)
        c_before = tf.concat([first_c[tf.newaxis], cells[:-1]], 0)

        def backward(t: Tensor, d_h: Tensor, d_c: Tensor, d_gates: Tensor) -> tuple[Tensor, ...]:
            d_h += d_outputs[t]
            d_new_h, d_new_c = keep[t] * d_h, keep[t] * d_c
            i, f, g, o = tf.split(gates[t], 4, -1)
            tanh_c = tf.tanh(f * c_before[t] + i * g)
            d_cell = d_new_c + d_new_h * o * (1 - tanh_c * tanh_c)
            d_i, d_f = d_cell * g * i * (1 - i), d_cell * c_before[t] * f * (1 - f)
            d_g, d_o = d_cell * i * (1 - g * g), d_new_h * tanh_c * o * (1 - o)
            d_gate = tf.concat([d_i, d_f, d_g, d_o], -1)
            d_h = d_h - d_new_h + tf.matmul(d_gate, recurrent, transpose_b=True)
            return t - 1, d_h, d_c - d_new_c + d_cell * f, d_gates.write(t, d_gate)

        loop = (steps - 1, d_h, d_c, _array(products.dtype, steps, [products.shape[1], 4 * units]))
        _, d_h, d_c, d_gates = tf.while_loop(lambda t, *_: t >= 0, backward, loop, maximum_iterations=steps)
        d_products = d_gates.stack()
        flat_h, flat_gates = tf.reshape(h_before, [-1, units]), tf.reshape(d_products, [-1, 4 * units])
        return d_products, tf.matmul(flat_h, flat_gates, transpose_a=True), d_h, d_c, tf.zeros_like(keep)

    return (outputs, h, c), gradient


def _activate(gates: Tensor) -> Tensor:
    input_gate, forget_gate, cell, output_gate = tf.split(gates, 4, -1)
    return tf.concat([tf.sigmoid(input_gate), tf.sigmoid(forget_gate), tf.tanh(cell), tf.sigmoid(output_gate)], -1)


def _advance(activated: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    input_gate, forget_gate, cell, output_gate = tf.split(activated, 4, -1)
    c = forget_gate * c + input_gate * cell
    return output_gate * tf.tanh(c), c


def _forget_bias(shape: tuple[int, ...], dtype: Any = None) -> Tensor:
    """Ones for the forget gate, so that a new network remembers (Jozefowicz et al., 2015)."""
    units = shape[0] // 4
    return tf.concat([tf.zeros(units, dtype), tf.ones(units, dtype), tf.zeros(2 * units, dtype)], 0)


def _sizes(tensor: Tensor, axes: int) -> list[Tensor]:
    """The first sizes of a tensor: numbers where they are known, so that XLA can compile fixed loops."""
    dynamic = tf.shape(tensor)
    return [dynamic[axis] if tensor.shape[axis] is None else tensor.shape[axis] for axis in range(axes)]


def _array(dtype: Any, steps: Tensor, shape: list[int | None]) -> Tensor:
    return tf.TensorArray(dtype, size=steps, element_shape=shape)
