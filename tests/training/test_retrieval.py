"""Finding the reply that was given among 20."""

import numpy as np
import pytest

from model.tokenizer import END
from tests.training.conftest import ragged
from tests.training.knowing_network import KnowingNetwork
from training.dataset import Split
from training.retrieval import CANDIDATES, Scores, Weights, choose_weights, draw_candidates, score_candidates

VOCABULARY_SIZE = 120


def exchanges(count: int, longest: int = 3) -> Split:
    """Each with tokens of its own."""
    contexts = [[5, 10 + row] for row in range(count)]
    replies = [[60 + row, *[9] * (row % longest), END] for row in range(count)]
    return Split(ragged(contexts), ragged(replies))


@pytest.fixture
def split() -> Split:
    return exchanges(40)


def network(split: Split, known: int, likings: dict[int, float] | None = None) -> KnowingNetwork:
    replies = {tuple(split.contexts[row].tolist()): split.replies[row].tolist()[:-1] for row in range(known)}
    return KnowingNetwork(replies, VOCABULARY_SIZE, likings or {})


def scores(split: Split, network: KnowingNetwork) -> Scores:
    rows = np.arange(len(split))
    return score_candidates(network, split, draw_candidates(split, rows, rows, np.random.default_rng(0)), "")


def test_the_right_reply_is_first_and_the_others_are_different_ones(split: Split) -> None:
    rows, others = np.array([3, 8]), np.arange(10, 40)
    candidates = draw_candidates(split, rows, others, np.random.default_rng(0))
    assert candidates.shape == (2, CANDIDATES)
    assert candidates[:, 0].tolist() == [3, 8]
    for row in candidates:
        assert len(set(row)) == CANDIDATES
        assert set(row[1:]) <= set(others)


def test_a_reply_that_equals_the_right_one_is_no_wrong_one() -> None:
    split = Split(ragged([[5]] * 30), ragged([[60, END]] * 10 + [[61 + row, END] for row in range(20)]))
    candidates = draw_candidates(split, np.arange(5), np.arange(30), np.random.default_rng(0))
    assert candidates[:, 1:].min() >= 10


def test_contexts_without_enough_others_are_left_out() -> None:
    split = Split(ragged([[5]] * 25), ragged([[60, END]] * 20 + [[61 + row, END] for row in range(5)]))
    assert len(draw_candidates(split, np.arange(25), np.arange(25), np.random.default_rng(0))) == 5
    assert draw_candidates(split, np.arange(2), np.arange(25), np.random.default_rng(0)).shape == (0, CANDIDATES)


def test_a_network_that_knows_the_replies_finds_them(split: Split) -> None:
    assert scores(split, network(split, 40)).hits(Weights()).all()


def test_a_network_finds_what_it_knows_and_no_more_than_chance_of_the_rest(split: Split) -> None:
    hits = scores(split, network(split, 20)).hits(Weights())
    assert hits[:20].all()
    assert hits[20:].mean() <= 0.15


def test_ties_are_no_hits() -> None:
    alike = np.zeros((3, CANDIDATES))
    assert not Scores(alike, alike, alike).hits(Weights()).any()


def test_mutual_information_finds_what_likes_hide() -> None:
    split = exchanges(40, longest=1)
    dull = {60 + row: 14.0 for row in range(1, 40, 2)}  # it says these more gladly than what it knows to be right
    found = scores(split, network(split, 40, dull))
    assert found.hits(Weights())[1::2].all()
    assert not found.hits(Weights())[::2].any()
    assert found.hits(Weights(prior=1)).all()
    assert found.hits(choose_weights(found)).all()


def test_scores_are_those_of_one_pair_at_a_time(split: Split) -> None:
    known = network(split, 25, {9: 2, END: 1})
    candidates = draw_candidates(split, np.arange(20), np.arange(40), np.random.default_rng(1))
    got = score_candidates(known, split, candidates, "")
    for place in (0, 7, 19):
        alone = score_candidates(known, split, candidates[place : place + 1], "")
        assert got.conditional[place] == pytest.approx(alone.conditional[0])
        assert got.prior[place] == pytest.approx(alone.prior[0])
        assert got.lengths[place].tolist() == [len(split.replies[row]) for row in candidates[place]]
