"""The graphs at work: batches, states and their copies."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from model.bundle import DECODER, ENCODER
from model.inference import Inference, State
from model.onnx_graph import export
from model.seq2seq import Seq2SeqConfig
from model.tokenizer import START
from tests.model.tiny_network import CONFIGS, lively_network, random_contexts, random_replies

TOKENS = np.array([START, 9, 17], np.int64)
CACHES = ["written_keys", "written_values"]
CONTEXTS = [[5, 6, 7, 8, 9], [10], [11, 12, 13, 14, 15, 16, 17, 18, 19]]


@pytest.fixture(scope="module", params=["base", "classic", "gru", "transformer"])
def config(request: pytest.FixtureRequest) -> Seq2SeqConfig:
    return CONFIGS[request.param]


@pytest.fixture(scope="module")
def inference(config: Seq2SeqConfig, tmp_path_factory: pytest.TempPathFactory) -> Inference:
    """Of a float network: int8 inputs share a scale over the batch, so that rows are only nearly alike there."""
    directory = tmp_path_factory.mktemp("float")
    export(lively_network(config), directory, quantized=False)
    return Inference(directory)


def arrays(state: State) -> dict[str, np.ndarray]:
    return {**state.context, **state.layers}


def assert_same(first: State, second: State) -> None:
    assert arrays(first).keys() == arrays(second).keys()
    for name, value in arrays(first).items():
        np.testing.assert_allclose(value, arrays(second)[name], atol=1e-6, err_msg=name)


def test_a_batch_of_contexts_of_different_lengths_is_as_good_as_one_by_one(inference: Inference) -> None:
    likelihoods, state = inference.step(TOKENS, inference.encode(CONTEXTS))
    likelihoods, _ = inference.step(TOKENS[::-1], state)
    for row, context in enumerate(CONTEXTS):
        _, state = inference.step(TOKENS[row : row + 1], inference.encode([context]))
        alone, _ = inference.step(TOKENS[::-1][row : row + 1], state)
        np.testing.assert_allclose(likelihoods[row : row + 1], alone, atol=1e-5)
    assert np.abs(likelihoods[0] - likelihoods[1]).max() > 0.1


def test_an_int8_batch_is_nearly_as_good_as_one_by_one(config: Seq2SeqConfig, tmp_path: Path) -> None:
    export(lively_network(config), tmp_path)
    inference = Inference(tmp_path)
    contexts, replies = random_contexts(config), random_replies(config, time=1)
    likelihoods, _ = inference.step(replies[:, 0], inference.encode(contexts))
    for row, context in enumerate(contexts):
        alone, _ = inference.step(replies[row], inference.encode([context]))
        assert np.sqrt(((likelihoods[row] - alone[0]) ** 2).mean()) < 0.05 * likelihoods.std()


def test_taking_rows_repeats_and_reorders_them(inference: Inference) -> None:
    state = inference.encode(CONTEXTS)
    rows = np.array([2, 0, 2, 2], np.int64)
    taken = state.take(rows)
    assert arrays(taken).keys() == arrays(state).keys()
    for name, value in arrays(taken).items():
        np.testing.assert_array_equal(value, arrays(state)[name][rows])
    likelihoods, after = inference.step(TOKENS[rows], taken)
    expected, whole = inference.step(TOKENS, state)
    np.testing.assert_allclose(likelihoods, expected[rows], atol=1e-5)
    assert_same(after, whole.take(rows))


def test_a_context_that_is_alone_serves_all_rows(inference: Inference) -> None:
    alone = inference.encode(CONTEXTS[:1])
    shared = alone.take(np.zeros(3, np.int64))
    assert {len(value) for value in shared.context.values()} <= {1}
    copied = inference.encode(CONTEXTS[:1] * 3)
    for tokens in (TOKENS, TOKENS[::-1]):
        likelihoods, shared = inference.step(tokens, shared)
        expected, copied = inference.step(tokens, copied)
        np.testing.assert_allclose(likelihoods, expected, atol=1e-5)
    assert_same(shared.take(np.array([1])), State(alone.context, copied.take(np.array([1])).layers))


def test_candidates_of_one_context_go_their_own_ways(inference: Inference) -> None:
    state = inference.encode(CONTEXTS[:1])
    likelihoods, candidates = inference.step(TOKENS, state.take(np.zeros(3, np.int64)))
    for row, token in enumerate(TOKENS):
        alone, after = inference.step(np.array([token]), state)
        np.testing.assert_allclose(likelihoods[row : row + 1], alone, atol=1e-5)
        assert_same(candidates.take(np.array([row])), after)


def test_a_step_leaves_its_state_as_it_was(inference: Inference) -> None:
    state = inference.encode(CONTEXTS)
    first, after = inference.step(TOKENS, state)
    second, again = inference.step(TOKENS, state)
    np.testing.assert_array_equal(first, second)
    assert_same(after, again)
    assert any(
        value.shape != state.layers[name].shape or np.abs(value - state.layers[name]).max() > 0.01
        for name, value in after.layers.items()
    )


def test_a_state_has_what_attention_looks_at_only_where_there_is_attention(
    config: Seq2SeqConfig, inference: Inference
) -> None:
    state = inference.encode(CONTEXTS)
    layers = range(config.decoder_layers)
    if config.cell == "transformer":
        context, parts = ["absent", *(f"{part}_{layer}" for part in ("keys", "values") for layer in layers)], CACHES
    else:
        context, parts = ["absent", "keys", "memory"] if config.attends else [], "hc" if config.cell == "lstm" else "h"
    assert sorted(state.context) == context
    assert sorted(state.layers) == sorted(f"{part}_{layer}" for part in parts for layer in layers)
    assert {value.shape[0] for value in arrays(state).values()} == {3}


def test_likelihoods_are_one_row_a_token_and_may_be_written_to(config: Seq2SeqConfig, inference: Inference) -> None:
    likelihoods, _ = inference.step(TOKENS, inference.encode(CONTEXTS))
    assert likelihoods.shape == (3, config.vocabulary_size)
    assert likelihoods.dtype == np.float32
    likelihoods[:, 0] = -np.inf


@pytest.mark.parametrize("name", [ENCODER, DECODER])
def test_a_file_that_is_no_graph_is_an_error(name: str, tmp_path: Path) -> None:
    export(lively_network(CONFIGS["classic"]), tmp_path)
    (tmp_path / name).write_bytes(b"no graph")
    with pytest.raises(Exception, match=name):
        Inference(tmp_path)


def test_attention_is_that_of_the_network(config: Seq2SeqConfig, inference: Inference) -> None:
    network, (context,), (reply,) = lively_network(config), random_contexts(config, (7,)), random_replies(config, 1)
    weights = inference.attention(context, reply.tolist())
    if not config.attends:
        assert weights is None
        return
    assert weights is not None
    expected = network.attention_weights(tf.constant([context]), tf.constant(reply[np.newaxis]))
    assert np.ptp(weights, axis=1).min() > 0.01
    np.testing.assert_allclose(weights, expected[0], atol=1e-5)


def test_reading_at_once_is_reading_step_by_step(config: Seq2SeqConfig, inference: Inference) -> None:
    contexts, replies = random_contexts(config), random_replies(config)
    likelihoods, state = inference.read(replies, inference.encode(contexts)), inference.encode(contexts)
    assert (likelihoods is None) == (config.cell != "transformer")
    if likelihoods is None:
        return
    for time, tokens in enumerate(replies.T):
        expected, state = inference.step(tokens, state)
        np.testing.assert_allclose(likelihoods[:, time], expected, atol=1e-5)
        if time == 2:  # in the midst of a reply too
            rest = inference.read(replies[:, 3:], state)
            assert rest is not None
            np.testing.assert_allclose(rest, likelihoods[:, 3:], atol=1e-5)


def test_the_first_rows_of_a_state_are_those_rows(inference: Inference) -> None:
    state = inference.encode(CONTEXTS)
    assert_same(state.first(2), state.take(np.arange(2)))
