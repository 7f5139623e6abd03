"""Slack's export: a folder a channel, a file a day, and lists of users and channels beside the folders.

A message in a thread answers the one before it in that thread, because Slack shows a thread as a talk of its own.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TypeVar

import msgspec

from training.exports.channel_names import folder, sounds_nsfw
from training.exports.file import ExportFile
from training.exports.json_values import UNDECODABLE
from training.exports.message import Channel, Message
from training.exports.time_range import checked_time

NAME = "Slack's export"

_LIST_OF_OBJECTS = re.compile(rb"(?:\xef\xbb\xbf)?[\s\0]*\[[\s\0]*\{")
_TYPE = re.compile(rb'"type"\s*:\s*"message"')
_TIME = re.compile(rb'"ts"\s*:\s*"\d{9,10}\.\d+"')

_BOT_SUBTYPES = frozenset({"bot_message", "slackbot_response"})
_SPOKEN_SUBTYPES = _BOT_SUBTYPES | {None, "me_message", "thread_broadcast", "file_share", "tombstone"}
_SLACK_BOT = "USLACKBOT"

_TOKEN = re.compile(r"<([^<>\n]*)>")
_MENTION = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^<>]*)?>:?")
_UPLOAD_NOTICE = re.compile(r"<@\w+(?:\|[^>]*)?> (?:uploaded|shared) a file: <[^>]*>(?: and commented: )?")
_MAX_THREADS = 10_000

_LISTS = {"channels.json": False, "groups.json": True, "dms.json": True, "mpims.json": True}  # whether private


class _Profile(msgspec.Struct, gc=False):
    display_name: str | None = None
    real_name: str | None = None


class _User(msgspec.Struct, gc=False):
    id: str = ""
    name: str | None = None
    is_bot: bool | None = None
    profile: _Profile | None = None


class _Room(msgspec.Struct, gc=False):
    id: str = ""
    name: str | None = None


class _Edited(msgspec.Struct, gc=False):
    ts: str | None = None


class _Record(msgspec.Struct, gc=False):
    ts: str
    type: str = "message"
    subtype: str | None = None
    user: str | None = None
    bot_id: str | None = None
    username: str | None = None
    user_profile: _Profile | None = None
    text: str | None = None
    thread_ts: str | None = None
    edited: _Edited | None = None


_T = TypeVar("_T")
_DECODER = msgspec.json.Decoder(_Record)
_ROOMS = msgspec.json.Decoder(list[_Room])
_USERS = msgspec.json.Decoder(list[_User])


def recognises(export: ExportFile) -> bool:
    """Whether a file is a list of messages with Slack's kind of time, unlike the lists of users and channels."""
    return bool(_LIST_OF_OBJECTS.match(export.head) and _TYPE.search(export.head) and _TIME.search(export.head))


def read(export: ExportFile) -> Iterator[Message]:
    """Yield the messages of one channel's day in file order; garbled ones are noted."""
    channel = _channel(export)
    export.describe(channel)
    users = _users(export.sibling("../users.json"))
    threads = _Threads()
    for number, value in enumerate(export.values("[]"), 1):
        try:
            record = _DECODER.decode(value.text)
            message = _to_message(channel.id, record, users)
        except UNDECODABLE as error:
            export.garbled(number, value.byte, error)
            continue
        if record.thread_ts:
            message = msgspec.structs.replace(message, reply_to=threads.target(record.thread_ts, message))
        yield message


def _channel(export: ExportFile) -> Channel:
    """What the lists say of the folder's channel; conversations of two are known by their id, all others by name."""
    name = folder(export)
    for list_, is_private in _LISTS.items():
        rooms = _rooms(export.sibling(f"../{list_}"))
        if name in rooms:
            return Channel(rooms[name], name, is_private, sounds_nsfw(name))
    return Channel(name, name, is_nsfw=sounds_nsfw(name))


@lru_cache(maxsize=len(_LISTS))
def _rooms(text: bytes | None) -> dict[str, str]:
    """The ids of the channels of a list by the names of their folders. All days of all channels share it."""
    return {room.name or room.id: room.id for room in _decode(_ROOMS, text) if room.id}


@lru_cache(maxsize=1)
def _users(text: bytes | None) -> dict[str, _User]:
    return {user.id: user for user in _decode(_USERS, text)}


def _decode(decoder: msgspec.json.Decoder[list[_T]], text: bytes | None) -> list[_T]:
    try:
        return decoder.decode(text) if text else []
    except UNDECODABLE:
        return []


def _to_message(channel: str, record: _Record, users: dict[str, _User]) -> Message:
    author = record.user or record.bot_id or record.username or ""
    user = users.get(author)
    content, mentions = _plain(record.text or "", record.subtype)
    is_bot = bool(record.subtype in _BOT_SUBTYPES or record.bot_id or author == _SLACK_BOT or (user and user.is_bot))
    return Message(
        channel=channel,
        id=record.ts,
        author=author,
        timestamp=checked_time(float(record.ts)),
        content=content,
        edited=checked_time(float(record.edited.ts)) if record.edited and record.edited.ts else None,
        is_bot=is_bot,
        is_system=record.type != "message" or record.subtype not in _SPOKEN_SUBTYPES,
        name=_name(record, user),
        mentions=mentions,
    )


def _name(record: _Record, user: _User | None) -> str | None:
    profiles = (profile for profile in (user and user.profile, record.user_profile) if profile)
    names: Iterable[str | None] = (name for profile in profiles for name in (profile.display_name, profile.real_name))
    return next((name for name in names if name), None) or (user.name if user else None) or record.username


def _plain(text: str, subtype: str | None) -> tuple[str, tuple[str, ...]]:
    """A text without Slack's marks, where a mention is `@` and the id; and the ids mentioned."""
    if subtype == "tombstone":  # of a deleted message that had replies
        return "", ()
    if subtype == "file_share":
        text = _UPLOAD_NOTICE.sub("", text)
    mentions: tuple[str, ...] = ()
    if "<" in text:
        mentions = tuple(dict.fromkeys(_MENTION.findall(text)))
        text = _TOKEN.sub(_shown, _MENTION.sub(r"@\1", text))
    if "&" in text:
        text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return text, mentions


def _shown(token: re.Match[str]) -> str:
    """What people see of `<http://x|label>`, `<#C1|name>`, `<!here>`, `<!date^1^{date}|fallback>`."""
    target, _, label = token[1].partition("|")
    if target.startswith("!"):
        return label if target.startswith("!date") else ""
    return f"#{label}" if target.startswith("#") and label else label or target


class _Threads:
    """The last message of each thread of a day, for the next one to answer."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, str, str]] = {}  # by root: id, author, what it answers

    def target(self, root: str, message: Message) -> str | None:
        """What a message answers: the one before it by somebody else; the root if that lies in another file."""
        if message.is_bot or message.is_system:
            return root if message.id != root else None
        id_, author, before = self._last.pop(root, (root, "", root))
        target = before if author == message.author else id_
        if len(self._last) >= _MAX_THREADS:
            del self._last[next(iter(self._last))]
        self._last[root] = (message.id, message.author, target)
        return None if message.id == root else target
