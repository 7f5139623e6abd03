"""Where discord.py connects to, and what is said when it cannot."""

from types import SimpleNamespace
from typing import Any

import aiohttp
import discord
import pytest
import yarl

from bot.startup import ApiBaseError, explain, use_api_base
from model.bundle import ModelFormatError
from tests.discord_server import DiscordServer


def response(status: int) -> Any:
    return SimpleNamespace(status=status, reason="test")


def closed(code: int) -> discord.ConnectionClosed:
    return discord.ConnectionClosed(SimpleNamespace(close_code=code), shard_id=None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (ModelFormatError("No model; train one."), "No model; train one."),
        (ApiBaseError("http://x"), "CHINWAG_API_BASE=http://x"),
        (discord.LoginFailure("Improper token"), "token"),
        (closed(4004), "token"),
        (discord.PrivilegedIntentsRequired(None), "Message Content"),
        (closed(4014), "Message Content"),
        (closed(4012), "4012"),
        (discord.DiscordServerError(response(503), "down"), "HTTP 503"),
        (aiohttp.ServerDisconnectedError(), "network"),
        (TimeoutError(), "network"),
    ],
)
def test_known_failures_are_one_sentence(error: Exception, part: str) -> None:
    sentence = explain(error)
    assert sentence is not None
    assert part in sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")


@pytest.mark.parametrize("error", [RuntimeError("a bug"), BrokenPipeError(), KeyError("x")])
def test_unknown_failures_are_not_explained_away(error: Exception) -> None:
    assert explain(error) is None


@pytest.fixture
def bases(monkeypatch: pytest.MonkeyPatch) -> None:
    """discord.py's own addresses, put back after the test."""
    monkeypatch.setattr(discord.http.Route, "BASE", discord.http.Route.BASE)
    gateway = discord.gateway.DiscordWebSocket
    monkeypatch.setattr(gateway, "DEFAULT_GATEWAY", gateway.DEFAULT_GATEWAY)


@pytest.mark.usefixtures("bases")
class TestUseApiBase:
    @pytest.mark.parametrize("slash", ["", "/"])
    async def test_points_discord_py_there(self, server: DiscordServer, slash: str) -> None:
        discord.http.Route.BASE = "elsewhere"
        discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL("elsewhere")
        await use_api_base(server.base + slash)
        assert server.base == discord.http.Route.BASE
        assert yarl.URL(server.gateway_url) == discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY

    async def test_needs_a_server_that_speaks_discord(self, server: DiscordServer) -> None:
        for wrong in (server.base + "/nothing", "http://127.0.0.1:1/api", "no address", ""):
            with pytest.raises(ApiBaseError):
                await use_api_base(wrong)
        assert server.base == discord.http.Route.BASE
