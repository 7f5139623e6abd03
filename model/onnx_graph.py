"""A trained network in, the files of its inference out: one `weights.safetensors` and two ONNX graphs over it.

The weights are stored once, as int8 with a scale for each output, under the names of the network's own variables.
`encoder.onnx` and `decoder.onnx` hold no weights: they point into that file, and training reads it back to go on from a
published model. The float graphs, for checks, are the same graphs over unquantised weights. Needs the extra `train`.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper
from safetensors.numpy import load_file, save_file

from model.bundle import DECODER, ENCODER, TRAINING, WEIGHTS
from model.seq2seq import CELLS, Seq2Seq, Seq2SeqConfig, build
from model.tokenizer import PAD

Array = npt.NDArray[Any]

_LARGEST = np.float32(63)
"""Of an int8 weight. With 127, the u8 x s8 products of processors without VNNI overflow their 16 bits in pairs."""

_EMBEDDING = "embedding.embeddings"
_MATRICES = ("kernel", "recurrent")
_MASKED = np.float32(-1e9)
_OPSET, _IR_VERSION = 18, 9


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
    external = _external_tensors(directory / WEIGHTS)
    for name, graph in ((ENCODER, _encoder), (DECODER, _decoder)):
        onnx.save(graph(network.config, _Graph(external)), directory / name)


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
        inputs = 1 if name == _EMBEDDING else 0
        scale = np.maximum(np.abs(value).max(axis=inputs, keepdims=True), np.float32(1e-9)) / _LARGEST
        yield name, np.round(value / scale).astype(np.int8)
        yield f"{name}.scale", scale


def _external_tensors(path: Path) -> dict[str, TensorProto]:
    """The tensors of a safetensors file as ONNX initialisers that point into it."""
    with path.open("rb") as file:
        header_size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(header_size))
    types = {"I8": TensorProto.INT8, "F32": TensorProto.FLOAT}
    tensors = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        tensor = TensorProto(name=name, data_type=types[entry["dtype"]], dims=entry["shape"])
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", path.name), ("offset", 8 + header_size + start), ("length", end - start)):
            tensor.external_data.add(key=key, value=str(value))
        tensors[name] = tensor
    return tensors


class _Graph:
    """An ONNX graph under construction; values are named by the node that makes them.

    ONNX Runtime works out what depends on weights alone, such as a transposed one, once and when it loads the graph.
    """

    def __init__(self, external: dict[str, TensorProto]) -> None:
        self.external = external
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, TensorProto] = {}

    def op(self, kind: str, *inputs: str, outputs: int = 1, domain: str = "", **attributes: Any) -> Any:
        """Add a node; its output's name, or a list of names where there are several."""
        names = [f"{kind}_{len(self.nodes)}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, domain=domain, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, value: Any) -> str:
        name = f"constant_{len(self.initializers)}"
        self.initializers[name] = onnx.numpy_helper.from_array(np.asarray(value), name)
        return name

    def integers(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def weight(self, name: str) -> str:
        """A tensor of the weights file."""
        self.initializers[name] = self.external[name]
        return name

    def is_quantized(self, name: str) -> bool:
        return f"{name}.scale" in self.external

    def floats(self, name: str) -> str:
        """A tensor of the weights file as the numbers it stands for."""
        if not self.is_quantized(name):
            return self.weight(name)
        return str(
            self.op("Mul", self.op("Cast", self.weight(name), to=TensorProto.FLOAT), self.weight(f"{name}.scale"))
        )

    def embed(self, ids: str) -> str:
        """`[...ids, embedding_dim]`."""
        rows = self.op("Gather", self.weight(_EMBEDDING), ids)
        if not self.is_quantized(_EMBEDDING):
            return str(rows)
        scales = self.op("Gather", self.weight(f"{_EMBEDDING}.scale"), ids)
        return str(self.op("Mul", self.op("Cast", rows, to=TensorProto.FLOAT), scales))

    def linear(self, inputs: str, name: str) -> str:
        """`inputs` times the weights `name`; int8 weights with inputs quantised as they come (dynamically)."""
        matrix = self.weight(name)
        if name == _EMBEDDING:  # the tied softmax
            matrix = self.op("Transpose", matrix, perm=[1, 0])
        if not self.is_quantized(name):
            return str(self.op("MatMul", inputs, matrix))
        whole, input_scale, zero_point = self.op("DynamicQuantizeLinear", inputs, outputs=3)
        products = self.op("MatMulInteger", whole, matrix, zero_point)
        scale = self.op("Mul", input_scale, self.op("Reshape", self.weight(f"{name}.scale"), self.integers(-1)))
        return str(self.op("Mul", self.op("Cast", products, to=TensorProto.FLOAT), scale))

    def recurrent_layer(self, config: Seq2SeqConfig, number: int, inputs: str, lengths: str) -> list[str]:
        """A layer of the encoder over `[time, batch, features]`; int8 products for an LSTM only.

        Returns:
            Outputs `[time, directions, batch, units]` and the parts of the last state, `[directions, batch, units]`.
        """
        cell, layers = CELLS[config.cell], [f"encoder_{number}_{direction}" for direction in config.directions]

        def stacked(tensor: Callable[[str], str], weight: str) -> str:
            parts = [self.op("Unsqueeze", tensor(f"{layer}.{weight}"), self.integers(0)) for layer in layers]
            return str(self.op("Concat", *parts, axis=0))

        attributes: dict[str, Any] = {
            "hidden_size": config.encoder_units,
            "direction": "bidirectional" if config.bidirectional else "forward",
        }
        width = cell.gates * config.encoder_units
        bias = self.op("Pad", stacked(self.weight, "bias"), self.integers(0, 0, 0, width))  # of the recurrent product
        if config.cell == "lstm" and self.is_quantized(f"{layers[0]}.kernel"):
            kind, attributes["domain"] = "DynamicQuantizeLSTM", "com.microsoft"
            matrices = [stacked(self.weight, weight) for weight in _MATRICES]
            zeros = self.constant(np.zeros((len(layers), width), np.int8))
            kernel, recurrent = (
                self.op("Concat", *[self.weight(f"{layer}.{weight}.scale") for layer in layers], axis=0)
                for weight in _MATRICES
            )
            quantization = ["", "", "", kernel, zeros, recurrent, zeros]
        else:
            kind, quantization = config.cell.upper(), []
            matrices = [self.op("Transpose", stacked(self.floats, weight), perm=[0, 2, 1]) for weight in _MATRICES]
            if config.cell == "gru":
                attributes["linear_before_reset"] = 1
        outputs = 1 + cell.state_size
        names: list[str] = self.op(kind, inputs, *matrices, bias, lengths, *quantization, outputs=outputs, **attributes)
        return names

    def model(self, name: str, inputs: dict[str, Any], outputs: dict[str, tuple[str, Any]]) -> onnx.ModelProto:
        """Close the graph.

        Args:
            name: of the graph.
            inputs: `name -> (type, shape)`.
            outputs: `name -> (value, shape)`, all float32.
        """
        for output, (value, _) in outputs.items():
            self.nodes.append(helper.make_node("Identity", [value], [output]))
        graph = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info(key, *value) for key, value in inputs.items()],
            [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, (_, shape) in outputs.items()],
            list(self.initializers.values()),
        )
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="chinwag")


