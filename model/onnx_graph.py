"""A trained network in, the files of its inference out: one `weights.safetensors` and two ONNX graphs over it.

The weights are stored once, as int8 with a scale for each output channel. `encoder.onnx` and `decoder.onnx` hold no
weights: they point into that file, and training reads it back to go on from a published model. The float graphs,
for checks, are the same graphs over unquantised weights. Needs the extra `train`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper
from safetensors.numpy import load_file, save_file

from model.bundle import DECODER, ENCODER, WEIGHTS
from model.seq2seq import Seq2Seq, Seq2SeqConfig, build
from model.tokenizer import PAD

Array = npt.NDArray[Any]

_LARGEST = 63
"""Of an int8 weight. With 127, the u8 x s8 products of processors without VNNI overflow their 16 bits in pairs."""

_MASKED = 1e9
_OPSET, _IR_VERSION = 18, 9


def export(network: Seq2Seq, directory: Path, *, quantized: bool = True) -> None:
    """Write the inference files of a network into an existing directory.

    Args:
        network: a built network.
        directory: where `weights.safetensors`, `encoder.onnx` and `decoder.onnx` go.
        quantized: int8 weights and products; else float32 throughout.
    """
    weights = dict(_graph_weights(network))
    if quantized:
        weights = dict(_quantize(weights))
    save_file({name: np.ascontiguousarray(value) for name, value in weights.items()}, directory / WEIGHTS)
    external = _external_tensors(directory / WEIGHTS)
    for name, graph in ((ENCODER, _encoder), (DECODER, _decoder)):
        onnx.save(graph(network.config, _Graph(external)), directory / name)


def load_network(config: Seq2SeqConfig, directory: Path) -> Seq2Seq:
    """A trainable network with the weights of exported files (int8 ones as the numbers they stand for)."""
    stored = load_file(directory / WEIGHTS)
    weights = {name: value.astype(np.float32) for name, value in stored.items()}
    for name in [name for name in weights if name.endswith(".scale")]:
        weights[name.removesuffix(".scale")] *= weights.pop(name)
    network = build(config)
    for variable, value in zip(network.trainable_variables, _network_weights(config, weights), strict=True):
        variable.assign(value)
    return network


def _graph_weights(network: Seq2Seq) -> Iterator[tuple[str, Array]]:
    """Weights as the graphs multiply them: `[..., inputs, outputs]`, the embedding as `[embedding_dim, vocabulary]`."""
    config = network.config
    yield "embedding", _array(network.embedding.embeddings).T
    directions = [lstm for lstm in (network.encoder, network.encoder_backward) if lstm is not None]
    yield "encoder.kernel", np.stack([_reorder(_array(lstm.kernel), _TO_ONNX) for lstm in directions])
    yield "encoder.recurrent", np.stack([_reorder(_array(lstm.recurrent), _TO_ONNX) for lstm in directions])
    yield "encoder.bias", np.stack([_reorder(_array(lstm.bias), _TO_ONNX) for lstm in directions])
    for number, lstm in enumerate(network.decoder):
        yield f"decoder_{number}", np.concatenate([_array(lstm.kernel), _array(lstm.recurrent)])
        yield f"decoder_{number}.bias", _array(lstm.bias)
    if config.attention == "luong":
        yield "attention.keys", _array(network.keys.kernel)
        yield "attention.combine", _array(network.combine.kernel)
    if config.tied:
        yield "projection", _array(network.projection.kernel)
    else:
        yield "softmax", _array(network.softmax.kernel)
    yield "softmax.bias", _array(network.output_bias)


def _network_weights(config: Seq2SeqConfig, weights: dict[str, Array]) -> Iterator[Array]:
    """The inverse of `_graph_weights`, in the order of the network's `trainable_variables`."""
    yield weights["softmax.bias"]
    yield weights["embedding"].T
    for direction in range(2 if config.bidirectional else 1):
        for name in ("kernel", "recurrent", "bias"):
            yield _reorder(weights[f"encoder.{name}"][direction], _FROM_ONNX)
    for number in range(config.decoder_layers):
        both = weights[f"decoder_{number}"]
        yield from (both[: -config.decoder_units], both[-config.decoder_units :], weights[f"decoder_{number}.bias"])
    for name in ("attention.keys", "attention.combine", "projection", "softmax"):
        if name in weights:
            yield weights[name]


_TO_ONNX, _FROM_ONNX = (0, 3, 1, 2), (0, 2, 3, 1)  # input, forget, cell, output <-> input, output, forget, cell


