"""A few replies of a network while it learns, for a person to look at."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from model.dialogue import Marker
from model.sampling import SamplingConfig, sample
from model.seq2seq import Seq2Seq
from model.tokenizer import END, PAD, START
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
    replies = _generate(network, contexts, dataset.config.max_reply_tokens, np.random.default_rng(seed))
    return [
        Sample(_last(tokenizer.decode_context(context)), tokenizer.decode(split.replies[row]), tokenizer.decode(reply))
        for row, context, reply in zip(rows, contexts, replies, strict=True)
    ]


def _last(turns: list[tuple[Marker, str]]) -> str:
    return turns[-1][1] if turns else ""


def _generate(
    network: Seq2Seq, contexts: list[list[int]], max_tokens: int, rng: np.random.Generator
) -> npt.NDArray[np.int32]:
    """Ids drawn as the bot draws them, `[batch, max_tokens]`; behind the first end token they mean nothing."""
    encoder_ids = np.full((len(contexts), max(map(len, contexts))), PAD, np.int32)
    for ids, context in zip(encoder_ids, contexts, strict=True):
        ids[: len(context)] = context
    memory, mask, states = network.encode(tf.constant(encoder_ids))
    drawn = [np.full(len(contexts), START, np.int32)]
    ended = np.zeros(len(contexts), bool)
    while len(drawn) <= max_tokens and not ended.all():
        logits, states = network.decode_step(tf.constant(drawn[-1]), memory, mask, states)
        drawn.append(sample(np.asarray(logits), SamplingConfig(), rng).astype(np.int32))
        ended |= drawn[-1] == END
    return np.stack(drawn[1:], axis=1)
