"""Which of several candidates is the best reply: likely after this context, and less so after any other.

By maximum mutual information (Li et al., 2016): log p(reply | context) - a log p(reply) + b length. What fits anywhere,
and is dull therefore, has a high log p(reply).
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Numbers = TypeVar("Numbers", float, npt.NDArray[np.float64])


@dataclass(frozen=True, kw_only=True)
class Weights:
    """What makes log p(reply | context) mutual information.

    Attributes:
        prior: how much of log p(reply) is taken off.
        length: what each token of the reply adds, in nats.
    """

    prior: float = 0.0
    length: float = 0.0

    def score(self, likelihood: Numbers, prior: Numbers, tokens: Numbers) -> Numbers:
        """The higher the better, of one reply or of many.

        Args:
            likelihood: log p(reply | context).
            prior: log p(reply).
            tokens: its length, the end token counted.
        """
        return likelihood - self.prior * prior + self.length * tokens


DEFAULT = Weights(prior=0.8, length=0.8)
"""Chosen on held-out replies with the shipped model (`tests/benchmarks/replies.py --weights`): they have most in common
with the human ones, are as long, and fewest stand in the training data. With less of either they get dull and short.
"""
