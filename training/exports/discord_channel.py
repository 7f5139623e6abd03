"""What the exports of Discord say of a channel: its id, and whether its content is for everybody."""

import re

from training.exports.message import Channel

_ID_IN_NAME = re.compile(r"\[(\d{15,20})\]")
_PRIVATE_TYPES = frozenset({"DirectTextChat", "DirectGroupTextChat", "GuildPrivateThread", "1", "3", "12"})
_DIRECT_MESSAGES = frozenset({"0", "Direct Messages"})
_NSFW = re.compile(r"(?<![a-z])(?:nsfw|lewd|porn|hentai|adult)s?(?![a-z])|(?<!\d)18\s?\+", re.IGNORECASE)


def channel_id(file_name: str, *names: str | None) -> str:
    """An id for a channel that has none in its export, the same in all partitions of it.

    Args:
        file_name: DiscordChatExporter's own ends in `[id]` and the number of the partition.
        names: of the server and the channel, if the export has them.
    """
    if match := _ID_IN_NAME.search(file_name):
        return match[1]
    return " / ".join(name for name in names if name) or file_name


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
    return Channel(id_, name or None, is_private, is_nsfw or bool(_NSFW.search(f"{category or ''} / {name or ''}")))
