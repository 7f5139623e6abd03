"""The network: two faces of one set of layers, and recurrent layers that are Keras's in all but speed."""

import json
from dataclasses import FrozenInstanceError, asdict, replace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.recurrence import CELLS, Recurrent
from model.seq2seq import NORM_EPSILON, SelfAttention, Seq2SeqConfig, build, rotary_frequencies
from model.tokenizer import PAD
from tests.model.tiny_network import (
    CONFIGS,
    lively_network,
    padded,
    random_contexts,
    random_replies,
    teacher_forced,
)

every_shape = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())


@every_shape
def test_logits_step_by_step_are_the_teacher_forced_ones(config: Seq2SeqConfig) -> None:
    network, contexts, replies = lively_network(config), random_contexts(config), random_replies(config)
    memory, mask, state = network.encode(tf.constant(padded(contexts)))
    steps = []
    for tokens in replies.T:
        logits, state = network.decode_step(tf.constant(tokens), memory, mask, state)
        steps.append(logits)
    expected = teacher_forced(network, contexts, replies)
    assert expected.shape == (3, 6, config.vocabulary_size)
    assert expected.std() > 0.3
    np.testing.assert_allclose(np.stack(steps, 1), expected, atol=1e-5)


@every_shape
def test_a_reply_never_looks_ahead(config: Seq2SeqConfig) -> None:
    network, contexts, replies = lively_network(config), random_contexts(config), random_replies(config)
    changed = replies.copy()
    changed[:, 3:] = (changed[:, 3:] + 1) % config.vocabulary_size
    before, after = teacher_forced(network, contexts, replies), teacher_forced(network, contexts, changed)
    np.testing.assert_allclose(before[:, :3], after[:, :3], atol=1e-6)
    assert (np.abs(before[:, 3:] - after[:, 3:]).max(axis=(0, 2)) > 1e-3).all()


@every_shape
def test_every_token_of_the_context_counts(config: Seq2SeqConfig) -> None:
    network, (context,) = lively_network(config), random_contexts(config, (5,))
    replies = np.repeat(random_replies(config, 1), 6, axis=0)
    contexts = [context.copy() for _ in replies]
    for position in range(len(context)):
        contexts[position][position] = context[position] % (config.vocabulary_size - 1) + 1
    *changed, expected = teacher_forced(network, contexts, replies)
    for logits in changed:
        assert np.abs(logits - expected).max() > 1e-5


@every_shape
def test_the_order_of_context_and_reply_counts(config: Seq2SeqConfig) -> None:
    network, (context,), (reply,) = lively_network(config), random_contexts(config, (5,)), random_replies(config, 1)
    expected = teacher_forced(network, [context], reply[np.newaxis])[0, -1]
    other_reply = reply[[0, 2, 1, *range(3, len(reply))]]
    for contexts, replies in (([context[::-1]], reply), ([context], other_reply)):
        assert np.abs(teacher_forced(network, contexts, replies[np.newaxis])[0, -1] - expected).max() > 1e-3


@every_shape
def test_logits_do_not_depend_on_padding_or_neighbours(config: Seq2SeqConfig) -> None:
    network, contexts, replies = lively_network(config), random_contexts(config), random_replies(config)
    together = teacher_forced(network, contexts, replies)
    for row, context in enumerate(contexts):
        alone = teacher_forced(network, [context], replies[row : row + 1])
        np.testing.assert_allclose(together[row : row + 1], alone, atol=1e-5)


@every_shape
def test_padding_changes_neither_the_loss_nor_its_gradients(config: Seq2SeqConfig) -> None:
    network, contexts = lively_network(config), random_contexts(config)
    replies = random_replies(config, time=7)
    inputs, targets, weights = replies[:, :-1], replies[:, 1:], np.ones((3, 6), np.float32)
    wider = [np.pad(value, ((0, 0), (0, 4)), constant_values=PAD) for value in (inputs, targets, weights)]

    def loss_and_gradients(encoder_ids: Any, decoder_ids: Any, targets: Any, weights: Any) -> list[Any]:
        with tf.GradientTape() as tape:
            logits = network(tf.constant(encoder_ids), tf.constant(decoder_ids), training=False)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits) * weights
            loss = tf.reduce_sum(losses) / tf.reduce_sum(weights)
        gradients = tape.gradient(loss, [variable.value for variable in network.trainable_variables])
        return [np.asarray(tf.convert_to_tensor(value)) for value in (loss, *gradients)]

    plain = loss_and_gradients(padded(contexts), inputs, targets, weights)
    roomy = loss_and_gradients(padded(contexts, extra=5), *wider)
    for expected, value in zip(plain, roomy, strict=True):
        assert np.abs(expected).max() > 0
        np.testing.assert_allclose(value, expected, atol=1e-5)


