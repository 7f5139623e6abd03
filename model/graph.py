"""Whether an ONNX graph is of the kind that `model.onnx_graph` writes, found out before ONNX Runtime sees it.

A bundle may come from a stranger, who can also make its hashes fit. A graph that passes has no loop, no branch and no
function, no operation but those that our networks are made of, no weights but those of the bundle's own file, and
computes each of its nodes once.
"""

import math
from collections.abc import Iterator

from model.protobuf import fields

_COMMON = """
    Add Cast Concat ConstantOfShape Cos DynamicQuantizeLinear Equal GRU Gather Identity LSTM LayerNormalization
    LogSoftmax MatMul MatMulInteger Mul Pad RNN Range ReduceMean ReduceSum Relu Reshape Shape Sigmoid Sin Softmax
    Split Squeeze Sub Tanh Transpose Unsqueeze
"""
_OPERATIONS = {
    "": frozenset(_COMMON.split()),
    "com.microsoft": frozenset({"DynamicQuantizeLSTM", "MultiHeadAttention", "RotaryEmbedding"}),
}
"""Those that may be in a graph, by their domains."""

_MOST_NODES = 10_000
_MOST_BYTES_INSIDE = 1 << 20  # constants such as axes; weights are outside
_ITEM_BYTES = {1: 4, 3: 1, 7: 8}  # of float32, int8 and int64 by their numbers in ONNX

# Numbers of the fields of ONNX's messages (onnx.proto) that ours have.
_MODEL = {1: "ir_version", 2: "producer_name", 7: "graph", 8: "opset_import"}
_GRAPH = {1: "node", 2: "name", 5: "initializer", 11: "input", 12: "output"}
_NODE = {1: "input", 2: "output", 3: "name", 4: "op_type", 5: "attribute", 7: "domain"}
_ATTRIBUTE = {1: "name", 2: "f", 3: "i", 4: "s", 8: "ints", 20: "type"}
_TENSOR = {1: "dims", 2: "data_type", 8: "name", 9: "raw_data", 13: "external_data", 14: "data_location"}
_ENTRY = {1: "key", 2: "value"}


def check_graph(model: bytes, weights: str, weights_bytes: int) -> None:
    """Refuse a graph that is not of our kind.

    Args:
        model: a serialised `ModelProto`.
        weights: the name of the one file that its weights may be in.
        weights_bytes: the size of that file.

    Raises:
        ValueError: it is not; the message says why.
    """
    nodes, inside, outside = 0, 0, 0
    for graph in _parts(model, _MODEL, "graph"):
        for name, part in _named(graph, _GRAPH):
            if isinstance(part, int):
                raise ValueError("a graph has a number where a part of it should be")
            if name == "node":
                nodes += 1
                _check_node(part)
            elif name == "initializer":
                size, is_outside = _check_tensor(part, weights, weights_bytes)
                outside += size * is_outside
                inside += size * (not is_outside)
    if not 0 < nodes <= _MOST_NODES:
        raise ValueError(f"a graph has {nodes:,} operations")
    if inside > _MOST_BYTES_INSIDE or outside > weights_bytes:
        raise ValueError("a graph has more weights than there are")


def _check_node(node: bytes) -> None:
    domain = operation = ""  # of several the last counts, as everywhere in Protocol Buffers
    for name, value in _named(node, _NODE):
        if isinstance(value, int):
            raise ValueError("a graph has a number where a part of it should be")
        if name == "domain":
            domain = value.decode("utf-8", "replace")
        elif name == "op_type":
            operation = value.decode("utf-8", "replace")
        elif name == "attribute":
            for _ in _named(value, _ATTRIBUTE):
                pass
    if operation not in _OPERATIONS.get(domain, ()):
        raise ValueError(f"a graph has the operation {f'{domain} {operation}'.strip()[:40]!r}")


def _check_tensor(tensor: bytes, weights: str, weights_bytes: int) -> tuple[int, bool]:
    """How many bytes it has, and whether they are in the file of weights."""
    found = list(_named(tensor, _TENSOR))
    dims = [value for name, value in found if name == "dims"]
    kinds = [value for name, value in found if name == "data_type"]
    if len(kinds) != 1 or kinds[0] not in _ITEM_BYTES or not all(isinstance(size, int) for size in dims):
        raise ValueError("a graph has weights of another kind")
    size = math.prod(size for size in dims if isinstance(size, int)) * _ITEM_BYTES[int(kinds[0])]
    entries = [value for name, value in found if name == "external_data"]
    if not entries:
        held = [value for name, value in found if name == "raw_data" and isinstance(value, bytes)]
        if (
            len(held) > 1
            or sum(map(len, held)) != size
            or any(name == "data_location" and value for name, value in found)
        ):
            raise ValueError("a graph has a constant of another size than it says")
        return size, False
    told = dict(_entry(value) for value in entries)
    begin, length = _number(told, "offset"), _number(told, "length")
    if len(told) != len(entries) or told.keys() != {"location", "offset", "length"} or told["location"] != weights:
        raise ValueError(f"a graph has weights in another file than {weights}")
    if length != size or begin + length > weights_bytes or any(name == "raw_data" for name, _ in found):
        raise ValueError(f"a graph has weights that are not in {weights}")
    return size, True


def _entry(entry: int | bytes) -> tuple[str, str]:
    told = {name: value for name, value in _named(entry, _ENTRY)}
    key, value = told.get("key"), told.get("value")
    if not isinstance(key, bytes) or not isinstance(value, bytes):
        raise ValueError("a graph does not say where its weights are")
    return key.decode("utf-8", "replace"), value.decode("utf-8", "replace")


def _number(told: dict[str, str], key: str) -> int:
    value = told.get(key, "")
    if not (value.isascii() and value.isdigit() and len(value) < 20):
        raise ValueError("a graph does not say where its weights are")
    return int(value)


def _parts(message: bytes, names: dict[int, str], wanted: str) -> Iterator[bytes]:
    """The messages in a field, which may be there several times."""
    for name, value in _named(message, names):
        if name == wanted:
            if isinstance(value, int):
                raise ValueError("a graph has a number where a part of it should be")
            yield value


def _named(message: int | bytes, names: dict[int, str]) -> Iterator[tuple[str, int | bytes]]:
    """The fields of a message by their names; others than those are refused."""
    if isinstance(message, int):
        raise ValueError("a graph has a number where a part of it should be")
    for number, value in fields(message):
        if number not in names:
            raise ValueError(f"a graph has a part that ours do not have ({number})")
        yield names[number], value
