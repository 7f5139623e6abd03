"""Element's JSON export of a Matrix room: the raw events."""

import html
import re
from collections.abc import Iterator
from typing import TypeVar

import msgspec

from training.exports.channel_names import sounds_nsfw
from training.exports.file import ExportFile
from training.exports.json_head import json_head
from training.exports.json_values import UNDECODABLE
from training.exports.message import Channel, Message
from training.exports.time_range import checked_milliseconds

NAME = "Element's JSON of a Matrix room"

_EXPORTER_KEYS = ("export_date", "exported_by")
_SPOKEN_TYPES = frozenset({"m.room.message", "m.sticker", "m.room.encrypted"})
_MARK_TYPES = frozenset({"m.reaction", "m.room.redaction"})
_TEXT_TYPES = frozenset({"m.text", "m.emote", "m.notice"})
_QUOTED = re.compile(r"> (?:\* )?<@[^>\n]+>[^\n]*\n(?:>[^\n]*\n)*\n?")
_PILL = re.compile(r'<a href="https://matrix\.to/#/(@[^"/?]+:[^"/?]+)[^"]*">([^<]*)</a>')
_PILL_MARKS = re.compile(r"%40|%3A", re.IGNORECASE)
_MAX_REMEMBERED = 1 << 15


class _Content(msgspec.Struct, gc=False):
    msgtype: str | None = None
    body: str | None = None
    filename: str | None = None
    formatted_body: str | None = None
    relates_to: "_Relation | None" = msgspec.field(name="m.relates_to", default=None)
    new_content: "_Content | None" = msgspec.field(name="m.new_content", default=None)
    mentions: "_Mentions | None" = msgspec.field(name="m.mentions", default=None)
    displayname: str | None = None


class _InReplyTo(msgspec.Struct, gc=False):
    event_id: str | None = None


class _Relation(msgspec.Struct, gc=False):
    rel_type: str | None = None
    event_id: str | None = None
    is_falling_back: bool | None = None
    in_reply_to: _InReplyTo | None = msgspec.field(name="m.in_reply_to", default=None)


class _Mentions(msgspec.Struct, gc=False):
    user_ids: list[str] | None = None


class _Event(msgspec.Struct, gc=False):
    event_id: str
    sender: str
    type: str
    origin_server_ts: int | float | None = None
    room_id: str | None = None
    state_key: str | None = None
    content: _Content | None = None


_V = TypeVar("_V")
_DECODER = msgspec.json.Decoder(_Event)
_TEXT = msgspec.json.Decoder(str | None)


def recognises(export: ExportFile) -> bool:
    """Whether a file begins with a room's name and who exported it, and holds Matrix events."""
    keys = {value.place for value in json_head(export, "room_name", *_EXPORTER_KEYS)}
    return "room_name" in keys and len(keys) > 1 and b'"messages"' in export.head


def read(export: ExportFile) -> Iterator[Message]:
    """Yield the messages in file order, an edit as a later form of its message; garbled ones are noted."""
    name: str | None = None
    room: _Room | None = None
    for number, value in enumerate(export.values("room_name", "messages.[]"), 1):
        try:
            if value.place == "room_name":
                name = _TEXT.decode(value.text)
                continue
            event = _DECODER.decode(value.text)
            room = room or _Room(event.room_id or name or export.file_name, name, export)
            if event.type not in _MARK_TYPES:
                yield room.message(event)
        except UNDECODABLE as error:
            export.garbled(number, value.byte, error)


class _Room:
    """A room: the names its members have at the time, and where the latest messages stand, which edits may change."""

    def __init__(self, id_: str, name: str | None, export: ExportFile) -> None:
        self._id = id_
        self._names: dict[str, str] = {}
        self._places: dict[str, tuple[float | None, str | None]] = {}  # by id: time, what it answers
        export.describe(Channel(id_, name, is_nsfw=sounds_nsfw(name)))

    def message(self, event: _Event) -> Message:
        content = event.content or _Content()
        if event.type == "m.room.member" and content.displayname and event.state_key:
            _remember(self._names, event.state_key, content.displayname)
        message = self._to_message(event, content)
        if content.relates_to and content.relates_to.rel_type == "m.replace" and content.relates_to.event_id:
            return self._edited(content.relates_to.event_id, message)
        if not message.is_system:
            _remember(self._places, message.id, (message.timestamp, message.reply_to))
        return message

    def _to_message(self, event: _Event, content: _Content) -> Message:
        text, mentions = _plain(content.new_content or content)
        return Message(
            channel=self._id,
            id=event.event_id,
            author=event.sender,
            timestamp=None if event.origin_server_ts is None else checked_milliseconds(event.origin_server_ts),
            content=text,
            reply_to=_target(content.relates_to),
            is_bot=content.msgtype == "m.notice",
            is_system=event.state_key is not None or event.type not in _SPOKEN_TYPES,
            name=self._names.get(event.sender),
            mentions=mentions,
        )

    def _edited(self, id_: str, edit: Message) -> Message:
        """The message that an edit changes: its new text at its old place."""
        timestamp, reply_to = self._places.get(id_, (edit.timestamp, edit.reply_to))
        return msgspec.structs.replace(edit, id=id_, timestamp=timestamp, reply_to=reply_to, edited=edit.timestamp)


def _target(relation: _Relation | None) -> str | None:
    """The event answered. In a thread every event names the one before it for clients without threads: no answer."""
    if relation is None or relation.in_reply_to is None or relation.is_falling_back:
        return None
    return relation.in_reply_to.event_id


def _plain(content: _Content) -> tuple[str, tuple[str, ...]]:
    """The text without the quotation of what it answers, mentions as `@Name`; and the ids mentioned."""
    body = content.body or ""
    if content.msgtype not in _TEXT_TYPES:  # a file: its name, or with a name of its own a caption
        body = body if content.filename and content.filename != body else ""
    body = _QUOTED.sub("", body, count=1) if body.startswith("> ") else body
    mentions = dict.fromkeys((content.mentions and content.mentions.user_ids) or ())
    if content.formatted_body and "matrix.to" in content.formatted_body:
        for id_, name in _PILL.findall(_PILL_MARKS.sub(_unquoted, content.formatted_body)):
            if shown := html.unescape(name).removeprefix("@"):
                body = re.sub(rf"(?<![\w@])(?={re.escape(shown)}(?!\w))", "@", body, count=1)
            mentions[id_] = None
    return body, tuple(mentions)


def _unquoted(mark: re.Match[str]) -> str:
    return "@" if mark[0] == "%40" else ":"


def _remember(memory: dict[str, _V], key: str, value: _V) -> None:
    """Keep a value, and forget the oldest one if there are too many."""
    memory.pop(key, None)
    if len(memory) >= _MAX_REMEMBERED:
        del memory[next(iter(memory))]
    memory[key] = value
