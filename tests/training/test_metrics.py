"""Figures of replies, counted by hand, and their intervals."""

import numpy as np
import pytest
import sacrebleu

from training.metrics import (
    Estimate,
    Floats,
    Row,
    Statistic,
    bleu,
    copied,
    distinct,
    dullness,
    estimate,
    f1,
    mean,
    ratio,
    table,
    words,
)


def value(statistic: Statistic, examples: int) -> float:
    return float(statistic(np.ones((1, examples)))[0])


@pytest.mark.parametrize(
    ("reply", "reference", "expected"),
    [
        ("it is on the shelf", "it is on the shelf", 1),
        ("It is HERE!", "it is, here", 1),
        ("no", "yes", 0),
        ("...", "", 0),
        ("the cat the cat", "the cat sat", 4 / 7),
        ("a b c d", "a", 2 / 5),
    ],
)
def test_f1_is_the_harmonic_mean_of_what_is_shared(reply: str, reference: str, expected: float) -> None:
    assert f1(reply, reference) == pytest.approx(expected)
    assert f1(reference, reply) == pytest.approx(expected)


def test_bleu_is_that_of_sacrebleu() -> None:
    replies = ["the kettle is on the shelf", "who knows, really?", "it is under the bed I think"]
    references = ["the kettle is on the table now", "really, who knows?", "it is under the bed"]
    expected = sacrebleu.corpus_bleu(replies, [references]).score
    assert expected > 10
    assert value(bleu(replies, references), 3) == pytest.approx(expected)


def test_distinct_counts_different_words_and_pairs_within_replies() -> None:
    replies = ["I see", "i see you", "You!"]
    assert value(distinct(replies, 1, most_words=100), 3) == pytest.approx(3 / 6)
    assert value(distinct(replies, 2, most_words=100), 3) == pytest.approx(2 / 6)  # not "you you"


def test_distinct_looks_at_replies_until_there_are_so_many_words() -> None:
    replies = ["a b", "a c", "d e f"]
    assert value(distinct(replies, 1, most_words=2), 3) == pytest.approx(2 / 2)
    assert value(distinct(replies, 1, most_words=4), 3) == pytest.approx(3 / 4)
    assert value(distinct(replies, 1, most_words=5), 3) == pytest.approx(6 / 7)
    without_the_second = distinct(replies, 1, most_words=4)(np.array([[1.0, 0.0, 1.0]]))
    assert without_the_second == pytest.approx([5 / 5])


def test_dullness_is_the_share_of_the_ten_most_frequent_replies() -> None:
    replies = ["I don't know.", "i don't know", "ok", *(f"number {number}" for number in range(17))]
    assert value(dullness(replies), 20) == pytest.approx(11 / 20)
    assert value(dullness(replies[:3]), 3) == 1


@pytest.mark.parametrize(
    ("reply", "is_copied"),
    [
        ("the kettle is on the shelf", True),
        ("Is on the shelf, behind the?", True),
        ("on the shelf\nbehind the red", True),
        ("the kettle is on the floor", False),
        ("the kettle is on the shelf behind the red pot too", False),
        ("is on the shelf", False),
        ("red pot the kettle is on", False),
    ],
)
def test_a_reply_of_six_words_is_copied_where_it_stands_in_a_text(reply: str, is_copied: bool) -> None:
    texts = iter(["nothing here", "The kettle is on the shelf behind the red pot.", "the kettle is on"])
    assert copied(["not this one at all really", reply], texts).tolist() == [False, is_copied]


def test_words_are_compared_without_case_and_punctuation_but_signs_stay() -> None:
    assert words('"Well," he said: don\'t :) \n... ÄPFEL') == ["well", "he", "said", "don't", ":)", "...", "äpfel"]


def test_a_ratio_is_of_sums_and_of_nothing_is_nothing() -> None:
    assert value(ratio([1, 2], [4, 2]), 2) == pytest.approx(1 / 2)
    assert value(ratio([0, 0], [0, 0]), 2) == 0


def test_an_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    held, widths = 0, []
    for _ in range(100):
        conversations = np.repeat(np.arange(40), 5)
        values = rng.normal(3, 1, 40)[conversations] + rng.normal(0, 0.5, 200)
        got = estimate(mean(values), conversations)
        held += got.low <= 3 <= got.high
        widths.append(got.margin)
    assert 90 <= held <= 99
    assert np.mean(widths) == pytest.approx(1.96 * ((1 + 0.25 / 5) / 40) ** 0.5, rel=0.1)


def test_examples_of_one_conversation_are_not_independent() -> None:
    values = np.repeat(np.arange(20) % 2, 10)
    together, apart = (estimate(mean(values), groups) for groups in (np.repeat(np.arange(20), 10), np.arange(200)))
    assert together.value == apart.value == 0.5
    assert together.margin > 2 * apart.margin


def test_one_conversation_is_taken_for_many() -> None:
    values, conversations = np.arange(50.0), np.arange(50)
    assert estimate(mean(values), np.zeros(50, int)) == estimate(mean(values), conversations)


def test_the_interval_of_different_words_does_not_depend_on_drawing_replies_twice() -> None:
    rng = np.random.default_rng(1)
    weights = 1 / np.arange(1, 2001)

    def figures() -> Estimate:
        replies = [" ".join(map(str, line)) for line in rng.choice(2000, (100, 8), p=weights / weights.sum())]
        return estimate(distinct(replies, 2, most_words=300), np.arange(100))

    estimates = [figures() for _ in range(30)]
    spread = 1.96 * np.std([each.value for each in estimates])
    assert np.mean([each.margin for each in estimates]) == pytest.approx(spread, rel=0.4)


def test_equal_samples_give_equal_intervals() -> None:
    def statistic(chosen: Floats) -> Floats:
        return np.asarray(chosen @ np.arange(9.0))

    assert estimate(statistic, np.arange(9)) == estimate(statistic, np.arange(9))


def test_the_table_has_a_line_for_each_figure_and_a_column_for_each_row() -> None:
    rows = [
        Row("model", {"bits_per_byte": Estimate(1.795, 1.783, 1.807), "distinct_2": Estimate(0.5, 0.475, 0.525)}),
        Row("human reply", {"distinct_2": Estimate(0.87, 0.86, 0.88)}),
    ]
    head, bits, pairs = table(rows).split("\n")
    assert head.split() == ["model", "human", "reply"]
    assert bits.split() == ["bits", "per", "byte", "1.795", "±0.012"]
    assert pairs.split() == ["distinct-2,", "%", "50.0", "±2.5", "87.0", "±1.0"]
