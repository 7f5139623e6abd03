"""Recall@1 of 20: does a network find the reply that was given among 20, 19 of which were given elsewhere?

Candidates are ranked by log p(reply | context), and by maximum mutual information (Li et al., 2016): log p(reply |
context) - a log p(reply) + b length, which does not favour what fits anywhere. The weights are chosen on training
exchanges.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.decoding import log_probabilities
from model.inference import Inference
from model.ranking import Weights
from training.dataset import Split
from training.likelihood import batches, given_nothing

CANDIDATES = 20

_CONTEXTS_AT_ONCE = 16

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """Of candidates, `[contexts, 20]`, the right one first.

    Attributes:
        conditional: log p(reply | context).
        prior: log p(reply).
        lengths: in tokens.
    """

    conditional: Floats
    prior: Floats
    lengths: Floats

    def hits(self, weights: Weights) -> npt.NDArray[np.bool_]:
        """Whether the right candidate has the highest score, `[contexts]`."""
        return np.asarray(self._ranks(weights) == 1)

    def mean_reciprocal_rank(self, weights: Weights) -> float:
        """1 where the right candidates all have the highest score, a half where they have the second highest."""
        return float((1 / self._ranks(weights)).mean())

    def _ranks(self, weights: Weights) -> Rows:
        scores = weights.score(self.conditional, self.prior, self.lengths)
        return np.asarray((scores >= scores[:, :1]).sum(axis=1))


def draw_candidates(split: Split, rows: Rows, others: Rows, rng: np.random.Generator) -> Rows:
    """Candidates for the contexts of some rows, as rows of replies, `[contexts, 20]`, the right one first.

    Args:
        split: the examples.
        rows: whose contexts; those are left out for which there are not enough other replies.
        others: the rows from which the 19 others come; a reply that equals the right one is not taken.
        rng: draws them.
    """
    candidates = []
    for row in rows:
        right = split.replies[row]
        others_of_row = (each for each in rng.permutation(others) if not np.array_equal(split.replies[each], right))
        candidates.append([row, *itertools.islice(others_of_row, CANDIDATES - 1)])
    return np.array([each for each in candidates if len(each) == CANDIDATES], np.int64).reshape(-1, CANDIDATES)


def score_candidates(inference: Inference, split: Split, candidates: Rows, stage: str) -> Scores:
    """Score candidates; each context is read once, and each reply by itself once.

    Args:
        inference: the network.
        split: the examples.
        candidates: as `draw_candidates` gave them.
        stage: the progress bar's name.
    """
    conditional = np.zeros(candidates.shape)
    for places in batches(split.contexts.lengths[candidates[:, 0]].tolist(), _CONTEXTS_AT_ONCE, stage):
        rows = candidates[places]
        state = inference.encode([split.contexts[row].tolist() for row in rows[:, 0]])
        repeated = state.take(np.repeat(np.arange(len(rows)), CANDIDATES))
        replies = [split.replies[row] for row in rows.ravel().tolist()]
        conditional[places] = log_probabilities(inference, repeated, replies).reshape(rows.shape)
    different, inverse = np.unique(candidates, return_inverse=True)
    prior = given_nothing(inference, [split.replies[row] for row in different.tolist()], stage)
    return Scores(conditional, prior[inverse], split.replies.lengths[candidates].astype(np.float64))


def choose_weights(scores: Scores) -> Weights:
    """The weights that rank the right candidates highest, by mean reciprocal rank."""
    priors, lengths = np.linspace(0, 1.5, 16), np.linspace(-1, 1, 21)
    grid = [Weights(prior=float(prior), length=float(length)) for prior, length in itertools.product(priors, lengths)]
    return max(grid, key=scores.mean_reciprocal_rank)
