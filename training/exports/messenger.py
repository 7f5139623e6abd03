"""Facebook Messenger's (and Instagram's) export: a folder a conversation, in files of 10,000 messages, newest first.

The newer download of encrypted conversations has other keys and whole characters; both are read.
"""

import contextlib
import re
from collections.abc import Iterator

import msgspec

from training.exports.channel_names import folder, sounds_nsfw
from training.exports.file import ExportFile
from training.exports.json_head import json_head
from training.exports.json_values import UNDECODABLE, JsonError, json_values
from training.exports.message import Channel, Message
from training.exports.stable_ids import StableIds
from training.exports.time_range import checked_milliseconds

NAME = "Facebook Messenger's JSON"

_KEYS = ((b'"sender_name"', b'"timestamp_ms"'), (b'"senderName"', b'"isUnsent"', b'"timestamp"'))
_PLACES = ("thread_path", "title", "threadName")
_CALL_TYPES = frozenset({"Call", "Subscribe", "Unsubscribe"})

# What Facebook writes under a person's name, for accounts in English: its only sign is that it begins with that name.
_NOTICE = re.compile(
    r"(?:named the group|changed the (?:group photo|chat theme|theme|group name)|left the group|created the group"
    r"|set (?:the|your|his|her|their) (?:own )?(?:nickname|emoji|quick reaction)|joined the (?:call|video chat|group)"
    r"|started a (?:call|video chat|video call)|(?:added|removed) .{1,80} (?:to|from) the group|pinned a message"
    r"|sent an? (?:attachment|photo|video|GIF|link|sticker|voice message|live location)|unsent a message"
    r"|(?:missed a|missed your) (?:video )?(?:call|chat)|called you|turned (?:on|off) )[^\n]*"
)
_NOTICE_BY_NOBODY = re.compile(
    r"Reacted \S+ to your message\s*|You missed a (?:video )?(?:call|chat) from .{1,80}\.?"
    r"|(?:You are now connected on Messenger|Say hi to your new (?:Facebook friend|connection)).*"
)


class _Record(msgspec.Struct, gc=False):
    sender: str | None = msgspec.field(name="sender_name", default=None)
    time: int | float | None = msgspec.field(name="timestamp_ms", default=None)
    content: str | None = None
    type: str | None = None
    call_duration: int | float | None = None
    is_unsent: bool | None = None
    encrypted_sender: str | None = msgspec.field(name="senderName", default=None)
    encrypted_time: int | float | None = msgspec.field(name="timestamp", default=None)
    encrypted_content: str | None = msgspec.field(name="text", default=None)
    encrypted_is_unsent: bool | None = msgspec.field(name="isUnsent", default=None)


_DECODER = msgspec.json.Decoder(_Record)


def recognises(export: ExportFile) -> bool:
    """Whether a file lists messages with Messenger's keys."""
    first = next(json_head(export, "messages.[]"), None)
    text = first.text if first else export.head if b'"participants"' in export.head else b""  # too long for the head
    return any(all(key in text for key in keys) for keys in _KEYS)


def read(export: ExportFile) -> Iterator[Message]:
    """Yield the messages in file order, newest first; garbled ones and a missing end are noted."""
    channel = _channel(export)
    export.describe(channel)
    new_id = StableIds()
    for number, value in enumerate(export.values("messages.[]"), 1):
        try:
            yield _to_message(channel.id, _DECODER.decode(value.text), new_id)
        except UNDECODABLE as error:
            export.garbled(number, value.byte, error)


def _channel(export: ExportFile) -> Channel:
    """What a file says behind its messages; the name of its folder, if it does not come so far."""
    said: dict[str, str] = {}
    with export.open() as stream, contextlib.suppress(JsonError, *UNDECODABLE):
        for value in json_values(stream, _PLACES, lambda byte, why: None):
            said[value.place] = _repaired(msgspec.json.decode(value.text, type=str))
    name = said.get("title") or said.get("threadName")
    return Channel(said.get("thread_path") or said.get("threadName") or folder(export), name, True, sounds_nsfw(name))


def _to_message(channel: str, record: _Record, new_id: StableIds) -> Message:
    name = _repaired(record.sender or record.encrypted_sender or "")
    content = _repaired(record.content or record.encrypted_content or "")
    time = record.encrypted_time if record.time is None else record.time
    is_unsent = record.is_unsent or record.encrypted_is_unsent
    return Message(
        channel=channel,
        id=new_id(name, str(time), content),
        author=name,
        timestamp=None if time is None else checked_milliseconds(time),
        content="" if is_unsent else content,
        is_system=record.type in _CALL_TYPES or record.call_duration is not None or _is_notice(name, content),
        name=name or None,
    )


def _is_notice(name: str, content: str) -> bool:
    for subject in (name, name.split(" ")[0], "You"):
        if subject and content.startswith(f"{subject} ") and _NOTICE.fullmatch(content, len(subject) + 1):
            return True
    return _NOTICE_BY_NOBODY.fullmatch(content) is not None


def _repaired(text: str) -> str:
    """A text as it was written: Facebook prints each byte of UTF-8 as a character of its own."""
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text
