"""Bot and trainer are killed again and again while they work: `python tests/soak/kills.py [--kills 100]` (Linux).

The bot is started as an admin starts it, and killed with SIGKILL at a random moment while members talk to it, react to
its replies and opt out, and admins change settings and have a model trained on made-up chat. The trainer is the real
one, but for a small network in place of the shipped model, so that a training takes seconds. It too is killed at random
moments; every fourth training comes to its end. What the bot has said to be done must be on the disk
after each kill, the files must be whole, every model that is there must open, and the live one must load; what is not
finished must be gone when the next one is made. It takes about half an hour.
"""

import argparse
import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from bot.cog import BUSY, COOLDOWN, FAILURE  # noqa: E402
from bot.retraining import Job, Trainer  # noqa: E402
from bot.stores import Stores  # noqa: E402
from model.bundle import Bundle, bundles, live_bundle  # noqa: E402
from model.chatbot import ChatBot  # noqa: E402
from tests.discord_server import DiscordServer, Payload  # noqa: E402
from tests.training.conftest import write_corpus  # noqa: E402

LONGEST = 6.0  # seconds from the start of the load to the kill of the bot
PAUSE = 0.2  # seconds between two members
PATIENCE = 3.0  # seconds after which a vote should be on the disk; it is no promise, as nobody is told of it
CONVERSATIONS = 120
NETWORK = {"cell": "transformer", "embedding_dim": 16, "encoder_units": 16, "encoder_layers": 1, "decoder_layers": 1}
PRESET = {"network": {**NETWORK, "heads": 1}, "vocabulary_size": 400, "training": {"learning_rate": 1e-2, "epochs": 4}}
APOLOGY = re.compile("|".join(re.escape(each.partition("{")[0]) for each in (BUSY, COOLDOWN, FAILURE)))
TEMPORARY = re.compile(r"\.(new|\d|current\.).*")


def make_small_model(folder: Path, chat: Path) -> dict[str, str]:
    """Train a small network; the environment in which it stands in for the shipped one."""
    (folder / "preset.json").write_text(json.dumps(PRESET), encoding="utf-8")
    options = ["--preset", str(folder / "preset.json"), "--models", str(folder / "small")]
    environment = {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "training", "retrain", str(chat), *options]
    subprocess.run(command, env={**os.environ, **environment}, check=True, capture_output=True)
    program = f"import pathlib, model.bundle as b; b.PRETRAINED = pathlib.Path({str(live_bundle(folder / 'small'))!r})"
    (folder / "sitecustomize.py").write_text(program, encoding="utf-8")
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}


