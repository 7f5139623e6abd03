"""A file takes the place of another, also where that must be waited for."""

import os
from pathlib import Path

import pytest

from model import replacing


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    new, old = tmp_path / "new", tmp_path / "old"
    new.write_text("new")
    old.write_text("old")
    return new, old


def refuse(monkeypatch: pytest.MonkeyPatch, times: float) -> list[Path]:
    """Let `os.replace` fail as on Windows while somebody reads; returns what it was asked for."""
    asked: list[Path] = []

    def replace(source: Path, target: Path, really: object = os.replace) -> None:
        asked.append(target)
        if len(asked) <= times:
            raise PermissionError(13, "Access is denied", str(target))
        assert callable(really)
        really(source, target)

    monkeypatch.setattr(os, "replace", replace)
    return asked


def test_windows_is_waited_for(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replacing, "_IS_WINDOWS", True)
    asked = refuse(monkeypatch, times=3)
    replacing.replace(*files)
    assert len(asked) == 4
    assert files[1].read_text() == "new"
    assert not files[0].exists()


def test_but_not_for_ever(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replacing, "_IS_WINDOWS", True)
    monkeypatch.setattr(replacing, "_PATIENCE", 0.05)
    refuse(monkeypatch, times=float("inf"))
    with pytest.raises(PermissionError):
        replacing.replace(*files)
    assert files[1].read_text() == "old"


def test_elsewhere_a_refusal_is_one(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replacing, "_IS_WINDOWS", False)
    asked = refuse(monkeypatch, times=1)
    with pytest.raises(PermissionError):
        replacing.replace(*files)
    assert len(asked) == 1
