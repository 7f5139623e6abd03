"""Contexts in, candidates out, for a network small enough to try all that it can say."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.decoding import EMPTY_CONTEXT, Candidate, Request, log_probabilities, search, write
from model.inference import State
from model.sampling import SamplingConfig, log_softmax
from model.tokenizer import END, LINE_ID, PAD, START, UNKNOWN

WORDS = 3
VOCABULARY = LINE_ID + 1 + WORDS
SAYABLE = [END, *range(LINE_ID, VOCABULARY)]
PLAIN = SamplingConfig(temperature=1, top_p=1)
GREEDY = SamplingConfig(temperature=0)


class TableNetwork:
    """What is likely is a random row of a table, chosen by the context and all that was said after it."""

    def __init__(self, seed: int = 0, spread: float = 1.5, *, at_once: bool = False) -> None:
        self.table = np.random.default_rng(seed).normal(0, spread, (997, VOCABULARY)).astype(np.float32)
        self.at_once = at_once
        self.batches: list[int] = []
        self.contexts: list[list[int]] = []

    def encode(self, contexts: Sequence[Sequence[int]]) -> State:
        self.contexts += map(list, contexts)
        keys = [sum((place + 1) * token for place, token in enumerate(context)) for context in contexts]
        return State({"key": np.array(keys)}, {"said": np.zeros(len(contexts), np.int64)})

    def step(self, tokens: npt.NDArray[np.int64], state: State) -> tuple[npt.NDArray[np.float32], State]:
        self.batches.append(len(tokens))
        said = (state.layers["said"] * 31 + tokens + 1) % 10**6
        rows = (state.context["key"] * 7919 + said) % len(self.table)
        return log_softmax(self.table[rows]), State(state.context, {"said": said})

    def read(self, tokens: npt.NDArray[np.int64], state: State) -> npt.NDArray[np.float32] | None:
        if not self.at_once:
            return None
        steps = []
        for each in tokens.T:
            likelihoods, state = self.step(each, state)
            steps.append(likelihoods)
        return np.stack(steps, 1)

    def likelihood(self, context: Sequence[int], ids: Sequence[int], *, ended: bool) -> float:
        state, total, last = self.encode([context]), 0.0, START
        for token in [*ids, *([END] if ended else [])]:
            likelihoods, state = self.step(np.array([last]), state)
            total, last = total + float(likelihoods[0, token]), token
        return total


def request(context: Sequence[int] = (9, 8), sampling: SamplingConfig = PLAIN, seed: int = 0, n: int = 1) -> Request:
    return Request(context, sampling, np.random.default_rng(seed), n)


def written(*requests: Request, network: TableNetwork | None = None, **options: Any) -> list[list[Candidate]]:
    return write(network or TableNetwork(), requests, **{"max_tokens": 6, **options})


@given(st.integers(0, 50), st.integers(1, 7), st.booleans())
def test_candidates_have_the_likelihoods_that_the_network_gives_them(seed: int, most: int, prior: bool) -> None:
    network, contexts = TableNetwork(seed), [[9, 8], [7], [10, 9, 10]]
    found = written(
        *(request(context, seed=seed, n=5) for context in contexts), network=network, max_tokens=most, prior=prior
    )
    for context, candidates in zip(contexts, found, strict=True):
        assert len(candidates) == 5
        for each in candidates:
            assert set(each.ids) <= set(SAYABLE) - {END}
            assert 1 <= len(each.ids) <= most
            assert each.ended or len(each.ids) == most
            assert each.tokens == len(each.ids) + each.ended
            assert each.likelihood == pytest.approx(network.likelihood(context, each.ids, ended=each.ended), abs=1e-4)
            expected = network.likelihood(EMPTY_CONTEXT, each.ids, ended=each.ended) if prior else 0
            assert each.prior == pytest.approx(expected, abs=1e-4)


@given(st.integers(0, 50), st.booleans())
def test_a_request_gets_the_same_whatever_else_is_asked(seed: int, prior: bool) -> None:
    mine = {"context": [9, 8, 7], "seed": seed, "n": 3}
    alone = written(request(**mine), prior=prior)[0]
    others = [request([9], seed=5, n=4), request([8, 8], GREEDY), request([7], replace(PLAIN, top_k=2), n=2)]
    assert written(*others[:1], request(**mine), *others[1:], prior=prior)[1] == alone


def test_each_context_is_read_once_and_the_empty_one_only_where_it_is_needed() -> None:
    network = TableNetwork()
    written(request([9, 8], n=4), request([7], n=2), network=network)
    assert network.contexts == [[9, 8], [7]]
    assert network.batches[0] == 6
    network = TableNetwork()
    written(request([9, 8], n=4), network=network, prior=True)
    assert network.contexts == [[9, 8], EMPTY_CONTEXT]
    assert network.batches[0] == 4


def test_what_has_ended_leaves_the_batch() -> None:
    network = TableNetwork()
    (candidates,) = written(request(n=40), network=network, max_tokens=12)
    lengths = [each.tokens for each in candidates]
    assert network.batches == [sum(length > time for length in lengths) for time in range(max(lengths))]
    assert len(set(network.batches)) > 3


def test_the_likeliest_token_is_taken_at_temperature_0() -> None:
    network = TableNetwork(3)
    ((candidate,),) = written(request(sampling=GREEDY), network=network)
    state, last = network.encode([[9, 8]]), START
    for time, token in enumerate([*candidate.ids, END][:6]):
        likelihoods, state = network.step(np.array([last]), state)
        allowed = [each for each in SAYABLE if time or each not in (END, LINE_ID)]
        last = max(allowed, key=lambda each: likelihoods[0, each])
        assert token == last


def test_draws_follow_the_probabilities() -> None:
    network = TableNetwork(1)
    (candidates,) = written(request(n=6000), network=network, max_tokens=1)
    likelihoods, _ = network.step(np.array([START]), network.encode([[9, 8]]))
    words = np.arange(LINE_ID + 1, VOCABULARY)
    weights = np.exp(likelihoods[0, words].astype(np.float64))
    expected = 6000 * weights / weights.sum()
    observed = np.bincount([each.ids[0] for each in candidates], minlength=VOCABULARY)[words]
    assert ((observed - expected) ** 2 / expected).sum() < 13.8  # chi-square of 2 degrees of freedom, p = 0.001


@pytest.mark.parametrize("favourite", [PAD, UNKNOWN, START, END, LINE_ID, *range(END + 1, LINE_ID)])
def test_a_reply_begins_with_a_word_and_has_no_markers(favourite: int) -> None:
    network = TableNetwork()
    network.table[:, favourite] = 50
    for config in (GREEDY, PLAIN):
        for each in written(request(sampling=config, n=3), network=network)[0]:
            assert each.ids[0] > LINE_ID
            assert set(each.ids) <= set(SAYABLE)


def test_lengths_are_kept() -> None:
    config = replace(PLAIN, min_tokens=3, max_tokens=4)
    (candidates,) = written(request(sampling=config, n=200))
    assert {len(each.ids) for each in candidates} == {3, 4}
    assert {len(each.ids) for each in written(request(sampling=replace(config, max_tokens=60), n=50))[0]} <= {
        3,
        4,
        5,
        6,
    }


def test_what_may_not_be_repeated_is_not() -> None:
    config = replace(PLAIN, no_repeat_ngram=1, banned=((LINE_ID,),))
    for each in written(request(sampling=config, n=100), max_tokens=WORDS)[0]:
        assert len(set(each.ids)) == len(each.ids)
        assert LINE_ID not in each.ids


def test_guidance_draws_what_is_likelier_with_the_context_than_without() -> None:
    means = []
    for weight in (0.0, 1.0, 4.0):
        (candidates,) = written(request(sampling=replace(PLAIN, guidance=weight), n=400), prior=True)
        means.append(np.mean([(each.likelihood - each.prior) / each.tokens for each in candidates]))
    assert means == sorted(means)
    assert means[2] > means[0] + 0.3


def test_no_numbers_are_an_error() -> None:
    network = TableNetwork()
    network.table[:] = np.nan
    for sampling in (PLAIN, GREEDY, replace(PLAIN, guidance=1)):
        with pytest.raises(ValueError, match="no numbers"):
            written(request(sampling=sampling), network=network)
    with pytest.raises(ValueError, match="no numbers"):
        search(network, [9], GREEDY, width=2, max_tokens=3)


def all_replies(network: TableNetwork, context: list[int], most: int) -> list[tuple[float, tuple[int, ...]]]:
    """All that can be said, with its likelihood: what ends, and what is as long as may be."""
    tokens, found = range(LINE_ID, VOCABULARY), []
    for length in range(1, most + 1):
        for ids in itertools.product(tokens, repeat=length):
            if ids[0] != LINE_ID:
                ends = [True] if length < most else [False]
                found += [(network.likelihood(context, ids, ended=ended), ids) for ended in ends]
    return found


@pytest.mark.parametrize("seed", range(4))
def test_a_wide_beam_finds_the_likeliest_reply(seed: int) -> None:
    network = TableNetwork(seed)
    expected = sorted(all_replies(network, [9, 8], 3), reverse=True)
    found = search(network, [9, 8], GREEDY, width=100, max_tokens=3, length_penalty=0)
    for each, (likelihood, ids) in zip(found[:10], expected, strict=False):
        assert each.likelihood == pytest.approx(likelihood, abs=1e-4)
        assert each.ids == ids


def test_a_beam_of_1_is_greedy_until_it_ends() -> None:
    network = TableNetwork(3)
    ((greedy,),) = written(request(sampling=GREEDY), network=network)
    (found,) = search(network, [9, 8], GREEDY, width=1, max_tokens=6, length_penalty=0)
    assert found.ids == greedy.ids[: len(found.ids)]


def test_the_length_penalty_favours_length() -> None:
    lengths = [
        np.mean(
            [
                search(TableNetwork(seed), [9], GREEDY, width=4, max_tokens=9, length_penalty=alpha)[0].tokens
                for seed in range(20)
            ]
        )
        for alpha in (0.0, 1.0, 2.0)
    ]
    assert lengths[0] < lengths[1] < lengths[2]


def test_a_beam_keeps_what_may_be_said() -> None:
    config = replace(GREEDY, no_repeat_ngram=1, min_tokens=2, max_tokens=3)
    found = search(TableNetwork(2), [9, 8], config, width=5, max_tokens=9)
    assert len(found) == 5
    for each in found:
        assert 2 <= len(each.ids) <= 3
        assert len(set(each.ids)) == len(each.ids)


def test_likelihoods_are_those_of_the_steps_whether_read_at_once_or_not() -> None:
    contexts, replies = [[9, 8], [7], [10, 9, 10]], [[END], [LINE_ID, LINE_ID + 1, LINE_ID, END], [LINE_ID + 2]]
    contexts += [[9, length] for length in range(20)]
    replies += [[LINE_ID + length % 3] * (5 * length + 1) for length in range(20)]  # too much to read all at once
    for at_once in (False, True):
        network = TableNetwork(4, at_once=at_once)
        found = log_probabilities(network, network.encode(contexts), replies)
        expected = [
            network.likelihood(context, [token for token in reply if token != END], ended=reply[-1] == END)
            for context, reply in zip(contexts, replies, strict=True)
        ]
        assert found == pytest.approx(expected, rel=1e-5)
        assert not at_once or max(network.batches) < len(replies)  # memory: a row for each token of each


def test_likelihoods_that_are_no_numbers_are_an_error() -> None:
    for at_once in (False, True):
        network = TableNetwork(at_once=at_once)
        network.table[:] = np.nan
        with pytest.raises(ValueError, match="no numbers"):
            log_probabilities(network, network.encode([[9]]), [[LINE_ID, END]])
