"""CSV and TSV with a header in which one column is the author and one the content (see `columns`).

Rows as in RFC 4180: a field in quotes may hold line breaks, and `""` for a quote. No parts, because where a quoted
field begins can only be told from the beginning.
"""

import contextlib
import csv
import io
import itertools
from collections.abc import Iterator

from training.exports.columns import Record, RecordReader, find_columns
from training.exports.file import ExportFile
from training.exports.message import Message

NAME = "a CSV or TSV table with a header that names an author and a content"

DELIMITERS = ",;\t|"

_SNIFFED_ROWS = 20
_NO_TABLE = (b"{", b"[", b"<")
_NAME_CHARACTERS = 40
_DISCORD_CHAT_EXPORTER = frozenset({"author", "date", "content", "reactions"})  # has a reader of its own


def recognises(export: ExportFile) -> bool:
    """Whether the first row is such a header."""
    return _layout(export) is not None


def read(export: ExportFile) -> Iterator[Message]:
    """Yield the message of each row; a row that is none, or whose quote does not end, is noted and left out."""
    if (layout := _layout(export)) is None:
        return
    delimiter, header, columns = layout
    places = {ours: header.index(theirs) for ours, theirs in columns.items()}
    reader = RecordReader(export, _first_times(export, delimiter, places.get("timestamp")))
    for number, (byte, row) in enumerate(rows(export, delimiter)):
        if number == 0 or not any(row):
            continue
        if len(row) > len(header) == places["content"] + 1:  # a text without the quotes it needs
            row[places["content"] :] = [delimiter.join(row[places["content"] :])]
        try:
            yield reader.message(Record(**{ours: row[place] for ours, place in places.items()}), byte)
        except IndexError:
            export.garbled(number, byte, f"it has {len(row)} of {len(header)} columns")
        except ValueError as error:
            export.garbled(number, byte, error)


def _layout(export: ExportFile) -> tuple[str, list[str], dict[str, str]] | None:
    """The delimiter, the header, and which column is what."""
    for delimiter in DELIMITERS:
        header = next(first_rows(export, delimiter), [])
        if len(header) < 2 or max(map(len, header)) > _NAME_CHARACTERS:
            continue
        columns = find_columns(header, export.columns)
        if columns and not {name.casefold() for name in header} >= _DISCORD_CHAT_EXPORTER:
            return delimiter, header, columns
    return None


def _first_times(export: ExportFile, delimiter: str, place: int | None) -> list[str]:
    if place is None:
        return []
    return [row[place] for row in itertools.islice(first_rows(export, delimiter), 1, None) if len(row) > place]


def first_rows(export: ExportFile, delimiter: str) -> Iterator[list[str]]:
    """Yield the first rows of a table with that delimiter."""
    if delimiter.encode() not in export.head.partition(b"\n")[0] or export.head.startswith(_NO_TABLE):
        return
    text = export.head.decode("utf-8", "replace").removeprefix("\ufeff").replace("\0", "")
    with contextlib.suppress(csv.Error):  # reading it all will tell
        for row in itertools.islice(csv.reader(io.StringIO(text, newline="\n"), delimiter=delimiter), _SNIFFED_ROWS):
            yield [field.strip() for field in row]


def rows(export: ExportFile, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the byte at which each row begins, and its fields; a row whose quote does not end is noted and left out."""
    lines = _Lines(export.lines())
    number = 0
    while True:
        reader = csv.reader(lines, delimiter=delimiter)
        try:
            for row in reader:
                yield lines.finish(), row
                number += 1
            return
        except csv.Error as error:  # a field is longer than `csv.field_size_limit()`, or the file ends in quotes
            export.garbled(number, lines.go_back(), f"a quote that does not end: {error}")


class _Lines:
    """Lines for a CSV reader, which asks for another within quotes; those of a row that fails can be read again."""

    def __init__(self, lines: Iterator[tuple[int, str]]) -> None:
        self._lines = lines
        self._row: list[tuple[int, str]] = []
        self._again: list[tuple[int, str]] = []  # the last one first

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if (line := self._again.pop() if self._again else next(self._lines, None)) is None:
            if self._row:
                raise csv.Error("unexpected end")
            raise StopIteration
        self._row.append(line)
        return f"{line[1]}\n"

    def finish(self) -> int:
        """The byte at which the row began that is complete now."""
        byte = self._row[0][0]
        self._row.clear()
        return byte

    def go_back(self) -> int:
        """The byte of the first line of the row that failed; its other lines come next."""
        (byte, _), *others = self._row
        self._again += reversed(others)
        self._row.clear()
        return byte
