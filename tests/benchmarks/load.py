"""How much the bot answers, and how soon: `python tests/benchmarks/load.py`.

    python tests/benchmarks/load.py [--models DIR] [--seconds 30] [--workers 2] [--batch 1 2 4 8]

Questions go through the bot's own queue to the live model (or the shipped one), with 8 candidates each, and with 8 to
2, the fewer the more wait, as the bot does it. For each, and each batch size:

- throughput: replies a second while 32 questions wait at all times;
- delay: median and 95th percentile from question to answer, with questions that come by chance (Poisson) at 80 % of
  that rate;
- loop: the longest and the 99th percentile of how late the event loop was meanwhile, asked every millisecond.

They take turns in short rounds, so that a busy machine treats all alike.
"""

import argparse
import asyncio
import itertools
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from bot import reply_queue  # noqa: E402
from bot.live_model import LiveModel  # noqa: E402
from bot.reply_queue import ReplyQueue  # noqa: E402
from model.dialogue import Turn  # noqa: E402
from model.reply import Question  # noqa: E402

WAITING, LOAD, ROUNDS = 32, 0.8, 3
MOST = 8  # candidates
LINES = """
hello! how are you today?|what did you do last weekend? anything fun?|do you have any pets? i have two cats
i am so tired of studying|have you seen any good movies lately?|where are you from?|what should i cook for dinner?
tell me something about yourself|i went hiking with my brother and it rained all day|do you like your job?
what kind of music do you listen to? i love old jazz records|good night!|did you watch the game yesterday?
my phone fell into the lake, so now i have no photos of our trip at all, which makes me really sad
""".strip().replace("\n", "|")


@dataclass
class Measured:
    """What a batch size gave: replies and seconds at full load; delays and latenesses, in seconds, at less."""

    replies: int = 0
    seconds: float = 0.0
    delays: list[float] = field(default_factory=list)
    latenesses: list[float] = field(default_factory=list)

    @property
    def throughput(self) -> float:
        return self.replies / self.seconds


def questions(seed: int) -> "itertools.chain[Question]":
    rng = np.random.default_rng(seed)
    lines = LINES.split("|")
    endless = (Question([Turn("ann", lines[rng.integers(len(lines))])], rng.spawn(1)[0]) for _ in itertools.count())
    return itertools.chain(endless)


async def full(queue: ReplyQueue, seconds: float, measured: Measured) -> None:
    """Keep as many waiting as there is room for."""
    end, source = time.perf_counter() + seconds, questions(1)

    async def ask() -> None:
        while time.perf_counter() < end:
            await queue.reply(next(source), 1)
            measured.replies += 1

    start = time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(WAITING)))
    measured.seconds += time.perf_counter() - start


async def partial(queue: ReplyQueue, seconds: float, measured: Measured) -> None:
    """Questions that come by chance."""
    rng, source, asked = np.random.default_rng(2), questions(3), []

    async def ask() -> None:
        start = time.perf_counter()
        await queue.reply(next(source), 1)
        measured.delays.append(time.perf_counter() - start)

    async def watch() -> None:
        while True:
            start = time.perf_counter()
            await asyncio.sleep(0.001)
            measured.latenesses.append(time.perf_counter() - start - 0.001)

    watching = asyncio.create_task(watch())
    start = due = time.perf_counter()
    while (due := due + rng.exponential(1 / (LOAD * measured.throughput))) < start + seconds:
        await asyncio.sleep(max(due - time.perf_counter(), 0))
        asked.append(asyncio.create_task(ask()))
    await asyncio.gather(*asked)
    watching.cancel()


async def measure(options: argparse.Namespace) -> dict[tuple[int, int], Measured]:
    """By the batch size, and the fewest candidates that there may be."""
    fewest = (MOST, reply_queue._FEWEST_CANDIDATES)
    model, results = LiveModel(options.models), {way: Measured() for way in itertools.product(options.batch, fewest)}
    for _ in range(ROUNDS):
        for (batch, reply_queue._FEWEST_CANDIDATES), measured in results.items():
            queue = ReplyQueue(lambda server: model, workers=options.workers, max_waiting=10**6, max_batch=batch)
            await full(queue, options.seconds / ROUNDS, measured)
            await partial(queue, options.seconds / ROUNDS, measured)
            await queue.close()
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 2, 4, 8])
    options = parser.parse_args()
    print(f"{'batch':>5}{'candidates':>12}{'replies/s':>11}{'median':>10}{'95th':>10}{'loop, 99th':>12}{'longest':>10}")
    for (batch, fewest), measured in asyncio.run(measure(options)).items():
        delays, late = (np.array(each) * 1000 for each in (measured.delays, measured.latenesses))
        candidates = f"{MOST}" if fewest == MOST else f"{MOST} to {fewest}"
        print(
            f"{batch:>5}{candidates:>12}{measured.throughput:>11.1f}{statistics.median(delays):>7.0f} ms"
            f"{np.percentile(delays, 95):>7.0f} ms{np.percentile(late, 99):>9.1f} ms{late.max():>7.1f} ms"
        )


if __name__ == "__main__":
    main()
