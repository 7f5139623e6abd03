"""What people in a server see, in simcord's model of Discord, with its permissions and its hidden text."""

import discord
import pytest
import simcord

from bot.cog import FAILURE
from bot.guild_settings import GuildSettingsStore
from tests.bot.scripted_model import ScriptedModel


class Place:
    """A channel with two people in it."""

    def __init__(self, env: simcord.Env) -> None:
        guild = env.create_guild()
        self.guild = guild
        self.channel = guild.create_text_channel("general")
        self.alice = guild.add_member(env.create_user("alice"))
        self.bob = guild.add_member(env.create_user("bob"))
        self.mention = env.bot.user.mention


@pytest.fixture
def place(simcord_env: simcord.Env) -> Place:
    return Place(simcord_env)


def last(place: Place) -> discord.Message:
    message = place.channel.last_message
    assert message is not None
    return message


async def test_a_conversation_by_replies(place: Place, model: ScriptedModel) -> None:
    await place.alice.send(place.channel, f"{place.mention} cats or dogs?")
    model.answer = "because"
    await place.bob.send(place.channel, "why?", reply_to=last(place))
    assert last(place).content == "because"
    alice, bob = str(place.alice.id), str(place.bob.id)
    assert model.contexts[-1] == [(alice, "cats or dogs?"), ("me", "sure"), (bob, "why?")]


async def test_a_reply_pings_nobody(place: Place, model: ScriptedModel) -> None:
    model.answer = "@everyone"
    await place.alice.send(place.channel, f"{place.mention} hello")
    assert not last(place).mention_everyone
    assert last(place).mentions == []  # not even the one who is answered


async def test_talk_of_others_is_left_alone(place: Place, model: ScriptedModel) -> None:
    await place.alice.send(place.channel, "hello bob")
    await place.bob.send(place.channel, f"hello {place.alice.mention}")
    assert model.contexts == []


async def test_a_direct_message(simcord_env: simcord.Env, model: ScriptedModel) -> None:
    carol = simcord_env.create_user("carol")
    await carol.send_dm("hello")
    assert [message.content for message in carol.dm_channel.history()] == ["hello", "sure"]


async def test_a_channel_where_it_may_not_speak(place: Place, simcord_env: simcord.Env, model: ScriptedModel) -> None:
    silent = discord.PermissionOverwrite(send_messages=False)
    talk = discord.PermissionOverwrite(send_messages=True)
    hall = place.guild.create_text_channel("hall", overwrites={place.guild.default_role: silent, place.alice: talk})
    await place.alice.send(hall, f"{place.mention} hello")
    assert [message.content for message in hall.history()] == [f"{place.mention} hello"]
    assert simcord_env.errors == []


async def test_a_failure_is_told(place: Place, model: ScriptedModel) -> None:
    model.answer = RuntimeError("the net is torn")
    await place.alice.send(place.channel, f"{place.mention} hello")
    assert last(place).content == FAILURE


async def test_deleted_messages_are_no_context(place: Place, model: ScriptedModel) -> None:
    question = await place.alice.send(place.channel, f"{place.mention} cats or dogs?")
    answer = last(place)
    await place.alice.delete(question)
    await place.bob.send(place.channel, "why?", reply_to=answer)
    assert model.contexts[-1] == [("me", "sure"), (str(place.bob.id), "why?")]


async def test_edited_messages_are_read_as_they_are_now(place: Place, model: ScriptedModel) -> None:
    question = await place.alice.send(place.channel, f"{place.mention} cats or dogs?")
    answer = last(place)
    await place.alice.edit(question, f"{place.mention} cats or badgers?")
    await place.bob.send(place.channel, "why?", reply_to=answer)
    assert model.contexts[-1][0] == (str(place.alice.id), "cats or badgers?")


async def test_a_thread_is_part_of_its_channel(
    place: Place, model: ScriptedModel, settings: GuildSettingsStore, simcord_env: simcord.Env
) -> None:
    channel = simcord_env.bot.get_channel(place.channel.id)
    assert isinstance(channel, discord.TextChannel)
    thread = await channel.create_thread(name="aside", type=discord.ChannelType.public_thread)
    (handle,) = place.channel.threads
    await place.alice.send(handle, f"{place.mention} hello")
    assert [message.content for message in handle.history()][-1] == "sure"
    settings.change(place.guild.id, muted=(place.channel.id,))
    await place.alice.send(handle, f"{place.mention} hello again")
    assert len(model.contexts) == 1
    assert thread.parent_id == place.channel.id


async def test_a_forum_post(place: Place, model: ScriptedModel, simcord_env: simcord.Env) -> None:
    handle = place.guild.create_forum_channel("ideas")
    forum = simcord_env.bot.get_channel(handle.id)
    assert isinstance(forum, discord.ForumChannel)
    await forum.create_thread(name="more cats", content="let us have more cats")
    (post,) = handle.threads
    await place.alice.send(post, f"{place.mention} shall we?")
    assert [message.content for message in post.history()][-1] == "sure"
