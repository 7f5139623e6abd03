"""Packed files in, plain bytes out: gzip, members of zip archives, text in UTF-16 or UTF-32.

Nothing is ever unpacked to disk, so that names like `../x` in an archive do no harm.
"""

import codecs
import copy
import gzip
import io
import itertools
import mmap
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

GZIP_MAGIC = b"\x1f\x8b"
ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
BROKEN_PACKING = (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, NotImplementedError)

_BOMB_BYTES = 1 << 28
_BOMB_RATIO = 300  # chat packs 5 to 40 times smaller, deflate's limit is 1,032
_BOMB = f"it unpacks to more than {_BOMB_RATIO} times its size, as only a bomb does"
_MAX_DIRECTORY_BYTES = 1 << 25  # of some 300,000 files
_MAX_MEMBERS = 300_000  # where there is no directory
_BROKEN_DIRECTORY = (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, EOFError)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others need as much memory as the archive asks for
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_SIZES_FOLLOW, _IS_UTF_8 = 0x8, 0x800
_UNKNOWN_SIZE = 1 << 62

_BLOCK_BYTES = 1 << 18
_STEP_BYTES = 1 << 13  # no more than this is lost where packed data breaks
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32-le",  # begins like the next one
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_SNIFFED_BYTES = 64


class BombError(zipfile.BadZipFile):
    """An archive is made to fill the memory or to take for ever."""


class Members(NamedTuple):
    """What is in a zip archive.

    Attributes:
        by_name: in the order of the archive; of two with one name the last.
        damage: what is wrong with the archive's directory, so that the members were looked for without; or None.
    """

    by_name: dict[str, zipfile.ZipInfo]
    damage: str | None


def zip_members(path: Path) -> Members:
    """The files in a zip archive. Raises zipfile.BadZipFile if there are none to be found, or it is a bomb."""
    status = path.stat()
    return _zip_members(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=2)  # a directory of thousands of files must not be read again for each of them
def _zip_members(path: Path, size: int, _changed: int) -> Members:
    damage = None
    try:
        with _ShortDirectory(io.FileIO(path)) as raw, zipfile.ZipFile(raw) as archive:
            members = archive.NameToInfo
    except BombError:
        raise
    except _BROKEN_DIRECTORY as error:
        members = {info.filename: info for info in itertools.islice(_without_directory(path), _MAX_MEMBERS)}
        damage = str(error)
        if not members:
            raise zipfile.BadZipFile(damage) from error
    members = {name: info for name, info in members.items() if name and not name.endswith("/")}
    if damage is None and sum(info.compress_size for info in members.values()) > size:
        raise BombError("its files overlap, as only a bomb's do")
    if damage is None and sum(info.file_size for info in members.values()) > max(_BOMB_BYTES, _BOMB_RATIO * size):
        raise BombError(_BOMB)
    return Members(members, damage)


class _ShortDirectory(io.BufferedReader):
    """An archive whose directory does not fill the memory: zipfile reads it all at once."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size > _MAX_DIRECTORY_BYTES:
            raise BombError("it holds more files than any export")
        return super().read(size)


def _without_directory(path: Path) -> Iterator[zipfile.ZipInfo]:
    """The members that their own headers tell of, for an archive that was cut: its directory is at its end."""
    with path.open("rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(ZIP_MAGICS[0])
        while 0 <= at <= len(data) - _LOCAL_HEADER.size:
            _, _, flags, method, _, _, _, packed, unpacked, name, extra = _LOCAL_HEADER.unpack_from(data, at)
            begin = at + _LOCAL_HEADER.size
            info = zipfile.ZipInfo(
                data[begin : begin + name].decode("utf-8" if flags & _IS_UTF_8 else "cp437", "replace")
            )
            info.header_offset, info.flag_bits, info.compress_type = at, flags, method
            info.compress_size, info.file_size = packed, unpacked
            begin += name + extra
            at = data.find(ZIP_MAGICS[0], begin)
            if flags & _SIZES_FOLLOW or packed >= 0xFFFFFFFF:
                info.compress_size, info.file_size = (len(data) if at < 0 else at) - begin, _UNKNOWN_SIZE
            else:
                at = data.find(ZIP_MAGICS[0], begin + packed)
            if begin < len(data):
                yield info


class Unpacker(Protocol):
    """What gives unpacked bytes."""

    def read1(self, size: int, /) -> bytes: ...


def open_member(raw: BinaryIO, info: zipfile.ZipInfo) -> Unpacker:
    """Open a member of the archive whose file `raw` is. Raises one of BROKEN_PACKING."""
    raw.seek(info.header_offset)
    header = raw.read(_LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size or not header.startswith(ZIP_MAGICS[0]):
        raise zipfile.BadZipFile("its header is missing")
    if info.compress_type not in _METHODS:
        raise NotImplementedError("it is packed in an unusual way: pack it again as an ordinary zip")
    raw.seek(sum(_LOCAL_HEADER.unpack(header)[-2:]), io.SEEK_CUR)
    unchecked = copy.copy(info)
    if hasattr(unchecked, "CRC"):
        del unchecked.CRC  # where it does not match, zipfile would keep the last bytes for itself: see Unpacked
    return zipfile.ZipExtFile(raw, "r", unchecked)


class Unpacked(io.RawIOBase):
    """Unpacks, and ends, rather than raises, where the data breaks off or swells without measure."""

    def __init__(
        self, unpacker: Unpacker, packed_bytes: int, on_damage: Callable[[str], None], checksum: int | None = None
    ) -> None:
        """Args: what unpacks, the size of what it unpacks, who is told why it ended, and the CRC-32 to expect."""
        self._unpacker = unpacker
        self._left = max(_BOMB_BYTES, _BOMB_RATIO * packed_bytes)
        self._on_damage = on_damage
        self._expected = checksum
        self._checksum = 0
        self._has_ended = False

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """The next bytes; none at the end."""
        view = memoryview(buffer).cast("B")
        data = b"" if self._has_ended else self._next(min(len(view), _STEP_BYTES))
        self._has_ended = not data
        view[: len(data)] = data
        return len(data)

    def _next(self, size: int) -> bytes:
        try:
            data = self._unpacker.read1(size)
        except BROKEN_PACKING as error:
            self._on_damage(str(error) or "it ends too early")
            return b""
        if self._expected is not None:
            self._checksum = zlib.crc32(data, self._checksum)
            if not data and self._checksum != self._expected:
                self._on_damage("its checksum is wrong, so that anything in it may be")
        self._left -= len(data)
        if self._left < 0:
            self._on_damage(_BOMB)
            return b""
        return data


def other_encoding(begin: bytes) -> str | None:
    """The encoding of a text, from its first bytes, if it is UTF-16 or UTF-32."""
    for mark, encoding in _MARKS.items():
        if begin.startswith(mark):
            return encoding
    pairs = begin[:_SNIFFED_BYTES]
    nuls = pairs[::2].count(0), pairs[1::2].count(0)
    if 0 in nuls and max(nuls) > len(pairs) // 4 > 0:  # most are letters of ASCII
        return "utf-16-be" if nuls[0] else "utf-16-le"
    return None


class Transcoded(io.RawIOBase):
    """Turns text of another encoding into UTF-8."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._ready = b""

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """The next bytes; none at the end."""
        view = memoryview(buffer).cast("B")
        while not self._ready and (block := self._stream.read(_BLOCK_BYTES)):
            self._ready = self._decoder.decode(block).encode("utf-8", "replace")
        size = min(len(view), len(self._ready))
        view[:size], self._ready = self._ready[:size], self._ready[size:]
        return size
