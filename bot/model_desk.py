"""Models of a server, for its admins: train a new one on chat logs, see how that goes, look at all, go back to one."""

import asyncio
import io
import logging
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import discord
from discord import app_commands, ui
from discord.ext import commands

from bot.live_model import Models
from bot.retraining import DONE, QUEUED, Command, Job, Progress, Trainer, can_train, command
from bot.stores import Stores
from model import ChinwagError
from model.blocklist import Blocklist
from model.bundle import ModelFormatError, ModelVersionError
from model.library import Library

logger = logging.getLogger(__name__)

MAX_ATTACHED = 200 * 2**20
"""Bytes of attached files for one training."""

NO_TRAINING = (
    "Training is not installed where I run: `pip install 'chinwag[train]'` there, or train elsewhere "
    "(`chinwag-train retrain`) and copy the models folder."
)
NOTHING = (
    "There is nothing to learn from: attach chat logs, or have the operator put some into `{folder}` (or "
    "`CHINWAG_EXPORTS`) where I run."
)
_BAR = 20  # characters
_SHIPPED = "shipped"
_SHOWN = 24  # models in a menu, besides the shipped one
_ENDING = 20  # characters of a file's name that tell its format


class DeskError(ChinwagError):
    """What was asked for cannot be done; the message says why and what to do."""


class ModelDesk:
    """Takes orders for trainings and shows models; its commands are `commands`."""

    def __init__(
        self,
        bot: discord.Client,
        models: Models,
        stores: Stores,
        exports: Path,
        *,
        train: Command = command,
        interval: float = 3.0,
    ) -> None:
        """Start nothing yet.

        Args:
            bot: in whose name progress is shown.
            models: of all servers.
            stores: what is kept beside them.
            exports: where the operator puts chat logs: those of a server in a folder with its id.
            train: the command that does it.
            interval: seconds between two looks at a training.
        """
        self._bot, self._models, self._stores, self._exports = bot, models, stores, exports
        self._shown: dict[str, str] = {}
        self.trainer = Trainer(stores.folder, self._show, command=train, interval=interval, library=models.library)

    async def order(self, interaction: discord.Interaction, attached: list[discord.Attachment]) -> None:
        """Train a model on attached chat logs, those of the operator's folder, and what members liked."""
        guild, channel = interaction.guild_id, interaction.channel
        assert guild is not None
        assert channel is not None
        await interaction.response.defer(ephemeral=True)
        if not can_train():
            raise DeskError(NO_TRAINING)
        if sum(each.size for each in attached) > MAX_ATTACHED:
            raise DeskError(
                f"At most {MAX_ATTACHED >> 20} MB can be attached: have the operator put the files in place."
            )
        if any(job.guild == guild for job in await asyncio.to_thread(self.trainer.unfinished)):
            raise DeskError("This server is being trained already: wait for it, or cancel it.")
        sources = await asyncio.to_thread(self._sources, guild)
        if not attached and not sources:
            raise DeskError(NOTHING.format(folder=f"{self._exports.name}/{guild}"))
        with _on_disk(self._stores.folder):
            folder = await asyncio.to_thread(self.trainer.new_folder)
        message = None
        try:
            for number, each in enumerate(attached):
                content = await each.read()
                with _on_disk(self._stores.folder):
                    path = folder / "exports" / _file_name(number, each.filename)
                    await asyncio.to_thread(path.write_bytes, content)
            with _on_disk(self._stores.folder):
                await asyncio.to_thread(self._add_liked, guild, folder / "exports")
            message = await self._post(interaction, "Training waits for its turn.", folder.name)
            job = Job(
                *(folder, guild, message.channel.id, message.id, interaction.user.id),
                models=self._models.folder(guild),
                common=self._stores.folder,
                sources=tuple(map(str, sources)),
                shared=self._stores.server is not None,
            )
            with _on_disk(self._stores.folder):
                self.trainer.submit(job)
        except BaseException:
            if not (folder / "job.json").exists():
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
                if message is not None:
                    with suppress(discord.HTTPException):
                        await message.edit(content="Training could not begin.", view=None)
            raise
        await interaction.followup.send(f"Training is on: {message.jump_url}", ephemeral=True)

    async def show_models(self, interaction: discord.Interaction) -> None:
        """List the models of the server, with a menu to choose one of them."""
        guild = interaction.guild_id
        assert guild is not None
        view = ModelsView(self._models.library(guild))
        await asyncio.to_thread(view.fill)
        await interaction.response.send_message(view.text, view=view, ephemeral=True)

    async def cancel(self, interaction: discord.Interaction, name: str) -> None:
        """End a training, for those who may."""
        if not interaction.permissions.manage_guild:
            await interaction.response.send_message("Only those who may manage the server can do that.", ephemeral=True)
            return
        await interaction.response.defer(ephemeral=True)
        ended = await self.trainer.cancel(name)
        await interaction.followup.send("It ends." if ended else "It is over already.", ephemeral=True)

    def _sources(self, guild: int) -> list[Path]:
        folder = self._exports / str(guild)
        return [folder] if folder.is_dir() and any(folder.iterdir()) else []

    def _add_liked(self, guild: int, folder: Path) -> None:
        settings = self._stores.settings.of(guild)
        if settings.feedback:
            file, blocklist = folder / "liked.jsonl", Blocklist(settings.blocked)
            if not self._stores.feedback.write(file, guild, self._stores.consent.excluded(), blocklist):
                file.unlink()

    async def _post(self, interaction: discord.Interaction, text: str, name: str) -> discord.Message:
        """A message of the bot's own, which can be edited for as long as a training takes."""
        channel = interaction.channel
        if not isinstance(channel, discord.abc.Messageable):
            raise DeskError("I cannot show here how it goes: ask me in a text channel.")
        try:
            return await channel.send(text, view=CancelView(name))
        except discord.Forbidden as error:
            raise DeskError("I may not write here: ask me in a channel in which I may.") from error

    async def _show(self, job: Job, progress: Progress) -> None:
        text = described(progress)
        if self._shown.get(job.folder.name) == text:
            return
        channel = self._bot.get_partial_messageable(job.channel, guild_id=job.guild)
        message = channel.get_partial_message(job.message)
        with suppress(discord.NotFound):  # somebody deleted it: the training goes on
            await message.edit(content=text, view=None if progress.over else CancelView(job.folder.name))
        self._shown[job.folder.name] = text
        if progress.over:
            del self._shown[job.folder.name]


