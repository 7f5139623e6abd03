"""Which messages are answered, and how the answer is sent; at home in the client here and in any discord.py bot."""

import asyncio
import contextlib
import logging
import math
import os
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import aiohttp
import discord
import numpy as np
from discord import app_commands
from discord.ext import commands

from bot.admin import AdminCommands
from bot.feedback import VOTES, Exchange
from bot.guild_settings import DEFAULT, GuildSettings, SettingsError
from bot.history import gather_context, is_speech, known_target, parts_of, to_context
from bot.live_model import Models, ReplyModel
from bot.member import Answer, Answers, MemberCommands, why_this_reply
from bot.model_desk import CancelButton, ModelDesk, model_commands
from bot.reply_queue import BusyError, ReplyQueue
from bot.retraining import Command, command
from bot.status import ANSWERED, FAILED, NOT_ALLOWED, NOT_SENT, TOO_SOON, Status
from bot.status import BUSY as TOO_BUSY
from bot.stores import Stores
from model.consent import ConsentError
from model.reply import Question, ReplyConfig

logger = logging.getLogger(__name__)

FAILURE = "Sorry, I could not think of a reply. My log says why."
BUSY = "Too many people talk to me right now. Ask me again in a moment."
COOLDOWN = "You talk faster than I can think. Ask me again in {seconds} s."

USER_LIMIT, CHANNEL_LIMIT = (6, 30.0), (20, 30.0)
"""How many messages of a member, and in a channel, are answered in how many seconds."""

_TYPING_PATIENCE = 2.0  # seconds; the indicator is not worth more
_RETRIES = (1.0, 4.0, 15.0)  # seconds to wait before a reply is sent again
_PARTING = 10.0  # seconds for what is being answered when the bot ends
_MOST_PARTS = 5  # messages of an answer, whatever a model says
AnyBot = commands.Bot | commands.AutoShardedBot

_NETWORK_ERRORS = (discord.DiscordException, aiohttp.ClientError, OSError)


