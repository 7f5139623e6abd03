"""Chat exports in, messages out. One file a format: a new one has `recognises` and `read` and a place in `_FORMATS`."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NoReturn, Protocol

from training.exports import discord_chat_exporter, normal_form
from training.exports.file import ExportFile, ReadNotes
from training.exports.message import GONE, ExportError, Message

__all__ = ["GONE", "ExportError", "Message", "ReadNotes", "read_exports"]

_KNOWN_FORMATS = "DiscordChatExporter's JSON (export with --format Json) or JSON Lines in Chinwag's normal form"
_PROGRESS_EVERY = 1000  # messages
_NAMED_FILES = 5


class _Format(Protocol):
    def recognises(self, head: bytes) -> bool: ...
    def read(self, export: ExportFile) -> Iterator[Message]: ...


# The first that recognises a file reads it.
_FORMATS: tuple[_Format, ...] = (normal_form, discord_chat_exporter)


def read_exports(paths: Iterable[Path], notes: ReadNotes) -> Iterator[Message]:
    """Read export files, and folders of them, in a fixed order.

    Args:
        paths: files in any known format, plain or gzip, whatever their names; folders are searched to the bottom.
        notes: filled while the messages are taken.

    Raises:
        ExportError: a path is missing, unreadable or no export; nothing has been read then. Also if the disk fails.
    """
    exports = [found for path in paths for found in _find(path, notes)]
    total = sum(path.stat().st_size for path, _ in exports)
    done = 0
    for path, format_ in exports:
        yield from _read(path, format_, notes, done, total)
        done += path.stat().st_size
    if notes.progress:
        notes.progress(total, total)


def _read(path: Path, format_: _Format, notes: ReadNotes, done: int, total: int) -> Iterator[Message]:
    try:
        export = ExportFile(path, notes)
        for count, message in enumerate(format_.read(export)):
            if count % _PROGRESS_EVERY == 0 and notes.progress:
                notes.progress(done + export.bytes_read(), total)
            yield message
    except OSError as error:
        raise ExportError(f"{path} cannot be read to its end ({error.strerror}): check the disk.") from error
    export.finish()
    notes.files += 1


def _find(path: Path, notes: ReadNotes) -> list[tuple[Path, _Format]]:
    """The exports that a path stands for, each with its format."""
    if path.is_dir():
        return _find_in_folder(path, notes)
    if not path.is_file():
        raise ExportError(f"There is no file or folder {path}: check the name.")
    export = _open(path, notes)
    if not export.head:
        raise ExportError(f"{path} is empty: export the channel again.")
    format_ = _recognise(export)
    if format_ is None:
        raise ExportError(f"{path} is no chat export that Chinwag knows: give it {_KNOWN_FORMATS}.")
    return [(path, format_)]


def _find_in_folder(folder: Path, notes: ReadNotes) -> list[tuple[Path, _Format]]:
    found: list[tuple[Path, _Format]] = []
    unknown: list[Path] = []
    for path in _files(folder):
        if format_ := _recognise(_open(path, notes)):
            found.append((path, format_))
        else:
            unknown.append(path)
    if not found:
        raise ExportError(f"The folder {folder} holds no chat export that Chinwag knows: give it {_KNOWN_FORMATS}.")
    if unknown:
        notes.skipped_files += len(unknown)
        named = ", ".join(str(path.relative_to(folder)) for path in unknown[:_NAMED_FILES])
        more = ", ..." if len(unknown) > _NAMED_FILES else ""
        notes.warnings.append(f"left out of {folder}, being no known export: {len(unknown):,} file(s) ({named}{more})")
    return found


def _files(folder: Path) -> Iterator[Path]:
    """All files under a folder, sorted, without hidden ones."""
    for parent, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = (Path(parent, name) for name in sorted(names) if not name.startswith("."))
        yield from filter(Path.is_file, paths)


def _open(path: Path, notes: ReadNotes) -> ExportFile:
    try:
        return ExportFile(path, notes)
    except OSError as error:
        _refuse(error)


def _refuse(error: OSError) -> NoReturn:
    raise ExportError(f"{error.filename} cannot be read ({error.strerror}): check its permissions.") from error


def _recognise(export: ExportFile) -> _Format | None:
    return next((format_ for format_ in _FORMATS if format_.recognises(export.head)), None)
