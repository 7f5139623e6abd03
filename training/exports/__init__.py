"""Chat exports in, messages out.

One file a format: every module of this package with a `NAME`, `recognises` and `read` is one, and is found by itself.
"""

import importlib
import os
import pkgutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NoReturn, Protocol

from training.exports.file import ExportFile, Part, ReadNotes
from training.exports.message import GONE, Channel, ExportError, Message

__all__ = ["GONE", "Channel", "Export", "ExportError", "Message", "Part", "ReadNotes", "find_exports", "read_exports"]

_NAMED_FILES = 5
_MAX_MEMBERS = 1_000_000


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
        is_named: the user named this very file, rather than a folder or archive with it.
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
        return ExportError(f"{self.path} cannot be read to its end ({error.strerror}): check the disk.")


@cache
def formats() -> dict[str, Format]:
    """All formats by the name of their module; those of last resort at the end."""
    modules = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    found = sorted((module for module in modules if hasattr(module, "recognises")), key=_is_last_resort)
    return {module.__name__.rpartition(".")[2]: module for module in found}


def find_exports(paths: Iterable[Path], notes: ReadNotes, *, columns: Mapping[str, str] | None = None) -> list[Export]:
    """Find the exports that paths stand for, in a fixed order.

    Args:
        paths: files in any known format, plain, gzip or zip, whatever their names; folders are searched to the bottom.
        notes: what is left out.
        columns: for tables: our names (`author`, `content`, ...) to the file's.

    Raises:
        ExportError: a path is missing, unreadable or no export.
    """
    found: list[Export] = []
    for path in paths:
        if path.is_dir():
            found += _find_in_many(f"The folder {path}", list(_files(path, notes)), notes, columns)
        elif not path.is_file():
            raise ExportError(f"There is no file or folder {path}: check the name.")
        elif zipfile.is_zipfile(path):
            found += _find_in_many(f"The archive {path}", _members(path, notes), notes, columns)
        else:
            found.append(_find(path, notes, columns))
    notes.files += len(found)
    return found


def read_exports(
    paths: Iterable[Path], notes: ReadNotes, *, columns: Mapping[str, str] | None = None
) -> Iterator[Message]:
    """Yield the messages of all exports, one after the other. Raises ExportError as `find_exports` does."""
    for export in find_exports(paths, notes, columns=columns):
        yield from export.messages(export.open(notes))


def _find(path: Path, notes: ReadNotes, columns: Mapping[str, str] | None) -> Export:
    """The export that a named file is."""
    try:
        export = ExportFile(path, notes, columns=columns)
    except OSError as error:
        _refuse(error)
    if not export.head:
        raise ExportError(f"{path} is empty: export the channel again.")
    format_ = _recognise(export, last_resort=True)
    if format_ is None:
        raise ExportError(f"{path} is no chat export that Chinwag knows: give it {_known()}.")
    return Export(path, None, format_, path.stat().st_size, is_named=True, columns=export.columns)


def _find_in_many(
    holder: str, files: list[tuple[Path, str | None, int]], notes: ReadNotes, columns: Mapping[str, str] | None
) -> list[Export]:
    """The exports among the files of a folder or archive; the formats of last resort only if there are no others."""
    for last_resort in (False, True):
        found: list[Export] = []
        unknown: list[str] = []
        for path, member, size in files:
            export = _open(path, member, notes, columns)
            if export and (format_ := _recognise(export, last_resort)):
                found.append(Export(path, member, format_, size, is_named=False, columns=export.columns))
            else:
                unknown.append(member or path.name)
        if found:
            break
    else:
        raise ExportError(f"{holder} holds no chat export that Chinwag knows: give it {_known()}.")
    if unknown:
        notes.skipped_files += len(unknown)
        more = ", ..." if len(unknown) > _NAMED_FILES else ""
        named = ", ".join(unknown[:_NAMED_FILES])
        notes.warnings.append(f"{holder} also holds what is no known export: {len(unknown):,} file(s) ({named}{more})")
    return found


def _files(folder: Path, notes: ReadNotes) -> Iterator[tuple[Path, str | None, int]]:
    """All files under a folder, and in the archives under it, sorted, without hidden ones."""
    for parent, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (Path(parent, name) for name in sorted(names) if not name.startswith(".")):
            if path.is_file() and zipfile.is_zipfile(path):
                yield from _members(path, notes)
            elif path.is_file():
                yield path, None, path.stat().st_size


def _members(path: Path, notes: ReadNotes) -> list[tuple[Path, str | None, int]]:
    """The files in a zip archive, sorted. Nothing is ever unpacked to disk, so names like `../x` do no harm."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise ExportError(f"The archive {path} cannot be opened ({error}): download it again.") from error
    if len(members) > _MAX_MEMBERS:
        raise ExportError(
            f"The archive {path} holds {len(members):,} files, which no export does: unpack the one needed."
        )
    if locked := sum(info.flag_bits & 1 for info in members):
        notes.warnings.append(f"{locked:,} file(s) in {path} need a password and are left out: unpack them yourself")
        notes.skipped_files += locked
    return [(path, info.filename, info.compress_size) for info in members if not info.flag_bits & 1]


def _open(path: Path, member: str | None, notes: ReadNotes, columns: Mapping[str, str] | None) -> ExportFile | None:
    try:
        return ExportFile(path, notes, member=member, columns=columns)
    except OSError as error:
        notes.warnings.append(f"{path} cannot be read ({error.strerror}) and is left out: check its permissions")
        return None


def _refuse(error: OSError) -> NoReturn:
    raise ExportError(f"{error.filename} cannot be read ({error.strerror}): check its permissions.") from error


def _recognise(export: ExportFile, last_resort: bool) -> str | None:
    names = (name for name, format_ in formats().items() if last_resort or not _is_last_resort(format_))
    return next((name for name in names if formats()[name].recognises(export)), None)


def _is_last_resort(format_: object) -> bool:
    return getattr(format_, "IS_LAST_RESORT", False)


def _known() -> str:
    return ", ".join(format_.NAME for format_ in formats().values())
