"""WhatsApp's exported chats: text in the form of the phone's language, without ids, links or a time zone."""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice

from training.exports.channel_names import folder, sounds_nsfw, stem
from training.exports.file import ExportFile
from training.exports.message import Channel, Message
from training.exports.stable_ids import StableIds
from training.exports.text_entries import text_entries
from training.exports.whatsapp_header import INVISIBLE, DateOrder, Header, date_order, parse_header, time_of
from training.exports.whatsapp_marks import plain, tells_of_encryption

NAME = "WhatsApp's text"

_SNIFFED_LINES = 50
_MIN_SHARE = 0.5
_FIRST_MESSAGES = 3
_GENERIC_NAME = re.compile(r"_?chat", re.IGNORECASE)
_SPACES = re.compile(r"\s+")

# A name, if no quotation is open before the colon: the subject of a group may hold one.
_NAMED = re.compile(r"(?P<name>[^:\n]{1,100}?) ?:(?:[ \n]|$)(?P<text>.*)", re.DOTALL)
_QUOTES = re.compile('["“”„«»「」『』]')
_MENTION = re.compile("@\u2068([^\u2068\u2069\n]{1,100})\u2069")


def recognises(export: ExportFile) -> bool:
    """Whether a file begins as a message with a date and a name does, or half of its first lines do."""
    text = export.head.decode("utf-8", "replace").removeprefix("\ufeff").replace("\0", "")
    lines = list(islice((line.rstrip("\r") for line in text.split("\n") if line.strip()), _SNIFFED_LINES))
    headers = [parse_header(line) for line in lines]
    found = [header for header in headers if header]
    if not any(_split(header.rest)[0] for header in found):
        return False
    return headers[0] is not None or len(found) >= _MIN_SHARE * len(headers)


def read(export: ExportFile) -> Iterator[Message]:
    """Yield the messages in file order; what belongs to none is noted."""
    has_bracket = next((header.has_bracket for _, _, header in _lines(export, None) if header), False)
    order = date_order(header for _, _, header in _lines(export, has_bracket) if header)
    channel = _channel(export)
    export.describe(channel)
    new_id = StableIds()
    starts = (
        (byte, line, (header, header.rest) if header else None) for byte, line, header in _lines(export, has_bracket)
    )
    for number, header, text in text_entries(export, starts):
        yield _to_message(channel.id, number, header, text, order, new_id)


def _lines(export: ExportFile, has_bracket: bool | None) -> Iterator[tuple[int, str, Header | None]]:
    """The lines with the byte where each begins, and what it says if a message of that form begins there."""
    for byte, line in export.lines():
        header = parse_header(line)
        yield byte, line, header if header and has_bracket in (None, header.has_bracket) else None


def _to_message(channel: str, number: int, header: Header, text: str, order: DateOrder, new_id: StableIds) -> Message:
    name, text = _split(text)
    content, is_notice = plain(text)
    is_greeting = number <= _FIRST_MESSAGES and tells_of_encryption(text)
    timestamp = time_of(header, order)
    author = _person(name or "")
    return Message(
        channel=channel,
        id=new_id(author, f"{header.numbers} {header.seconds}" if timestamp is None else f"{timestamp}", text),
        author=author,
        timestamp=timestamp,
        content=content,
        is_system=name is None or is_notice or is_greeting,
        name=author or None,
        mentions=tuple(dict.fromkeys(map(_person, _MENTION.findall(text)))) if "\u2068" in text else (),
    )


def _split(text: str) -> tuple[str | None, str]:
    """Who says what; a notice is said by nobody."""
    match = _NAMED.fullmatch(text)
    if match is None or len(_QUOTES.findall(match["name"])) % 2 or not _person(match["name"]):
        return None, text
    return match["name"], match["text"]


@lru_cache(maxsize=1024)
def _person(name: str) -> str:
    """A name as it is compared: `~` stands before those who are not among the phone's contacts."""
    return _SPACES.sub(" ", INVISIBLE.sub("", name)).strip("~ ")


def _channel(export: ExportFile) -> Channel:
    """iOS gives every chat's file the same name, but not the archive or folder it comes in."""
    name = stem(export)
    if _GENERIC_NAME.fullmatch(name):
        name = folder(export)
    return Channel(name, name, is_private=True, is_nsfw=sounds_nsfw(name))