class Chinwag(commands.Cog):
    """Answers mentions, replies to the bot's messages, direct messages, and what the admins of a server chose."""

    def __init__(
        self,
        bot: AnyBot,
        models: Models,
        stores: Stores,
        *,
        exports: Path = Path("exports"),
        replies: ReplyConfig | None = None,
        rng: np.random.Generator | None = None,
        workers: int | None = None,
        train: Command = command,
    ) -> None:
        """Answer nothing yet.

        Args:
            bot: that it is to be added to.
            models: what turns contexts into replies.
            stores: what is kept beside them.
            exports: the folder with chat logs, those of a server in a folder with its id.
            replies: how they are found where a server has set nothing.
            rng: where the replies' randomness comes from.
            workers: threads that think; by default one for each processor.
            train: the command that trains a model.
        """
        self.status, self.desk = Status(), ModelDesk(bot, models, stores, exports, train=train)
        self._bot, self._models, self._stores = bot, models, stores
        self._queue = ReplyQueue(models.of, workers=workers or os.cpu_count() or 1)
        self._answers, usual = Answers(), replies or ReplyConfig()
        # Not made anew for each reply: a blocklist may be long, and replies with one config are drawn at once.
        self._config = lru_cache(maxsize=256)(lambda settings: settings.replies(usual))
        self._rng = rng if rng is not None else np.random.default_rng()
        self._cooldowns = [
            commands.CooldownMapping.from_cooldown(*limit, bucket)
            for limit, bucket in ((USER_LIMIT, commands.BucketType.user), (CHANNEL_LIMIT, commands.BucketType.channel))
        ]
        self._notices = commands.CooldownMapping.from_cooldown(1, USER_LIMIT[1], commands.BucketType.user)
        self._answering: set[asyncio.Task[object]] = set()
        self._closing = False
        self._commands: list[app_commands.ContextMenu | app_commands.Group] = [
            why_this_reply(self._answers, models),
            admin := AdminCommands(self.describe, stores.settings),
            MemberCommands(stores),
        ]
        for each in model_commands(self.desk):
            admin.add_command(each)

    async def cog_load(self) -> None:
        """Offer the commands; who added the cog tells Discord of them (`bot.tree.sync`)."""
        for each in self._commands:
            self._bot.tree.add_command(each)
        self._bot.add_dynamic_items(CancelButton)
        self.desk.trainer.start()

    async def cog_unload(self) -> None:
        """Answer what is being thought about, refuse what still waits, and take the commands back."""
        self._closing = True
        await self.desk.trainer.close()
        self._bot.remove_dynamic_items(CancelButton)
        for each in self._commands:
            menu = isinstance(each, app_commands.ContextMenu)
            kind = discord.AppCommandType.message if menu else discord.AppCommandType.chat_input
            self._bot.tree.remove_command(each.name, type=kind)
        await self._queue.close()
        if self._answering:
            _, late = await asyncio.wait(self._answering, timeout=_PARTING)
            for task in late:
                task.cancel()
        await asyncio.to_thread(self._stores.close)

    def describe(self, server: int) -> str:
        """What the model of a server is, what was done since the start, and what waits, in Discord's markdown."""
        return self.status.text(self._models.of(server).describe(), waiting=self.waiting, latency=self._bot.latency)

    @property
    def model(self) -> ReplyModel:
        """What answers in servers without a model of their own."""
        return self._models.of(0)

    @property
    def waiting(self) -> int:
        """Questions in the queue."""
        return len(self._queue)

    @commands.Cog.listener()
    async def on_message(self, message: discord.Message) -> None:
        """Answer the message if it is for the bot."""
        if self._closing or message.author.id == self._me or not is_speech(message, self._me):
            return
        task = asyncio.current_task()
        assert task is not None
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)
        await self._attend(message)

    async def _attend(self, message: discord.Message) -> None:
        settings = DEFAULT if message.guild is None else await self._set_for(message.guild)
        if settings is None:
            await self._fail(message)
            return
        asked = self._is_addressed(message, settings)
        if not asked and not self._joins_in(message, settings):
            return
        if not _may_talk(message, settings):
            self.status.count(NOT_ALLOWED)
            return
        now = time.monotonic()  # by the time of day, a clock that is put back would lock people out
        # What is too much of one member counts for the channel no more, or who floods it would silence the others.
        waits = (cooldown.update_rate_limit(message, now) for cooldown in self._cooldowns)
        if wait := next(filter(None, waits), None):
            await self._refuse(message, wait, notice=asked)
            return
        if self._queue.refuses(_server_of(message)):  # at once: under load every request to Discord counts
            answer: Answer | str = self._busy(message)
        else:
            async with _typing(message.channel):
                answer = await self._compose(message, settings)
        if asked or isinstance(answer, Answer):  # nobody waits for an excuse from who was not asked
            await self._say(message, answer)

    @commands.Cog.listener()
    async def on_raw_reaction_add(self, payload: discord.RawReactionActionEvent) -> None:
        """Keep a 👍 or 👎, where the admins want that."""
        await self._vote(payload, VOTES.get(str(payload.emoji.name)))

    @commands.Cog.listener()
    async def on_raw_reaction_remove(self, payload: discord.RawReactionActionEvent) -> None:
        """Take it back."""
        await self._vote(payload, VOTES.get(str(payload.emoji.name)) and 0)

    @commands.Cog.listener()
    async def on_raw_message_delete(self, payload: discord.RawMessageDeleteEvent) -> None:
        """Forget an answer that was deleted."""
        answer = self._answers.find(payload.message_id)
        self._answers.forget(payload.message_id)
        if answer is not None and answer.exchange is not None:
            await asyncio.to_thread(self._stores.feedback.forget, payload.message_id)

    async def _vote(self, payload: discord.RawReactionActionEvent, value: int | None) -> None:
        answer = self._answers.find(payload.message_id)
        if value is None or payload.user_id == self._me or answer is None or answer.exchange is None:
            return
        if payload.member is not None and payload.member.bot:
            return
        try:
            await asyncio.to_thread(self._keep_vote, answer.exchange, payload.user_id, value)
        except Exception:
            logger.exception("A vote could not be kept.")

    def _keep_vote(self, exchange: Exchange, member: int, value: int) -> None:
        """Keep a vote, unless somebody who speaks there has opted out since the answer was given, or does meanwhile.

        Who has opted out has no vote either.
        """
        if self._is_out(exchange) or str(member) in self._stores.consent.excluded():
            return
        self._stores.feedback.vote(exchange, member, value)
        if self._is_out(exchange):
            self._stores.feedback.forget(exchange.message)

    def _is_out(self, exchange: Exchange) -> bool:
        excluded = self._stores.consent.excluded()
        return any(turn.speaker in excluded for turn in exchange.turns)

    @property
    def _me(self) -> int:
        assert self._bot.user is not None  # there are no events before the login
        return self._bot.user.id

    async def _set_for(self, guild: discord.Guild) -> GuildSettings | None:
        """What is set for a server; None if that cannot be read."""
        try:
            return await asyncio.to_thread(self._stores.settings.of, guild.id)
        except SettingsError as error:  # at each message, until they can
            logger.error("Nothing is answered in server %s. %s", guild.id, error)
        except Exception:
            logger.exception("The settings of server %s cannot be read.", guild.id)
        return None

    async def _fail(self, message: discord.Message) -> None:
        """Say nothing but that something is wrong: what its admins forbid is not known."""
        if self._is_addressed(message, DEFAULT):
            self.status.count(FAILED)
            await _send(message, FAILURE)

    def _is_addressed(self, message: discord.Message, settings: GuildSettings) -> bool:
        if message.guild is None:
            return True
        # `user.mentioned_in(message)` is no use here: it is true for @everyone.
        if self._bot.user in message.mentions:
            return True
        target = known_target(message)
        if target is not None:
            # A reply with its ping switched off. Discord hides its text unless Message Content is granted.
            return target.author.id == self._me and self._readable(message)
        return _is_in(message.channel, settings.channels) and self._readable(message) and not message.mentions

    def _joins_in(self, message: discord.Message, settings: GuildSettings) -> bool:
        """Whether to answer what is for nobody in particular."""
        if not settings.chance or not message.content or message.mentions or message.reference is not None:
            return False
        return self._rng.random() < settings.chance

    def _readable(self, message: discord.Message) -> bool:
        return bool(message.content) or self._bot.intents.message_content

    async def _refuse(self, message: discord.Message, wait: float, *, notice: bool) -> None:
        if not notice:
            return
        logger.info("Too soon for message %s.", message.id)
        self.status.count(TOO_SOON)
        if not self._notices.update_rate_limit(message, time.monotonic()):  # once, or it could be made to say only that
            await _send(message, COOLDOWN.format(seconds=math.ceil(wait)))

    async def _compose(self, message: discord.Message, settings: GuildSettings) -> Answer | str:
        """The answer, or what is said where there is none."""
        readable = message.guild is None or self._bot.intents.message_content
        try:
            excluded = await self._left_out(message)
            if excluded is None:
                turns = to_context([message], self._me)
            else:
                turns = await gather_context(message, self._me, recent=readable, excluded=excluded)
            # A generator of its own for each reply: NumPy's are not safe to share between threads.
            question = Question(turns[-settings.turns :], self._rng.spawn(1)[0], self._config(settings))
            start = time.monotonic()
            reply = await self._queue.reply(question, server=_server_of(message))
        except BusyError:
            return self._busy(message)
        except Exception:
            logger.exception("No reply to message %s.", message.id)
            self.status.count(FAILED)
            return FAILURE
        self.status.count(ANSWERED, time.monotonic() - start)
        if message.guild is None or not settings.feedback or excluded is None or str(message.author.id) in excluded:
            return Answer(reply, question.turns)
        if question.config.blocklist.finds("\n".join(turn.text for turn in question.turns)):
            return Answer(reply, question.turns)
        return Answer(reply, question.turns, Exchange(0, message.guild.id, question.turns, reply.text))

    async def _left_out(self, message: discord.Message) -> frozenset[str] | None:
        """Who is to be left out; None if that cannot be read: then it may be anybody but who asks."""
        try:
            return await asyncio.to_thread(self._stores.consent.excluded)
        except ConsentError as error:
            logger.error("Message %s is answered without what was said before it. %s", message.id, error)
            return None

    def _busy(self, message: discord.Message) -> str:
        logger.info("Too busy for message %s.", message.id)
        self.status.count(TOO_BUSY)
        return BUSY

    async def _say(self, message: discord.Message, answer: Answer | str) -> None:
        """Send an answer, in several messages if it is too long for one."""
        first, *rest = parts_of(answer if isinstance(answer, str) else answer.reply.text)[:_MOST_PARTS]
        sent = await _send(message, first)
        if sent is None:
            self.status.count(NOT_SENT)
            return
        if isinstance(answer, Answer):
            exchange = answer.exchange and replace(answer.exchange, message=sent.id)
            self._answers.remember(sent.id, answer._replace(exchange=exchange))
        for part in rest:
            await _send(sent, part)


