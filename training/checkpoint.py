"""The file that a run goes on from after it was killed."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from model import ChinwagError

FORMAT = 1
"""Part of every fingerprint: a run of another format is another run."""

_NAME = "run.safetensors"

Array = npt.NDArray[Any]
Place = Path | str
"""A folder, or a URL of one in any store that fsspec knows."""


class CheckpointError(ChinwagError):
    """A checkpoint cannot be written; the message says why and what to do, in one sentence."""


@dataclass(frozen=True)
class Snapshot:
    """All that a run is at one step.

    Attributes:
        progress: what it has seen and measured; fit for JSON.
        arrays: its variables by name.
    """

    progress: dict[str, Any]
    arrays: dict[str, Array]


class Checkpoint:
    """A place with the last snapshot of a run, replaced as a whole: a kill at any time leaves the old or the new."""

    def __init__(self, place: Place, identity: str) -> None:
        """Args:
        place: of this run's own.
        identity: of the run (see `fingerprint`); a snapshot of another one is not taken.

        Raises:
            CheckpointError: there is no such place.
        """
        self._place, self._identity = place, identity
        self._store = _Folder(place) if isinstance(place, Path) else _store(place)

    def load(self) -> tuple[Snapshot | None, str]:
        """The last snapshot of this run, None if there is none to be had; and a sentence on which it is, or why not.

        Raises:
            CheckpointError: the store does not answer.
        """
        with self._store.read() as path:
            if path is None:
                return None, ""
            try:
                with safe_open(path, "numpy") as file:
                    about = file.metadata() or {}
                    if about.get("identity") != self._identity:
                        return None, f"The checkpoint in {self._place} is of another run: beginning anew."
                    snapshot = Snapshot(
                        json.loads(about["progress"]),
                        {name: file.get_tensor(name) for name in file.keys()},  # noqa: SIM118
                    )
            except (OSError, ValueError, KeyError, SafetensorError) as error:
                return None, f"The checkpoint in {self._place} is damaged ({error}): beginning anew."
        return snapshot, f"Going on from the checkpoint in {self._place}."

    def save(self, snapshot: Snapshot) -> None:
        """Replace the last snapshot.

        Raises:
            CheckpointError: the place cannot be written.
        """
        about = {"identity": self._identity, "progress": json.dumps(snapshot.progress)}
        try:
            with self._store.write() as path:
                save_file(snapshot.arrays, path, about)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"No checkpoint can be written to {self._place} ({error}): make room there."
            ) from error

    def delete(self) -> None:
        """Leave nothing of it, after the run."""
        self._store.delete()


class _Folder:
    """A folder of this machine, or one that it shares with others."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NAME

    @contextmanager
    def read(self) -> Iterator[Path | None]:
        """The file, None if there is none."""
        yield self._path if self._path.exists() else None

    @contextmanager
    def write(self) -> Iterator[Path]:
        """A file that is to be written, and then takes the place of the one before."""
        temporary = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, self._path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()  # half of it, where there is no room
            raise

    def delete(self) -> None:
        """Remove the file."""
        self._path.unlink(missing_ok=True)


class _Bucket:
    """A folder in a store, by fsspec. Each kind of store has errors of its own."""

    def __init__(self, url: str, files: Any, folder: str) -> None:
        self._url, self._files, self._path = url, files, f"{folder.rstrip('/')}/{_NAME}"

    @contextmanager
    def read(self) -> Iterator[Path | None]:
        """A copy of the file, None if there is none."""
        with tempfile.TemporaryDirectory() as folder:
            path: Path | None = Path(folder) / _NAME
            try:
                self._files.get_file(self._path, str(path))
            except FileNotFoundError:
                path = None
            except Exception as error:  # not to be taken for none: the run would begin anew
                raise CheckpointError(f"{self._url} cannot be read ({error}): see that it can be reached.") from error
            yield path

    @contextmanager
    def write(self) -> Iterator[Path]:
        """A file that is to be written, and then takes the place of the one before."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / _NAME
            yield path
            try:
                self._files.makedirs(self._path.rpartition("/")[0], exist_ok=True)
                self._files.put_file(str(path), f"{self._path}.new")
                self._files.mv(f"{self._path}.new", self._path)
            except Exception as error:
                raise CheckpointError(
                    f"No checkpoint can be written to {self._url} ({error}): see that it can be written."
                ) from error

    def delete(self) -> None:
        """Remove the file."""
        with suppress(Exception):  # a store that is away now is no reason to lose a model that is made
            self._files.rm_file(self._path)


def _store(url: str) -> _Folder | _Bucket:
    from fsspec.core import url_to_fs  # which is not installed where a folder is enough
    from fsspec.implementations.local import LocalFileSystem

    try:
        files, folder = url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise CheckpointError(f"{url} is no place for checkpoints ({error}): name another URL or a folder.") from error
    return _Folder(Path(folder)) if isinstance(files, LocalFileSystem) else _Bucket(url, files, folder)


def fingerprint(facts: Any, arrays: Iterable[Array]) -> str:
    """A name for a run: equal where its settings (fit for JSON), its data and its first weights are."""
    digest = hashlib.sha256(json.dumps([FORMAT, facts], sort_keys=True).encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.hexdigest()