ATTENTIVE = {name: config for name, config in CONFIGS.items() if config.attends}
every_attention = pytest.mark.parametrize("config", ATTENTIVE.values(), ids=ATTENTIVE.keys())


@every_attention
def test_attention_weights_are_shares_of_the_tokens_that_are_there(config: Seq2SeqConfig) -> None:
    network, contexts, replies = lively_network(config), random_contexts(config), random_replies(config)
    weights = np.asarray(network.attention_weights(tf.constant(padded(contexts, extra=2)), tf.constant(replies)))
    assert weights.shape == (3, 6, 11)
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-6)
    for row, context in enumerate(contexts):
        assert (weights[row, :, : len(context)] > 0).all()
        assert (weights[row, :, len(context) :] == 0).all()
    assert (np.ptp(weights[0, :, :5], axis=-1) > 0.01).all()


@pytest.mark.parametrize("name", [name for name in ATTENTIVE if name != "transformer"])
def test_attention_weights_are_those_that_logits_come_from(name: str) -> None:
    """What is looked at, mixed by hand from the encoder's outputs, gives the logits that the network gives."""
    config = ATTENTIVE[name]
    network, contexts, replies = lively_network(config), random_contexts(config), random_replies(config, time=3)
    ids = tf.constant(padded(contexts))
    weights = network.attention_weights(ids, tf.constant(replies))
    memory, mask, states = network.encode(ids)
    for time, tokens in enumerate(replies.T):
        mixed = weights[:, time : time + 1] @ memory
        logits, _ = network.decode_step(tf.constant(tokens), mixed, mask[:, :1], states)
        expected, states = network.decode_step(tf.constant(tokens), memory, mask, states)
        np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_dropout_drops_in_training_only() -> None:
    config = CONFIGS["base"]
    contexts, replies = tf.constant(padded(random_contexts(config))), tf.constant(random_replies(config))
    network, plain = build(replace(config, dropout=0.5)), build(replace(config, dropout=0.0))
    plain.set_weights(network.get_weights())
    np.testing.assert_array_equal(network(contexts, replies), plain(contexts, replies, training=True))
    first, second = (np.asarray(network(contexts, replies, training=True)) for _ in range(2))
    assert not np.allclose(first, second)
    assert not np.allclose(first, network(contexts, replies))


def test_dropout_drops_the_same_units_in_all_steps_and_others_in_each_row() -> None:
    network = build(replace(CONFIGS["base"], dropout=0.5))
    dropped = np.asarray(network.dropout(tf.ones([2, 5, 50]), training=True))
    assert (dropped == dropped[:, :1]).all()
    assert (dropped[0] != dropped[1]).any()
    assert set(np.unique(dropped)) == {0.0, 2.0}


def test_the_same_seed_builds_the_same_network() -> None:
    networks = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        networks.append(np.concatenate([value.ravel() for value in build(CONFIGS["base"]).get_weights()]))
    assert np.array_equal(networks[0], networks[1])
    assert not np.array_equal(networks[0], networks[2])


def test_a_new_network_remembers_and_knows_nothing() -> None:
    network = build(CONFIGS["base"])
    units = CONFIGS["base"].encoder_units
    bias = np.asarray(network.encoder[0][0].bias)
    assert bias.tolist() == [0.0] * 2 * units + [1.0] * units + [0.0] * units
    logits = teacher_forced(network, random_contexts(network.config), random_replies(network.config))
    assert np.abs(logits).max() < 0.1


def test_a_tied_network_has_one_matrix_of_the_vocabulary_and_an_untied_one_has_two() -> None:
    for config, matrices in ((CONFIGS["base"], 1), (CONFIGS["classic"], 2)):
        shapes = [variable.shape for variable in build(config).trainable_variables]
        assert sum(config.vocabulary_size in shape and len(shape) == 2 for shape in shapes) == matrices


@every_shape
def test_a_config_survives_json(config: Seq2SeqConfig) -> None:
    assert Seq2SeqConfig(**json.loads(json.dumps(asdict(config)))) == config


def test_a_misspelt_field_is_an_error_and_a_config_does_not_change() -> None:
    with pytest.raises(TypeError, match="encoder_unit"):
        Seq2SeqConfig(vocabulary_size=9, encoder_unit=3)  # type: ignore[call-arg]
    with pytest.raises(FrozenInstanceError):
        CONFIGS["base"].dropout = 0.9  # type: ignore[misc]


