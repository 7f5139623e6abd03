"""Networks and servers fail: no reply is sent twice, and no mention is lost without a word."""

import asyncio
import re
import socket
import time
from collections import Counter
from typing import Any

import aiohttp
import discord
import pytest

from bot import cog as module
from bot import history
from bot.client import ChinwagClient, ShardedClient
from bot.cog import Chinwag
from bot.metrics import trouble
from bot.startup import explain
from bot.status import ANSWERED, NOT_SENT
from tests.bot.conftest import Connect, MakeCog, PromptClient
from tests.bot.scripted_model import ScriptedModel
from tests.discord_server import MESSAGE_CONTENT_FLAG, DiscordServer, Payload


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RETRIES", (0.02, 0.02, 0.02))
    monkeypatch.setattr("discord.backoff.ExponentialBackoff.delay", lambda self: 0.02)


@pytest.fixture
def alice(server: DiscordServer) -> Payload:
    return server.user("alice")


async def ask(server: DiscordServer, author: Payload) -> str:
    """Mention the bot; the id of the message."""
    message = await server.say(author, f"{server.mention} hello")
    return str(message["id"])


def said(server: DiscordServer) -> list[str]:
    """What the bot's messages answer, each as often as it stands in the channel."""
    own = [message for message in server.messages.values() if message["author"] is server.bot]
    return [str(message["message_reference"]["message_id"]) for message in own]


def outcomes(client: ChinwagClient) -> Counter[str]:
    cog = client.get_cog("Chinwag")
    assert isinstance(cog, Chinwag)
    return cog.status.outcomes


