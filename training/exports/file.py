"""One export as the readers of formats see it: bytes, lines or JSON values, and a place for remarks.

It may be a file, a gzip file, a member of a zip archive, or a part of a big file; in UTF-8, UTF-16 or a mixture.
"""

import codecs
import gzip
import io
import posixpath
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from training.exports.json_values import JsonError, JsonValue, json_values
from training.exports.message import Channel

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_LINE_BYTES = 1 << 24
"""A longer line is left out: far above any real message, far below the memory there is."""

_GZIP_MAGIC = b"\x1f\x8b"
_UTF_16_MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_HEAD_BYTES = 1 << 16
_BUFFER_BYTES = 1 << 18
_SIBLING_BYTES = 1 << 26
_BOMB_BYTES = 1 << 28
_BOMB_RATIO = 300  # chat packs 5 to 40 times smaller, deflate's limit is 1,032
_REASON_CHARACTERS = 120
_SHOWN_RECORDS = 5  # warnings a file, so that a ruined one does not fill the screen
_BROKEN_PACKING = (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, NotImplementedError)


@dataclass(slots=True)
class ReadNotes:
    """What reading exports met, for the one who started it.

    Attributes:
        files: exports found.
        skipped_files: files in folders and archives that are no known export.
        garbled_records: messages left out because they cannot be decoded.
        truncated_files: exports that end too early.
        warnings: plain sentences, a bounded number for each file.
        channels: what the exports say of their channels, by id.
    """

    files: int = 0
    skipped_files: int = 0
    garbled_records: int = 0
    truncated_files: int = 0
    warnings: list[str] = field(default_factory=list)
    channels: dict[str, Channel] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Part:
    """A range of bytes of a big file: records that begin in it."""

    begin: int
    end: int


class ExportFile:
    """An export with its name, its head, its content, and the notes that its reader makes.

    Attributes:
        path: the file on disk.
        member: the name within a zip archive, None for a plain file.
        part: the range to read, None for all.
        columns: which column or key of a table means what, as far as the user said: our name to theirs.
        head: the first bytes, unpacked.
        newest_first: set by a reader whose format has no exact times, if the export runs backwards.
    """

    def __init__(
        self,
        path: Path,
        notes: ReadNotes,
        *,
        member: str | None = None,
        part: Part | None = None,
        columns: Mapping[str, str] | None = None,
    ) -> None:
        """Read the head. Raises OSError if the file cannot be read; broken packing is noted and ends the content."""
        self.path = path
        self.member = member
        self.part = part
        self.columns = dict(columns or {})
        self.newest_first = False
        self._notes = notes
        self._garbled = 0
        self._damage: str | None = None
        self._raw: BinaryIO | None = None
        with self.open() as stream:
            self.head = stream.read(_HEAD_BYTES)

    @property
    def name(self) -> str:
        """For people: the path, and the name within an archive."""
        return str(self.path) if self.member is None else f"{self.path}/{self.member}"

    @property
    def file_name(self) -> str:
        """The last part of the name, without `.gz`."""
        return (self.path.name if self.member is None else posixpath.basename(self.member)).removesuffix(".gz")

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open the content from its beginning, unpacked and in UTF-8 if it was UTF-16; it ends where it breaks."""
        with self.path.open("rb", buffering=_BUFFER_BYTES) as raw, ExitStack() as stack:
            stream: io.BufferedReader = raw
            self._raw = raw
            packed_bytes = self.path.stat().st_size
            stack.callback(setattr, self, "_raw", None)
            if self.member is not None:
                archive = stack.enter_context(zipfile.ZipFile(raw))
                packed_bytes = archive.getinfo(self.member).compress_size
                member = stack.enter_context(archive.open(self.member))
                assert isinstance(member, zipfile.ZipExtFile)
                stream = self._unpacked(member, packed_bytes)
            if stream.peek(2)[:2] == _GZIP_MAGIC:
                stream = self._unpacked(gzip.GzipFile(fileobj=stream, mode="rb"), packed_bytes)
            if encoding := _UTF_16_MARKS.get(stream.peek(2)[:2]):
                stream = io.BufferedReader(_Transcoded(stream, encoding), _BUFFER_BYTES)
            yield stream

    def _unpacked(self, unpacker: "_Unpacker", packed_bytes: int) -> io.BufferedReader:
        return io.BufferedReader(_Unpacked(unpacker, packed_bytes, self), _BUFFER_BYTES)

    @cached_property
    def is_seekable(self) -> bool:
        """Whether byte positions are those of the file on disk, so that parts of it can be read on their own."""
        with self.path.open("rb") as raw:
            return self.member is None and raw.read(2) not in (_GZIP_MAGIC, *_UTF_16_MARKS)

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield the byte at which each line begins, and the line without its end, NULs and byte order mark.

        A line that is not UTF-8 is read as Windows-1252; one that is too long is noted and left out. Of a part, the
        lines that begin in it.
        """
        for number, (byte, line) in enumerate(self._raw_lines(), 1):
            if len(line) > MAX_LINE_BYTES:
                self.garbled(number, byte, f"a line of more than {MAX_LINE_BYTES >> 20} MiB")
                continue
            yield byte, _decode(line).removeprefix("\ufeff").replace("\0", "").rstrip("\r\n")

    def values(self, *places: str) -> Iterator[JsonValue]:
        """Yield the JSON values at some places (see `json_values`); garbled elements and a missing end are noted."""
        count = 0

        def garbled(byte: int, why: str) -> None:
            self.garbled(count + 1, byte, why)

        with self.open() as stream:
            stream.read(len(codecs.BOM_UTF8) if self.head.startswith(codecs.BOM_UTF8) else 0)
            try:
                for value in json_values(stream, places, garbled):
                    count += 1
                    yield value
            except JsonError as error:
                self.cut(count, error.byte, str(error))

    def sibling(self, name: str) -> bytes | None:
        """The content of a small file beside this one, e.g. `../users.json`; None if there is none."""
        with suppress(OSError, KeyError, *_BROKEN_PACKING):
            if self.member is None:
                with (self.path.parent / name).open("rb") as file:
                    return file.read(_SIBLING_BYTES)
            path = posixpath.normpath(posixpath.join(posixpath.dirname(self.member), name))
            with zipfile.ZipFile(self.path) as archive, archive.open(path) as file:
                return file.read(_SIBLING_BYTES)
        return None

    def describe(self, channel: Channel) -> None:
        """Note what the export says of a channel."""
        self._notes.channels[channel.id] = channel

    def garbled(self, record: int, byte: int, why: Exception | str) -> None:
        """Note that a record cannot be decoded and is left out."""
        self._garbled += 1
        self._notes.garbled_records += 1
        if self._garbled <= _SHOWN_RECORDS:
            self.warn(f"record {record:,} at byte {byte:,} of {self.name} is garbled and left out ({_brief(why)})")

    def cut(self, record: int, byte: int, why: str = "no end of the list of messages") -> None:
        """Note that nothing more can be read after so many records."""
        self._notes.truncated_files += 1
        self.warn(
            f"{self.name} breaks off after record {record:,}, at byte {byte:,} ({why}): "
            "what comes before is used; export it again for the rest"
        )

    def warn(self, sentence: str) -> None:
        """Note something that the user should know."""
        self._notes.warnings.append(sentence)

    def damaged(self, why: str) -> None:
        """Note that the packing itself is broken; told once by `finish`."""
        self._damage = why

    def finish(self) -> None:
        """Say at the end what was too much to say record by record."""
        if self._garbled > _SHOWN_RECORDS:
            self.warn(f"{self._garbled - _SHOWN_RECORDS:,} more garbled records of {self.name} are left out")
        if self._damage:
            self.warn(f"{self.name} cannot be unpacked to its end ({self._damage}): what could be unpacked is used")

    def bytes_read(self) -> int:
        """How far the file on disk, or the packed member, has been read."""
        return self._raw.tell() if self._raw else 0

    def _raw_lines(self) -> Iterator[tuple[int, bytes]]:
        begin, end = (self.part.begin, self.part.end) if self.part else (0, None)
        with self.open() as stream:
            if begin:
                stream.seek(begin - 1)  # a line that begins right here belongs to this part
                begin += _read_line(stream)[1] - 1
            while end is None or begin < end:
                line, size = _read_line(stream)
                if not size:
                    break
                yield begin, line
                begin += size