def test_heads_must_share_the_units() -> None:
    shape = {"vocabulary_size": 9, "encoder_units": 12}
    Seq2SeqConfig(**shape, heads=5)
    Seq2SeqConfig(**shape, heads=3, cell="transformer")
    for heads in (5, 4):  # a pair of units turns together, so that three a head will not do
        with pytest.raises(ValueError, match=f"{heads} heads cannot share 12 units"):
            Seq2SeqConfig(**shape, heads=heads, cell="transformer")


HEADS, HEAD_UNITS = 3, 4


def lively_attention() -> SelfAttention:
    """A layer of attention none of whose weights is zero."""
    part, rng = SelfAttention(HEADS), np.random.default_rng(3)
    part(tf.zeros([1, 1, HEADS * HEAD_UNITS]), rotations(0, 1), tf.ones([1, 1]))
    part.set_weights([rng.normal(0, 0.4, variable.shape) for variable in part.trainable_variables])
    return part


def rotations(first: int, count: int) -> tuple[Any, Any]:
    frequencies = rotary_frequencies(Seq2SeqConfig(vocabulary_size=9, encoder_units=HEADS * HEAD_UNITS, heads=HEADS))
    angles = np.arange(first, first + count, dtype=np.float32)[:, np.newaxis] * frequencies
    return tf.constant(np.cos(angles)), tf.constant(np.sin(angles))


def test_attention_is_that_of_keras_where_no_position_turns_it() -> None:
    ours, rng = lively_attention(), np.random.default_rng(4)
    norm = keras.layers.LayerNormalization(center=False, epsilon=NORM_EPSILON)
    theirs = keras.layers.MultiHeadAttention(HEADS, HEAD_UNITS, use_bias=False)
    inputs = tf.constant(rng.normal(2, 3, (2, 5, HEADS * HEAD_UNITS)), tf.float32)
    mask = rng.random((2, 5, 5)) < 0.7
    mask |= np.eye(5, dtype=bool)
    normalized = norm(inputs)
    theirs(normalized, normalized)
    weights = {variable.name: np.asarray(variable) for variable in ours.trainable_variables}
    queries, keys, values = np.split(weights["query_key_value"], 3, -1)
    norm.set_weights([weights["gain"]])
    split = [each.reshape(-1, HEADS, HEAD_UNITS) for each in (queries, keys, values)]
    theirs.set_weights([*split, weights["mix"].reshape(HEADS, HEAD_UNITS, -1)])
    normalized = norm(inputs)
    expected = theirs(normalized, normalized, attention_mask=tf.constant(mask))
    outputs, *_ = ours(inputs, rotations(0, 1), tf.constant(mask[:, np.newaxis], tf.float32))
    assert np.abs(expected).max() > 0.5
    np.testing.assert_allclose(outputs, expected, atol=1e-5)


def test_attention_to_each_other_knows_distances_and_not_places() -> None:
    part, visible = lively_attention(), tf.ones([5, 5])
    inputs = tf.constant(np.random.default_rng(5).normal(size=(2, 5, HEADS * HEAD_UNITS)), tf.float32)
    outputs, *_ = part(inputs, rotations(0, 5), visible)
    moved, *_ = part(inputs, rotations(70, 5), visible)
    spread, *_ = part(inputs, [each[::2] for each in rotations(0, 10)], visible)
    np.testing.assert_allclose(moved, outputs, atol=1e-4)
    assert np.abs(spread - outputs).max() > 1e-2


BATCH, TIME, FEATURES, UNITS = 3, 7, 5, 6
ALL_PRESENT = np.ones((BATCH, TIME), bool)
MASKS: dict[str, Any] = {
    "no mask": None,
    "all present": ALL_PRESENT,
    "padded behind": np.arange(TIME) < np.array([[7], [4], [1]]),
    "padded before": np.arange(TIME) >= np.array([[0], [3], [6]]),
    "with holes": np.random.default_rng(5).random((BATCH, TIME)) < 0.5,
}


KERAS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "rnn": keras.layers.SimpleRNN}
every_cell = pytest.mark.parametrize("cell", CELLS)


def lively_layer(cell: str) -> Recurrent:
    """A layer none of whose weights is zero."""
    layer, rng = CELLS[cell](UNITS), np.random.default_rng(0)
    layer.build((None, None, FEATURES))
    layer.set_weights([rng.normal(0, 0.6, variable.shape) for variable in layer.trainable_variables])
    return layer


