"""Chinwag's own normal form: JSON Lines, one message a line.

`{"conversation", "id", "author", "timestamp" (ISO 8601 or null), "content", "reply_to" (id or null)}`,
and optionally `is_bot` and `is_system`.
"""

from collections.abc import Iterator

import msgspec

from training.exports.file import ExportFile
from training.exports.message import Message, seconds_since_epoch

NAME = "JSON Lines in Chinwag's normal form"

_SNIFFED_LINES = 10
_MAX_LINE_BYTES = 1 << 24
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class _Line(msgspec.Struct, gc=False):
    conversation: str | int
    id: str | int
    author: str | int
    content: str
    timestamp: str | None = None
    reply_to: str | int | None = None
    is_bot: bool = False
    is_system: bool = False


_DECODER = msgspec.json.Decoder(_Line)
_REQUIRED_KEYS = {"conversation", "id", "author", "content"}
_UNDECODABLE = (msgspec.MsgspecError, ValueError, RecursionError)


def recognises(export: ExportFile) -> bool:
    """Whether one of the first lines of a file is a message in the normal form."""
    return any(
        map(_is_message, export.head.removeprefix(_BYTE_ORDER_MARK).split(b"\n", _SNIFFED_LINES)[:_SNIFFED_LINES])
    )


def read(export: ExportFile) -> Iterator[Message]:
    """Yield the message of each line; a bad line is noted and left out."""
    byte = 0
    with export.open() as stream:
        for number, line in enumerate(iter(lambda: stream.readline(_MAX_LINE_BYTES), b""), 1):
            text = line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
            if text.strip():
                try:
                    yield _to_message(_DECODER.decode(text))
                except _UNDECODABLE as error:
                    export.garbled(number, byte, error)
            byte += len(line)


def _is_message(line: bytes) -> bool:
    try:
        return msgspec.json.decode(line, type=dict[str, object]).keys() >= _REQUIRED_KEYS
    except _UNDECODABLE:
        return False


def _to_message(line: _Line) -> Message:
    return Message(
        channel=str(line.conversation),
        id=str(line.id),
        author=str(line.author),
        timestamp=None if line.timestamp is None else seconds_since_epoch(line.timestamp),
        content=line.content,
        reply_to=None if line.reply_to is None else str(line.reply_to),
        is_bot=line.is_bot,
        is_system=line.is_system,
    )
