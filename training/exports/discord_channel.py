"""What the exports of Discord say of a channel: its id, and whether its content is for everybody."""

import re

from training.exports.channel_names import sounds_nsfw
from training.exports.file import ExportFile
from training.exports.message import Channel

_ID_IN_NAME = re.compile(r"\[(\d{15,20})\]")
_PRIVATE_TYPES = frozenset({"DirectTextChat", "DirectGroupTextChat", "GuildPrivateThread", "1", "3", "12"})
_DIRECT_MESSAGES = frozenset({"0", "Direct Messages"})


def id_in_file_name(export: ExportFile) -> str | None:
    """The id of the channel in a name that DiscordChatExporter chose, the same in all partitions: `S - c [1].json`."""
    match = _ID_IN_NAME.search(export.file_name)
    return match[1] if match else None


def describe_channel(export: ExportFile, guild: str, path: str) -> str:
    """Describe a channel by the names in its export's head, and return an id for it.

    Args:
        export: its file, whose name may hold the id.
        guild: the server's name.
        path: the names of the category, if any, and the channel, joined by ` / `.
    """
    *above, name = path.rsplit(" / ", 1)
    id_ = id_in_file_name(export) or (f"{guild} / {path}" if path else export.channel)
    export.describe(channel_of(id_, name, category=" ".join(above), guild=guild))
    return id_


def channel_of(
    id_: str,
    name: str | None,
    *,
    category: str | None = None,
    kind: str | None = None,
    guild: str | None = None,
    is_nsfw: bool = False,
) -> Channel:
    """Describe a channel.

    Args:
        id_: as in its messages.
        name: for people; like that of its category or parent it may tell that it is not safe for work.
        category: see name.
        kind: the exporter's name, or Discord's number, of its type.
        guild: id or name of the server.
        is_nsfw: marked so.
    """
    is_private = kind in _PRIVATE_TYPES or guild in _DIRECT_MESSAGES
    return Channel(id_, name or None, is_private, is_nsfw or sounds_nsfw(name) or sounds_nsfw(category))
