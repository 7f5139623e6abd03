"""A trained network in, the files of its inference out: one `weights.safetensors` and two ONNX graphs over it.

The weights are stored once, as int8 with a scale for each output, under the names of the network's own variables.
`encoder.onnx` and `decoder.onnx` hold no weights: they point into that file, and training reads it back to go on from a
published model. The float graphs, for checks, are the same graphs over unquantised weights. Needs the extra `train`.
"""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto
from safetensors.numpy import load_file, save_file

from model.bundle import DECODER, ENCODER, TRAINING, WEIGHTS
from model.inference import ATTENTION, LOGITS
from model.onnx_builder import EMBEDDING, Graph, external_tensors
from model.recurrence import CELLS
from model.seq2seq import MASKED, NORM_EPSILON, Seq2Seq, Seq2SeqConfig, build, rotary_frequencies
from model.tokenizer import PAD

Array = npt.NDArray[Any]

_LARGEST = np.float32(63)
"""Of an int8 weight. With 127, the u8 x s8 products of processors without VNNI overflow their 16 bits in pairs."""

_MATRICES = ("kernel", "recurrent")

_IDS: dict[str, Any] = {"ids": (TensorProto.INT64, ["batch", "time"])}
_TOKENS: dict[str, Any] = {"tokens": (TensorProto.INT64, ["batch"])}


def export(network: Seq2Seq, directory: Path, *, quantized: bool = True, training: bool = False) -> None:
    """Write the inference files of a network into an existing directory.

    Args:
        network: a built network.
        directory: where `weights.safetensors`, `encoder.onnx` and `decoder.onnx` go.
        quantized: int8 weights and products; else float32 throughout.
        training: write `training.safetensors` too, all weights in half precision for training to go on from.
    """
    weights = {name: np.asarray(variable, np.float32) for name, variable in _variables(network).items()}
    if training:
        save_file({name: value.astype(np.float16) for name, value in weights.items()}, directory / TRAINING)
    save_file(dict(_quantize(weights)) if quantized else weights, directory / WEIGHTS)
    external = external_tensors(directory / WEIGHTS)
    for name, model in zip((ENCODER, DECODER), _GRAPHS[network.config.cell == "transformer"], strict=True):
        onnx.save(model(network.config, Graph(external)), directory / name)


def load_network(config: Seq2SeqConfig, directory: Path) -> Seq2Seq:
    """A trainable network with the weights of exported files: in half precision where there are such.

    Int8 weights are taken as the numbers they stand for.
    """
    path = directory / TRAINING
    stored = load_file(path if path.exists() else directory / WEIGHTS)
    network = build(config)
    for name, variable in _variables(network).items():
        variable.assign(stored[name] * stored.get(f"{name}.scale", np.float32(1)))
    return network


def _variables(network: Seq2Seq) -> dict[str, Any]:
    """What is trained, under the names that the files give it, such as `decoder_0.kernel`."""
    return {variable.path.partition("/")[2].replace("/", "."): variable for variable in network.trainable_variables}


def _quantize(weights: dict[str, Array]) -> Iterator[tuple[str, Array]]:
    for name, value in weights.items():
        if 1 in (value.ndim, value.shape[-1]):  # biases and the energy of attention: nothing to gain
            yield name, value
            continue
        inputs = 1 if name == EMBEDDING else 0
        scale = np.maximum(np.abs(value).max(axis=inputs, keepdims=True), np.float32(1e-9)) / _LARGEST
        yield name, np.round(value / scale).astype(np.int8)
        yield f"{name}.scale", scale


def _absent(graph: Graph) -> str:
    """1 for each id that is padding, else 0, `[batch, time]`."""
    return str(graph.op("Cast", graph.op("Equal", "ids", graph.integers(PAD)), to=TensorProto.FLOAT))


def _logits(config: Seq2SeqConfig, graph: Graph, outputs: str) -> str:
    if config.tied:
        outputs = graph.linear(outputs, "projection.kernel")
    logits = graph.linear(outputs, EMBEDDING if config.tied else "softmax.kernel")
    return str(graph.op("Add", logits, graph.weight("output_bias")))


