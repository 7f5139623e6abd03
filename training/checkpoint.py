"""The file that a run goes on from after it was killed."""

import hashlib
import json
import os
from collections.abc import Iterable
from contextlib import suppress
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
    """A folder with the last snapshot of a run, replaced as a whole: a kill at any time leaves the old or the new."""

    def __init__(self, folder: Path, identity: str) -> None:
        """Args: identity: of the run (see `fingerprint`); a snapshot of another one is not taken."""
        self._path = folder / _NAME
        self._identity = identity

    def load(self) -> tuple[Snapshot | None, str]:
        """The last snapshot of this run, None if there is none to be had; and a sentence on which it is, or why not."""
        if not self._path.exists():
            return None, ""
        try:
            with safe_open(self._path, "numpy") as file:
                about = file.metadata() or {}
                if about.get("identity") != self._identity:
                    return None, f"The checkpoint in {self._path.parent} is of another run: beginning anew."
                snapshot = Snapshot(
                    json.loads(about["progress"]),
                    {name: file.get_tensor(name) for name in file.keys()},  # noqa: SIM118
                )
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            return None, f"The checkpoint in {self._path.parent} is damaged ({error}): beginning anew."
        return snapshot, f"Going on from the checkpoint in {self._path.parent}."

    def save(self, snapshot: Snapshot) -> None:
        """Replace the last snapshot.

        Raises:
            CheckpointError: the folder cannot be written.
        """
        temporary = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            about = {"identity": self._identity, "progress": json.dumps(snapshot.progress)}
            save_file(snapshot.arrays, temporary, about)
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, self._path)
        except (OSError, SafetensorError) as error:
            with suppress(OSError):
                temporary.unlink()  # half of it, where there is no room
            raise CheckpointError(
                f"No checkpoint can be written to {self._path.parent} ({error}): make room there."
            ) from error


def fingerprint(facts: Any, arrays: Iterable[Array]) -> str:
    """A name for a run: equal where its settings (fit for JSON), its data and its first weights are."""
    digest = hashlib.sha256(json.dumps([FORMAT, facts], sort_keys=True).encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.hexdigest()
