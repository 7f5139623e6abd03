"""Fixtures of the bot's tests: a loopback Discord, a scripted model, and the client between the two."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import discord
import numpy as np
import pytest
import yarl
from discord.webhook.async_ import AsyncWebhookAdapter, async_context

from bot.client import ChinwagClient
from bot.live_model import ReplyModel
from tests.bot.scripted_model import ScriptedModel
from tests.discord_server import DiscordServer


class PromptClient(ChinwagClient):
    """The client without discord.py's five seconds of waiting before a second IDENTIFY."""

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        pass


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel()


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as server:
        monkeypatch.setattr(discord.http.Route, "BASE", server.base)
        monkeypatch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL(server.gateway_url))
        yield server


Connect = Callable[..., contextlib.AbstractAsyncContextManager[ChinwagClient]]


@pytest.fixture
def connect(server: DiscordServer, model: ScriptedModel) -> Connect:
    """Connects a client to the server for the length of a `with`; its failures are the test's."""

    @contextlib.asynccontextmanager
    async def connected(model: ReplyModel = model, **options: Any) -> AsyncIterator[ChinwagClient]:
        options |= {"workers": 2, "guild_ready_timeout": 0.05}
        async_context.set(AsyncWebhookAdapter())  # simcord leaves its own behind
        client = PromptClient(model, rng=np.random.default_rng(1), **options)
        running = asyncio.create_task(client.start(server.token))
        try:
            await server.until(lambda: running.done() or client.is_ready())
            yield client
        finally:
            await client.close()
            await running

    return connected


@pytest.fixture
async def client(connect: Connect) -> AsyncIterator[ChinwagClient]:
    async with connect() as client:
        yield client
