"""The client over real sockets: discord.py talks to a Discord on loopback."""

import asyncio
import logging

import discord
import pytest

from bot import cog as module
from bot.client import ChinwagClient
from bot.cog import BUSY, FAILURE, Chinwag
from model.reply import ReplyConfig
from tests.bot.conftest import Connect
from tests.bot.scripted_model import ScriptedModel
from tests.discord_gateway import MESSAGE_CONTENT_INTENT
from tests.discord_server import (
    MESSAGE_CONTENT_FLAG,
    REVIEWED_CONTENT_FLAG,
    DiscordServer,
    Payload,
)


@pytest.fixture
def alice(server: DiscordServer) -> Payload:
    return server.user("alice")


def answered(server: DiscordServer) -> list[str]:
    """The ids of the messages that the bot replied to, in order."""
    return [str(reply["message_reference"]["message_id"]) for reply in server.replies]


async def ask(server: DiscordServer, author: Payload, text: str = "hello") -> Payload:
    """Mention the bot and wait until it has answered."""
    before = len(server.replies)
    message = await server.say(author, f"{server.mention} {text}")
    await server.until(lambda: len(server.replies) > before)
    return message


class TestWhatIsAnswered:
    async def test_a_mention(self, server: DiscordServer, client: ChinwagClient, alice: Payload) -> None:
        message = await ask(server, alice)
        assert [reply["content"] for reply in server.replies] == ["sure"]
        assert answered(server) == [message["id"]]

    async def test_a_direct_message(
        self, server: DiscordServer, client: ChinwagClient, model: ScriptedModel, alice: Payload
    ) -> None:
        message = await server.say(alice, "psst", channel=server.dm(alice))
        await server.until(lambda: server.replies)
        assert answered(server) == [message["id"]]
        assert model.contexts == [[(alice["id"], "psst")]]

    async def test_a_reply_to_its_message(self, server: DiscordServer, client: ChinwagClient, alice: Payload) -> None:
        own = server.post(server.bot, "how are you?")
        message = await server.say(alice, "fine", reply_to=own)
        await server.until(lambda: server.replies)
        assert answered(server) == [message["id"]]

    async def test_a_silent_reply_to_its_message_if_it_can_be_read(
        self, server: DiscordServer, connect: Connect, alice: Payload
    ) -> None:
        server.application_flags = MESSAGE_CONTENT_FLAG
        own = server.post(server.bot, "how are you?")
        async with connect():
            message = await server.say(alice, "fine", reply_to=own, ping=False)
            await server.until(lambda: server.replies)
        assert answered(server) == [message["id"]]

    async def test_nothing_else(self, server: DiscordServer, client: ChinwagClient, alice: Payload) -> None:
        robot = server.user("robot", bot=True)
        hook = server.user("hook")
        own = server.post(server.bot, "how are you?")
        to_bob = server.post(server.user("bob"), "any news?")
        await server.say(alice, "nobody is asked")
        await server.say(alice, "@everyone look here")
        await server.say(alice, "@here look here")
        await server.say(alice, "<@&99> look here", mention_roles=["99"])
        await server.say(alice, "no", reply_to=to_bob)
        await server.say(alice, "cannot be read without Message Content", reply_to=own, ping=False)
        await server.say(robot, f"{server.mention} beep")
        await server.say(robot, "beep", channel=server.dm(robot))
        await server.say(hook, f"{server.mention} news", webhook_id="1")
        await server.say(alice, f"{server.mention} joined", type=7)
        await server.say(server.bot, f"{server.mention} me?")
        asked = await ask(server, alice)
        assert answered(server) == [asked["id"]]
        assert len(server.calls("POST", "/typing")) == 1

    async def test_not_everyone_even_with_message_content(
        self, server: DiscordServer, connect: Connect, alice: Payload
    ) -> None:
        server.application_flags = MESSAGE_CONTENT_FLAG
        async with connect():
            await server.say(alice, "@everyone look here")
            await server.say(alice, "nobody is asked")
            asked = await ask(server, alice)
        assert answered(server) == [asked["id"]]


