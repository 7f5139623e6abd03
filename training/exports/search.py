"""Paths in, the files in them out: of folders, of archives, and of archives in folders, each file once."""

import os
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from training.exports.file import ExportFile
from training.exports.message import ExportError
from training.exports.notes import ReadNotes, shown
from training.exports.packing import zip_members

_NAMED_FILES = 5
_IS_ENCRYPTED = 0x1
_RESOURCE_FORKS = "__MACOSX"


class Search:
    """Looks for files, remembers where it has been, and keeps count of what is left out.

    Attributes:
        repeated: how many files were reached again, by another path or a link.
    """

    def __init__(self, notes: ReadNotes, columns: Mapping[str, str]) -> None:
        """Args: where to tell what is left out, and what to hand to each file."""
        self.repeated = 0
        self._notes = notes
        self._columns = columns
        self._seen: set[tuple[int, int]] = set()
        self._counts: Counter[str] = Counter()
        self._names: dict[str, list[str]] = {}

    def files(self, path: Path) -> Iterator[ExportFile]:
        """Yield the file that a path names, or those in the folder or archive. Raises ExportError if there is none."""
        try:
            if path.is_dir():
                os.scandir(path).close()  # may it be read?
                yield from self._folder(path)
            elif not path.exists():
                raise ExportError(f"There is no file or folder {shown(path)}: check the name.")
            elif not path.is_file():
                raise ExportError(f"{shown(path)} is neither a file nor a folder: save what it gives in a file.")
            elif self._is_new(path):
                file = ExportFile(path, self._notes, columns=self._columns)
                yield from self._archive(path) if file.is_archive else [file]
        except zipfile.BadZipFile as error:
            raise ExportError(f"The archive {shown(path)} cannot be opened ({error}): download it again.") from error
        except OSError as error:
            raise ExportError(f"{shown(path)} cannot be read ({error.strerror}): check its permissions.") from error

    def leave_out(self, name: object, why: str) -> None:
        """Keep in mind that a file is left out, to be told by `tell`."""
        self._counts[why] += 1
        names = self._names.setdefault(why, [])
        if len(names) < _NAMED_FILES:
            names.append(shown(name))

    def left_out(self) -> str:
        """All that was left out since it was last told, in one clause."""
        return "; ".join(f"{count:,} file(s) {why}" for why, count in self._counts.items())

    def tell(self, holder: Path) -> None:
        """Note what was left out of a folder or archive."""
        for why, count in self._counts.items():
            named = ", ".join(self._names[why]) + (", ..." if count > _NAMED_FILES else "")
            self._notes.warn(f"left out of {shown(holder)}: {count:,} file(s) that {why} ({named})")
        self._notes.skipped_files += self._counts.total()
        self._counts.clear()
        self._names.clear()

    def _folder(self, folder: Path) -> Iterator[ExportFile]:
        """All files under a folder, sorted, without hidden ones; links to folders may loop and are not followed."""
        for parent, folders, names in os.walk(folder, onerror=self._unreadable):
            for name in folders:
                if os.path.islink(os.path.join(parent, name)):
                    self.leave_out(name, "are links to folders")
            folders[:] = sorted(name for name in folders if not _is_hidden(name))
            for path in (Path(parent, name) for name in sorted(names) if not _is_hidden(name)):
                try:
                    yield from self._in_folder(path)
                except OSError as error:
                    self._unreadable(error)

    def _in_folder(self, path: Path) -> Iterator[ExportFile]:
        if not os.path.isfile(path):
            self.leave_out(path.name, "are not there, or no files")
        elif self._is_new(path):
            file = ExportFile(path, self._notes, columns=self._columns)
            if not file.is_archive:
                yield file
                return
            try:
                yield from self._archive(path)
            except zipfile.BadZipFile as error:
                self.leave_out(path.name, f"cannot be opened ({error})")

    def _archive(self, path: Path) -> Iterator[ExportFile]:
        """The files in an archive, sorted; archives in it are not entered, as they may hold themselves."""
        members, damage = zip_members(path)
        if damage:
            self._notes.warn(f"The archive {shown(path)} is broken ({damage}): what is left is used; download it again")
        for name in sorted(members):
            if any(map(_is_hidden, name.split("/"))):
                continue
            if members[name].flag_bits & _IS_ENCRYPTED:
                self.leave_out(name, "need a password: unpack them yourself")
            else:
                yield ExportFile(path, self._notes, member=name, columns=self._columns)

    def _is_new(self, path: Path) -> bool:
        status = path.stat()
        identity = (status.st_dev, status.st_ino)
        if identity in self._seen:
            self.repeated += 1
            return False
        self._seen.add(identity)
        return True

    def _unreadable(self, error: OSError) -> None:
        self.leave_out(Path(str(error.filename)).name, f"cannot be read ({error.strerror})")


def _is_hidden(name: str) -> bool:
    return name == _RESOURCE_FORKS or (name.startswith(".") and name not in (".", ".."))