def _encoder(config: Seq2SeqConfig, graph: _Graph) -> onnx.ModelProto:
    """ids `[batch, time]` -> the first state of each decoder layer, and what attention looks at."""
    absent = graph.op("Cast", graph.op("Equal", "ids", graph.integers(PAD)), to=TensorProto.FLOAT)
    present = graph.op("Sub", graph.constant(np.float32(1)), absent)
    lengths = graph.op("Cast", graph.op("ReduceSum", present, graph.integers(1), keepdims=0), to=TensorProto.INT32)
    memory = graph.embed(graph.op("Transpose", "ids", perm=[1, 0]))
    for number in range(config.encoder_layers):
        outputs, *state = graph.recurrent_layer(config, number, memory, lengths)
        by_time = graph.op("Transpose", outputs, perm=[0, 2, 1, 3])
        memory = graph.op("Reshape", by_time, graph.integers(0, 0, -1))
    state = [graph.op("Reshape", graph.op("Transpose", part, perm=[1, 0, 2]), graph.integers(0, -1)) for part in state]
    units = config.decoder_units
    results = {
        name: (part, ["batch", units])
        for layer in range(config.decoder_layers)
        for name, part in zip(_state_names(config, layer), state, strict=True)
    }
    if config.attention != "none":
        memory = graph.op("Transpose", memory, perm=[1, 0, 2])
        results["memory"] = (memory, ["batch", "time", units])
        results["keys"] = (graph.linear(memory, "keys.kernel"), ["batch", "time", units])
        results["absent"] = (graph.op("Mul", absent, graph.constant(_MASKED)), ["batch", "time"])
    return graph.model("encoder", {"ids": (TensorProto.INT64, ["batch", "time"])}, results)


