"""One process at a time in a folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from model.lock import LOCK, LockedError, is_locked, locked

_HOLD = """
import sys, time
from pathlib import Path
from model.lock import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_folder_that_is_locked_is_refused_in_a_plain_sentence(tmp_path: Path) -> None:
    with (
        locked(tmp_path),
        pytest.raises(LockedError, match=r"^Another process is at work in .*: wait for it, or end it\.$"),
        locked(tmp_path),
    ):
        pass


def test_the_lock_ends_with_the_block_however_that_ends(tmp_path: Path) -> None:
    with pytest.raises(KeyError), locked(tmp_path):
        raise KeyError
    with locked(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [LOCK]


def test_other_folders_are_not_locked(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with locked(tmp_path), locked(tmp_path / "other"):
        pass


def test_another_process_is_kept_out_until_it_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _HOLD, tmp_path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(LockedError), locked(tmp_path):
            pass
        process.kill()
    with locked(tmp_path):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
def test_a_folder_on_a_full_disk_can_be_locked(tmp_path: Path) -> None:
    full = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
    with subprocess.Popen([sys.executable, "-c", full + _HOLD, tmp_path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(LockedError, match="Another process"), locked(tmp_path):
            pass
        process.kill()
    with locked(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [LOCK]


def test_a_lock_that_cannot_be_written_is_not_taken_for_another_process(tmp_path: Path) -> None:
    (tmp_path / LOCK).mkdir()
    with pytest.raises(LockedError, match=r"\.lock cannot be written"), locked(tmp_path):
        pass


def test_a_lock_file_that_is_no_lock_is_not_taken_for_another_process(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_bytes(b"what somebody else calls so" * 100)
    with pytest.raises(LockedError, match=r"\.lock cannot be written"), locked(tmp_path):
        pass


def test_a_look_tells_whether_a_folder_is_locked_and_leaves_it_alone(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    assert not (tmp_path / LOCK).exists()
    with locked(tmp_path):
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)
    with locked(tmp_path):
        pass
