"""Figures of replies: texts and numbers in, estimates with their intervals out. Knows no network.

A figure is a statistic: a function of which examples count. All of them give the figure, and random halves of the
conversations give its interval, whatever the figure is.
"""

import string
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sacrebleu.metrics.bleu import BLEU

COPY_WORDS = 6
"""Shorter replies are said again by chance."""

_SUBSAMPLES, _AT_ONCE = 1000, 50
_NORMAL_95 = 1.96  # standard deviations
_DULLEST = 10

Floats = npt.NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""Whether each example counts, 0 or 1, `[subsamples, examples]`, to the figure of each subsample, `[subsamples]`."""


@dataclass(frozen=True)
class Estimate:
    """A figure of a sample, and the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def margin(self) -> float:
        """Half the width of the interval."""
        return (self.high - self.low) / 2


@dataclass(frozen=True)
class Row:
    """A model, or what it is compared with, and its figures by name."""

    name: str
    figures: Mapping[str, Estimate]


def estimate(statistic: Statistic, conversations: npt.NDArray[np.integer]) -> Estimate:
    """A figure with its interval, by resampling conversations, since what is said in one hangs together.

    Resamples are random halves, which spread as much around the whole as the whole does around the truth (Politis and
    Romano, 1994). With conversations drawn twice, as in the first bootstrap, figures of different words would come out
    lower than they are, with intervals five times as wide.

    Args:
        statistic: the figure.
        conversations: of each example, `[examples]`; if all are of one, each example stands for itself.
    """
    _, groups = np.unique(conversations, return_inverse=True)
    if groups.max() == 0:
        groups = np.arange(len(groups))
    value, count = float(statistic(np.ones((1, len(groups))))[0]), int(groups.max()) + 1
    rng, half = np.random.default_rng(0), count // 2
    chosen = np.tile(np.arange(count) < half, (_AT_ONCE, 1))
    values = [
        statistic(rng.permuted(chosen, axis=1)[:, groups].astype(np.float64)) for _ in range(_SUBSAMPLES // _AT_ONCE)
    ]
    margin = _NORMAL_95 * float(np.std(np.concatenate(values))) * (half / (count - half)) ** 0.5
    return Estimate(value, value - margin, value + margin)


def ratio(numerators: npt.ArrayLike, denominators: npt.ArrayLike) -> Statistic:
    """The sum of the numerators over that of the denominators, or over 1 where that is less."""
    above, below = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
    return lambda weights: (weights @ above) / np.maximum(weights @ below, 1)


def mean(values: npt.ArrayLike) -> Statistic:
    """The mean of the values."""
    return ratio(values, np.ones(np.shape(values)))


def f1(reply: str, reference: str) -> float:
    """How much two texts share: harmonic mean of the shares of the words of each that are in the other."""
    ours, theirs = Counter(words(reply)), Counter(words(reference))
    shared = (ours & theirs).total()
    return 2 * shared / (ours.total() + theirs.total()) if shared else 0.0


def bleu(replies: Sequence[str], references: Sequence[str]) -> Statistic:
    """Corpus BLEU (Papineni et al., 2002) as sacrebleu computes it by default, in per cent (Post, 2018)."""
    scorer = BLEU(effective_order=True)  # of a sentence; makes no difference to its counts
    scores = [scorer.sentence_score(reply, [reference]) for reply, reference in zip(replies, references, strict=True)]
    counts = np.array([[*score.counts, *score.totals, score.sys_len, score.ref_len] for score in scores], np.float64)

    def statistic(weights: Floats) -> Floats:
        sums = (weights @ counts).astype(int).tolist()
        scores = [BLEU.compute_bleu(row[:4], row[4:8], row[8], row[9], "exp") for row in sums]
        return np.array([score.score for score in scores])

    return statistic


def distinct(replies: Sequence[str], n: int, *, most_words: int) -> Statistic:
    """The number of different n-grams over that of words (Li et al., 2016), in the first replies that have so many.

    The more words, the fewer of them are new: figures compare only for the same number of words, and halves of the
    replies should have as many, for the sake of the interval.
    """
    said = [words(reply) for reply in replies]
    lengths = np.array([len(each) for each in said], np.float64)
    sayers: dict[tuple[str, ...], set[int]] = {}
    for index, each in enumerate(said):
        for gram in zip(*(each[start:] for start in range(n)), strict=False):
            sayers.setdefault(gram, set()).add(index)
    columns = np.array([index for indices in sayers.values() for index in sorted(indices)], np.int64)
    starts = np.cumsum([0, *map(len, sayers.values())])[:-1]

    def statistic(weights: Floats) -> Floats:
        weights = weights * (np.cumsum(weights * lengths, axis=1) - lengths < most_words)
        different = np.add.reduceat(weights[:, columns], starts, axis=1) > 0 if sayers else np.zeros((len(weights), 0))
        return np.asarray(different.sum(axis=1) / np.maximum(weights @ lengths, 1))

    return statistic


def dullness(replies: Sequence[str]) -> Statistic:
    """The share of all replies that the ten most frequent ones make up; case and punctuation do not count."""
    _, kinds = np.unique([" ".join(words(reply)) for reply in replies], return_inverse=True)
    order = np.argsort(kinds, kind="stable")
    starts = np.flatnonzero(np.diff(kinds[order], prepend=-1))

    def statistic(weights: Floats) -> Floats:
        counts = np.sort(np.add.reduceat(weights[:, order], starts, axis=1), axis=1)
        return np.asarray(counts[:, -_DULLEST:].sum(axis=1) / np.maximum(weights.sum(axis=1), 1))

    return statistic


def copied(replies: Sequence[str], texts: Iterable[str]) -> npt.NDArray[np.bool_]:
    """Whether each reply of six words and more stands in one of the texts; case and punctuation do not count.

    Args:
        replies: the replies.
        texts: any number of them; they are looked at once.
    """
    said = [words(reply) for reply in replies]
    beginnings: dict[tuple[str, ...], list[int]] = {}
    for index, reply in enumerate(said):
        if len(reply) >= COPY_WORDS:
            beginnings.setdefault(tuple(reply[:COPY_WORDS]), []).append(index)
    found = np.zeros(len(replies), np.bool_)
    for text in texts:
        known = words(text)
        for start in range(len(known) - COPY_WORDS + 1):
            for index in beginnings.get(tuple(known[start : start + COPY_WORDS]), ()):
                found[index] = found[index] or known[start : start + len(said[index])] == said[index]
    return found


def words(text: str) -> list[str]:
    """The words of a text as they are compared: between white space, without case and punctuation around them."""
    return [word.strip(string.punctuation) or word for word in text.casefold().split()]


def table(rows: Sequence[Row]) -> str:
    """Figures of several rows as text: a line for each figure, a column for each row, every figure with its margin."""
    lines = [f"{'':<22}" + "".join(f"{row.name[-_COLUMN + 2 :]:>{_COLUMN}}" for row in rows)]
    for key, (label, form, scale) in _SHOWN.items():
        cells = [_cell(row.figures.get(key), form, scale) for row in rows]
        if any(cells):
            lines.append(f"{label:<22}" + "".join(f"{cell:>{_COLUMN}}" for cell in cells))
    return "\n".join(lines)


_COLUMN = 18  # characters
_SHOWN = {
    "perplexity": ("perplexity per word", ".1f", 1),
    "bits_per_byte": ("bits per byte", ".3f", 1),
    "saved": ("  model saves, %", ".1f", 100),
    "recall_at_1_of_20": ("recall@1 of 20, %", ".1f", 100),
    "recall_at_1_of_20_mmi": ("  with MMI, %", ".1f", 100),
    "f1": ("F1, %", ".1f", 100),
    "bleu": ("BLEU", ".2f", 1),
    "distinct_1": ("distinct-1, %", ".1f", 100),
    "distinct_2": ("distinct-2, %", ".1f", 100),
    "reply_words": ("words a reply", ".1f", 1),
    "dullness": ("ten dullest, %", ".1f", 100),
    "copy_rate": ("copied, %", ".1f", 100),
}
"""How figures are printed: label, format, factor."""


def _cell(figure: Estimate | None, form: str, scale: float) -> str:
    return f"{figure.value * scale:{form}} ±{figure.margin * scale:{form}}" if figure else ""
