"""A whole life of the bot as a process: what people write, what it answers and its token stay out of all it writes."""

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path

import aiohttp
import discord
import pytest

from model.bundle import PRETRAINED
from model.consent import Consent
from tests.discord_server import DiscordServer, Payload

ROOT = Path(__file__).parents[2]
MANAGER = discord.Permissions(manage_guild=True).value

# The program itself, but for a model that repeats what it hears and breaks at a word, and a trainer that quotes.
PROGRAM = """
import sys, types
from functools import partial
from tests.bot.scripted_model import ScriptedModel

class Parrot(ScriptedModel):
    def replies(self, questions):
        text = questions[0].turns[-1].text if questions[0].turns else "nothing"
        self.answer = "quoth " + text
        if "boom" in text:
            self.answer = RuntimeError("the net is torn")
        return super().replies(questions)

sys.modules["model.chatbot"] = types.SimpleNamespace(ChatBot=types.SimpleNamespace(load=lambda directory: Parrot()))
import bot.model_desk, bot.startup
bot.model_desk.can_train = lambda: True
def train(job):
    said = [path.read_text() for path in job.exports.iterdir()]
    return [sys.executable, "-c", "import sys; sys.exit('ValueError: no number: ' + sys.argv[1])", said[0]]
bot.startup.Chinwag = partial(bot.startup.Chinwag, train=train)
from bot.__main__ import main
main()
"""

WORDS = ["mention", "dm", "boom", "value", "blocked", "file", "export", "event", "lost"]
SECRETS = [f"{word}-secret" for word in WORDS]
REPLY = "quoth"


def pick_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as other:
        return int(other.getsockname()[1])


async def live(server: DiscordServer, models: Path, log: Path) -> None:
    """Do all that people and Discord can do."""
    alice, guild = server.user("alice"), server.guild_id

    async def until_replies(count: int) -> None:
        await server.until(lambda: len(server.replies) >= count, patience=20)

    async def answer(token: str, count: int = 1) -> str:
        await server.until(lambda: len(server.answers.get(token, ())) >= count, patience=20)
        return json.dumps(server.answers[token])

    async def command(*path: str, **texts: str) -> str:
        return await answer(await server.command(alice, *path, **texts))

    assert "Done" in await command("chinwag-admin", "block", phrase="blocked-secret")
    assert "is no value" in await command("chinwag-admin", "set", setting="turns", value="value-secret")
    assert "Feedback" in await command("chinwag-admin", "set", setting="feedback", value="on")
    await server.say(alice, f"{server.mention} mention-secret")
    await until_replies(1)
    said = next(each for each in server.messages.values() if each["author"] is server.bot)
    assert "quoth mention-secret" in said["content"]
    await answer(await server.command(alice, "Why this reply?", message=said))
    await server.say(alice, "dm-secret", channel=server.dm(alice))
    await until_replies(2)
    await server.say(alice, f"{server.mention} boom-secret")
    await until_replies(3)
    assert "My log says why" in server.replies[2]["content"]
    server.fail("POST", "/messages", 403, message="Missing Permissions: lost-secret", code=50013)
    await server.say(server.user("bob"), f"{server.mention} lost-secret")
    await server.until(lambda: len(server.calls("POST", "/messages")) >= 4)
    junk = {"id": "event-secret", "content": f"event-secret {server.token}", "guild_id": guild}
    for name in ("MESSAGE_CREATE", "MESSAGE_REACTION_ADD", "INTERACTION_CREATE", "EVENT_SECRET"):
        await server.gateway.dispatch(name, junk)
    (models / "feedback.sqlite").write_bytes(b"garbage" * 100)
    vote = {"user_id": alice["id"], "channel_id": server.channel_id, "message_id": said["id"], "guild_id": guild}
    vote |= {"emoji": {"id": None, "name": "👍"}, "type": 0, "burst": False}
    await server.gateway.dispatch("MESSAGE_REACTION_ADD", vote)
    await server.until(lambda: "A vote could not be kept" in log.read_text(encoding="utf-8"), patience=20)
    (models / "feedback.sqlite").unlink()
    files = {"logs1": ("file-secret.json", b"export-secret")}
    token = await server.command(alice, "chinwag-admin", "retrain", files=files)
    await answer(token, 2)
    await server.until(lambda: "Training failed" in str(server.messages), patience=30)
    (shown,) = [each["content"] for each in server.messages.values() if "Training failed" in each["content"]]
    assert shown.endswith("It ended without a word. ValueError")
    assert "Done" in await answer(await server.command(alice, "chinwag", "optout"), 2)
    await server.gateway.close(4000)
    await server.until(lambda: server.gateway.resumed)


async def written(server: DiscordServer, folder: Path, *arguments: str, **environ: str) -> str:
    """All that a bot writes in its life: output, log, metrics, health."""
    models, log, port = folder / "life" / "models", folder / "log", pick_port()
    (models / "first").mkdir(parents=True)
    (models / "current").write_text("first", encoding="utf-8")
    environment = {"DISCORD_TOKEN": server.token, "CHINWAG_API_BASE": server.base, "CHINWAG_METRICS": str(port)}
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROGRAM, "run", *arguments),
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment, **environ},
            stdout=out,
            stderr=out,
            cwd=models.parent,
        )
    told = []
    try:
        await server.until(lambda: server.gateway.sessions, patience=30)
        await live(server, models, log)
        async with aiohttp.ClientSession() as session:
            for page in ("metrics", "healthz"):
                async with session.get(f"http://127.0.0.1:{port}/{page}") as response:
                    told.append(await response.text())
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 20)
    assert process.returncode == 0
    return "\n".join([*told, log.read_text(encoding="utf-8")])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals to send")
@pytest.mark.parametrize("log", ["plain", "json"])
async def test_a_life_leaves_nothing_of_what_was_said_but_where_it_belongs(
    server: DiscordServer, tmp_path: Path, log: str
) -> None:
    server.token = "MTk4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs"
    told = await written(server, tmp_path, CHINWAG_LOG=log)
    for proof in ("No reply to message", "Skipped a MESSAGE_CREATE event", "A vote could not be kept", 'failed"} 1'):
        assert proof in told
    assert not [secret for secret in (*SECRETS, REPLY, server.token) if secret in told]
    kept = contents(tmp_path / "life")
    found = {path.name for path, content in kept.items() if any(secret.encode() in content for secret in SECRETS)}
    assert found <= {"guilds.sqlite", "log.txt"}  # the blocked word, and what the trainer itself wrote
    assert not [path for path, content in kept.items() if server.token.encode() in content]
    assert len(Consent.open(tmp_path / "life" / "models" / "consent.sqlite").excluded()) == 1


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals to send")
async def test_the_token_is_not_in_the_verbose_log_either(server: DiscordServer, tmp_path: Path) -> None:
    server.token = "MTk4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs"
    told = await written(server, tmp_path, "--verbose")
    assert "No reply to message" in told
    assert server.token not in told


def test_a_bundle_holds_no_message() -> None:
    """What it tells of its training are counts, hashes and dates."""
    head: Payload = json.loads((PRETRAINED / "bundle.json").read_text(encoding="utf-8"))

    def texts(value: object) -> list[str]:
        if isinstance(value, dict):
            return [text for each in value.values() for text in texts(each)]
        if isinstance(value, list):
            return [text for each in value for text in texts(each)]
        return [value] if isinstance(value, str) else []

    assert all(len(text.split()) < 3 for text in texts(head["facts"]["training"]))