class CancelButton(ui.DynamicItem[ui.Button[Any]], template=r"chinwag:cancel:(?P<name>[0-9-]+)"):
    """Ends a training; works after a restart of the bot too."""

    def __init__(self, name: str) -> None:
        super().__init__(ui.Button(label="Cancel", custom_id=f"chinwag:cancel:{name}"))
        self._name = name

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction, item: ui.Item[Any], match: re.Match[str]
    ) -> "CancelButton":
        """The button of a message that was sent before."""
        return cls(match["name"])

    async def callback(self, interaction: discord.Interaction) -> None:
        """Pressed."""
        client = interaction.client
        cog = client.get_cog("Chinwag") if isinstance(client, commands.Bot | commands.AutoShardedBot) else None
        desk: ModelDesk = getattr(cog, "desk")  # noqa: B009 - the cog imports this file
        await desk.cancel(interaction, self._name)


class CancelView(ui.View):
    """The button under the progress of a training."""

    def __init__(self, name: str) -> None:
        super().__init__(timeout=None)
        self.add_item(CancelButton(name))


class ModelsView(ui.View):
    """All models of a server, and what can be done with one of them."""

    def __init__(self, library: Library) -> None:
        """Look at none yet, see `fill`."""
        super().__init__(timeout=840)
        self._library = library
        self._chosen: str | None = None
        self._menu: ui.Select[ModelsView] = ui.Select(placeholder="Choose one", row=0)
        self._menu.callback = self._choose  # type: ignore[method-assign]  # as a class of its own would
        self.add_item(self._menu)
        self.text = ""

    def fill(self) -> None:
        """Look at all models, which takes a moment."""
        live = _live(self._library)
        names = self._library.names()[::-1][:_SHOWN]
        lines = ["**Models of this server**, the newest first; ▶ answers:"]
        for name in names:
            lines.append(f"{'▶' if live == name else '•'} `{name}` {_figures(self._library, name)}")
        lines.append(f"{'•' if live else '▶'} the common one, which all servers begin with")
        self.text = "\n".join(lines)[:2000]
        self._menu.options = [
            *(discord.SelectOption(label=name, default=name == self._chosen) for name in names),
            discord.SelectOption(label="the common one", value=_SHIPPED, default=self._chosen == _SHIPPED),
        ]

    async def _choose(self, interaction: discord.Interaction) -> None:
        (chosen,) = self._menu.values
        if chosen not in {option.value for option in self._menu.options}:  # as no client of Discord's own sends
            raise DeskError("Choose one of those in the menu.")
        self._chosen = chosen
        await self._show_again(interaction)

    @ui.button(label="Use it", style=discord.ButtonStyle.primary, row=1)
    async def use(self, interaction: discord.Interaction, button: ui.Button["ModelsView"]) -> None:
        """Make it live, which the bot notices at the next message."""
        name = self._one()
        await asyncio.to_thread(self._library.make_live, None if name == _SHIPPED else name)
        await self._show_again(interaction)

    @ui.button(label="Report", row=1)
    async def report(self, interaction: discord.Interaction, button: ui.Button["ModelsView"]) -> None:
        """Send the page about its training."""
        name = self._one()
        page = await asyncio.to_thread(self._library.report, name)
        if page is None:
            raise DeskError("There is no report about it.")
        file = discord.File(io.BytesIO(page), f"{name}.html")
        await interaction.response.send_message(file=file, ephemeral=True)

    @ui.button(label="Delete", style=discord.ButtonStyle.danger, row=1)
    async def delete(self, interaction: discord.Interaction, button: ui.Button["ModelsView"]) -> None:
        """Delete it, unless it is live."""
        name = self._one()
        if name not in await asyncio.to_thread(self._library.names):
            raise DeskError("It cannot be deleted.")
        with suppress(ModelFormatError):
            if await asyncio.to_thread(self._library.live) == name:
                raise DeskError("It is live: use another one first.")
        await asyncio.to_thread(self._library.remove, name)
        self._chosen = None
        await self._show_again(interaction)

    def _one(self) -> str:
        if self._chosen is None:
            raise DeskError("Choose a model first.")
        return self._chosen

    async def _show_again(self, interaction: discord.Interaction) -> None:
        await asyncio.to_thread(self.fill)
        await interaction.response.edit_message(content=self.text, view=self)

    async def on_error(self, interaction: discord.Interaction, error: Exception, item: ui.Item[Any]) -> None:
        """Say why it was not done."""
        if not isinstance(error, ChinwagError):
            logger.error("A button failed.", exc_info=error)
        text = str(error) if isinstance(error, ChinwagError) else "That did not work: my log says why."
        send = interaction.followup.send if interaction.response.is_done() else interaction.response.send_message
        await send(text, ephemeral=True)


