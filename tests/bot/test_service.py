"""The files that run the bot as a service: they name what is there, and are as guarded as they say."""

import asyncio
import configparser
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from bot.__main__ import app
from bot.config import BotConfig
from bot.metrics import MetricsServer
from tests.bot.conftest import Connect
from tests.bot.test_metrics import ANYWHERE
from tests.discord_server import DiscordServer

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SOURCE = (ROOT / "bot" / "config.py").read_text(encoding="utf-8")

Instruction = tuple[str, str]


def stages() -> list[list[Instruction]]:
    """The instructions of each stage of the Dockerfile, with their arguments."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    found: list[list[Instruction]] = []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        name, arguments = line.split(maxsplit=1)
        assert re.fullmatch("FROM|ARG|WORKDIR|RUN|COPY|ENV|USER|VOLUME|HEALTHCHECK|ENTRYPOINT|CMD", name), line
        if name == "FROM":
            found.append([])
        found[-1].append((name, arguments))
    return found


def arguments(stage: list[Instruction], name: str) -> list[str]:
    return [arguments for each, arguments in stage if each == name]


def environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for each in arguments(stages()[-1], "ENV") for pair in shlex.split(each))


def health_check() -> list[str]:
    (check,) = arguments(stages()[-1], "HEALTHCHECK")
    command = json.loads(check.split(" CMD ", 1)[1])
    assert isinstance(command, list)
    return command


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return str(found)


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(block("ini"))
    return parser


class TestTheDockerfile:
    def test_copies_what_is_there(self) -> None:
        built, run = stages()
        copied = [source for each in arguments(built, "COPY") for source in each.split()[:-1]]
        assert all((ROOT / source).exists() for source in copied)
        needed = {"pyproject.toml", "README.md", "LICENSE", "bot", "model", "training"}  # by pip
        assert needed | {".ci/constraints.txt", ".ci/constraints-train.txt"} == set(copied)
        assert arguments(run, "COPY") == ["--from=build /venv /venv"]
        assert built[0] == ("FROM", "python:3.12-slim AS build")
        assert run[0] == ("FROM", "python:3.12-slim")

    def test_runs_without_root_rights(self) -> None:
        run = stages()[-1]
        (user,) = arguments(run, "USER")
        assert user not in ("root", "0")
        assert [name for name, _ in run].index("USER") < [name for name, _ in run].index("CMD")
        assert f" {user} " in f"{arguments(run, 'RUN')[0]} "
        assert "--uid 10001" in arguments(run, "RUN")[0]

    def test_keeps_models_in_its_volume(self) -> None:
        run = stages()[-1]
        assert arguments(run, "VOLUME") == ["/data"]
        config = BotConfig.load(environment(), Path("/nowhere"))
        assert config.models == Path("/data/models")
        assert config.metrics is not None
        assert config.metrics.host == "127.0.0.1"

    def test_runs_a_command_that_there_is(self) -> None:
        run = stages()[-1]
        program, command = json.loads(arguments(run, "ENTRYPOINT")[0]) + json.loads(arguments(run, "CMD")[0])
        assert program == "chinwag"
        assert command in {each.callback.__name__ for each in app.registered_commands if each.callback}

    @pytest.mark.parametrize(("extra", "file"), [("", "constraints.txt"), ("train", "constraints-train.txt")])
    def test_installs_nothing_but_what_the_constraints_hash(self, extra: str, file: str) -> None:
        assert arguments(stages()[0], "ARG") == ['EXTRA=""']
        first, second = [each for each in arguments(stages()[0], "RUN") if "pip install" in each]
        echo = ["sh", "-c", f"echo {first}"]
        said = subprocess.run(echo, env={"EXTRA": extra}, capture_output=True, text=True, check=True).stdout
        assert said.endswith(f" --require-hashes -r {file}\n")
        assert {"--no-deps", "--no-build-isolation"} < set(second.split())

    async def test_its_health_check_tells_health(
        self, server: DiscordServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        metrics = BotConfig.load(environment(), Path("/nowhere")).metrics
        assert metrics is not None
        _, flag, program = health_check()
        async with connect() as client, MetricsServer(client, ANYWHERE) as served:

            async def checked() -> int:
                command = program.replace(f"http://127.0.0.1:{metrics.port}", served.url)
                assert command != program
                process = await asyncio.create_subprocess_exec(
                    sys.executable, flag, command, stderr=asyncio.subprocess.DEVNULL
                )
                return await process.wait()

            assert await checked() == 0
            await client.close()
            assert await checked() == 1


class TestTheReadme:
    def test_has_a_unit_that_is_guarded(self) -> None:
        service = unit()["Service"]
        guards = {"NoNewPrivileges": "yes", "ProtectSystem": "strict", "Restart": "on-failure"}
        assert {name: service[name] for name in guards} == guards
        assert service["User"] not in ("root", "0")
        assert service["WorkingDirectory"] == f"/var/lib/{service['StateDirectory']}"

    def test_names_commands_that_there_are(self) -> None:
        names = {each.name or each.callback.__name__ for each in app.registered_commands if each.callback}
        assert unit()["Service"]["ExecStart"].split()[1] in names
        assert set(re.findall(r"`(?:\.venv/bin/)?chinwag ([\w-]+)[^`]*`", README)) <= names

    def test_has_a_compose_file_for_this_image(self) -> None:
        compose = block("yaml")
        for name, value in re.findall(r"(CHINWAG_\w+): (\S+)", compose):
            if name in environment():
                assert value == environment()[name]
        (volume,) = arguments(stages()[-1], "VOLUME")
        assert f"- data:{volume}\n" in compose
        assert "no-new-privileges:true" in compose

    @pytest.mark.parametrize("name", ["README.md", ".env.example", "Dockerfile"])
    def test_and_the_other_files_name_settings_that_are_read(self, name: str) -> None:
        named = set(re.findall(r"\bCHINWAG_[A-Z_]+", (ROOT / name).read_text(encoding="utf-8")))
        assert named
        assert all(f'values.get("{each}")' in SOURCE for each in named)

    def test_names_all_settings(self) -> None:
        assert all(each in README for each in re.findall(r'values\.get\("(\w+)"\)', SOURCE))
