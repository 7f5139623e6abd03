"""Exported graphs compute what the network computes, and training can go on from their weights."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from safetensors.numpy import load_file

from model.bundle import DECODER, ENCODER, TRAINING, WEIGHTS, ModelFormatError
from model.inference import Inference
from model.onnx_graph import export, load_network
from model.sampling import log_softmax
from model.seq2seq import Seq2Seq, Seq2SeqConfig, build
from tests.model.tiny_network import CONFIGS, Floats, lively_network, random_contexts, random_replies, teacher_forced

every_shape = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())

INT8_ERROR, INT8_WORST_ERROR = 0.03, 0.2
"""Root mean square and largest error of int8 log probabilities, as shares of their standard deviation.

Rounding weights to 127 steps and inputs to 256 is off by some 0.5 percent of their spread each. A token goes through
half a dozen such products in a row and through states that keep what they got, which makes 1 to 2 percent and worst
cases six times that (measured over shapes and seeds, logits spread from 0.3 to 3; a network of 48 units: up to 3).
Weights of only 31 steps miss the bound at 3 to 5 percent; where products overflow, or with a wrong scale, gate order
or zero point, it is over 10.
"""


def stepwise(directory: Path, contexts: list[list[int]], replies: npt.NDArray[np.int64]) -> Floats:
    """Log probabilities of known replies by the exported graphs, `[batch, time, vocabulary]`."""
    inference = Inference(directory)
    state, steps = inference.encode(contexts), []
    for tokens in replies.T:
        likelihoods, state = inference.step(tokens, state)
        steps.append(likelihoods)
    return np.stack(steps, 1)


def exported_weights(network: Seq2Seq, directory: Path, *, quantized: bool = True) -> dict[str, npt.NDArray[Any]]:
    directory.mkdir()
    export(network, directory, quantized=quantized)
    return dict(load_file(directory / WEIGHTS))


@every_shape
def test_float_graphs_give_the_probabilities_of_the_network(config: Seq2SeqConfig, tmp_path: Path) -> None:
    network, contexts, replies = lively_network(config), random_contexts(config), random_replies(config)
    export(network, tmp_path, quantized=False)
    expected = log_softmax(teacher_forced(network, contexts, replies))
    assert expected.std() > 0.3
    np.testing.assert_allclose(stepwise(tmp_path, contexts, replies), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("name", "spread"), [*((name, 1.0) for name in CONFIGS), ("base", 0.4), ("base", 3.0)])
def test_int8_graphs_come_close_to_it(name: str, spread: float, tmp_path: Path) -> None:
    config = CONFIGS[name]
    network = lively_network(config, spread=spread)
    contexts, replies = random_contexts(config, (12, 3, 20, 7)), random_replies(config, batch=4, time=12)
    export(network, tmp_path)
    expected = log_softmax(teacher_forced(network, contexts, replies))
    errors = (stepwise(tmp_path, contexts, replies) - expected) / expected.std()
    depth = 2 if config.cell == "transformer" else 1
    assert np.sqrt((errors**2).mean()) < depth * INT8_ERROR
    assert np.abs(errors).max() < depth * INT8_WORST_ERROR


@every_shape
def test_a_loaded_float_export_is_the_network(config: Seq2SeqConfig, tmp_path: Path) -> None:
    network = lively_network(config)
    export(network, tmp_path, quantized=False)
    loaded = load_network(config, tmp_path)
    assert weights_by_path(loaded).keys() == weights_by_path(network).keys()
    for path, value in weights_by_path(network).items():
        np.testing.assert_array_equal(weights_by_path(loaded)[path], value, err_msg=path)


@every_shape
def test_a_loaded_int8_export_is_the_network_its_integers_stand_for(config: Seq2SeqConfig, tmp_path: Path) -> None:
    network = lively_network(config)
    stored = exported_weights(network, tmp_path / "int8")
    loaded = exported_weights(load_network(config, tmp_path / "int8"), tmp_path / "loaded", quantized=False)
    for name, value in exported_weights(network, tmp_path / "float", quantized=False).items():
        if f"{name}.scale" in stored:
            scale = stored[f"{name}.scale"]
            np.testing.assert_array_equal(loaded[name], stored[name].astype(np.float32) * scale, err_msg=name)
            assert (np.abs(loaded[name] - value) <= 0.5001 * scale).all(), name
        else:
            np.testing.assert_array_equal(loaded[name], value, err_msg=name)


@every_shape
def test_exporting_a_loaded_int8_export_gives_the_same_integers(config: Seq2SeqConfig, tmp_path: Path) -> None:
    stored = exported_weights(lively_network(config), tmp_path / "first")
    again = exported_weights(load_network(config, tmp_path / "first"), tmp_path / "second")
    assert stored.keys() == again.keys()
    for name, value in stored.items():
        np.testing.assert_allclose(again[name], value, rtol=1e-6 if value.dtype == np.float32 else 0, err_msg=name)


def test_training_goes_on_from_half_precision_where_there_is_such(tmp_path: Path) -> None:
    network = lively_network(CONFIGS["base"])
    export(network, tmp_path)
    without = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    export(network, tmp_path, training=True)
    assert {path.name for path in tmp_path.iterdir()} == {*without, TRAINING}
    assert all((tmp_path / name).read_bytes() == content for name, content in without.items())
    assert (tmp_path / TRAINING).stat().st_size < 2.5 * network.count_params() + 2000
    loaded = weights_by_path(load_network(network.config, tmp_path))
    for path, value in weights_by_path(network).items():
        np.testing.assert_array_equal(loaded[path], value.astype(np.float16), err_msg=path)


def test_exporting_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    network = lively_network(CONFIGS["base"])
    export(network, tmp_path)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    export(network, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first


@every_shape
@pytest.mark.parametrize("quantized", [False, True])
def test_weights_are_stored_once_and_outside_the_graphs(config: Seq2SeqConfig, quantized: bool, tmp_path: Path) -> None:
    network = lively_network(config)
    export(network, tmp_path, quantized=quantized)
    assert sorted(path.name for path in tmp_path.iterdir()) == [DECODER, ENCODER, WEIGHTS]
    content = (tmp_path / WEIGHTS).read_bytes()
    header_size = 8 + int.from_bytes(content[:8], "little")
    sizes = {name: entry["data_offsets"] for name, entry in json.loads(content[8:header_size]).items()}
    count = sum(np.prod(variable.shape) for variable in network.trainable_variables)
    if quantized:
        kept = {name: value.size for name, value in load_file(tmp_path / WEIGHTS).items() if value.dtype == np.float32}
        count += 3 * sum(kept.values()) + sum(size for name, size in kept.items() if name.endswith(".scale"))
    assert len(content) - header_size == sum(end - start for start, end in sizes.values())
    assert len(content) - header_size == (count if quantized else 4 * count)
    for name in (ENCODER, DECODER):
        graph = onnx.load(tmp_path / name, load_external_data=False).graph
        inside = [len(tensor.raw_data) for tensor in graph.initializer if not tensor.external_data]
        assert sum(inside) < 8 * 100


def test_int8_weights_leave_room_for_processors_that_add_products_in_pairs(tmp_path: Path) -> None:
    """Two products of an unsigned byte and such a weight fit into 16 bits: 2 * 255 * 63 < 2**15."""
    weights = exported_weights(lively_network(CONFIGS["base"]), tmp_path / "int8")
    integers = [value for value in weights.values() if value.dtype == np.int8]
    assert len(integers) == 12
    assert {int(np.abs(value).max()) for value in integers} == {63}


def test_tokens_that_were_never_used_do_no_harm(tmp_path: Path) -> None:
    """Weight decay or a pruned vocabulary can leave rows of zeros, which have no largest weight to scale by."""
    config = CONFIGS["base"]
    network = build(config)
    network.set_weights(lively_network(config).get_weights())
    embeddings = np.asarray(network.embedding.embeddings).copy()
    embeddings[5:9] = 0
    network.embedding.embeddings.assign(embeddings)
    contexts, replies = [[5, 6, 7], [10, 11]], random_replies(config, batch=2)
    export(network, tmp_path)
    expected = log_softmax(teacher_forced(network, contexts, replies))
    assert np.sqrt(((stepwise(tmp_path, contexts, replies) - expected) ** 2).mean()) < INT8_ERROR * expected.std()


def test_weights_of_another_shape_are_not_loaded(tmp_path: Path) -> None:
    export(lively_network(CONFIGS["base"]), tmp_path)
    with pytest.raises(ModelFormatError, match="are not of the network"):
        load_network(Seq2SeqConfig(vocabulary_size=40, embedding_dim=6, encoder_units=6), tmp_path)


@every_shape
@pytest.mark.parametrize(
    "claim",
    [
        {"vocabulary_size": 1 << 40},
        {"embedding_dim": 1 << 40},
        {"encoder_units": 12 << 40},
        {"encoder_layers": 1 << 40},
        {"decoder_layers": 1 << 40},
        {"decoder_layers": "two"},
    ],
    ids=str,
)
def test_no_network_is_made_that_is_larger_than_its_weights(
    config: Seq2SeqConfig, claim: dict[str, Any], tmp_path: Path
) -> None:
    export(lively_network(config), tmp_path)
    with pytest.raises(ModelFormatError, match="are not of the network"):
        load_network(replace(config, **claim), tmp_path)


def test_weights_that_lie_about_their_size_are_not_loaded(tmp_path: Path) -> None:
    export(lively_network(CONFIGS["base"]), tmp_path)
    header = b'{"embedding.embeddings":{"dtype":"F32","shape":[99999999999,7],"data_offsets":[0,9]}}'
    (tmp_path / WEIGHTS).write_bytes(len(header).to_bytes(8, "little") + header + bytes(9))
    with pytest.raises(ModelFormatError, match="are not of the network"):
        load_network(CONFIGS["base"], tmp_path)


def weights_by_path(network: Seq2Seq) -> dict[str, Floats]:
    """Weights under names without the name of the network, which counts the networks there have been."""
    return {
        variable.path.removeprefix(f"{network.name}/"): np.asarray(variable) for variable in network.trainable_variables
    }
