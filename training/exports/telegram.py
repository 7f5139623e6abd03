"""Telegram Desktop's machine-readable export: one chat, or a whole account with its chats in lists."""

import re
from collections.abc import Iterator

import msgspec

from training.exports.channel_names import sounds_nsfw
from training.exports.file import ExportFile
from training.exports.json_head import json_head
from training.exports.json_values import UNDECODABLE
from training.exports.message import GONE, Channel, Message, seconds_since_epoch
from training.exports.time_range import checked_time

NAME = "Telegram Desktop's JSON"

_CHATS = ("", "chats.list.[].", "left_chats.list.[].")  # where a chat's own keys stand
_CHAT_TYPE = re.compile(r"\w+_chat|saved_messages|replies|verification_codes|(?:private|public)_\w*(?:group|channel)")
_PRIVATE_TYPE = re.compile(r"(?:personal|private|bot)_\w+|saved_messages")
_ACCOUNT = ("personal_information.user_id", *(f"{key}.about" for key in ("contacts", "frequent_contacts", "chats")))
_BOT_NAME = re.compile(r"(?<![^\W_])(?i:bot)\W*$|[a-z]B(?:ot|OT)\W*$")
_MAX_TOPICS = 10_000


class _Entity(msgspec.Struct, gc=False):
    text: str = ""
    type: str | None = None
    user_id: int | str | None = None


class _Record(msgspec.Struct, gc=False):
    id: int | str
    type: str = "message"
    date: str | None = None
    date_unixtime: str | int | None = None
    from_: str | None = msgspec.field(name="from", default=None)
    from_id: str | int | None = None
    actor: str | None = None
    actor_id: str | int | None = None
    action: str | None = None
    text: str | list[str | _Entity] | None = None
    text_entities: list[_Entity] | None = None
    reply_to_message_id: int | str | None = None
    reply_to_peer_id: int | str | None = None
    edited: str | None = None
    edited_unixtime: str | int | None = None
    forwarded_from: str | bool | None = False  # null if by an account that is gone
    via_bot: str | None = None


_DECODER = msgspec.json.Decoder(_Record)
_KEY = msgspec.json.Decoder(str | int | None)


def recognises(export: ExportFile) -> bool:
    """Whether a file is a chat of one of Telegram's types, or begins like the export of an account."""
    about = False
    for value in json_head(export, "about", *_ACCOUNT, *(f"{where}type" for where in _CHATS)):
        if value.place.endswith("type") and _CHAT_TYPE.fullmatch(str(_key(value.text))):
            return b'"messages"' in export.head
        if about and value.place in _ACCOUNT:
            return True
        about = about or value.place == "about"
    return False


def read(export: ExportFile) -> Iterator[Message]:
    """Yield the messages of all chats in file order; garbled ones and a missing end are noted."""
    keys: dict[str, str | int | None] = {}
    chat: _Chat | None = None
    places = (f"{where}{key}" for where in _CHATS for key in ("name", "type", "id", "messages.[]"))
    for number, value in enumerate(export.values(*places), 1):
        key = value.place.rpartition(".")[2]
        if key != "[]":
            if chat or key in keys:  # the next chat begins
                keys, chat = {}, None
            keys[key] = _key(value.text)
            continue
        chat = chat or _Chat(keys, export)
        try:
            yield chat.message(_DECODER.decode(value.text))
        except UNDECODABLE as error:
            export.garbled(number, value.byte, error)


class _Chat:
    """One chat: what its keys say, and what its messages need to know of those before them."""

    def __init__(self, keys: dict[str, str | int | None], export: ExportFile) -> None:
        name = keys.get("name")
        self._id = str(keys.get("id") or name or export.file_name)
        self._partner_is_bot = keys.get("type") == "bot_chat"
        self._topics: set[str] = set()
        is_private = _PRIVATE_TYPE.fullmatch(str(keys.get("type"))) is not None
        name = str(name) if name else None
        export.describe(Channel(self._id, name, is_private, sounds_nsfw(name)))

    def message(self, record: _Record) -> Message:
        """Raises ValueError if a time is none."""
        is_service = record.type != "message"
        name = record.actor if is_service else record.from_
        author = _account(record.actor_id if is_service else record.from_id) or name or "deleted"
        if record.action == "topic_created" and len(self._topics) < _MAX_TOPICS:
            self._topics.add(str(record.id))
        content, mentions = _plain(record.text) if record.text else _plain(record.text_entities)
        is_forwarded = record.forwarded_from is not False
        return Message(
            channel=self._id,
            id=str(record.id),
            author=author,
            timestamp=_time(record.date_unixtime, record.date),
            content="" if is_forwarded else content,  # somebody else's words
            reply_to=self._target(record),
            edited=_time(record.edited_unixtime, record.edited),
            is_bot=bool(record.via_bot or (name and _BOT_NAME.search(name)) or self._is_partner_bot(author)),
            is_system=is_service,
            name=name,
            mentions=mentions,
        )

    def _target(self, record: _Record) -> str | None:
        """What a message answers. In a topic every message answers the notice that began it, which is no answer."""
        target = record.reply_to_message_id
        if target is None or str(target) in self._topics:
            return None
        return GONE if record.reply_to_peer_id is not None else str(target)

    def _is_partner_bot(self, author: str) -> bool:
        return self._partner_is_bot and author == f"user{self._id}"


def _account(id_: str | int | None) -> str | None:
    """An account's id; old exports have the bare number of a user."""
    return f"user{id_}" if isinstance(id_, int) else id_ or None


def _plain(text: str | list[str | _Entity] | list[_Entity] | None) -> tuple[str, tuple[str, ...]]:
    """A text without marks, where the mention of somebody without a handle is `@` and the id; and the ids mentioned."""
    if text is None or isinstance(text, str):
        return text or "", ()
    mentions: dict[str, None] = {}
    pieces: list[str] = []
    for piece in text:
        if isinstance(piece, _Entity) and piece.type == "mention_name" and (id_ := _account(piece.user_id)):
            mentions[id_] = None
            pieces.append(f"@{id_}")
        else:
            pieces.append(piece if isinstance(piece, str) else piece.text)
    return "".join(pieces), tuple(mentions)


def _time(unixtime: str | int | None, printed: str | None) -> float | None:
    if unixtime is not None:
        return checked_time(float(unixtime))
    return seconds_since_epoch(printed) if printed else None


def _key(text: bytes) -> str | int | None:
    try:
        key: str | int | None = _KEY.decode(text)
        return key
    except UNDECODABLE:
        return None
