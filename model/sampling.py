"""Logits in, token ids out: what may be said next, and how it is drawn. Pure NumPy; knows no network and no text."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
Said = Sequence[int]

_COLDEST = 1e-30
"""A lower temperature is as good as this one, and 32 bits have none that is much lower."""

_LIKELIEST = 256
"""Mostly all that is drawn from is among so many tokens, which are found without putting all others in order."""


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How adventurous the choice of tokens is.

    Attributes:
        temperature: 0 always takes the likeliest token; 1 draws as the network would; above is wilder.
        top_k: only the likeliest `top_k` tokens are drawn from; 0 is all.
        top_p: only the likeliest tokens that make up this probability are drawn from (Holtzman et al., 2020).
        min_p: only tokens at least this share as likely as the likeliest are drawn from (Nguyen et al., 2024).
        repetition_penalty: what the log probability of a token that was said is multiplied with, so that it is less
            likely (after Keskar et al., 2019); 1 changes nothing.
        no_repeat_ngram: so many tokens in a row are never said twice (Paulus et al., 2018); 0 allows it.
        banned: runs of tokens that are never said.
        min_tokens, max_tokens: of a reply; None is as many as the network was trained on.
        guidance: w in (1 + w) log p(token | context) - w log p(token), which favours what the context makes likely
            (Ho & Salimans, 2022; Sanchez et al., 2023); 0 takes the context as it was learned.
    """

    temperature: float = 0.9
    top_k: int = 0
    top_p: float = 0.9
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    no_repeat_ngram: int = 0
    banned: tuple[tuple[int, ...], ...] = ()
    min_tokens: int = 1
    max_tokens: int | None = None
    guidance: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= 10:
            raise ValueError(f"temperature must be from 0 to 10, not {self.temperature}")
        if self.top_k < 0:
            raise ValueError(f"top_k must not be negative, as {self.top_k} is")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, not {self.top_p}")
        if not 0 <= self.min_p <= 1:
            raise ValueError(f"min_p must be from 0 to 1, not {self.min_p}")
        if not 1 <= self.repetition_penalty <= 10:
            raise ValueError(f"repetition_penalty must be from 1 to 10, not {self.repetition_penalty}")
        if self.no_repeat_ngram < 0:
            raise ValueError(f"no_repeat_ngram must not be negative, as {self.no_repeat_ngram} is")
        if not all(self.banned):
            raise ValueError("a banned run of tokens must not be empty")
        if self.min_tokens < 1 or (self.max_tokens is not None and self.max_tokens < self.min_tokens):
            raise ValueError(f"a reply cannot have {self.min_tokens} to {self.max_tokens} tokens")
        if not 0 <= self.guidance <= 10:
            raise ValueError(f"guidance must be from 0 to 10, not {self.guidance}")


def log_sum(logits: Floats) -> npt.NDArray[np.float64]:
    """The logarithm of the sum of the exponentials of each row, `[batch]`, of `[batch, vocabulary]` logits.

    Raises:
        ValueError: a row holds a NaN, or no finite number.
    """
    highest = logits.max(axis=-1, keepdims=True)
    sums = np.asarray(highest[:, 0] + np.log(np.exp(logits - highest).sum(axis=-1, dtype=np.float64)))
    if not np.isfinite(sums).all():
        raise ValueError("the network returned logits that are no numbers")
    return sums


def log_softmax(logits: Floats) -> Floats:
    """Log probabilities in nats of `[batch, vocabulary]` logits.

    Raises:
        ValueError: a row holds a NaN, or no finite number.
    """
    return np.asarray(logits - log_sum(logits)[:, np.newaxis], np.float32)


def guide(conditional: Floats, prior: Floats, weight: float) -> Floats:
    """(1 + w) log p(token | context) - w log p(token), of log probabilities `[batch, vocabulary]`."""
    return np.asarray(conditional + weight * (conditional - prior), np.float32)


