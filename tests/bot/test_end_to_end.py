"""The whole road: an export goes in, and over a real socket the learned answer comes back."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.live_model import LiveModel
from tests.bot.conftest import Connect
from tests.discord_server import DiscordServer
from training.__main__ import app
from training.presets import PRESETS, Preset, TrainingConfig

EXCHANGES = {
    "what is the kettle called?": "the kettle is called Brenda",
    "who ate the last crumpet?": "the badger, as ever 🦡",
    "is it raining over there?": "cats and dogs\nand one umbrella",
    "shall we play a round of darts?": "only if I may throw first",
    "did the parcel arrive?": "ask me tomorrow",
}

SECRET = ("where do you hide the key?", "under the third flowerpot")
"""What one person only has said is hers, and the others are not to hear of it."""

QUICK = Preset(
    {**PRESETS["base"].network, "embedding_dim": 128, "encoder_units": 96, "dropout": 0.0},
    vocabulary_size=320,
    training=TrainingConfig(learning_rate=5e-3, warm_up=0, decay="none", batch_size=8),
)
"""The shape of `base`, small enough to learn five answers by heart in seconds."""


def export(path: Path) -> None:
    """Write a DiscordChatExporter file: each exchange on a day of its own, among a bot and a system notice."""
    messages = []

    def add(day: int, minute: int, author: str, content: str, kind: str = "Default", *, bot: bool = False) -> None:
        messages.append(
            {
                "id": str(1000 + len(messages)),
                "type": kind,
                "timestamp": f"2024-03-{day:02}T19:{minute:02}:00+00:00",
                "content": content,
                "author": {"id": author, "name": f"user{author}", "isBot": bot},
            }
        )

    add(1, 0, "3", "Joined the server.", "GuildMemberJoin")
    answers = [(question, answer, "2") for question, answer in EXCHANGES.items()]
    answers += [(f"hey you, {question} do tell us", answer, "4") for question, answer in EXCHANGES.items()]
    for day, (question, answer, author) in enumerate([*answers, (*SECRET, "2")], 1):
        add(day, 10, "1", question)
        add(day, 11, "9", "beep", bot=True)
        for line in answer.split("\n"):  # a burst
            add(day, 12, author, line)
    head = {"guild": {"id": "1", "name": "Test"}, "channel": {"id": "5", "type": "GuildTextChat", "name": "general"}}
    export = {**head, "messages": messages, "messageCount": len(messages)}
    path.write_text(json.dumps(export, indent=2), encoding="utf-8")


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder with what `chinwag-train retrain` made of the export."""
    monkeypatch.setitem(PRESETS, "base", QUICK)
    export(tmp_path / "export.json")
    command = ["retrain", str(tmp_path / "export.json"), "--models", str(tmp_path / "models"), "--preset", "base"]
    result = CliRunner().invoke(app, [*command, "--epochs", "200"])
    assert result.exit_code == 0, result.output
    assert "left out: bot" in result.output
    return tmp_path / "models"


async def test_a_trained_bot_answers_what_it_has_learned(models: Path, server: DiscordServer, connect: Connect) -> None:
    alice = server.user("alice")
    async with connect(model=LiveModel(models)):
        for question, answer in EXCHANGES.items():
            before = len(server.replies)
            asked = await server.say(alice, f"{server.mention} {question}")
            await server.until(lambda before=before: len(server.replies) > before)
            reply = server.replies[-1]
            assert reply["content"] == answer
            assert str(reply["message_reference"]["message_id"]) == asked["id"]
        question, answer = SECRET
        before = len(server.replies)
        await server.say(alice, f"{server.mention} {question}")
        await server.until(lambda: len(server.replies) > before)
        assert server.replies[-1]["content"] not in ("", answer)
