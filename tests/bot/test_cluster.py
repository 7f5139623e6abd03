"""Several processes are one bot: each with a part of the shards, all with one PostgreSQL, as people run them."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from bot.cog import FAILURE
from bot.guild_settings import GuildSettingsStore
from model.bundle import PRETRAINED
from model.environment import connect
from model.library import COMMON, SharedModels
from tests.discord_server import DiscordServer, Payload
from tests.postgres_server import PostgresProcess

ROOT = Path(__file__).parents[2]
PATIENCE = 20.0  # seconds, on a busy machine; how long it takes is measured elsewhere

# The program itself, but for models that say their names and what they have read of people.
PROGRAM = """
import sys, types
from model.dialogue import ME
from model.reply import Reply
from tests.bot.scripted_model import ScriptedModel

class Named(ScriptedModel):
    def replies(self, questions):
        super().replies(questions)
        said = [[turn.text for turn in each.turns if turn.speaker != ME] for each in questions]
        return [Reply(" / ".join([self.answer, *texts]), ()) for texts in said]

sys.modules["model.chatbot"] = types.SimpleNamespace(ChatBot=types.SimpleNamespace(load=lambda path: Named(path.name)))
import bot.client, bot.cog
bot.cog.USER_LIMIT = bot.cog.CHANNEL_LIMIT = (10_000, 1.0)
async def at_once(self, shard, *, initial=False): pass
bot.client.ShardedClient.before_identify_hook = at_once
from bot.__main__ import main
main()
"""

Start = Callable[..., AbstractAsyncContextManager[asyncio.subprocess.Process]]


@pytest.fixture
def start(tmp_path: Path, server: DiscordServer, postgres: PostgresProcess) -> Start:
    """Starts a process of the bot, with a models folder of its own."""
    server.application_flags = 1 << 19

    @asynccontextmanager
    async def started(part: str, **environ: str) -> AsyncIterator[asyncio.subprocess.Process]:
        models = tmp_path / f"models-{part.replace('/', '-of-')}"
        models.mkdir(exist_ok=True)
        known = {name: value for name, value in os.environ.items() if not name.startswith("CHINWAG_")}
        defaults = {"PYTHONPATH": str(ROOT), "DISCORD_TOKEN": server.token, "CHINWAG_API_BASE": server.base}
        defaults |= {"CHINWAG_MODELS": str(models), "DATABASE_URL": postgres.url}
        with (tmp_path / "log").open("wb") as log:  # a pipe that nobody reads would be full at some time
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", PROGRAM, "run", "--shards", part),
                env={**known, **defaults, **environ},
                cwd=tmp_path,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    return started


class Place:
    """A channel of a server that belongs to a shard, and what is said there."""

    def __init__(self, server: DiscordServer, shard: int) -> None:
        self.server, self.member = server, server.user(f"member of {shard}")
        self.guild, self.channel = server.add_guild(shard, 2)

    async def ask(self, *, after: tuple[Payload, str] | None = None) -> str:
        """Mention the bot, after somebody has said something; what it replies."""
        if after is not None:
            await self.server.say(*after, channel=self.channel)
        asked = await self.server.say(self.member, f"{self.server.mention} hello", channel=self.channel)
        await self.server.until(lambda: self.replies_to(asked), patience=PATIENCE)
        (reply,) = self.replies_to(asked)
        return reply

    def replies_to(self, asked: Payload) -> list[str]:
        """What was replied to a message."""
        replies = [
            each for each in self.server.replies if int(each["message_reference"]["message_id"]) == int(asked["id"])
        ]
        return [str(each["content"]) for each in replies]

    async def until(self, enough: Callable[[str], bool], *, after: tuple[Payload, str] | None = None) -> None:
        """Ask until the reply is as it should be."""
        async with asyncio.timeout(PATIENCE):
            while not enough(await self.ask(after=after)):  # each answer takes a moment
                pass

    async def command(self, member: Payload, *path: str) -> str:
        """Use a command; what the bot answers at the end."""
        token = await self.server.command(member, *path, channel=self.channel)
        await self.server.until(lambda: self.server.answers.get(token), patience=PATIENCE)
        if self.server.answers[token][0].get("type") == 5:  # it thinks
            await self.server.until(lambda: len(self.server.answers[token]) > 1, patience=PATIENCE)
        return str(self.server.answers[token][-1])


@pytest.fixture
def places(server: DiscordServer) -> tuple[Place, Place]:
    return Place(server, 0), Place(server, 1)


@asynccontextmanager
async def ready(*processes: asyncio.subprocess.Process) -> AsyncIterator[None]:
    """All of them are ready."""
    for process in processes:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            assert b"is ready on" in await process.stdout.readline()
    yield


def says(name: str) -> Callable[[str], bool]:
    """Whether a reply is of a model."""
    return lambda said: said.split(" / ")[0] == name


async def refusal(started: AbstractAsyncContextManager[asyncio.subprocess.Process], folder: Path) -> str:
    """The one sentence with which a process ends that may not begin."""
    async with started as process:
        out, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    log = (folder / "log").read_text(encoding="utf-8")
    assert (process.returncode, out) == (1, b"")
    assert "Traceback" not in log
    return log.splitlines()[-1]


async def test_what_is_told_one_process_all_obey(
    start: Start, server: DiscordServer, postgres: PostgresProcess, places: tuple[Place, Place]
) -> None:
    (mine, other), secret = places, "what I say is mine"
    talker = server.user("somebody who talks")
    async with start("0/2") as first, start("1/2") as second, ready(first, second):
        assert (await mine.ask()).startswith("pretrained / ")
        assert secret in await other.ask(after=(talker, secret))
        assert "Done" in await mine.command(talker, "chinwag", "optout")
        await other.until(lambda said: secret not in said, after=(talker, secret))
        with connect(postgres.url) as elsewhere:
            GuildSettingsStore(elsewhere).change(int(other.guild), turns=1)
        await other.until(lambda said: said.count(" / ") == 1, after=(other.member, "anything"))


async def test_overlapping_parts_are_refused_and_free_again_after_a_kill(
    start: Start, places: tuple[Place, Place], tmp_path: Path
) -> None:
    mine, _ = places
    async with start("0-1/2") as first, ready(first):
        assert "has shard 1" in await refusal(start("1/2"), tmp_path)
        assert await mine.ask()
        first.kill()
        await first.wait()
    async with start("0/2") as again, ready(again):
        assert await mine.ask()


async def test_a_part_needs_a_database(start: Start, tmp_path: Path) -> None:
    said = await refusal(start("0/2", DATABASE_URL=""), tmp_path)
    assert said.endswith("in PostgreSQL: set DATABASE_URL, or leave the part out.")


async def test_without_its_database_the_bot_apologises_until_it_is_back(
    start: Start, postgres: PostgresProcess, places: tuple[Place, Place]
) -> None:
    mine, _ = places
    async with start("0/2") as process, ready(process):
        assert await mine.ask() != FAILURE
        postgres.stop()
        try:
            await mine.until(lambda said: said == FAILURE)
            assert "nothing has changed" in await mine.command(mine.member, "chinwag", "optout")
        finally:
            postgres.start()
        await mine.until(lambda said: said != FAILURE)
        assert "Done" in await mine.command(mine.member, "chinwag", "optout")


async def test_a_database_that_cannot_be_reached_at_the_start_is_one_sentence(start: Start, tmp_path: Path) -> None:
    said = await refusal(start("0/2", DATABASE_URL="postgresql://bot:secret@127.0.0.1:1/chinwag"), tmp_path)
    assert "PostgreSQL's database chinwag on 127.0.0.1, which is set as DATABASE_URL, cannot be reached" in said
    assert "secret" not in said


async def test_a_model_that_is_published_answers_everywhere_and_nobody_is_missed(
    start: Start, postgres: PostgresProcess, places: tuple[Place, Place], tmp_path: Path
) -> None:
    async with start("0/2") as first, start("1/2") as second, ready(first, second):
        with connect(postgres.url) as elsewhere:
            models = SharedModels(elsewhere)
            names = [await asyncio.to_thread(models.add, COMMON, PRETRAINED, live=True)]
            for place in places:
                await place.until(says(names[0]))
            publishing = asyncio.create_task(asyncio.to_thread(models.add, COMMON, PRETRAINED, live=True))
            said = [await place.ask() for _ in range(5) for place in places]  # each is answered, by one or the other
            names.append(await publishing)
            assert {text.split(" / ")[0] for text in said} <= set(names)
            for place in places:
                await place.until(says(names[1]))
            await asyncio.to_thread(models.of(COMMON).make_live, None)
            own = await asyncio.to_thread(models.add, int(places[1].guild), PRETRAINED, live=True)
            await places[0].until(says("pretrained"))
            await places[1].until(says(own))
