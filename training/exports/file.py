"""One export file on disk: its bytes, gzip or not, and what went wrong while they were read."""

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_GZIP_MAGIC = b"\x1f\x8b"
_HEAD_BYTES = 1 << 16
_BUFFER_BYTES = 1 << 18
_REASON_CHARACTERS = 120
_SHOWN_RECORDS = 5  # warnings a file, so that a ruined one does not fill the screen


@dataclass(slots=True)
class ReadNotes:
    """What reading the exports met, for the one who started it.

    Attributes:
        files: exports read.
        skipped_files: files in folders that are no known export.
        garbled_records: messages left out because they cannot be decoded.
        truncated_files: exports that end too early.
        warnings: plain sentences, a bounded number for each file.
        progress: called now and then with the bytes read so far and the bytes in all.
    """

    files: int = 0
    skipped_files: int = 0
    garbled_records: int = 0
    truncated_files: int = 0
    warnings: list[str] = field(default_factory=list)
    progress: Callable[[int, int], None] | None = None


class ExportFile:
    """An export as a format reader sees it."""

    def __init__(self, path: Path, notes: ReadNotes) -> None:
        """Remember the path and read the head. Raises OSError if the file cannot be read."""
        self.path = path
        self._notes = notes
        self._garbled = 0
        self._raw: BinaryIO | None = None
        self._damage: str | None = None
        with self.open() as stream:
            self.head = stream.read(_HEAD_BYTES)

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open the content from its beginning, unpacked; a broken gzip just ends where it breaks."""
        with self.path.open("rb", buffering=_BUFFER_BYTES) as raw:
            self._raw = raw
            packed = raw.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
            raw.seek(0)
            try:
                yield io.BufferedReader(_Gunzip(raw, self), _BUFFER_BYTES) if packed else raw
            finally:
                self._raw = None

    def bytes_read(self) -> int:
        """How far the file on disk has been read."""
        return self._raw.tell() if self._raw else 0

    def garbled(self, record: int, byte: int, why: Exception) -> None:
        """Note that a record cannot be decoded and is left out."""
        self._garbled += 1
        self._notes.garbled_records += 1
        if self._garbled <= _SHOWN_RECORDS:
            self._warn(f"record {record:,} at byte {byte:,} of {self.path} is garbled and left out ({_brief(why)})")

    def cut(self, record: int, byte: int, why: str = "no end of the list of messages") -> None:
        """Note that nothing more can be read after so many records."""
        self._notes.truncated_files += 1
        self._warn(
            f"{self.path} breaks off after record {record:,}, at byte {byte:,} ({why}): "
            "what comes before is used; export it again for the rest"
        )

    def damaged(self, why: str) -> None:
        """Note that the gzip container itself is broken; told once by `finish`."""
        self._damage = why

    def finish(self) -> None:
        """Say at the end what was too much to say record by record."""
        if self._garbled > _SHOWN_RECORDS:
            self._warn(f"{self._garbled - _SHOWN_RECORDS:,} more garbled records of {self.path} are left out")
        if self._damage:
            self._warn(f"the gzip file {self.path} is broken ({self._damage}): what could be unpacked is used")

    def _warn(self, sentence: str) -> None:
        self._notes.warnings.append(sentence)


def _brief(error: Exception) -> str:
    """The first line of an error, short enough for a terminal."""
    return (str(error).splitlines() or [type(error).__name__])[0][:_REASON_CHARACTERS]


class _Gunzip(io.RawIOBase):
    """Unpacks gzip and ends, rather than raises, where the data breaks off."""

    def __init__(self, packed: BinaryIO, export: ExportFile) -> None:
        self._gzip = gzip.GzipFile(fileobj=packed, mode="rb")
        self._export = export

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        view = memoryview(buffer).cast("B")
        try:
            data = self._gzip.read1(len(view))  # read() would lose the last whole bytes before the break
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            self._export.damaged(str(error))
            return 0
        view[: len(data)] = data
        return len(data)
