"""The two graphs of a bundle: token ids in, logits out, one step at a time (ONNX Runtime)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from model.bundle import DECODER, ENCODER
from model.tokenizer import PAD

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class State:
    """What the decoder knows between two steps; every array begins with the batch.

    Attributes:
        context: what attention looks at; the same in every step. Empty in a network without attention.
        layers: the output h of each layer and, of an LSTM, its cell c.
    """

    context: dict[str, Array]
    layers: dict[str, Array]

    def take(self, rows: npt.NDArray[np.int64]) -> "State":
        """The state of some rows, in any order and as often as named: `[0, 0, 0]` makes three candidates of one."""
        return State(
            {name: value[rows] for name, value in self.context.items()},
            {name: value[rows] for name, value in self.layers.items()},
        )


class Inference:
    """A network ready to run; safe to share between threads."""

    def __init__(self, directory: Path, *, threads: int = 1) -> None:
        """Load the graphs of a bundle.

        Raises:
            Exception: whatever ONNX Runtime raises for a file that is no graph.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = threads
        options.log_severity_level = 4  # errors come as exceptions too
        load = onnxruntime.InferenceSession
        providers = ["CPUExecutionProvider"]
        self._encoder = load(directory / ENCODER, options, providers=providers)
        self._decoder = load(directory / DECODER, options, providers=providers)
        self._encoded = [output.name for output in self._encoder.get_outputs()]
        self._decoded = [output.name for output in self._decoder.get_outputs()]

    def encode(self, contexts: Sequence[Sequence[int]]) -> State:
        """Read contexts of any lengths, none of them empty, together."""
        ids = np.full((len(contexts), max(map(len, contexts))), PAD, np.int64)
        for row, context in zip(ids, contexts, strict=True):
            row[: len(context)] = context
        values = dict(zip(self._encoded, self._encoder.run(self._encoded, {"ids": ids}), strict=True))
        layers = {name: values.pop(name) for name in self._encoded if f"new_{name}" in self._decoded}
        return State(values, layers)

    def step(self, tokens: npt.NDArray[np.int64], state: State) -> tuple[npt.NDArray[np.float32], State]:
        """Write one token.

        Args:
            tokens: the last token of each row, `[batch]`.
            state: as `encode` or the step before returned it.

        Returns:
            Logits `[batch, vocabulary]` and the new state.
        """
        results = self._decoder.run(self._decoded, {"tokens": tokens, **state.context, **state.layers})
        values = dict(zip(self._decoded, results, strict=True))
        logits = values.pop("logits")
        return logits, State(state.context, {name.removeprefix("new_"): value for name, value in values.items()})
