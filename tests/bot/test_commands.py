"""What members ask of the bot: by real interactions over sockets, and in simcord's model of Discord."""

from pathlib import Path

import discord
import numpy as np
import pytest
import simcord

from bot.member import Answer, Answers, MemberCommands, explanation
from bot.stores import Stores
from model.attention import Attention
from model.consent import Consent, ConsentError
from model.decoding import Candidate
from model.guards import Rejection
from model.reply import Ranked, Reply
from tests.bot.conftest import Connect
from tests.bot.scripted_model import ScriptedModel
from tests.discord_server import DiscordServer


def shown(result: simcord.InteractionResult) -> str:
    """The answer to an interaction, which is for the one who asks alone."""
    assert result.ephemeral
    (message,) = [result.response, *result.followups]
    assert message is not None
    return message.content


class Place:
    """A channel with two people in it."""

    def __init__(self, env: simcord.Env) -> None:
        self.env, self.guild = env, (guild := env.create_guild())
        self.admins = guild.create_role("admins", permissions=discord.Permissions(manage_guild=True))
        self.channel = guild.create_text_channel("general")
        self.alice, self.bob = (guild.add_member(env.create_user(name)) for name in ("alice", "bob"))
        self.mention = env.bot.user.mention

    async def use(self, who: simcord.MemberActor, command: str) -> str:
        """Use a command; returns the answer, which nobody else sees."""
        return shown(await who.slash(self.channel, command))


@pytest.fixture
async def place(simcord_env: simcord.Env) -> Place:
    await simcord_env.bot.tree.sync()
    return Place(simcord_env)


def ranked(text: str, score: float, rejection: Rejection | None = None) -> Ranked:
    return Ranked(text, Candidate((1,), -1.0, -1.0, ended=True), score, rejection)


@pytest.mark.parametrize(("command", "forgotten"), [("chinwag optout", False), ("chinwag forget-me", True)])
async def test_who_opts_out_is_no_context_for_others_at_once(
    place: Place, model: ScriptedModel, consent: Consent, command: str, forgotten: bool
) -> None:
    question = await place.alice.send(place.channel, f"{place.mention} my secret plan is cake")
    assert "Done" in await place.use(place.alice, command)
    assert consent.excluded() == {str(place.alice.id)}
    assert bool(consent.forgotten()) == forgotten
    await place.bob.send(place.channel, f"{place.mention} what do you think?", reply_to=question)
    assert model.contexts[1:] == [[(str(place.bob.id), "what do you think?")]]


async def test_who_opted_out_is_answered_still(place: Place, model: ScriptedModel) -> None:
    await place.use(place.alice, "chinwag optout")
    await place.alice.send(place.channel, f"{place.mention} hello")
    assert model.contexts == [[(str(place.alice.id), "hello")]]


async def test_an_optout_can_be_taken_back(place: Place, model: ScriptedModel, consent: Consent) -> None:
    question = await place.alice.send(place.channel, f"{place.mention} cats or dogs?")
    await place.use(place.alice, "chinwag optout")
    assert "Done" in await place.use(place.alice, "chinwag optin")
    assert not consent.excluded()
    await place.bob.send(place.channel, f"{place.mention} well?", reply_to=question)
    assert model.contexts[-1] == [(str(place.alice.id), "cats or dogs?"), (str(place.bob.id), "well?")]


async def test_privacy_says_what_is_kept_and_who_is_left_out(place: Place) -> None:
    assert "You are not left out." in await place.use(place.alice, "chinwag privacy")
    await place.use(place.alice, "chinwag optout")
    text = await place.use(place.alice, "chinwag privacy")
    assert "You are left out." in text
    assert "no messages" in text


async def test_what_cannot_be_noted_is_not_said_to_be(place: Place, tmp_path: Path, consent: Consent) -> None:
    await place.use(place.bob, "chinwag optout")
    (tmp_path / "models" / "consent.sqlite").write_bytes(b"garbage" * 100)
    assert "nothing has changed" in await place.use(place.alice, "chinwag optout")
    assert {type(error.__cause__) for error in place.env.errors} == {ConsentError}
    place.env.errors.clear()


@pytest.mark.parametrize("lost", [False, True])
async def test_nobody_is_read_as_context_or_kept_until_it_is_known_who_may_be(
    place: Place, model: ScriptedModel, tmp_path: Path, stores: Stores, lost: bool
) -> None:
    stores.settings.change(place.guild.id, feedback=True)
    stores.consent.opt_out("123")
    question = await place.alice.send(place.channel, f"{place.mention} my secret plan is cake")
    file = tmp_path / "models" / "consent.sqlite"
    file.write_bytes(b"garbage" * 100)
    if lost:
        stores = Stores.open(stores.folder)
    await place.bob.send(place.channel, f"{place.mention} well?", reply_to=question)
    assert model.contexts[-1] == [(str(place.bob.id), "well?")]
    answer = place.channel.last_message
    assert answer is not None
    await place.alice.react(answer, "👍")
    assert stores.feedback.liked(place.guild.id) == []
    assert "as everybody is" in await place.use(place.alice, "chinwag privacy")
    if lost:
        await place.use(place.alice, "chinwag optout")
        stores.consent.opt_in("*")
        assert stores.consent.excluded() == {str(place.alice.id)}


