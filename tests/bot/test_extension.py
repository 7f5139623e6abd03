"""Beside a bot's own commands, in any discord.py bot."""

import sys
from collections.abc import Iterator
from pathlib import Path

import discord
import pytest
from discord.ext import commands

import bot as extension


@pytest.fixture(autouse=True)
def modules() -> Iterator[None]:
    """discord.py drops the modules of an extension that it unloads; other tests hold on to theirs."""
    before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "bot"}
    yield
    sys.modules.update(before)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("DISCORD_TOKEN", "CHINWAG_MODELS", "CHINWAG_BLOCKLIST"):
        monkeypatch.delenv(name, raising=False)


async def test_it_is_loaded_and_unloaded_again_and_again() -> None:
    host = commands.Bot(command_prefix="!", intents=discord.Intents.default())
    names = {"chinwag", "chinwag-admin", "Why this reply?"}
    async with host:
        for _ in range(2):
            await host.load_extension(extension.__name__)
            assert list(host.cogs) == ["Chinwag"]
            assert {command.name for command in host.tree.get_commands()} == names
            assert len(host.extra_events["on_message"]) == 1
            await host.unload_extension(extension.__name__)
            assert not host.cogs
            assert not host.tree.get_commands()
            assert not host.extra_events.get("on_message")


async def test_a_file_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CHINWAG_BLOCKLIST=no.txt\n", encoding="utf-8")
    host = commands.Bot(command_prefix="!", intents=discord.Intents.default())
    async with host:
        with pytest.raises(commands.ExtensionFailed, match=r"no\.txt cannot be read"):
            await host.load_extension(extension.__name__)
        assert not host.cogs
