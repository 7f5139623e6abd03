"""Bundles of strangers, whose hashes fit: nothing of them runs, and what takes memory is checked before."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from model.bundle import (
    COPIES,
    DECODER,
    ENCODER,
    HEAD,
    TOKENIZER,
    WEIGHTS,
    Bundle,
    BundleFacts,
    ModelFormatError,
    make_live,
    seal,
)
from model.chatbot import ChatBot
from model.graph import check_graph

WEIGHTS_BYTES = 1000
Change = Callable[[onnx.ModelProto], object]


@pytest.fixture
def stranger(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "20260101-000000"))


def refuse(directory: Path, why: str = "cannot be loaded") -> None:
    """Seal it as its maker would; it is refused all the same."""
    vouch_for(directory)
    with pytest.raises(ModelFormatError, match=why):
        ChatBot.load(directory)


def vouch_for(directory: Path) -> None:
    seal(directory, BundleFacts(**head_of(directory)["facts"]))


def head_of(directory: Path) -> dict[str, Any]:
    return dict(json.loads((directory / HEAD).read_text(encoding="utf-8")))


def graph(*nodes: onnx.NodeProto, initializers: tuple[TensorProto, ...] = ()) -> onnx.ModelProto:
    inputs = [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "time"])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    made = helper.make_graph(
        nodes or [helper.make_node("Identity", ["ids"], ["y"])], "g", inputs, outputs, initializers
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(made, opset_imports=opsets, ir_version=9, producer_name="chinwag")


def outside(
    location: str = WEIGHTS, offset: object = 0, length: object = 4, size: int = 1, kind: int = 1
) -> TensorProto:
    tensor = TensorProto(name="w", data_type=kind, dims=[size], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def inside(size: int, content: bytes) -> TensorProto:
    return TensorProto(name="w", data_type=1, dims=[size], raw_data=content)


def told_twice() -> TensorProto:
    tensor = outside()
    tensor.external_data.add(key="location", value="../x")
    return tensor


def test_a_graph_of_our_kind_passes() -> None:
    check_graph(graph().SerializeToString(), WEIGHTS, WEIGHTS_BYTES)
    check_graph(graph(initializers=(outside(), inside(1, b"1234"))).SerializeToString(), WEIGHTS, WEIGHTS_BYTES)


@pytest.mark.parametrize(
    ("tensor", "why"),
    [
        (outside("../../etc/passwd"), "in another file"),
        (outside("/etc/passwd"), "in another file"),
        (outside("other.safetensors"), "in another file"),
        (told_twice(), "in another file"),
        (outside(offset=-1), "does not say where"),
        (outside(offset="9" * 30), "does not say where"),
        (outside(offset=WEIGHTS_BYTES - 3), "not in weights.safetensors"),
        (outside(length=WEIGHTS_BYTES), "not in weights.safetensors"),
        (outside(size=1 << 40, length=1 << 42), "not in weights.safetensors"),
        (outside(size=-1, length=4), "not in weights.safetensors"),
        (outside(kind=TensorProto.STRING), "of another kind"),
        (inside(1 << 40, b""), "of another size"),
        (inside(1 << 19, bytes(1 << 21)), "more weights than there are"),
    ],
)
def test_weights_are_in_their_file_and_nowhere_else(tensor: TensorProto, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check_graph(graph(initializers=(tensor,)).SerializeToString(), WEIGHTS, WEIGHTS_BYTES)


def test_one_weight_is_not_many() -> None:
    many = tuple(outside(size=250, length=1000) for _ in range(3))
    with pytest.raises(ValueError, match="more weights than there are"):
        check_graph(graph(initializers=many).SerializeToString(), WEIGHTS, WEIGHTS_BYTES)


def loop() -> onnx.NodeProto:
    body = graph().graph
    return helper.make_node("Loop", ["ids"], ["y"], body=body)


def hidden_graph() -> onnx.NodeProto:
    node = helper.make_node("Identity", ["ids"], ["y"])
    node.attribute.add(name="body", type=onnx.AttributeProto.GRAPH).g.CopyFrom(graph().graph)
    return node


@pytest.mark.parametrize(
    ("node", "why"),
    [
        (loop(), "a part that ours do not have"),
        (hidden_graph(), "a part that ours do not have"),
        (helper.make_node("If", ["ids"], ["y"]), "the operation 'If'"),
        (helper.make_node("Scan", ["ids"], ["y"]), "the operation 'Scan'"),
        (helper.make_node("Identity", ["ids"], ["y"], domain="evil"), "the operation 'evil Identity'"),
        (helper.make_node("PyOp", ["ids"], ["y"], domain="ai.onnx.contrib"), "the operation 'ai.onnx.contrib PyOp'"),
        (helper.make_node("Tile", ["ids", "ids"], ["y"]), "the operation 'Tile'"),
        (helper.make_node("MultiHeadAttention", ["ids"], ["y"]), "the operation 'MultiHeadAttention'"),
    ],
)
def test_only_our_operations_are_in_a_graph(node: onnx.NodeProto, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check_graph(graph(node).SerializeToString(), WEIGHTS, WEIGHTS_BYTES)


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.functions.add(name="f", domain="d"),
        lambda model: model.training_info.add(),
        lambda model: model.graph.sparse_initializer.add(),
        lambda model: model.graph.node.extend([model.graph.node[0]] * 10_001),
        lambda model: model.graph.ClearField("node"),
    ],
)
def test_a_graph_has_no_other_parts(change: Change) -> None:
    model = graph()
    change(model)
    with pytest.raises(ValueError, match=r"a part that ours do not have|operations"):
        check_graph(model.SerializeToString(), WEIGHTS, WEIGHTS_BYTES)


def test_a_second_graph_in_a_file_is_looked_at_too() -> None:
    """Readers of Protocol Buffers put both together."""
    evil = onnx.ModelProto(graph=graph(helper.make_node("Loop", ["ids"], ["y"])).graph)
    with pytest.raises(ValueError, match="Loop"):
        check_graph(graph().SerializeToString() + evil.SerializeToString(), WEIGHTS, WEIGHTS_BYTES)


def test_a_graph_that_breaks_off_is_an_error_or_a_shorter_one() -> None:
    whole = graph(initializers=(outside(), inside(1, b"1234"))).SerializeToString()
    refused = 0
    for cut in range(1, len(whole) + 1):
        try:
            check_graph(whole[:-cut], WEIGHTS, WEIGHTS_BYTES)
        except ValueError:
            refused += 1
    assert refused > 0.9 * len(whole)


def swelling(*, constant: bool) -> onnx.ModelProto:
    """Doubles what it has 28 times: what depends on weights alone when it is loaded, else at the first answer."""
    begin = "w" if constant else "f"
    nodes = [helper.make_node("Cast", ["ids"], ["f"], to=1)]
    nodes += [helper.make_node("Concat", [name] * 2, [f"c{place}"], axis=0) for place, name in _chain(begin)]
    nodes += [helper.make_node("ReduceSum", ["c27"], ["r"], keepdims=0), helper.make_node("Add", ["f", "r"], ["y"])]
    weights = (inside(64, bytes(256)),) if constant else ()
    return graph(*nodes, initializers=weights)


def _chain(begin: str) -> list[tuple[int, str]]:
    return [(place, begin if not place else f"c{place - 1}") for place in range(28)]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how much memory a process has")
def test_the_bound_while_loading_is_gone_afterwards(stranger: Path) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    ChatBot.load(stranger)
    (stranger / ENCODER).write_bytes(graph().SerializeToString())
    refuse(stranger)
    assert resource.getrlimit(resource.RLIMIT_AS) == before


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how much memory a process has")
@pytest.mark.parametrize("constant", [True, False])
def test_a_graph_that_swells_is_refused_before_it_fills_the_memory(stranger: Path, constant: bool) -> None:
    onnx.save(swelling(constant=constant), stranger / ENCODER)
    vouch_for(stranger)
    program = (
        "import sys; from pathlib import Path; from model import inference; from model.chatbot import ChatBot\n"
        "inference._memory = lambda: 1 << 30\n"
        "try: ChatBot.load(Path(sys.argv[1]))\n"
        "except Exception as error: print(type(error).__name__)\n"
        "print(*[line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')])\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    run = subprocess.run([sys.executable, "-c", program, stranger], capture_output=True, text=True, env=environment)
    error, kibibytes = run.stdout.split()
    assert error == "ModelFormatError"
    assert int(kibibytes) < (300 if constant else 900) << 10


def test_a_graph_that_gives_something_else_is_refused(stranger: Path) -> None:
    shutil.copyfile(stranger / ENCODER, stranger / DECODER)
    refuse(stranger)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
@pytest.mark.parametrize("kind", ["link", "device", "pipe", "folder"])
@pytest.mark.parametrize("name", [HEAD, TOKENIZER, WEIGHTS, COPIES])
def test_what_is_no_plain_file_is_not_opened(stranger: Path, kind: str, name: str) -> None:
    path = stranger / name
    path.rename(stranger / "aside")
    match kind:
        case "link":
            path.symlink_to("aside")
        case "device":
            path.symlink_to("/dev/zero")
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
    with pytest.raises(ModelFormatError, match=f"{name} is no plain file"):
        Bundle.open(stranger)


@pytest.mark.parametrize("name", [HEAD, TOKENIZER, ENCODER, DECODER, COPIES, WEIGHTS])
def test_a_file_that_is_too_large_is_not_read(stranger: Path, name: str) -> None:
    os.truncate(stranger / name, (1 << 31) + 1)  # of holes: it takes no room
    with pytest.raises(ModelFormatError, match=r"2,147,483,649 bytes, more than any model"):
        Bundle.open(stranger)


@pytest.mark.parametrize("opening", ['{"a":', "["])
def test_a_head_of_any_depth_is_refused(stranger: Path, opening: str) -> None:
    (stranger / HEAD).write_text(opening * 100_000, encoding="utf-8")
    with pytest.raises(ModelFormatError, match="is damaged"):
        Bundle.open(stranger)


@pytest.mark.parametrize(
    "facts",
    [
        {"preset": ["base"]},
        {"network": []},
        {"training": None},
        {"training": {"figures": {"bits_per_byte": "low"}}},
        {"training": {"figures": []}},
        {"training": {"figures": {}}},
    ],
)
def test_facts_that_nobody_could_show_are_refused(stranger: Path, facts: dict[str, Any]) -> None:
    head = head_of(stranger)
    head["facts"] |= facts
    (stranger / HEAD).write_text(json.dumps(head), encoding="utf-8")
    with pytest.raises(ModelFormatError, match=next(iter(facts)) if "training" not in facts else "training|figures"):
        Bundle.open(stranger)


def test_an_index_of_copies_that_is_packed_is_not_unpacked(stranger: Path) -> None:
    with zipfile.ZipFile(stranger / COPIES, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("arr_0.npy", b"\x93NUMPY\x01\x00" + bytes(100 << 20))
    refuse(stranger)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999,), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (0,), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (8,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }",
        "__import__('os').system('true')",
        "(" * 9000,
    ],
)
def test_an_index_of_copies_that_lies_is_refused(stranger: Path, header: str) -> None:
    with zipfile.ZipFile(stranger / COPIES, "w") as archive:
        text = header.encode() + b"\n"
        content = b"" if "(0,)" in header else bytes(8)
        archive.writestr("arr_0.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content)
    refuse(stranger)


def test_an_index_of_copies_is_read_without_pickle(stranger: Path) -> None:
    np.savez(stranger / COPIES, np.array([{}], dtype=object))
    refuse(stranger)


def test_names_that_lead_out_of_the_folder_are_never_live(stranger: Path) -> None:
    models = stranger.parent / "models"
    models.mkdir()
    for name in (f"../{stranger.name}", str(stranger), "..", ""):
        with pytest.raises(ModelFormatError, match="is no model in"):
            make_live(models, name)
    assert not list(models.iterdir())
