"""Discord messages in, the turns of a context out."""

import asyncio
import logging
import re
from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta

import aiohttp
import discord

from model.dialogue import MAX_CONTEXT_TURNS, ME, Turn, clean_text, merge_bursts

logger = logging.getLogger(__name__)

MAX_LENGTH = 2000
"""Discord's limit for a message."""

_CHAIN_DEPTH = 6
_MOST_CHARACTERS = 12_000  # of messages that are read for an answer: six of the usual longest
_RECENT_MESSAGES = 20
_PATIENCE = 5.0  # seconds for earlier messages; a reply without them is better than a later one
_PAUSE = timedelta(minutes=30)  # a longer silence ends a conversation


async def gather_context(
    message: discord.Message, me: int, *, recent: bool, excluded: Collection[str] = ()
) -> list[Turn]:
    """The conversation that `message` answers, with `message` as its end.

    Explicit reply links come first. Only a message that replies to nothing is read with what was said before it.

    Args:
        message: the message to answer.
        me: the bot's own user id.
        recent: whether the bot may read the other messages of the channel.
        excluded: the ids of people who want to be left out. What one of them says to the bot is answered, but is not
            remembered when somebody speaks next.
    """
    messages = [message]
    try:
        async with asyncio.timeout(_PATIENCE):
            messages = await _conversation(message, recent=recent)
    except (aiohttp.ClientError, OSError) as error:  # TimeoutError is one
        logger.info("Answering without earlier messages: %s.", type(error).__name__)
    return to_context([*(each for each in messages[:-1] if str(each.author.id) not in excluded), message], me)


async def _conversation(message: discord.Message, *, recent: bool) -> list[discord.Message]:
    messages = await _reply_chain(message)
    if len(messages) == 1 and recent:
        messages = unbroken([*await _recent_messages(message), message])
    return messages


def to_context(messages: Iterable[discord.Message], me: int) -> list[Turn]:
    """Turn messages (oldest first) into at most `MAX_CONTEXT_TURNS` turns, one a burst, of bounded length together."""
    turns, room = list[Turn](), _MOST_CHARACTERS
    for message in reversed([each for each in messages if is_speech(each, me)]):
        room -= len(message.content)
        if room < 0 and turns:
            break
        turns.append(Turn(_speaker(message, me), clean_text(message.content)))
    return merge_bursts(reversed(turns))[-MAX_CONTEXT_TURNS:]


def is_speech(message: discord.Message, me: int) -> bool:
    """Whether a person or this bot said it: no other bot, no webhook, no system notice, no answer to a command."""
    if message.type not in (discord.MessageType.default, discord.MessageType.reply) or message.webhook_id is not None:
        return False
    return message.author.id == me or not message.author.bot


def unbroken(messages: Sequence[discord.Message]) -> list[discord.Message]:
    """The end of `messages` (oldest first) that leads to the last one without a long pause."""
    newest_first = [messages[-1]]
    for earlier in reversed(messages[:-1]):
        if newest_first[-1].created_at - earlier.created_at > _PAUSE:
            break
        newest_first.append(earlier)
    return newest_first[::-1]


def known_target(message: discord.Message) -> discord.Message | None:
    """The message that `message` replies to, as far as it is at hand without asking Discord."""
    reference = message.reference
    if reference is None or message.type is not discord.MessageType.reply:
        return None  # a forwarded message has a reference too
    if isinstance(reference.resolved, discord.Message):
        return reference.resolved
    return reference.cached_message


def parts_of(text: str, limit: int = MAX_LENGTH) -> list[str]:
    """The text in parts that fit into a message each: whole sentences, else whole words, else what fits."""
    parts, text = [], text.strip()
    while len(text) > limit:
        for end in (r"(?<=[.!?…])\s|\n", r"\s"):
            places = [found.start() for found in re.finditer(end, text[: limit + 1])]
            if places and text[: places[-1]].strip():
                break
        else:
            places = [limit]
        parts.append(text[: places[-1]].rstrip())
        text = text[places[-1] :].lstrip()
    return [*parts, text] if text else parts


def _speaker(message: discord.Message, me: int) -> str:
    return ME if message.author.id == me else str(message.author.id)


async def _reply_chain(message: discord.Message) -> list[discord.Message]:
    chain = [message]
    while len(chain) < _CHAIN_DEPTH and (target := await _target(chain[-1])) is not None:
        chain.append(target)
    return chain[::-1]


async def _target(message: discord.Message) -> discord.Message | None:
    known = known_target(message)
    reference = message.reference
    if known is not None or reference is None or message.type is not discord.MessageType.reply:
        return known
    if reference.message_id is None or isinstance(reference.resolved, discord.DeletedReferencedMessage):
        return None
    try:
        return await message.channel.fetch_message(reference.message_id)
    except discord.HTTPException as error:  # gone, or not for the bot to read: the chain ends here
        logger.info("A reply chain ends early: HTTP %s, code %s.", error.status, error.code)
        return None


async def _recent_messages(message: discord.Message) -> list[discord.Message]:
    try:
        newest_first = [earlier async for earlier in message.channel.history(limit=_RECENT_MESSAGES, before=message)]
    except discord.HTTPException as error:  # without Read Message History, 403
        logger.info("Answering without earlier messages: HTTP %s, code %s.", error.status, error.code)
        return []
    return newest_first[::-1]
