"""Several processes are one bot under load: `python tests/soak/cluster.py [--seconds 600] [--processes 4]` (Linux).

Each process is `chinwag run --shards ...` with a part of 16 shards of a Discord on loopback and a models folder of its
own; all share one PostgreSQL, a throw-away one that this starts. Members talk in 10,000 servers, some of them to the
bot. Meanwhile members opt out in a server of one process and are heard of in those of the others, settings are changed,
models published, and one process is killed and started again. Each mention has to be replied to once, if only to say
that too many wait; the replies say what was read, so that each tells whether the process obeys yet.

With `--models shipped` the shipped model thinks about each reply; with `scripted` nothing does, which shows what the
processes, the database and the sockets can carry. What one more process brings is seen by a run with another number.
"""

import argparse
import asyncio
import itertools
import math
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from bot.cog import BUSY, COOLDOWN, FAILURE  # noqa: E402
from bot.guild_settings import GuildSettingsStore  # noqa: E402
from model.bundle import PRETRAINED  # noqa: E402
from model.environment import connect  # noqa: E402
from model.library import COMMON, SharedModels  # noqa: E402
from model.postgres import PostgresServer  # noqa: E402
from tests.benchmarks.load import LINES  # noqa: E402
from tests.discord_server import MESSAGE_CONTENT_FLAG, DiscordServer, Payload  # noqa: E402
from tests.postgres_server import PostgresProcess  # noqa: E402

SHARDS = 16
MEMBERS = 20_000
PROBES = (0.0, 0.25, 0.5, 1.0, 2.0)  # seconds after a change at which it is seen who obeys
EVERY = 15.0  # seconds between two changes, which take turns
PATIENCE = 30.0  # seconds for a reply
KEPT = 2_000  # events of a session that can be resumed from

# The program itself, but for what a reply says: the model's name, what it has read, and what the model says.
PROGRAM = """
import os, sys, types
import bot.client
from dataclasses import replace
from model.dialogue import ME
from model.reply import Reply

class Scripted:
    def replies(self, questions):
        return [Reply("sure", ()) for _ in questions]

    def describe(self):
        return {}

    def rejected(self):
        return {}

if os.environ["SOAK_MODELS"] == "scripted":
    load = lambda path: Scripted()
else:
    from model.chatbot import ChatBot
    load = ChatBot.load

class Told:
    def __init__(self, path):
        self._name, self._model = path.name, load(path)

    def replies(self, questions):
        said = zip(questions, self._model.replies(questions), strict=True)
        return [replace(reply, text=self._tell(question, reply.text)) for question, reply in said]

    def _tell(self, question, text):
        return " / ".join([self._name, *(turn.text for turn in question.turns if turn.speaker != ME), text])[:1500]

    def __getattr__(self, name):
        return getattr(self._model, name)

sys.modules["model.chatbot"] = types.SimpleNamespace(ChatBot=types.SimpleNamespace(load=Told))
async def at_once(self, shard, *, initial=False): pass
bot.client.ShardedClient.before_identify_hook = at_once
from bot.__main__ import main
main()
"""


