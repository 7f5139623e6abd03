"""What Discord's messages have in common in all exports of them: ids that hold a time, types, names and emoji."""

import re
from collections.abc import Collection

from training.exports.message import seconds_since_epoch

_DISCORD_EPOCH_MS = 1_420_070_400_000
_FIRST_SNOWFLAKE = 10**16  # of the end of January 2015
_SNOWFLAKES_END = 1 << 64

# DiscordChatExporter prints the types it has no name for as Discord's number.
REPLY_TYPES = frozenset({"Reply", "19"})
"""Messages of these types answer the one they refer to."""
COMMAND_OUTPUT_TYPES = frozenset({"20", "23"})
"""What a command of an application printed."""
WRITTEN_TYPES = REPLY_TYPES | COMMAND_OUTPUT_TYPES | {"Default", "0"}
"""All others are notices that nobody wrote."""

_NOTICE = re.compile(
    r"Joined the server\.|Pinned a message\.|Started a thread\.|Left the group\.|Changed the channel icon\."
    r"|Changed the channel name: .*|(?:Added|Removed) .* (?:to|from) the group\."
    r"|Started a call that lasted [\d.,]+ minutes?\.",
    re.DOTALL,
)
UNRESOLVED_MENTIONS = ("Unknown", "deleted-role")
"""What stands for somebody, or a role, that the exporter could not find."""

_CUSTOM_EMOJI = re.compile(r"<a?(:\w+:)\d+>")
_MENTION = re.compile(r"<@!?(\d+)>")


def snowflake_time(id_: str) -> float | None:
    """The time inside a Discord id, exact to the millisecond; None if it is no such id."""
    try:
        number = int(id_)
    except ValueError:
        return None
    return ((number >> 22) + _DISCORD_EPOCH_MS) / 1000 if _FIRST_SNOWFLAKE <= number < _SNOWFLAKES_END else None


def message_time(id_: str, printed: str | None) -> float | None:
    """The time of a message: that inside its id, or the printed one if it has no such id."""
    time = snowflake_time(id_)
    return printed_time(printed) if time is None and printed else time


def printed_time(printed: str) -> float | None:
    """A time in ISO 8601; None if it is none."""
    try:
        return seconds_since_epoch(printed)
    except (ValueError, OverflowError):
        return None


def is_notice(content: str) -> bool:
    """Whether a text is one that DiscordChatExporter writes for a notice, the only sign where there are no types."""
    return _NOTICE.fullmatch(content) is not None


def mentioned_ids(content: str) -> tuple[str, ...]:
    """The ids in Discord's own marks for mentions of people."""
    return tuple(_MENTION.findall(content)) if "<@" in content else ()


def plain_emoji(content: str) -> str:
    """The content with a server's own emoji as `:name:` rather than as Discord's marks."""
    return _CUSTOM_EMOJI.sub(r"\1", content) if ":" in content and "<" in content else content


def without_names(content: str, names: Collection[str]) -> str:
    """Take out the `@Name` that the exporter wrote for a mention: people's names are not to be learned."""
    if "@" not in content:
        return content
    # The longest first, so that @Ann does not break @Annabel.
    for name in sorted({*names, *UNRESOLVED_MENTIONS}, key=lambda name: (-len(name), name)):
        content = content.replace(f"@{name}", " ")
    return content
