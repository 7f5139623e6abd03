"""The held-out examples that a model and what it is compared with are measured on, and what is measured of them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.inference import Inference
from model.ranking import Weights
from model.tokenizer import END, Tokenizer
from training.dataset import Dataset, RaggedIds
from training.metrics import (
    COPY_WORDS,
    Estimate,
    Statistic,
    bleu,
    copied,
    distinct,
    dullness,
    estimate,
    f1,
    mean,
    ratio,
    words,
)
from training.retrieval import choose_weights, draw_candidates, score_candidates

_WEIGHING_CONTEXTS = 300

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Estimates = dict[str, Estimate]


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """How many held-out examples are looked at, at most.

    Attributes:
        foretold: whose likelihood is taken.
        ranked: whose reply is looked for among 20 candidates; 0 to leave it out.
        sampled: whose context is answered.
        seed: of chance; equal seeds choose equal examples.
    """

    foretold: int
    ranked: int
    sampled: int
    seed: int = 0


QUICK = EvaluationConfig(foretold=4000, ranked=100, sampled=250)
"""For a training run: half a minute of one core."""

FULL = EvaluationConfig(foretold=20_000, ranked=1000, sampled=1000)
"""Some two minutes."""


class HeldOut:
    """The held-out examples that everything is measured on, drawn once.

    Attributes:
        dataset, config: where they are from, and how many they are at most.
        foretold, ranked, sampled: their rows, see `EvaluationConfig`.
        words, bytes, tokens: of each foretold reply; its end counts as one of each.
        human: the replies to the sampled contexts.
    """

    def __init__(self, dataset: Dataset, config: EvaluationConfig) -> None:
        self.dataset, self.config = dataset, config
        replies, tokenizer = dataset.validation.replies, dataset.tokenizer
        self._order = np.random.default_rng(config.seed).permutation(len(replies))
        self.foretold, self.ranked, self.sampled = (
            self._order[:count] for count in (config.foretold, config.ranked, config.sampled)
        )
        texts = list(reply_texts(replies, self.foretold, tokenizer))
        ends = np.array([replies[row][-1] == END for row in self.foretold], np.int64)
        self.words = ends + [len(text.split()) for text in texts]
        self.bytes = ends + [len(text.encode()) for text in texts]
        self.tokens = replies.lengths[self.foretold]
        self.human = list(reply_texts(replies, self.sampled, tokenizer))

    def likelihood(self, nats: Floats) -> Estimates:
        """Figures of the foretold replies, by the nats that each takes."""
        conversations = self._conversations(self.foretold)
        return {
            "perplexity": estimate(_exponential(ratio(nats, self.words)), conversations),
            "bits_per_byte": estimate(ratio(nats / math.log(2), self.bytes), conversations),
            "token_perplexity": estimate(_exponential(ratio(nats, self.tokens)), conversations),
        }

    def saving(self, nats: Floats, others: Floats) -> Estimates:
        """What share of the nats that the others take is saved."""
        return {"saved": estimate(ratio(others - nats, others), self._conversations(self.foretold))}

    def ranking(self, inference: Inference) -> tuple[Estimates, Weights | None]:
        """Recall, and the weights of mutual information; nothing if there are too few different replies."""
        rng, train, validation = np.random.default_rng(self.config.seed), self.dataset.train, self.dataset.validation
        rows = rng.permutation(len(train))[: min(self.config.ranked, _WEIGHING_CONTEXTS)]
        known = draw_candidates(train, rows, rows, rng)
        candidates = draw_candidates(validation, self.ranked, self._order, rng)
        if not len(known) or not len(candidates):
            return {}, None
        weights = choose_weights(score_candidates(inference, train, known, "Weighing"))
        scores = score_candidates(inference, validation, candidates, "Ranking")
        conversations = self._conversations(candidates[:, 0])
        return {
            "recall_at_1_of_20": estimate(mean(scores.hits(Weights())), conversations),
            "recall_at_1_of_20_mmi": estimate(mean(scores.hits(weights)), conversations),
        }, weights

    def sayings(self, replies: Sequence[str]) -> Estimates:
        """Figures of replies to the sampled contexts."""
        train, conversations = self.dataset.train, self._conversations(self.sampled)
        texts = reply_texts(train.replies, np.arange(len(train)), self.dataset.tokenizer)
        most_words = sum(len(words(reply)) for reply in self.human) // 4
        statistics = {
            "f1": mean([f1(*pair) for pair in zip(replies, self.human, strict=True)]),
            "bleu": bleu(replies, self.human),
            "distinct_1": distinct(replies, 1, most_words=most_words),
            "distinct_2": distinct(replies, 2, most_words=most_words),
            "reply_words": mean([len(reply.split()) for reply in replies]),
            "dullness": dullness(replies),
            "copy_rate": ratio(copied(replies, texts), [len(words(reply)) >= COPY_WORDS for reply in replies]),
        }
        return {name: estimate(statistic, conversations) for name, statistic in statistics.items()}

    def _conversations(self, rows: Rows) -> npt.NDArray[np.integer]:
        """A reply is its own conversation where the dataset does not say."""
        numbers = self.dataset.validation.conversations
        return rows if numbers is None else numbers[rows]


def reply_texts(replies: RaggedIds, rows: Rows, tokenizer: Tokenizer) -> Iterator[str]:
    """The text of some replies."""
    return (tokenizer.decode(replies[row].tolist()) for row in rows)


def _exponential(statistic: Statistic) -> Statistic:
    return lambda weights: np.exp(statistic(weights))