def _read_line(stream: BinaryIO) -> tuple[bytes, int]:
    """The next line with its end, and its size; of one that is too long only the beginning."""
    line = rest = stream.readline(MAX_LINE_BYTES + 1)
    size = len(line)
    while len(rest) > MAX_LINE_BYTES and not rest.endswith(b"\n"):
        rest = stream.readline(MAX_LINE_BYTES + 1)
        size += len(rest)
    return line, size


def _decode(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("cp1252", "replace")


def _brief(error: Exception | str) -> str:
    """The first line of an error, short enough for a terminal."""
    return (str(error).splitlines() or [type(error).__name__])[0][:_REASON_CHARACTERS]


class _Unpacker(Protocol):
    def read1(self, size: int, /) -> bytes: ...


class _Unpacked(io.RawIOBase):
    """Unpacks, and ends, rather than raises, where the data breaks off or swells without measure."""

    def __init__(self, unpacker: _Unpacker, packed_bytes: int, export: ExportFile) -> None:
        self._unpacker = unpacker
        self._left = max(_BOMB_BYTES, _BOMB_RATIO * packed_bytes)
        self._export = export

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        view = memoryview(buffer).cast("B")
        try:
            data = self._unpacker.read1(len(view))  # read() would lose the last whole bytes before the break
        except _BROKEN_PACKING as error:
            self._export.damaged(str(error))
            return 0
        self._left -= len(data)
        if self._left < 0:
            self._export.damaged(f"it unpacks to more than {_BOMB_RATIO} times its size, as only a bomb does")
            return 0
        view[: len(data)] = data
        return len(data)


class _Transcoded(io.RawIOBase):
    """Turns text of another encoding into UTF-8."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        view = memoryview(buffer).cast("B")
        while not self._ready and (block := self._stream.read(_BUFFER_BYTES)):
            self._ready = self._decoder.decode(block).encode("utf-8", "replace")
        size = min(len(view), len(self._ready))
        view[:size], self._ready = self._ready[:size], self._ready[size:]
        return size
