"""One export as the readers of formats see it: bytes, lines or JSON values, and a place for remarks.

It may be a file, a gzip file, a member of a zip archive, or a part of a big file; in UTF-8, UTF-16 or a mixture.
"""

import gzip
import io
import posixpath
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

from training.exports.json_values import JsonError, JsonValue, json_values
from training.exports.message import Channel
from training.exports.notes import ReadNotes, shown
from training.exports.packing import (
    BROKEN_PACKING,
    GZIP_MAGIC,
    ZIP_MAGICS,
    Transcoded,
    Unpacked,
    Unpacker,
    open_member,
    other_encoding,
    zip_members,
)

MAX_LINE_BYTES = 1 << 24
"""A longer line is left out: far above any real message, far below the memory there is."""

PART_BYTES = 1 << 25
"""What one part of a big file holds, where its lines can be read on their own."""

_HEAD_BYTES = 1 << 16
_MAGIC_BYTES = 64
_BUFFER_BYTES = 1 << 16
_SIBLING_BYTES = 1 << 26
_CHANNEL_BYTES = 256
_REASON_CHARACTERS = 120
_SHOWN_RECORDS = 5  # warnings a file, so that a ruined one does not fill the screen


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
        size: bytes on disk of all of it.
        damage: why it could not be unpacked to its end, as far as it was read; or None.
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
        self.damage: str | None = None
        self.size = path.stat().st_size
        self._magic = b""
        with self.open() as stream:
            self.head = stream.read(_HEAD_BYTES)

    @property
    def name(self) -> str:
        """For people: the path, and the name within an archive."""
        return shown(self.path if self.member is None else f"{self.path}/{self.member}")

    @property
    def file_name(self) -> str:
        """The last part of the name, without `.gz`."""
        return (self.path.name if self.member is None else posixpath.basename(self.member)).removesuffix(".gz")

    @property
    def channel(self) -> str:
        """The channel of messages that name none: this file, wherever it lies, but no other one of its name."""
        return f"{self.file_name}#{blake2b(self.head[:_CHANNEL_BYTES], digest_size=6).hexdigest()}"

    @property
    def is_archive(self) -> bool:
        """Whether this is no export, but a zip archive of files."""
        return self.member is None and self._magic.startswith(ZIP_MAGICS)

    @property
    def is_seekable(self) -> bool:
        """Whether byte positions are those of the file on disk, so that parts of it can be read on their own."""
        return self.member is None and not self._magic.startswith(GZIP_MAGIC) and not other_encoding(self._magic)

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open the content from its beginning, unpacked and in UTF-8 if it was UTF-16; it ends where it breaks."""
        with io.BufferedReader(io.FileIO(self.path), _BUFFER_BYTES) as raw:
            self._magic = raw.peek(1)[:_MAGIC_BYTES]
            stream: io.BufferedReader[Any] = raw
            if self.member is not None:
                stream = self._open_member(raw, self.member)
            if stream.peek(2).startswith(GZIP_MAGIC):
                stream = self._unpacked(gzip.GzipFile(fileobj=stream, mode="rb"))
            if encoding := other_encoding(stream.peek(1)):
                stream = io.BufferedReader(Transcoded(stream, encoding), _BUFFER_BYTES)
            yield stream

    def _open_member(self, raw: BinaryIO, name: str) -> io.BufferedReader:
        try:
            info = zip_members(self.path).by_name[name]
            self.size = info.compress_size
            return self._unpacked(open_member(raw, info), getattr(info, "CRC", None))
        except (KeyError, *BROKEN_PACKING) as error:
            self.damaged(str(error))
            return io.BufferedReader(io.BytesIO())

    def _unpacked(self, unpacker: Unpacker, checksum: int | None = None) -> io.BufferedReader:
        return io.BufferedReader(Unpacked(unpacker, self.size, self.damaged, checksum), _BUFFER_BYTES)

    def ranges(self) -> list[Part]:
        """Parts of a big file of lines; none of one that is small or cannot be divided."""
        if self.size <= PART_BYTES or not self.is_seekable:
            return []
        return [Part(begin, min(begin + PART_BYTES, self.size)) for begin in range(0, self.size, PART_BYTES)]

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield the byte at which each line begins, and the line without its end, NULs and byte order mark.

        A line that is not UTF-8 is read as Windows-1252; one that is too long is noted and left out. Of a part, the
        lines that begin in it.
        """
        for byte, line in self.byte_lines():
            yield byte, _decode(line).removeprefix("\ufeff").replace("\0", "").rstrip("\r\n")

    def byte_lines(self) -> Iterator[tuple[int, bytes]]:
        """Like `lines`, but as the bytes that they are, with their ends."""
        begin, end = (self.part.begin, self.part.end) if self.part else (0, None)
        number = 0
        with self.open() as stream:
            if begin:
                stream.seek(begin - 1)  # a line that begins right here belongs to this part
                begin += _read_line(stream)[1] - 1
            while end is None or begin < end:
                line, size = _read_line(stream)
                if not size:
                    break
                number += 1
                if size <= MAX_LINE_BYTES:
                    yield begin, line
                else:
                    self.garbled(number, begin, f"a line of more than {MAX_LINE_BYTES >> 20} MiB")
                begin += size

    def values(self, *places: str) -> Iterator[JsonValue]:
        """Yield the JSON values at some places (see `json_values`); garbled elements and a missing end are noted."""
        count = 0

        def garbled(byte: int, why: str) -> None:
            self.garbled(count + 1, byte, why)

        with self.open() as stream:
            try:
                for value in json_values(stream, places, garbled):
                    count += 1
                    yield value
            except JsonError as error:
                self.cut(count, error.byte, str(error))

    def sibling(self, name: str) -> bytes | None:
        """The content of a small file beside this one, e.g. `../users.json`; None if there is none."""
        path, member = self.path.parent / name, None
        if self.member is not None:
            path, member = self.path, posixpath.normpath(posixpath.join(posixpath.dirname(self.member), name))
        with suppress(OSError, *BROKEN_PACKING):
            if path.is_file() and (member is None or member in zip_members(path).by_name):
                with ExportFile(path, ReadNotes(), member=member).open() as stream:
                    return stream.read(_SIBLING_BYTES)
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
        self._notes.warn(sentence)

    def damaged(self, why: str) -> None:
        """Note that the packing itself is broken; told once by `finish`."""
        self.damage = why

    def finish(self) -> None:
        """Say at the end what was too much to say record by record."""
        if self._garbled > _SHOWN_RECORDS:
            self.warn(f"{self._garbled - _SHOWN_RECORDS:,} more garbled records of {self.name} are left out")
        if self.damage:
            self.warn(f"{self.name} cannot be unpacked to its end ({self.damage}): what could be unpacked is used")


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
    """The first line of an error, short enough for a terminal and without what it quotes: somebody may have said it."""
    first = (str(error).splitlines() or [""])[0].partition("'")[0].rstrip(" :")
    return first[:_REASON_CHARACTERS] or type(error).__name__