@dataclass
class Bot:
    """A process of the bot, which may be started again.

    Attributes:
        first, last: its shards.
        models: its models folder.
        cpu: seconds of processors that the processes of before have used.
        down: when it was killed, and when it was ready again.
    """

    first: int
    last: int
    models: Path
    environment: dict[str, str]
    cpu: float = 0.0
    highest: float = 0.0
    down: list[tuple[float, float]] = field(default_factory=list)
    process: asyncio.subprocess.Process | None = None
    begun: float = 0.0

    async def start(self) -> None:
        """Start it, and wait until it is ready."""
        part = f"{self.first}-{self.last}/{SHARDS}"
        with (self.models / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", PROGRAM, "run", "--shards", part, "--models", str(self.models)),
                env={**os.environ, **self.environment},
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        assert self.process.stdout
        line = await self.process.stdout.readline()
        if b"is ready on" not in line:
            raise SystemExit(f"A process did not start: see {self.models / 'log'}.")

    async def kill(self) -> None:
        """Kill it, and start it again as a supervisor would."""
        assert self.process
        self.look()
        self.cpu += self._cpu()
        begin = time.perf_counter()
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()
        await self.start()
        self.down.append((begin, time.perf_counter()))

    async def end(self) -> None:
        """Stop it."""
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()
            await self.process.wait()

    def look(self) -> None:
        """See how much memory it has."""
        assert self.process
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        self.highest = max(self.highest, int(status.split("VmRSS:")[1].split()[0]) / 1024)

    def used(self) -> float:
        """Seconds of processors, in all."""
        return self.cpu + self._cpu()

    def _cpu(self) -> float:
        assert self.process
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def was_down(self, at: float) -> bool:
        """Whether it was dead or not ready at a time, or was killed before it could answer what was asked then."""
        return any(begin - PATIENCE <= at <= end for begin, end in self.down)


class Soak:
    """The load, and what comes of it."""

    def __init__(
        self, server: DiscordServer, bots: list[Bot], database: PostgresServer, options: argparse.Namespace
    ) -> None:
        self._server, self._bots, self._options, self._rng = server, bots, options, random.Random(1)
        self._settings, self._models = GuildSettingsStore(database), SharedModels(database)
        self._members = [server.user(f"member {number}") for number in range(MEMBERS)]
        self._channels = [id for id, channel in server.channels.items() if channel["type"] == 0]
        self._numbers = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._seen = 0
        self.asked: dict[int, tuple[float, Bot]] = {}
        self.replies: dict[int, list[tuple[float, str]]] = {}
        self.obeyed: dict[str, list[float]] = {"opt-out": [], "setting": [], "model": []}

    async def chat(self) -> None:
        """Let people talk for as long as is wanted."""
        options, rng, lines = self._options, self._rng, LINES.split("|")
        begin = time.perf_counter()
        share, change, kill = options.mentions / options.messages, EVERY / 3, options.seconds * 0.4
        changes = itertools.cycle([self._opt_out, self._set, self._publish])
        dues = itertools.accumulate(rng.expovariate(options.messages) for _ in itertools.count())
        for due in itertools.takewhile(lambda due: due < options.seconds, dues):
            while (left := begin + due - time.perf_counter()) > 0:
                await asyncio.sleep(min(0.005, left))
                self.look()
            text, channel, member = rng.choice(lines), rng.choice(self._channels), rng.choice(self._members)
            if rng.random() < share:
                await self._ask(member, channel, text)
            else:
                await self._server.say(member, text, channel=channel)
            if due > change:
                change += EVERY
                self._begin(next(changes)())
            if due > kill:
                kill = math.inf
                self._begin(self._bots[-1].kill())
        await asyncio.wait_for(asyncio.gather(*self._tasks), 2 * PATIENCE)
        end = time.perf_counter() + PATIENCE
        while len(self.replies) < len(self.asked) and time.perf_counter() < end:
            await asyncio.sleep(0.05)
            self.look()

    def look(self) -> None:
        """Take note of new replies, and forget what nobody will ask for again."""
        now = time.perf_counter()
        new = self._server.replies_since(self._seen)
        self._seen += len(new)
        for reply in new:
            asked = int(reply["message_reference"]["message_id"])
            self.replies.setdefault(asked, []).append((now, reply["content"]))
        for session in self._server.gateway.sessions.values():
            if len(session.events) % KEPT == 0:
                session.events[:-KEPT] = [{}] * max(0, len(session.events) - KEPT)

    def _begin(self, change: "AsyncIterator[None] | object") -> None:
        task = asyncio.ensure_future(change)  # type: ignore[arg-type]
        self._tasks.add(task)

    async def _ask(self, member: Payload, channel: str, text: str) -> int:
        now = time.perf_counter()
        message = await self._server.say(member, f"{self._server.mention} {text}", channel=channel)
        self.asked[int(message["id"])] = now, self._bot_of(channel)
        return int(message["id"])

    def _bot_of(self, channel: str) -> Bot:
        shard = (int(self._server.channels[channel]["guild_id"]) >> 22) % SHARDS
        return next(bot for bot in self._bots if bot.first <= shard <= bot.last)

    def _place(self, bot: Bot) -> str:
        """A channel of a process."""
        return next(
            channel for channel in iter(lambda: self._rng.choice(self._channels), None) if self._bot_of(channel) is bot
        )

    async def _opt_out(self) -> None:
        """Somebody who has talked in a server of each process opts out in one of them."""
        member, number = self._server.user("somebody who opts out"), next(self._numbers)
        places, text = [self._place(bot) for bot in self._bots], f"this is mine alone, number {number}"
        token = await self._server.command(member, "chinwag", "optout", channel=places[number % len(places)])
        await self._server.until(lambda: "Done" in str(self._server.answers.get(token, [])), patience=PATIENCE)
        await self._probe("opt-out", places, lambda said: text not in said, member, text)

    async def _set(self) -> None:
        """Servers are to look back on nothing: told to the database, as by another process."""
        places = [self._place(bot) for bot in self._bots]
        for place in places:
            guild = int(self._server.channels[place]["guild_id"])
            await asyncio.to_thread(self._settings.change, guild, turns=1)
        member, text = self._rng.choice(self._members), "what was said before"
        await self._probe("setting", places, lambda said: text not in said, member, text)

    async def _publish(self) -> None:
        """Another model is published for all."""
        name = await asyncio.to_thread(self._models.add, COMMON, PRETRAINED, live=True)
        places = [self._place(bot) for bot in self._bots]
        await self._probe("model", places, lambda said: said.split(" / ")[0] == name)

    async def _probe(
        self, what: str, places: list[str], obeys: Callable[[str], bool], member: Payload | None = None, text: str = ""
    ) -> None:
        """Ask in each of the places again and again, each time after somebody's words, and note when each obeys."""
        begin, asked = time.perf_counter(), dict[str, list[tuple[float, int]]]()
        for after in PROBES:
            await asyncio.sleep(max(0.0, begin + after - time.perf_counter()))
            for place in places:
                if member is not None:
                    await self._server.say(member, text, channel=place)
                id = await self._ask(self._rng.choice(self._members), place, "and now?")
                asked.setdefault(place, []).append((after, id))
        end = time.perf_counter() + PATIENCE
        while time.perf_counter() < end and not all(id in self.replies for each in asked.values() for _, id in each):
            await asyncio.sleep(0.05)
            self.look()
        for probes in asked.values():
            told = [(after, self.replies[id][0][1]) for after, id in probes if id in self.replies]
            late = [after for after, said in told if not _refused(said) and not obeys(said)]
            later = [after for after in PROBES if not late or after > max(late)]
            self.obeyed[what].append(later[0] if later else math.inf)

    def tell(self, seconds: float) -> None:
        """Print what became of it."""
        heads = (
            "shards",
            "mentions",
            "answered",
            "refused",
            "missed",
            "twice",
            "50 %",
            "95 %",
            "99 %, ms",
            "MiB",
            "CPU",
        )
        print("".join(f"{head:>10}" for head in heads))
        for bot in self._bots:
            bot.look()
            mine = {id: at for id, (at, owner) in self.asked.items() if owner is bot}
            figures = f"{bot.highest:>10.0f}{bot.used() / seconds:>10.0%}"
            print(f"{f'{bot.first}-{bot.last}':>10}{self._row(bot, mine)}{figures}")
        for bot in self._bots:
            for begin, end in bot.down:
                left = [at for id, (at, owner) in self.asked.items() if owner is bot and id not in self.replies]
                lost, late = sum(begin <= at <= end for at in left), sum(at < begin for at in left)
                part, pause = f"{bot.first}-{bot.last}", end - begin
                print(
                    f"{part} was killed and ready again {pause:.1f} s later: "
                    f"of the mentions {late} were being answered, {lost} were made meanwhile"
                )
        for what, waits in self.obeyed.items():
            counted = Counter(f"{wait:g} s" if wait < math.inf else "later" for wait in waits)
            print(
                f"{what}: obeyed by a process within "
                + ", ".join(f"{wait}: {n}" for wait, n in sorted(counted.items()))
            )

    def _row(self, bot: Bot, asked: dict[int, float]) -> str:
        told = {id: self.replies[id] for id in asked if id in self.replies}
        refused = sum(_refused(replies[0][1]) for replies in told.values())
        missed = sum(id not in told and not bot.was_down(at) for id, at in asked.items())
        twice = sum(len(replies) > 1 for replies in told.values())
        delays = sorted(replies[0][0] - asked[id] for id, replies in told.items() if not _refused(replies[0][1])) or [
            math.nan
        ]
        shares = [1000 * delays[int(share * (len(delays) - 1))] for share in (0.5, 0.95, 0.99)]
        counts = (len(asked), len(told) - refused, refused, missed, twice)
        return "".join(f"{count:>10}" for count in counts) + "".join(f"{share:>10.0f}" for share in shares)


def _refused(said: str) -> bool:
    return said in (BUSY, FAILURE) or said.startswith(COOLDOWN[:20])


@asynccontextmanager
async def running(options: argparse.Namespace, folder: Path) -> AsyncIterator[Soak]:
    """Everything that is needed, ready."""
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(PostgresProcess())
        server = await stack.enter_async_context(DiscordServer())
        server.application_flags = MESSAGE_CONTENT_FLAG
        for number in range(options.guilds - 1):
            server.add_guild(number % SHARDS, SHARDS)
        environment = {"PYTHONPATH": str(ROOT), "SOAK_MODELS": options.models, "DATABASE_URL": postgres.url}
        environment |= {"DISCORD_TOKEN": server.token, "CHINWAG_API_BASE": server.base, "OMP_NUM_THREADS": "1"}
        bots, share = [], SHARDS / options.processes
        for number in range(options.processes):
            models = folder / f"models-{number}"
            models.mkdir()
            bots.append(Bot(round(number * share), round((number + 1) * share) - 1, models, environment))
        for bot in bots:
            stack.push_async_callback(bot.end)
        begin = time.perf_counter()
        await asyncio.gather(*(bot.start() for bot in bots))
        wait = time.perf_counter() - begin
        print(f"{options.processes} processes on {options.guilds:,} servers are ready after {wait:.0f} s")
        database = stack.enter_context(connect(postgres.url))
        yield Soak(server, bots, database, options)


async def soak(options: argparse.Namespace, folder: Path) -> None:
    """Run it, and print what came of it."""
    async with running(options, folder) as run:
        begin = time.perf_counter()
        await run.chat()
        run.tell(time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--guilds", type=int, default=10_000)
    parser.add_argument("--messages", type=float, default=500.0, help="a second, mentions among them")
    parser.add_argument("--mentions", type=float, default=50.0, help="a second")
    parser.add_argument("--models", choices=("scripted", "shipped"), default="scripted")
    folder = Path(tempfile.mkdtemp(prefix="cluster-"))
    try:
        asyncio.run(soak(parser.parse_args(), folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
