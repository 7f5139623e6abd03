"""The whole bot under load, over real sockets: `python tests/benchmarks/discord_load.py [overhead] [load]` (Linux).

    python tests/benchmarks/discord_load.py overhead [--mentions 200]
    python tests/benchmarks/discord_load.py load [--seconds 600] [--guilds 200] [--messages 50] [--mentions-a-second 5]
    python tests/benchmarks/discord_load.py load --seconds 1800 --guilds 1000 --messages 200 --mentions-a-second 20 \
        --overload 60

The bot is a process of its own, as `chinwag run` starts it, with the shipped model; a Discord on loopback is another.

- overhead: mentions one after the other; the time from a mention to its reply, less what the model took. Beside it, in
  turns, a bot on discord.py that says the same word each time.
- load: chat by chance (Poisson) in many servers, some of it mentions. Each mention has to be replied to once, if only
  to say that too many wait. Every half a minute another model is published, which the bot takes while it answers. For
  each tenth of the time: mentions, those answered and refused, within what time, and the bot's memory at its end. An
  overload is five times as much of everything.
"""

import argparse
import asyncio
import itertools
import json
import math
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from bot.cog import BUSY, COOLDOWN, FAILURE  # noqa: E402
from tests.benchmarks.load import LINES  # noqa: E402
from tests.discord_server import MESSAGE_CONTENT_FLAG, DiscordServer  # noqa: E402

SWAP = 30.0  # seconds
PARTS, OVERLOAD, CALM = 10, 5.0, 30.0  # of the time; times as much as usual; seconds that are watched after that
PATIENCE = 30.0  # seconds for a reply
GUILDS = 100  # for the overhead: or there would be too many mentions in a channel


