"""How likely a bundle finds replies: contexts and replies as ids in, log probabilities out."""

import sys
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from model.decoding import EMPTY_CONTEXT, log_probabilities
from model.inference import Inference
from training.dataset import Ids
from training.progress import Bar

_BATCH_SIZE = 64


def given_contexts(
    inference: Inference, contexts: Sequence[Sequence[int]], replies: Sequence[Ids], stage: str
) -> npt.NDArray[np.float64]:
    """log p(reply | context) of any number of pairs, `[pairs]`, under a progress bar with the name of the stage."""
    totals = np.zeros(len(replies))
    for rows in batches([len(reply) for reply in replies], _BATCH_SIZE, stage):
        state = inference.encode([contexts[row] for row in rows])
        totals[rows] = log_probabilities(inference, state, [replies[row] for row in rows])
    return totals


def given_nothing(inference: Inference, replies: Sequence[Ids], stage: str) -> npt.NDArray[np.float64]:
    """log p(reply) of any number of replies, `[replies]`, see `EMPTY_CONTEXT`."""
    return given_contexts(inference, [EMPTY_CONTEXT] * len(replies), replies, stage)


def batches(lengths: Sequence[int], size: int, stage: str) -> Iterator[npt.NDArray[np.int64]]:
    """Rows of like lengths together, under a progress bar."""
    order = np.argsort(lengths, kind="stable")
    with Bar(total=len(order), desc=stage, delay=1, disable=not sys.stderr.isatty()) as bar:
        for start in range(0, len(order), size):
            yield order[start : start + size]
            bar.update(min(size, len(order) - start))
