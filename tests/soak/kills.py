"""The bot is killed again and again while it works: `python tests/soak/kills.py [--kills 100]` (Linux).

Each time it is started as an admin starts it, and killed with SIGKILL at a random moment while members talk to it and
opt out, and admins change settings. What it has said to be done must be on the disk then, the files must be whole, and
the live model must load. Every tenth time another model is made live meanwhile.
"""

import argparse
import asyncio
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from bot.stores import Stores  # noqa: E402
from model.bundle import PRETRAINED, Bundle, live_bundle, make_live  # noqa: E402
from model.chatbot import ChatBot  # noqa: E402
from tests.discord_server import DiscordServer, Payload  # noqa: E402

LONGEST = 1.5  # seconds from the start of the load to the kill
NAMES = "20260101-000000", "20260101-000001"


class Promises:
    """What the bot has said to be done."""

    def __init__(self, server: DiscordServer) -> None:
        self._server = server
        self._optouts: dict[str, Payload] = {}
        self._changes: dict[str, int] = {}
        self._lives: dict[str, int] = {}
        self.mentions, self.life = 0, 0

    async def make(self, rng: random.Random, number: int) -> None:
        """Ask for things until the bot is gone."""
        server, member, self.life = self._server, self._server.user(f"member {number}"), number
        await server.say(member, f"{server.mention} how are you?")
        self.mentions += 1
        self._optouts[await server.command(member, "chinwag", "optout")] = member
        if not self._changes or self._over([*self._changes][-1]):  # one after the other, so that the last one counts
            percent = rng.randrange(101)
            token = await server.command(member, "chinwag-admin", "set", setting="chance", value=f"{percent} %")
            self._changes[token] = percent
            self._lives[token] = number

    def _over(self, token: str) -> bool:
        return token in self._server.answers or self._lives[token] < self.life

    def check(self, stores: Stores) -> tuple[int, int]:
        """Compare them with the files; how many opt-outs and changes were promised."""
        said = {token: str(answers[-1]) for token, answers in self._server.answers.items()}
        promised = {member["id"] for token, member in self._optouts.items() if "Done" in said.get(token, "")}
        lost = promised - stores.consent.excluded()
        assert not lost, f"{len(lost)} people who opted out are forgotten"
        changes = [(place, token) for place, token in enumerate(self._changes) if "Chance" in said.get(token, "")]
        if changes:
            last, token = changes[-1]
            possible = {self._changes[each] for place, each in enumerate(self._changes) if place >= last}
            found = round(100 * stores.settings.of(int(self._server.guild_id)).chance)
            assert found in possible, f"{found} % is set, not {self._changes[token]} %"
        return len(promised), len(changes)


async def one_life(server: DiscordServer, models: Path, promises: Promises, rng: random.Random, number: int) -> None:
    """Start the bot, talk to it, and kill it."""
    environment = {"DISCORD_TOKEN": server.token, "CHINWAG_API_BASE": server.base, "CHINWAG_MODELS": str(models)}
    server.gateway.sessions = {}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "run"),
        env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout
    assert await asyncio.wait_for(process.stdout.readline(), 60), "the bot did not start"
    end = time.perf_counter() + rng.random() * LONGEST
    while time.perf_counter() < end:
        with suppress(ConnectionError):
            await promises.make(rng, number)
        if number % 10 == 9:
            make_live(models, rng.choice(NAMES))
        await asyncio.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    await process.wait()


async def soak(kills: int) -> None:
    """Print what came of all lives."""
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder) / "models"
        for name in NAMES:
            shutil.copytree(PRETRAINED, models / name)
        make_live(models, NAMES[0])
        async with DiscordServer() as server:
            promises, found = Promises(server), (0, 0)
            for number in range(kills):
                await one_life(server, models, promises, rng, number)
                found = promises.check(Stores.open(models))
                Bundle.open(live_bundle(models))
                print(f"\r{number + 1} kills, {found[0]} opt-outs and {found[1]} changes kept", end="", flush=True)
            ChatBot.load(live_bundle(models))
            print(f"; {promises.mentions} mentions, {len(server.replies)} replies")
            left = [path.name for path in models.iterdir() if path.name.startswith(".") and path.name != ".bot"]
            print(f"left behind: {left or 'nothing'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    asyncio.run(soak(parser.parse_args().kills))


if __name__ == "__main__":
    main()
