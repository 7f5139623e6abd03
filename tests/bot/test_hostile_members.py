"""Members and admins who send what Discord's own clients do not: nothing breaks, nothing leaks, the bot goes on."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import discord
import pytest

from bot.admin import described
from bot.client import ChinwagClient
from bot.guild_settings import GuildSettings, GuildSettingsStore
from bot.member import explanation
from bot.model_desk import _file_name
from bot.stores import Stores
from model.blocklist import Blocklist
from model.bundle import live_bundle
from model.guards import Rejection
from model.reply import Reply, ReplyConfig
from tests.bot import scripted_training
from tests.bot.conftest import Connect
from tests.bot.scripted_model import ScriptedModel
from tests.bot.test_commands import ranked
from tests.discord_server import DiscordServer, Payload

COMMAND, COMPONENT, FORM = 2, 3, 5
MANAGER = discord.Permissions(manage_guild=True).value
LONG = "secret " * 800


class Hall:
    """A connected bot, and somebody who makes interactions up."""

    def __init__(self, server: DiscordServer) -> None:
        self.server, self.mallory = server, server.user("mallory")

    async def send(self, kind: int, data: Payload, *, permissions: int = MANAGER, **fields: Any) -> str:
        """An interaction; returns what the bot says to it."""
        token = await self.server._interact(self.mallory, kind, data, permissions, **fields)
        await self.server.until(lambda: self.server.answers.get(token))
        (answer,) = self.server.answers[token]
        return str(answer.get("data", answer).get("content"))

    async def command(self, name: str, sub: str, **options: Any) -> str:
        given = [{"name": key, "type": 3, "value": value} for key, value in options.items()]
        (known,) = [each for each in self.server.commands if each["name"] == name]
        return await self.send(
            COMMAND,
            {"id": known["id"], "name": name, "type": 1, "options": [{"name": sub, "type": 1, "options": given}]},
        )

    def with_button(self, custom_id: str) -> Payload:
        """A message of the bot's with a button under it."""
        button = {"type": 2, "id": 2, "style": 2, "label": "Cancel", "custom_id": custom_id}
        return self.server.post(self.server.bot, "hello") | {
            "components": [{"type": 1, "id": 1, "components": [button]}]
        }

    async def still_answers(self) -> None:
        count = len(self.server.replies)
        await self.server.say(self.server.user("alice"), f"{self.server.mention} still there?")
        await self.server.until(lambda: len(self.server.replies) > count)
        assert self.server.replies[-1]["content"] == "sure"


@pytest.fixture
async def hall(server: DiscordServer, client: ChinwagClient) -> AsyncIterator[Hall]:
    hall = Hall(server)
    yield hall
    await hall.still_answers()


@pytest.mark.parametrize(
    ("sub", "options", "text"),
    [
        ("set", {"setting": "nonsense", "value": "1"}, "there is no setting 'nonsense'"),
        ("set", {"setting": "__class__", "value": "1"}, "there is no setting '__class__'"),
        ("set", {"setting": "turns", "value": "9" * 6000}, "is no value for turns"),
        ("set", {"setting": "chance", "value": LONG}, "is no value for chance"),
        ("set", {"setting": "temperature", "value": "-inf"}, "is no value for temperature"),
        ("set", {"setting": "feedback", "value": "\0"}, "is no value for feedback"),
        ("block", {"phrase": "!!!"}, "'!!!' has neither a letter nor a digit"),
        ("block", {"phrase": " \u200b "}, "has neither a letter nor a digit"),
        ("unblock", {"phrase": LONG}, "is not blocked here"),
    ],
)
async def test_values_that_nobody_can_choose_are_explained_in_short(
    hall: Hall, settings: GuildSettingsStore, caplog: pytest.LogCaptureFixture, sub: str, options: Any, text: str
) -> None:
    with caplog.at_level(logging.INFO):
        answer = await hall.command("chinwag-admin", sub, **options)
    assert text in answer
    assert len(answer) <= 300
    assert settings.of(int(hall.server.guild_id)) == GuildSettings()
    assert "secret" not in caplog.text


async def test_a_phrase_has_an_end(hall: Hall, settings: GuildSettingsStore) -> None:
    assert "1 word or phrase" in await hall.command("chinwag-admin", "block", phrase=LONG)
    assert [len(phrase) for phrase in settings.of(int(hall.server.guild_id)).blocked] == [100]


async def test_a_word_that_cannot_be_found_silences_nobody(hall: Hall, settings: GuildSettingsStore) -> None:
    settings.change(int(hall.server.guild_id), blocked=("!!!", "", "crumpet"))
    await hall.still_answers()
    assert Blocklist(["!!!", "crumpet"]).entries == ("crumpet",)