class Promises:
    """What the bot has said to be done, and what it was given."""

    def __init__(self, server: DiscordServer) -> None:
        self._server = server
        self._optouts: dict[str, Payload] = {}
        self._changes: dict[str, int] = {}
        self._lives: dict[str, int] = {}
        self._feedback = ""
        self._votes: dict[int, str] = {}
        self._asked: list[str] = []
        self._given: dict[int, float] = {}
        self.kept: set[int] = set()
        self.mentions, self.life, self.missed = 0, 0, 0

    async def begin(self, number: int) -> None:
        """A new life of the bot."""
        self.life, self._asked = number, []
        if not self._said(self._feedback):
            options = {"setting": "feedback", "value": "on"}
            self._feedback = await self._server.command(self._server.user("admin"), "chinwag-admin", "set", **options)

    async def make(self, rng: random.Random) -> None:
        """Ask for things until the bot is gone."""
        server, member = self._server, self._server.user(f"member {self.mentions}")
        asked = [await server.say(member, f"{server.mention} how are you?")]
        self._optouts[await server.command(member, "chinwag", "optout")] = member
        stays = server.user(f"member {self.mentions} who stays")
        asked.append(await server.say(stays, f"{server.mention} where is the kettle?"))
        self.mentions += 2
        if not self._changes or self._over([*self._changes][-1]):  # one after the other, so that the last one counts
            percent = rng.randrange(101)
            token = await server.command(member, "chinwag-admin", "set", setting="chance", value=f"{percent} %")
            self._changes[token] = percent
            self._lives[token] = self.life
        await asyncio.sleep(PAUSE)
        await self._vote()
        self._asked = [message["id"] for message in asked] if self._said(self._feedback) else []

    async def _vote(self) -> None:
        """React to the replies to what was asked the last time."""
        for message in [*self._server.messages.values()][-50:]:
            target = message.get("message_reference", {}).get("message_id")
            if target in self._asked:
                self._votes[int(message["id"])] = message["content"]
                await self._server.react(self._server.user("fan"), message, "👍")
                if target == self._asked[1] and not APOLOGY.match(message["content"]):
                    self._given[int(message["id"])] = time.perf_counter()

    def _over(self, token: str) -> bool:
        return token in self._server.answers or self._lives[token] < self.life

    def _said(self, token: str) -> str:
        answers = self._server.answers.get(token)
        return str(answers[-1]) if answers else ""

    def check(self, stores: Stores, killed: float) -> str:
        """Compare them with the files, and say how many there are. `killed` is when the bot was."""
        promised = {member["id"] for token, member in self._optouts.items() if "Done" in self._said(token)}
        lost = promised - stores.consent.excluded()
        assert not lost, f"{len(lost)} people who opted out are forgotten"
        settings = stores.settings.of(int(self._server.guild_id))
        changes = [(place, token) for place, token in enumerate(self._changes) if "Chance" in self._said(token)]
        if changes:
            last, token = changes[-1]
            possible = {self._changes[each] for place, each in enumerate(self._changes) if place >= last}
            found = round(100 * settings.chance)
            assert found in possible, f"{found} % is set, not {self._changes[token]} %"
        assert settings.feedback or not self._said(self._feedback), "feedback is no longer on"
        liked = stores.feedback.liked(int(self._server.guild_id))
        told = {exchange.message: exchange.reply for exchange in liked}
        assert told.items() <= self._votes.items(), "there is feedback that nobody gave, or on another text"
        assert all(len(exchange.turns) == 1 for exchange in liked), "an exchange is not whole"
        speakers = {turn.speaker for exchange in liked for turn in exchange.turns}
        assert not speakers & promised, "there are words of people who opted out"
        assert self.kept <= told.keys(), f"feedback is lost: {self.kept - told.keys()}"
        due = {message for message, given in self._given.items() if given < killed - PATIENCE}
        self.missed += len(due - told.keys())
        self._given = {}
        self.kept = set(told)
        return f"{len(promised)} opt-outs, {len(changes)} changes, {len(told)} votes kept ({self.missed} not)"


