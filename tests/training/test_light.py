"""Preparing exports does without TensorFlow, which would cost more memory than all the rest; and what cannot do without
the extra says so."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIGHT = """
import sys
from training.__main__ import _CLUSTER, _EXTRA, main

MISSING = _EXTRA

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in MISSING:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.partition(".")[0])

sys.meta_path.insert(0, Missing())
main()
"""
"""`chinwag-train` where the extra is not installed."""


def test_preparing_does_not_load_tensorflow(corpus: Path, tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from training.__main__ import app\n"
        f"app(['prepare', {str(corpus)!r}, '--out', {str(tmp_path / 'd')!r}], standalone_mode=False)\n"
        "print('heavy:', sorted({'tensorflow', 'keras', 'discord'} & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("heavy: []\n")


@pytest.mark.parametrize(
    "command",
    ["retrain LOGS", "prepare LOGS --out D", "train D", "evaluate D", "canaries F", "links LOGS", "tune D", "pretrain"],
)
def test_each_command_says_that_it_needs_the_extra(command: str, tmp_path: Path) -> None:
    place = ["--out", str(tmp_path / "new" / "model")] if command == "pretrain" else []
    program = [sys.executable, "-c", LIGHT, *command.split(), *place]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(program, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    sentence = r"Training needs \w+: install Chinwag with its extra, pip install -e '\.\[train\]'\.\n"
    assert re.fullmatch(sentence, done.stderr), done.stderr
    assert not list(tmp_path.rglob("*.*"))


def test_sharing_the_work_says_that_it_needs_the_extra(corpus: Path, tmp_path: Path) -> None:
    light = LIGHT.replace("MISSING = _EXTRA", "MISSING = _CLUSTER")
    program = [sys.executable, "-c", light, "prepare", str(corpus), "--out", "d", "--ray", "auto"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(program, cwd=tmp_path, env=environment, capture_output=True, text=True)
    sentence = "Several machines need ray: install Chinwag with its extras, pip install -e '.[train,cluster]'.\n"
    assert (done.returncode, done.stderr) == (1, sentence)
    assert not list(tmp_path.iterdir())


def test_what_people_wrote_is_printed_whatever_the_system_speaks() -> None:
    program = "from training import __main__ as module; module.app = lambda: print('wie schön 👍'); module.main()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
    assert done.stdout.decode("utf-8").strip() == "wie schön 👍"
