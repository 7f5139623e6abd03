"""Training and models, as admins see them in simcord's model of Discord; the training itself is scripted."""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import discord
import pytest
import simcord

from bot import model_desk as module
from bot.client import ChinwagClient
from bot.cog import Chinwag
from bot.feedback import Exchange
from bot.model_desk import NO_TRAINING, ModelDesk, described
from bot.retraining import DONE, FAILED, OUT_OF_MEMORY, QUEUED, WORKING, Job, Progress, Trainer
from bot.stores import Stores
from model.bundle import PRETRAINED, WEIGHTS, bundles, live_bundle, make_live
from model.dialogue import Turn
from tests.bot import scripted_training
from tests.bot.conftest import Connect, MakeCog
from tests.bot.scripted_training import PUBLISHED
from tests.bot.test_admin import Place
from tests.discord_server import DiscordServer, Payload

STEPS: list[str] = []


def train(job: Job) -> list[str]:
    return [sys.executable, scripted_training.__file__, str(job.folder), str(job.models), *STEPS]


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setattr(module, "can_train", lambda: True)


@pytest.fixture
def simcord_bot(make_cog: MakeCog) -> ChinwagClient:
    return ChinwagClient(make_cog(train=train))


class Shop(Place):
    """The place, and the folder of models."""

    def __init__(self, env: simcord.Env, stores: Stores) -> None:
        super().__init__(env)
        self.stores, self.models = stores, stores.folder / "guilds" / str(self.guild.id)
        self.exports = stores.folder.parent / "exports" / str(self.guild.id)

    async def say(self, command: str, **options: Any) -> str:
        result = await self.carol.slash(self.channel, f"chinwag-admin {command}", **options)
        assert result.ephemeral
        (shown,) = [each for each in (result.response, *result.followups) if each is not None]
        return shown.content

    async def refused(self, command: str, **options: Any) -> str:
        text = await self.say(command, **options)
        assert "nothing has changed" in text
        self.env.errors.clear()  # simcord's list of what a command raised
        return text

    @property
    def trainer(self) -> Trainer:
        cog = self.env.bot.get_cog("Chinwag")
        assert isinstance(cog, Chinwag)
        return cog.desk.trainer

    def progress(self) -> discord.Message:
        message = self.channel.last_message
        assert message is not None
        return message

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110 - it is about other processes
                await asyncio.sleep(0.02)


@pytest.fixture
async def shop(simcord_env: simcord.Env, stores: Stores) -> AsyncIterator[Shop]:
    cog = simcord_env.bot.get_cog("Chinwag")
    assert isinstance(cog, Chinwag)
    cog.desk.trainer._interval = 0.02
    await simcord_env.bot.tree.sync()
    shop = Shop(simcord_env, stores)
    yield shop
    for job in shop.trainer.unfinished():
        await shop.trainer.cancel(job.folder.name)
    await shop.trainer.close()


@pytest.fixture
def exports(shop: Shop) -> Path:
    shop.exports.mkdir(parents=True)
    (shop.exports / "log.txt").write_text("hello", encoding="utf-8")
    return shop.exports


class TestRetrain:
    async def test_needs_something_to_learn_from(self, shop: Shop) -> None:
        assert f"exports/{shop.guild.id}" in await shop.refused("retrain")

    async def test_needs_the_extra(self, shop: Shop, exports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "can_train", lambda: False)
        assert NO_TRAINING in await shop.refused("retrain")

    async def test_takes_no_more_than_the_disk_can_bear(self, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "MAX_ATTACHED", 10)
        assert "At most 0 MB" in await shop.refused("retrain", logs1=("a.txt", b"123456"), logs2=("b.txt", b"123456"))

    @pytest.mark.parametrize("place", ["folder", "liked", "job"])
    async def test_on_a_full_disk_says_so_and_leaves_nothing(
        self, shop: Shop, exports: Path, monkeypatch: pytest.MonkeyPatch, place: str
    ) -> None:
        def full(*arguments: object, **options: object) -> None:
            raise OSError(28, "No space left on device")

        where = {"folder": (Trainer, "new_folder"), "liked": (ModelDesk, "_add_liked"), "job": (Job, "save")}
        monkeypatch.setattr(*where[place], full)
        said = await shop.refused("retrain")
        assert "Nothing can be written where I run (No space left on device): have the operator make room in" in said
        assert shop.trainer.jobs() == []
        assert not [*(shop.stores.folder / ".jobs").glob("*")]
        message = shop.channel.last_message
        assert message is None or (message.content, message.components) == ("Training could not begin.", [])

    async def test_that_runs_out_of_memory_says_so_while_the_bot_goes_on(self, shop: Shop, exports: Path) -> None:
        STEPS[:] = ["work", "killed"]
        await shop.say("retrain")
        await shop.until(lambda: "Training failed" in shop.progress().content)
        assert shop.progress().content == f"Training failed, and nothing has changed: {OUT_OF_MEMORY}"
        assert "the common one" in await shop.say("models")

    async def test_shows_its_progress_and_what_came_of_it(self, shop: Shop, exports: Path) -> None:
        STEPS[:] = ["work", "publish"]
        assert "Training is on: https://" in await shop.say("retrain")
        await shop.until(lambda: "answers from now on" in shop.progress().content)
        assert "1.500 bits a byte on 1,000 held-out replies; the one before: 1.625" in shop.progress().content
        assert live_bundle(shop.models).parent == shop.models


