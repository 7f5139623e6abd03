"""The bot that runs alone: discord.py's client, with what it needs of Discord and nothing more."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import discord
from discord.ext import commands

from bot.cog import AnyBot
from model import ChinwagError

logger = logging.getLogger(__name__)

PERMISSIONS = discord.Permissions(
    view_channel=True, send_messages=True, send_messages_in_threads=True, read_message_history=True
)
"""The least that the bot needs in a server."""

_LONGEST_LIMIT = 60.0  # seconds that Discord may ask to wait; nobody is there any more for a later reply

TELL = partial(print, flush=True)
"""Tells whoever started the bot, at once also where the output is a pipe."""


def invitation(application: int) -> str:
    """The link that adds the bot to a server with no more than it needs.

    Args:
        application: the id of the bot's application.
    """
    return discord.utils.oauth_url(application, permissions=PERMISSIONS)


def reads_content(flags: discord.ApplicationFlags) -> bool:
    """Whether the application may ask for message content."""
    return flags.gateway_message_content or flags.gateway_message_content_limited


class ChinwagClient(commands.Bot):
    """Connects to Discord; a `bot.cog.Chinwag` answers. After an outage it hears what it has missed."""

    user: discord.ClientUser  # set once logged in, before any event

    def __init__(
        self,
        make_cog: Callable[[AnyBot], commands.Cog],
        *,
        guild_ready_timeout: float = 2.0,
        tell: Callable[[str], object] = TELL,
        **options: Any,
    ) -> None:
        """Prepare a client; `start(token)` connects it.

        Args:
            make_cog: makes what answers.
            guild_ready_timeout: seconds without another server that end the start.
            tell: takes what whoever started the bot should see.
            options: as for discord.py's bot.
        """
        super().__init__(
            command_prefix=(),
            help_command=None,
            intents=discord.Intents(guilds=True, messages=True, reactions=True),
            allowed_mentions=discord.AllowedMentions.none(),
            max_ratelimit_timeout=_LONGEST_LIMIT,
            guild_ready_timeout=guild_ready_timeout,
            **options,
        )
        self._make_cog, self._tell = make_cog, tell
        self._guard_parsers()

    async def setup_hook(self) -> None:
        """Ask for message content if the application may have it. Runs between the login and the gateway."""
        if reads_content(self.application_flags):
            # discord.py takes intents in the constructor only, but the flags are not known before the login.
            self._connection._intents.message_content = True
        else:
            logger.info("Message Content is not granted: only mentions, replies to them and DMs can be read.")
        await self.add_cog(self._make_cog(self))
        try:
            await self.tree.sync()
        except discord.HTTPException as error:  # another server than Discord's may have no commands
            logger.warning("The commands cannot be offered: HTTP %s, code %s.", error.status, error.code)

    async def on_ready(self) -> None:
        """Say that the bot is there, and how to add it to a server."""
        invite = invitation(self.application_id or self.user.id)
        servers = "1 server" if len(self.guilds) == 1 else f"{len(self.guilds)} servers"
        self._tell(f"{self.user} is ready on {servers}. Add it to another one: {invite}")

    async def on_message(self, message: discord.Message) -> None:
        """Nothing: there are no commands that begin with a prefix."""

    def _guard_parsers(self) -> None:
        # discord.py stops altogether at an event that it cannot read; other servers than Discord's send such.
        # READY is left alone: without it there is nothing to go on with.
        parsers = self._connection.parsers
        for name, parse in parsers.items():
            if name != "READY":
                parsers[name] = _guarded(name, parse)


class ShardedClient(ChinwagClient, commands.AutoShardedBot):
    """The same with several connections, each of which has a part of the servers; others may be other processes'.

    discord.py resumes none of them once a try to connect has failed: what is said in an outage is not answered.
    """

    def __init__(
        self,
        make_cog: Callable[[AnyBot], commands.Cog],
        *,
        take_turns: Callable[[], None] | None = None,
        **options: Any,
    ) -> None:
        """Prepare a client, as `ChinwagClient`.

        Args:
            make_cog: makes what answers.
            take_turns: waits until five seconds after the last connection of any process of the bot, as Discord wants
                it; None if there is one process.
            options: as for `ChinwagClient`.
        """
        super().__init__(make_cog, **options)
        self._take_turns = take_turns

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Wait before a new session is begun."""
        if self._take_turns is not None:
            try:
                await asyncio.to_thread(self._take_turns)
                return
            except ChinwagError as error:
                logger.warning("Shard %s waits for no other process: %s", shard_id, error)
        await super().before_identify_hook(shard_id, initial=initial)


def _guarded(name: str, parse: Callable[[Any], None]) -> Callable[[Any], None]:
    def guarded(data: Any) -> None:
        try:
            parse(data)
        except Exception:
            # What it failed at may be what somebody wrote.
            logger.error("Skipped a %s event that cannot be read.", name, exc_info=logger.isEnabledFor(logging.DEBUG))

    return guarded
