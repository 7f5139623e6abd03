"""The bundle: a directory with all that answers need, and the models folder whose `current` names the live one.

    models/
      current            a link to the live bundle (a plain file with its name where links are not to be had)
      20261125-150000/   bundle.json, tokenizer.model, weights.safetensors, encoder.onnx, decoder.onnx, copies.npz

There may be a `training.safetensors` too. Nothing in a bundle is code, and `bundle.json` lists size and hash of every
other file. Hashes tell damage, not malice: a bundle may be a stranger's. So files are plain ones of bounded size, and
who reads one sees that it is what training writes before any memory is taken for it (`model.graph`, `model.copies`).
"""

import errno
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from model import ChinwagError
from model.lock import locked
from model.replacing import replace

PRETRAINED = Path(__file__).parent / "pretrained"
"""The shipped bundle: what answers where nothing has been trained."""

FORMAT = 4
HEAD, CURRENT = "bundle.json", "current"
TOKENIZER, WEIGHTS, ENCODER, DECODER = "tokenizer.model", "weights.safetensors", "encoder.onnx", "decoder.onnx"
TRAINING = "training.safetensors"
"""The weights in half precision, for training to go on from: a bundle may have them, the bot does without."""
COPIES = "copies.npz"
"""The index of what single people said in the data that the network has learned from (see `model.copies`)."""
SCRATCH = ".retrain"
"""Beside the bundles: the chat and the network of a training that was ended, from which the next one goes on."""

FILES = (TOKENIZER, WEIGHTS, ENCODER, DECODER, COPIES)

_IS_WINDOWS = os.name == "nt"
_STAGING = ".new"
"""In the models folder: what is locked by who makes a model, and what it is made in."""

_MOST_TOKENS = 4096
_MOST_BYTES = {
    **{HEAD: 1 << 22, TOKENIZER: 1 << 24, ENCODER: 1 << 22, DECODER: 1 << 22},
    **{COPIES: 1 << 29, WEIGHTS: 1 << 31, TRAINING: 1 << 32},
}
_REMEDY = "train it again with `chinwag-train retrain`, or go back to another one in its models folder"


class ModelFormatError(ChinwagError):
    """A bundle cannot be used or written; the message says why and what to do, in one sentence."""


class ModelVersionError(ModelFormatError):
    """A bundle is of another version of Chinwag."""


