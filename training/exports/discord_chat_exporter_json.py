"""DiscordChatExporter's JSON, streamed in constant memory.

The exporter's own layout is divided at its indentation, which no text inside a message can imitate (JSON strings
hold no line breaks); any other layout of the same JSON goes through a general streaming parser, more slowly.
"""

import contextlib
import re
from collections.abc import Iterator

import msgspec

from training.exports.discord_channel import channel_of, id_in_file_name
from training.exports.discord_message import (
    COMMAND_OUTPUT_TYPES,
    REPLY_TYPES,
    WRITTEN_TYPES,
    mentioned_ids,
    message_time,
    plain_emoji,
    printed_time,
    without_names,
)
from training.exports.file import ExportFile, Part
from training.exports.indented_json import OPENING, TOO_LONG, Block, blocks
from training.exports.json_values import MAX_VALUE_BYTES, UNDECODABLE, JsonError, json_values, repaired
from training.exports.message import GONE, Message

NAME = "DiscordChatExporter's JSON"

_FIRST_KEY = re.compile(rb'(?:\xef\xbb\xbf)?[\s\0]*\{\s*"guild"\s*:')
_OWN_LAYOUT = re.compile(rb'\n  "messages": \[(?=\r?\n    \{\r?\n|\]|\s*\Z)')
_PART_BYTES = 1 << 25


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
    mentions: tuple[_User, ...] | None = None  # a list is slower to make
    reference: _Reference | None = None


class _Guild(msgspec.Struct):
    id: str | int | None = None


class _Channel(msgspec.Struct):
    id: str | int | None = None
    name: str | None = None
    type: str | int | None = None
    category: str | None = None


_DECODER = msgspec.json.Decoder(_Record)
_BLOCK_DECODER = msgspec.json.Decoder(list[_Record])


def recognises(export: ExportFile) -> bool:
    """Whether a file begins as the exporter begins it: with the guild."""
    return _FIRST_KEY.match(export.head) is not None


def parts(export: ExportFile) -> list[Part]:
    """Divide a big file in the exporter's own layout; another is one part and not divided."""
    size = export.path.stat().st_size
    if size <= _PART_BYTES or not export.is_seekable or not _OWN_LAYOUT.search(export.head):
        return []
    return [Part(begin, min(begin + _PART_BYTES, size)) for begin in range(0, size, _PART_BYTES)]


def read(export: ExportFile) -> Iterator[Message]:
    """Yield the messages in file order; garbled ones and a missing end are noted."""
    channel = _channel(export)
    layout = _OWN_LAYOUT.search(export.head)
    for records in _own_layout(export, layout.end()) if layout else _any_layout(export):
        for record in records:
            yield _to_message(channel, record)


def _channel(export: ExportFile) -> str:
    """Describe the channel, which the exporter writes before the messages, and return its id."""
    guild, channel = _Guild(), _Channel()
    with export.open() as stream, contextlib.suppress(JsonError, *UNDECODABLE):  # reading the messages will tell
        for value in json_values(stream, ("guild", "channel", "messages.[]"), lambda byte, why: None):
            if value.place == "guild":
                guild = msgspec.json.decode(value.text, type=_Guild)
            elif value.place == "channel":
                channel = msgspec.json.decode(value.text, type=_Channel)
            else:
                break
    id_ = str(channel.id) if channel.id else id_in_file_name(export) or export.channel
    export.describe(
        channel_of(id_, channel.name, category=channel.category, kind=str(channel.type), guild=str(guild.id))
    )
    return id_


def _own_layout(export: ExportFile, begin: int) -> Iterator[list[_Record]]:
    """Decode many records at once, and one by one where that fails."""
    count = 0
    for block in blocks(export, begin):
        try:
            records = _BLOCK_DECODER.decode(block.array())
            count += len(records)
        except UNDECODABLE:
            records = list(_decode_one_by_one(export, block, count))
            count += block.text.count(OPENING) - block.is_cut_within()
        yield records
        if block.is_cut():
            export.cut(count, block.byte + len(block.text))


def _decode_one_by_one(export: ExportFile, block: Block, count: int) -> Iterator[_Record]:
    for number, (byte, text) in enumerate(block.objects(), count + 1):
        if text == TOO_LONG:
            export.garbled(number, byte, f"it is longer than {MAX_VALUE_BYTES >> 20} MiB")
        elif record := _decode(export, number, byte, text):
            yield record


def _decode(export: ExportFile, number: int, byte: int, text: bytes) -> _Record | None:
    try:
        try:
            return _DECODER.decode(text)
        except UNDECODABLE:
            return _DECODER.decode(repaired(text))
    except UNDECODABLE as error:
        export.garbled(number, byte, error)
        return None


def _any_layout(export: ExportFile) -> Iterator[list[_Record]]:
    for number, value in enumerate(export.values("messages.[]"), 1):
        if record := _decode(export, number, value.byte, value.text):
            yield [record]


def _to_message(channel: str, record: _Record) -> Message:
    id_, author, kind = str(record.id), record.author, str(record.type)
    content = record.content or ""
    mentions: tuple[str, ...] = ()
    if "@" in content or "<" in content:
        content, mentions = _without_names(content, record.mentions or ())
    return Message(
        channel=channel,
        id=id_,
        author=str(author.id),
        timestamp=message_time(id_, record.timestamp),
        content=content,
        reply_to=_reply_target(record.reference) if kind in REPLY_TYPES else None,
        edited=printed_time(record.edited) if record.edited else None,
        is_bot=author.is_bot or kind in COMMAND_OUTPUT_TYPES,
        is_system=kind not in WRITTEN_TYPES,
        name=author.nickname or author.name,
        mentions=mentions,
    )


def _without_names(content: str, mentioned: tuple[_User, ...]) -> tuple[str, tuple[str, ...]]:
    """The content without the names of whom it mentions, and their ids: Discord also lists whom a reply pings."""
    names = [(name, str(user.id)) for user in mentioned for name in (user.nickname, user.name) if name]
    ids = [id_ for name, id_ in names if f"@{name}" in content]
    mentions = tuple(dict.fromkeys((*ids, *mentioned_ids(content))))
    return without_names(plain_emoji(content), [name for name, _ in names]), mentions


def _reply_target(reference: _Reference | None) -> str | None:
    if reference is not None and reference.type == "Forward":
        return None
    return GONE if reference is None or reference.message_id is None else str(reference.message_id)
