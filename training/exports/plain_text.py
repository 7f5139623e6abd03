"""Plain text (news, blogs, books): what comes one after the other becomes exchanges, for warming up.

A paragraph is a turn, or, if it is long, each of its sentences is. Turns alternate between two authors and answer each
other, until a heading, a chapter or a line of stars begins something new.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from training.exports.channel_names import sounds_nsfw, stem
from training.exports.file import ExportFile
from training.exports.message import GONE, Channel, Message
from training.exports.sentences import ENDS_LIKE_PROSE, SENTENCE_END, split_sentences

NAME = "plain text in sentences"
IS_LAST_RESORT = True

_MAX_TURN_CHARACTERS = 300
_MAX_PARAGRAPH_CHARACTERS = 1 << 16
_MAX_TURNS = 100  # then something new begins: as one conversation a book could not be held out in part

_CHAPTER = re.compile(
    r"(?:chapter|part|book|section|canto|act|scene|volume|letter|kapitel|teil|chapitre|cap[ií]tulo|parte|глава)"
    r"\s+[\w.]+[.:]?(?:\s.{0,60})?$|[IVXLC]+\.?$|\d+\.?$|#{1,6}\s|[\W_]*$",
    re.IGNORECASE,
)
_UNDERLINE = re.compile(r"([=~*_-])\1{2,}$")
_BOOK_BEGINS = re.compile(r"\*{3}\s*START OF (?:THE|THIS) PROJECT GUTENBERG|\*END\*?\s*THE SMALL PRINT", re.IGNORECASE)
_BOOK_ENDS = re.compile(
    r"\*{3}\s*END OF (?:THE|THIS) PROJECT GUTENBERG|End of (?:the )?Project Gutenberg(?:'s| EBook)", re.IGNORECASE
)
_ABOUT_THE_FILE = re.compile(r"(?:Produced by|E-?text prepared by|Transcribed from|\[Illustration|\[Transcriber)", re.I)
_EMPHASIS = re.compile(r"(?<!\w)_([^_]+)_(?!\w)")

_SNIFFED_CHARACTERS = 1 << 14
_LAST_CHARACTERS = 4
_FEW_SIGNS = 4
_MOST_SIGNS = 0.1  # of what is no space and no stop: 0.03 in prose, 0.2 in program code or tables
_MOST_CHARACTERS = 400  # from one end of a sentence to the next
_MOST_ODD_LINES = 0.2
_ODD_LINE = re.compile(
    r"\s*(?:\[?\(?\d+[-:./]\d+|[<{\[(]|//|#!|#include|import |def |return\b)"  # times, markup, program code
    r"|[^\n]*(?:[{};>]\s*$|\t|\",\")"
    r"|\S{1,30}(?:\s\S{1,20})?:\s"  # who says it
)


class _Layout(NamedTuple):
    """How a text is set.

    Attributes:
        lines_are_whole: each line is a paragraph; else lines are wrapped, and blank ones stand between paragraphs.
        gaps_begin: a blank line begins something new, as between articles.
        is_framed: a head and a tail, as of Project Gutenberg, are about the file itself.
    """

    lines_are_whole: bool
    gaps_begin: bool
    is_framed: bool


def recognises(export: ExportFile) -> bool:
    """Whether the beginning is prose: letters, in sentences, rather than a table, a log, markup or program code."""
    text = _head(export)[:_SNIFFED_CHARACTERS]
    characters = [
        unicodedata.category(character) for character in SENTENCE_END.sub("", text) if not character.isspace()
    ]
    lines = [line for line in text.split("\n") if line.strip()]
    if not characters or "Cc" in characters or "\ufffd" in text:
        return False
    letters = sum(category[0] in "LM" for category in characters)
    odd = sum(bool(_ODD_LINE.match(line)) for line in lines)
    ends = len(SENTENCE_END.findall(text))
    return (
        len(characters) - letters <= _FEW_SIGNS + _MOST_SIGNS * len(characters)
        and odd <= _MOST_ODD_LINES * len(lines)
        and ends >= 2
        and len(characters) <= _MOST_CHARACTERS * ends
    )


def read(export: ExportFile) -> Iterator[Message]:
    """Yield the turns."""
    channel, name = export.channel, stem(export)
    export.describe(Channel(channel, name, is_nsfw=sounds_nsfw(name)))
    previous, turns = GONE, 0
    for byte, paragraph in _paragraphs(export):
        if paragraph is None or turns == _MAX_TURNS:
            previous, turns = GONE, 0
        for number, text in enumerate(_turns(paragraph or "")):
            id_ = f"{byte}.{number}"
            yield Message(channel, id_, "ab"[turns % 2], None, text, previous)
            previous, turns = id_, turns + 1


def _turns(paragraph: str) -> list[str]:
    if len(paragraph) > _MAX_TURN_CHARACTERS:
        return split_sentences(paragraph)
    return [paragraph] if paragraph else []


def _paragraphs(export: ExportFile) -> Iterator[tuple[int, str | None]]:
    """Yield the byte at which each paragraph begins, and its text; None where something new begins."""
    layout = _layout(export)
    is_inside = not layout.is_framed
    for byte, lines in _blocks(export, layout):
        if layout.is_framed and any(map(_BOOK_BEGINS.search, lines)):
            is_inside = True
            yield byte, None
        elif layout.is_framed and any(map(_BOOK_ENDS.search, lines)):
            is_inside = False
        elif is_inside:
            yield byte, None if not lines or _is_heading(lines) else _joined(lines)


def _joined(lines: list[str]) -> str:
    text = " ".join(" ".join(lines).split())
    return _EMPHASIS.sub(r"\1", text) if "_" in text else text


def _blocks(export: ExportFile, layout: _Layout) -> Iterator[tuple[int, list[str]]]:
    """Yield the byte and the lines of each paragraph; no lines where a gap begins something new."""
    block: list[str] = []
    begin, size = 0, 0
    for byte, line in export.lines():
        is_blank = not line.strip()
        if block and (is_blank or layout.lines_are_whole or size > _MAX_PARAGRAPH_CHARACTERS):
            yield begin, block
            block, size = [], 0
        if is_blank:
            if layout.gaps_begin:
                yield byte, []
            continue
        begin = begin if block else byte
        block.append(line.strip())
        size += len(line)
    if block:
        yield begin, block


def _is_heading(lines: list[str]) -> bool:
    """Whether a paragraph is no prose: a heading, a chapter's mark, a rule, a table of contents, verse."""
    if _UNDERLINE.match(lines[-1]) or _CHAPTER.match(lines[0]) or _ABOUT_THE_FILE.match(lines[0]):
        return True
    return not ENDS_LIKE_PROSE.search(lines[-1]) or (len(lines) == 1 and lines[0].isupper())


def _layout(export: ExportFile) -> _Layout:
    text = _head(export)
    blocks = [block.strip().split("\n") for block in re.split(r"\n\s*\n", text) if block.strip()]
    followed = [line.strip() for block in blocks for line in block[:-1]]
    whole = sum(bool(SENTENCE_END.search(line[-_LAST_CHARACTERS:])) for line in followed)
    lines_are_whole = whole > len(followed) / 2
    return _Layout(lines_are_whole, lines_are_whole and len(followed) > len(blocks), bool(_BOOK_BEGINS.search(text)))


def _head(export: ExportFile) -> str:
    """The first characters of a text, with the line ends of one kind."""
    text = export.head.decode("utf-8", "replace")
    if text.rstrip("\ufffd").count("\ufffd") > 0:
        text = export.head.decode("cp1252", "replace")
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\f", "\n")
