"""What admins see and change, in simcord's model of Discord; and that members do not."""

from typing import Any, cast
from unittest.mock import ANY

import discord
import pytest
import simcord

from bot.admin import parsed
from bot.cog import FAILURE
from bot.guild_settings import DEFAULT, GuildSettings, GuildSettingsStore
from tests.bot.conftest import Connect
from tests.bot.scripted_model import ScriptedModel
from tests.discord_server import MESSAGE_CONTENT_FLAG, DiscordServer


class Place:
    """A server with a member, an admin, and some channels."""

    def __init__(self, env: simcord.Env) -> None:
        self.env, self.guild = env, (guild := env.create_guild())
        admins = guild.create_role("admins", permissions=discord.Permissions(manage_guild=True))
        self.friends = guild.create_role("friends")
        self.channel, self.other = guild.create_text_channel("general"), guild.create_text_channel("other")
        self.alice, self.bob = (guild.add_member(env.create_user(name)) for name in ("alice", "bob"))
        self.carol = guild.add_member(env.create_user("carol"), roles=[admins, self.friends])
        self.mention = env.bot.user.mention

    def answers(self, channel: simcord.ChannelHandle | None = None) -> list[str]:
        me = self.env.bot.user.id
        return [message.content for message in (channel or self.channel).history() if message.author.id == me]


@pytest.fixture
async def place(simcord_env: simcord.Env) -> Place:
    await simcord_env.bot.tree.sync()
    return Place(simcord_env)


async def panel(place: Place) -> discord.Message:
    shown = await place.carol.slash(place.channel, "chinwag-admin settings")
    assert shown.ephemeral
    assert shown.response is not None
    return shown.response


def custom_id(message: discord.Message, placeholder: str) -> str:
    rows = cast(list[dict[str, Any]], message.components)
    (found,) = [item["custom_id"] for row in rows for item in row["components"] if placeholder in str(item)]
    return found


def changed(place: Place, settings: GuildSettingsStore) -> GuildSettings:
    return settings.of(place.guild.id)


async def test_are_not_for_members(place: Place) -> None:
    commands = {name for name in place.carol.available_commands(place.channel) if "admin" in name}
    assert {"chinwag-admin settings", "chinwag-admin set", "chinwag-admin status"} <= commands
    assert not [name for name in place.alice.available_commands(place.channel) if "admin" in name]


class TestThePanel:
    async def test_shows_what_is_set(self, place: Place) -> None:
        message = await panel(place)
        assert "**I answer every message in**: no channel" in message.content
        assert "**I answer**: everybody" in message.content
        assert "**Temperature** (0 is sober, 0.9 usual, 2 wild): 0.9" in message.content

    @pytest.mark.parametrize(
        ("placeholder", "field"),
        [("every message", "channels"), ("Never", "muted")],
    )
    async def test_channels_are_chosen(
        self, place: Place, settings: GuildSettingsStore, placeholder: str, field: str
    ) -> None:
        message = await panel(place)
        await place.carol.select(message, [place.other], custom_id=custom_id(message, placeholder))
        assert changed(place, settings) == GuildSettings(**{field: (place.other.id,)})

    async def test_roles_are_chosen(self, place: Place, settings: GuildSettingsStore) -> None:
        message = await panel(place)
        await place.carol.select(message, [place.friends], custom_id=custom_id(message, "members"))
        assert changed(place, settings) == GuildSettings(roles=(place.friends.id,))

    async def test_feedback_is_switched(self, place: Place, settings: GuildSettingsStore) -> None:
        message = await panel(place)
        for on in (True, False):
            await place.carol.click(message, label="Feedback on or off")
            assert changed(place, settings) == GuildSettings(feedback=on)

    async def test_how_it_talks_is_a_form(self, place: Place, settings: GuildSettingsStore) -> None:
        form = await place.carol.click(await panel(place), label="How I talk …")
        values = {"chance": "5 %", "temperature": "0,7", "length": "Short", "turns": "3", "feedback": "on"}
        await place.carol.submit_modal(form, values)
        expected = GuildSettings(chance=0.05, temperature=0.7, length="short", turns=3, feedback=True)
        assert changed(place, settings) == expected

    async def test_a_value_that_cannot_be_is_explained(self, place: Place, settings: GuildSettingsStore) -> None:
        form = await place.carol.click(await panel(place), label="How I talk …")
        values = {"chance": "5 %", "temperature": "hot", "length": "short", "turns": "3", "feedback": "on"}
        answer = await place.carol.submit_modal(form, values)
        assert answer.response is not None
        assert "'hot' is no value for temperature: 0 is sober, 0.9 usual, 2 wild." in answer.response.content
        assert changed(place, settings) == DEFAULT
        place.env.errors.clear()

    async def test_blocked_words_are_a_form(self, place: Place, settings: GuildSettingsStore) -> None:
        form = await place.carol.click(await panel(place), label="Blocked words …")
        await place.carol.submit_modal(form, {"blocked": "bother\n\n  dash it \nbother"})
        assert changed(place, settings) == GuildSettings(blocked=("bother", "dash it"))


