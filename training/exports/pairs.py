"""Pairs of a source and a target, so that the same trainer also serves translation, summarisation or questions.

Either JSON Lines with two texts in each, a table with a header that names two, or lines of two texts with a tab between
(a third column, as in Tatoeba's pairs, says whose they are). A target answers its source; a source answers nothing.
"""

import re
from collections.abc import Iterator

import msgspec

from training.exports import csv_table
from training.exports.csv_table import DELIMITERS, first_rows, rows
from training.exports.file import ExportFile, Part
from training.exports.json_values import UNDECODABLE
from training.exports.message import GONE, Message

NAME = "pairs of texts (TSV, or JSON Lines with a source and a target)"

COMMON_NAMES = (
    ("source", "target"),
    ("src", "tgt"),
    ("context", "response"),
    ("question", "answer"),
    ("prompt", "completion"),
    ("prompt", "response"),
    ("instruction", "output"),
    ("input", "output"),
    ("input", "target"),
)
"""What the two texts are called; others are given as the columns `source` and `target`."""

_SNIFFED_LINES = 50
_FEWEST_LINES = 2
_ATTRIBUTION = re.compile(r"CC[- ]BY")
_LOG_MARK = re.compile(r"\d\d?:\d\d|^<[^>]*>$|^\[|^https?://|^[\d.,:/ -]+$")
_DECODER = msgspec.json.Decoder(dict[str, msgspec.Raw])

SOURCE, TARGET = "source", "target"
"""The authors of the two sides: nobody in particular."""


def recognises(export: ExportFile) -> bool:
    """Whether the first lines hold two texts each."""
    return _names_in_json(export) is not None or _header(export) is not None or _is_two_columns(export)


def parts(export: ExportFile) -> list[Part]:
    """Divide a big file between lines; a table with a header is not divided, as its fields may hold line breaks."""
    return [] if _header(export) else export.ranges()


def read(export: ExportFile) -> Iterator[Message]:
    """Yield the two messages of each pair; a line that holds no two texts is noted and left out."""
    if names := _names_in_json(export):
        pairs = _json_pairs(export, *names)
    elif header := _header(export):
        pairs = _table_pairs(export, *header)
    else:
        pairs = _tab_pairs(export)
    channel = export.channel
    for byte, source, target in pairs:
        id_ = f"{byte}-source"
        yield Message(channel, id_, SOURCE, None, source, GONE)
        yield Message(channel, f"{byte}-target", TARGET, None, target, id_)


def _json_pairs(export: ExportFile, source: str, target: str) -> Iterator[tuple[int, str, str]]:
    fields = [("source", str), ("target", str)]
    pair = msgspec.defstruct("Pair", fields, rename={"source": source, "target": target}, gc=False)
    decode = msgspec.json.Decoder(pair).decode
    for number, (byte, line) in enumerate(export.lines(), 1):
        if not line.strip():
            continue
        try:
            found = decode(line)
        except UNDECODABLE as error:
            export.garbled(number, byte, error)
        else:
            yield byte, found.source, found.target  # type: ignore[attr-defined]


def _table_pairs(export: ExportFile, delimiter: str, source: int, target: int) -> Iterator[tuple[int, str, str]]:
    for number, (byte, row) in enumerate(rows(export, delimiter)):
        if number and len(row) > max(source, target):
            yield byte, row[source], row[target]
        elif number and any(row):
            export.garbled(number, byte, "it has too few columns")


def _tab_pairs(export: ExportFile) -> Iterator[tuple[int, str, str]]:
    for number, (byte, line) in enumerate(export.lines(), 1):
        texts = line.split("\t")
        if len(texts) > 1:
            yield byte, texts[0], texts[1]
        elif line.strip():
            export.garbled(number, byte, "there is no tab in it")


def _names_in_json(export: ExportFile) -> tuple[str, str] | None:
    """What the two texts are called in the first lines, if those are JSON."""
    for line in _first_lines(export):
        try:
            keys = _DECODER.decode(line).keys()
        except UNDECODABLE:
            continue
        for source, target in _possible_names(export):
            if source in keys and target in keys:
                return source, target
    return None


def _header(export: ExportFile) -> tuple[str, int, int] | None:
    """The delimiter, and where source and target are, if the first line is a header that names them."""
    for delimiter in DELIMITERS:
        header = [name.casefold() for name in next(first_rows(export, delimiter), [])]
        for source, target in _possible_names(export):
            if source.casefold() in header and target.casefold() in header:
                return delimiter, header.index(source.casefold()), header.index(target.casefold())
    return None


def _is_two_columns(export: ExportFile) -> bool:
    """Whether there are two texts in nearly every line, rather than times or names and what was said."""
    lines = [line for line in _first_lines(export) if line.strip()]
    found = [texts for texts in (line.split("\t") for line in lines) if _is_pair(texts)]
    if len(found) < max(_FEWEST_LINES, 0.9 * len(lines)) or csv_table.recognises(export):
        return False
    sources = {texts[0] for texts in found}
    marked = sum(bool(_LOG_MARK.search(source)) for source in sources)
    return len(sources) > len(found) / 5 and marked < len(sources) / 2


def _is_pair(texts: list[str]) -> bool:
    has_letters = all(any(map(str.isalpha, text)) for text in texts[:2])
    return has_letters and (len(texts) == 2 or (len(texts) == 3 and bool(_ATTRIBUTION.match(texts[2]))))


def _possible_names(export: ExportFile) -> Iterator[tuple[str, str]]:
    if "source" in export.columns and "target" in export.columns:
        yield export.columns["source"], export.columns["target"]
    yield from COMMON_NAMES


def _first_lines(export: ExportFile) -> list[str]:
    """The first lines; the last of them may be cut."""
    text = export.head.decode("utf-8", "replace").removeprefix("\ufeff").replace("\0", "")
    return text.split("\n", _SNIFFED_LINES)[:_SNIFFED_LINES]
