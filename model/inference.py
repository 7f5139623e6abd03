"""The two graphs of a bundle: token ids in, log probabilities out, one step at a time (ONNX Runtime)."""

import functools
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from model.bundle import DECODER, ENCODER, WEIGHTS
from model.graph import check_graph
from model.tokenizer import PAD

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

LIKELIHOODS, ATTENTION = "log_probabilities", "attention"
"""Names of what the decoder's graph gives beside its state."""

_NEW = "new_"  # what comes before the names of the state after a step

_LOADING = threading.Lock()
_TO_LOAD, _TO_LOAD_A_BYTE = 64 << 20, 16
"""Bytes that may be taken to load graphs, and besides for each byte of their weights; the shipped ones take 2."""


def padded(sequences: Sequence[Sequence[int]]) -> Ids:
    """Token ids of any lengths as rows `[batch, time]`, the shorter ones with `PAD` behind."""
    ids = np.full((len(sequences), max(map(len, sequences))), PAD, np.int64)
    for row, sequence in zip(ids, sequences, strict=True):
        row[: len(sequence)] = sequence
    return ids


@dataclass(frozen=True)
class State:
    """What the decoder knows between two steps; every array begins with the batch.

    Attributes:
        context: what attention looks at; the same in every step. Empty in a network without attention.
        layers: the output h of each recurrent layer and, of an LSTM, its cell c; of a Transformer's, the keys and
            values of what was written.
    """

    context: dict[str, Array]
    layers: dict[str, Array]

    def take(self, rows: Ids) -> "State":
        """The state of some rows, in any order and as often as named: `[0, 0, 0]` makes three candidates of one.

        A context that is alone is not copied: it serves all rows.
        """
        return State(
            {name: value if len(value) == 1 else value[rows] for name, value in self.context.items()},
            {name: value[rows] for name, value in self.layers.items()},
        )

    def first(self, count: int) -> "State":
        """The state of the first rows, not copied."""
        return State(
            {name: value[:count] for name, value in self.context.items()},
            {name: value[:count] for name, value in self.layers.items()},
        )


class Inference:
    """A network ready to run; safe to share between threads."""

    def __init__(self, directory: Path, *, threads: int = 1) -> None:
        """Load the graphs of a bundle.

        Raises:
            ValueError: a graph is not of the kind that training writes.
            Exception: whatever ONNX Runtime raises for what it cannot load.
        """
        weights = (directory / WEIGHTS).stat().st_size
        for name in (ENCODER, DECODER):
            try:
                check_graph((directory / name).read_bytes(), WEIGHTS, weights)
            except ValueError as error:
                raise ValueError(f"{name} is no graph of ours: {error}") from error
        _bound_work()
        options = onnxruntime.SessionOptions()
        options.add_session_config_entry("session.use_env_allocators", "1")
        options.intra_op_num_threads = options.inter_op_num_threads = threads
        options.log_severity_level = 4  # errors come as exceptions too
        load = onnxruntime.InferenceSession
        providers = ["CPUExecutionProvider"]
        with _bounded(_TO_LOAD + _TO_LOAD_A_BYTE * weights):
            self._encoder = load(directory / ENCODER, options, providers=providers)
            self._decoder = load(directory / DECODER, options, providers=providers)
        self._encoded = [output.name for output in self._encoder.get_outputs()]
        self._reads = any(len(each.shape) == 2 for each in self._decoder.get_inputs() if each.name == "tokens")
        decoded = [output.name for output in self._decoder.get_outputs()]
        self._attends = ATTENTION in decoded
        self._states = [name for name in decoded if name.startswith(_NEW)]

    def encode(self, contexts: Sequence[Sequence[int]]) -> State:
        """Read contexts of any lengths, none of them empty, together."""
        results = self._encoder.run(self._encoded, {"ids": padded(contexts)})
        values = dict(zip(self._encoded, results, strict=True))
        layers = {name: values.pop(name) for name in self._encoded if _NEW + name in self._states}
        return State(values, layers)

    def step(self, tokens: Ids, state: State) -> tuple[Floats, State]:
        """Write one token.

        Args:
            tokens: the last token of each row, `[batch]`.
            state: as `encode` or the step before returned it.

        Returns:
            Log probabilities of the next token, `[batch, vocabulary]`, in nats, and the new state.
        """
        likelihoods, state = self._run(LIKELIHOODS, tokens[:, np.newaxis], state)
        return likelihoods[:, 0], state

    def read(self, tokens: Ids, state: State) -> Floats | None:
        """Log probabilities after each of several tokens; None for a network that reads one after the other.

        Args:
            tokens: of each row, `[batch, time]`.
            state: as `encode` or a step returned it.

        Returns:
            `[batch, time, vocabulary]`, in nats.
        """
        return self._run(LIKELIHOODS, tokens, state)[0] if self._reads else None

    def attention(self, context: Sequence[int], tokens: Sequence[int]) -> Floats | None:
        """How much each step of a reply looks at each token of its context; None for a network that cannot.

        Args:
            context: token ids.
            tokens: what is read at each step: a start token and the reply but for its last one.

        Returns:
            Shares, `[reply, context]`; each row adds up to 1.
        """
        if not self._attends:
            return None
        state, rows = self.encode([context]), list[Floats]()
        if self._reads:
            (weights,) = self._run(ATTENTION, np.array([tokens]), state)[0]
            return np.asarray(weights)
        for token in tokens:
            weights, state = self._run(ATTENTION, np.array([[token]]), state)
            rows.append(weights[0, 0])
        return np.stack(rows)

    def _run(self, wanted: str, tokens: Ids, state: State) -> tuple[Floats, State]:
        """One of the results after tokens `[batch, time]`, `[batch, time, ...]`, and the state after the last."""
        names, read = [wanted, *self._states], tokens if self._reads else tokens[:, 0]
        result, *states = self._decoder.run(names, {"tokens": read, **state.context, **state.layers})
        layers = {name.removeprefix(_NEW): value for name, value in zip(self._states, states, strict=True)}
        return result if self._reads else result[:, np.newaxis], State(state.context, layers)


@functools.cache
def _bound_work() -> None:
    """Let all graphs of the process share one allocator, which takes no more than half of the machine's memory.

    One for each model would keep what its largest batch took.
    """
    place = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    onnxruntime.create_and_register_allocator(place, onnxruntime.OrtArenaCfg({"max_mem": _memory() // 2}))


def _memory() -> int:
    """Bytes of memory that the machine has; a guess where it does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 8 << 30


@contextmanager
def _bounded(size: int) -> Iterator[None]:
    """Let the process take no more than so many bytes of address space meanwhile; only Linux tells how many it has.

    What depends on weights alone ONNX Runtime computes as it loads a graph, and not with its allocator.
    """
    if sys.platform != "linux":
        yield
        return
    import resource

    with _LOADING:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        most = pages * resource.getpagesize() + size
        if soft == resource.RLIM_INFINITY or most < soft:
            resource.setrlimit(resource.RLIMIT_AS, (most, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
