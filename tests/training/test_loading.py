"""TensorFlow is loaded with our settings, a person's stand, and nothing is said."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from training.loading import SETTINGS, load_tensorflow

PROGRAM = """
import json, os, sys
from training.loading import SETTINGS, load_tensorflow
load_tensorflow()
print(json.dumps({"loaded": "tensorflow" in sys.modules, **{name: os.environ[name] for name in SETTINGS}}))
print("still heard", file=sys.stderr)
"""


def loaded(**environment: str) -> tuple[dict[str, Any], str]:
    clean = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=clean | environment, capture_output=True, text=True)
    return json.loads(done.stdout), done.stderr


def test_it_is_loaded_with_the_settings_and_without_a_word() -> None:
    values, said = loaded()
    assert values == {"loaded": True, **SETTINGS}
    assert said == "still heard\n"


def test_what_a_person_has_set_stands() -> None:
    values, _ = loaded(TF_ENABLE_ONEDNN_OPTS="0")
    assert values == {"loaded": True, **SETTINGS, "TF_ENABLE_ONEDNN_OPTS": "0"}


def test_where_it_is_loaded_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow  # noqa: F401

    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    load_tensorflow()
    assert not SETTINGS.keys() & os.environ.keys()
