"""Fixtures of the bot's tests: a loopback Discord, a scripted model, and the client between the two."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import discord
import numpy as np
import pytest
import yarl
from discord.webhook.async_ import AsyncWebhookAdapter, async_context

from bot.client import ChinwagClient
from bot.cog import AnyBot, Chinwag
from bot.guild_settings import GuildSettingsStore
from model.consent import Consent
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
def consent(tmp_path: Path) -> Consent:
    return Consent.open(tmp_path / "models" / "consent.sqlite")


@pytest.fixture
def settings(tmp_path: Path) -> GuildSettingsStore:
    return GuildSettingsStore(tmp_path / "models" / "guilds.sqlite")


MakeCog = Callable[..., Callable[[AnyBot], Chinwag]]


@pytest.fixture
def make_cog(model: ScriptedModel, consent: Consent, settings: GuildSettingsStore) -> MakeCog:
    """Makes what makes the cog, with other arguments where a test wants them."""

    def make(**options: Any) -> Callable[[AnyBot], Chinwag]:
        given = {"model": model, "consent": consent, "settings": settings, "rng": np.random.default_rng(1), **options}
        return lambda bot: Chinwag(bot, **given)

    return make


@pytest.fixture
def simcord_bot(make_cog: MakeCog) -> ChinwagClient:
    return ChinwagClient(make_cog())


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as server:
        monkeypatch.setattr(discord.http.Route, "BASE", server.base)
        monkeypatch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL(server.gateway_url))
        yield server


Connect = Callable[..., contextlib.AbstractAsyncContextManager[ChinwagClient]]


@pytest.fixture
def connect(server: DiscordServer, make_cog: MakeCog) -> Connect:
    """Connects a client to the server for the length of a `with`; its failures are the test's."""

    @contextlib.asynccontextmanager
    async def connected(**options: Any) -> AsyncIterator[ChinwagClient]:
        async_context.set(AsyncWebhookAdapter())  # simcord leaves its own behind
        client = PromptClient(make_cog(**{"workers": 2, **options}), guild_ready_timeout=0.05)
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
