"""Cold start to first reply, and the memory it takes: `python tests/benchmarks/start.py` (Linux).

Each process is started from nothing, in turns, so that a busy machine treats all alike; medians are printed, and the
ratio to a Python that does nothing. "first reply" ends when the reply is there: on stdout for the chat, at a
Discord on loopback for the bot. The last rows are what the same start would cost with other libraries. Less memory
than this script itself has, some 40 MiB, cannot be seen.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.discord_server import DiscordServer  # noqa: E402

ROUNDS = 5
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}

Measured = tuple[float, float]
"""Seconds and MiB of resident memory at the highest."""


def run(*arguments: str, stdin: str = "") -> Measured:
    """Run Python to its end."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments], env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    assert process.stdin is not None
    process.stdin.write(stdin.encode())
    process.stdin.close()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{arguments} failed")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def reply_on_discord() -> Measured:
    """Start the bot, mention it as soon as it is ready, and wait for the reply."""
    return asyncio.run(_reply_on_discord())


async def _reply_on_discord() -> Measured:
    async with DiscordServer() as server:
        environment = {**ENVIRONMENT, "DISCORD_TOKEN": server.token, "CHINWAG_API_BASE": server.base}
        start = time.perf_counter()
        bot = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", "run", env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        try:
            await server.until(lambda: server.gateway.sessions, patience=60)
            await server.say(server.user("alice"), f"{server.mention} how are you?")
            await server.until(lambda: server.replies, patience=60)
            seconds = time.perf_counter() - start
            return seconds, highest_memory(bot.pid)
        finally:
            bot.terminate()
            await bot.wait()


def highest_memory(pid: int) -> float:
    """MiB that a running process has had resident at the most."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


CASES: dict[str, Callable[[], Measured]] = {
    "Python, nothing imported": lambda: run("-c", ""),
    "chinwag chat, first reply": lambda: run("-m", "bot", "chat", stdin="how are you?\n"),
    "chinwag run, first reply on Discord": reply_on_discord,
    "import discord": lambda: run("-c", "import discord"),
    "import onnxruntime": lambda: run("-c", "import onnxruntime"),
    "import tensorflow": lambda: run("-c", "import tensorflow"),
}


def main() -> None:
    results: dict[str, list[Measured]] = {name: [] for name in CASES}
    for _ in range(ROUNDS):
        for name, case in CASES.items():
            results[name].append(case())
    base = statistics.median(seconds for seconds, _ in results["Python, nothing imported"])
    print(f"{'':38}{'seconds':>9}{'ratio':>8}{'MiB':>8}")
    for name, rows in results.items():
        seconds, mebibytes = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"{name:38}{seconds:9.2f}{seconds / base:8.1f}{mebibytes:8.0f}")


if __name__ == "__main__":
    main()