@pytest.mark.parametrize("name", ["9-9", "0", "-", "1" * 90])
async def test_buttons_that_there_never_were_end_nothing(hall: Hall, name: str) -> None:
    token = await hall.server.press(hall.mallory, hall.with_button(f"chinwag:cancel:{name}"), permissions=MANAGER)
    await hall.server.until(lambda: len(hall.server.answers.get(token, ())) == 2)
    assert hall.server.answers[token][1]["content"] == "It is over already."


async def test_a_button_does_nothing_for_who_may_not_manage_the_server(hall: Hall) -> None:
    token = await hall.server.press(hall.mallory, hall.with_button("chinwag:cancel:9-9"))
    await hall.server.until(lambda: hall.server.answers.get(token))
    assert "Only those who may" in hall.server.answers[token][0]["data"]["content"]


async def test_models_outside_of_the_menu_cannot_be_chosen(hall: Hall, stores: Stores) -> None:
    guild = hall.server.guild_id
    other = stores.folder / "guilds" / "4711"
    name = scripted_training.make_bundle(other)
    (known,) = [each for each in hall.server.commands if each["name"] == "chinwag-admin"]
    data = {"id": known["id"], "name": "chinwag-admin", "type": 1, "options": [{"name": "models", "type": 1}]}
    token = await hall.server._interact(hall.mallory, COMMAND, data, MANAGER)
    await hall.server.until(lambda: hall.server.answers.get(token))
    rows = hall.server.answers[token][0]["data"]["components"]
    menu, *buttons = [item for row in rows for item in row["components"]]
    fields = {"message": hall.server._shown(hall.server.post(hall.server.bot, "models"), readable=True)}
    fields["message"]["interaction_metadata"] = {"id": "0"}
    for value in (f"../4711/{name}", "../..", "/etc", "", "x" * 5000):
        chosen = {"custom_id": menu["custom_id"], "component_type": 3, "values": [value]}
        assert await hall.send(COMPONENT, chosen, **fields) == "Choose one of those in the menu."
    for button in buttons:
        pressed = {"custom_id": button["custom_id"], "component_type": 2}
        assert await hall.send(COMPONENT, pressed, **fields) == "Choose a model first."
    assert live_bundle(stores.folder / "guilds" / guild).parent != other
    assert (other / name).is_dir()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("../../escape.json.gz", "3.json.gz"),
        ("con.txt", "3.txt"),
        ("a\0b.t\0xt", "3.txt"),
        ("C:\\logs\\nul.json", "3.json"),
        ("..", "3"),
        (".", "3"),
        ("", "3"),
        ("x" * 300 + ".json", "3.json"),
        ("a." + "b" * 300, "3" + "b" * 20),
        ("a.t\u0338x\u202et/../../b", "3"),
        ("\ud800.json", "3.json"),
    ],
)
def test_names_of_attached_files_lead_nowhere(given: str, expected: str) -> None:
    assert _file_name(3, given) == expected
    assert Path(expected).name == expected


def test_settings_of_any_size_fit_into_a_message() -> None:
    ids = tuple(range(2**63, 2**63 + 25))
    words = tuple(f"{'w' * 90}{number}" for number in range(200))
    text = described(GuildSettings(channels=ids, muted=ids, roles=ids, blocked=words))
    assert len(text) <= 2000
    assert "and 10 more" in text


@pytest.mark.parametrize("why", [Rejection.COPY, Rejection.BLOCKED, Rejection.CONTACT])
def test_what_must_not_be_said_is_not_shown_either(why: Rejection) -> None:
    reply = Reply("yes", (ranked("yes", 2.5), ranked("what bob said", 1.0, why)))
    assert explanation(reply).splitlines()[1:] == ["`   2.5` **yes**", f"`   1.0` ({why})"]


async def test_an_answer_without_end_is_cut(hall: Hall, model: ScriptedModel) -> None:
    model.answer = "word. " * 10_000
    await hall.server.say(hall.mallory, f"{hall.server.mention} go on")
    await hall.server.until(lambda: len(hall.server.replies) == 5)
    assert all(len(reply["content"]) <= 2000 for reply in hall.server.replies)
    model.answer = "sure"


async def test_a_member_can_keep_nobody_else_from_being_answered(
    server: DiscordServer, connect: Connect, model: ScriptedModel
) -> None:
    async with connect(replies=ReplyConfig()):
        mallory, alice = server.user("mallory"), server.user("alice")
        for number in range(60):
            text = f"{server.mention} " + " ".join(f"<@{each}>" for each in range(100)) + " \u0338" * 500 + f" {number}"
            await server.say(mallory, text[:4000])
        await server.say(alice, f"{server.mention} hello")
        await server.until(lambda: [each for each in model.contexts if each[-1] == (alice["id"], "hello")], patience=10)
    assert len([each for each in model.contexts if each[-1][0] == mallory["id"]]) <= 6
