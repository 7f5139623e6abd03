"""What those who look after the bot can ask of it in their server: how it does, and how it is to behave."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import discord
from discord import app_commands, ui

from bot.guild_settings import LENGTHS, MAX_BLOCKED, GuildSettings, GuildSettingsStore
from model import ChinwagError
from model.blocklist import can_be_found
from model.dialogue import MAX_CONTEXT_TURNS

logger = logging.getLogger(__name__)

_FAILED = "That did not work, and nothing has changed: {error}"
_ON, _OFF = "on", "off"
_PHRASE = 100  # characters of a blocked word or phrase
_FORM = 4000  # characters that a field of a form can have
_SHOWN_CHARACTERS, _SHOWN_PLACES = 50, 15  # of what somebody wrote, and of channels or roles in a row


def _number(text: str) -> float:
    return float(text.strip().replace(",", ".", 1))


def _chance(text: str) -> float:
    percent = text.strip().removesuffix("%")
    return _number(percent) / 100


def _switch(text: str) -> bool:
    if text.strip().lower() not in (_ON, _OFF):
        raise ValueError(f"it is {_ON} or {_OFF}")
    return text.strip().lower() == _ON


PARSERS: dict[str, Callable[[str], Any]] = {
    "chance": _chance,
    "temperature": _number,
    "length": lambda text: text.strip().lower(),
    "turns": lambda text: int(text.strip()),
    "feedback": _switch,
}
"""Of the settings that are written as text."""

_SUGGESTED = {
    "chance": ["0 %", "1 %", "2 %", "5 %", "10 %"],
    "temperature": ["0.5", "0.7", "0.9", "1.1", "1.3"],
    "length": [*LENGTHS],
    "turns": [str(turns) for turns in range(1, MAX_CONTEXT_TURNS + 1)],
    "feedback": [_ON, _OFF],
}

_EXPLAINED = {
    "chance": "how often I join in unasked, in %",
    "temperature": "0 is sober, 0.9 usual, 2 wild",
    "length": " or ".join(LENGTHS),
    "turns": f"how many turns of a chat I look back on, 1 to {MAX_CONTEXT_TURNS}",
    "feedback": f"keep 👍 and 👎 for the next training, {_ON} or {_OFF}",
}


def parsed(name: str, text: str) -> Any:
    """The value of a setting from what somebody wrote.

    Raises:
        ValueError: it has no such value; the message says what it can be.
    """
    if name not in PARSERS:
        raise ValueError(f"there is no setting {_quoted(name)}.")
    try:
        value = PARSERS[name](text)
        GuildSettings(**{name: value})
    except ValueError as error:
        raise ValueError(f"{_quoted(text)} is no value for {name}: {_EXPLAINED[name]}.") from error
    return value


def _phrase(text: str) -> str:
    """A word or phrase to block. Raises ValueError if it would never be found."""
    phrase = text.strip()[:_PHRASE]
    if not can_be_found(phrase):
        raise ValueError(f"{_quoted(phrase)} has neither a letter nor a digit.")
    return phrase


class AdminCommands(app_commands.Group):
    """`/chinwag-admin ...`, shown to those who may manage the server, unless it says otherwise."""

    def __init__(self, describe: Callable[[int], str], settings: GuildSettingsStore) -> None:
        """Args:
        describe: tells how the bot does in a server, in Discord's markdown; slow.
        settings: what is set for servers.
        """
        super().__init__(
            name="chinwag-admin",
            description="For those who look after the bot.",
            default_permissions=discord.Permissions(manage_guild=True),
            guild_only=True,
        )
        self._describe, self._settings = describe, settings

    @app_commands.command()
    async def status(self, interaction: discord.Interaction) -> None:
        """Which model answers, how much and how fast, and what was not said."""
        text = await asyncio.to_thread(self._describe, _guild(interaction))
        await interaction.response.send_message(text[:2000], ephemeral=True)

    @app_commands.command()
    async def settings(self, interaction: discord.Interaction) -> None:
        """Show and change where I answer, whom, and how."""
        guild = _guild(interaction)
        settings = await asyncio.to_thread(self._settings.of, guild)
        panel = SettingsPanel(self._settings, guild, settings)
        await interaction.response.send_message(described(settings), view=panel, ephemeral=True)

    @app_commands.command(name="set")
    @app_commands.describe(setting="what to change", value="what it is to be")
    @app_commands.choices(setting=[app_commands.Choice(name=name, value=name) for name in PARSERS])
    async def set_(self, interaction: discord.Interaction, setting: str, value: str) -> None:
        """Change one setting by its name."""
        settings = await asyncio.to_thread(self._change, _guild(interaction), setting, value)
        await interaction.response.send_message(described(settings), ephemeral=True)

    @set_.autocomplete("value")
    async def _values(self, interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        suggested = _SUGGESTED.get(str(interaction.namespace.setting), [])
        return [app_commands.Choice(name=each, value=each) for each in suggested if current in each]

    @app_commands.command()
    @app_commands.describe(phrase="the word or phrase")
    async def block(self, interaction: discord.Interaction, phrase: app_commands.Range[str, 1, _PHRASE]) -> None:
        """Never say a word or phrase here, nor what looks like it."""
        settings = await asyncio.to_thread(self._settings.block, _guild(interaction), _phrase(phrase))
        await interaction.response.send_message(f"Done: {_counted(settings.blocked)} blocked here.", ephemeral=True)

    @app_commands.command()
    @app_commands.describe(phrase="the word or phrase")
    async def unblock(self, interaction: discord.Interaction, phrase: str) -> None:
        """Let a word or phrase be said again."""
        guild = _guild(interaction)
        if phrase not in (await asyncio.to_thread(self._settings.of, guild)).blocked:
            raise ValueError(f"{_quoted(phrase)} is not blocked here.")
        settings = await asyncio.to_thread(self._settings.unblock, guild, phrase)
        await interaction.response.send_message(f"Done: {_counted(settings.blocked)} blocked here.", ephemeral=True)

    @unblock.autocomplete("phrase")
    async def _blocked(self, interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        blocked = (await asyncio.to_thread(self._settings.of, _guild(interaction))).blocked
        return [app_commands.Choice(name=each, value=each) for each in blocked if current.lower() in each.lower()][:25]

    def _change(self, guild: int, name: str, text: str) -> GuildSettings:
        return self._settings.change(guild, **{name: parsed(name, text)})

    async def on_error(self, interaction: discord.Interaction, error: app_commands.AppCommandError) -> None:
        """Say what is wrong with what was asked for, or that the log does."""
        await _explain(interaction, getattr(error, "original", error))


class SettingsPanel(ui.View):
    """Selects and buttons under the settings of a server; every change is stored at once."""

    def __init__(self, store: GuildSettingsStore, guild: int, settings: GuildSettings) -> None:
        super().__init__(timeout=840)  # Discord lets a message that one person sees be edited for 15 minutes
        self._store, self._guild = store, guild
        for name, text in (("channels", "Answer every message in …"), ("muted", "Never answer in …")):
            self.add_item(_ChannelSelect(self, name, text, getattr(settings, name)))
        self.add_item(_RoleSelect(self, settings.roles))
        self.settings = settings

    @ui.button(label="How I talk …", style=discord.ButtonStyle.primary, row=4)
    async def talk(self, interaction: discord.Interaction, button: ui.Button["SettingsPanel"]) -> None:
        """Ask for the settings that are written as text."""
        await interaction.response.send_modal(_TalkForm(self))

    @ui.button(label="Blocked words …", row=4)
    async def words(self, interaction: discord.Interaction, button: ui.Button["SettingsPanel"]) -> None:
        """Ask for the words."""
        if len("\n".join(self.settings.blocked)) > _FORM:
            raise ValueError("they do not fit into a form: use `/chinwag-admin block` and `unblock`.")
        await interaction.response.send_modal(_WordsForm(self))

    @ui.button(label="Feedback on or off", row=4)
    async def feedback(self, interaction: discord.Interaction, button: ui.Button["SettingsPanel"]) -> None:
        """Switch it."""
        await self.change(interaction, feedback=not self.settings.feedback)

    async def change(self, interaction: discord.Interaction, **changes: Any) -> None:
        """Store changes and show them."""
        self.settings = await asyncio.to_thread(self._store.change, self._guild, **changes)
        await interaction.response.edit_message(content=described(self.settings), view=self)

    async def on_error(self, interaction: discord.Interaction, error: Exception, item: ui.Item[Any]) -> None:
        """Say what is wrong, or that the log does."""
        await _explain(interaction, error)


class _ChannelSelect(ui.ChannelSelect[SettingsPanel]):
    def __init__(self, panel: SettingsPanel, name: str, text: str, chosen: tuple[int, ...]) -> None:
        types = [discord.ChannelType.text, discord.ChannelType.forum, discord.ChannelType.public_thread]
        defaults = [discord.SelectDefaultValue(id=id, type=discord.SelectDefaultValueType.channel) for id in chosen]
        super().__init__(placeholder=text, min_values=0, max_values=25, channel_types=types, default_values=defaults)
        self._panel, self._name = panel, name

    async def callback(self, interaction: discord.Interaction) -> None:
        await self._panel.change(interaction, **{self._name: tuple(each.id for each in self.values)})


class _RoleSelect(ui.RoleSelect[SettingsPanel]):
    def __init__(self, panel: SettingsPanel, chosen: tuple[int, ...]) -> None:
        defaults = [discord.SelectDefaultValue(id=id, type=discord.SelectDefaultValueType.role) for id in chosen]
        super().__init__(placeholder="Answer only members with …", min_values=0, max_values=25, default_values=defaults)
        self._panel = panel

    async def callback(self, interaction: discord.Interaction) -> None:
        await self._panel.change(interaction, roles=tuple(each.id for each in self.values))


class _Form(ui.Modal):
    def __init__(self, panel: SettingsPanel, title: str) -> None:
        super().__init__(title=title)
        self._panel = panel

    async def on_error(  # type: ignore[override]  # discord.py's own modal has this signature too
        self, interaction: discord.Interaction, error: Exception
    ) -> None:
        await _explain(interaction, error)


class _TalkForm(_Form):
    def __init__(self, panel: SettingsPanel) -> None:
        super().__init__(panel, "How I talk")
        self._inputs = {}
        for name, value in _as_text(panel.settings).items():
            field: ui.TextInput[_TalkForm] = ui.TextInput(default=value, max_length=20, custom_id=name)
            self._inputs[name] = field
            self.add_item(ui.Label(text=name.capitalize(), description=_EXPLAINED[name], component=field))

    async def on_submit(self, interaction: discord.Interaction) -> None:
        changes = {name: parsed(name, field.value) for name, field in self._inputs.items()}
        await self._panel.change(interaction, **changes)


class _WordsForm(_Form):
    def __init__(self, panel: SettingsPanel) -> None:
        super().__init__(panel, "Words and phrases that I never say here")
        self._input: ui.TextInput[_WordsForm] = ui.TextInput(
            style=discord.TextStyle.paragraph,
            required=False,
            default="\n".join(panel.settings.blocked),
            custom_id="blocked",
        )
        self.add_item(ui.Label(text="One a line", description="also where they are disguised", component=self._input))

    async def on_submit(self, interaction: discord.Interaction) -> None:
        lines = dict.fromkeys(_phrase(line) for line in self._input.value.splitlines() if line.strip())
        await self._panel.change(interaction, blocked=tuple(lines))


def described(settings: GuildSettings) -> str:
    """The settings of a server for people to read, in Discord's markdown."""
    text = _as_text(settings)
    return "\n".join(
        [
            "**What is set for this server**; without it I answer mentions, replies to me and direct messages.",
            f"**I answer every message in**: {_listed('#', settings.channels) or 'no channel'}",
            f"**I never answer in**: {_listed('#', settings.muted) or 'no channel'}",
            f"**I answer**: {_listed('@&', settings.roles) or 'everybody'}",
            *(f"**{name.capitalize()}** ({_EXPLAINED[name]}): {value}" for name, value in text.items()),
            f"**Blocked here**: {_counted(settings.blocked)}, of at most {MAX_BLOCKED}",
        ]
    )