def _may_talk(message: discord.Message, settings: GuildSettings) -> bool:
    """Whether the admins of a server let the bot answer this member here."""
    if _is_in(message.channel, settings.muted):
        return False
    roles = {role.id for role in getattr(message.author, "roles", ())}
    return not settings.roles or not roles.isdisjoint(settings.roles)


def _server_of(message: discord.Message) -> int:
    """Whose question it is; a direct message's channel stands for a server."""
    return (message.guild or message.channel).id


def _is_in(channel: discord.abc.Snowflake, channels: tuple[int, ...]) -> bool:
    """Whether it is one of the channels, or a thread or a post in one."""
    return channel.id in channels or getattr(channel, "parent_id", None) in channels


@contextlib.asynccontextmanager
async def _typing(channel: discord.abc.Messageable) -> AsyncIterator[None]:
    """Show the typing indicator, as far as that works without keeping the reply waiting."""
    async with contextlib.AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(_TYPING_PATIENCE):
                await stack.enter_async_context(channel.typing())
        except _NETWORK_ERRORS as error:
            logger.info("No typing indicator: %s.", _named(error))
        yield


async def _send(message: discord.Message, answer: str) -> discord.Message | None:
    """Reply to a message; None if that fails.

    What fails on the way is tried again; by the nonce, Discord knows a reply that it has already.
    """
    nonce, nobody = str(message.id), discord.AllowedMentions.none()
    for patience in (*_RETRIES, None):
        try:
            return await message.reply(answer, mention_author=False, allowed_mentions=nobody, nonce=nonce)
        except _NETWORK_ERRORS as error:
            refused = isinstance(error, discord.HTTPException) and error.status < 500 and error.status != 429
            if refused or patience is None:  # refused: the message is deleted meanwhile, or there is no permission
                logger.warning("Could not answer message %s: %s.", message.id, _named(error))
                return None
            logger.info("Trying again to answer message %s: %s.", message.id, _named(error))
            await asyncio.sleep(patience)
    return None


def _named(error: BaseException) -> str:
    """What went wrong, without what somebody wrote."""
    if isinstance(error, discord.HTTPException):
        return f"HTTP {error.status}, code {error.code}"
    return type(error).__name__