class Training:
    """The trainer that the bot has started, and when it is to be killed."""

    def __init__(self, server: DiscordServer, models: Path, rng: random.Random) -> None:
        self._server, self._models, self._rng = server, models, rng
        self._jobs = Trainer(models, None)  # type: ignore[arg-type]  # it is only asked for its jobs
        self._pid, self._began, self._end, self._number = 0, 0.0, 0.0, 0
        self._killed = False
        self.longest = 60.0  # seconds, until it is known better
        self.stages: Counter[str] = Counter()
        self.kills, self.told = 0, Counter[str]()
        self._seen: set[str] = set()

    @property
    def folder(self) -> Path:
        """The models of the server."""
        return self._models / "guilds" / self._server.guild_id

    async def order(self) -> None:
        """Have a model trained, unless one is."""
        if not self._jobs.unfinished():
            await self._server.command(self._server.user("admin"), "chinwag-admin", "retrain")

    def look(self, now: float, *, at_once: bool = False) -> None:
        """Kill the trainer if its time has come, or at once."""
        job = next(iter(self._jobs.unfinished()), None)
        pid = self._process(job) if job else 0
        if pid != self._pid:
            if self._pid and not self._killed:
                self.longest = now - self._began
            self._pid, self._began, self._killed = pid, now, False
            if pid:
                self._number += 1
                share = self._rng.random() if self._number % 4 else 10.0
                self._end = now + share * self.longest
        if job and pid and not self._killed and (at_once or now > self._end):
            facts = job.progress().facts
            with suppress(ProcessLookupError):  # it ends by itself
                os.kill(pid, signal.SIGKILL)
            self.kills, self._killed = self.kills + 1, True
            self.stages[str(facts.get("stage", "Beginning"))] += 1

    def _process(self, job: Job) -> int:
        with suppress(OSError, ValueError):
            pid = int((job.folder / "pid").read_text(encoding="ascii"))
            state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
            return pid if state not in "ZX" else 0
        return 0

    def check(self) -> None:
        """Every model that is there is whole, and what each job came to is counted."""
        for bundle in bundles(self.folder):
            Bundle.open(bundle)
        Bundle.open(live_bundle(self.folder))
        for job in self._jobs.jobs():
            progress, log = job.progress(), job.folder / "log.txt"
            if not progress.over or job.folder.name in self._seen:
                continue
            self._seen.add(job.folder.name)
            written = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
            self.told["went on from a checkpoint"] += written.count("Going on from the checkpoint")
            self.told["damaged checkpoint"] += written.count("is damaged")
            self.told[progress.state if progress.state == "done" else str(progress.facts["error"])[:60]] += 1


async def one_life(
    environment: dict[str, str],
    server: DiscordServer,
    promises: Promises,
    training: Training,
    rng: random.Random,
    number: int,
) -> None:
    """Start the bot, talk to it, and kill it."""
    server.gateway.sessions = {}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "run"),
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    assert await asyncio.wait_for(process.stdout.readline(), 120), "the bot did not start"
    end = time.perf_counter() + rng.random() * LONGEST
    await promises.begin(number)
    with suppress(ConnectionError):
        await training.order()
    while (now := time.perf_counter()) < end:
        with suppress(ConnectionError):
            await promises.make(rng)
        training.look(now)
    training.look(now, at_once=rng.random() < 0.15)  # at times both
    assert process.returncode is None, "the bot ended by itself"
    process.send_signal(signal.SIGKILL)
    await process.wait()


async def soak(kills: int) -> None:
    """Print what came of all lives."""
    rng, lives = random.Random(1), 0
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder) / "models"
        async with DiscordServer() as server:
            exports = models.parent / "exports" / server.guild_id
            exports.mkdir(parents=True)
            write_corpus(exports / "chat.jsonl", CONVERSATIONS)
            environment = make_small_model(Path(folder), exports / "chat.jsonl")
            environment |= {"DISCORD_TOKEN": server.token, "CHINWAG_API_BASE": server.base}
            environment |= {"CHINWAG_MODELS": str(models), "CHINWAG_EXPORTS": str(exports.parent)}
            promises, training = Promises(server), Training(server, models, rng)
            while lives + training.kills < kills:
                await one_life(environment, server, promises, training, rng, lives)
                lives += 1
                kept = promises.check(Stores.open(models), time.perf_counter())
                training.check()
                print(f"{lives} kills of the bot, {training.kills} of the trainer; {kept}", flush=True)
            ChatBot.load(live_bundle(training.folder))
            print(f"{promises.mentions} mentions, {len(server.replies)} replies")
            print(f"trainers were killed while at: {dict(training.stages)}")
            print(f"of their jobs: {dict(training.told)}; {len(bundles(training.folder))} models")
            left = [str(path.relative_to(models)) for path in models.rglob(".*") if TEMPORARY.fullmatch(path.name)]
            print(f"left behind for the next training to delete: {left or 'nothing'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    asyncio.run(soak(parser.parse_args().kills))


if __name__ == "__main__":
    main()
