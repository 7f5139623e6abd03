"""A trained network in, the files of its inference out: one `weights.safetensors` and two ONNX graphs over it.

The weights are stored once, as int8 with a scale for each output, under the names of the network's own variables.
`encoder.onnx` and `decoder.onnx` hold no weights: they point into that file, and training reads it back to go on from a
published model. The float graphs, for checks, are the same graphs over unquantised weights. Needs the extra `train`.
"""

import errno
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from model.bundle import DECODER, ENCODER, HEAD, TRAINING, WEIGHTS, ModelFormatError
from model.inference import ATTENTION, LIKELIHOODS
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

    Raises:
        OSError: they cannot be written.
    """
    weights = {name: np.asarray(variable, np.float32) for name, variable in _variables(network).items()}
    if training:
        _save({name: value.astype(np.float16) for name, value in weights.items()}, directory / TRAINING)
    _save(dict(_quantize(weights)) if quantized else weights, directory / WEIGHTS)
    external = external_tensors(directory / WEIGHTS)
    for name, model in zip((ENCODER, DECODER), _GRAPHS[network.config.cell == "transformer"], strict=True):
        onnx.save(model(network.config, Graph(external)), directory / name)


def _save(weights: dict[str, Array], path: Path) -> None:
    try:
        save_file(weights, path)
    except SafetensorError as error:  # as which it raises all that the system says of the file
        raise OSError(errno.EIO, str(error)) from error


def load_network(config: Seq2SeqConfig, directory: Path) -> Seq2Seq:
    """A trainable network with the weights of exported files: in half precision where there are such.

    Int8 weights are taken as the numbers they stand for.

    Raises:
        ModelFormatError: the weights are not of such a network; no more memory was taken than they are worth.
    """
    path = directory / (TRAINING if (directory / TRAINING).exists() else WEIGHTS)
    try:
        with safe_open(path, "np") as file:
            _check_size(config, {name: file.get_slice(name).get_shape() for name in file.keys()})  # noqa: SIM118
        stored, network = load_file(path), build(config)
        for name, variable in _variables(network).items():
            variable.assign(stored[name] * stored.get(f"{name}.scale", np.float32(1)))
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelFormatError(
            f"The weights in {path} are not of the network that {HEAD} describes: train from another model."
        ) from error
    return network


def _check_size(config: Seq2SeqConfig, shapes: dict[str, list[int]]) -> None:
    """Raise ValueError or KeyError where a network would be larger than its weights, which come with what it claims."""
    if shapes[EMBEDDING] != [config.vocabulary_size, config.embedding_dim]:
        raise ValueError("the vocabulary is of another size")
    transformer = config.cell == "transformer"
    encoder = ["_self.mix"] if transformer else [f"_{direction}.recurrent" for direction in config.directions]
    decoder = ["_self.mix"] if transformer else [".recurrent"]
    for part, layers, units, squares in (
        ("encoder", config.encoder_layers, config.encoder_units, encoder),
        ("decoder", config.decoder_layers, config.decoder_units, decoder),
    ):
        for layer in range(layers):
            if any(shapes[f"{part}_{layer}{square}"][0] != units for square in squares):
                raise ValueError("a layer is of another width")


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


def _log_probabilities(config: Seq2SeqConfig, graph: Graph, outputs: str) -> str:
    if config.tied:
        outputs = graph.linear(outputs, "projection.kernel")
    logits = graph.linear(outputs, EMBEDDING if config.tied else "softmax.kernel")
    return str(graph.op("LogSoftmax", graph.op("Add", logits, graph.weight("output_bias")), axis=-1))


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
    """tokens `[batch]`, state, what attention looks at -> log probabilities `[batch, vocabulary]`, the new state."""
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
    results[LIKELIHOODS] = (_log_probabilities(config, graph, outputs), ["batch", config.vocabulary_size])
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
    batch, time = (graph.op("Shape", "ids", start=axis, end=axis + 1) for axis in range(2))
    rotations, look = _rotations(config, graph, graph.integers(0), time), _Looking(config, graph, "ids", absent)
    outputs = _inputs(graph, graph.embed("ids"))
    for layer in range(config.encoder_layers):
        name = f"encoder_{layer}"
        queries, keys, values = _self_parts(graph, outputs, f"{name}_self", rotations)
        mixed, _ = look(queries, _by_head(config, graph, keys, transposed=True), _by_head(config, graph, values))
        outputs = graph.op("Add", outputs, graph.linear(mixed, f"{name}_self.mix"))
        outputs = _feed_forward(graph, outputs, name)
    memory = _normalized(graph, outputs, "memory_norm")
    cache = graph.op(
        "ConstantOfShape", graph.op("Concat", batch, graph.integers(config.heads, 0, config.head_units), axis=0)
    )
    results: dict[str, tuple[str, Any]] = {"absent": (absent, ["batch", "time"])}
    for layer in range(config.decoder_layers):
        read = graph.linear(memory, f"decoder_{layer}_context.key_value")
        keys, values = graph.op("Split", read, outputs=2, axis=-1, num_outputs=2)
        keys, values = _by_head(config, graph, keys, transposed=True), _by_head(config, graph, values)
        results |= {name: (cache, shape) for name, shape in _caches(config, layer, "written").items()}
        results |= {
            name: (part, shape)
            for (name, shape), part in zip(_context(config, layer).items(), (keys, values), strict=True)
        }
    return graph.model("encoder", _IDS, results)


def _transformer_decoder(config: Seq2SeqConfig, graph: Graph) -> onnx.ModelProto:
    """tokens `[batch, new]`, caches, what attention looks at -> log probabilities `[batch, new, vocabulary]`, caches.

    Any number of new tokens is read at once, each of which sees those before it. A single context serves any batch.
    """
    shapes: dict[str, Any] = {"absent": ["contexts", "time"]}
    for layer in range(config.decoder_layers):
        shapes |= _caches(config, layer, "written") | _context(config, layer)
    inputs: dict[str, Any] = {name: (TensorProto.FLOAT, shape) for name, shape in shapes.items()}
    inputs["tokens"] = (TensorProto.INT64, ["batch", "new"])
    past = graph.op("Shape", next(iter(_caches(config, 0, ""))), start=2, end=3)
    rotations = _rotations(config, graph, past, graph.op("Shape", "tokens", start=1, end=2))
    results, look, weights = dict[str, tuple[str, Any]](), _Looking(config, graph, "tokens", "absent"), ""
    outputs = _inputs(graph, graph.embed("tokens"))
    for layer in range(config.decoder_layers):
        name, caches = f"decoder_{layer}", _caches(config, layer, "longer")
        parts = _self_parts(graph, outputs, f"{name}_self", rotations)
        mixed, *longer = graph.op(
            *("MultiHeadAttention", *parts, "", "", "", *caches),
            outputs=3,
            domain="com.microsoft",
            num_heads=config.heads,
            unidirectional=1,
        )
        results |= {f"new_{cache}": (part, caches[cache]) for cache, part in zip(caches, longer, strict=True)}
        outputs = graph.op("Add", outputs, graph.linear(mixed, f"{name}_self.mix"))
        queries = graph.linear(_normalized(graph, outputs, f"{name}_context.norm"), f"{name}_context.query")
        mixed, weights = look(queries, *_context(config, layer))
        outputs = graph.op("Add", outputs, graph.linear(mixed, f"{name}_context.mix"))
        outputs = _feed_forward(graph, outputs, name)
    likelihoods = _log_probabilities(config, graph, _normalized(graph, outputs, "output_norm"))
    results[LIKELIHOODS] = (likelihoods, ["batch", "new", config.vocabulary_size])
    results[ATTENTION] = (graph.op("ReduceMean", weights, graph.integers(1), keepdims=0), ["contexts", "rows", "time"])
    return graph.model("decoder", inputs, results)


def _caches(config: Seq2SeqConfig, layer: int, axis: str) -> dict[str, list[str | int]]:
    """The keys and values of what was written, and their shapes."""
    return {f"written_{part}_{layer}": ["batch", config.heads, axis, config.head_units] for part in ("keys", "values")}


def _context(config: Seq2SeqConfig, layer: int) -> dict[str, list[str | int]]:
    """The keys and values of the context, and their shapes."""
    return {
        f"keys_{layer}": ["contexts", config.heads, config.head_units, "time"],
        f"values_{layer}": ["contexts", config.heads, "time", config.head_units],
    }


def _inputs(graph: Graph, embedded: str) -> str:
    return _normalized(graph, graph.linear(embedded, "widening.kernel"), "input_norm")


def _normalized(graph: Graph, inputs: str, name: str) -> str:
    return str(graph.op("LayerNormalization", inputs, graph.weight(f"{name}.gain"), epsilon=NORM_EPSILON))


def _feed_forward(graph: Graph, inputs: str, name: str) -> str:
    name = f"{name}_forward"
    wide = graph.op("Relu", graph.linear(_normalized(graph, inputs, f"{name}.norm"), f"{name}.widen"))
    return str(graph.op("Add", inputs, graph.linear(wide, f"{name}.narrow")))


def _self_parts(graph: Graph, inputs: str, name: str, rotations: tuple[str, str, str]) -> list[str]:
    """Turned queries, turned keys, and values, `[batch, time, units]`."""
    products = graph.linear(_normalized(graph, inputs, f"{name}.norm"), f"{name}.query_key_value")
    queries, keys, values = graph.op("Split", products, outputs=3, axis=-1, num_outputs=3)
    turned = [graph.op("RotaryEmbedding", part, *rotations, domain="com.microsoft") for part in (queries, keys)]
    return [*turned, values]


def _rotations(config: Seq2SeqConfig, graph: Graph, first: str, count: str) -> tuple[str, str, str]:
    """For positions from a first one on: which row is theirs, 0, and cosines and sines `[time, head_units / 2]`."""
    first, count = (graph.op("Squeeze", each) for each in (first, count))
    positions = graph.op("Range", first, graph.op("Add", first, count), graph.constant(np.int64(1)))
    column = graph.op("Unsqueeze", graph.op("Cast", positions, to=TensorProto.FLOAT), graph.integers(1))
    angles = graph.op("Mul", column, graph.constant(rotary_frequencies(config)))
    return graph.integers(0), graph.op("Cos", angles), graph.op("Sin", angles)


def _by_head(config: Seq2SeqConfig, graph: Graph, products: str, *, transposed: bool = False) -> str:
    """`[batch, time, units]` as `[batch, heads, time, head_units]`, or with the last two swapped.

    Keys are stored transposed: products with them are faster.
    """
    parts = graph.op("Reshape", products, graph.integers(0, 0, config.heads, config.head_units))
    return str(graph.op("Transpose", parts, perm=[0, 2, 3, 1] if transposed else [0, 2, 1, 3]))


class _Looking:
    """Attention of any rows to contexts; to a single one that all share, in one product."""

    def __init__(self, config: Seq2SeqConfig, graph: Graph, ids: str, absent: str) -> None:
        """Prepare what all layers need.

        Args:
            config: of the network.
            graph: to add to.
            ids: `[batch, time]` of what looks.
            absent: what is added to the scores of each token of the contexts, `[contexts, time]`.
        """
        self._config, self._graph = config, graph
        self._absent = graph.op("Unsqueeze", absent, graph.integers(1, 2))
        contexts, sizes = graph.op("Shape", absent, start=0, end=1), graph.integers(-1, config.heads, config.head_units)
        self._rows = graph.op("Concat", contexts, sizes, axis=0)
        self._batch = graph.op("Concat", graph.op("Shape", ids), graph.integers(config.decoder_units), axis=0)

    def __call__(self, queries: str, keys: str, values: str) -> tuple[str, str]:
        """The values by scaled dot products `[batch, time, units]`, and the weights `[contexts, heads, rows, time]`."""
        graph, scale = self._graph, np.float32(1 / math.sqrt(self._config.head_units))
        queries = graph.op("Transpose", graph.op("Reshape", queries, self._rows), perm=[0, 2, 1, 3])
        scores = graph.op("Mul", graph.op("MatMul", queries, keys), graph.constant(scale))
        weights = graph.op("Softmax", graph.op("Add", scores, self._absent), axis=-1)
        mixed = graph.op("Transpose", graph.op("MatMul", weights, values), perm=[0, 2, 1, 3])
        return graph.op("Reshape", mixed, self._batch), weights


_GRAPHS = ((_recurrent_encoder, _recurrent_decoder), (_transformer_encoder, _transformer_decoder))
