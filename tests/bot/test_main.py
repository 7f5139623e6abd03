"""The command line, as people run it: in this process where that will do, else as a process of its own."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import pytest
from typer.testing import CliRunner, Result

from bot.__main__ import app
from model.bundle import ModelFormatError
from model.consent import Consent
from model.environment import connect
from tests.bot.scripted_model import ScriptedModel
from tests.conftest import POSTGRESQL, SQLITE
from tests.discord_server import MESSAGE_CONTENT_FLAG, DiscordServer

ROOT = Path(__file__).parents[2]

# The program itself, but for what it loads as a model.
PROGRAM = """
import signal, sys, types
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and so would a child
from tests.bot.scripted_model import ScriptedModel
from tests.conftest import POSTGRESQL, SQLITE
loader = types.SimpleNamespace(load=lambda directory: ScriptedModel())
sys.modules["model.chatbot"] = types.SimpleNamespace(ChatBot=loader)
from bot.__main__ import main
main()
"""

REAL = "from bot.__main__ import main; main()"
"""The bot with its real model."""

UNPRIVILEGED = """
import ctypes, os, sys
if os.geteuid() == 0 and "UNPRIVILEGED" not in os.environ:
    assert ctypes.CDLL(None).prctl(24, 1, 0, 0, 0) == 0  # PR_CAPBSET_DROP of CAP_DAC_OVERRIDE, as of the next program
    os.environ["UNPRIVILEGED"] = "1"
    os.execv(sys.executable, sys.orig_argv)
