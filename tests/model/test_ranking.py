"""The order of candidates."""

import numpy as np
import pytest

from model.ranking import Weights


def test_a_score_is_what_the_formula_says() -> None:
    assert Weights(prior=0.5, length=2.0).score(-10.0, -6.0, 4.0) == pytest.approx(-10 + 3 + 8)
    assert Weights().score(-10.0, -6.0, 4.0) == -10


def test_many_are_scored_as_one_is() -> None:
    weights, rng = Weights(prior=0.7, length=0.3), np.random.default_rng(0)
    likelihoods, priors, lengths = rng.normal(size=(3, 20))
    scores = weights.score(likelihoods, priors, lengths)
    for row in range(20):
        assert scores[row] == pytest.approx(weights.score(*map(float, (likelihoods[row], priors[row], lengths[row]))))


def test_what_fits_anywhere_loses_to_what_fits_here() -> None:
    dull, apt = (-4.0, -3.0, 3.0), (-9.0, -20.0, 3.0)
    assert Weights().score(*dull) > Weights().score(*apt)
    assert Weights(prior=0.5).score(*dull) < Weights(prior=0.5).score(*apt)