def _as_text(settings: GuildSettings) -> dict[str, str]:
    return {
        "chance": f"{100 * settings.chance:g} %",
        "temperature": f"{settings.temperature:g}",
        "length": settings.length,
        "turns": str(settings.turns),
        "feedback": _ON if settings.feedback else _OFF,
    }


def _listed(sign: str, ids: tuple[int, ...]) -> str:
    more = f" and {len(ids) - _SHOWN_PLACES} more" if len(ids) > _SHOWN_PLACES else ""
    return " ".join(f"<{sign}{id}>" for id in ids[:_SHOWN_PLACES]) + more


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…")


def _counted(words: tuple[str, ...]) -> str:
    return f"{len(words)} word or phrase" if len(words) == 1 else f"{len(words)} words and phrases"


def _guild(interaction: discord.Interaction) -> int:
    assert interaction.guild_id is not None  # the commands are offered in servers only
    return interaction.guild_id


async def _explain(interaction: discord.Interaction, error: BaseException) -> None:
    if isinstance(error, ValueError | ChinwagError):
        text = _FAILED.format(error=error)
    elif isinstance(error, app_commands.AppCommandError):  # it quotes what somebody wrote
        logger.warning("A command was given what it does not take: %s.", type(error).__name__)
        text = _FAILED.format(error="that is nothing that this command takes.")
    else:
        logger.error("A command failed.", exc_info=error)
        text = _FAILED.format(error="my log says why.")
    if interaction.response.is_done():
        await interaction.followup.send(text, ephemeral=True)
    else:
        await interaction.response.send_message(text, ephemeral=True)
