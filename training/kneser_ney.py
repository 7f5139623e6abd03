"""An n-gram model of replies, to measure networks by: modified Kneser-Ney smoothing, interpolated, in NumPy.

Chen and Goodman (1999), "An empirical study of smoothing techniques for language modeling", with the conventions of
KenLM's `lmplz` (Heafield et al., 2013), whose probabilities these are: each reply begins with one start token, n-grams
at a reply's beginning keep their counts, the others count the different tokens before them, and single tokens are
interpolated with the uniform distribution.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.tokenizer import START
from training.dataset import RaggedIds

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_FALLBACK = np.array([0, 0.5, 1, 1.5])
"""Discounts where counts are too few to estimate them: those of `lmplz --discount_fallback`."""


@dataclass(frozen=True)
class _Counts:
    """The n-grams of one order, sorted. A number of an n-gram is its place among those of its order.

    Attributes:
        keys: the number of the first n - 1 tokens times the size of the vocabulary, plus the last token, `[grams]`.
        adjusted: occurrences, or the different tokens seen before, `[grams]`.
        suffixes: the number of the last n - 1 tokens, `[grams]`.
    """

    keys: Ints
    adjusted: Ints
    suffixes: Ints


@dataclass(frozen=True)
class _Grams:
    """What is known of the n-grams of one order.

    Attributes:
        keys: see `_Counts`.
        probabilities: of the last token after the others, `[grams]`.
        backoffs: for each history of n - 1 tokens, what one token less of it is weighed by where the n-gram is unknown.
    """

    keys: Ints
    probabilities: Floats
    backoffs: Floats


class KneserNey:
    """An n-gram model over token ids."""

    def __init__(self, orders: list[_Grams], vocabulary_size: int) -> None:
        self._orders = orders
        self._vocabulary_size = vocabulary_size

    @classmethod
    def estimate(cls, replies: RaggedIds, vocabulary_size: int, *, order: int = 5) -> "KneserNey":
        """Learn from replies; takes about 4 seconds and 150 MB a million tokens.

        Args:
            replies: token ids, each reply with its end token and without a start token.
            vocabulary_size: ids are below it; after any history the probabilities of all of them add up to 1.
            order: the length of the longest n-grams, at least 2.
        """
        lower, orders = np.full(1, 1 / vocabulary_size), []
        for counts in _count(replies, vocabulary_size, order):
            histories = counts.keys // vocabulary_size
            totals = np.bincount(histories, counts.adjusted, minlength=len(lower))
            discounts = _discounts(counts.adjusted)[np.minimum(counts.adjusted, 3)]
            left = np.bincount(histories, discounts, minlength=len(lower))
            backoffs = np.divide(left, totals, out=np.ones(len(lower)), where=totals > 0)
            lower = (counts.adjusted - discounts) / totals[histories] + backoffs[histories] * lower[counts.suffixes]
            orders.append(_Grams(counts.keys, lower, backoffs))
        return cls(orders, vocabulary_size)

    def log_probabilities(self, replies: RaggedIds) -> Floats:
        """log p(token | the tokens before it in its reply) in nats, `[ids]`."""
        tokens, places = _behind_starts(replies)
        numbers, probabilities = np.zeros(len(tokens), np.int64), np.full(len(tokens), 1 / self._vocabulary_size)
        for length, grams in enumerate(self._orders, 1):
            histories = np.where(places >= length - 1, np.roll(numbers, 1), -1)
            numbers = self._find(grams, histories, tokens)
            probabilities *= np.where(histories < 0, 1, grams.backoffs[histories])
            probabilities = np.where(numbers < 0, probabilities, grams.probabilities[numbers])
        return np.asarray(np.log(probabilities[places > 0]))

    def _find(self, grams: _Grams, histories: Ints, tokens: Ints) -> Ints:
        """The numbers of n-grams by those of their histories; -1 for what is not known."""
        keys = histories * self._vocabulary_size + tokens
        found = np.minimum(np.searchsorted(grams.keys, keys), len(grams.keys) - 1)
        return np.where((histories >= 0) & (grams.keys[found] == keys), found, -1)


def _behind_starts(replies: RaggedIds) -> tuple[Ints, Ints]:
    """The tokens of all replies, each behind a start token, and the place of each token, from 0 at the start."""
    begins = replies.offsets[:-1].astype(np.int64)
    tokens = np.insert(replies.ids[: int(replies.offsets[-1])].astype(np.int64), begins, START)
    return tokens, np.arange(len(tokens)) - np.repeat(begins + np.arange(len(begins)), replies.lengths + 1)


def _count(replies: RaggedIds, vocabulary_size: int, order: int) -> list[_Counts]:
    """The n-grams of all orders, single tokens first."""
    tokens, places = _behind_starts(replies)
    numbers, counted = tokens, []
    keys, suffixes = np.arange(vocabulary_size), np.zeros(vocabulary_size, np.int64)
    occurrences = np.where(keys == START, 0, np.bincount(tokens, minlength=vocabulary_size))  # it is never said
    initial = keys == START
    for length in range(2, order + 1):
        ends = np.flatnonzero(places >= length - 1)
        longer, first, inverse, counts = np.unique(
            numbers[ends - 1] * vocabulary_size + tokens[ends],
            return_index=True,
            return_inverse=True,
            return_counts=True,
        )
        suffixes_of_longer = numbers[ends[first]]
        preceding = np.bincount(suffixes_of_longer, minlength=len(keys))
        counted.append(_Counts(keys, np.where(initial, occurrences, preceding), suffixes))
        keys, suffixes, occurrences, initial = longer, suffixes_of_longer, counts, places[ends[first]] == length - 1
        numbers = np.full(len(tokens), -1)
        numbers[ends] = inverse
    return [*counted, _Counts(keys, occurrences, suffixes)]


def _discounts(counts: Ints) -> Floats:
    """What is taken off counts of 0, 1, 2, and 3 and more (Chen and Goodman, equation 26)."""
    one, two, three, four = ((counts == count).sum() for count in (1, 2, 3, 4))
    if not (one and two and three):
        return _FALLBACK
    share = one / (one + 2 * two)
    discounts = np.array([0, 1 - 2 * share * two / one, 2 - 3 * share * three / two, 3 - 4 * share * four / three])
    return discounts if (discounts >= 0).all() else _FALLBACK
