"""The objects of an array in indented JSON, many at a time.

No text inside a JSON string holds a line break, so that the indentation alone tells where an object begins. That is
fast, can be done from anywhere in a file, and what is damaged harms no more than the object it lies in.
"""

import re
import sys
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from training.exports.file import ExportFile, Part
from training.exports.json_values import MAX_VALUE_BYTES

OPENING = b"\n    {"
"""Where an object of an array in an object begins."""
TOO_LONG = b""
"""Stands for an object that is too long to be kept."""

_CLOSING = b"\n    }"
_LIST_END = b"\n  ]"
_OPENINGS = re.compile(re.escape(OPENING))
_BLOCK_BYTES = 1 << 18


class Block(NamedTuple):
    """Neighbouring objects: those that begin in the same 256 KiB of the file, wherever reading began.

    Attributes:
        byte: where it begins.
        text: begins with an opening, if it holds any, and ends before the next one or with the file.
        ends_file: it is the last one of the file.
        lost: how many bytes of its last object are left out because it is too long.
    """

    byte: int
    text: bytes
    ends_file: bool
    lost: int = 0

    def objects(self) -> Iterator[tuple[int, bytes]]:
        """Yield the byte and the text of each, which may be broken, but not of one that the file breaks off in."""
        openings = [match.start() for match in _OPENINGS.finditer(self.text)]
        ends = [*openings[1:], len(self.text)][: len(openings) - self.is_cut_within()]
        for begin, end in zip(openings, ends, strict=False):
            begin += len(OPENING) - 1
            text = self.text[begin:end].replace(b"\0", b"")
            closing = text.rfind(_CLOSING)
            is_too_long = self.lost and end == len(self.text)
            yield self.byte + begin, TOO_LONG if is_too_long else text[: closing + len(_CLOSING)]

    def array(self) -> bytes:
        """All of them as one JSON array."""
        closing = self.text.rfind(_CLOSING)
        is_closed = self.ends_file and closing > self.text.rfind(OPENING)
        return b"[" + (self.text[: closing + len(_CLOSING)] if is_closed else self.text.rstrip(b", \r\n")) + b"]"

    def is_cut(self) -> bool:
        """Whether the file breaks off in or behind it."""
        last = max(self.text.rfind(OPENING), 0)
        return self.ends_file and _LIST_END not in self.text[last:] and not self.text.startswith(b"]")

    def is_cut_within(self) -> bool:
        """Whether the file breaks off in its last object."""
        return self.is_cut() and self.text.rfind(OPENING) > self.text.rfind(_CLOSING)


def blocks(export: ExportFile, begin: int) -> Iterator[Block]:
    """Yield the objects of a list that begins at a byte, or those of them that begin in the part to be read."""
    part = export.part or Part(0, sys.maxsize)
    with export.open() as stream:
        window = _Window(stream, max(begin, part.begin))
        at = window.opening(window.begin)
        if at is None and begin >= part.begin:
            yield window.take(None)
        elif at is not None:
            window.take(at)
        while at is not None and at < part.end:
            end = window.opening(min(at - at % _BLOCK_BYTES + _BLOCK_BYTES, part.end))
            yield window.take(end)
            at = end


class _Window:
    """A piece of the file in memory.

    Attributes:
        begin: the byte of the file at which it begins.
    """

    def __init__(self, stream: BinaryIO, begin: int) -> None:
        self.begin = begin
        self._stream = stream
        self._text = b""
        self._lost = 0  # bytes left out from the middle of the text
        if stream.seekable():
            stream.seek(begin)
        else:
            stream.read(begin)  # no more than a head

    def opening(self, byte: int) -> int | None:
        """The first opening at or behind a byte; None if there is none."""
        start = max(byte - self.begin, 0)
        while (found := self._text.find(OPENING, start)) < 0:
            start = max(start, len(self._text) - len(OPENING) + 1)
            if len(self._text) > MAX_VALUE_BYTES:
                self._forget()
                start = len(self._text) - len(OPENING) + 1
            if not (block := self._stream.read(max(_BLOCK_BYTES, len(self._text)))):
                return None
            self._text += block
        return self.begin + self._lost + found

    def take(self, end: int | None) -> Block:
        """Remove what comes before a byte, or all that is left."""
        size = len(self._text) if end is None else end - self.begin - self._lost
        block = Block(self.begin, self._text[:size], end is None, self._lost)
        self._text = self._text[size:]
        self.begin += size + self._lost
        self._lost = 0
        return block

    def _forget(self) -> None:
        """Keep no more of the last object than where it begins."""
        kept = self._text.rfind(OPENING) + len(OPENING)
        tail = self._text[1 - len(OPENING) :]
        self._lost += len(self._text) - kept - len(tail)
        self._text = self._text[:kept] + tail