class Bot:
    """A bot process and the Discord that it is connected to."""

    def __init__(self, server: DiscordServer, process: asyncio.subprocess.Process) -> None:
        self.server, self.process = server, process

    async def ask(self, question: str) -> Any:
        """Have the process tell something of itself."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{question}\n".encode())
        return json.loads(await self.process.stdout.readline())


@asynccontextmanager
async def running(kind: str, models: Path, guilds: int = 1) -> AsyncIterator[Bot]:
    """A bot that is ready."""
    async with DiscordServer() as server:
        server.application_flags = MESSAGE_CONTENT_FLAG
        for _ in range(guilds - 1):
            server.add_guild()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, __file__, kind, "--base", server.base, "--models", str(models)),
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert process.stdout
            await process.stdout.readline()
            yield Bot(server, process)
        finally:
            process.terminate()
            await process.wait()


async def measure_overhead(mentions: int, models: Path) -> None:
    """Print the medians of both bots."""
    async with running("chinwag", models, GUILDS) as chinwag, running("echo", models, GUILDS) as echo:
        delays: dict[str, list[float]] = {"chinwag": [], "echo": []}
        lines = LINES.split("|")
        for number in range(mentions + 5):
            for name, bot in (("chinwag", chinwag), ("echo", echo)):
                server, before = bot.server, len(bot.server.replies)
                channel = list(server.channels)[number % GUILDS]
                start = time.perf_counter()
                await server.say(server.user("ann"), f"{server.mention} {lines[number % len(lines)]}", channel=channel)
                await server.until(lambda server=server, before=before: server.replies_since(before), patience=PATIENCE)
                if number >= 5:  # connections are made by then
                    delays[name].append(time.perf_counter() - start)
        thought = (await chinwag.ask("thought"))[-mentions:]
    rest = [delay - thinking for delay, thinking in zip(delays["chinwag"], thought, strict=True)]
    for name, values in (("echo bot", delays["echo"]), ("chinwag", delays["chinwag"]), ("without thinking", rest)):
        ordered = sorted(values)
        print(
            f"{name:<18}{1000 * statistics.median(ordered):>8.1f} ms{1000 * ordered[int(0.95 * len(ordered))]:>8.1f} ms"
        )


class Load:
    """Chat in many servers, some of it for the bot."""

    def __init__(self, bot: Bot, options: argparse.Namespace, publish: Callable[[], None]) -> None:
        self._bot, self._options, self._publish, self._rng = bot, options, publish, random.Random(1)
        self._channels = [id for id, channel in bot.server.channels.items() if channel["type"] == 0]
        self._members = [bot.server.user(f"member {number}") for number in range(10 * options.guilds)]
        self._swap = time.perf_counter() + SWAP
        self._seen = 0
        self._untold: tuple[str, range, float] | None = None
        self.asked: dict[int, float] = {}
        self.delays: dict[int, float] = {}
        self.refused: set[int] = set()

    def look(self) -> None:
        """Take note of new replies."""
        replies, now = self._bot.server.replies_since(self._seen), time.perf_counter()
        self._seen += len(replies)
        for reply in replies:
            mention = int(reply["message_reference"]["message_id"])
            self.delays.setdefault(mention, now - self.asked[mention])
            if reply["content"] in (BUSY, FAILURE) or reply["content"].startswith(COOLDOWN[:20]):
                self.refused.add(mention)

    async def chat(self, seconds: float, times: float = 1.0) -> range:
        """Let people talk, so many times as much as usual; the ids of the mentions are in the range."""
        options, rng, server, lines = self._options, self._rng, self._bot.server, LINES.split("|")
        begin, first = time.perf_counter(), None
        dues = itertools.accumulate(rng.expovariate(options.messages * times) for _ in itertools.count())
        for due in itertools.takewhile(lambda due: due < seconds, dues):
            while time.perf_counter() < begin + due:
                await asyncio.sleep(min(0.005, begin + due - time.perf_counter()))
                self.look()
            mention = rng.random() < options.mentions_a_second / options.messages
            text = f"{server.mention} {rng.choice(lines)}" if mention else rng.choice(lines)
            start = time.perf_counter()
            said = await server.say(rng.choice(self._members), text, channel=rng.choice(self._channels))
            first = first or int(said["id"])
            if mention:
                self.asked[int(said["id"])] = start
            if start > self._swap:
                self._swap = start + SWAP
                self._publish()
        return range(first or 0, int(said["id"]) + 1)

    async def finish(self) -> None:
        """Wait for the last replies."""
        end = time.perf_counter() + PATIENCE
        while len(self.delays) < len(self.asked) and time.perf_counter() < end:
            await asyncio.sleep(0.02)
            self.look()

    async def part(self, name: str, seconds: float, times: float = 1.0) -> range:
        """Let people talk and, as the replies may take a while, print what became of the part before."""
        mentions = await self.chat(seconds, times)
        memory = await self._bot.ask("memory")
        self.tell()
        self._untold = (name, mentions, memory)
        return mentions

    def tell(self) -> None:
        """Print what became of the last part."""
        if self._untold is None:
            return
        name, mentions, memory = self._untold
        asked = [mention for mention in self.asked if mention in mentions]
        refused = sum(mention in self.refused for mention in asked)
        delays = sorted(self.delays[mention] for mention in asked if mention in self.delays) or [math.nan]
        shares = "".join(f"{1000 * delays[int(share * (len(delays) - 1))]:>8.0f}" for share in (0.5, 0.95, 0.99, 1.0))
        print(f"{name:<22}{len(asked):>9}{len(delays) - refused:>9}{refused:>9}{shares}{memory:>9.0f}", flush=True)

    def recovered(self, mentions: range) -> float:
        """Seconds after the first of some mentions from which on none was refused or took more than a second."""
        asked = [mention for mention in self.asked if mention in mentions]
        late = [each for each in asked if each in self.refused or self.delays.get(each, PATIENCE) > 1.0]
        return self.asked[late[-1]] - self.asked[asked[0]] if late else 0.0


async def measure_load(options: argparse.Namespace, models: Path, names: Sequence[str]) -> None:
    """Print what became of all mentions."""
    swaps = itertools.count(1)

    def publish() -> None:
        (models / "current.new").write_text(names[next(swaps) % len(names)], encoding="utf-8")
        os.replace(models / "current.new", models / "current")

    async with running("chinwag", models, options.guilds) as bot:
        load = Load(bot, options, publish)
        heads = "".join(f"{head:>8}" for head in ("50 %", "95 %", "99 %", "all, ms"))
        print(f"{'':<22}{'mentions':>9}{'answered':>9}{'refused':>9}{heads}{'MiB':>9}")
        for number in range(1, PARTS + 1):
            await load.part(f"{number * options.seconds / PARTS:.0f} s", options.seconds / PARTS)
        if options.overload:
            await load.part(f"{options.overload:.0f} s of {OVERLOAD:.0f} times that", options.overload, OVERLOAD)
            calm = await load.part("after it", CALM)
        await load.finish()
        load.tell()
        if options.overload:
            print(f"all answered within a second again {load.recovered(calm):.1f} s after it")
        outcomes = await bot.ask("outcomes")
    counted = Counter(int(reply["message_reference"]["message_id"]) for reply in bot.server.replies)
    once, often = sum(count == 1 for count in counted.values()), sum(count > 1 for count in counted.values())
    print(f"replied to once {once}, more often {often}, never {len(load.asked.keys() - counted.keys())}; {outcomes}")
    print(f"{next(swaps) - 1} new models taken")


async def serve(kind: str, base: str, models: Path) -> None:
    """Be a bot, and answer what the driver asks on stdin."""
    import discord
    from discord.ext import commands

    from bot.client import ChinwagClient
    from bot.cog import Chinwag
    from bot.config import BotConfig
    from bot.live_model import ReplyModel, ServerModels
    from bot.startup import make_cog, use_api_base
    from bot.status import resident_memory
    from model.reply import Question, Reply

    thought: list[float] = []

    class Timed:
        """A model that notes how long it thought."""

        def __init__(self, model: ReplyModel) -> None:
            self._model = model

        def replies(self, questions: Sequence[Question]) -> list[Reply]:
            start = time.perf_counter()
            replies = self._model.replies(questions)
            thought.append(time.perf_counter() - start)
            return replies

    class TimedModels(ServerModels):
        def of(self, server: int) -> Any:
            return Timed(super().of(server))

    class Echo(commands.Cog):
        @commands.Cog.listener()
        async def on_message(self, message: discord.Message) -> None:
            if bot.user in message.mentions:
                await message.reply("sure", mention_author=False)

    config = BotConfig(models=models, api_base=base)
    if kind == "echo":
        bot = ChinwagClient(lambda bot: Echo(), tell=lambda text: None)
    else:
        made = make_cog(config)
        assert isinstance(made, partial)
        bot = ChinwagClient(partial(made, models=TimedModels(models)), tell=lambda text: None)
    await use_api_base(base)

    def tell(question: str) -> None:
        cog = bot.get_cog("Chinwag")
        answers = {"thought": thought, "memory": resident_memory()}
        if isinstance(cog, Chinwag):
            answers["outcomes"] = dict(cog.status.outcomes)
        print(json.dumps(answers[question]), flush=True)

    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin, lambda: tell(sys.stdin.readline().strip()))
    bot.add_listener(partial(print_ready, bot), "on_ready")
    async with bot:
        await bot.start("test-token")


async def print_ready(bot: Any) -> None:
    """Tell the driver that it can begin."""
    print("ready", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["overhead", "load"], help="overhead, load")
    parser.add_argument("--mentions", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--guilds", type=int, default=200)
    parser.add_argument("--messages", type=float, default=50.0)
    parser.add_argument("--mentions-a-second", type=float, default=5.0)
    parser.add_argument("--overload", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--base", help=argparse.SUPPRESS)
    parser.add_argument("--models", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.base:
        asyncio.run(serve(options.what[0], options.base, options.models))
        return
    from model.bundle import PRETRAINED

    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder)
        names = "20260101-000000", "20260101-000001"
        for name in names:
            shutil.copytree(PRETRAINED, models / name)
        (models / "current").write_text(names[0], encoding="utf-8")
        if "overhead" in options.what:
            asyncio.run(measure_overhead(options.mentions, models))
        if "load" in options.what:
            asyncio.run(measure_load(options, models, names))


if __name__ == "__main__":
    main()
