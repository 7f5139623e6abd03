"""Logits in, token ids out: how the next token is drawn. Pure NumPy; knows no network and no text."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How adventurous the choice of tokens is.

    Attributes:
        temperature: 0 always takes the likeliest token; 1 draws as the network would; above is wilder.
        top_k: only the likeliest `top_k` tokens are drawn from; 0 is all.
        top_p: only the likeliest tokens that make up this probability are drawn from (Holtzman et al., 2020).
    """

    temperature: float = 0.9
    top_k: int = 0
    top_p: float = 0.9

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= 10:
            raise ValueError(f"temperature must be from 0 to 10, not {self.temperature}")
        if self.top_k < 0:
            raise ValueError(f"top_k must not be negative, as {self.top_k} is")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, not {self.top_p}")


def sample(logits: Floats, config: SamplingConfig, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Draw one token for each row.

    Args:
        logits: `[batch, vocabulary]`; minus infinity forbids a token, but not all of a row.
        config: how.
        rng: the only source of chance; not touched at temperature 0.

    Returns:
        Token ids, `[batch]`.

    Raises:
        ValueError: a row holds no finite number, or a NaN.
    """
    if np.isnan(logits).any() or not np.isfinite(logits.max(axis=-1)).all():
        raise ValueError("the network returned logits that are no numbers")
    if config.temperature == 0:
        return np.asarray(logits.argmax(axis=-1), np.int64)
    order = np.argsort(-logits, axis=-1, kind="stable")
    probabilities = _softmax(np.take_along_axis(logits, order, axis=-1), config.temperature)
    probabilities *= _allowed(probabilities, config)
    totals = np.cumsum(probabilities, axis=-1)
    draws = rng.random((len(logits), 1)) * totals[:, -1:]
    chosen = (totals <= draws).sum(axis=-1, keepdims=True)
    return np.asarray(np.take_along_axis(order, chosen, axis=-1)[:, 0], np.int64)


def _softmax(logits: Floats, temperature: float) -> npt.NDArray[np.float64]:
    below = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    with np.errstate(over="ignore"):  # at a tiny temperature: to minus infinity, which is right
        exponentials = np.exp(below / temperature)
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True))


def _allowed(probabilities: npt.NDArray[np.float64], config: SamplingConfig) -> npt.NDArray[np.bool_]:
    """Which of the probabilities, likeliest first, may be drawn; the first always may."""
    before = np.cumsum(probabilities, axis=-1) - probabilities
    allowed = before < config.top_p
    if config.top_k:
        allowed[:, config.top_k :] = False
    allowed[:, 0] = True
    return allowed