def _decoder(config: Seq2SeqConfig, graph: _Graph) -> onnx.ModelProto:
    """tokens `[batch]`, the state and what attention looks at -> logits `[batch, vocabulary]` and the new state."""
    units = config.decoder_units
    inputs: dict[str, Any] = {"tokens": (TensorProto.INT64, ["batch"])}
    results: dict[str, tuple[str, Any]] = {}
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
    if config.attention != "none":
        inputs |= {name: (TensorProto.FLOAT, ["batch", "time", units]) for name in ("memory", "keys")}
        inputs["absent"] = (TensorProto.FLOAT, ["batch", "time"])
        outputs = _attend(config, graph, outputs)
    if config.tied:
        outputs = graph.linear(outputs, "projection.kernel")
    logits = graph.linear(outputs, _EMBEDDING if config.tied else "softmax.kernel")
    logits = graph.op("Add", logits, graph.weight("output_bias"))
    results["logits"] = (logits, ["batch", config.vocabulary_size])
    return graph.model("decoder", inputs, results)


def _state_names(config: Seq2SeqConfig, layer: int) -> list[str]:
    return [f"{part}_{layer}" for part in "hc"[: CELLS[config.cell].state_size]]


def _lstm(graph: _Graph, inputs: str, recurrent: str, state: list[str]) -> list[str]:
    gates = graph.op("Split", graph.op("Add", inputs, recurrent), outputs=4, axis=-1, num_outputs=4)
    input_gate, output_gate, forget_gate = (graph.op("Sigmoid", gate) for gate in gates[:3])
    new = graph.op("Mul", input_gate, graph.op("Tanh", gates[3]))
    c = graph.op("Add", graph.op("Mul", forget_gate, state[1]), new)
    return [graph.op("Mul", output_gate, graph.op("Tanh", c)), c]


def _gru(graph: _Graph, inputs: str, recurrent: str, state: list[str]) -> list[str]:
    update_in, reset_in, hidden_in = graph.op("Split", inputs, outputs=3, axis=-1, num_outputs=3)
    update_back, reset_back, hidden_back = graph.op("Split", recurrent, outputs=3, axis=-1, num_outputs=3)
    update = graph.op("Sigmoid", graph.op("Add", update_in, update_back))
    reset = graph.op("Sigmoid", graph.op("Add", reset_in, reset_back))
    hidden = graph.op("Tanh", graph.op("Add", hidden_in, graph.op("Mul", reset, hidden_back)))
    return [graph.op("Add", hidden, graph.op("Mul", update, graph.op("Sub", state[0], hidden)))]


def _rnn(graph: _Graph, inputs: str, recurrent: str, state: list[str]) -> list[str]:
    return [graph.op("Tanh", graph.op("Add", inputs, recurrent))]


_ADVANCE = {"lstm": _lstm, "gru": _gru, "rnn": _rnn}
"""The rules of `Recurrent.advance`."""


def _attend(config: Seq2SeqConfig, graph: _Graph, outputs: str) -> str:
    if config.attention == "luong":
        scores = graph.op("MatMul", "keys", graph.op("Unsqueeze", outputs, graph.integers(2)))
    else:
        query = graph.op("Add", graph.linear(outputs, "query.kernel"), graph.weight("query.bias"))
        sums = graph.op("Add", "keys", graph.op("Unsqueeze", query, graph.integers(1)))
        scores = graph.op("MatMul", graph.op("Tanh", sums), graph.weight("energy.kernel"))
    scores = graph.op("Add", graph.op("Squeeze", scores, graph.integers(2)), "absent")
    weights = graph.op("Unsqueeze", graph.op("Softmax", scores, axis=-1), graph.integers(1))
    looked_at = graph.op("Squeeze", graph.op("MatMul", weights, "memory"), graph.integers(1))
    return str(graph.op("Tanh", graph.linear(graph.op("Concat", looked_at, outputs, axis=-1), "combine.kernel")))