@dataclass(frozen=True, kw_only=True)
class BundleFacts:
    """What a bundle says of itself.

    Attributes:
        preset: the name of the network's preset.
        network: the fields of its `Seq2SeqConfig`.
        max_context_tokens, max_reply_tokens: the lengths it was trained on.
        training: what it was trained on and what was measured: counts, hashes and dates, never who.
    """

    preset: str
    network: dict[str, Any]
    max_context_tokens: int
    max_reply_tokens: int
    training: dict[str, Any]

    def __post_init__(self) -> None:
        for name in ("max_context_tokens", "max_reply_tokens"):
            value = getattr(self, name)
            if not isinstance(value, int) or not 1 <= value <= _MOST_TOKENS:
                raise ValueError(f"{name} must be from 1 to {_MOST_TOKENS}, not {value!r}")
        for name, kind in (("preset", str), ("network", dict), ("training", dict)):
            if not isinstance(getattr(self, name), kind):
                raise ValueError(f"{name} must be a {kind.__name__}")
        figures = self.training.get("figures", {"bits_per_byte": 0.0})
        if not isinstance(figures, dict) or not isinstance(figures.get("bits_per_byte"), float):
            raise ValueError("figures must hold bits_per_byte")


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files are whole."""

    directory: Path
    facts: BundleFacts

    @classmethod
    def open(cls, directory: Path, *, training: bool = False) -> "Bundle":
        """Check a bundle's version and files.

        Args:
            directory: where it is.
            training: whether training goes on from it: `TRAINING` is checked too, where it has not been left out.

        Raises:
            ModelFormatError: it is missing or damaged.
            ModelVersionError: it is of another version.
        """
        try:
            facts, files = parse_head(_plain(directory / HEAD).read_text(encoding="utf-8"), str(directory))
            for name in _files(directory) if training else FILES:
                if _fingerprint(_plain(directory / name)) != files[name]:
                    raise ModelFormatError(f"The model file {directory / name} is damaged: {_REMEDY}.")
        except FileNotFoundError as error:
            raise ModelFormatError(f"The model file {error.filename} is missing: {_REMEDY}.") from error
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise ModelFormatError(f"The model in {directory} is damaged ({HEAD}: {error}): {_REMEDY}.") from error
        return cls(directory, facts)


def parse_head(head: str, place: str) -> tuple[BundleFacts, dict[str, Any]]:
    """Read the head of a bundle.

    Args:
        head: the content of `HEAD`.
        place: where the bundle is, for the user.

    Returns:
        What it says of itself, and size and hash of each file.

    Raises:
        ModelVersionError: it is of another version.
        ValueError, TypeError, KeyError: it is damaged.
    """
    read = json.loads(head)
    version = read["format"]
    if version != FORMAT:
        age, remedy = ("an older", _REMEDY) if version < FORMAT else ("a newer", f"update Chinwag, {_REMEDY}")
        raise ModelVersionError(
            f"The model in {place} was made by {age} Chinwag (it has format {version}, not {FORMAT}): {remedy}."
        )
    return BundleFacts(**read["facts"]), read["files"]


def live_bundle(models: Path) -> Path:
    """The directory of the live bundle of a models folder, or the shipped one if nothing has been published there.

    Raises:
        ModelFormatError: `current` names no bundle.
    """
    current = models / CURRENT
    if not current.is_symlink() and not current.exists():
        return PRETRAINED
    try:
        named = os.readlink(current) if current.is_symlink() else current.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise ModelFormatError(f"{current} cannot be read ({error}): {_REMEDY}.") from error
    if not _is_name(named) or not os.path.isdir(models / named):
        raise ModelFormatError(f"{current} names {named!r}, which is no model in {models}: {_REMEDY}.")
    return models / named


def bundles(models: Path) -> list[Path]:
    """The directories of all bundles of a models folder, the oldest first; they may be damaged."""
    return sorted(path.parent for path in models.glob(f"[0-9]*/{HEAD}"))


def make_live(models: Path, name: str | None) -> None:
    """Make a bundle of a models folder the live one; None for the shipped one.

    Raises:
        ModelFormatError: it is missing or damaged, or the folder cannot be written; what was live still is.
    """
    if name is not None and not _is_name(name):
        raise ModelFormatError(f"{name!r} is no model in {models}: {_REMEDY}.")
    with writing(models):
        if name is None:
            (models / CURRENT).unlink(missing_ok=True)
        else:
            Bundle.open(models / name)
            _point(models / CURRENT, name)


def report_of(bundle: Path) -> Path:
    """Where the page about the training of a bundle is, if there is one."""
    return bundle.with_name(f"{bundle.name}.html")


def remove(bundle: Path) -> None:
    """Delete a bundle and the page about its training; the live one must not be.

    Raises:
        ModelFormatError: it cannot be deleted.
    """
    hidden = bundle.with_name(f".{bundle.name}")
    with writing(bundle.parent):
        shutil.rmtree(hidden, ignore_errors=True)
        bundle.rename(hidden)  # at once: a bundle of which a part is missing is none that anybody should see
        report_of(bundle).unlink(missing_ok=True)
    shutil.rmtree(hidden, ignore_errors=True)


@contextmanager
def staging(models: Path) -> Iterator[Path]:
    """A new directory in a models folder to write a bundle's files into; it is gone afterwards unless published.

    One process has it at a time. What others left that were killed is deleted first.

    Raises:
        ModelFormatError: the folder cannot be written.
        LockedError: another process makes a model in this folder.
    """
    folder = models / _STAGING
    staged = folder / "bundle"
    with writing(models):
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        try:
            with writing(models):
                for left in (*models.glob(".[0-9]*"), *models.glob(f".{CURRENT}.*"), staged):
                    _discard(left)
                staged.mkdir()
            yield staged
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _discard(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def publish(staged: Path, facts: BundleFacts) -> Path:
    """Make a staged directory that holds `FILES` the live bundle of its models folder, all at once.

    Returns:
        Where the bundle is now; its name is the time, so that names sort by age.

    Raises:
        ModelFormatError: it cannot be written; the bundle that was live still is.
    """
    target = keep(staged, facts)
    with writing(target.parent):
        _point(target.with_name(CURRENT), target.name)
    return target


def keep(staged: Path, facts: BundleFacts) -> Path:
    """Make a staged directory a bundle of its models folder, as `publish` does, but leave the live one live."""
    models = staged.parent.parent
    with writing(models):
        seal(staged, facts)
        staged.chmod(0o755)  # whoever runs the bot may not be whoever trained it
        target = _free_name(models)
        staged.rename(target)
        _sync(models)  # before `current` names it
    return target


def adopt(staged: Path, name: str, *, training: bool = False) -> None:
    """Make a staged directory that was a bundle elsewhere, head and all, the live one of its models folder.

    Args:
        staged: the directory.
        name: of the bundle.
        training: as for `Bundle.open`.

    Raises:
        ModelFormatError: it is damaged, or cannot be written; the bundle that was live still is.
    """
    Bundle.open(staged, training=training)
    models = staged.parent.parent
    if not _is_name(name):
        raise ModelFormatError(f"{name!r} is no name of a model: {_REMEDY}.")
    with writing(models):
        _settle(staged)
        staged.chmod(0o755)
        shutil.rmtree(models / name, ignore_errors=True)  # one that was damaged, or without its weights for training
        staged.rename(models / name)
        _sync(models)  # before `current` names it
        _point(models / CURRENT, name)


@contextmanager
def writing(models: Path) -> Iterator[None]:
    """Turn what keeps files of a model from being written into one sentence.

    Raises:
        ModelFormatError: the disk is full, or the folder cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise ModelFormatError(
            f"The model cannot be written to {models} ({error.strerror}): make room there, or choose another folder."
        ) from error


