"""Recurrent layers that Keras has too, here in one loop over time that XLA compiles well (TensorFlow).

Shapes are `[batch, time, units]`; inside, time comes first, and the product with the inputs is taken out of the loop.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import tensorflow as tf

Tensor = Any
State = tuple[Tensor, ...]
"""What a layer carries from step to step, each `[batch, units]`; the first is its output."""


class Recurrent(keras.layers.Layer):  # type: ignore[misc]
    """A recurrent layer: gates of the input and the last output, and a rule that makes a new state of them.

    Keras's own layers cost 1.2 to 1.5 times as much to train on a processor: they take the input product a step
    at a time and their masking keeps XLA from compiling one loop.
    """

    gates: ClassVar[int]
    state_size: ClassVar[int]

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        width = self.gates * self.units
        self.kernel = self.add_weight(name="kernel", shape=(input_shape[-1], width), initializer="glorot_uniform")
        self.recurrent = self.add_weight(name="recurrent", shape=(self.units, width), initializer="orthogonal")
        self.bias = self.add_weight(name="bias", shape=(width,), initializer=self.first_bias)

    def call(self, inputs: Tensor, state: State, present: Tensor | None = None) -> tuple[Tensor, State]:
        """Run over time.

        Args:
            inputs: `[batch, time, features]`.
            state: before the first step.
            present: `[batch, time]` of 0 and 1; the state does not move where it is 0.

        Returns:
            Outputs `[batch, time, units]` and the state after the last step.
        """
        keep = tf.ones(sizes(inputs, 2), inputs.dtype) if present is None else present
        ((outputs, last),) = side_by_side([self], [inputs], [state], [keep])
        return outputs, last

    def products(self, inputs: Tensor) -> Tensor:
        """The inputs `[batch, time, features]` times the kernel plus the bias, `[time, batch, gates * units]`."""
        if not self.built:  # Keras does so for layers that are called, which `side_by_side` does not
            self.build(inputs.shape)
        return product(tf.transpose(inputs, [1, 0, 2]), self.kernel) + self.bias

    def step(self, inputs: Tensor, state: State) -> State:
        """One step: `[batch, features]` and the state in, the new state out."""
        products = tf.matmul(inputs, self.kernel) + self.bias, tf.matmul(state[0], self.recurrent)
        return self.advance(self.join(*products), state)

    def zero_state(self, batch: Tensor, dtype: Any) -> State:
        """The state of a layer that has read nothing."""
        return (tf.zeros([batch, self.units], dtype),) * self.state_size

    @staticmethod
    def first_bias(shape: tuple[int, ...], dtype: Any = None) -> Tensor:
        """The bias of a new layer."""
        return tf.zeros(shape, dtype)

    @staticmethod
    def join(inputs: Tensor, recurrent: Tensor) -> Tensor:
        """The gates of a step.

        Args:
            inputs: its input times the kernel, plus the bias, `[..., gates * units]`.
            recurrent: the last output times the recurrent matrix, likewise.
        """
        return inputs + recurrent

    @staticmethod
    def split(gradient: Tensor) -> tuple[Tensor, Tensor]:
        """The gradients of what `join` takes, from that of what it returns."""
        return gradient, gradient

    @staticmethod
    def advance(gates: Tensor, state: State) -> State:
        """The new state, from the gates as `join` returns them and the last state."""
        raise NotImplementedError


class LSTM(Recurrent):
    """A long short-term memory (Hochreiter & Schmidhuber, 1997); gates in the order input, output, forget, cell."""

    gates = 4
    state_size = 2

    @staticmethod
    def first_bias(shape: tuple[int, ...], dtype: Any = None) -> Tensor:
        """Ones for the forget gate, so that a new network remembers (Jozefowicz et al., 2015)."""
        units = shape[0] // 4
        return tf.concat([tf.zeros(2 * units, dtype), tf.ones(units, dtype), tf.zeros(units, dtype)], 0)

    @staticmethod
    def advance(gates: Tensor, state: State) -> State:
        input_gate, output_gate, forget_gate, cell = tf.split(gates, 4, -1)
        c = tf.sigmoid(forget_gate) * state[1] + tf.sigmoid(input_gate) * tf.tanh(cell)
        return tf.sigmoid(output_gate) * tf.tanh(c), c


class GRU(Recurrent):
    """A gated recurrent unit (Cho et al., 2014), reset after the product; gates in the order update, reset, hidden."""

    gates = 3
    state_size = 1

    @staticmethod
    def join(inputs: Tensor, recurrent: Tensor) -> Tensor:
        update_in, reset_in, hidden_in = tf.split(inputs, 3, -1)
        update_back, reset_back, hidden_back = tf.split(recurrent, 3, -1)
        return tf.concat([update_in + update_back, reset_in + reset_back, hidden_in, hidden_back], -1)

    @staticmethod
    def split(gradient: Tensor) -> tuple[Tensor, Tensor]:
        update, reset, hidden_in, hidden_back = tf.split(gradient, 4, -1)
        return tf.concat([update, reset, hidden_in], -1), tf.concat([update, reset, hidden_back], -1)

    @staticmethod
    def advance(gates: Tensor, state: State) -> State:
        update, reset, hidden_in, hidden_back = tf.split(gates, 4, -1)
        update, hidden = tf.sigmoid(update), tf.tanh(hidden_in + tf.sigmoid(reset) * hidden_back)
        return (update * state[0] + (1 - update) * hidden,)


class RNN(Recurrent):
    """The simple recurrent layer (Elman, 1990)."""

    gates = 1
    state_size = 1

    @staticmethod
    def advance(gates: Tensor, state: State) -> State:
        return (tf.tanh(gates),)


CELLS: dict[str, type[Recurrent]] = {"lstm": LSTM, "gru": GRU, "rnn": RNN}


def side_by_side(
    layers: Sequence[Recurrent], inputs: Sequence[Tensor], states: Sequence[State], present: Sequence[Tensor]
) -> list[tuple[Tensor, State]]:
    """Run layers of the same kind over time, none of which needs another's outputs, in one loop.

    Their steps are small, and two of them at a time keep two processors busy that one would not.

    Args:
        layers, inputs, states, present: one of each for each layer, as `Recurrent.call` takes them.

    Returns:
        What `Recurrent.call` returns, for each layer.
    """
    products = [layer.products(each) for layer, each in zip(layers, inputs, strict=True)]
    recurrent = [tf.convert_to_tensor(layer.recurrent) for layer in layers]
    keep = [tf.transpose(each)[:, :, tf.newaxis] for each in present]
    outputs, last = _recurrence(layers[0], products, recurrent, keep, states)
    return [(tf.transpose(each, [1, 0, 2]), tuple(state)) for each, state in zip(outputs, last, strict=True)]


def _recurrence(
    layer: Recurrent, products: list[Tensor], recurrent: list[Tensor], keep: list[Tensor], states: Sequence[State]
) -> tuple[list[Tensor], list[State]]:
    """The loop over time of recurrent layers side by side, with its gradient taken a step at a time.

    TensorFlow's own gradient of the loop adds a gradient of the whole input and of `recurrent` in every step,
    which is quadratic in time; here the loop back keeps the gates' gradients and one product does the rest.

    Args:
        layer: whose rules all follow. The rest is a list with an entry for each:
        products: inputs times kernel plus bias, `[time, batch, gates * units]`.
        recurrent: `[units, gates * units]`.
        keep: 1 where a step counts, `[time, batch, 1]`.
        states: before the first step.

    Returns:
        The first part of the state after each step, `[time, batch, units]`, and the last state.
    """
    (steps,) = sizes(products[0], 1)

    def array_of(tensor: Tensor) -> Tensor:
        return tf.TensorArray(tensor.dtype, size=steps, element_shape=tensor.shape)

    def forward(product: Tensor, recurrent: Tensor, keep: Tensor, state: State) -> tuple[Tensor, State]:
        """The gates of one step, and the state after it."""
        gates = layer.join(product, tf.matmul(state[0], recurrent))
        moved = layer.advance(gates, state)
        return gates, tuple(old + keep * (new - old) for old, new in zip(state, moved, strict=True))

    def backward(gates: Tensor, before: State, recurrent: Tensor, keep: Tensor, d_state: State) -> tuple[Tensor, State]:
        """The gradients of one step's gates and of the state `before` it, from that of the state after it."""
        d_moved = [keep * part for part in d_state]
        with tf.GradientTape() as tape:
            tape.watch((gates, before))
            moved = layer.advance(gates, before)
        d_gates, d_before = tape.gradient(moved, (gates, before), d_moved, unconnected_gradients="zero")
        d_kept = [part - moved for part, moved in zip(d_state, d_moved, strict=True)]
        d_kept[0] += tf.matmul(layer.split(d_gates)[1], recurrent, transpose_b=True)
        return d_gates, tuple(kept + part for kept, part in zip(d_kept, d_before, strict=True))

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def run(products: list[Tensor], recurrent: list[Tensor], first: list[State]) -> tuple[Any, Any]:
        def step(t: Tensor, states: list[State], gates: list[Tensor], history: Any) -> tuple[Any, ...]:
            now = [each[t] for each in products], recurrent, [each[t] for each in keep], states
            joined, after = zip(*map(forward, *now), strict=True)
            return t + 1, [*after], _write(gates, t, joined), _write(history, t, after)

        gates = [array_of(layer.join(each[0], each[0])) for each in products]
        history = tf.nest.map_structure(array_of, first)
        loop = (tf.constant(0), first, gates, history)
        _, last, gates, history = tf.while_loop(lambda t, *_: t < steps, step, loop, maximum_iterations=steps)
        gates, after = [each.stack() for each in gates], tf.nest.map_structure(lambda each: each.stack(), history)

        def gradient(*d_results: Tensor) -> list[Tensor]:
            d_outputs, d_last = tf.nest.pack_sequence_as((products, first), d_results)
            before = tf.nest.map_structure(lambda start, later: tf.concat([start[None], later[:-1]], 0), first, after)

            def step_back(t: Tensor, d_states: list[State], d_gates: list[Tensor]) -> tuple[Any, ...]:
                d_states = [(each[0] + output[t], *each[1:]) for each, output in zip(d_states, d_outputs, strict=True)]
                now = (
                    *tf.nest.map_structure(lambda each: each[t], (gates, before)),
                    recurrent,
                    [each[t] for each in keep],
                )
                d_joined, d_before = zip(*map(backward, *now, d_states), strict=True)
                return t - 1, [*d_before], _write(d_gates, t, d_joined)

            loop = (steps - 1, d_last, [array_of(each[0]) for each in gates])
            done = tf.while_loop(lambda t, *_: t >= 0, step_back, loop, maximum_iterations=steps)
            _, d_first, d_gates = done
            d_products, d_backs = zip(*(layer.split(each.stack()) for each in d_gates), strict=True)
            d_recurrent = [_sum_of_products(each[0], back) for each, back in zip(before, d_backs, strict=True)]
            return [*d_products, *d_recurrent, *tf.nest.flatten(d_first)]

        return ([each[0] for each in after], last), gradient

    results: tuple[list[Tensor], list[State]] = run(products, recurrent, [*states])
    return results