class TestByName:
    async def say(self, place: Place, command: str, **options: str) -> str:
        result = await place.carol.slash(place.channel, f"chinwag-admin {command}", **options)
        assert result.ephemeral
        assert result.response is not None
        return result.response.content

    async def test_a_setting_is_set(self, place: Place, settings: GuildSettingsStore) -> None:
        assert "**Turns**" in await self.say(place, "set", setting="turns", value="2")
        assert changed(place, settings) == GuildSettings(turns=2)

    async def test_what_it_cannot_be_is_said(self, place: Place, settings: GuildSettingsStore) -> None:
        text = await self.say(place, "set", setting="chance", value="120 %")
        assert text == (
            "That did not work, and nothing has changed: '120 %' is no value for chance: how often I join in unasked, "
            "in %."
        )
        assert changed(place, settings) == DEFAULT
        place.env.errors.clear()

    async def test_values_are_suggested(self, place: Place) -> None:
        choices = await place.carol.autocomplete(place.channel, "chinwag-admin set", "value", "o", setting="length")
        assert [choice["value"] for choice in choices] == ["short", "normal", "long"]

    async def test_a_word_is_blocked_and_unblocked(self, place: Place, settings: GuildSettingsStore) -> None:
        assert "1 word or phrase blocked" in await self.say(place, "block", phrase="bother")
        assert "2 words" in await self.say(place, "block", phrase=" dash it")
        assert "2 words" in await self.say(place, "block", phrase="bother")
        choices = await place.carol.autocomplete(place.channel, "chinwag-admin unblock", "phrase", "D")
        assert [choice["value"] for choice in choices] == ["dash it"]
        await self.say(place, "unblock", phrase="bother")
        assert changed(place, settings) == GuildSettings(blocked=("dash it",))
        assert "'crumpet' is not blocked here" in await self.say(place, "unblock", phrase="crumpet")
        place.env.errors.clear()

    async def test_files_that_cannot_be_written_are_told(self, place: Place, settings: GuildSettingsStore) -> None:
        settings.change(place.guild.id, turns=2)
        settings.database.path.write_bytes(b"garbage" * 100)
        assert "is damaged" in await self.say(place, "set", setting="turns", value="2")
        place.env.errors.clear()


