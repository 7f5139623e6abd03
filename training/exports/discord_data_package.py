"""The package of one's own data that Discord hands out on request: a folder of messages for each channel.

`channel.json` (`id`, `type`, `name`, `guild`, `recipients`), and beside it `messages.json`, or `messages.csv` before
2024, with `ID`, `Timestamp`, `Contents` and `Attachments`. Only the owner's messages are in it.
"""

import re
from collections.abc import Iterator

import msgspec

from training.exports.csv_table import first_rows, rows
from training.exports.discord_channel import channel_of
from training.exports.discord_message import mentioned_ids, message_time, plain_emoji
from training.exports.file import ExportFile
from training.exports.json_head import json_head
from training.exports.json_values import UNDECODABLE
from training.exports.message import Message

NAME = "Discord's package of one's own data"

_COLUMNS = ["ID", "Timestamp", "Contents", "Attachments"]
_EMPTY_LIST = re.compile(rb"\s*\[\s*\]\s*")
_DIRECT_TYPES = frozenset({"DM", "GROUP_DM", "PRIVATE_THREAD", "1", "3", "12"})
_NOBODY = "owner of the data package"


class _Record(msgspec.Struct, rename="pascal", gc=False):
    id: str | int = msgspec.field(name="ID")
    contents: str | None = None
    timestamp: str | None = None


class _Named(msgspec.Struct):
    id: str | int | None = None
    name: str | None = None


class _Channel(msgspec.Struct):
    id: str | int
    type: str | int | None = None
    name: str | None = None
    guild: _Named | None = None


class _Account(msgspec.Struct):
    id: str | int | None = None
    username: str | None = None
    global_name: str | None = None


_DECODER = msgspec.json.Decoder(_Record)


def recognises(export: ExportFile) -> bool:
    """Whether it lists messages in the package's form, and a `channel.json` lies beside it."""
    return (_is_table(export) or _is_list(export)) and _channel(export) is not None


def read(export: ExportFile) -> Iterator[Message]:
    """Yield the messages of a channel in file order; garbled ones are noted."""
    if (channel := _channel(export)) is None:
        return
    package = export.path if export.member else export.path.parent.parent.parent
    export.warn(
        f"{package} is Discord's package of one person's own data: it holds one side of every talk only, "
        "and no answers; it shows how that person writes, but for replies to learn from, export whole channels"
    )
    id_ = str(channel.id)
    export.describe(channel_of(id_, channel.name, guild="0" if str(channel.type) in _DIRECT_TYPES else None))
    author, name = _owner(export)
    for record in _records(export):
        content = record.contents or ""
        yield Message(
            channel=id_,
            id=str(record.id),
            author=author,
            timestamp=message_time(str(record.id), record.timestamp),
            content=plain_emoji(content),
            name=name,
            mentions=mentioned_ids(content),
        )


def _is_table(export: ExportFile) -> bool:
    return next(first_rows(export, ","), []) == _COLUMNS


def _is_list(export: ExportFile) -> bool:
    first = next(json_head(export, "[]"), None)
    if first is None:
        return _EMPTY_LIST.fullmatch(export.head) is not None
    try:
        return bool(_DECODER.decode(first.text))
    except UNDECODABLE:
        return False


def _channel(export: ExportFile) -> _Channel | None:
    try:
        return msgspec.json.decode(export.sibling("channel.json") or b"", type=_Channel)
    except UNDECODABLE:
        return None


def _owner(export: ExportFile) -> tuple[str, str | None]:
    """Id and name of whom the package belongs to; the folder's name is the same not the same in all languages."""
    for folder in ("Account", "account"):
        try:
            account = msgspec.json.decode(export.sibling(f"../../{folder}/user.json") or b"", type=_Account)
        except UNDECODABLE:
            continue
        if account.id:
            return str(account.id), account.global_name or account.username
    return _NOBODY, None


def _records(export: ExportFile) -> Iterator[_Record]:
    if not _is_table(export):
        for number, value in enumerate(export.values("[]"), 1):
            try:
                yield _DECODER.decode(value.text)
            except UNDECODABLE as error:
                export.garbled(number, value.byte, error)
        return
    for number, (byte, row) in enumerate(rows(export, ",")):
        if number and len(row) == len(_COLUMNS):
            yield _Record(row[0], contents=row[2], timestamp=row[1])
        elif number and any(row):
            export.garbled(number, byte, f"it has {len(row)} of {len(_COLUMNS)} columns")