def _reorder(gates: Array, order: tuple[int, ...]) -> Array:
    parts = np.split(gates, 4, axis=-1)
    return np.concatenate([parts[index] for index in order], axis=-1)


def _quantize(weights: dict[str, Array]) -> Iterator[tuple[str, Array]]:
    for name, value in weights.items():
        if value.ndim == 1 or name == "encoder.bias":
            yield name, value
            continue
        scale = np.maximum(np.abs(value).max(axis=-2, keepdims=True), 1e-9).astype(np.float32) / _LARGEST
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
    """An ONNX graph under construction; values are named by the node that makes them."""

    def __init__(self, external: dict[str, TensorProto]) -> None:
        self.external = external
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, TensorProto] = {}

    @property
    def quantized(self) -> bool:
        return "embedding.scale" in self.external

    def weight(self, name: str) -> str:
        """A tensor of the weights file."""
        self.initializers[name] = self.external[name]
        return name

    def constant(self, value: Array) -> str:
        name = f"constant_{len(self.initializers)}"
        self.initializers[name] = onnx.numpy_helper.from_array(value, name)
        return name

    def integers(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def op(self, kind: str, *inputs: str, outputs: int = 1, domain: str = "", **attributes: Any) -> Any:
        """Add a node; its output's name, or a list of names where there are several."""
        names = [f"{kind}_{len(self.nodes)}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, domain=domain, **attributes))
        return names[0] if outputs == 1 else names

    def linear(self, inputs: str, name: str) -> str:
        """`inputs` times the weights `name`; int8 weights with inputs quantised as they come (dynamically)."""
        if not self.quantized:
            return str(self.op("MatMul", inputs, self.weight(name)))
        whole, input_scale, zero_point = self.op("DynamicQuantizeLinear", inputs, outputs=3)
        products = self.op("MatMulInteger", whole, self.weight(name), zero_point)
        scale = self.op("Mul", input_scale, self._squeezed_scale(name))
        return str(self.op("Mul", self.op("Cast", products, to=TensorProto.FLOAT), scale))

    def embed(self, ids: str) -> str:
        """`[embedding_dim, ...ids]`: the columns of the embedding, which the tied softmax multiplies by too."""
        columns = self.op("Gather", self.weight("embedding"), ids, axis=1)
        if not self.quantized:
            return str(columns)
        scale = self.op("Gather", self._squeezed_scale("embedding"), ids)
        return str(self.op("Mul", self.op("Cast", columns, to=TensorProto.FLOAT), scale))

    def lstm(self, inputs: str, lengths: str, config: Seq2SeqConfig) -> list[str]:
        """Outputs `[time, directions, batch, units]` and the last h and c, `[directions, batch, units]`."""
        attributes: dict[str, Any] = {
            "hidden_size": config.encoder_units,
            "direction": "bidirectional" if config.bidirectional else "forward",
        }
        kernel, recurrent = self.weight("encoder.kernel"), self.weight("encoder.recurrent")
        bias = self.op("Pad", self.weight("encoder.bias"), self.integers(0, 0, 0, 4 * config.encoder_units))
        if not self.quantized:  # the plain operator wants [directions, outputs, inputs]
            kernel, recurrent = (self.op("Transpose", value, perm=[0, 2, 1]) for value in (kernel, recurrent))
            names: list[str] = self.op("LSTM", inputs, kernel, recurrent, bias, lengths, outputs=3, **attributes)
            return names
        scales = [self._squeezed_scale(f"encoder.{name}", axis=1) for name in ("kernel", "recurrent")]
        zeros = self.constant(np.zeros((2 if config.bidirectional else 1, 4 * config.encoder_units), np.int8))
        quantization = (scales[0], zeros, scales[1], zeros)
        names = self.op(
            "DynamicQuantizeLSTM",
            *(inputs, kernel, recurrent, bias, lengths, "", "", "", *quantization),
            outputs=3,
            domain="com.microsoft",
            **attributes,
        )
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

    def _squeezed_scale(self, name: str, axis: int = 0) -> str:
        return str(self.op("Squeeze", self.weight(f"{name}.scale"), self.integers(axis)))


def _encoder(config: Seq2SeqConfig, graph: _Graph) -> onnx.ModelProto:
    """ids `[batch, time]` -> the first state of each decoder layer, and what attention looks at."""
    absent = graph.op("Cast", graph.op("Equal", "ids", graph.integers(PAD)), to=TensorProto.FLOAT)
    present = graph.op("Sub", graph.constant(np.array([1.0], np.float32)), absent)
    lengths = graph.op("Cast", graph.op("ReduceSum", present, graph.integers(1), keepdims=0), to=TensorProto.INT32)
    inputs = graph.op("Transpose", graph.embed("ids"), perm=[2, 1, 0])
    outputs, h, c = graph.lstm(inputs, lengths, config)
    flat = graph.integers(0, -1)
    states = [graph.op("Reshape", graph.op("Transpose", state, perm=[1, 0, 2]), flat) for state in (h, c)]
    units = config.decoder_units
    results = {
        f"{kind}_{layer}": (state, ["batch", units])
        for layer in range(config.decoder_layers)
        for kind, state in zip("hc", states, strict=True)
    }
    if config.attention == "luong":
        memory = graph.op("Reshape", graph.op("Transpose", outputs, perm=[2, 0, 1, 3]), graph.integers(0, 0, -1))
        results["memory"] = (memory, ["batch", "time", units])
        results["keys"] = (graph.linear(memory, "attention.keys"), ["batch", "time", units])
        results["absent"] = (
            graph.op("Mul", absent, graph.constant(np.array([-_MASKED], np.float32))),
            ["batch", "time"],
        )
    return graph.model("encoder", {"ids": (TensorProto.INT64, ["batch", "time"])}, results)


def _decoder(config: Seq2SeqConfig, graph: _Graph) -> onnx.ModelProto:
    """tokens `[batch]`, the state and what attention looks at -> logits `[batch, vocabulary]` and the new state."""
    units = config.decoder_units
    inputs: dict[str, Any] = {"tokens": (TensorProto.INT64, ["batch"])}
    results: dict[str, tuple[str, Any]] = {}
    outputs = graph.op("Transpose", graph.embed("tokens"), perm=[1, 0])
    for layer in range(config.decoder_layers):
        h, c = f"h_{layer}", f"c_{layer}"
        inputs |= {h: (TensorProto.FLOAT, ["batch", units]), c: (TensorProto.FLOAT, ["batch", units])}
        outputs, new_c = _lstm_step(graph, f"decoder_{layer}", outputs, h, c)
        results |= {f"new_{h}": (outputs, ["batch", units]), f"new_{c}": (new_c, ["batch", units])}
    if config.attention == "luong":
        inputs |= {name: (TensorProto.FLOAT, ["batch", "time", units]) for name in ("memory", "keys")}
        inputs["absent"] = (TensorProto.FLOAT, ["batch", "time"])
        outputs = _attend(graph, outputs)
    if config.tied:
        outputs = graph.linear(outputs, "projection")
    logits = graph.linear(outputs, "embedding" if config.tied else "softmax")
    logits = graph.op("Add", logits, graph.weight("softmax.bias"))
    results["logits"] = (logits, ["batch", config.vocabulary_size])
    return graph.model("decoder", inputs, results)


def _lstm_step(graph: _Graph, name: str, inputs: str, h: str, c: str) -> tuple[str, str]:
    products = graph.linear(graph.op("Concat", inputs, h, axis=-1), name)
    gates = graph.op("Add", products, graph.weight(f"{name}.bias"))
    input_gate, forget_gate, cell, output_gate = graph.op("Split", gates, outputs=4, axis=-1, num_outputs=4)
    kept = graph.op("Mul", graph.op("Sigmoid", forget_gate), c)
    new_c = graph.op("Add", kept, graph.op("Mul", graph.op("Sigmoid", input_gate), graph.op("Tanh", cell)))
    return graph.op("Mul", graph.op("Sigmoid", output_gate), graph.op("Tanh", new_c)), new_c


def _attend(graph: _Graph, outputs: str) -> str:
    query = graph.op("Unsqueeze", outputs, graph.integers(2))
    scores = graph.op("Squeeze", graph.op("MatMul", "keys", query), graph.integers(2))
    attention = graph.op("Softmax", graph.op("Add", scores, "absent"), axis=-1)
    weighted = graph.op("MatMul", graph.op("Unsqueeze", attention, graph.integers(1)), "memory")
    context = graph.op("Squeeze", weighted, graph.integers(1))
    return str(graph.op("Tanh", graph.linear(graph.op("Concat", context, outputs, axis=-1), "attention.combine")))


def _array(variable: Any) -> Array:
    return np.asarray(variable, np.float32)
