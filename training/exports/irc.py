"""Logs of IRC, as the usual clients, bouncers and bots write them: no ids and no reply links, but who speaks when."""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import PurePath

from training.exports.channel_names import sounds_nsfw, stem
from training.exports.file import ExportFile
from training.exports.irc_clock import Clock, date_in, is_twelve_hour
from training.exports.irc_line import Kind, Line, Stamp, parse, unescaped
from training.exports.message import Channel, Message
from training.exports.stable_ids import StableIds

NAME = "IRC logs (irssi, WeeChat, ZNC, HexChat, mIRC, ...)"

_SNIFFED_LINES = 100
_MIN_SHARE = 0.6
_PATH_PARTS = 5
_MAX_SPEAKERS = 1 << 16

# As IRC compares nicks.
_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ[]\\~", "abcdefghijklmnopqrstuvwxyz{}|^")
_BOT = re.compile(r"(?:\w*[^\W\d_])?(?:bot|serv)[\d_`^-]*|ubottu\w*", re.IGNORECASE)
_REPR_OF_BYTES = re.compile(rb"""b['"]\d""")  # BotBot's archives begin so
_HOLDS_TEXT = re.compile(r"\w")
_NAMES_NOTHING = re.compile(r"(?:irc)?[ _-]?(?:logs?|channel|chat)?|\d{1,4}", re.IGNORECASE)
_AROUND_DATES = " -_.,()[]"


def recognises(export: ExportFile) -> bool:
    """Whether most of the first lines begin with a clock and then say who speaks, or what happens, as on IRC."""
    head = export.head.decode("utf-8", "replace").removeprefix("\ufeff").replace("\0", "")
    lines = (unescaped(head) if _REPR_OF_BYTES.match(export.head) else head).split("\n")
    sniffed = [line.rstrip("\r") for line in lines if _HOLDS_TEXT.search(line)][:_SNIFFED_LINES]
    parsed = [line for text in sniffed if (line := parse(text))]
    if any(line.stamp for line in parsed) and len(parsed) >= _MIN_SHARE * len(sniffed):
        # Columns without any marks may be those of a table, if they have a heading.
        return parse(sniffed[0]) is not None or any(line.kind is not Kind.MESSAGE for line in parsed)
    return False


def read(export: ExportFile) -> Iterator[Message]:
    """Yield the messages, actions and notices in file order; what is no line of a log is noted."""
    begin, _ = date_in(_path(export))
    clock = Clock(begin, is_twelve_hour=begin is not None and is_twelve_hour(_stamps(export)))
    channel = _channel(export)
    export.describe(Channel(channel, channel, is_nsfw=sounds_nsfw(channel)))
    new_id = StableIds()
    speakers: set[str] = set()
    for number, (byte, text) in enumerate(_lines(export), 1):
        line = parse(text)
        if line is None:
            if _HOLDS_TEXT.search(text):
                export.garbled(number, byte, "no line of a log")
        elif line.kind is Kind.DAY:
            clock.begin_day(line.begins)
        else:
            message = _to_message(channel, line, clock, new_id, speakers)
            if not message.is_system and len(speakers) < _MAX_SPEAKERS:
                speakers.add(message.author)
            yield message


def _to_message(channel: str, line: Line, clock: Clock, new_id: StableIds, speakers: set[str]) -> Message:
    nick, text = line.nick, line.text
    author = nick.translate(_LOWER)
    is_system = line.kind is Kind.NOTICE
    if line.stamp is None and author not in speakers:
        is_system, author, text = True, "", f"{nick} {text}".strip()
    timestamp, printed = clock.time(line.stamp)
    return Message(
        channel=channel,
        id=new_id(author, printed, text),
        author=author,
        timestamp=timestamp,
        content=text,
        is_bot=_BOT.fullmatch(nick) is not None,
        is_system=is_system,
        name=None if is_system else nick,
    )


def _lines(export: ExportFile) -> Iterator[tuple[int, str]]:
    is_repr = _REPR_OF_BYTES.match(export.head)
    for byte, line in export.lines():
        yield byte, unescaped(line) if is_repr else line


def _stamps(export: ExportFile) -> Iterator[Stamp]:
    """The clocks of all lines; of a log with lines that say the date none, because they leave nothing to find out."""
    for _, text in _lines(export):
        line = parse(text)
        if line and line.kind is Kind.DAY:
            return
        if line and line.stamp:
            yield line.stamp


def _path(export: ExportFile) -> str:
    """The end of the name, with the folders that dates may be divided between: `2004/07/05/#ubuntu.txt`."""
    path = PurePath(export.member or export.path.absolute())
    return "/".join([*path.parts[:-1][-_PATH_PARTS:], export.file_name])


def _channel(export: ExportFile) -> str:
    """The name of the file without the date; if nothing is left, that of the nearest folder that names something."""
    _, name = date_in(stem(export))
    name = re.sub(r"([-_. ])\1+", r"\1", name).strip(_AROUND_DATES)
    folders = [part for part in _path(export).split("/")[:-1] if not _NAMES_NOTHING.fullmatch(date_in(part)[1])]
    named = [name, *reversed(folders), export.path.stem]
    return next((name for name in islice(named, len(named)) if not _NAMES_NOTHING.fullmatch(name)), stem(export))
