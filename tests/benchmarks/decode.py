"""Speed of answering beside other ways to run the same network: `python tests/benchmarks/decode.py` (needs `[bench]`).

    python tests/benchmarks/decode.py [WAY ...] [--preset base] [--rounds 9]

Each way is a process of its own with one thread, and has the same weights, drawn at random: how long a step takes does
not depend on them. Before anything is timed, each must give nearly the same probabilities as the network in Keras; but
for CTranslate2, which has layers of the same number and size that compute something else. Then they take turns, round
by round, so that a busy machine treats all alike. Medians are printed, in milliseconds:

- greedy: 20 tokens after a context of 40, the likeliest each time;
- eight: 8 sampled candidates of 20 tokens, with log p(reply) beside log p(reply | context), as the bot's ranking needs
  them. The ways that give log probabilities are driven by the bot's own `model.decoding.write`.

The last line sets the time of a greedy token beside the time that reading the weights of a step from memory takes, at
the rate at which the same process reads a large array.

Ways: `chinwag`, what the bot does (int8 graphs, a step at a time, ONNX Runtime); `float`, the same graphs in float32;
`loop`, the same int8 graphs as one whose Loop writes the greedy reply; `torch`, PyTorch with cached keys and values;
`torch-int8`, its layers quantised dynamically; `litert`, an int8 step of LiteRT with caches of fixed size;
`litert-loop`, all of the greedy reply in LiteRT; `ctranslate2` in int8; `keras`, the textbook's loop: `predict` for
each token.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from model.decoding import Network, Request, write  # noqa: E402
from model.sampling import SamplingConfig, log_softmax  # noqa: E402
from model.tokenizer import START  # noqa: E402
from training.loading import SETTINGS, load_tensorflow  # noqa: E402
from training.presets import PRESETS  # noqa: E402

WAYS = ("chinwag", "float", "loop", "torch", "torch-int8", "litert", "litert-loop", "ctranslate2", "keras")
VOCABULARY, CONTEXT, REPLY, CANDIDATES = 4096, 40, 20, 8
FIRST_ID = 16  # below are the ids of markers and bytes
TOLERANCE = 0.15
"""Of log probabilities, in shares of their spread: int8 is off by some hundredths, another network by one."""

Greedy = Callable[[list[int]], Any]


def contexts(count: int) -> list[list[int]]:
    return np.random.default_rng(1).integers(FIRST_ID, VOCABULARY, (count, CONTEXT)).tolist()


def network(preset: str) -> Any:
    """A network with the weights that all ways have."""
    import keras

    from model.seq2seq import build

    keras.utils.set_random_seed(0)
    made, rng = build(PRESETS[preset].shape(VOCABULARY)), np.random.default_rng(0)
    for variable in made.trainable_variables:  # as busy as trained ones
        if variable.ndim > 1:
            variable.assign(rng.normal(0, 1 / np.sqrt(variable.shape[0]), variable.shape))
    made.embedding.embeddings.assign(rng.normal(0, 0.2, made.embedding.embeddings.shape))
    return made


class Way:
    """A way to answer.

    Attributes:
        steps: gives log probabilities a token at a time; None for one that only writes whole replies.
        greedy: writes the likeliest reply to a context.
        eight: writes candidates; None for one that cannot.
        weights: bytes of weights that a step reads; 0 where it is not known.
    """

    def __init__(
        self, steps: Network | None, greedy: Greedy | None = None, eight: Greedy | None = None, weights: int = 0
    ) -> None:
        self.steps, self.weights = steps, weights
        self.greedy = greedy or self._greedy
        self.eight = eight or (self._eight if steps else None)

    def _write(self, context: list[int], temperature: float, candidates: int) -> Any:
        config = SamplingConfig(temperature=temperature, min_tokens=REPLY, max_tokens=REPLY)
        request = Request(context, config, np.random.default_rng(0), candidates)
        return write(self.steps, [request], max_tokens=REPLY, prior=candidates > 1)  # type: ignore[arg-type]

    def _greedy(self, context: list[int]) -> Any:
        return self._write(context, 0.0, 1)

    def _eight(self, context: list[int]) -> Any:
        return self._write(context, 0.9, CANDIDATES)


def log_probabilities(steps: Network, context: Sequence[int], reply: Sequence[int]) -> Any:
    """Of all tokens after each of a reply, `[time, vocabulary]`."""
    state, rows = steps.encode([context]), []
    for token in reply:
        likelihoods, state = steps.step(np.array([token]), state)
        rows.append(likelihoods[0])
    return np.stack(rows)


def difference(way: Way, ours: Any) -> float:
    """Root mean square difference of its log probabilities from the network's on one reply, a share of their spread."""
    import tensorflow as tf

    if way.steps is None:
        return 0.0
    (context,) = contexts(1)
    reply = [START, *range(FIRST_ID, FIRST_ID + 9)]
    expected = log_softmax(np.asarray(ours(tf.constant([context]), tf.constant([reply])))[0])
    errors = log_probabilities(way.steps, context, reply) - expected
    return float(np.sqrt((errors**2).mean()) / expected.std())