def _recurrent_layer(graph: Graph, config: Seq2SeqConfig, number: int, inputs: str, lengths: str) -> list[str]:
    """A layer of the encoder over `[time, batch, features]`; int8 products for an LSTM only.

    Returns:
        Outputs `[time, directions, batch, units]` and the parts of the last state, `[directions, batch, units]`.
    """
    cell, layers = CELLS[config.cell], [f"encoder_{number}_{direction}" for direction in config.directions]

    def stacked(tensor: Callable[[str], str], weight: str) -> str:
        parts = [graph.op("Unsqueeze", tensor(f"{layer}.{weight}"), graph.integers(0)) for layer in layers]
        return str(graph.op("Concat", *parts, axis=0))

    attributes: dict[str, Any] = {
        "hidden_size": config.encoder_units,
        "direction": "bidirectional" if config.bidirectional else "forward",
    }
    width = cell.gates * config.encoder_units
    bias = graph.op("Pad", stacked(graph.weight, "bias"), graph.integers(0, 0, 0, width))  # of the recurrent product
    if config.cell == "lstm" and graph.is_quantized(f"{layers[0]}.kernel"):
        kind, attributes["domain"] = "DynamicQuantizeLSTM", "com.microsoft"
        matrices = [stacked(graph.weight, weight) for weight in _MATRICES]
        zeros = graph.constant(np.zeros((len(layers), width), np.int8))
        kernel, recurrent = (
            graph.op("Concat", *[graph.weight(f"{layer}.{weight}.scale") for layer in layers], axis=0)
            for weight in _MATRICES
        )
        quantization = ["", "", "", kernel, zeros, recurrent, zeros]
    else:
        kind, quantization = config.cell.upper(), []
        matrices = [graph.op("Transpose", stacked(graph.floats, weight), perm=[0, 2, 1]) for weight in _MATRICES]
        if config.cell == "gru":
            attributes["linear_before_reset"] = 1
    outputs = 1 + cell.state_size
    names: list[str] = graph.op(kind, inputs, *matrices, bias, lengths, *quantization, outputs=outputs, **attributes)
    return names


def _recurrent_encoder(config: Seq2SeqConfig, graph: Graph) -> onnx.ModelProto:
    """ids `[batch, time]` -> the first state of each decoder layer, and what attention looks at."""
    absent = _absent(graph)
    present = graph.op("Sub", graph.constant(np.float32(1)), absent)
    lengths = graph.op("Cast", graph.op("ReduceSum", present, graph.integers(1), keepdims=0), to=TensorProto.INT32)
    memory = graph.embed(graph.op("Transpose", "ids", perm=[1, 0]))
    for number in range(config.encoder_layers):
        outputs, *state = _recurrent_layer(graph, config, number, memory, lengths)
        by_time = graph.op("Transpose", outputs, perm=[0, 2, 1, 3])
        memory = graph.op("Reshape", by_time, graph.integers(0, 0, -1))
    state = [graph.op("Reshape", graph.op("Transpose", part, perm=[1, 0, 2]), graph.integers(0, -1)) for part in state]
    units = config.decoder_units
    results = {
        name: (part, ["batch", units])
        for layer in range(config.decoder_layers)
        for name, part in zip(_state_names(config, layer), state, strict=True)
    }
    if config.attends:
        memory = graph.op("Transpose", memory, perm=[1, 0, 2])
        results["memory"] = (memory, ["batch", "time", units])
        results["keys"] = (graph.linear(memory, "keys.kernel"), ["batch", "time", units])
        results["absent"] = (graph.op("Mul", absent, graph.constant(np.float32(MASKED))), ["batch", "time"])
    return graph.model("encoder", _IDS, results)


def _recurrent_decoder(config: Seq2SeqConfig, graph: Graph) -> onnx.ModelProto:
    """tokens `[batch]`, the state and what attention looks at -> logits `[batch, vocabulary]` and the new state."""
    units = config.decoder_units
    inputs, results = dict(_TOKENS), dict[str, tuple[str, Any]]()
    outputs = graph.embed("tokens")
    for layer in range(config.decoder_layers):
        names = _state_names(config, layer)
        inputs |= {name: (TensorProto.FLOAT, ["batch", units]) for name in names}
        products = graph.op(
            "Add", graph.linear(outputs, f"decoder_{layer}.kernel"), graph.weight(f"decoder_{layer}.bias")
        )
        recurrent = graph.linear(names[0], f"decoder_{layer}.recurrent")
        state = _ADVANCE[config.cell](graph, products, recurrent, names)
        results |= {f"new_{name}": (part, ["batch", units]) for name, part in zip(names, state, strict=True)}
        outputs = state[0]
    if config.attends:
        inputs |= {name: (TensorProto.FLOAT, ["batch", "time", units]) for name in ("memory", "keys")}
        inputs["absent"] = (TensorProto.FLOAT, ["batch", "time"])
        outputs, weights = _attend(config, graph, outputs)
        results[ATTENTION] = (weights, ["batch", "time"])
    results[LOGITS] = (_logits(config, graph, outputs), ["batch", config.vocabulary_size])
    return graph.model("decoder", inputs, results)