"""
"""Makes permissions hold for root too."""

Run = Callable[..., Result]
Start = Callable[..., AbstractAsyncContextManager[asyncio.subprocess.Process]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a models folder and no settings."""
    (tmp_path / "models" / "first").mkdir(parents=True)
    (tmp_path / "models" / "current").write_text("first", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name in ("DISCORD_TOKEN", *(name for name in os.environ if name.startswith("CHINWAG_"))):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def loaded() -> list[Path]:
    return []


@pytest.fixture
def run(folder: Path, loaded: list[Path], monkeypatch: pytest.MonkeyPatch) -> Run:
    def load(directory: Path) -> ScriptedModel:
        loaded.append(directory)
        if directory.name == "damaged":
            raise ModelFormatError("The model is damaged; train again.")
        return ScriptedModel()

    chatbot = SimpleNamespace(ChatBot=SimpleNamespace(load=load))
    monkeypatch.setitem(sys.modules, "model.chatbot", chatbot)
    return lambda *arguments, **options: CliRunner().invoke(app, arguments, **options)


def test_help_is_about_the_commands(run: Run) -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert "run" in result.stdout
    assert "chat" in result.stdout
    assert "completion" not in result.stdout


def test_version(run: Run) -> None:
    result = run("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("chinwag")


def test_chat_answers_each_line(run: Run) -> None:
    result = run("chat", input="hello\n\nbye\n")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "sure\n" * 3, "")


def test_run_without_a_token_says_so_and_chats(run: Run) -> None:
    result = run("run", input="hello\n")
    assert (result.exit_code, result.stdout) == (0, "sure\n")
    where, how = result.stderr.splitlines()
    assert "https://discord.com/developers/applications" in where
    assert "DISCORD_TOKEN=" in how


@pytest.mark.parametrize("command", ["run", "chat"])
def test_models_come_from_the_option_first(run: Run, folder: Path, loaded: list[Path], command: str) -> None:
    for models in ("mine", "other"):
        (folder / models / f"of-{models}").mkdir(parents=True)
        (folder / models / "current").write_text(f"of-{models}", encoding="utf-8")
    (folder / ".env").write_text("CHINWAG_MODELS=other\n", encoding="utf-8")
    run(command, input="")
    run(command, "--models", "mine", input="")
    assert [directory.name for directory in loaded] == ["of-other", "of-mine"]


@pytest.mark.parametrize("command", ["run", "chat"])
def test_a_models_folder_that_is_named_must_be_there(run: Run, command: str) -> None:
    result = run(command, "--models", "nowhere", input="hello\n")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "nowhere" in result.stderr


@pytest.mark.parametrize("command", ["run", "chat"])
@pytest.mark.parametrize("current", ["damaged", "missing"])
def test_a_bad_model_is_one_sentence_in_the_terminal(run: Run, folder: Path, command: str, current: str) -> None:
    (folder / "models" / "damaged").mkdir()
    (folder / "models" / "current").write_text(current, encoding="utf-8")
    result = run(command, input="hello\n")
    assert (result.exit_code, result.stdout) == (1, "")
    assert len(result.stderr.splitlines()) == (3 if command == "run" else 1)
    assert "Traceback" not in result.stderr


@pytest.fixture
async def start(folder: Path, server: DiscordServer) -> Start:
    """Starts the program as a process that finds the test's server and a token."""

    @asynccontextmanager
    async def started(
        *arguments: str, before: str = "", program: str = PROGRAM, **environ: str
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        defaults = {"PYTHONPATH": path, "DISCORD_TOKEN": server.token, "CHINWAG_API_BASE": server.base}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", before + program, *arguments),
            env={**os.environ, **defaults, **environ},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    return started


def last_line(text: bytes) -> str:
    return text.decode().splitlines()[-1]


async def test_a_bad_token_is_one_sentence(start: Start) -> None:
    async with start("run", DISCORD_TOKEN="wrong") as process:
        out, err = await process.communicate()
    assert (process.returncode, out) == (1, b"")
    assert last_line(err).startswith("Discord does not accept the token; copy a new one from https://")
    assert b"Traceback" not in err
    assert b"wrong" not in err


async def test_the_traceback_is_in_the_verbose_log(start: Start) -> None:
    async with start("run", "--verbose", DISCORD_TOKEN="wrong") as process:
        _, err = await process.communicate()
    assert process.returncode == 1
    assert b"Traceback" in err
    assert b"LoginFailure" in err
    assert b"wrong" not in err


async def test_a_refused_intent_is_one_sentence(start: Start, server: DiscordServer) -> None:
    server.application_flags, server.refuse_intents = MESSAGE_CONTENT_FLAG, True
    async with start("run") as process:
        _, err = await process.communicate()
    assert process.returncode == 1
    assert last_line(err).startswith("Discord refuses Message Content;")
    assert b"Traceback" not in err


async def test_an_unreachable_server_is_one_sentence(start: Start) -> None:
    async with start("run", CHINWAG_API_BASE="http://127.0.0.1:1/api/v10") as process:
        _, err = await process.communicate()
    assert process.returncode == 1
    assert last_line(err).startswith(
        "No Discord-compatible server answers at CHINWAG_API_BASE=http://127.0.0.1:1/api/v10;"
    )
    assert b"Traceback" not in err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals to send")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
async def test_it_runs_until_a_signal(start: Start, server: DiscordServer, name: str) -> None:
    async with start("run") as process:
        assert process.stdout is not None
        ready = await asyncio.wait_for(process.stdout.readline(), 30)
        assert ready.startswith(b"chinwag is ready on 1 server. Add it to another one: https://discord.com/oauth2/")
        await server.say(server.user("alice"), f"{server.mention} my secret")
        await server.until(lambda: server.replies)
        process.send_signal(signal.Signals[name])
        out, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, out) == (0, b"")
    assert b"Traceback" not in err
    assert b"my secret" not in err
    assert server.token.encode() not in err


async def ready(process: asyncio.subprocess.Process) -> None:
    assert process.stdout is not None
    assert b"is ready on 1 server" in await asyncio.wait_for(process.stdout.readline(), 30)


async def ask(server: DiscordServer) -> None:
    count = len(server.replies)
    await server.say(server.user("alice"), f"{server.mention} hello")
    await server.until(lambda: len(server.replies) > count)


async def test_a_second_bot_over_the_same_models_is_one_sentence(start: Start, server: DiscordServer) -> None:
    async with start("run") as first:
        await ready(first)
        async with start("run") as second:
            out, errors = await second.communicate()
        assert (second.returncode, out) == (1, b"")
        assert last_line(errors).startswith("Another process is at work in")
        assert first.returncode is None
        first.kill()
        await first.wait()
        async with start("run") as third:  # the lock went with the process
            await ready(third)
            await ask(server)


async def test_a_model_of_an_older_version_is_said_and_the_shipped_one_answers(
    start: Start, server: DiscordServer, folder: Path
) -> None:
    old = folder / "models" / "first"
    (old / "bundle.json").write_text(json.dumps({"format": 3, "facts": {}, "files": {}}), encoding="utf-8")
    async with start("run", program=REAL) as process:
        await ready(process)
        await ask(server)
        process.kill()
        _, err = await process.communicate()
    (said,) = [line for line in err.decode().splitlines() if "was made by an older Chinwag" in line]
    assert "(it has format 3, not 4): train it again with `chinwag-train retrain`" in said
    assert b"The shipped model answers instead" in err
    assert b"Traceback" not in err


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a folder is made read-only in other ways")
@pytest.mark.parametrize("before", [False, True])
async def test_it_answers_where_it_may_not_write(
    start: Start, server: DiscordServer, folder: Path, before: bool
) -> None:
    models = folder / "models"
    if before:
        (models / ".bot").mkdir()
        (models / ".bot" / ".lock").touch(0o444)
        (models / ".bot").chmod(0o555)
    models.chmod(0o555)
    carol, files = server.user("carol"), {"logs1": ("a.txt", b"hello")}
    async with start("run", before=UNPRIVILEGED) as process:
        await ready(process)
        await ask(server)
        said = [
            await answer(server, await server.command(carol, "chinwag-admin", "set", setting="chance", value="5 %"), 1),
            await answer(server, await server.command(carol, "chinwag", "optout"), 2),
            await answer(server, await server.command(carol, "chinwag-admin", "retrain", files=files), 2),
        ]
        await ask(server)
        process.kill()
        _, err = await process.communicate()
    models.chmod(0o755)
    assert all("nothing has changed" in each for each in said)
    assert "guilds.sqlite, which holds what servers have set, cannot be written" in said[0]
    assert "Nothing can be written where I run (Permission denied)" in said[2] or "Training is not installed" in said[2]
    assert b"models cannot be written: I answer, but nothing can be set" in err


async def answer(server: DiscordServer, token: str, count: int) -> str:
    """The last of what the bot says to an interaction."""
    await server.until(lambda: len(server.answers.get(token, [])) == count)
    return str(server.answers[token][-1])
    assert len(server.gateway.identified) == 1


async def test_metrics_and_health_are_served_while_it_runs(start: Start, unused: int) -> None:
    async with start("run", CHINWAG_METRICS=str(unused)) as process:
        assert process.stdout is not None
        await asyncio.wait_for(process.stdout.readline(), 30)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{unused}/healthz") as response:
                assert response.status == 200
            async with session.get(f"http://127.0.0.1:{unused}/metrics") as response:
                assert 'chinwag_messages_total{outcome="answered"} 0' in await response.text()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of sockets in files")
async def test_nothing_is_served_unless_it_is_asked_for(start: Start) -> None:
    async with start("run") as process:
        assert process.stdout is not None
        await asyncio.wait_for(process.stdout.readline(), 30)
        assert not listening(process.pid)


def listening(process: int) -> list[str]:
    """The addresses that a process listens at, as far as Linux tells."""
    links = [link.readlink() for link in Path(f"/proc/{process}/fd").iterdir() if link.is_symlink()]
    rows = [row.split() for name in ("tcp", "tcp6") for row in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return [row[1] for row in rows if row[3] == "0A" and Path(f"socket:[{row[9]}]") in links]


async def test_a_port_that_is_taken_is_one_sentence(start: Start, unused: int) -> None:
    with socket.create_server(("127.0.0.1", unused)):
        async with start("run", CHINWAG_METRICS=str(unused)) as process:
            out, err = await process.communicate()
    assert (process.returncode, out) == (1, b"")
    assert last_line(err).startswith(f"CHINWAG_METRICS says 127.0.0.1:{unused}, where nothing can be served")
    assert b"Traceback" not in err


@pytest.fixture
def unused() -> int:
    """A port that nothing listens at."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        return int(other.getsockname()[1])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals to send")
async def test_all_output_is_json_where_that_is_wanted(start: Start, server: DiscordServer) -> None:
    async with start("run", "--verbose", CHINWAG_LOG="json") as process:
        assert process.stderr is not None
        lines: list[bytes] = []
        while not lines or b"is ready on 1 server" not in lines[-1]:
            lines.append(await asyncio.wait_for(process.stderr.readline(), 30))
        await server.gateway.dispatch("MESSAGE_CREATE", {"id": "no number", "content": f"secret {server.token}"})
        await server.say(server.user("alice"), f"{server.mention} my secret")
        await server.until(lambda: server.replies)
        process.send_signal(signal.SIGTERM)
        out, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, out) == (0, b"")
    err = b"".join(lines) + err
    entries = [json.loads(line) for line in err.splitlines()]
    assert all({"time", "level", "logger", "message"} <= entry.keys() for entry in entries)
    messages = [entry["message"] for entry in entries]
    assert "Skipped a MESSAGE_CREATE event that cannot be read." in messages
    assert b"secret" not in err
    assert server.token.encode() not in err


async def test_a_known_failure_is_json_too(start: Start) -> None:
    async with start("run", CHINWAG_LOG="json", DISCORD_TOKEN="wrong") as process:
        out, err = await process.communicate()
    assert (process.returncode, out) == (1, b"")
    assert json.loads(last_line(err))["message"].startswith("Discord does not accept the token;")
    assert b"wrong" not in err


@pytest.mark.parametrize("log", ["plain", "json"])
async def test_a_fault_is_logged_without_the_token(start: Start, log: str) -> None:
    fault = (
        "import bot.startup\ndef serve(config, token): raise RuntimeError(f'Bot {token}')\nbot.startup.serve = serve\n"
    )
    async with start("run", CHINWAG_LOG=log, before=fault) as process:
        _, err = await process.communicate()
    assert process.returncode == 1
    assert b"RuntimeError: Bot <token>" in err
    assert b"test-token" not in err


@pytest.mark.parametrize("command", ["run", "chat"])
def test_a_setting_that_cannot_be_is_one_sentence(run: Run, command: str) -> None:
    result = run(command, env={"CHINWAG_SHARDS": "many"})
    assert result.exit_code == 1
    assert result.stderr.startswith("CHINWAG_SHARDS must be a number of connections")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("imported", "without"),
    [
        ("bot.__main__", {"discord", "numpy", "onnxruntime"}),  # --help
        ("bot.startup, bot.doctor, model.chatbot", {"psycopg"}),  # where no database is set, though it is installed
    ],
)
async def test_what_is_not_needed_is_not_imported(folder: Path, imported: str, without: set[str]) -> None:
    program = f"import sys, {imported}; print(sorted({without} & set(sys.modules)))"
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program), env=environ, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert out.strip() == b"[]"


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def listed(request: pytest.FixtureRequest, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Consent]:
    """The list that is in use."""
    if request.param == SQLITE:
        yield Consent(folder / "models" / "consent.sqlite")
        return
    url = request.getfixturevalue("postgres").url
    monkeypatch.setenv("DATABASE_URL", url)
    with connect(url) as server:
        yield Consent(server)


def test_who_opts_out_is_on_the_list_until_opting_in(folder: Path, listed: Consent) -> None:
    assert CliRunner().invoke(app, ["optout", "123", "Ann"]).exit_code == 0
    assert CliRunner().invoke(app, ["forget", "456"]).exit_code == 0
    assert listed.excluded() == {"123", "ann", "456"}
    assert listed.forgotten().keys() == {"456"}
    assert CliRunner().invoke(app, ["optin", "123", "456"]).exit_code == 0
    assert listed.excluded() == {"ann"}


def test_a_list_that_cannot_be_read_is_one_plain_sentence(folder: Path) -> None:
    (folder / "models" / "consent.sqlite").write_bytes(b"no database at all")
    result = CliRunner().invoke(app, ["optout", "123"])
    assert result.exit_code == 1
    assert "who opted out" in result.stderr
    assert "Traceback" not in result.output


def test_who_says_that_nobody_is_missing_goes_on_with_the_list_that_is_left(folder: Path) -> None:
    consent = Consent(folder / "models" / "consent.sqlite")
    consent.opt_out("123")
    consent.opt_out("*")
    result = CliRunner().invoke(app, ["optout", "456"])
    assert result.exit_code == 0
    assert CliRunner().invoke(app, ["optin", "*"]).exit_code == 0
    assert consent.excluded() == {"123", "456"}
