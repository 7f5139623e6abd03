"""Discord in, Discord out: which messages are answered, and how the answer is sent."""

import asyncio
import contextlib
import logging
import math
import os
import re
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import discord
import numpy as np
from discord import app_commands
from discord.ext import commands

from bot.commands import AdminCommands, Answers, MemberCommands, why_this_reply
from bot.history import gather_context, is_speech, known_target
from bot.live_model import ReplyModel
from bot.reply_queue import BusyError, ReplyQueue
from bot.status import ANSWERED, FAILED, TOO_SOON, Status
from bot.status import BUSY as TOO_BUSY
from model.consent import Consent
from model.reply import Question, Reply, ReplyConfig

logger = logging.getLogger(__name__)

FAILURE = "Sorry, I could not think of a reply. My log says why."
BUSY = "Too many people talk to me right now. Ask me again in a moment."
COOLDOWN = "You talk faster than I can think. Ask me again in {seconds} s."
MAX_LENGTH = 2000
"""Discord's limit for a message."""

PERMISSIONS = discord.Permissions(
    view_channel=True, send_messages=True, send_messages_in_threads=True, read_message_history=True
)
"""The least that the bot needs in a server."""

USER_LIMIT, CHANNEL_LIMIT = (6, 30.0), (20, 30.0)
"""How many messages of a member, and in a channel, are answered in how many seconds."""

_TYPING_PATIENCE = 2.0  # seconds; the indicator is not worth more
_NETWORK_ERRORS = (discord.DiscordException, aiohttp.ClientError, OSError)