def _state_names(config: Seq2SeqConfig, layer: int) -> list[str]:
    return [f"{part}_{layer}" for part in "hc"[: CELLS[config.cell].state_size]]


def _lstm(graph: Graph, inputs: str, recurrent: str, state: list[str]) -> list[str]:
    gates = graph.op("Split", graph.op("Add", inputs, recurrent), outputs=4, axis=-1, num_outputs=4)
    input_gate, output_gate, forget_gate = (graph.op("Sigmoid", gate) for gate in gates[:3])
    new = graph.op("Mul", input_gate, graph.op("Tanh", gates[3]))
    c = graph.op("Add", graph.op("Mul", forget_gate, state[1]), new)
    return [graph.op("Mul", output_gate, graph.op("Tanh", c)), c]


def _gru(graph: Graph, inputs: str, recurrent: str, state: list[str]) -> list[str]:
    update_in, reset_in, hidden_in = graph.op("Split", inputs, outputs=3, axis=-1, num_outputs=3)
    update_back, reset_back, hidden_back = graph.op("Split", recurrent, outputs=3, axis=-1, num_outputs=3)
    update = graph.op("Sigmoid", graph.op("Add", update_in, update_back))
    reset = graph.op("Sigmoid", graph.op("Add", reset_in, reset_back))
    hidden = graph.op("Tanh", graph.op("Add", hidden_in, graph.op("Mul", reset, hidden_back)))
    return [graph.op("Add", hidden, graph.op("Mul", update, graph.op("Sub", state[0], hidden)))]


def _rnn(graph: Graph, inputs: str, recurrent: str, state: list[str]) -> list[str]:
    return [graph.op("Tanh", graph.op("Add", inputs, recurrent))]


_ADVANCE = {"lstm": _lstm, "gru": _gru, "rnn": _rnn}
"""The rules of `Recurrent.advance`."""


def _attend(config: Seq2SeqConfig, graph: Graph, outputs: str) -> tuple[str, str]:
    """Outputs and what they look at in one, and the weights of looking."""
    if config.attention == "luong":
        scores = graph.op("MatMul", "keys", graph.op("Unsqueeze", outputs, graph.integers(2)))
    else:
        query = graph.op("Add", graph.linear(outputs, "query.kernel"), graph.weight("query.bias"))
        sums = graph.op("Add", "keys", graph.op("Unsqueeze", query, graph.integers(1)))
        scores = graph.op("MatMul", graph.op("Tanh", sums), graph.weight("energy.kernel"))
    scores = graph.op("Add", graph.op("Squeeze", scores, graph.integers(2)), "absent")
    weights = graph.op("Softmax", scores, axis=-1)
    mixed = graph.op("MatMul", graph.op("Unsqueeze", weights, graph.integers(1)), "memory")
    both = graph.op("Concat", graph.op("Squeeze", mixed, graph.integers(1)), outputs, axis=-1)
    return graph.op("Tanh", graph.linear(both, "combine.kernel")), weights


