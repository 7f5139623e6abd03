"""A bundle and a dataset in, figures out: measured on what the bot runs, the int8 graphs."""

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from model.bundle import Bundle
from model.chatbot import ChatBot
from model.dialogue import ME, Marker, Turn
from model.inference import Inference
from model.tokenizer import END, PAD, START
from training.dataset import Dataset, Split

_BATCH_SIZE = 32


@dataclass(frozen=True)
class Figures:
    """How well a model foretells replies.

    Attributes:
        replies, words, bytes: what was foretold; each reply's end counts as a word and a byte.
        perplexity: per word, so that it compares across tokenizers.
        bits_per_byte: of UTF-8 text.
        token_perplexity: per token; compares only under one tokenizer.
    """

    replies: int
    words: int
    bytes: int
    perplexity: float
    bits_per_byte: float
    token_perplexity: float


def evaluate(directory: Path, dataset: Dataset, *, max_examples: int | None = None) -> Figures:
    """Measure a bundle on the validation side of a dataset.

    Args:
        directory: the bundle.
        dataset: prepared with the bundle's tokenizer.
        max_examples: look at the first so many only.

    Raises:
        ModelFormatError: the bundle cannot be used.
        DatasetError: the dataset has another tokenizer.
    """
    dataset.check_vocabulary(Bundle.open(directory).directory)
    split, inference = dataset.validation, Inference(directory)
    count = len(split) if max_examples is None else min(max_examples, len(split))
    nats = tokens = words = size = 0.0
    for rows in _batches(split, count):
        replies = [split.replies[row] for row in rows]
        nats -= log_probabilities(inference, [split.contexts[row].tolist() for row in rows], replies).sum()
        for reply in replies:
            text, end = dataset.tokenizer.decode(reply.tolist()), int(reply[-1] == END)
            tokens, words, size = tokens + len(reply), words + len(text.split()) + end, size + len(text.encode()) + end
    return Figures(
        replies=count,
        words=int(words),
        bytes=int(size),
        perplexity=math.exp(nats / words),
        bits_per_byte=float(nats / math.log(2) / size),
        token_perplexity=math.exp(nats / tokens),
    )


def log_probabilities(
    inference: Inference, contexts: Sequence[Sequence[int]], replies: Sequence[npt.NDArray[np.uint16]]
) -> npt.NDArray[np.float64]:
    """log p(reply | context) in nats, `[batch]`."""
    longest = max(map(len, replies))
    targets = np.full((len(replies), longest), PAD, np.int64)
    for row, reply in zip(targets, replies, strict=True):
        row[: len(reply)] = reply
    state = inference.encode(contexts)
    tokens = np.full(len(replies), START, np.int64)
    totals = np.zeros(len(replies))
    for time in range(longest):
        logits, state = inference.step(tokens, state)
        tokens = targets[:, time]
        highest = logits.max(axis=-1)
        normaliser = highest + np.log(np.exp(logits - highest[:, np.newaxis]).sum(axis=-1))
        chosen = np.take_along_axis(logits, tokens[:, np.newaxis], axis=-1)[:, 0]
        totals += np.where(tokens == PAD, 0.0, chosen - normaliser)
    return totals


def sample_exchanges(directory: Path, dataset: Dataset, count: int, seed: int = 0) -> Iterator[tuple[Turn, str, str]]:
    """The last turn of the context, the human's reply and the model's, for evenly spread validation examples."""
    chatbot, split = ChatBot.load(directory), dataset.validation
    for row in np.linspace(0, len(split) - 1, min(count, len(split))).astype(int):
        context = dataset.tokenizer.decode_context(split.contexts[row].tolist())
        turns = [Turn(ME if marker is Marker.ME else marker, text) for marker, text in context]
        reply = chatbot.reply(turns, np.random.default_rng(seed))
        yield turns[-1], dataset.tokenizer.decode(split.replies[row].tolist()), reply


def _batches(split: Split, count: int) -> Iterator[list[int]]:
    """Rows of like reply lengths together, under a progress bar."""
    order = np.argsort(split.replies.lengths[:count], kind="stable").tolist()
    starts = range(0, count, _BATCH_SIZE)
    for start in tqdm(starts, desc="Evaluating", unit="batch", ncols=100, disable=not sys.stderr.isatty()):
        yield order[start : start + _BATCH_SIZE]
