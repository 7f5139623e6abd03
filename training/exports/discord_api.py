"""Lists of messages as Discord's API gives them and as many tools and bots store them.

A JSON array, an object with such an array under `messages`, pages of the search, whose elements are arrays again, or
one message a line. After https://docs.discord.com/developers/resources/message.
"""

import contextlib
import itertools
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
)
from training.exports.file import ExportFile, Part
from training.exports.json_head import json_head
from training.exports.json_values import UNDECODABLE, repaired
from training.exports.message import GONE, Message

NAME = "Discord's API's messages in JSON"

_PLACES = ("[]", "messages.[]")
_SNIFFED = 10
_FORWARD = 1
_OBJECT = re.compile(rb"(?:\xef\xbb\xbf)?[\s\0]*\{")


class _User(msgspec.Struct, gc=False):
    id: str | int
    username: str
    global_name: str | None = None
    bot: bool | None = None


class _Member(msgspec.Struct, gc=False):
    nick: str | None = None


class _Reference(msgspec.Struct, gc=False):
    message_id: str | int | None = None
    type: int | None = None


class _Record(msgspec.Struct, gc=False):
    id: str | int
    author: _User
    content: str
    timestamp: str
    type: int = 0
    channel_id: str | int | None = None
    edited_timestamp: str | None = None
    message_reference: _Reference | None = None
    member: _Member | None = None
    webhook_id: str | int | None = None


class _Channel(msgspec.Struct):
    id: str | int | None = None
    name: str | None = None
    type: int | None = None
    nsfw: bool | None = None
    guild_id: str | int | None = None


_DECODER = msgspec.json.Decoder(_Record)


def recognises(export: ExportFile) -> bool:
    """Whether one of the first messages has an author with a `username`, as only the API's has."""
    first = itertools.islice(json_head(export, *_PLACES), _SNIFFED)
    return any(_is_message(value.text) for value in first) or _has_lines(export)


def parts(export: ExportFile) -> list[Part]:
    """Divide a big file with one message a line."""
    return export.ranges() if _has_lines(export) else []


def read(export: ExportFile) -> Iterator[Message]:
    """Yield the messages in file order; garbled ones and a missing end are noted."""
    channel = _Channel(id_in_file_name(export) or export.channel)
    seen: set[str] = set()
    for number, (place, byte, text) in enumerate(_values(export), 1):
        for part in _elements(text):
            try:
                if place == "channel":
                    channel = msgspec.json.decode(part, type=_Channel)
                    continue
                message = _to_message(_decode(part), str(channel.id))
            except UNDECODABLE as error:
                export.garbled(number, byte, error)
                continue
            if message.channel not in seen:
                seen.add(message.channel)
                _describe(export, message.channel, channel)
            yield message


def _values(export: ExportFile) -> Iterator[tuple[str, int, bytes]]:
    """Yield messages, and what is said of their channel, with the place and byte at which they stand."""
    if not _has_lines(export):
        yield from export.values("channel", *_PLACES)
        return
    for byte, line in export.lines():
        if line.strip():
            yield "[]", byte, line.encode()


def _has_lines(export: ExportFile) -> bool:
    """Whether it has one message a line."""
    if not _OBJECT.match(export.head):
        return False
    return any(map(_is_message, export.head.split(b"\n", _SNIFFED)[:_SNIFFED]))


def _is_message(text: bytes) -> bool:
    for element in _elements(text.removeprefix(b"\xef\xbb\xbf")):
        with contextlib.suppress(*UNDECODABLE):
            return bool(_decode(element))
    return False


def _elements(text: bytes) -> list[bytes]:
    """The messages of a page of the search; one message is its own page."""
    if text.lstrip().startswith(b"["):
        with contextlib.suppress(*UNDECODABLE):
            return [bytes(element) for element in msgspec.json.decode(text, type=list[msgspec.Raw])]
    return [text]


def _decode(text: bytes) -> _Record:
    try:
        return _DECODER.decode(text)
    except UNDECODABLE:
        return _DECODER.decode(repaired(text))


def _describe(export: ExportFile, id_: str, channel: _Channel) -> None:
    if str(channel.id) != id_:
        channel = _Channel()
    export.describe(channel_of(id_, channel.name, kind=str(channel.type), is_nsfw=bool(channel.nsfw)))


def _to_message(record: _Record, channel: str) -> Message:
    id_, author, kind = str(record.id), record.author, str(record.type)
    is_forward = record.message_reference is not None and record.message_reference.type == _FORWARD
    return Message(
        channel=channel if record.channel_id is None else str(record.channel_id),
        id=id_,
        author=str(author.id),
        timestamp=message_time(id_, record.timestamp),
        content=plain_emoji(record.content),
        reply_to=_reply_target(record.message_reference) if kind in REPLY_TYPES and not is_forward else None,
        edited=printed_time(record.edited_timestamp) if record.edited_timestamp else None,
        is_bot=bool(author.bot) or record.webhook_id is not None or kind in COMMAND_OUTPUT_TYPES,
        is_system=kind not in WRITTEN_TYPES,
        name=(record.member and record.member.nick) or author.global_name or author.username,
        mentions=mentioned_ids(record.content),
    )


def _reply_target(reference: _Reference | None) -> str:
    return GONE if reference is None or reference.message_id is None else str(reference.message_id)
