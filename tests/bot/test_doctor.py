"""What `chinwag doctor` finds, against real files and a Discord on loopback."""

import asyncio
import os
import shutil
import sys
import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace

import discord
import pytest
from typer.testing import CliRunner, Result

from bot import doctor as module
from bot.__main__ import app
from bot.client import PERMISSIONS
from bot.config import BotConfig
from bot.doctor import PYTHONS, Verdict, examine
from bot.guild_settings import GuildSettingsStore
from model.consent import Consent
from model.postgres import PostgresServer
from tests.discord_server import MESSAGE_CONTENT_FLAG, DiscordServer
from tests.postgres_server import PostgresProcess

ROOT = Path(__file__).parents[2]
SUBJECTS = ["software", "training", "models folder", "disk", "model", "people left out"]
SUBJECTS += ["settings of servers", "feedback", "blocklist", "token"]

Doctor = Callable[..., Awaitable[Result]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with nothing in it, and no settings."""
    monkeypatch.chdir(tmp_path)
    for name in ("DISCORD_TOKEN", *(name for name in os.environ if name.startswith("CHINWAG_"))):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def run(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(app, ["doctor", *arguments], env=environ)


@pytest.fixture
def on_discord(folder: Path, server: DiscordServer) -> Doctor:
    """Runs it with the token of the server, which goes on serving meanwhile."""

    async def on_discord(**environ: str) -> Result:
        defaults = {"DISCORD_TOKEN": server.token, "CHINWAG_API_BASE": server.base}
        result = await asyncio.to_thread(run, **{**defaults, **environ})
        assert server.token not in result.output
        return result

    return on_discord


def verdicts(result: Result) -> dict[str, str]:
    """What it says of each subject."""
    return {line[9:].split(":")[0]: line[:9].strip() for line in result.stdout.splitlines()}


def told(result: Result, subject: str) -> str:
    (line,) = [line[9:] for line in result.stdout.splitlines() if line[9:].startswith(f"{subject}: ")]
    return line.removeprefix(f"{subject}: ")


class TestWithoutAnySetUp:
    def test_all_is_well_but_for_the_token(self, folder: Path) -> None:
        result = run()
        assert result.exit_code == 0
        assert list(verdicts(result)) == SUBJECTS
        assert [subject for subject, verdict in verdicts(result).items() if verdict != "ok"] == ["token"]
        assert "https://discord.com/developers/applications" in told(result, "token")
        assert told(result, "models folder") == "models, which does not exist yet."

    def test_the_shipped_model_answers(self, folder: Path) -> None:
        text = told(run(), "model")
        assert text.startswith("the shipped one, as none has been trained (preset base); it loads in ")
        assert text.endswith(" ms.")

    def test_nothing_is_written(self, folder: Path) -> None:
        run()
        assert list(folder.iterdir()) == []

    def test_tensorflow_is_not_imported(self, folder: Path) -> None:
        imported = set(sys.modules)
        run()
        assert not {"tensorflow", "keras"} & (set(sys.modules) - imported)


class TestTheMachine:
    def test_versions_are_told(self, folder: Path) -> None:
        text = told(run(), "software")
        assert text.startswith(f"Python {sys.version_info[0]}.{sys.version_info[1]}.")
        assert f"discord.py {discord.__version__}" in text

    def test_a_missing_package_is_a_problem(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "_PACKAGES", ("no-such-package",))
        result = run()
        assert (result.exit_code, verdicts(result)["software"]) == (1, "problem")
        assert "no-such-package not installed; run `pip install .`" in told(result, "software")

    @pytest.mark.parametrize("version", [(3, 10), (3, 14)])
    def test_another_python_is_a_warning(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, version: tuple[int, int]
    ) -> None:
        monkeypatch.setattr(module, "sys", SimpleNamespace(version_info=(*version, 0)))
        result = run()
        assert (result.exit_code, verdicts(result)["software"]) == (0, "warning")
        assert "Chinwag is made for Python 3.11 to 3.13" in told(result, "software")

    def test_the_pythons_are_those_of_the_package(self) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        (major, minor), (_, last) = PYTHONS
        assert project["requires-python"] == f">={major}.{minor},<{major}.{last + 1}"

    @pytest.mark.parametrize(
        ("free", "verdict", "code"),
        [(1e9, "ok", 0), (0.99e9, "warning", 0), (0.1e9, "warning", 0), (99e6, "problem", 1)],
    )
    def test_disk_space(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, free: float, verdict: str, code: int
    ) -> None:
        asked = []

        def usage(path: Path) -> SimpleNamespace:
            asked.append(path)
            return SimpleNamespace(free=int(free))

        monkeypatch.setattr(shutil, "disk_usage", usage)
        result = run()
        assert (result.exit_code, verdicts(result)["disk"]) == (code, verdict)
        assert f"{free / 1e9:.1f} GB" in told(result, "disk")
        assert asked == [folder]  # where models would be: they are not there yet

    def test_training_is_told_from_what_is_installed(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        there = {"tensorflow", *module._TRAINING}
        monkeypatch.setattr(module, "find_spec", lambda name: name in there or None)
        assert told(run(), "training") == "installed: `chinwag-train` can train here."
        there.remove("optuna")
        result = run()
        assert verdicts(result)["training"] == "warning"
        assert "optuna cannot be found; run `pip install -e '.[train]'`" in told(result, "training")
        there.clear()
        result = run()
        assert verdicts(result)["training"] == "ok"
        assert told(result, "training").startswith("not installed here, and the bot does without")


class TestTheFiles:
    def test_a_trained_model_is_named(self, folder: Path) -> None:
        shutil.copytree(module.PRETRAINED, folder / "mine" / "20260101-000000")
        (folder / "mine" / "current").write_text("20260101-000000", encoding="utf-8")
        result = run("--models", "mine")
        assert result.exit_code == 0
        assert told(result, "model").startswith("20260101-000000 (preset base); it loads in ")
        assert told(result, "models folder") == "mine."

    def test_a_damaged_model_is_a_problem(self, folder: Path) -> None:
        (folder / "models").mkdir()
        (folder / "models" / "current").write_text("gone", encoding="utf-8")
        result = run()
        assert (result.exit_code, verdicts(result)["model"]) == (1, "problem")
        assert "chinwag-train retrain" in told(result, "model")
        assert list(verdicts(result)) == SUBJECTS  # it goes on

    def test_a_model_that_fails_is_a_problem(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def load(models: Path) -> None:
            raise ImportError("libonnx.so")

        monkeypatch.setattr(module, "LiveModel", load)
        result = run()
        assert (result.exit_code, verdicts(result)["model"]) == (1, "problem")
        assert "ImportError" in told(result, "model")

    @pytest.mark.parametrize(
        ("name", "subject"),
        [
            ("consent.sqlite", "people left out"),
            ("guilds.sqlite", "settings of servers"),
            ("feedback.sqlite", "feedback"),
        ],
    )
    def test_what_cannot_be_read_is_a_problem(self, folder: Path, name: str, subject: str) -> None:
        (folder / "models").mkdir()
        (folder / "models" / name).write_bytes(b"no database at all")
        result = run()
        assert (result.exit_code, verdicts(result)[subject]) == (1, "problem")
        assert name in told(result, subject)

    def test_who_is_left_out_is_counted(self, folder: Path) -> None:
        consent = Consent.open(folder / "models" / "consent.sqlite")
        consent.opt_out("123")
        consent.forget("456")
        result = run()
        assert told(result, "people left out") == "2 accounts."
        assert "123" not in told(result, "people left out")

    def test_a_list_of_which_a_part_was_lost_is_a_problem(self, folder: Path) -> None:
        Consent(folder / "models" / "consent.sqlite").opt_out("*")
        result = run()
        assert (result.exit_code, verdicts(result)["people left out"]) == (1, "problem")
        assert "chinwag optin '*'" in told(result, "people left out")

    def test_settings_are_readable(self, folder: Path) -> None:
        assert told(run(), "settings of servers") == "none yet."
        GuildSettingsStore(folder / "models" / "guilds.sqlite").change(1, turns=2)
        assert told(run(), "settings of servers") == "readable."

    def test_the_blocklist_is_read(self, folder: Path) -> None:
        (folder / "words.txt").write_text("bother\n", encoding="utf-8")
        assert told(run(CHINWAG_BLOCKLIST="words.txt"), "blocklist") == "1 entry in words.txt."
        result = run(CHINWAG_BLOCKLIST="no.txt")
        assert (result.exit_code, verdicts(result)["blocklist"]) == (1, "problem")

    def test_a_models_folder_that_is_named_should_be_there(self, folder: Path) -> None:
        result = run(CHINWAG_MODELS="nowhere")
        assert (result.exit_code, verdicts(result)["models folder"]) == (0, "warning")
        assert "see to CHINWAG_MODELS" in told(result, "models folder")

    def test_a_models_folder_that_is_a_file_is_a_problem(self, folder: Path) -> None:
        (folder / "models").write_text("", encoding="utf-8")
        result = run()
        assert (result.exit_code, verdicts(result)["models folder"]) == (1, "problem")

    def test_a_models_folder_that_cannot_be_written_is_a_warning(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "access", lambda path, mode: False)
        result = run()
        assert (result.exit_code, verdicts(result)["models folder"]) == (0, "warning")
        assert "nobody can opt out" in told(result, "models folder")

    def test_a_setting_that_cannot_be_is_a_problem(self, folder: Path) -> None:
        result = run(CHINWAG_METRICS="yes")
        assert (result.exit_code, verdicts(result)) == (1, {"settings": "problem"})
        assert "CHINWAG_METRICS must be a port" in result.stdout


class TestOnDiscord:
    async def test_all_is_well(self, on_discord: Doctor, server: DiscordServer) -> None:
        result = await on_discord()
        assert (result.exit_code, set(verdicts(result).values())) == (0, {"ok"})
        assert list(verdicts(result)) == [*SUBJECTS, "Message Content", "servers", "invitation"]
        assert told(result, "token") == "accepted; the bot is chinwag."
        assert told(result, "servers") == "the bot is in 1 server."
        assert f"client_id={server.bot['id']}" in told(result, "invitation")
        assert told(result, "invitation").endswith(f"permissions={PERMISSIONS.value}")
        assert {request.method for request in server.requests} == {"GET"}
        assert not server.gateway.identified

    async def test_a_wrong_token_is_a_problem(self, on_discord: Doctor) -> None:
        result = await on_discord(DISCORD_TOKEN="not-this-one")
        assert (result.exit_code, verdicts(result)["Discord"]) == (1, "problem")
        assert told(result, "Discord").startswith("Discord does not accept the token; copy a new one from https://")
        assert "not-this-one" not in result.output
        assert "Traceback" not in result.output

    async def test_a_server_that_is_away_is_a_problem(self, on_discord: Doctor) -> None:
        result = await on_discord(CHINWAG_API_BASE="http://127.0.0.1:1/api/v10")
        assert (result.exit_code, verdicts(result)["Discord"]) == (1, "problem")
        assert "CHINWAG_API_BASE=http://127.0.0.1:1/api/v10" in told(result, "Discord")

    async def test_a_server_that_is_silent_is_a_problem(
        self, on_discord: Doctor, server: DiscordServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "_PATIENCE", 0.5)
        server.fail("GET", "/users/@me", 429, headers={"Via": "1.1 test"}, retry_after=60)
        result = await on_discord()
        assert (result.exit_code, verdicts(result)["Discord"]) == (1, "problem")
        assert told(result, "Discord").startswith("Discord cannot be reached")

    @pytest.mark.parametrize("status", [403, 404])
    async def test_an_error_of_discord_is_a_problem(
        self, on_discord: Doctor, server: DiscordServer, status: int
    ) -> None:
        server.fail("GET", "/users/@me/guilds", status)
        result = await on_discord()
        assert result.exit_code == 1
        assert f"HTTP {status}" in told(result, "Discord")

    async def test_what_goes_wrong_otherwise_is_named_only(
        self, on_discord: Doctor, server: DiscordServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def servers(client: discord.Client) -> None:
            raise RuntimeError(server.token)

        monkeypatch.setattr(module, "_servers", servers)
        result = await on_discord()
        assert result.exit_code == 1
        assert told(result, "Discord").startswith("It fails with RuntimeError")


class TestMessageContent:
    async def test_is_granted(self, on_discord: Doctor, server: DiscordServer) -> None:
        server.application_flags = MESSAGE_CONTENT_FLAG
        assert told(await on_discord(), "Message Content").startswith("granted")

    async def test_is_not_needed(self, on_discord: Doctor) -> None:
        text = told(await on_discord(), "Message Content")
        assert text.startswith("not granted: mentions, replies to the bot and direct messages are answered")

    @pytest.mark.parametrize("change", [{"channels": (5,)}, {"chance": 0.1}])
    async def test_is_needed_for_what_a_server_has_set(
        self, on_discord: Doctor, server: DiscordServer, folder: Path, change: dict[str, object]
    ) -> None:
        GuildSettingsStore(folder / "models" / "guilds.sqlite").change(int(server.guild_id), **change)
        result = await on_discord()
        assert (result.exit_code, verdicts(result)["Message Content"]) == (0, "warning")
        text = told(result, "Message Content")
        assert "as it is to be in test guild; switch Message Content Intent on at https://" in text


class TestServers:
    async def test_there_may_be_none(self, on_discord: Doctor, server: DiscordServer) -> None:
        server.guilds = []
        result = await on_discord()
        assert (result.exit_code, verdicts(result)["servers"]) == (0, "warning")

    async def test_that_give_too_few_permissions_are_named(self, on_discord: Doctor, server: DiscordServer) -> None:
        some = discord.Permissions(view_channel=True, read_message_history=True, manage_guild=True)
        server.guilds += [
            {"id": "1", "name": "some", "permissions": str(some.value)},
            {"id": "2", "name": "ad\x1b[31mmin", "permissions": str(discord.Permissions(administrator=True).value)},
            {"id": "3", "name": "no\x1b[31mne", "permissions": "0"},
            {"id": "4", "name": "exact", "permissions": str(PERMISSIONS.value)},
            {"id": "5", "name": "not told"},
        ]
        result = await on_discord()
        assert result.exit_code == 0
        lines = [line[9:] for line in result.stdout.splitlines() if line.startswith("warning")]
        remedy = "; give its role these permissions."
        assert lines == [
            f"permissions: some (1) does not let it Send Messages, Send Messages in Threads{remedy}",
            "permissions: no[31mne (3) does not let it View Channels, Send Messages, Read Message History, "
            f"Send Messages in Threads{remedy}",
        ]
        assert told(result, "servers") == "the bot is in 6 servers."

    async def test_are_all_counted(self, on_discord: Doctor, server: DiscordServer) -> None:
        server.guilds = [{"id": str(id), "name": "one", "permissions": "0"} for id in range(1, 402)]
        result = await on_discord()
        assert told(result, "servers") == "the bot is in 401 servers."
        assert result.stdout.count("permissions: one (") == 401


class TestTheApplication:
    async def test_must_not_require_a_code_grant(self, on_discord: Doctor, server: DiscordServer) -> None:
        server.application = {"bot_require_code_grant": True}
        assert "Requires OAuth2 Code Grant" in told(await on_discord(), "application")

    async def test_must_not_have_its_commands_elsewhere(self, on_discord: Doctor, server: DiscordServer) -> None:
        server.application = {"interactions_endpoint_url": "https://x.example"}
        assert "Interactions Endpoint URL" in told(await on_discord(), "application")


def test_a_finding_is_one_line(folder: Path) -> None:
    for finding in examine(BotConfig()):
        assert "\n" not in str(finding)
        assert str(finding).startswith(("ok       ", "warning  ", "problem  "))
        assert finding.text.endswith(".")
    assert [*Verdict] == ["ok", "warning", "problem"]


class TestTheDatabase:
    def test_is_looked_at_and_not_changed(self, folder: Path, postgres: PostgresProcess) -> None:
        result = run(DATABASE_URL=postgres.url)
        assert verdicts(result)["database"] == "ok"
        assert "can be reached and tells of changes; it is of version " in told(result, "database")
        assert told(result, "feedback") == "none yet."
        assert postgres.execute("SELECT to_regnamespace('chinwag')") == [(None,)]

    def test_is_read_instead_of_the_files(
        self, folder: Path, postgres: PostgresProcess, database: PostgresServer
    ) -> None:
        Consent(database).opt_out("123")
        assert told(run(DATABASE_URL=postgres.url), "people left out") == "1 account."
        assert told(run(), "people left out") == "0 accounts."

    def test_that_cannot_be_reached_is_a_problem_told_without_its_password(self, folder: Path) -> None:
        result = run(DATABASE_URL="postgresql://bot:secret@127.0.0.1:1/chinwag")
        assert (result.exit_code, verdicts(result)["database"]) == (1, "problem")
        assert "cannot be reached" in told(result, "database")
        assert "secret" not in result.output

    def test_of_a_later_version_is_a_problem(
        self, folder: Path, postgres: PostgresProcess, database: PostgresServer
    ) -> None:
        Consent(database).opt_out("123")
        postgres.execute("UPDATE chinwag.version SET version = 99")
        result = run(DATABASE_URL=postgres.url)
        assert (verdicts(result)["database"], verdicts(result)["people left out"]) == ("ok", "problem")
        assert "update Chinwag here" in told(result, "people left out")
