"""DiscordChatExporter's JSON, streamed in constant memory.

The exporter's own layout is split at its indentation, which no text inside a message can imitate (JSON strings
hold no line breaks); any other layout of the same JSON goes through a general streaming parser, more slowly.
"""

import contextlib
import itertools
import re
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from training.exports.file import ExportFile
from training.exports.json_values import JsonError, json_values
from training.exports.message import GONE, Message, seconds_since_epoch

NAME = "DiscordChatExporter's JSON"

_FIRST_KEY = re.compile(rb'(?:\xef\xbb\xbf)?[\s\0]*\{\s*"guild"\s*:')
_OWN_LAYOUT = re.compile(rb'\n  "messages": \[(?=\r?\n    \{\r?\n|\]|\s*\Z)')
_OPENING = b"\n    {"
_CLOSING = b"\n    }"
_CLOSINGS = re.compile(re.escape(_CLOSING))  # three times as fast as bytes.find
_BLOCK_BYTES = 1 << 20
_MAX_RECORD_BYTES = 1 << 26  # far above any real message: a ruined file must not fill the memory

# What people write. The exporter prints the types it has no name for as Discord's number.
_SPOKEN_TYPES = frozenset({"Default", "0", "Reply", "19"})
_REPLY_TYPES = frozenset({"Reply", "19"})
_COMMAND_OUTPUT_TYPES = frozenset({"20", "23"})
_KNOWN_TYPES = _SPOKEN_TYPES | _COMMAND_OUTPUT_TYPES
_UNRESOLVED_MENTIONS = ("Unknown", "deleted-role")

_DISCORD_EPOCH_MS = 1_420_070_400_000
_SNOWFLAKE_DIGITS = range(17, 21)


class _User(msgspec.Struct, gc=False):
    id: str | int
    name: str | None = None
    nickname: str | None = None
    is_bot: bool = msgspec.field(name="isBot", default=False)


class _Reference(msgspec.Struct, gc=False):
    type: str | int | None = None
    message_id: str | int | None = msgspec.field(name="messageId", default=None)


class _Record(msgspec.Struct, gc=False):
    id: str | int
    author: _User
    type: str | int = "Default"
    timestamp: str | None = None
    edited: str | None = msgspec.field(name="timestampEdited", default=None)
    content: str | None = None
    mentions: list[_User] | None = None
    reference: _Reference | None = None


_DECODER = msgspec.json.Decoder(_Record)
_UNDECODABLE = (msgspec.MsgspecError, ValueError, RecursionError)


def recognises(export: ExportFile) -> bool:
    """Whether a file begins as the exporter begins it: with the guild."""
    return _FIRST_KEY.match(export.head) is not None


def read(export: ExportFile) -> Iterator[Message]:
    """Yield the messages in file order; garbled ones and a missing end are noted."""
    channel = _channel(export)
    records = _read_own_layout(export) if _OWN_LAYOUT.search(export.head) else _read_any_layout(export)
    for record in records:
        yield _to_message(channel, record)


def _channel(export: ExportFile) -> str:
    """The channel's id; the name of the file if it does not say."""
    with export.open() as stream, contextlib.suppress(JsonError, msgspec.MsgspecError):
        for value in json_values(stream, ("channel.id",), lambda byte, why: None):
            if id_ := msgspec.json.decode(value.text, type=str | int | None):
                return str(id_)
    return export.file_name


def _read_own_layout(export: ExportFile) -> Iterator[_Record]:
    layout = _OWN_LAYOUT.search(export.head)
    begin = layout.end() if layout else 0
    numbers = itertools.count(1)
    text = b""
    with export.open() as stream:
        stream.read(begin)
        for byte, text in _split(stream, begin):
            if text.endswith(_CLOSING):
                yield from _decode(export, numbers, byte, text)
    if not text.lstrip().startswith(b"]"):
        export.cut(next(numbers) - 1, byte)


def _split(stream: BinaryIO, byte: int) -> Iterator[tuple[int, bytes]]:
    """Yield the text of each message and the byte where it begins, then whatever follows the last message."""
    rest = b""
    while len(rest) <= _MAX_RECORD_BYTES and (block := stream.read(_BLOCK_BYTES)):
        rest += block
        start = 0
        for closing in _CLOSINGS.finditer(rest):
            yield byte + start, rest[start : closing.end()]
            start = closing.end()
        rest = rest[start:]
        byte += start
    yield byte, rest


def _decode(export: ExportFile, numbers: Iterator[int], byte: int, text: bytes) -> Iterator[_Record]:
    number = next(numbers)
    opening = text.find(b"{")
    try:
        yield _DECODER.decode(text[opening:].replace(b"\0", b""))
    except _UNDECODABLE as error:
        export.garbled(number, byte + opening, error)
        last_opening = text.rfind(_OPENING)
        if last_opening > opening:  # the damage took the end of this message, but the next one is whole
            yield from _decode(export, numbers, byte + last_opening, text[last_opening:])


def _read_any_layout(export: ExportFile) -> Iterator[_Record]:
    for number, value in enumerate(export.values("messages.[]"), 1):
        try:
            yield _DECODER.decode(value.text)
        except _UNDECODABLE as error:
            export.garbled(number, value.byte, error)


def _to_message(channel: str, record: _Record) -> Message:
    id_, kind = str(record.id), str(record.type)
    timestamp = _time(record.timestamp)
    return Message(
        channel=channel,
        id=id_,
        author=str(record.author.id),
        timestamp=_snowflake_time(id_) if timestamp is None else timestamp,
        content=_without_mentions(record.content or "", record.mentions or []),
        reply_to=_reply_target(record.reference) if kind in _REPLY_TYPES else None,
        edited=_time(record.edited),
        is_bot=record.author.is_bot or kind in _COMMAND_OUTPUT_TYPES,
        is_system=kind not in _KNOWN_TYPES,
    )


def _reply_target(reference: _Reference | None) -> str | None:
    if reference is not None and reference.type == "Forward":
        return None
    return GONE if reference is None or reference.message_id is None else str(reference.message_id)


def _time(printed: str | None) -> float | None:
    try:
        return seconds_since_epoch(printed) if printed else None
    except ValueError:
        return None


def _snowflake_time(id_: str) -> float | None:
    """The time inside a Discord id; None if it is no such id."""
    if len(id_) not in _SNOWFLAKE_DIGITS or not (id_.isascii() and id_.isdigit()):
        return None
    return ((int(id_) >> 22) + _DISCORD_EPOCH_MS) / 1000


def _without_mentions(content: str, mentioned: list[_User]) -> str:
    """Take out the `@Name` that the exporter wrote for a mention: people's names are not to be learned."""
    if "@" not in content:
        return content
    names = {name for user in mentioned for name in (user.nickname, user.name) if name}
    # The longest first, so that @Ann does not break @Annabel.
    for name in sorted(names.union(_UNRESOLVED_MENTIONS), key=lambda name: (-len(name), name)):
        content = content.replace(f"@{name}", " ")
    return content
