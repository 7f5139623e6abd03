"""Building an ONNX graph over the tensors of a safetensors file, in int8 or float32. Needs the extra `train`."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

EMBEDDING = "embedding.embeddings"
"""The matrix with a row for each token, of which the tied softmax is made too."""

_OPSET, _IR_VERSION = 18, 9


def external_tensors(path: Path) -> dict[str, TensorProto]:
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


class Graph:
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
        rows = self.op("Gather", self.weight(EMBEDDING), ids)
        if not self.is_quantized(EMBEDDING):
            return str(rows)
        scales = self.op("Gather", self.weight(f"{EMBEDDING}.scale"), ids)
        return str(self.op("Mul", self.op("Cast", rows, to=TensorProto.FLOAT), scales))

    def linear(self, inputs: str, name: str) -> str:
        """`inputs` times the weights `name`; int8 weights with inputs quantised as they come (dynamically)."""
        matrix = self.weight(name)
        if name == EMBEDDING:  # the tied softmax
            matrix = self.op("Transpose", matrix, perm=[1, 0])
        if not self.is_quantized(name):
            return str(self.op("MatMul", inputs, matrix))
        whole, input_scale, zero_point = self.op("DynamicQuantizeLinear", inputs, outputs=3)
        products = self.op("MatMulInteger", whole, matrix, zero_point)
        scale = self.op("Mul", input_scale, self.op("Reshape", self.weight(f"{name}.scale"), self.integers(-1)))
        return str(self.op("Mul", self.op("Cast", products, to=TensorProto.FLOAT), scale))

    def model(self, name: str, inputs: dict[str, Any], outputs: dict[str, tuple[str, Any]]) -> onnx.ModelProto:
        """Close the graph.

        Args:
            name: of the graph.
            inputs: `name -> (type, shape)`.
            outputs: `name -> (value, shape)`, all float32.
        """
        names: dict[str, str] = {}
        for output, (value, _) in outputs.items():
            if names.setdefault(value, output) != output:
                self.nodes.append(helper.make_node("Identity", [names[value]], [output]))
        for node in self.nodes:  # renamed and not copied: a copy of what grows with the reply takes time
            for values in (node.input, node.output):
                values[:] = [names.get(value, value) for value in values]
        graph = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info(key, *value) for key, value in inputs.items()],
            [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, (_, shape) in outputs.items()],
            list(self.initializers.values()),
        )
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="chinwag")