def _chinwag(ours: Any, *, quantized: bool) -> Way:
    import onnx

    from model.bundle import DECODER
    from model.inference import Inference
    from model.onnx_graph import export

    with tempfile.TemporaryDirectory() as folder:
        export(ours, Path(folder), quantized=quantized)
        graph = onnx.load(Path(folder) / DECODER, load_external_data=False).graph
        places = [{entry.key: entry.value for entry in tensor.external_data} for tensor in graph.initializer]
        weights = sum(int(place.get("length", 0)) for place in places)
        return Way(Inference(Path(folder)), weights=weights)


def read_rate() -> float:
    """Bytes of memory that a thread reads in a second: the best of some tries on more than any cache holds."""
    array, times = np.ones(2**25, np.int64), []
    for _ in range(3):
        start = time.perf_counter()
        array.max()
        times.append(time.perf_counter() - start)
    return float(array.nbytes / min(times))


def _make(name: str, ours: Any) -> Way:
    from tests.benchmarks import peers

    ways: dict[str, Callable[[], Way]] = {
        "chinwag": lambda: _chinwag(ours, quantized=True),
        "float": lambda: _chinwag(ours, quantized=False),
        "loop": lambda: Way(None, peers.onnx_loop(ours)),
        "torch": lambda: Way(peers.TorchSteps(ours, quantized=False)),
        "torch-int8": lambda: Way(peers.TorchSteps(ours, quantized=True)),
        "litert": lambda: Way(peers.LiteRTSteps(ours)),
        "litert-loop": lambda: Way(None, peers.litert_loop(ours)),
        "ctranslate2": lambda: Way(None, *peers.ctranslate2(ours.config)),
        "keras": lambda: Way(None, peers.keras_predict(ours)),
    }
    return ways[name]()


def serve(name: str, preset: str) -> None:
    """Answer once for each line that comes in, and say how many seconds it took."""
    ours = network(preset)
    way = _make(name, ours)
    (context,) = contexts(1)
    for answer in filter(None, (way.greedy, way.eight)):
        answer(context)
    print(json.dumps(difference(way, ours)), flush=True)
    for line, context in zip(sys.stdin, contexts(999), strict=False):
        if line.strip() == "memory":
            print(json.dumps((way.weights, read_rate())), flush=True)
            continue
        answer = {"greedy": way.greedy, "eight": way.eight}[line.strip()]
        start = time.perf_counter()
        if answer is not None:
            answer(context)
        print(json.dumps(time.perf_counter() - start if answer else None), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ways", nargs="*", choices=[*WAYS, []], metavar="WAY")
    parser.add_argument("--preset", default="base", choices=[*PRESETS])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        load_tensorflow()
        serve(options.serve, options.preset)
        return
    pinned = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OPENBLAS_NUM_THREADS")
    environment = {**SETTINGS, **os.environ, **dict.fromkeys(pinned, "1")}
    processes: dict[str, subprocess.Popen[str]] = {}
    times: dict[tuple[str, str], list[float]] = {}

    def ask(name: str, question: str) -> Any:
        process = processes[name]
        assert process.stdin
        assert process.stdout
        if question:
            process.stdin.write(f"{question}\n")
            process.stdin.flush()
        return json.loads(process.stdout.readline())

    for name in options.ways or WAYS:
        processes[name] = subprocess.Popen(
            [sys.executable, __file__, f"--preset={options.preset}", f"--serve={name}"],
            **{"env": environment, "stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True},
        )
        found = ask(name, "")
        print(f"{name}: ready, {found:.4f} off", file=sys.stderr)
        if found > TOLERANCE:
            raise SystemExit(f"{name} is another network: its log probabilities are {found:.3f} of their spread off")
    for number in range(options.rounds):
        for name in processes:
            if name == "keras" and number > 2:  # it takes seconds
                continue
            for question in ("greedy", "eight"):
                seconds = ask(name, question)
                if seconds is not None:
                    times.setdefault((name, question), []).append(1000 * seconds)
    medians = {key: statistics.median(each) for key, each in times.items()}
    print(f"{'':<14}{'greedy':>12}{'of chinwag':>12}{'eight':>12}{'of chinwag':>12}")
    for name in processes:
        row = f"{name:<14}"
        for question in ("greedy", "eight"):
            value, own = medians.get((name, question)), medians.get(("chinwag", question))
            row += f"{value:>9.1f} ms" if value else f"{'':>12}"
            row += f"{value / own:>12.2f}" if value and own else f"{'':>12}"
        print(row.rstrip())
    if "chinwag" in processes:
        weights, rate = ask("chinwag", "memory")
        token, least = medians["chinwag", "greedy"] / REPLY, 1000 * weights / rate
        print(
            f"A token takes {token:.2f} ms; its {weights / 1e6:.1f} MB of weights, at {rate / 1e9:.1f} GB a second, "
            f"{least:.2f} ms: {token / least:.1f} times as long."
        )
    for process in processes.values():
        process.kill()


if __name__ == "__main__":
    main()
