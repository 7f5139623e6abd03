"""What is said of failures, and told to programs."""

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from model.bundle import ModelFormatError
from training.failure import OUT_OF_MEMORY, explain
from training.progress import tell, told


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ModelFormatError("No model; train one."), "No model; train one."),
        (MemoryError(), OUT_OF_MEMORY),
        (type("ResourceExhaustedError", (Exception,), {})("OOM when allocating tensor"), OUT_OF_MEMORY),
        (ImportError("libtensorflow_cc.so.2: failed to map segment from shared object"), OUT_OF_MEMORY),
        (
            OSError(errno.ENOSPC, "No space left on device", "/data/x"),
            "/data/x cannot be written (No space left on device): make room there, and give the same command again.",
        ),
        (
            OSError(errno.EDQUOT, "Disk quota exceeded"),
            "A file cannot be written (Disk quota exceeded): make room there, and give the same command again.",
        ),
    ],
)
def test_what_is_no_fault_of_the_program_is_one_sentence(error: Exception, sentence: str) -> None:
    assert explain(error) == sentence


@pytest.mark.parametrize(
    "error", [RuntimeError("a bug"), ImportError("x"), OSError(errno.EBADF, "Bad file"), KeyError()]
)
def test_a_fault_of_the_program_is_not_explained_away(error: Exception) -> None:
    assert explain(error) is None


@pytest.mark.parametrize(
    ("error", "sentence"), [(MemoryError(), OUT_OF_MEMORY), (RuntimeError(), "It ended early (RuntimeError).")]
)
def test_programs_are_told_the_same(tmp_path: Path, error: Exception, sentence: str) -> None:
    with pytest.raises(type(error)), told(tmp_path / "progress.json"):
        raise error
    found = json.loads((tmp_path / "progress.json").read_text(encoding="utf-8"))
    assert (found["state"], found["error"]) == ("failed", sentence)


def test_where_there_is_no_room_to_tell_anything_work_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any, **options: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with told(tmp_path / "progress.json"):
        tell(state="working", done=1)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_text", full)
            tell(state="working", done=2)
        found = json.loads((tmp_path / "progress.json").read_text(encoding="utf-8"))
        assert found["done"] == 1
        tell(state="done")
    assert json.loads((tmp_path / "progress.json").read_text(encoding="utf-8"))["state"] == "done"