def described(progress: Progress) -> str:
    """How far a training is, in Discord's markdown."""
    facts = progress.facts
    if progress.state == QUEUED:
        return f"Training waits for its turn: {progress.ahead} before it."
    if progress.state == DONE:
        measured = f"{facts['bits_per_byte']:.3f} bits a byte on {facts['replies']:,} held-out replies"
        if not facts["published"]:
            return f"The new model is not used ({measured}). {facts['rejection']} It is in `/chinwag-admin models`."
        rival = f"; the one before: {facts['rival']:.3f}" if facts.get("rival") is not None else ""
        return f"The new model answers from now on: {measured}{rival}. `/chinwag-admin models` goes back."
    if progress.over:
        return f"Training failed, and nothing has changed: {facts.get('error', 'nobody knows why.')}"
    share = progress.share
    if share is None:
        return "Training begins."
    bar = "█" * round(_BAR * share) + "░" * (_BAR - round(_BAR * share))
    loss = f", loss {facts['loss']}" if facts.get("loss") else ""
    left = f", {_span(progress.seconds_left)} left" if progress.seconds_left is not None else ""
    return f"**{facts['stage']}**{loss}\n`{bar}` {share:.0%}{left}\nI go on answering as before."


def model_commands(desk: ModelDesk) -> list[app_commands.Command[Any, ..., Any]]:
    """The commands of a desk, for the group of the admins."""

    @app_commands.command()
    @app_commands.describe(
        **{f"logs{number}": "a file of chat logs, or an archive of such files" for number in range(1, 6)}
    )
    async def retrain(
        interaction: discord.Interaction,
        logs1: discord.Attachment | None = None,
        logs2: discord.Attachment | None = None,
        logs3: discord.Attachment | None = None,
        logs4: discord.Attachment | None = None,
        logs5: discord.Attachment | None = None,
    ) -> None:
        """Train a new model for this server on chat logs; I go on answering meanwhile."""
        await desk.order(interaction, [each for each in (logs1, logs2, logs3, logs4, logs5) if each is not None])

    @app_commands.command()
    async def models(interaction: discord.Interaction) -> None:
        """List the models of this server, read their reports, use or delete one."""
        await desk.show_models(interaction)

    return [retrain, models]


def _file_name(number: int, given: str) -> str:
    """A name that leads nowhere else, with the ending that tells the format."""
    endings = re.sub(r"[^a-z0-9.]", "", "".join(Path(given).suffixes[-2:]).lower())
    return f"{number}{endings[-_ENDING:]}"


@contextmanager
def _on_disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DeskError(
            f"Nothing can be written where I run ({error.strerror}): have the operator make room in {folder}, or set "
            "its permissions right."
        ) from error


def _live(library: Library) -> str | None:
    """The name of the model of a server's own that answers there; None where the common one does."""
    try:
        live = library.live()
        if live is not None:
            library.facts(live)
    except ModelFormatError:  # the bot falls back too
        return None
    return live


def _figures(library: Library, name: str) -> str:
    try:
        facts = library.facts(name)
    except ModelVersionError:
        return "(of another version of mine, which I cannot use: train a new one)"
    except ModelFormatError:
        return "(damaged)"
    figures = facts.training.get("figures")
    measured = f", {figures['bits_per_byte']:.3f} bits a byte" if figures else ""
    return f"({facts.preset}{measured})"


def _span(seconds: float | None) -> str:
    minutes = round((seconds or 0) / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min" if minutes else "a moment"
