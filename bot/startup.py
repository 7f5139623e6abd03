"""From a token to a running client and to its end, and what to say when that fails."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import aiohttp
import discord
import yarl

from bot.client import TELL, ChinwagClient, ShardedClient
from bot.cog import AnyBot, Chinwag
from bot.config import JSON, BotConfig
from bot.live_model import ServerModels
from bot.metrics import MetricsServer
from bot.shards import IDENTIFIES, ONE
from bot.stores import Stores
from model import ChinwagError
from model.environment import ConfigError
from model.library import SharedModels
from model.lock import LockedError, is_locked, locked
from model.shared_lock import HeldError, Lock

if TYPE_CHECKING:
    from model.postgres import PostgresServer

logger = logging.getLogger(__name__)

_BOT = ".bot"
"""In the models folder: the folder that is locked while a bot runs."""

_PAUSE = 5.0  # seconds between two connections of a bot, as Discord wants it

DEVELOPER_PORTAL = "https://discord.com/developers/applications"


class ApiBaseError(Exception):
    """CHINWAG_API_BASE names no Discord-compatible server."""


def serve(config: BotConfig, token: str) -> None:
    """Load the model, connect, and answer until Ctrl-C or SIGTERM.

    Raises:
        LockedError: another bot is at work in the models folder: with one token, each mention would be answered twice.
        HeldError: another process of the bot has one of the shards.
        ConfigError: there are to be several processes, but nothing that they share.
    """
    if config.shards.is_part and config.database is None:
        raise ConfigError(
            "Processes with a part of the shards share settings and opt-outs in PostgreSQL: set DATABASE_URL, or "
            "leave the part out."
        )
    with alone(config):
        _serve(config, token)


def alone(config: BotConfig) -> contextlib.AbstractContextManager[None]:
    """Keep other bots out of a models folder, where it can be written."""
    models, folder = config.models, config.models / _BOT
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    if os.access(folder, os.W_OK):
        if config.database is not None and is_locked(folder):
            raise LockedError(
                f"Another process is at work in {models}: give each process of a bot a models folder of its own "
                "(CHINWAG_MODELS)."
            )
        return locked(folder)
    logger.warning(
        "%s cannot be written: I answer, but nothing can be set, nobody can opt out, and a second bot is not kept out.",
        models,
    )
    return contextlib.nullcontext()


def _serve(config: BotConfig, token: str) -> None:
    do_without_voice()
    tell, lost = logger.info if config.log == JSON else TELL, list[str]()

    def end(why: str) -> None:
        lost.append(why)
        signal.raise_signal(signal.SIGTERM)  # from another thread

    shards, server = config.shards, open_server(config, config.shards.locks(), end)
    if shards == ONE:
        client = ChinwagClient(make_cog(config, server), tell=tell)
    else:
        turns = None if server is None else partial(server.take_turns, IDENTIFIES, _PAUSE)
        options: dict[str, Any] = {"shard_count": shards.total, "shard_ids": shards.ids}
        client = ShardedClient(make_cog(config, server), tell=tell, take_turns=turns, **options)
    with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
        asyncio.run(_connect(client, token, config))
    if lost:
        raise HeldError(lost[0])


def do_without_voice() -> None:
    """Keep discord.py from two warnings about voice, which is not used."""
    discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False


def open_server(
    config: BotConfig, locks: Sequence[Lock] = (), on_loss: Callable[[str], None] = lambda why: None
) -> "PostgresServer | None":
    """The server with the database, from now on told of what other processes change; None for files.

    Args:
        config: the settings.
        locks: what no other process of the bot may have.
        on_loss: told, from another thread, why one of them is lost.

    Raises:
        ChinwagError: it cannot be used, or another process has a lock.
    """
    server = config.server()
    if server is not None:
        server.listen(locks, on_loss=on_loss)
    return server


def make_cog(config: BotConfig, server: "PostgresServer | None" = None) -> Callable[[AnyBot], Chinwag]:
    """Load all that is needed to answer.

    Args:
        config: the settings.
        server: with the database; None for files.

    Returns:
        What makes the cog of a bot.

    Raises:
        ChinwagError: there is no readable model, or another file cannot be used.
    """
    shared = None if server is None else SharedModels(server)
    replies, models = config.replies(), ServerModels(config.models, shared=shared)
    stores = Stores.open(config.models, server)
    return partial(Chinwag, models=models, stores=stores, exports=config.exports, replies=replies)


async def use_api_base(base: str) -> None:
    """Point discord.py at another server, such as "https://chat.example/api/v10". Holds for the whole process.

    Raises:
        ApiBaseError: no server answers there as Discord does.
    """
    base = base.rstrip("/")
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{base}/gateway") as response:
            response.raise_for_status()
            gateway = yarl.URL((await response.json(content_type=None))["url"])
    except (aiohttp.ClientError, OSError, ValueError, KeyError, TypeError) as error:
        raise ApiBaseError(base) from error
    discord.http.Route.BASE = base
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = gateway


def explain(error: Exception) -> str | None:
    """One plain sentence with the remedy for a failure that is no fault of the program, else None."""
    match error:
        case ChinwagError():
            return str(error)
        case ApiBaseError():
            return f"No Discord-compatible server answers at CHINWAG_API_BASE={error}; check the address, or unset it."
        case discord.LoginFailure() | discord.ConnectionClosed(code=4004):
            return f"Discord does not accept the token; copy a new one from {DEVELOPER_PORTAL} (Bot, Reset Token)."
        case discord.PrivilegedIntentsRequired() | discord.ConnectionClosed(code=4014):
            return (
                "Discord refuses Message Content; switch the Message Content Intent off and on again at "
                f"{DEVELOPER_PORTAL} (Bot, Privileged Gateway Intents)."
            )
        case discord.ConnectionClosed():
            return f"Discord closed the connection for good (code {error.code}); update Chinwag and try again."
        case discord.HTTPException():
            return f"Discord answered with an error (HTTP {error.status}); try again in a few minutes."
        case aiohttp.ClientError() | TimeoutError() | ConnectionResetError():
            return "Discord cannot be reached; check the network connection and try again."
    return None


async def _connect(client: ChinwagClient, token: str, config: BotConfig) -> None:
    task = asyncio.current_task()
    if task is not None:
        with contextlib.suppress(NotImplementedError):  # Windows has no such signal to handle
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with contextlib.AsyncExitStack() as stack:
        if config.metrics is not None:
            await stack.enter_async_context(MetricsServer(client, config.metrics))
        if config.api_base is not None:
            await use_api_base(config.api_base)
        await stack.enter_async_context(client)
        await client.start(token)