def restrain(scores: Floats, said: Sequence[Said], config: SamplingConfig) -> Floats:
    """Make less likely, or impossible, what should not follow what was said.

    Args:
        scores: log probabilities, `[batch, vocabulary]`.
        said: the tokens of each reply so far.
        config: how.

    Returns:
        Other scores, or the same ones if nothing is to be done. A row of which nothing would be left stays as it is.
    """
    if config.repetition_penalty == 1 and not config.no_repeat_ngram and not config.banned:
        return scores
    scores = scores.copy()
    for row, tokens in zip(scores, said, strict=True):
        known = np.unique(np.asarray(tokens, np.int64))
        row[known] *= config.repetition_penalty
        forbidden = [*_repeated(tokens, config.no_repeat_ngram), *_completed(tokens, config.banned)]
        if np.isfinite(np.delete(row, forbidden)).any():
            row[forbidden] = -np.inf
    return scores


def sample(scores: Floats, config: SamplingConfig, draws: npt.NDArray[np.float64]) -> Ids:
    """Choose one token for each row.

    Args:
        scores: log probabilities or logits, `[batch, vocabulary]`; minus infinity forbids a token, not all of a row.
        config: how.
        draws: a random number from 0 to below 1 for each row, `[batch]`; makes no difference at temperature 0.

    Returns:
        Token ids, `[batch]`.
    """
    if config.temperature == 0:
        return np.asarray(scores.argmax(axis=-1), np.int64)
    tokens, probabilities = _likeliest(scores, config)
    totals = np.cumsum(probabilities * _allowed(probabilities, config), axis=-1)
    chosen = (totals <= draws[:, np.newaxis] * totals[:, -1:]).sum(axis=-1, keepdims=True)
    return np.asarray(np.take_along_axis(tokens, chosen, axis=-1)[:, 0], np.int64)


def _repeated(said: Said, n: int) -> list[int]:
    """The tokens that would make the last n tokens a run that was said before."""
    if not n or len(said) < n:
        return []
    last = list(said[len(said) - n + 1 :])
    return [said[end] for end in range(n - 1, len(said)) if list(said[end - n + 1 : end]) == last]


def _completed(said: Said, banned: Sequence[Said]) -> list[int]:
    """The tokens that would complete a banned run."""
    return [run[-1] for run in banned if len(run) == 1 or tuple(said[1 - len(run) :]) == tuple(run[:-1])]


def _likeliest(scores: Floats, config: SamplingConfig) -> tuple[Ids, npt.NDArray[np.float64]]:
    """The tokens among which all are that may be drawn, as they are numbered, and their probabilities."""
    with np.errstate(over="ignore"):  # at a tiny temperature: to minus infinity, which is right
        below = (scores - scores.max(axis=-1, keepdims=True)) / np.float32(max(config.temperature, _COLDEST))
    weights = np.exp(below)
    size, sums = weights.shape[-1], weights.sum(axis=-1, dtype=np.float64, keepdims=True)
    if size > 2 * _LIKELIEST:
        few = np.sort(np.argpartition(scores, size - _LIKELIEST, axis=-1)[:, -_LIKELIEST:], axis=-1)
        probabilities = np.take_along_axis(weights, few, axis=-1) / sums
        if 0 < config.top_k < _LIKELIEST or (probabilities.sum(axis=-1) >= config.top_p).all():
            return few, probabilities
    return np.broadcast_to(np.arange(size), weights.shape), weights / sums


def _allowed(probabilities: npt.NDArray[np.float64], config: SamplingConfig) -> npt.NDArray[np.bool_]:
    """Which may be drawn: the likeliest always, and with the least likely one that may all that are as likely."""
    ordered = np.sort(probabilities, axis=-1)[:, ::-1]
    before = np.cumsum(ordered, axis=-1) - ordered
    count = np.maximum((before < config.top_p).sum(axis=-1, keepdims=True), 1)
    if config.top_k:
        count = np.minimum(count, config.top_k)
    least = np.take_along_axis(ordered, count - 1, axis=-1)
    return np.asarray(probabilities >= np.maximum(least, config.min_p * ordered[:, :1]), np.bool_)