class TestOverSockets:
    """While it is at work, which simcord does not wait for."""

    @pytest.fixture
    async def desk(self, server: DiscordServer, connect: Connect, stores: Stores) -> AsyncIterator[ModelDesk]:
        async with connect(train=train) as client:
            cog = client.get_cog("Chinwag")
            assert isinstance(cog, Chinwag)
            cog.desk.trainer._interval = 0.02
            yield cog.desk
            for job in cog.desk.trainer.unfinished():
                await cog.desk.trainer.cancel(job.folder.name)

    async def begin(self, server: DiscordServer, desk: ModelDesk, *names: str) -> tuple[Job, Payload]:
        """Order a training, and wait for its message to show that it is at work."""
        STEPS[:] = ["work", "wait", "publish"]
        files = {f"logs{place}": (name, b"hello") for place, name in enumerate(names, 1)}
        token = await server.command(server.user("carol"), "chinwag-admin", "retrain", files=files)
        await server.until(lambda: len(server.answers.get(token, [])) == 2)
        assert "Training is on" in server.answers[token][1]["content"]
        (shown,) = [each for each in server.messages.values() if "Training" in each["content"] and each["components"]]
        await server.until(lambda: "50%" in shown["content"], patience=30)
        (job,) = desk.trainer.unfinished()
        return job, shown

    async def test_learns_from_what_is_attached_and_liked(
        self, server: DiscordServer, desk: ModelDesk, stores: Stores
    ) -> None:
        guild = int(server.guild_id)
        stores.settings.change(guild, feedback=True)
        stores.feedback.vote(Exchange(9, guild, [Turn("1", "hi")], "hello"), 2, 1)
        job, shown = await self.begin(server, desk, "../../escape.json.gz", "C:\\logs\\chat.TXT", "no ending")
        assert sorted(path.name for path in job.exports.iterdir()) == ["0.json.gz", "1.txt", "2", "liked.jsonl"]
        assert (job.exports / "0.json.gz").read_bytes() == b"hello"
        assert (job.guild, job.models, job.sources) == (guild, stores.folder / "guilds" / server.guild_id, ())
        files = {"logs1": ("a.txt", b"hello")}
        token = await server.command(server.user("dave"), "chinwag-admin", "retrain", files=files)
        await server.until(lambda: len(server.answers.get(token, [])) == 2)
        assert "is being trained already" in server.answers[token][1]["content"]
        (job.folder / "go").touch()
        await server.until(lambda: "answers from now on" in shown["content"], patience=30)
        assert not shown["components"]

    async def test_is_cancelled_by_those_who_may(self, server: DiscordServer, desk: ModelDesk) -> None:
        job, shown = await self.begin(server, desk, "a.txt")
        token = await server.press(server.user("alice"), shown)
        await server.until(lambda: token in server.answers)
        assert "Only those who may manage the server" in server.answers[token][0]["data"]["content"]
        assert not job.progress().over
        rights = discord.Permissions(manage_guild=True).value
        await server.press(server.user("carol"), shown, permissions=rights)
        await server.until(lambda: "It was cancelled." in shown["content"])

    async def test_goes_on_if_its_message_is_deleted(self, server: DiscordServer, desk: ModelDesk) -> None:
        job, shown = await self.begin(server, desk, "a.txt")
        await server.delete(shown)
        (job.folder / "go").touch()
        await server.until(lambda: job.progress().state == DONE, patience=30)

    async def test_is_shown_again_after_a_restart(
        self, server: DiscordServer, connect: Connect, desk: ModelDesk
    ) -> None:
        job, shown = await self.begin(server, desk, "a.txt")
        await desk.trainer.close()
        async with connect(train=train):
            (job.folder / "go").touch()
            await server.until(lambda: "answers from now on" in shown["content"], patience=30)


