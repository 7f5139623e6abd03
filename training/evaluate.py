"""A bundle and a dataset in, figures out: measured on what the bot runs, the int8 graphs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from model.bundle import Bundle
from model.chatbot import ChatBot
from model.dialogue import Turn
from model.inference import Inference
from model.ranking import Weights
from training.dataset import Dataset
from training.generation import sample_replies, turns_of
from training.held_out import QUICK, Estimates, EvaluationConfig, Floats, HeldOut, reply_texts
from training.kneser_ney import KneserNey
from training.likelihood import given_contexts
from training.metrics import Estimate, Row

_MOST_NGRAM_TOKENS = 8_000_000  # of training replies: a gigabyte of memory


@dataclass(frozen=True, kw_only=True)
class Figures:
    """How well a model foretells replies, and what it says itself.

    Attributes:
        replies, words, bytes: what was foretold; each reply's end counts as a word and a byte.
        perplexity: per word, so that it compares across tokenizers.
        bits_per_byte: of UTF-8 text.
        token_perplexity: per token; compares only under one tokenizer.
        recall_at_1_of_20: share of contexts whose own reply is likelier than 19 others; None if that was not measured.
        recall_at_1_of_20_mmi: the same, ranked by mutual information (see `training.retrieval`).
        mmi_prior, mmi_length: the weights it took, chosen on training exchanges.
        f1, bleu: what sampled replies have in common with human ones; BLEU is in per cent.
        distinct_1, distinct_2: different words, and pairs of words, over the number of words. Taken of the first
            replies that have a quarter of the words of the human replies together, as in every row beside.
        reply_words: the mean length of sampled replies.
        dullness: the share that the ten most frequent ones make up.
        copy_rate: the share of those of six words and more that stand in a training reply, word for word.
        intervals: the ends of the 95 % interval of each figure that has one.
    """

    replies: int
    words: int
    bytes: int
    perplexity: float
    bits_per_byte: float
    token_perplexity: float
    recall_at_1_of_20: float | None = None
    recall_at_1_of_20_mmi: float | None = None
    mmi_prior: float | None = None
    mmi_length: float | None = None
    f1: float
    bleu: float
    distinct_1: float
    distinct_2: float
    reply_words: float
    dullness: float
    copy_rate: float
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def row(self, name: str) -> Row:
        """The figures beside those of others."""
        return Row(name, {key: Estimate(getattr(self, key), *ends) for key, ends in self.intervals.items()})


def evaluate(directory: Path, dataset: Dataset, config: EvaluationConfig = QUICK) -> Figures:
    """Measure a bundle on the validation side of a dataset.

    Args:
        directory: the bundle.
        dataset: prepared with the bundle's tokenizer.
        config: how much is looked at.

    Raises:
        ModelFormatError: the bundle cannot be used.
        DatasetError: the dataset has another tokenizer.
    """
    held_out = HeldOut(dataset, config)
    measured = _measure(directory, held_out)
    weights = measured.weights
    return Figures(
        replies=len(held_out.foretold),
        words=int(held_out.words.sum()),
        bytes=int(held_out.bytes.sum()),
        mmi_prior=weights.prior if weights else None,
        mmi_length=weights.length if weights else None,
        intervals={key: (each.low, each.high) for key, each in measured.figures.items()},
        **{key: each.value for key, each in measured.figures.items()},
    )


def references(dataset: Dataset, config: EvaluationConfig = QUICK) -> list[Row]:
    """What to compare a model's figures with: a 5-gram model, random training replies, and the human ones.

    They are of the same held-out examples as those of `evaluate` with the same `config`.
    """
    return _references(HeldOut(dataset, config))


def compare(bundles: Mapping[str, Path], dataset: Dataset, config: EvaluationConfig = QUICK) -> list[Row]:
    """The figures of one or several bundles beside the references.

    All but the first row have one figure more, `saved`: what share of the bits that this row takes to foretell replies
    the first one saves. Its interval is narrower than those of the two: what is hard to foretell is so for both.

    Args:
        bundles: by name; the first one is compared with the others.
        dataset: prepared with the tokenizer of all.
        config: how much is looked at.

    Raises:
        ModelFormatError: a bundle cannot be used.
        DatasetError: the dataset has another tokenizer.
    """
    held_out = HeldOut(dataset, config)
    measured = {name: _measure(directory, held_out) for name, directory in bundles.items()}
    first = next(iter(measured.values()))
    rows = [
        Row(name, each.figures if each is first else each.figures | held_out.saving(first.nats, each.nats))
        for name, each in measured.items()
    ]
    return rows + _references(held_out, first.nats)


@dataclass(frozen=True)
class _Measured:
    """What evaluating a bundle gives: estimates, the weights of mutual information, and nats of each foretold reply."""

    figures: Estimates
    weights: Weights | None
    nats: Floats


def _measure(directory: Path, held_out: HeldOut) -> _Measured:
    held_out.dataset.check_vocabulary(Bundle.open(directory).directory)
    split, inference = held_out.dataset.validation, Inference(directory)
    foretold = [split.contexts[row].tolist() for row in held_out.foretold]
    replies = [split.replies[row] for row in held_out.foretold]
    nats = -given_contexts(inference, foretold, replies, "Foretelling")
    ranking, weights = held_out.ranking(inference)
    asked = [split.contexts[row].tolist() for row in held_out.sampled]
    sayings = held_out.sayings(sample_replies(ChatBot.load(directory), asked, seed=held_out.config.seed))
    return _Measured(held_out.likelihood(nats) | ranking | sayings, weights, nats)


def _references(held_out: HeldOut, against: Floats | None = None) -> list[Row]:
    """See `references`; with the nats of a model also what it saves."""
    dataset = held_out.dataset
    train, replies = dataset.train.replies, dataset.validation.replies
    most = max(int(np.searchsorted(train.offsets, _MOST_NGRAM_TOKENS, side="right")) - 1, 1)  # replies
    ngrams = KneserNey.estimate(train.first(most), dataset.tokenizer.vocabulary_size)
    nats = -np.add.reduceat(ngrams.log_probabilities(replies), replies.offsets[:-1].astype(int))[held_out.foretold]
    foretold = held_out.likelihood(nats) | (held_out.saving(against, nats) if against is not None else {})
    drawn = np.random.default_rng(held_out.config.seed).choice(len(train), len(held_out.sampled))
    human = held_out.sayings(held_out.human)
    return [
        Row("5-gram", foretold),
        Row("random reply", held_out.sayings(list(reply_texts(train, drawn, dataset.tokenizer)))),
        Row("human reply", {key: each for key, each in human.items() if key not in ("f1", "bleu")}),  # with themselves
    ]


def sample_exchanges(directory: Path, dataset: Dataset, count: int, seed: int = 0) -> Iterator[tuple[Turn, str, str]]:
    """The last turn of the context, the human's reply and the model's, for evenly spread validation examples."""
    chatbot, split = ChatBot.load(directory), dataset.validation
    for row in np.linspace(0, len(split) - 1, min(count, len(split))).astype(int):
        turns = turns_of(chatbot, split.contexts[row].tolist())
        reply = chatbot.reply(turns, np.random.default_rng(seed))
        yield turns[-1], dataset.tokenizer.decode(split.replies[row].tolist()), reply
