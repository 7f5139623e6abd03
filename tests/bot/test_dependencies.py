"""What is installed: each dependency is used, each import is declared, and the constraints agree with both."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bot.doctor import _TRAINING
from training.__main__ import _CLUSTER, _EXTRA

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
BUILD = PROJECT["build-system"]["requires"]
LIGHT = PROJECT["project"]["dependencies"]
TRAIN, CLUSTER = (PROJECT["project"]["optional-dependencies"][extra] for extra in ("train", "cluster"))

OURS = {"bot", "model", "training"}
PART_OF = {"yarl": "aiohttp"}
"""What a dependency takes and gives, and so brings along."""
OF_TRAINING = {"keras", "onnx", "safetensors", "tensorflow"}
"""What is imported by those files of `model/` that only training imports."""
OF_DATABASE = {"psycopg"}
"""What is imported where a database is set."""
DATA = {"chitchat-dataset"}
"""What is read, not imported."""

PYTHONS = ["3.11", "3.12", "3.13"]
MACHINES = [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("win32", "AMD64")]
PIN = re.compile(
    r"([a-z0-9-]+)==(\S+)(?: ; (.*?))? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)    # via (.*)\n"
)


class Pin(NamedTuple):
    name: str
    version: str
    marker: str
    via: list[str]


def pins(file: str) -> list[Pin]:
    """What a file of constraints holds; each line of it belongs to a pin with hashes."""
    text = (ROOT / ".ci" / file).read_text(encoding="utf-8")
    assert not PIN.sub("", text)
    return [Pin(name, version, marker, via.split(", ")) for name, version, marker, _, via in PIN.findall(text)]


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(each).name) for each in requirements}


def imported(package: str) -> set[str]:
    """The distributions of all that a package of ours imports."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / package).rglob("*.py")]
    found = {name.split(".")[0] for tree in trees for name in modules(tree)} - OURS - sys.stdlib_module_names
    known = packages_distributions()
    found = {PART_OF.get(name) or known.get(name, [name])[0] for name in found}
    return {canonicalize_name(name).removesuffix("-cpu") for name in found}  # as TensorFlow's may be called


def modules(tree: ast.AST) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        yield from modules(node)


class TestDependencies:
    def test_of_the_bot_are_all_that_it_imports(self) -> None:
        assert imported("bot") | imported("model") - OF_TRAINING == names(LIGHT) | OF_DATABASE
        assert names(CLUSTER) >= OF_DATABASE

    def test_of_training_are_all_that_it_imports(self) -> None:
        assert imported("training") - names(LIGHT + CLUSTER) | OF_TRAINING | DATA == names(TRAIN) - {"tensorflow-cpu"}

    def test_of_several_machines_are_known_to_those_who_miss_them(self) -> None:
        assert imported("training") & names(CLUSTER) == _CLUSTER

    def test_of_training_are_known_to_those_who_miss_them(self) -> None:
        assert {canonicalize_name(name) for name in _TRAINING} == names(TRAIN) - {"tensorflow", "tensorflow-cpu"}
        assert {canonicalize_name(name) for name in _EXTRA} == names(TRAIN) - {"tensorflow-cpu"} - DATA

    def test_have_lowest_versions(self) -> None:
        for each in (*LIGHT, *TRAIN, *CLUSTER):
            assert {spec.operator for spec in Requirement(each).specifier} & {">=", "~="}, each


class TestConstraints:
    @pytest.mark.parametrize("python", PYTHONS)
    @pytest.mark.parametrize(("system", "machine"), MACHINES)
    @pytest.mark.parametrize(
        ("file", "wanted"), [("constraints.txt", LIGHT + BUILD), ("constraints-train.txt", LIGHT + TRAIN + BUILD)]
    )
    def test_hold_one_version_of_each_that_fits(
        self, file: str, wanted: list[str], system: str, machine: str, python: str
    ) -> None:
        there = {"sys_platform": system, "platform_machine": machine, "python_version": python}
        there["python_full_version"] = f"{python}.0"
        here = [pin for pin in pins(file) if not pin.marker or Marker(pin.marker).evaluate(there)]
        versions = {pin.name: pin.version for pin in here}
        assert len(versions) == len(here)
        for requirement in map(Requirement, wanted):
            if requirement.marker is None or requirement.marker.evaluate(there):
                name = canonicalize_name(requirement.name)
                assert requirement.specifier.contains(versions[name]), name

    @pytest.mark.parametrize(("file", "wanted"), [("constraints.txt", LIGHT), ("constraints-train.txt", LIGHT + TRAIN)])
    def test_hold_nothing_that_is_not_asked_for(self, file: str, wanted: list[str]) -> None:
        found = pins(file)
        assert {pin.name for pin in found if "chinwag (pyproject.toml)" in pin.via} == names(wanted)
        known = {pin.name for pin in found}
        askers = {asker for pin in found for asker in pin.via if not asker.startswith(("-", "chinwag"))}
        assert askers <= known

    def test_of_the_bot_are_among_those_of_training(self) -> None:
        light, train = ({pin[:2] for pin in pins(file)} for file in ("constraints.txt", "constraints-train.txt"))
        assert light < train
