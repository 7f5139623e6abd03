"""A server's model trained from Discord, with the real trainer: `python tests/soak/retrain.py EXPORT [EXPORT...]`.

The bot runs as an admin starts it. An admin has it retrain: the first file is attached to the command, the others lie
in the folder of exports. Until the new model answers, members talk to the bot, one every other second, and once the bot
is killed and started again. Each new state of the message with the progress is printed, then how long replies took
before and during the training, and whether every mention was answered once. Needs the extra `train`; Linux.
"""

import argparse
import asyncio
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from model.bundle import CURRENT, bundles  # noqa: E402
from tests.discord_server import DiscordServer, Payload  # noqa: E402

LINES = "how are you?", "what did you do today?", "any plans?", "did you see the game?", "what should i eat?"
CALM, PAUSE, KILL_AFTER = 20, 2.0, 60.0  # mentions before the training; seconds between them; seconds of training


class Talk:
    """Members who talk to the bot in turns, and how long each reply took."""

    def __init__(self, server: DiscordServer) -> None:
        self._server, self._members = server, [server.user(f"member {number}") for number in range(10)]
        self.delays: list[float] = []

    async def ask(self, times: int = 1) -> None:
        """Say something and wait for the reply."""
        server = self._server
        for _ in range(times):
            start, number = time.perf_counter(), len(self.delays)
            member, line = self._members[number % len(self._members)], LINES[number % len(LINES)]
            said = await server.say(member, f"{server.mention} {line}")
            await server.until(lambda said=said: replies_to(server, said), patience=60)
            self.delays.append(time.perf_counter() - start)
            await asyncio.sleep(PAUSE)


def replies_to(server: DiscordServer, message: Payload) -> list[Payload]:
    answered = ((each, each.get("message_reference", {}).get("message_id", 0)) for each in server.replies)
    return [each for each, target in answered if int(target) == int(message["id"])]


def tell(begun: float, progress: Payload) -> None:
    print(f"{time.perf_counter() - begun:6.0f} s: {' / '.join(progress['content'].splitlines())}", flush=True)


async def start(server: DiscordServer, folder: Path) -> asyncio.subprocess.Process:
    """The bot, ready."""
    environment = {"DISCORD_TOKEN": server.token, "CHINWAG_API_BASE": server.base, "PYTHONPATH": str(ROOT)}
    server.gateway.sessions = {}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "run"),
        env={**os.environ, **environment},
        cwd=folder,
        stdout=asyncio.subprocess.DEVNULL,
    )
    await server.until(lambda: server.gateway.sessions, patience=60)
    return process


async def soak(exports: list[Path], folder: Path) -> None:
    """Print what happened."""
    async with DiscordServer() as server:
        admin, talk = server.user("carol"), Talk(server)
        kept = folder / "exports" / server.guild_id
        kept.mkdir(parents=True)
        for each in exports[1:]:
            (shutil.copytree if each.is_dir() else shutil.copy)(each, kept / each.name)
        process = await start(server, folder)
        try:
            await talk.ask(CALM)
            before, talk.delays = talk.delays, []
            token = await server.command(
                *(admin, "chinwag-admin", "retrain"), files={"logs1": (exports[0].name, exports[0].read_bytes())}
            )
            await server.until(lambda: len(server.answers.get(token, ())) > 1, patience=60)
            print(server.answers[token][-1]["content"])
            (progress,) = [each for each in server.messages.values() if each.get("components")]
            shown, begun, killed = "", time.perf_counter(), False
            while progress.get("components"):
                await talk.ask()
                if (state := re.sub(r"\d", "#", progress["content"])) != shown:
                    shown = state
                    tell(begun, progress)
                if not killed and time.perf_counter() - begun > KILL_AFTER:
                    killed = True
                    process.kill()
                    await process.wait()
                    process = await start(server, folder)
            tell(begun, progress)
            await talk.ask(CALM)
        finally:
            process.terminate()
            await process.wait()
        asked = [each for each in server.messages.values() if server.mention in each["content"]]
        once = sum(len(replies_to(server, each)) == 1 for each in asked)
    own = folder / "models" / "guilds" / server.guild_id
    live = (own / CURRENT).resolve().name if (own / CURRENT).exists() else "the shipped one"
    print(f"{once} of {len(asked)} mentions answered once; live: {live} of {[each.name for each in bundles(own)]}")
    for name, delays in (("before", before), ("during and after", talk.delays)):
        print(f"{name}: half within {statistics.median(delays):.2f} s, all within {max(delays):.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exports", nargs="+", type=Path)
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(soak(parser.parse_args().exports, Path(folder)))


if __name__ == "__main__":
    main()
