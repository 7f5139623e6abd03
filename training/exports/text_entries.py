"""Text logs in which a message begins with a header and goes on over the lines without one."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from training.exports.file import ExportFile

_MAX_CHARACTERS = 1 << 20
_Header = TypeVar("_Header")


def text_entries(
    export: ExportFile, lines: Iterable[tuple[int, str, tuple[_Header, str] | None]]
) -> Iterator[tuple[int, _Header, str]]:
    """Yield each message: its number from 1, its header, and all its text.

    Args:
        export: is told of what stands before the first message, and of messages that are too long, which are left out.
        lines: the byte at which each begins, the line and, where a message begins, its header and the text behind it.
    """
    for number, (byte, header, text) in enumerate(_joined(export, lines), 1):
        if len(text) > _MAX_CHARACTERS:
            export.garbled(number, byte, "a message of more than a million characters")
        else:
            yield number, header, text


def _joined(
    export: ExportFile, lines: Iterable[tuple[int, str, tuple[_Header, str] | None]]
) -> Iterator[tuple[int, _Header, str]]:
    """Each message with the byte where it begins and its lines, cut behind what no message has."""
    last: tuple[int, _Header] | None = None
    texts: list[str] = []
    size = 0
    for byte, line, start in lines:
        if start:
            if last:
                yield *last, "\n".join(texts)
            header, text = start
            last, texts, size = (byte, header), [text], 0
        elif last is None and line.strip():
            export.garbled(1, byte, "no start of a message")
        elif size <= _MAX_CHARACTERS:
            texts.append(line)
            size += len(line) + 1
    if last:
        yield *last, "\n".join(texts)