async def test_why_this_reply(place: Place, model: ScriptedModel) -> None:
    model.answer = Reply("yes", (ranked("yes", 2.5), ranked("a leak", 1.0, Rejection.COPY)))
    question = await place.alice.send(place.channel, f"{place.mention} well?")
    answer = place.channel.last_message
    assert answer is not None
    text = shown(await place.bob.context_menu(place.channel, "Why this reply?", answer))
    assert "**yes**" in text
    assert "(copy of the training data)" in text
    assert "a leak" not in text
    assert "no longer know" in shown(await place.bob.context_menu(place.channel, "Why this reply?", question))
    assert model.looked == [(["well?"], "yes")]


async def test_why_this_reply_has_a_picture(place: Place, model: ScriptedModel) -> None:
    model.attention = Attention(["[you]", " well", "?"], [" su", "re"], np.array([[0, 0.75, 0.25], [0.5, 0.5, 0]]))
    await place.alice.send(place.channel, f"{place.mention} well?")
    answer = place.channel.last_message
    assert answer is not None
    result = await place.bob.context_menu(place.channel, "Why this reply?", answer)
    assert result.response is not None
    (attached,) = result.response.attachments
    assert attached.filename == "attention.png"
    model.attention = Attention([], [], np.zeros((0, 0)))  # nothing that could be drawn
    assert shown(await place.bob.context_menu(place.channel, "Why this reply?", answer)).startswith("None of my drafts")


class TestStatus:
    async def test_tells_what_became_of_messages(self, place: Place, model: ScriptedModel) -> None:
        admin = place.guild.add_member(place.env.create_user("carol"), roles=[place.admins])
        await place.alice.send(place.channel, f"{place.mention} hello")
        model.answer = RuntimeError("the net is torn")
        await place.alice.send(place.channel, f"{place.mention} hello")
        text = await place.use(admin, "chinwag-admin status")
        assert "**Model**: scripted" in text
        assert " ago: 1 answers, half of them within" in text
        assert "1 failed" in text
        assert "**Waiting**: 0." in text

    async def test_is_not_shown_to_members(self, place: Place) -> None:
        assert "chinwag-admin status" not in place.alice.available_commands(place.channel)
        admin = place.guild.add_member(place.env.create_user("carol"), roles=[place.admins])
        assert "chinwag-admin status" in admin.available_commands(place.channel)


class TestOverSockets:
    async def test_a_deferred_command(
        self, server: DiscordServer, connect: Connect, consent: Consent, model: ScriptedModel
    ) -> None:
        alice = server.user("alice")
        async with connect():
            assert {command["name"] for command in server.commands} == {"chinwag", "chinwag-admin", "Why this reply?"}
            token = await server.command(alice, "chinwag", "optout")
            await server.until(lambda: len(server.answers.get(token, [])) == 2)
        deferred, answer = server.answers[token]
        assert (deferred["type"], deferred["data"]["flags"]) == (5, 64)
        assert "Done" in answer["content"]
        assert consent.excluded() == {alice["id"]}

    async def test_a_direct_answer(self, server: DiscordServer, connect: Connect, model: ScriptedModel) -> None:
        model.answer = Reply("yes", (ranked("yes", 2.5),))
        alice = server.user("alice")
        async with connect():
            await server.say(alice, f"{server.mention} well?")
            await server.until(lambda: server.replies)
            said = next(each for each in server.messages.values() if each["author"] is server.bot)
            token = await server.command(alice, "Why this reply?", message=said)
            await server.until(lambda: token in server.answers)
        (answer,) = server.answers[token]
        assert answer["type"] == 4
        assert "**yes**" in answer["data"]["content"]

    async def test_a_server_without_commands_is_talked_to_still(
        self, server: DiscordServer, connect: Connect, caplog: pytest.LogCaptureFixture
    ) -> None:
        server.fail("PUT", "/commands", 404, code=0)
        async with connect():
            await server.say(server.user("alice"), f"{server.mention} hello")
            await server.until(lambda: server.replies)
        assert "The commands cannot be offered: HTTP 404" in caplog.text


def test_an_explanation_fits_into_a_message_and_pings_nobody() -> None:
    reply = Reply("a", tuple(ranked("*@everyone* " * 20, -float(number)) for number in range(60)))
    text = explanation(reply)
    assert len(text) <= 2000
    assert "@everyone" not in text
    assert "\\*" in text


def test_an_explanation_of_silence() -> None:
    text = explanation(Reply("…", (ranked("no", 0.0, Rejection.BLOCKED),)))
    assert text.startswith("None of my drafts")


def test_old_answers_are_forgotten() -> None:
    answers, answer = Answers(size=2), Answer(Reply("a", ()))
    for message in (1, 2, 3):
        answers.remember(message, answer)
    assert [answers.find(message) for message in (1, 2, 3)] == [None, answer, answer]
    answers.forget(3)
    assert answers.find(3) is None


def test_commands_are_described_for_people(stores: Stores) -> None:
    group = MemberCommands(stores)
    assert {command.name for command in group.commands} == {"optout", "optin", "forget-me", "privacy"}
    assert all(len(command.description) > 10 for command in group.commands)