class TestEffects:
    async def test_of_blocked_words_and_temperature(
        self, place: Place, settings: GuildSettingsStore, model: ScriptedModel
    ) -> None:
        settings.change(place.guild.id, temperature=0.3, blocked=("bother",))
        await place.alice.send(place.channel, f"{place.mention} hello")
        (config,) = model.configs
        assert (config.sampling.temperature, config.blocklist.entries) == (0.3, ("bother",))

    async def test_of_muted_channels_and_roles(
        self, place: Place, settings: GuildSettingsStore, model: ScriptedModel
    ) -> None:
        settings.change(place.guild.id, muted=(place.other.id,), roles=(place.friends.id,))
        await place.carol.send(place.other, f"{place.mention} hello")
        await place.alice.send(place.channel, f"{place.mention} hello")
        assert model.contexts == []
        await place.carol.send(place.channel, f"{place.mention} hello")
        assert len(model.contexts) == 1
        status = await place.carol.slash(place.channel, "chinwag-admin status")
        assert status.response is not None
        assert "2 as the settings of their server say" in status.response.content

    async def test_of_settings_of_another_server(self, place: Place, settings: GuildSettingsStore) -> None:
        settings.change(1, muted=(place.channel.id,))
        await place.alice.send(place.channel, f"{place.mention} hello")
        assert place.answers() == ["sure"]

    async def test_of_settings_that_cannot_be_read(self, place: Place, settings: GuildSettingsStore) -> None:
        settings.change(place.guild.id, turns=2)
        settings.database.path.write_bytes(b"garbage" * 100)
        await place.alice.send(place.channel, f"{place.mention} hello")
        await place.alice.send(place.channel, "hello bob")
        assert place.answers() == [FAILURE]  # nothing that the admins may have blocked


class TestWithMessageContent:
    """Over sockets, where the intent hides and shows text as Discord does."""

    async def test_channels_are_answered_in_unless_others_are_talked_to(
        self, server: DiscordServer, connect: Connect, settings: GuildSettingsStore, model: ScriptedModel
    ) -> None:
        server.application_flags = MESSAGE_CONTENT_FLAG
        settings.change(int(server.guild_id), channels=(int(server.channel_id),), turns=1)
        alice, bob = server.user("alice"), server.user("bob")
        async with connect():
            first = await server.say(alice, "hello all")
            await server.until(lambda: server.replies)
            await server.say(bob, "fine", reply_to=first)
            await server.say(bob, f"<@{alice['id']}> fine")
            await server.say(bob, "well?")
            await server.until(lambda: len(server.replies) == 2)
        assert [context[-1] for context in model.contexts] == [(alice["id"], "hello all"), (bob["id"], ANY)]
        assert all(len(context) == 1 for context in model.contexts)

    async def test_it_joins_in_by_chance(
        self, server: DiscordServer, connect: Connect, settings: GuildSettingsStore, model: ScriptedModel
    ) -> None:
        server.application_flags = MESSAGE_CONTENT_FLAG
        settings.change(int(server.guild_id), chance=0.5)
        async with connect():
            for number in range(40):
                await server.say(server.user(f"member {number}"), "so it goes")
            await server.until(lambda: len(model.contexts) >= 10)
        assert 10 <= len(model.contexts) <= 20  # no more than the channel can bear, and no notice of it
        assert {reply["content"] for reply in server.replies} == {"sure"}

    async def test_without_it_nothing_is_answered_that_cannot_be_read(
        self, server: DiscordServer, connect: Connect, settings: GuildSettingsStore, model: ScriptedModel
    ) -> None:
        settings.change(int(server.guild_id), channels=(int(server.channel_id),), chance=1.0)
        async with connect():
            await server.say(server.user("alice"), "hello all")
            asked = await server.say(server.user("bob"), f"{server.mention} hello")
            await server.until(lambda: server.replies)
        assert [reply["message_reference"]["message_id"] for reply in server.replies] == [int(asked["id"])]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("chance", "5%", 0.05),
        ("chance", "0,5 %", 0.005),
        ("temperature", " 1.25", 1.25),
        ("length", "LONG", "long"),
        ("turns", "6", 6),
        ("feedback", "On", True),
        ("feedback", "off", False),
    ],
)
def test_values_are_read_as_people_write_them(name: str, text: str, value: object) -> None:
    assert parsed(name, text) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [("chance", "-1 %"), ("chance", "nan"), ("temperature", "3"), ("turns", "many"), ("feedback", "maybe")],
)
def test_other_values_are_named_with_what_they_can_be(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=f"'{text}' is no value for {name}: "):
        parsed(name, text)
