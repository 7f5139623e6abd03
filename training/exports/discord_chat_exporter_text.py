"""DiscordChatExporter's plain text.

It has no ids, no replies, no types, and does not tell bots from people. What a message holds beside its text comes
behind it under a title in braces.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from training.exports.discord_channel import describe_channel
from training.exports.discord_date import DateReader
from training.exports.discord_message import is_notice, mentioned_ids, plain_emoji
from training.exports.file import MAX_LINE_BYTES, ExportFile
from training.exports.message import Message
from training.exports.stable_ids import StableIds

NAME = "DiscordChatExporter's plain text"

_RULE = "=" * 62
_BEGINS = re.compile(rf"[\s\0\ufeff]*{_RULE}\r?\nGuild: ")
_HEADER = re.compile(r"\[(?P<date>[^\[\]]{6,40})\] (?P<name>.{1,100}?)(?P<pinned> \(pinned\))?")
_BLOCKS = frozenset({"{Attachments}", "{Embed}", "{Stickers}", "{Reactions}", "{Forwarded Message}"})
_EXPORTED = re.compile(r"Exported [\d.,\s]+ message")
_FACT = re.compile(r"^(Guild|Channel|Messages): (.*)$", re.MULTILINE)
_NUMBERS_IN_DATE = 4  # two of the day, of which the month may be a word, and two of the clock
_DIGITS = re.compile(r"\d+")
_LETTERS = re.compile(r"[^\W\d_]+")


@dataclass(slots=True)
class _Draft:
    """A message as far as its lines are read."""

    byte: int
    date: str
    name: str
    lines: list[str] = field(default_factory=list)
    size: int = 0
    is_in_block: bool = False  # what comes is no text any more


def recognises(export: ExportFile) -> bool:
    """Whether it begins with a rule and the name of a guild."""
    return _BEGINS.match(export.head.decode("utf-8", "replace")) is not None


def read(export: ExportFile) -> Iterator[Message]:
    """Yield the messages in file order; what is garbled and a missing end are noted."""
    text = _Text(export)
    dates = DateReader(text.first_dates)
    export.newest_first = dates.runs_backwards
    ids = StableIds()
    for draft in text.drafts():
        content = "\n".join(draft.lines).strip()
        yield Message(
            channel=text.channel,
            id=ids(draft.name, draft.date, content),
            author=draft.name,
            timestamp=dates.time(draft.date),
            content=plain_emoji(content),
            is_system=is_notice(content),
            name=draft.name,
            mentions=mentioned_ids(content),
        )


class _Text:
    """One file, line by line.

    Attributes:
        channel: its id.
        first_dates: those in the head of the file.
    """

    def __init__(self, export: ExportFile) -> None:
        head = export.head.decode("utf-8", "replace").replace("\0", "").replace("\r\n", "\n")
        facts = dict(_FACT.findall(head.split(f"\n{_RULE}\n", 1)[0]))
        self.channel = describe_channel(export, facts.get("Guild", ""), facts.get("Channel", ""))
        announced = re.sub(r"\D", "", facts.get("Messages", ""))
        self._announced = int(announced[:18]) if announced else None  # only before 2020, and then there is no tail
        self._export = export
        self._form: str | None = None  # of the dates
        headers = (self._header(before, line) for before, line in pairwise(head.split("\n")))
        self.first_dates = [header["date"] for header in headers if header]

    def drafts(self) -> Iterator[_Draft]:
        """Yield each message when its last line has been read."""
        draft: _Draft | None = None
        before = ""
        is_over = False
        rules = count = byte = 0
        for byte, line in self._export.lines():
            if rules < 2:
                rules += line == _RULE
            elif header := self._header(before, line):
                if draft:
                    yield draft
                draft, is_over = _Draft(byte, header["date"], header["name"]), False
                count += 1
            elif before == _RULE and _EXPORTED.match(line):
                if draft:
                    draft.lines = draft.lines[: -1 if draft.lines[-1:] == [_RULE] else None]
                    yield draft
                draft, is_over = None, True
            elif draft:
                self._add(draft, before, line)
            elif line.strip() and line != _RULE and not is_over:
                self._export.garbled(count + 1, byte, "it does not begin with a date and a name")
            before = line
        is_cut = not is_over and (self._announced is None or count < self._announced)
        if is_cut and draft and not draft.is_in_block:  # nothing tells whether its text is whole
            count, draft = count - 1, None
        if draft:
            yield draft
        if is_cut:
            self._export.cut(count, byte + len(before.encode()))

    def _header(self, before: str, line: str) -> re.Match[str] | None:
        """The start of a message: it comes behind an empty line, and all dates have one form."""
        header = _HEADER.fullmatch(line) if line.startswith("[") and not before.strip() else None
        if header is None:
            return None
        form = _LETTERS.sub("a", _DIGITS.sub("0", header["date"]))
        if self._form is None and form.count("0") >= _NUMBERS_IN_DATE:
            self._form = form
        return header if form == self._form else None

    def _add(self, draft: _Draft, before: str, line: str) -> None:
        if not before.strip() and line in _BLOCKS:
            draft.is_in_block = True
        draft.size += len(line)
        if not draft.is_in_block and draft.size <= MAX_LINE_BYTES:
            draft.lines.append(line)
