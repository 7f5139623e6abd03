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
from bot.live_model import ReplyModel
from bot.stores import Stores
from model.consent import Consent
from model.library import FolderLibrary
from tests.bot.scripted_model import ScriptedModel
from tests.conftest import POSTGRESQL, SQLITE
from tests.discord_server import DiscordServer


class PromptClient(ChinwagClient):
    """The client without discord.py's five seconds of waiting before a second IDENTIFY."""

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        pass


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel()


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return Stores.open(tmp_path / "models")


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def any_stores(request: pytest.FixtureRequest, tmp_path: Path) -> Stores:
    """Stores in files, and in a database: each test that asks for them runs with both."""
    server = request.getfixturevalue("database") if request.param == POSTGRESQL else None
    return Stores.open(tmp_path / "models", server)


@pytest.fixture
def consent(stores: Stores) -> Consent:
    return stores.consent


@pytest.fixture
def settings(stores: Stores) -> GuildSettingsStore:
    return stores.settings


class Alone:
    """One model for all servers."""

    def __init__(self, model: ReplyModel, folder: Path) -> None:
        self._model, self._folder = model, folder

    def of(self, server: int) -> ReplyModel:
        return self._model

    def folder(self, server: int) -> Path:
        return self._folder / "guilds" / str(server)

    def library(self, server: int) -> FolderLibrary:
        return FolderLibrary(self.folder(server))


MakeCog = Callable[..., Callable[[AnyBot], Chinwag]]


@pytest.fixture
def make_cog(model: ScriptedModel, stores: Stores, tmp_path: Path) -> MakeCog:
    """Makes what makes the cog, with other arguments where a test wants them."""

    def make(model: ReplyModel = model, **options: Any) -> Callable[[AnyBot], Chinwag]:
        models = Alone(model, stores.folder)
        given = {"exports": tmp_path / "exports", "rng": np.random.default_rng(1), **options}
        return lambda bot: Chinwag(bot, models, stores, **given)

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
    async def connected(heartbeat_timeout: float = 60.0, **options: Any) -> AsyncIterator[ChinwagClient]:
        async_context.set(AsyncWebhookAdapter())  # simcord leaves its own behind
        client = PromptClient(make_cog(**{"workers": 2, **options}), guild_ready_timeout=0.05)
        client._connection.heartbeat_timeout = heartbeat_timeout
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
