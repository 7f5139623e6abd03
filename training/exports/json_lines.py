"""JSON Lines: a message a line, in Chinwag's normal form or under other names.

The normal form is `{"conversation", "id", "author", "timestamp" (ISO 8601 or null), "content", "reply_to" (an id or
null)}`, and optionally `is_bot`, `is_system` and `name`. Of other keys those that `columns` knows are understood.
"""

from collections.abc import Iterator
from functools import lru_cache

import msgspec

from training.exports.columns import Record, RecordReader, find_columns
from training.exports.file import ExportFile, Part
from training.exports.json_values import UNDECODABLE
from training.exports.message import Message

NAME = "JSON Lines with an author and a content in each"

_SNIFFED_LINES = 10
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def recognises(export: ExportFile) -> bool:
    """Whether one of the first lines is a record in which somebody says something."""
    return any(find_columns(record, export.columns) for record in _head(export, _SNIFFED_LINES))


def parts(export: ExportFile) -> list[Part]:
    """Divide a big file between lines."""
    return export.ranges()


def read(export: ExportFile) -> Iterator[Message]:
    """Yield the message of each line; a bad line is noted and left out."""
    records = list(_head(export))
    columns = find_columns(dict.fromkeys(key for record in records for key in record), export.columns) or {}
    times = (record.get(columns.get("timestamp", "")) for record in records)
    reader = RecordReader(export, times, is_divided=bool(parts(export)))
    decode = _decoder(tuple(columns.items())).decode
    for number, (byte, line) in enumerate(export.byte_lines(), 1):
        try:
            yield reader.message(decode(line), byte)
        except UNDECODABLE as error:
            if line.strip(b"\r\n\t \0"):
                try:  # what is damaged may still be readable
                    yield reader.message(decode(_repaired(line)), byte)
                except UNDECODABLE:
                    export.garbled(number, byte, error)


def _head(export: ExportFile, limit: int = -1) -> Iterator[dict[str, object]]:
    """The records that the first lines hold."""
    for line in export.head.split(b"\n", limit)[: limit if limit > 0 else None]:
        text = _repaired(line)
        if text.startswith(b"{"):
            try:
                yield msgspec.json.decode(text, type=dict[str, object])
            except UNDECODABLE:
                continue


def _repaired(line: bytes) -> bytes:
    return line.removeprefix(_BYTE_ORDER_MARK).replace(b"\0", b"").strip()


@lru_cache(maxsize=16)
def _decoder(columns: tuple[tuple[str, str], ...]) -> msgspec.json.Decoder[Record]:
    """What decodes a line under their names into a record under ours."""
    theirs = dict(columns)
    names = {ours: theirs.get(ours, ours) for ours in Record.__struct_fields__}
    for ours in names.keys() - theirs.keys() & set(theirs.values()):
        names[ours] = f"\0{ours}"  # means something else there
    fields = [(field.name, field.type, field.default) for field in msgspec.structs.fields(Record)]
    line: type[Record] = msgspec.defstruct("Line", fields, rename=names, gc=False)  # type: ignore[assignment]
    return msgspec.json.Decoder(line)