class TestTheGateway:
    @pytest.mark.parametrize("how", ["cut", "cut in a frame", "op 7", "op 9, resumable", 4000, 4008, 1001])
    async def test_resumes_and_answers_what_was_missed_once(
        self, server: DiscordServer, client: ChinwagClient, alice: Payload, how: str | int
    ) -> None:
        first = await ask(server, alice)
        await server.until(lambda: len(said(server)) == 1)
        if isinstance(how, int):
            await server.gateway.close(how)
        elif how.startswith("op"):
            await server.gateway.tell(op=int(how[3]), d=how != "op 7")
        else:
            server.gateway.cut(in_a_frame=how == "cut in a frame")
        missed = [await ask(server, alice) for _ in range(2)]
        await server.until(lambda: len(said(server)) == 3)
        last = await ask(server, alice)
        await server.until(lambda: len(said(server)) == 4)
        assert sorted(said(server)) == sorted([first, *missed, last])
        assert (len(server.gateway.identified), server.gateway.resumed) == (1, 1)

    @pytest.mark.parametrize("how", ["op 9", "resume refused", 4007, 4009])
    async def test_begins_anew_where_it_cannot_resume(
        self, server: DiscordServer, client: ChinwagClient, alice: Payload, how: str | int
    ) -> None:
        if isinstance(how, int):
            await server.gateway.close(how)
        elif how == "op 9":
            await server.gateway.tell(op=9, d=False)
        else:
            server.gateway.cut()
        server.gateway.sessions = {}
        await server.until(lambda: len(server.gateway.identified) == 2 and server.gateway.sessions, patience=15)
        await server.until(client.is_ready)
        asked = await ask(server, alice)
        await server.until(lambda: said(server) == [asked])

    async def test_is_left_for_another_one_if_heartbeats_are_not_answered(
        self, server: DiscordServer, connect: Connect, alice: Payload
    ) -> None:
        server.gateway.heartbeat, server.gateway.acknowledges = 0.05, False
        async with connect(heartbeat_timeout=0.2) as client:
            await server.until(lambda: server.gateway.resumed)
            server.gateway.acknowledges = True
            await server.until(client.is_ready)
            asked = await ask(server, alice)
            await server.until(lambda: asked in said(server))
        assert said(server) == [asked]

    async def test_may_be_gone_for_long(self, server: DiscordServer, client: ChinwagClient, alice: Payload) -> None:
        server.gateway.down = True
        server.gateway.cut()
        asked = await ask(server, alice)
        await asyncio.sleep(0.3)  # several tries to connect
        assert said(server) == []
        server.gateway.down = False
        await server.until(lambda: said(server) == [asked])

    async def test_may_have_no_name_for_long(
        self, server: DiscordServer, connect: Connect, alice: Payload, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        known, tries, found = True, 0, aiohttp.ThreadedResolver.resolve

        async def resolve(*arguments: Any, **options: Any) -> Any:
            nonlocal tries
            tries += 1
            if known:
                return await found(*arguments, **options)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

        monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", resolve)
        server.gateway_url = server.gateway_url.replace("127.0.0.1", "localhost")
        async with connect():
            known, tries = False, 0
            server.gateway.cut()
            asked = await ask(server, alice)
            await server.until(lambda: tries > 3)
            assert said(server) == []
            known = True
            await server.until(lambda: said(server) == [asked])

    async def test_ends_the_bot_with_a_remedy_where_the_token_is_no_longer_good(
        self, server: DiscordServer, connect: Connect
    ) -> None:
        async def lose_the_token() -> None:
            async with connect() as client:
                server.token = "another"
                await server.gateway.close(4004)
                await server.until(client.is_closed)

        with pytest.raises(discord.ConnectionClosed) as caught:
            await lose_the_token()
        sentence = explain(caught.value)
        assert sentence is not None
        assert "token" in sentence


async def test_several_connections_answer_too(
    server: DiscordServer, make_cog: MakeCog, alice: Payload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ShardedClient, "before_identify_hook", PromptClient.before_identify_hook)
    client = ShardedClient(make_cog(), shard_count=2, guild_ready_timeout=0.05)
    running = asyncio.create_task(client.start(server.token))
    await server.until(client.is_ready)
    assert sorted(each["shard"] for each in server.gateway.identified) == [[0, 2], [1, 2]]
    assert trouble(client) is None
    asked = [await ask(server, alice) for _ in range(3)]
    await server.until(lambda: len(said(server)) == 3)
    await client.close()
    await running
    assert sorted(said(server)) == sorted(asked)


class TestReplies:
    @pytest.mark.parametrize("status", [0, 429, 502, 503])  # 429 without a header Via is not of Discord's own limits
    async def test_that_fail_on_the_way_are_sent_again(
        self, server: DiscordServer, client: ChinwagClient, alice: Payload, status: int
    ) -> None:
        server.fail("POST", "/messages", status)
        asked = await ask(server, alice)
        await server.until(lambda: said(server) == [asked])
        assert outcomes(client) == {ANSWERED: 1}

    @pytest.mark.parametrize("status", [0, 200, 500, 503])
    async def test_that_arrived_are_not_sent_twice_though_it_looked_as_if_they_had_not(
        self, server: DiscordServer, client: ChinwagClient, alice: Payload, status: int
    ) -> None:
        server.fail("POST", "/messages", status, late=True)
        asked = await ask(server, alice)
        await server.until(lambda: len(server.replies) == 2)
        again = await ask(server, alice)
        await server.until(lambda: len(said(server)) == 2)
        assert said(server) == [asked, again]

    async def test_that_cannot_be_sent_at_all_are_counted(
        self, server: DiscordServer, client: ChinwagClient, alice: Payload
    ) -> None:
        server.fail("POST", "/messages", 503, times=4)
        await ask(server, alice)
        await server.until(lambda: outcomes(client)[NOT_SENT])
        assert outcomes(client) == {ANSWERED: 1, NOT_SENT: 1}
        asked = await ask(server, alice)
        await server.until(lambda: said(server) == [asked])

    @pytest.mark.parametrize("scope", ["user", "global"])
    async def test_wait_for_rate_limits(
        self, server: DiscordServer, client: ChinwagClient, alice: Payload, scope: str
    ) -> None:
        limit = {"retry_after": 0.05, "global": scope == "global"}
        headers = {"Via": "1.1 test", "X-RateLimit-Scope": scope}
        server.fail("POST", "/messages", 429, headers=headers, times=2, **limit)
        asked = await ask(server, alice)
        await server.until(lambda: said(server) == [asked])

    async def test_are_not_kept_for_a_limit_of_hours(
        self, server: DiscordServer, client: ChinwagClient, alice: Payload
    ) -> None:
        headers = {"Via": "1.1 test", "X-RateLimit-Scope": "user"}
        server.fail("POST", "/messages", 429, headers=headers, times=4, retry_after=7200.0)
        await ask(server, alice)
        await server.until(lambda: outcomes(client)[NOT_SENT])

    async def test_do_not_wait_for_another_channel(
        self, server: DiscordServer, client: ChinwagClient, alice: Payload
    ) -> None:
        _, other = server.add_guild()
        await server.gateway.dispatch("GUILD_CREATE", server.guild_payload(server.guilds[-1]["id"]))
        server.fail("POST", f"{server.channel_id}/messages", 0, seconds=1.0)
        slow = await ask(server, alice)
        await asyncio.sleep(0.1)
        quick = await server.say(server.user("bob"), f"{server.mention} hello", channel=other)
        await server.until(lambda: said(server) == [quick["id"]], patience=0.8)
        await server.until(lambda: said(server) == [quick["id"], slow])

    @pytest.mark.parametrize("fault", [{"status": 200}, {"status": 0}, {"status": 0, "seconds": 5.0}])
    async def test_do_without_earlier_messages_that_do_not_come(
        self,
        server: DiscordServer,
        connect: Connect,
        alice: Payload,
        monkeypatch: pytest.MonkeyPatch,
        fault: dict[str, Any],
    ) -> None:
        monkeypatch.setattr(history, "_PATIENCE", 0.2)
        server.application_flags = MESSAGE_CONTENT_FLAG
        server.fail("GET", "/messages", times=9, **fault)
        async with connect() as client:
            asked = await ask(server, alice)
            await server.until(lambda: said(server) == [asked], patience=2)
            assert outcomes(client) == {ANSWERED: 1}
        assert server.calls("GET", "/messages")

    async def test_come_in_time_after_a_clock_was_put_back(
        self, server: DiscordServer, client: ChinwagClient, alice: Payload, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for count in range(1, 1 + module.USER_LIMIT[0]):
            await ask(server, alice)
            await server.until(lambda count=count: len(said(server)) == count)
        monkeypatch.setattr(time, "time", lambda now=time.time: now() - 3600)
        await ask(server, alice)
        await server.until(lambda: len(said(server)) == 1 + module.USER_LIMIT[0])
        (seconds,) = re.findall(r"in (\d+) s", [*server.messages.values()][-1]["content"])
        assert int(seconds) <= module.USER_LIMIT[1]

    async def test_of_two_people_at_once_are_two(
        self, server: DiscordServer, client: ChinwagClient, model: ScriptedModel, alice: Payload
    ) -> None:
        """The nonce must not make one of them pass for the other."""
        asked = [await ask(server, each) for each in (alice, server.user("bob"))]
        await server.until(lambda: sorted(said(server)) == sorted(asked))
