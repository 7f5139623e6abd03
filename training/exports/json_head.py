"""The beginning of a JSON document, to recognise it by."""

import codecs
import io
from collections.abc import Iterator

from training.exports.file import ExportFile
from training.exports.json_values import JsonError, JsonValue, json_values


def json_head(export: ExportFile, *places: str) -> Iterator[JsonValue]:
    """Yield the values at some places (see `json_values`), as far as they lie in the head; none if it is no JSON."""
    head = export.head.removeprefix(codecs.BOM_UTF8)
    if head.lstrip(b" \t\r\n\0")[:1] not in (b"{", b"["):
        return
    try:
        yield from json_values(io.BytesIO(head), places, lambda byte, why: None)
    except JsonError:
        return