class ChinwagClient(discord.Client):
    """Answers mentions, replies to its own messages and direct messages with generated text."""

    user: discord.ClientUser  # set once logged in, before any event

    def __init__(
        self,
        model: ReplyModel,
        *,
        rng: np.random.Generator | None = None,
        replies: ReplyConfig | None = None,
        consent: Consent | None = None,
        workers: int | None = None,
        guild_ready_timeout: float = 2.0,
    ) -> None:
        """Prepare a client; `start(token)` connects it.

        Args:
            model: turns a context into a reply.
            rng: where the replies' randomness comes from.
            replies: how they are found.
            consent: who wants to be left out; without it, members cannot say so.
            workers: threads that think; by default one for each processor.
            guild_ready_timeout: seconds without another server that end the start.
        """
        super().__init__(
            intents=discord.Intents(guilds=True, messages=True),
            allowed_mentions=discord.AllowedMentions.none(),
            guild_ready_timeout=guild_ready_timeout,
        )
        self._model = model
        self._queue = ReplyQueue(model, workers=workers or os.cpu_count() or 1)
        self._replies, self._consent = replies or ReplyConfig(), consent
        self._answers, self._status = Answers(), Status()
        self._cooldowns = [
            commands.CooldownMapping.from_cooldown(*limit, bucket)
            for limit, bucket in ((USER_LIMIT, commands.BucketType.user), (CHANNEL_LIMIT, commands.BucketType.channel))
        ]
        self._notices = commands.CooldownMapping.from_cooldown(1, USER_LIMIT[1], commands.BucketType.user)
        self.tree = app_commands.CommandTree(self)
        self.tree.add_command(why_this_reply(self._answers))
        self.tree.add_command(AdminCommands(self._describe))
        if consent is not None:
            self.tree.add_command(MemberCommands(consent))
        self._rng = rng if rng is not None else np.random.default_rng()
        self._guard_parsers()

    async def setup_hook(self) -> None:
        """Ask for message content if the application may have it. Runs between the login and the gateway."""
        flags = self.application_flags
        if flags.gateway_message_content or flags.gateway_message_content_limited:
            # discord.py takes intents in the constructor only, but the flags are not known before the login.
            self._connection._intents.message_content = True
        else:
            logger.info("Message Content is not granted: only mentions, replies to them and DMs can be read.")
        try:
            await self.tree.sync()
        except discord.HTTPException as error:  # another server than Discord's may have no commands
            logger.warning("The commands cannot be offered: HTTP %s, code %s.", error.status, error.code)

    async def close(self) -> None:
        """Answer what is being thought about, refuse what still waits, and disconnect."""
        await self._queue.close()
        await super().close()

    async def on_ready(self) -> None:
        """Say that the bot is there, and how to add it to a server."""
        invite = discord.utils.oauth_url(self.application_id or self.user.id, permissions=PERMISSIONS)
        servers = "1 server" if len(self.guilds) == 1 else f"{len(self.guilds)} servers"
        print(f"{self.user} is ready on {servers}. Add it to another one: {invite}", flush=True)

    async def on_message(self, message: discord.Message) -> None:
        """Answer the message if it is for the bot."""
        if message.author.id == self.user.id or not is_speech(message, self.user.id):
            return
        if not self._is_addressed(message):
            return
        wait = max(cooldown.update_rate_limit(message) or 0.0 for cooldown in self._cooldowns)
        if wait:
            logger.info("Too soon for message %s.", message.id)
            self._status.count(TOO_SOON)
            if not self._notices.update_rate_limit(message):  # once, or it could be made to say only that
                await _send(message, COOLDOWN.format(seconds=math.ceil(wait)))
            return
        async with _typing(message.channel):
            answer = await self._compose(message)
        sent = await _send(message, answer if isinstance(answer, str) else shorten(answer.text))
        if sent is not None and isinstance(answer, Reply):
            self._answers.remember(sent.id, answer)

    def _describe(self) -> str:
        return self._status.text(self._model.describe(), waiting=len(self._queue), latency=self.latency)

    def _is_addressed(self, message: discord.Message) -> bool:
        # `user.mentioned_in(message)` is no use here: it is true for @everyone.
        if message.guild is None or self.user in message.mentions:
            return True
        target = known_target(message)
        if target is None or target.author.id != self.user.id:
            return False
        # A reply with its ping switched off. Discord hides its text unless Message Content is granted.
        return bool(message.content) or self.intents.message_content

    async def _compose(self, message: discord.Message) -> Reply | str:
        """The answer, or what is said where there is none."""
        readable = message.guild is None or self.intents.message_content
        try:
            excluded = await asyncio.to_thread(self._consent.excluded) if self._consent else frozenset[str]()
            turns = await gather_context(message, self.user.id, recent=readable, excluded=excluded)
            # A generator of its own for each reply: NumPy's are not safe to share between threads.
            question = Question(turns, self._rng.spawn(1)[0], self._replies)
            start = time.monotonic()
            reply = await self._queue.reply(question, server=(message.guild or message.channel).id)
        except BusyError:
            logger.info("Too busy for message %s.", message.id)
            self._status.count(TOO_BUSY)
            return BUSY
        except Exception:
            logger.exception("No reply to message %s.", message.id)
            self._status.count(FAILED)
            return FAILURE
        self._status.count(ANSWERED, time.monotonic() - start)
        return reply

    def _guard_parsers(self) -> None:
        # discord.py stops altogether at an event that it cannot read; other servers than Discord's send such.
        # READY is left alone: without it there is nothing to go on with.
        parsers = self._connection.parsers
        for name, parse in parsers.items():
            if name != "READY":
                parsers[name] = _guarded(name, parse)


def shorten(text: str, limit: int = MAX_LENGTH) -> str:
    """The text, or as many of its words as fit into `limit` characters."""
    if len(text) <= limit:
        return text
    words = re.match(rf".{{1,{limit}}}(?!\S)", text, re.DOTALL)
    return (words[0].rstrip() if words else "") or text[:limit]


@contextlib.asynccontextmanager
async def _typing(channel: discord.abc.Messageable) -> AsyncIterator[None]:
    """Show the typing indicator, as far as that works without keeping the reply waiting."""
    async with contextlib.AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(_TYPING_PATIENCE):
                await stack.enter_async_context(channel.typing())
        except _NETWORK_ERRORS as error:
            logger.info("No typing indicator: %s.", type(error).__name__)
        yield


async def _send(message: discord.Message, answer: str) -> discord.Message | None:
    """Reply to a message; None if that fails."""
    try:
        return await message.reply(answer, mention_author=False)
    except discord.HTTPException as error:  # deleted meanwhile, or no permission
        logger.warning("Could not answer message %s: HTTP %s, code %s.", message.id, error.status, error.code)
    except _NETWORK_ERRORS as error:
        logger.warning("Could not answer message %s: %s.", message.id, type(error).__name__)
    return None


def _guarded(name: str, parse: Callable[[Any], None]) -> Callable[[Any], None]:
    def guarded(data: Any) -> None:
        try:
            parse(data)
        except Exception:
            logger.exception("Skipped a %s event that cannot be read.", name)

    return guarded