def _transformer_encoder(config: Seq2SeqConfig, graph: Graph) -> onnx.ModelProto:
    """ids `[batch, time]` -> keys and values of the context for each decoder layer, and its empty caches."""
    absent = graph.op("Mul", _absent(graph), graph.constant(np.float32(MASKED)))
    hidden = graph.op("Unsqueeze", absent, graph.integers(1, 2))
    batch, time = (graph.op("Shape", "ids", start=axis, end=axis + 1) for axis in range(2))
    rotations = _rotations(config, graph, _range(graph, graph.integers(0), time))
    outputs = _inputs(graph, graph.embed("ids"))
    for layer in range(config.encoder_layers):
        name = f"encoder_{layer}"
        queries, keys, values = _self_parts(config, graph, outputs, f"{name}_self", rotations)
        mixed, _ = _look(config, graph, queries, keys, values, hidden)
        outputs = graph.op("Add", outputs, graph.linear(mixed, f"{name}_self.mix"))
        outputs = _feed_forward(graph, outputs, name)
    memory = _normalized(graph, outputs, "memory_norm")
    no_keys, no_values = (
        graph.op("ConstantOfShape", graph.op("Concat", batch, graph.integers(config.heads, *sizes), axis=0))
        for sizes in ((config.head_units, 0), (0, config.head_units))
    )
    results: dict[str, tuple[str, Any]] = {"absent": (absent, ["batch", "time"])}
    for layer in range(config.decoder_layers):
        read = graph.op(
            "Split", graph.linear(memory, f"decoder_{layer}_context.key_value"), outputs=2, axis=-1, num_outputs=2
        )
        keys, values = (_split(config, graph, part) for part in read)
        results |= _named(config, _cache_names(layer), (no_keys, no_values), "written")
        results |= _named(config, _context_names(layer), (_transposed(graph, keys), values), "time")
    return graph.model("encoder", _IDS, results)


def _transformer_decoder(config: Seq2SeqConfig, graph: Graph) -> onnx.ModelProto:
    """tokens `[batch, new]`, caches and what attention looks at -> logits `[batch, new, vocabulary]`, longer caches.

    Any number of new tokens is read at once, each of which sees those before it.
    """
    inputs: dict[str, Any] = {"tokens": (TensorProto.INT64, ["batch", "new"])}
    inputs["absent"] = (TensorProto.FLOAT, ["batch", "time"])
    for layer in range(config.decoder_layers):
        for names, axis in ((_cache_names(layer), "written"), (_context_names(layer), "time")):
            shapes = _named(config, names, names, axis)
            inputs |= {name: (TensorProto.FLOAT, shape) for name, (_, shape) in shapes.items()}
    results = dict[str, tuple[str, Any]]()
    past, new = graph.op("Shape", _cache_names(0)[1], start=2, end=3), graph.op("Shape", "tokens", start=1, end=2)
    total = graph.op("Add", past, new)
    positions = _range(graph, past, total)
    rotations, outputs = _rotations(config, graph, positions), _inputs(graph, graph.embed("tokens"))
    column = graph.op("Unsqueeze", positions, graph.integers(1))
    later = graph.op("Greater", _range(graph, graph.integers(0), total), column)
    unwritten = graph.op("Mul", graph.op("Cast", later, to=TensorProto.FLOAT), graph.constant(np.float32(MASKED)))
    hidden, weights = graph.op("Unsqueeze", "absent", graph.integers(1, 2)), ""
    for layer in range(config.decoder_layers):
        name = f"decoder_{layer}"
        queries, keys, values = _self_parts(config, graph, outputs, f"{name}_self", rotations)
        written_keys, written_values = _cache_names(layer)
        keys = graph.op("Concat", written_keys, keys, axis=3)
        values = graph.op("Concat", written_values, values, axis=2)
        mixed, _ = _look(config, graph, queries, keys, values, unwritten)
        outputs = graph.op("Add", outputs, graph.linear(mixed, f"{name}_self.mix"))
        queries = graph.linear(_normalized(graph, outputs, f"{name}_context.norm"), f"{name}_context.query")
        mixed, weights = _look(config, graph, _split(config, graph, queries), *_context_names(layer), hidden)
        outputs = graph.op("Add", outputs, graph.linear(mixed, f"{name}_context.mix"))
        outputs = _feed_forward(graph, outputs, name)
        longer = _named(config, _cache_names(layer), (keys, values), "longer")
        results |= {f"new_{cache}": part for cache, part in longer.items()}
    logits = _logits(config, graph, _normalized(graph, outputs, "output_norm"))
    results[LOGITS] = (logits, ["batch", "new", config.vocabulary_size])
    results[ATTENTION] = (graph.op("ReduceMean", weights, graph.integers(1), keepdims=0), ["batch", "new", "time"])
    return graph.model("decoder", inputs, results)


def _cache_names(layer: int) -> tuple[str, str]:
    return f"written_keys_{layer}", f"written_values_{layer}"


def _context_names(layer: int) -> tuple[str, str]:
    return f"keys_{layer}", f"values_{layer}"


def _inputs(graph: Graph, embedded: str) -> str:
    return _normalized(graph, graph.linear(embedded, "widening.kernel"), "input_norm")


