"""Element's plain text export of a Matrix room: `Fri, Jan 5, 2024, 21:10:00 - Ann: text`, in the browser's language.

It has no ids. A reply begins with the first words of what it answers, by which that is found.
"""

import re
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime

from training.exports.channel_names import folder, sounds_nsfw, stem
from training.exports.file import ExportFile
from training.exports.irc_line import month_number
from training.exports.message import GONE, Channel, Message
from training.exports.stable_ids import StableIds
from training.exports.text_entries import text_entries
from training.exports.time_range import checked_time

NAME = "Element's text of a Matrix room"

_HEADER = re.compile(
    r"[^\W\d_]{2,12}\.?,? (?:(?P<day>\d{1,2})\.? (?P<month>[^\W\d_]{3,12})\.?|"
    r"(?P<month_first>[^\W\d_]{3,12})\.? (?P<day_second>\d{1,2})),? (?P<year>\d{4}),? "
    r"(?P<hour>\d{1,2}):(?P<minute>\d\d):(?P<second>\d\d)(?:[ \u202f](?P<half>[AaPp])\.?[Mm]\.?)? - (?P<rest>.*)",
    re.DOTALL,
)
_SAID = re.compile(r"(?P<name>[^:\n]{1,255}): (?P<text>.*)", re.DOTALL)
_ACTION = re.compile(r"\* (?P<name>\S+) (?P<text>.*)", re.DOTALL)
_REPLY = re.compile(r'<[^"<>\n]{1,255} "(?P<quote>[^\n]{0,80}?)(?:\.\.\.)?"> ?(?P<text>.*)', re.DOTALL)
_FILE = re.compile(
    r"(?:\S+ )?\((?:File Attached|Attachment|Sticker)\)$|^sent an? (?:image|file|video|audio|sticker)\.?$", re.I
)
_FILE_NAME = re.compile(r"^(?:matrix|element) - | - Chat Export\b.*$", re.IGNORECASE)

_SNIFFED_LINES = 50
_ANSWERABLE = 500
_QUOTED_CHARACTERS = 80


def recognises(export: ExportFile) -> bool:
    """Whether a file begins with the long form of a date and a name, or half of its first lines do."""
    text = export.head.decode("utf-8", "replace").removeprefix("\ufeff").replace("\0", "")
    lines = [line for line in text.split("\n") if line.strip()][:_SNIFFED_LINES]
    found = [header for line in lines if (header := _HEADER.match(line)) and _time(header) is not None]
    if not any(_SAID.match(header["rest"]) or _ACTION.match(header["rest"]) for header in found):
        return False
    return found[0].string == lines[0] or 2 * len(found) >= len(lines)


def read(export: ExportFile) -> Iterator[Message]:
    """Yield the messages in file order; what belongs to none is noted."""
    channel = _channel(export)
    export.describe(channel)
    new_id = StableIds()
    answerable: deque[tuple[str, str]] = deque(maxlen=_ANSWERABLE)  # how each begins, and its id
    for _, timestamp, text in text_entries(export, _lines(export)):
        message = _to_message(channel.id, timestamp, text, new_id, answerable)
        answerable.append((message.content[:_QUOTED_CHARACTERS], message.id))
        yield message


def _lines(export: ExportFile) -> Iterator[tuple[int, str, tuple[float, str] | None]]:
    """The lines with the byte where each begins and, where a message does, its time and the text behind it."""
    for byte, line in export.lines():
        header = _HEADER.fullmatch(line)
        timestamp = _time(header) if header else None
        yield byte, line, (timestamp, header["rest"]) if header and timestamp is not None else None


def _to_message(
    channel: str, timestamp: float, entry: str, new_id: StableIds, answerable: deque[tuple[str, str]]
) -> Message:
    said = _ACTION.fullmatch(entry) or _SAID.fullmatch(entry)
    author, text = (said["name"], said["text"]) if said else ("", entry)
    reply = _REPLY.fullmatch(text) if text.startswith("<") else None
    return Message(
        channel=channel,
        id=new_id(author, f"{timestamp}", text),
        author=author,
        timestamp=timestamp,
        content=_FILE.sub("", reply["text"] if reply else text).strip(),
        reply_to=_target(reply["quote"], answerable) if reply else None,
        is_system=said is None,
        name=author or None,
    )


def _target(quote: str, answerable: deque[tuple[str, str]]) -> str:
    """The latest message that begins like that."""
    return next((id_ for beginning, id_ in reversed(answerable) if quote and beginning.startswith(quote)), GONE)


def _time(header: re.Match[str]) -> float | None:
    month = month_number(header["month"] or header["month_first"])
    hour = int(header["hour"])
    if header["half"]:
        hour = hour % 12 + (12 if header["half"] in "Pp" else 0)
    try:
        day = int(header["day"] or header["day_second"])
        moment = datetime(
            int(header["year"]), month, day, hour, int(header["minute"]), int(header["second"]), tzinfo=UTC
        )
        return checked_time(moment.timestamp())
    except ValueError:
        return None


def _channel(export: ExportFile) -> Channel:
    name = _FILE_NAME.sub("", stem(export))
    if name.lower() in ("export", "messages", "chat"):
        name = folder(export)
    return Channel(name, name, is_nsfw=sounds_nsfw(name))