def as_in_keras(cell: str, weights: list[Any]) -> list[Any]:
    """Kernel, recurrent matrix and bias as Keras keeps them: gates of an LSTM in the order input, forget, cell, output;
    a GRU with two biases, of which ours is the first.
    """
    if cell == "lstm":
        return [np.concatenate([np.split(weight, 4, -1)[gate] for gate in (0, 2, 3, 1)], -1) for weight in weights]
    kernel, recurrent, bias = weights
    return [kernel, recurrent, np.stack([bias, np.zeros_like(bias)]) if cell == "gru" else bias]


def results_and_gradients(run: Any, states: int, weights: list[Any], mask: Any) -> tuple[list[Any], list[Any]]:
    """Outputs where the mask is, the last state, and the gradients of a random sum of all of them: of the inputs and
    the first state, and of the weights.
    """
    rng = np.random.default_rng(1)
    inputs = tf.constant(rng.normal(size=(BATCH, TIME, FEATURES)), tf.float32)
    state = [tf.constant(rng.normal(size=(BATCH, UNITS)), tf.float32) for _ in range(states)]
    present = tf.constant(ALL_PRESENT if mask is None else mask, tf.float32)[:, :, tf.newaxis]
    with tf.GradientTape() as tape:
        tape.watch([inputs, state])
        outputs, *last = run(inputs, *state)
        results = [outputs * present, *last]
        total = sum(tf.reduce_sum(value * rng.normal(size=value.shape).astype(np.float32)) for value in results)
    gradients = [np.asarray(value) for value in tape.gradient(total, [inputs, *state, *weights])]
    return [np.asarray(value) for value in results] + gradients[: 1 + states], gradients[1 + states :]


@every_cell
@pytest.mark.parametrize(
    ("name", "mode"),
    [*((name, "eager") for name in MASKS), ("with holes", "graph of any shape"), ("with holes", "XLA")],
)
def test_a_layer_is_that_of_keras_in_outputs_and_gradients(cell: str, name: str, mode: str) -> None:
    ours, theirs = lively_layer(cell), KERAS[cell](UNITS, return_sequences=True, return_state=True)
    theirs.build((None, None, FEATURES))
    theirs.set_weights(as_in_keras(cell, ours.get_weights()))
    mask = MASKS[name]
    present = None if mask is None else tf.constant(mask, tf.float32)

    def run_ours(inputs: Any, *state: Any) -> Any:
        outputs, last = ours(inputs, state, present)
        return outputs, *last

    def run_theirs(inputs: Any, *state: Any) -> Any:
        return theirs(inputs, initial_state=list(state), mask=None if mask is None else tf.constant(mask, tf.bool))

    if mode == "graph of any shape":
        states = [tf.TensorSpec((None, UNITS))] * ours.state_size
        run_ours = tf.function(run_ours, input_signature=[tf.TensorSpec((None, None, FEATURES)), *states])
    if mode == "XLA":
        run_ours = tf.function(run_ours, jit_compile=True)
    runs = ((run_theirs, theirs), (run_ours, ours))
    (expected, their_weights), (values, our_weights) = (
        results_and_gradients(run, ours.state_size, [variable.value for variable in layer.trainable_variables], mask)
        for run, layer in runs
    )
    our_weights, bias = as_in_keras(cell, our_weights), our_weights[2]
    if cell == "gru":
        our_weights[2], their_weights[2] = bias, their_weights[2][0]
    assert len(values) == 2 + 2 * ours.state_size
    for value, other in zip([*values, *our_weights], [*expected, *their_weights], strict=True):
        assert np.abs(other).max() > 0.01
        np.testing.assert_allclose(value, other, atol=2e-5)


@every_cell
def test_a_layer_goes_on_from_step_to_step_as_in_one_run(cell: str) -> None:
    layer = lively_layer(cell)
    inputs = np.random.default_rng(2).normal(size=(BATCH, TIME, FEATURES)).astype(np.float32)
    state = layer.zero_state(BATCH, tf.float32)
    outputs, last = layer(tf.constant(inputs), state)
    for time in range(TIME):
        state = layer.step(tf.constant(inputs[:, time]), state)
        np.testing.assert_allclose(state[0], outputs[:, time], atol=1e-6)
    assert len(state) == len(last) == layer.state_size
    for part, expected in zip(state, last, strict=True):
        np.testing.assert_allclose(part, expected, atol=1e-6)