def seal(directory: Path, facts: BundleFacts) -> None:
    """Write the head of a bundle over its finished files, and see that all of it is on disk."""
    head = {
        "format": FORMAT,
        "facts": asdict(facts),
        "files": {name: _fingerprint(directory / name) for name in _files(directory)},
    }
    (directory / HEAD).write_text(json.dumps(head, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    _settle(directory)


def _settle(directory: Path) -> None:
    """See that finished files are on disk, and can be read by whoever runs the bot."""
    for path in directory.iterdir():
        path.chmod(0o644)
        _sync(path)
    _sync(directory)


def _files(directory: Path) -> tuple[str, ...]:
    return (*FILES, TRAINING) if (directory / TRAINING).exists() else FILES


def _is_name(name: str) -> bool:
    """Whether it can be a bundle's in a models folder, and leads nowhere else."""
    return name[:1] not in ("", ".") and Path(name).name == name


def _plain(path: Path) -> Path:
    """The path of a file that can be read to its end: no link, no device, and no larger than any of ours."""
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise ModelFormatError(f"The model file {path} is no plain file: {_REMEDY}.")
    if status.st_size > _MOST_BYTES[path.name]:
        raise ModelFormatError(f"The model file {path} has {status.st_size:,} bytes, more than any model: {_REMEDY}.")
    return path


def _fingerprint(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _free_name(models: Path) -> Path:
    stem = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    names = (stem if not number else f"{stem}-{number}" for number in range(1000))
    return next(models / name for name in names if not (models / name).exists())


def _point(current: Path, name: str) -> None:
    """Replace what `current` names in one step: a reader sees the old name or the new one."""
    temporary = current.with_name(f".{CURRENT}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        if _IS_WINDOWS:  # a link to a folder is a folder there, which no file can replace
            raise NotImplementedError
        temporary.symlink_to(name, target_is_directory=True)
    except (OSError, NotImplementedError):  # FAT, some network shares
        temporary.write_text(name + "\n", encoding="utf-8")
        _sync(temporary)
    try:
        replace(temporary, current)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _sync(path: Path) -> None:
    directory = path.is_dir()
    if directory and _IS_WINDOWS:  # Windows syncs no directories, and needs not
        return
    descriptor = os.open(path, os.O_RDONLY if directory else os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not (directory and error.errno == errno.EINVAL):  # nor do some network shares
            raise
    finally:
        os.close(descriptor)
