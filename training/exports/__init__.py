"""Chat exports in, messages out.

One file a format: every module of this package with a `NAME`, `recognises` and `read` is one, and is found by itself.
"""

import importlib
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Protocol

from training.exports.columns import OUR_NAMES
from training.exports.file import ExportFile, Part
from training.exports.message import GONE, Channel, ExportError, Message
from training.exports.notes import ReadNotes, shown
from training.exports.search import Search

__all__ = ["GONE", "Channel", "Export", "ExportError", "Message", "Part", "ReadNotes", "find_exports", "read_exports"]

_UNKNOWN = "are in no known format"
_BROKEN = "cannot be unpacked"


class Format(Protocol):
    """What a module of this package offers.

    Optionally also `IS_LAST_RESORT = True`: the format is so loose that in a folder or an archive with a chat export
    it is not looked for; and `parts(export)`, which divides a big file into ranges that `read` can take one by one
    (`export.part`) and together give the same messages.
    """

    NAME: str

    def recognises(self, export: ExportFile) -> bool:
        """Whether the content, not the name, is of this format."""

    def read(self, export: ExportFile) -> Iterator[Message]:
        """Yield the messages in file order; what cannot be read is noted with the export."""


@dataclass(frozen=True, slots=True)
class Export:
    """An export that was found, or a part of one; can be sent to another process.

    Attributes:
        path: the file on disk.
        member: the name within a zip archive.
        format: the name of the module that reads it.
        size: bytes on disk of all of it.
        is_named: the user named this very file, or an archive with nothing else, rather than a folder with it.
        columns: see `ExportFile`.
        part: the range to read.
    """

    path: Path
    member: str | None
    format: str
    size: int
    is_named: bool
    columns: Mapping[str, str] = field(default_factory=dict)
    part: Part | None = None

    def open(self, notes: ReadNotes) -> ExportFile:
        """The file as its reader sees it. Raises ExportError if the disk fails."""
        try:
            return ExportFile(self.path, notes, member=self.member, part=self.part, columns=self.columns)
        except OSError as error:
            raise self._failure(error) from error

    def messages(self, file: ExportFile) -> Iterator[Message]:
        """Yield the messages of the opened file. Raises ExportError if the disk fails."""
        try:
            yield from formats()[self.format].read(file)
        except OSError as error:
            raise self._failure(error) from error
        file.finish()

    def _failure(self, error: OSError) -> ExportError:
        return ExportError(f"{shown(self.path)} cannot be read to its end ({error.strerror}): check the disk.")


@cache
def formats() -> dict[str, Format]:
    """All formats by the name of their module; those of last resort at the end."""
    modules = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    found = sorted((module for module in modules if hasattr(module, "recognises")), key=_is_last_resort)
    return {module.__name__.rpartition(".")[2]: module for module in found}


def find_exports(paths: Iterable[Path], notes: ReadNotes, *, columns: Mapping[str, str] | None = None) -> list[Export]:
    """Find the exports that paths stand for, in a fixed order; what is reached twice is found once.

    Args:
        paths: files in any known format, plain, gzip or zip, whatever their names; folders are searched to the bottom.
        notes: what is left out.
        columns: for tables: our names (`author`, `content`, ...) to the file's.

    Raises:
        ExportError: a path is missing, unreadable or no export, or there is no such column.
    """
    if unknown := sorted((columns or {}).keys() - set(OUR_NAMES)):
        raise ExportError(f"There is no column {shown(', '.join(unknown))}: Chinwag knows {', '.join(OUR_NAMES)}.")
    search = Search(notes, columns or {})
    found = [export for path in paths for export in _find(path, search)]
    notes.files += len(found)
    return found


def read_exports(
    paths: Iterable[Path], notes: ReadNotes, *, columns: Mapping[str, str] | None = None
) -> Iterator[Message]:
    """Yield the messages of all exports, one after the other. Raises ExportError as `find_exports` does."""
    for export in find_exports(paths, notes, columns=columns):
        yield from export.messages(export.open(notes))


def _find(path: Path, search: Search) -> list[Export]:
    """The exports that one path stands for; in a folder or archive those of last resort only if there are no others."""
    found: list[Export] = []
    loose: list[Export] = []
    repeated = search.repeated
    for file in search.files(path):
        format_ = _recognise(file)
        if is_named := file.path == path and file.member is None:
            _check_named(file, format_)
        if format_ is None:
            search.leave_out(file.member or file.path.name, _UNKNOWN if file.head or not file.damage else _BROKEN)
            continue
        export = Export(file.path, file.member, format_, file.size, is_named, file.columns)
        (loose if _is_last_resort(formats()[format_]) else found).append(export)
    if not found and not loose and search.repeated == repeated:
        left_out = search.left_out() or "no files at all"
        raise ExportError(f"{shown(path)} holds no chat export that Chinwag knows ({left_out}): give it {_known()}.")
    for export in loose if found else []:
        search.leave_out(export.member or export.path.name, _UNKNOWN)
    search.tell(path)
    exports = found or loose
    if len(exports) == 1 and exports[0].path == path:  # an archive of one chat, as WhatsApp makes them, is that chat
        return [replace(exports[0], is_named=True)]
    return exports


def _recognise(file: ExportFile) -> str | None:
    """The name of the format; None if it is none, or there is nothing in the file."""
    return next((name for name, format_ in formats().items() if file.head and format_.recognises(file)), None)


def _check_named(file: ExportFile, format_: str | None) -> None:
    """Raise ExportError unless a file that the user named is an export."""
    if not file.head:
        why = f"cannot be unpacked ({file.damage})" if file.damage else "is empty"
        raise ExportError(f"{file.name} {why}: export the channel again.")
    if format_ is None:
        raise ExportError(f"{file.name} is no chat export that Chinwag knows: give it {_known()}.")


def _is_last_resort(format_: object) -> bool:
    return getattr(format_, "IS_LAST_RESORT", False)


def _known() -> str:
    return ", ".join(format_.NAME for format_ in formats().values())
