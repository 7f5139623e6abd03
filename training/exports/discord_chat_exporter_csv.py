"""DiscordChatExporter's CSV: with commas since 2020, with semicolons before.

It has no ids of messages, no replies, no types, and does not tell bots from people.
"""

from collections.abc import Iterator

from training.exports.csv_table import first_rows, rows
from training.exports.discord_channel import describe_channel
from training.exports.discord_date import DateReader
from training.exports.discord_message import is_notice, mentioned_ids, plain_emoji
from training.exports.file import ExportFile
from training.exports.message import Message
from training.exports.stable_ids import StableIds

NAME = "DiscordChatExporter's CSV"

_REQUIRED = frozenset({"author", "date", "content", "reactions"})


def recognises(export: ExportFile) -> bool:
    """Whether the first row is the exporter's."""
    return _layout(export) is not None


def read(export: ExportFile) -> Iterator[Message]:
    """Yield the message of each row; a row that is none is noted and left out."""
    if (layout := _layout(export)) is None:
        return
    delimiter, places = layout
    channel = describe_channel(export, "", "")
    dates = DateReader([row[places["date"]] for row in first_rows(export, delimiter) if len(row) > places["date"]])
    export.newest_first = dates.runs_backwards
    ids = StableIds()
    for number, (byte, row) in enumerate(rows(export, delimiter)):
        if number == 0 or not any(row):
            continue
        if len(row) <= max(places.values()):
            export.garbled(number, byte, f"it has {len(row)} of {len(places)} columns")
            continue
        name, printed, content = (row[places[column]] for column in ("author", "date", "content"))
        author = row[places["authorid"]] if "authorid" in places else name
        yield Message(
            channel=channel,
            id=ids(author, printed, content),
            author=author,
            timestamp=dates.time(printed),
            content=plain_emoji(content),
            is_system=is_notice(content),
            name=name,
            mentions=mentioned_ids(content),
        )


def _layout(export: ExportFile) -> tuple[str, dict[str, int]] | None:
    """The delimiter, and at which place each column stands."""
    for delimiter in ",;":
        names = [name.casefold() for name in next(first_rows(export, delimiter), [])]
        if _REQUIRED.issubset(names):
            return delimiter, {name: place for place, name in enumerate(names) if name}
    return None
