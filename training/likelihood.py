"""How likely a bundle finds replies: contexts and replies as ids in, log probabilities out."""

import sys
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from model.decoding import EMPTY_CONTEXT
from model.inference import Inference, State
from model.sampling import log_sum
from model.tokenizer import PAD, START
from training.dataset import Ids

_BATCH_SIZE = 64


def log_probabilities(inference: Inference, state: State, replies: Sequence[Ids]) -> npt.NDArray[np.float64]:
    """log p(reply | context) in nats, `[batch]`.

    Args:
        inference: the network.
        state: of the contexts, as `Inference.encode` returned it.
        replies: token ids, each with its end token.
    """
    lengths = np.array([len(reply) for reply in replies])
    order = np.argsort(-lengths, kind="stable")  # those that have ended are the last rows: the rest is a slice
    targets = np.full((len(replies), lengths.max()), PAD, np.int64)
    for target, row in zip(targets, order, strict=True):
        target[: lengths[row]] = replies[row]
    state, tokens, totals = state.take(order), np.full(len(replies), START, np.int64), np.zeros(len(replies))
    for time in range(lengths.max()):
        count = int((lengths > time).sum())
        logits, state = inference.step(tokens[:count], _first(state, count))
        tokens = targets[:count, time]
        totals[order[:count]] += logits[np.arange(count), tokens] - log_sum(logits)
    return totals


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
    with tqdm(total=len(order), desc=stage, ncols=100, delay=1, disable=not sys.stderr.isatty()) as bar:
        for start in range(0, len(order), size):
            yield order[start : start + size]
            bar.update(min(size, len(order) - start))


def _first(state: State, count: int) -> State:
    return State(
        {name: value[:count] for name, value in state.context.items()},
        {name: value[:count] for name, value in state.layers.items()},
    )
