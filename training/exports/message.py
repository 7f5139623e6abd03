"""What every export format gives: messages, and one kind of error."""

from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from model import ChinwagError
from training.exports.time_range import checked_time

GONE = ""
"""The `reply_to` of a message that answers one nobody can name any more."""


class ExportError(ChinwagError):
    """An export cannot be read. The message is one plain sentence: what, where, the remedy."""


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message as it was exported: a struct, because a dataclass takes five times as long to make.

    Attributes:
        channel: an opaque id of the channel, thread or conversation; parts of an export share it.
        id: names the message within its channel.
        author: an opaque account id; only equality matters.
        timestamp: seconds since the epoch, UTC; None if the format has no time.
        content: raw text; mentions may stand in it as Discord's tokens (`<@1>`) or as `@Name`.
        reply_to: the id of the message it answers, `GONE` if that one is not known, None if it is no reply.
        edited: seconds since the epoch of the last edit, to choose between two exports of one message.
        is_bot: an automatic account, a webhook, or the output of a command.
        is_system: a notice by the platform; nobody said it.
        name: what the author is called in that channel, to find out who is spoken to; never stored.
        mentions: account ids of those that the text itself mentions, as far as the format says.
    """

    channel: str
    id: str
    author: str
    timestamp: float | None
    content: str
    reply_to: str | None = None
    edited: float | None = None
    is_bot: bool = False
    is_system: bool = False
    name: str | None = None
    mentions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Channel:
    """What an export says of a channel.

    Attributes:
        id: the `channel` of its messages.
        name: for people, e.g. `general`; None if the format has none.
        is_private: a direct message, a group of few or a private thread.
        is_nsfw: marked, or named, as not safe for work.
    """

    id: str
    name: str | None = None
    is_private: bool = False
    is_nsfw: bool = False


def seconds_since_epoch(printed: str) -> float:
    """Read an ISO 8601 time; one without a zone is UTC. Raises ValueError if it is none, or out of range."""
    moment = datetime.fromisoformat(printed)
    return checked_time((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
