"""Which column of a table, or key of a record, means what; and records with those names in, messages out."""

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

import msgspec

from training.exports.channel_names import sounds_nsfw, stem
from training.exports.file import ExportFile
from training.exports.message import Channel, Message, seconds_since_epoch
from training.exports.stable_ids import StableIds
from training.exports.time_range import checked_time

COMMON_NAMES = {
    "author": "author_id user_id sender_id speaker_id author user sender from nick speaker username nickname "
    "screen_name author_name user_name sender_name from_name role name",
    "content": "content contents text message body msg message_text utterance",
    "timestamp": "timestamp time date datetime created_at created created_utc sent_at ts",
    "id": "id message_id msg_id",
    "conversation": "conversation conversation_id channel channel_id room room_id thread thread_id dialogue "
    "dialogue_id dialog dialog_id chat chat_id",
    "reply_to": "reply_to reply_to_id reply_to_message_id in_reply_to in_reply_to_id parent parent_id",
    "is_bot": "is_bot bot",
    "is_system": "is_system",
    "name": "name display_name author_name user_name sender_name from_name username nickname nick author user sender",
}
"""What the columns of messages are called elsewhere, the likeliest first; case, spaces and `_` do not matter."""

OUR_NAMES = (*COMMON_NAMES, "source", "target")
"""What a user can give columns for; the last two are those of pairs."""

_REQUIRED = frozenset({"author", "content"})
_SEPARATORS = re.compile(r"[\W_]+")
_FALSE = frozenset({"", "0", "false", "no", "n", "f", "none", "null"})
_IDENTITIES = ("id", "username", "name")  # of an author that is a record itself, the surest first
_BOT_SIGNS = ("bot", "is_bot", "isBot")
_MILLISECONDS_FROM = 1e11  # as seconds: the year 5138
_SECONDS = re.compile(r"\d{9,19}(?:\.\d*)?|\d{1,7}")  # eight digits are a day


class Record(msgspec.Struct, gc=False):
    """A message as a table has it, under our names."""

    author: str | int | float | dict[str, Any] | None = None
    content: str | None = None
    timestamp: str | int | float | None = None
    id: str | int | None = None
    conversation: str | int | None = None
    reply_to: str | int | None = None
    is_bot: str | int | bool | None = None
    is_system: str | int | bool | None = None
    name: str | None = None


def find_columns(names: Iterable[str], given: Mapping[str, str]) -> dict[str, str] | None:
    """Find out what the columns of a table mean.

    Args:
        names: of its columns.
        given: what the user says of some: our name to theirs. One that this table does not have is guessed like others.

    Returns:
        Our names to theirs; None if nobody says anything in that table.
    """
    found = dict(_find_columns(tuple(names), tuple(given.items())))
    return found if found.keys() >= _REQUIRED else None


@lru_cache(maxsize=256)  # a folder may hold thousands of files with the same columns
def _find_columns(names: tuple[str, ...], given: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    theirs = {_plain(name): name for name in reversed(names)}
    found = {ours: name for ours, name in given if name in names}
    for ours, common in _PLAIN_NAMES.items():
        if ours not in found:
            candidates = map(theirs.get, common)
            if name := next((name for name in candidates if name and name not in found.values()), None):
                found[ours] = name
    return tuple(found.items())


def _plain(name: str) -> str:
    return _SEPARATORS.sub("", name.casefold())


_PLAIN_NAMES = {ours: tuple(map(_plain, common.split())) for ours, common in COMMON_NAMES.items()}


class RecordReader:
    """Makes messages of the records of one export, in order."""

    def __init__(self, export: ExportFile, first_times: Iterable[object], *, is_divided: bool = False) -> None:
        """Begin with an export.

        Args:
            export: the whole, or a part of it.
            first_times: of the records at its beginning, to see whether there is a clock in them.
            is_divided: whether others read other parts of it, so that equal messages cannot be counted.
        """
        name = stem(export)
        export.describe(Channel(export.channel, name, is_nsfw=sounds_nsfw(name)))
        self._export = export
        self._own_channel = export.channel
        self._ids = StableIds()
        self._is_divided = is_divided
        self._last_conversation: str | int | None = None
        self._has_clock = True
        times = [time for time in first_times if time not in (None, "")]
        if times and not any(map(_is_time, times)):
            self._has_clock = False
            export.warn(f"the times in {export.name} are neither ISO 8601 nor seconds: the order of the file is used")

    def message(self, record: Record, byte: int) -> Message:
        """Make a message of the record that begins at a byte. Raises ValueError if it is none."""
        author, is_bot = record.author, record.is_bot
        if isinstance(author, dict):
            is_bot = is_bot or next((author[sign] for sign in _BOT_SIGNS if sign in author), None)
            author = next((author[key] for key in _IDENTITIES if author.get(key)), None)
        if author is None or author == "":
            raise ValueError("it has no author")
        timestamp = _seconds(record.timestamp) if self._has_clock else None
        content = record.content or ""
        id_ = self._id(str(author), timestamp, content, byte) if record.id in (None, "") else str(record.id)
        reply_to = None if record.reply_to in (None, "") else str(record.reply_to)
        return Message(
            channel=self._channel(record.conversation),
            id=id_,
            author=str(author),
            timestamp=timestamp,
            content=content,
            reply_to=None if reply_to == id_ else reply_to,  # as some mark what begins a thread
            is_bot=is_bot is not None and _is_true(is_bot),
            is_system=record.is_system is not None and _is_true(record.is_system),
            name=record.name or None,
        )

    def _channel(self, conversation: str | int | None) -> str:
        if conversation is None or conversation == "":
            return self._own_channel
        if conversation != self._last_conversation:
            self._last_conversation = conversation
            if sounds_nsfw(str(conversation)):
                self._export.describe(Channel(str(conversation), str(conversation), is_nsfw=True))
        return str(conversation)

    def _id(self, author: str, timestamp: float | None, content: str, byte: int) -> str:
        """An id for a message without; where it stands counts if there is no clock, or others read other parts."""
        place = f"@{byte}" if timestamp is None or self._is_divided else ""
        return self._ids(author, f"{timestamp}{place}", content)


def _is_true(value: object) -> bool:
    return value is True or (bool(value) and str(value).casefold() not in _FALSE)


def _is_time(value: object) -> bool:
    try:
        return _seconds(value) is not None
    except ValueError:
        return False


def _seconds(value: object) -> float | None:
    """Seconds since the epoch, from ISO 8601, RFC 2822, or seconds or milliseconds. Raises ValueError if it is none."""
    if value is None or value == "":
        return None
    if isinstance(value, str) and not _SECONDS.fullmatch(value.strip()):
        return checked_time(_printed(value.strip()))
    seconds = float(str(value))
    while _MILLISECONDS_FROM < seconds < math.inf:
        seconds /= 1000
    return checked_time(seconds)


def _printed(time: str) -> float:
    try:
        return seconds_since_epoch(time.removesuffix(" UTC"))
    except ValueError:
        moment = parsedate_to_datetime(time)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
