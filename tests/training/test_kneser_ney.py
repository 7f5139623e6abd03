"""The n-gram model: against KenLM's figures, against the textbook, and that it is a distribution."""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import pytest

from model.tokenizer import END, START
from tests.training.conftest import ragged
from training.kneser_ney import KneserNey

VOCABULARY_SIZE = 30
Reply = Sequence[int]


def made_up_replies(count: int, seed: int) -> list[list[int]]:
    """Tokens from 8 to 29, each of which likes some of the others."""
    rng, replies = random.Random(seed), []
    for _ in range(count):
        token, reply = rng.choice(range(8, 30)), []
        for _ in range(rng.randrange(1, 9)):
            reply.append(token)
            token = 8 + (token * rng.choice((3, 5, 7)) + rng.choice((0, 0, 1))) % 22
        replies.append([*reply, END])
    return replies


KNOWN = made_up_replies(300, 1)
"""Many enough for discounts to be estimated from the third order on, not for the first two."""


@pytest.fixture(scope="module")
def model() -> KneserNey:
    return KneserNey.estimate(ragged(KNOWN), VOCABULARY_SIZE)


def probability(model: KneserNey, history: Reply, token: int) -> float:
    return float(np.exp(model.log_probabilities(ragged([[*history, token]]))[-1]))


def test_it_is_the_model_of_kenlm(model: KneserNey) -> None:
    # Natural logarithms of `lmplz -o 5 --discount_fallback --vocab_pad 30` over the same replies.
    kenlm = {
        (9, 13): [-2.90535, -2.06769, -1.64087],
        (29, 22, 9, 14, 18): [-3.41997, -2.1, -1.08883, -2.94737, -2.52127, -1.92079],
        (20, 16, 10, 16, 22, 8): [-3.03525, -2.13464, -3.09128, -1.63392, -1.58161, -0.85303, -0.91956],
        (13, 25, 17): [-3.15324, -1.48834, -2.20333, -1.97188],
        (12, 27, 21, 25, 8, 27): [-3.23449, -2.4621, -0.92706, -1.87931, -4.57835, -3.5641, -1.44555],
    }
    got = model.log_probabilities(ragged([[*reply, END] for reply in kenlm]))
    assert got == pytest.approx(np.concatenate(list(kenlm.values())), abs=2e-5)


class Textbook:
    """Interpolated modified Kneser-Ney, n-gram by n-gram, as Chen and Goodman write it down."""

    def __init__(self, replies: Sequence[Reply], order: int) -> None:
        occurrences: Counter[tuple[int, ...]] = Counter()
        for reply in replies:
            padded = (START, *reply)
            for length in range(1, order + 1):
                occurrences.update(padded[at : at + length] for at in range(len(padded) - length + 1))
        preceding: dict[tuple[int, ...], set[int]] = defaultdict(set)
        for gram in occurrences:
            preceding[gram[1:]].add(gram[0])
        self.counts = {
            gram: count if len(gram) == order or gram[0] == START else len(preceding[gram])
            for gram, count in occurrences.items()
            if gram != (START,)
        }
        self.discounts = [self._discounts(length) for length in range(1, order + 1)]
        self.order = order

    def _discounts(self, length: int) -> list[float]:
        n = Counter(count for gram, count in self.counts.items() if len(gram) == length)
        if not (n[1] and n[2] and n[3]):
            return [0, 0.5, 1, 1.5]
        y = n[1] / (n[1] + 2 * n[2])
        return [0, *(k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3))]

    def probability(self, token: int, history: tuple[int, ...]) -> float:
        history = history[max(len(history) - self.order + 1, 0) :]
        after = {gram[-1]: count for gram, count in self.counts.items() if gram[:-1] == history}
        lower = self.probability(token, history[1:]) if history else 1 / VOCABULARY_SIZE
        if not after:
            return lower
        discounts, total = self.discounts[len(history)], sum(after.values())
        taken_off = sum(discounts[min(count, 3)] for count in after.values())
        count = after.get(token, 0)
        return (count - discounts[min(count, 3)] + taken_off * lower) / total


@pytest.mark.parametrize("order", [2, 3, 5])
def test_it_is_the_model_of_the_textbook(order: int) -> None:
    known, held_out = made_up_replies(60, 3), made_up_replies(12, 4)
    textbook = Textbook(known, order)
    expected = [
        math.log(textbook.probability(token, (START, *reply[:place])))
        for reply in held_out
        for place, token in enumerate(reply)
    ]
    got = KneserNey.estimate(ragged(known), VOCABULARY_SIZE, order=order).log_probabilities(ragged(held_out))
    assert got == pytest.approx(expected)


@pytest.mark.parametrize(
    "history", [[], [9], KNOWN[0][:4], [9, 9], [28, 9, 9, 28, 9], [4], [*KNOWN[1][:2], 5, *KNOWN[2][:3]]], ids=str
)
def test_the_probabilities_after_any_history_add_up_to_1(model: KneserNey, history: Reply) -> None:
    assert sum(probability(model, history, token) for token in range(VOCABULARY_SIZE)) == pytest.approx(1)


def test_one_reply_does_not_see_another(model: KneserNey) -> None:
    apart = [model.log_probabilities(ragged([reply])) for reply in KNOWN[:5]]
    assert model.log_probabilities(ragged(KNOWN[:5])) == pytest.approx(np.concatenate(apart))


def test_what_was_seen_is_likelier_than_what_was_not(model: KneserNey) -> None:
    seen, unseen = model.log_probabilities(ragged([KNOWN[7]])), model.log_probabilities(ragged([[9] * 6]))
    assert seen.mean() > unseen.mean() + 1


def test_the_first_replies_are_all_that_is_learned_of_them() -> None:
    some = KneserNey.estimate(ragged(KNOWN).first(40), VOCABULARY_SIZE).log_probabilities(ragged(KNOWN).first(60))
    alone = KneserNey.estimate(ragged(KNOWN[:40]), VOCABULARY_SIZE).log_probabilities(ragged(KNOWN[:60]))
    assert some.tolist() == alone.tolist()