def _normalized(graph: Graph, inputs: str, name: str) -> str:
    return str(graph.op("LayerNormalization", inputs, graph.weight(f"{name}.gain"), epsilon=NORM_EPSILON))


def _feed_forward(graph: Graph, inputs: str, name: str) -> str:
    name = f"{name}_forward"
    wide = graph.op("Relu", graph.linear(_normalized(graph, inputs, f"{name}.norm"), f"{name}.widen"))
    return str(graph.op("Add", inputs, graph.linear(wide, f"{name}.narrow")))


def _self_parts(
    config: Seq2SeqConfig, graph: Graph, inputs: str, name: str, rotations: tuple[str, str]
) -> tuple[str, str, str]:
    """Queries and values `[batch, heads, time, head_units]`, and keys with the last two axes swapped."""
    products = graph.linear(_normalized(graph, inputs, f"{name}.norm"), f"{name}.query_key_value")
    units = config.encoder_units
    both, values = graph.op("Split", products, graph.integers(2 * units, units), outputs=2, axis=-1)
    first, second = graph.op("Split", _split(config, graph, both, 2), outputs=2, axis=-1, num_outputs=2)
    cosines, sines = rotations
    turned = graph.op(
        "Concat",
        graph.op("Sub", graph.op("Mul", first, cosines), graph.op("Mul", second, sines)),
        graph.op("Add", graph.op("Mul", second, cosines), graph.op("Mul", first, sines)),
        axis=-1,
    )
    queries, keys = graph.op("Split", turned, outputs=2, axis=1, num_outputs=2)
    return queries, _transposed(graph, keys), _split(config, graph, values)


def _rotations(config: Seq2SeqConfig, graph: Graph, positions: str) -> tuple[str, str]:
    """Cosines and sines for integer positions `[time]`, `[time, head_units / 2]`."""
    column = graph.op("Unsqueeze", graph.op("Cast", positions, to=TensorProto.FLOAT), graph.integers(1))
    angles = graph.op("Mul", column, graph.constant(rotary_frequencies(config)))
    return graph.op("Cos", angles), graph.op("Sin", angles)


def _split(config: Seq2SeqConfig, graph: Graph, products: str, parts: int = 1) -> str:
    """`[batch, time, parts * units]` as `[batch, parts * heads, time, head_units]`."""
    shape = graph.integers(0, 0, parts * config.heads, config.head_units)
    return str(graph.op("Transpose", graph.op("Reshape", products, shape), perm=[0, 2, 1, 3]))


def _transposed(graph: Graph, keys: str) -> str:
    """`[batch, heads, time, head_units]` as `[batch, heads, head_units, time]`: products with them are faster."""
    return str(graph.op("Transpose", keys, perm=[0, 1, 3, 2]))


def _named(
    config: Seq2SeqConfig, names: tuple[str, str], parts: tuple[str, str], axis: str
) -> dict[str, tuple[str, list[str | int]]]:
    """Keys and values by their names, each with its shape."""
    shapes: list[list[str | int]] = [
        ["batch", config.heads, config.head_units, axis],
        ["batch", config.heads, axis, config.head_units],
    ]
    return dict(zip(names, zip(parts, shapes, strict=True), strict=True))


def _range(graph: Graph, first: str, end: str) -> str:
    """The integers from one to before another, both of shape `[1]`."""
    return str(graph.op("Range", graph.op("Squeeze", first), graph.op("Squeeze", end), graph.constant(np.int64(1))))


def _look(config: Seq2SeqConfig, graph: Graph, queries: str, keys: str, values: str, hidden: str) -> tuple[str, str]:
    """The values by scaled dot products `[batch, time, units]`, and their weights `[batch, heads, time, all]`."""
    scores = graph.op(
        "Mul", graph.op("MatMul", queries, keys), graph.constant(np.float32(1 / math.sqrt(config.head_units)))
    )
    weights = graph.op("Softmax", graph.op("Add", scores, hidden), axis=-1)
    mixed = graph.op("Transpose", graph.op("MatMul", weights, values), perm=[0, 2, 1, 3])
    return graph.op("Reshape", mixed, graph.integers(0, 0, -1)), weights


_GRAPHS = ((_recurrent_encoder, _recurrent_decoder), (_transformer_encoder, _transformer_decoder))