class TestModels:
    @pytest.fixture
    def names(self, shop: Shop) -> list[str]:
        """Two models, of which the second one is live."""
        names = [scripted_training.make_bundle(shop.models) for _ in range(2)]
        make_live(shop.models, names[1])
        return names

    async def panel(self, shop: Shop) -> Any:
        result = await shop.carol.slash(shop.channel, "chinwag-admin models")
        (shown,) = [each for each in (result.response, *result.followups) if each is not None]
        return shown

    async def test_of_a_server_that_has_none(self, shop: Shop) -> None:
        assert "▶ the common one" in (await self.panel(shop)).content

    async def test_are_listed(self, shop: Shop, names: list[str]) -> None:
        (shop.models / names[0] / WEIGHTS).write_bytes(b"")
        lines = (await self.panel(shop)).content.splitlines()
        assert lines[1].startswith(f"▶ `{names[1]}` (base, 1.")
        assert lines[2] == f"• `{names[0]}` (damaged)"
        assert lines[3].startswith("• the common one")

    async def test_one_of_another_version_is_shown_as_that_and_the_common_one_answers(
        self, shop: Shop, names: list[str]
    ) -> None:
        (shop.models / names[1] / "bundle.json").write_text('{"format": 3}', encoding="utf-8")
        panel = await self.panel(shop)
        lines = panel.content.splitlines()
        assert lines[1] == f"• `{names[1]}` (of another version of mine, which I cannot use: train a new one)"
        assert lines[3].startswith("▶ the common one")
        await shop.carol.select(panel, [names[1]])
        answer = await shop.carol.click(panel, label="Use it")
        assert "was made by an older Chinwag" in answer.response.content  # type: ignore[union-attr]
        await shop.carol.select(panel, [names[0]])
        await shop.carol.click(panel, label="Use it")
        assert live_bundle(shop.models).name == names[0]
        shop.env.errors.clear()

    async def test_are_listed_though_the_live_one_is_gone(self, shop: Shop, names: list[str]) -> None:
        shutil.rmtree(shop.models / names[1])
        panel = await self.panel(shop)
        assert "▶ the common one" in panel.content
        await shop.carol.select(panel, [names[0]])
        await shop.carol.click(panel, label="Use it")
        assert live_bundle(shop.models).name == names[0]

    async def test_one_is_gone_back_to(self, shop: Shop, names: list[str]) -> None:
        panel = await self.panel(shop)
        await shop.carol.select(panel, [names[0]])
        await shop.carol.click(panel, label="Use it")
        assert live_bundle(shop.models).name == names[0]
        await shop.carol.select(panel, ["shipped"])
        await shop.carol.click(panel, label="Use it")
        assert live_bundle(shop.models) == PRETRAINED

    async def test_a_damaged_one_is_not(self, shop: Shop, names: list[str]) -> None:
        (shop.models / names[0] / WEIGHTS).write_bytes(b"")
        panel = await self.panel(shop)
        await shop.carol.select(panel, [names[0]])
        answer = await shop.carol.click(panel, label="Use it")
        assert "is damaged" in answer.response.content  # type: ignore[union-attr]
        assert live_bundle(shop.models).name == names[1]
        shop.env.errors.clear()

    async def test_one_is_deleted_unless_it_is_live(self, shop: Shop, names: list[str]) -> None:
        panel = await self.panel(shop)
        for name, text in ((None, "Choose a model first"), (names[1], "It is live"), ("shipped", "cannot be deleted")):
            if name is not None:
                await shop.carol.select(panel, [name])
            answer = await shop.carol.click(panel, label="Delete")
            assert text in answer.response.content  # type: ignore[union-attr]
        await shop.carol.select(panel, [names[0]])
        await shop.carol.click(panel, label="Delete")
        assert [path.name for path in bundles(shop.models)] == [names[1]]
        assert [path.stem for path in shop.models.glob("*.html")] == [names[1]]
        shop.env.errors.clear()

    async def test_a_report_is_sent(self, shop: Shop, names: list[str]) -> None:
        panel = await self.panel(shop)
        await shop.carol.select(panel, [names[0]])
        answer = await shop.carol.click(panel, label="Report")
        (attached,) = answer.response.attachments  # type: ignore[union-attr]
        assert attached.filename == f"{names[0]}.html"


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (Progress(QUEUED, ahead=2), "Training waits for its turn: 2 before it."),
        (Progress(WORKING), "Training begins."),
        (Progress(FAILED, {"error": "No room."}), "Training failed, and nothing has changed: No room."),
        (
            Progress(
                WORKING,
                {
                    "stage": "Training",
                    **{"done": 50, "first": 0, "total": 200, "loss": "3.2", "started": 0, "at": 1260},
                },
            ),
            "**Training**, loss 3.2\n`█████░░░░░░░░░░░░░░░` 25%, 1 h 3 min left\nI go on answering as before.",
        ),
        (
            Progress(DONE, {**PUBLISHED, "published": False, "rejection": "The live one is better."}),
            "The new model is not used (1.500 bits a byte on 1,000 held-out replies). The live one is better. It is in "
            "`/chinwag-admin models`.",
        ),
    ],
)
def test_progress_is_described(progress: Progress, text: str) -> None:
    assert described(progress) == text
