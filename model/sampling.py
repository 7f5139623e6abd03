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

DRAWS = 5
"""Random numbers for a token. All but one are for drawing from all tokens, in the hope of one that may be drawn; the
last is for drawing from those that may be, if that fails: to put all in order takes longer than all the rest."""

_BLOCK = 64
"""Tokens whose weights are summed before the running sum is taken, which is one addition after the other."""


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


def log_softmax(logits: Floats) -> Floats:
    """Log probabilities in nats of logits, `[..., vocabulary]`."""
    below = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(below - np.log(np.exp(below).sum(axis=-1, keepdims=True)), np.float32)


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
        draws: random numbers from 0 to below 1 for each row, `[batch, DRAWS]`; no difference at temperature 0.

    Returns:
        Token ids, `[batch]`.

    Raises:
        ValueError: a row holds a NaN, or no finite number.
    """
    likeliest = np.asarray(scores.argmax(axis=-1), np.int64)  # of a row with a NaN it is that
    highest = scores[np.arange(len(scores)), likeliest]
    if not np.isfinite(highest).all():
        raise ValueError("the network returned log probabilities that are no numbers")
    if config.temperature == 0:
        return likeliest
    weights = scores - highest[:, np.newaxis]
    with np.errstate(over="ignore"):  # at a tiny temperature: to minus infinity, which is right
        weights /= np.float32(max(config.temperature, _COLDEST))
    np.exp(weights, out=weights)
    tries = _draw(weights, draws[:, :-1])
    chosen = tries[:, 0]
    for row in np.flatnonzero(~_may_be_drawn(weights, chosen, config)):
        chosen[row] = _draw_again(weights[row], tries[row, 1:], config, draws[row, -1])
    return chosen


def _repeated(said: Said, n: int) -> list[int]:
    """The tokens that would make the last n tokens a run that was said before."""
    if not n or len(said) < n:
        return []
    last = list(said[len(said) - n + 1 :])
    return [said[end] for end in range(n - 1, len(said)) if list(said[end - n + 1 : end]) == last]


def _completed(said: Said, banned: Sequence[Said]) -> list[int]:
    """The tokens that would complete a banned run."""
    return [run[-1] for run in banned if len(run) == 1 or tuple(said[1 - len(run) :]) == tuple(run[:-1])]


def _draw(weights: Floats, draws: npt.NDArray[np.float64]) -> Ids:
    """Tokens of each row, `[batch, tries]`, by their weights; where rounding decides, one that has none at times."""
    size, rows = weights.shape[-1], np.arange(len(weights))[:, np.newaxis]
    sums = np.cumsum(np.add.reduceat(weights, np.arange(0, size, _BLOCK), axis=-1), axis=-1, dtype=np.float64)
    goals = draws * sums[:, -1:]
    blocks = np.minimum((sums[:, np.newaxis] <= goals[..., np.newaxis]).sum(axis=-1), sums.shape[-1] - 1)
    goals -= np.where(blocks, sums[rows, blocks - 1], 0)
    members = np.minimum(blocks[..., np.newaxis] * _BLOCK + np.arange(_BLOCK), size - 1)
    within = np.cumsum(weights[rows[..., np.newaxis], members], axis=-1)
    places = np.minimum((within <= goals[..., np.newaxis]).sum(axis=-1), _BLOCK - 1)
    return np.asarray(np.minimum(blocks * _BLOCK + places, size - 1), np.int64)


def _may_be_drawn(weights: Floats, tokens: Ids, config: SamplingConfig) -> npt.NDArray[np.bool_]:
    """Whether what is likelier than the token of a row leaves room for it, and it is as likely as it has to be."""
    weight = weights[np.arange(len(tokens)), tokens]
    allowed = (weight > 0) & (weight >= config.min_p)  # the likeliest weighs 1
    likelier = weights > weight[:, np.newaxis]
    if config.top_p < 1:
        allowed &= (weights * likelier).sum(axis=-1) < config.top_p * weights.sum(axis=-1)
    if config.top_k:
        allowed &= np.count_nonzero(likelier, axis=-1) < config.top_k
    return np.asarray(allowed)


def _draw_again(weights: Floats, tries: Ids, config: SamplingConfig, draw: float) -> int:
    """The first of some tokens that may be drawn; if there is none, one by its weight, of those that may be.

    What is drawn from all until it may be drawn has the distribution of all that may be.
    """
    for token in tries:
        if _may_be_drawn(weights[np.newaxis], token[np.newaxis], config).all():
            return int(token)
    ordered = np.sort(weights.astype(np.float64))[::-1]
    before = np.cumsum(ordered) - ordered
    count = max(int((before < config.top_p * ordered.sum()).sum()), 1)
    least = ordered[min(count, config.top_k or count, len(ordered)) - 1]  # all that are as likely may be drawn too
    tokens = np.flatnonzero((weights >= max(least, config.min_p)) & (weights > 0))
    totals = np.cumsum(weights[tokens], dtype=np.float64)
    return int(tokens[(totals <= draw * totals[-1]).sum()])
