"""A few replies of a network while it learns, for a person to look at."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from model.decoding import Request, write
from model.dialogue import Marker
from model.inference import State, padded
from model.sampling import Floats, Ids, SamplingConfig, log_softmax
from model.seq2seq import Seq2Seq
from training.dataset import Dataset


class Sample(NamedTuple):
    """An exchange of the validation side: what was said last, what the human answered, what the network answers."""

    said: str
    human: str
    reply: str


def sample_replies(network: Seq2Seq, dataset: Dataset, count: int = 3, seed: int = 0) -> list[Sample]:
    """Answer some contexts, evenly spread over the validation side; the same ones with the same luck at each call."""
    split, tokenizer = dataset.validation, dataset.tokenizer
    rows = np.linspace(0, len(split) - 1, min(count, len(split))).astype(int).tolist()
    contexts = [split.contexts[row].tolist() for row in rows]
    requests = [
        Request(each, SamplingConfig(), rng)
        for each, rng in zip(contexts, np.random.default_rng(seed).spawn(len(rows)), strict=True)
    ]
    replies = write(_Learning(network), requests, max_tokens=dataset.config.max_reply_tokens)
    return [
        Sample(
            _last(tokenizer.decode_context(context)),
            tokenizer.decode(split.replies[row].tolist()),
            tokenizer.decode(list(reply.ids)),
        )
        for row, context, (reply,) in zip(rows, contexts, replies, strict=True)
    ]


def _last(turns: list[tuple[Marker, str]]) -> str:
    return turns[-1][1] if turns else ""


class _Learning:
    """A network that still learns, as `model.decoding.Network`."""

    def __init__(self, network: Seq2Seq) -> None:
        self._network = network
        self._layers: Any = None

    def encode(self, contexts: Sequence[Sequence[int]]) -> State:
        memory, mask, self._layers = self._network.encode(tf.constant(padded(contexts), tf.int32))
        return self._state(memory, mask, self._layers)

    def step(self, tokens: Ids, state: State) -> tuple[Floats, State]:
        states = tf.nest.pack_sequence_as(self._layers, list(state.layers.values()))
        memory, mask = state.context.values()
        logits, states = self._network.decode_step(tf.constant(tokens, tf.int32), memory, mask, states)
        return log_softmax(np.asarray(logits)), self._state(memory, mask, states)

    def read(self, tokens: Ids, state: State) -> None:
        """It reads one token after the other."""

    @staticmethod
    def _state(memory: Any, mask: Any, states: Any) -> State:
        return State(
            {"memory": np.asarray(memory), "mask": np.asarray(mask)},
            {str(number): np.asarray(part) for number, part in enumerate(tf.nest.flatten(states))},
        )