def _write(arrays: Any, t: Tensor, values: Any) -> list[Any]:
    """Arrays with the values of step `t`, both in lists of the same structure."""
    return tf.nest.map_structure(lambda array, value: array.write(t, value), arrays, [*values])  # type: ignore[no-any-return]


def _sum_of_products(left: Tensor, right: Tensor) -> Tensor:
    """The sum over time and batch of `left^T right`, of `[time, batch, ...]` each."""
    flat = [tf.reshape(each, [-1, each.shape[-1]]) for each in (left, right)]
    return tf.matmul(*flat, transpose_a=True)


def product(inputs: Tensor, weights: Tensor, *, transpose_b: bool = False) -> Tensor:
    """`[..., ..., inputs]` times `[inputs, outputs]`."""
    flat = tf.matmul(tf.reshape(inputs, [-1, inputs.shape[-1]]), weights, transpose_b=transpose_b)
    return tf.reshape(flat, [*sizes(inputs, 2), flat.shape[-1]])


def sizes(tensor: Tensor, axes: int) -> list[Tensor]:
    """The first sizes of a tensor: numbers where they are known, so that XLA can compile fixed loops."""
    dynamic = tf.shape(tensor)
    return [dynamic[axis] if tensor.shape[axis] is None else tensor.shape[axis] for axis in range(axes)]