class TestTheReply:
    async def test_typing_is_seen_first(self, server: DiscordServer, client: ChinwagClient, alice: Payload) -> None:
        await ask(server, alice)
        posts = [request.path.rsplit("/", 1)[1] for request in server.requests if request.method == "POST"]
        assert posts == ["typing", "messages"]

    @pytest.mark.parametrize("status", [403, 404])
    async def test_does_without_typing(
        self, server: DiscordServer, client: ChinwagClient, alice: Payload, status: int
    ) -> None:
        server.fail("POST", "/typing", status)
        await ask(server, alice)
        assert server.replies[0]["content"] == "sure"

    async def test_does_not_wait_for_typing(
        self, server: DiscordServer, client: ChinwagClient, alice: Payload, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bot.cog._TYPING_PATIENCE", 0.05)
        server.fail("POST", "/typing", 429, headers={"Via": "1.1 test"}, retry_after=60)
        await ask(server, alice)
        assert server.replies[0]["content"] == "sure"

    async def test_pings_nobody(
        self, server: DiscordServer, client: ChinwagClient, model: ScriptedModel, alice: Payload
    ) -> None:
        model.answer = "@everyone <@1> <@&2>"
        await ask(server, alice)
        assert server.replies[0]["allowed_mentions"] == {"parse": [], "replied_user": False}

    async def test_that_is_too_long_for_a_message_is_split(
        self, server: DiscordServer, client: ChinwagClient, model: ScriptedModel, alice: Payload
    ) -> None:
        sentence = " ".join(["blah"] * 20) + "."
        model.answer = " ".join([sentence] * 50)
        asked = await ask(server, alice)
        await server.until(lambda: len(server.replies) == 3)
        assert " ".join(reply["content"] for reply in server.replies) == model.answer
        assert all(reply["content"].endswith("blah.") for reply in server.replies)
        assert answered(server)[0] == asked["id"]

    async def test_is_drawn_from_the_seed(
        self, server: DiscordServer, connect: Connect, model: ScriptedModel, alice: Payload
    ) -> None:
        for _ in range(2):
            async with connect():
                await ask(server, alice)
                await ask(server, alice)
        first, second, *again = model.draws
        assert first != second
        assert again == [first, second]

    async def test_messages_that_wait_are_answered_together(
        self, server: DiscordServer, connect: Connect, model: ScriptedModel, alice: Payload
    ) -> None:
        async with connect() as client:
            cog = client.get_cog("Chinwag")
            assert isinstance(cog, Chinwag)
            model.free.clear()
            for _ in range(5):
                await server.say(alice, f"{server.mention} hello")
            await server.until(lambda: model.busy == 2 and cog.waiting + sum(model.batches) == 5)
            model.free.set()
            await server.until(lambda: len(server.replies) == 5)
        assert model.most_busy == 2
        assert max(model.batches) == 2

    async def test_are_found_as_the_settings_say(
        self, server: DiscordServer, connect: Connect, model: ScriptedModel, alice: Payload
    ) -> None:
        replies = ReplyConfig(candidates=3)
        async with connect(replies=replies):
            await ask(server, alice)
        assert model.configs == [replies]

    async def test_are_refused_politely_when_too_many_wait(
        self,
        server: DiscordServer,
        connect: Connect,
        model: ScriptedModel,
        alice: Payload,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(module, "USER_LIMIT", (99, 1.0))
        monkeypatch.setattr(module, "CHANNEL_LIMIT", (99, 1.0))
        model.free.clear()
        async with connect():
            for _ in range(45):  # 32 wait, and two threads may have begun with four each
                await server.say(alice, f"{server.mention} hello")
            await server.until(lambda: BUSY in [reply["content"] for reply in server.replies])
            model.free.set()
            await server.until(lambda: len(server.replies) == 45)
        answers = [reply["content"] for reply in server.replies]
        assert answers.count(BUSY) == 45 - answers.count("sure")
        assert answers.count("sure") >= 32

    async def test_are_no_more_than_a_member_can_read(
        self, server: DiscordServer, connect: Connect, alice: Payload, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "USER_LIMIT", (2, 1.0))
        bob = server.user("bob")
        async with connect():
            for author in (alice, alice, alice, alice, bob):
                await server.say(author, f"{server.mention} hello")
            await server.until(lambda: len(server.replies) == 4)
            await asyncio.sleep(1.0)
            await ask(server, alice)
        answers = [reply["content"] for reply in server.replies]
        assert sorted(answers) == [*["You talk faster than I can think. Ask me again in 1 s."], *["sure"] * 4]

    async def test_are_no_more_than_a_channel_can_bear(
        self, server: DiscordServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "CHANNEL_LIMIT", (3, 60.0))
        async with connect():
            for number in range(5):
                await server.say(server.user(f"member {number}"), f"{server.mention} hello")
            await server.until(lambda: len(server.replies) == 5)
        answers = [reply["content"] for reply in server.replies]
        assert answers.count("sure") == 3
        assert sum("Ask me again in" in answer for answer in answers) == 2

    async def test_the_loop_goes_on_meanwhile(
        self, server: DiscordServer, client: ChinwagClient, model: ScriptedModel, alice: Payload
    ) -> None:
        model.free.clear()
        await server.say(alice, f"{server.mention} hello")
        await server.until(lambda: model.busy)
        other = await server.say(alice, "more")
        await server.until(lambda: client.cached_messages[-1].id == int(other["id"]))
        assert not server.replies
        model.free.set()
        await server.until(lambda: server.replies)


class TestFailures:
    async def test_of_the_model_are_told_and_logged(
        self,
        server: DiscordServer,
        client: ChinwagClient,
        model: ScriptedModel,
        alice: Payload,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.DEBUG, logger="bot")
        model.answer = RuntimeError("the net is torn")
        await ask(server, alice, "my secret")
        assert [reply["content"] for reply in server.replies] == [FAILURE]
        assert "RuntimeError: the net is torn" in caplog.text
        assert "my secret" not in caplog.text
        assert server.token not in caplog.text

    @pytest.mark.parametrize(("status", "code"), [(403, 50013), (404, 10003)])
    async def test_to_send_are_logged(
        self,
        server: DiscordServer,
        client: ChinwagClient,
        alice: Payload,
        caplog: pytest.LogCaptureFixture,
        status: int,
        code: int,
    ) -> None:
        server.fail("POST", "/messages", status, code=code)
        refused = await ask(server, alice)
        await server.until(
            lambda: f"Could not answer message {refused['id']}: HTTP {status}, code {code}" in caplog.text
        )
        await ask(server, alice)
        assert len(server.replies) == 2

    async def test_rate_limit_is_waited_for(self, server: DiscordServer, client: ChinwagClient, alice: Payload) -> None:
        server.fail("POST", "/messages", 429, headers={"Via": "1.1 test"}, retry_after=0.02)
        await ask(server, alice)
        await server.until(lambda: len(server.replies) == 2)
        assert [message["content"] for message in server.messages.values()][-1] == "sure"

    async def test_message_deleted_while_it_thinks(
        self,
        server: DiscordServer,
        client: ChinwagClient,
        model: ScriptedModel,
        alice: Payload,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        model.free.clear()
        message = await server.say(alice, f"{server.mention} hello")
        await server.until(lambda: model.busy)
        await server.delete(message)
        model.free.set()
        await server.until(lambda: f"Could not answer message {message['id']}: HTTP 400" in caplog.text)
        assert not [message for message in server.messages.values() if message["author"] is server.bot]

    async def test_unreadable_events_are_skipped(
        self, server: DiscordServer, client: ChinwagClient, alice: Payload, caplog: pytest.LogCaptureFixture
    ) -> None:
        await server.gateway.dispatch("MESSAGE_CREATE", {"id": "not a number", "content": "my secret"})
        await ask(server, alice)
        assert server.replies[0]["content"] == "sure"
        assert "Skipped a MESSAGE_CREATE event" in caplog.text
        assert "my secret" not in caplog.text


class TestTheContext:
    async def test_is_the_reply_chain(
        self, server: DiscordServer, client: ChinwagClient, model: ScriptedModel, alice: Payload
    ) -> None:
        question = server.post(alice, f"{server.mention} cats or dogs?")
        own = server.post(server.bot, "cats", reply_to=question)
        server.post(server.user("bob"), "something else")
        await server.say(alice, "why?", reply_to=own)
        await server.until(lambda: model.contexts)
        assert model.contexts == [[(alice["id"], "cats or dogs?"), ("me", "cats"), (alice["id"], "why?")]]

    async def test_is_the_reply_chain_alone_even_with_message_content(
        self, server: DiscordServer, connect: Connect, model: ScriptedModel, alice: Payload
    ) -> None:
        server.application_flags = MESSAGE_CONTENT_FLAG
        own = server.post(server.bot, "cats")
        server.post(server.user("bob"), "something else")
        async with connect():
            await server.say(alice, "why?", reply_to=own)
            await server.until(lambda: server.replies)
        assert model.contexts == [[("me", "cats"), (alice["id"], "why?")]]

    async def test_follows_a_long_chain_so_far_and_no_further(
        self, server: DiscordServer, client: ChinwagClient, model: ScriptedModel, alice: Payload
    ) -> None:
        last = None
        for number in range(20):
            last = server.post([alice, server.bot][number % 2], f"{server.mention} {number}", reply_to=last)
        await server.say(alice, "20", reply_to=last)
        await server.until(lambda: model.contexts)
        assert [text for _, text in model.contexts[0]] == ["15", "16", "17", "18", "19", "20"]
        assert len(server.calls("GET", "/messages/")) == 2  # every message comes with the one that it replies to

    async def test_ends_at_a_deleted_message(
        self, server: DiscordServer, client: ChinwagClient, model: ScriptedModel, alice: Payload
    ) -> None:
        question = server.post(alice, f"{server.mention} cats or dogs?")
        own = server.post(server.bot, "cats", reply_to=question)
        del server.messages[question["id"]]
        await server.say(alice, "why?", reply_to=own)
        await server.until(lambda: model.contexts)
        assert model.contexts == [[("me", "cats"), (alice["id"], "why?")]]

    async def test_has_no_recent_messages_without_message_content(
        self, server: DiscordServer, client: ChinwagClient, model: ScriptedModel, alice: Payload
    ) -> None:
        server.post(server.user("bob"), "it rains")
        await ask(server, alice, "really?")
        assert model.contexts == [[(alice["id"], "really?")]]
        assert not server.calls("GET", "/messages")

    async def test_has_recent_messages_with_it(
        self, server: DiscordServer, connect: Connect, model: ScriptedModel, alice: Payload
    ) -> None:
        server.application_flags = MESSAGE_CONTENT_FLAG
        bob = server.user("bob")
        server.post(bob, "it rains")
        server.post(bob, "again")
        server.post(server.user("robot", bot=True), "beep")
        async with connect():
            await ask(server, alice, "really?")
        assert model.contexts == [[(bob["id"], "it rains\nagain"), (alice["id"], "really?")]]

    async def test_has_recent_messages_in_a_dm(
        self, server: DiscordServer, client: ChinwagClient, model: ScriptedModel, alice: Payload
    ) -> None:
        channel = server.dm(alice)
        for text, contexts in [("cats or dogs?", 1), ("why?", 2)]:
            await server.say(alice, text, channel=channel)
            await server.until(lambda contexts=contexts: len(server.replies) == contexts)
        assert model.contexts[1] == [(alice["id"], "cats or dogs?"), ("me", "sure"), (alice["id"], "why?")]

    async def test_does_without_history_that_may_not_be_read(
        self, server: DiscordServer, connect: Connect, model: ScriptedModel, alice: Payload
    ) -> None:
        server.application_flags = MESSAGE_CONTENT_FLAG
        server.fail("GET", "/messages", 403, code=50013)
        async with connect():
            await ask(server, alice, "really?")
        assert model.contexts == [[(alice["id"], "really?")]]

    async def test_of_a_bare_mention_is_empty(
        self, server: DiscordServer, client: ChinwagClient, model: ScriptedModel, alice: Payload
    ) -> None:
        await ask(server, alice, "")
        assert model.contexts == [[]]
        assert server.replies[0]["content"] == "sure"


class TestTheConnection:
    @pytest.mark.parametrize(
        ("flags", "asked"), [(0, False), (MESSAGE_CONTENT_FLAG, True), (REVIEWED_CONTENT_FLAG, True)]
    )
    async def test_message_content_is_asked_for_if_granted(
        self, server: DiscordServer, connect: Connect, flags: int, asked: bool
    ) -> None:
        server.application_flags = flags
        async with connect():
            assert bool(server.gateway.identified[0]["intents"] & MESSAGE_CONTENT_INTENT) is asked

    async def test_refused_intent_ends_it(self, server: DiscordServer, connect: Connect) -> None:
        server.application_flags = MESSAGE_CONTENT_FLAG
        server.refuse_intents = True
        with pytest.raises(discord.PrivilegedIntentsRequired):
            async with connect():
                pass

    async def test_lost_mention_is_answered_once(
        self, server: DiscordServer, client: ChinwagClient, alice: Payload
    ) -> None:
        first = await ask(server, alice)
        server.gateway.cut()
        missed = await server.say(alice, f"{server.mention} still there?")
        await server.until(lambda: len(server.replies) == 2)
        last = await ask(server, alice)
        assert answered(server) == [first["id"], missed["id"], last["id"]]
        assert len(server.gateway.identified) == 1

    async def test_ready_tells_how_to_invite_it(
        self, server: DiscordServer, connect: Connect, capsys: pytest.CaptureFixture[str]
    ) -> None:
        said = list[str]()

        def told() -> str:
            said.append(capsys.readouterr().out)
            return "".join(said)

        async with connect():
            await server.until(lambda: "permissions=" in told())
        out = told()
        assert "chinwag" in out
        assert "1 server." in out
        assert f"client_id={server.bot['id']}" in out
        assert "permissions=274877975552" in out
