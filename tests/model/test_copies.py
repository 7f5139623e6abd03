"""What single people said is found again, and what several said is not."""

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.copies import RUN, WINDOW, CopyIndex, fingerprints

STORY = "the quick brown fox jumps over the lazy dog and then it sleeps until noon"


def index_of(*replies: tuple[str, int]) -> CopyIndex:
    return CopyIndex.build(lambda: replies)


INDEX = index_of(
    (STORY, 1), ("one two", 3), ("good morning", 1), ("Good morning!", 2), ("well I never said that, ok?", 4), ("", 5)
)
words = st.lists(st.sampled_from([f"w{number}" for number in range(400)]), min_size=1, max_size=30)


def made_up(count: int, seed: int, length: int = 12) -> list[str]:
    """Texts in which every other word is one that nobody else has."""
    rng = random.Random(seed)
    return [
        " ".join("".join(rng.choices("abcdefgh", k=10)) if k % 2 else "and" for k in range(length))
        for _ in range(count)
    ]


@pytest.mark.parametrize(
    "text", [STORY, STORY.upper(), "One, two!", "well i never said that OK", f"so {STORY[4:60]} he said"]
)
def test_what_one_person_said_is_found(text: str) -> None:
    assert INDEX.has(text)


@pytest.mark.parametrize(
    "text", ["good morning", "one two three", "something new", "", "?!", "the quick brown fox", "two one"]
)
def test_what_is_commonplace_or_new_is_not(text: str) -> None:
    assert not INDEX.has(text)


def test_what_one_person_says_often_is_still_hers() -> None:
    assert index_of(*[("my old saying", 7)] * 5).has("My old saying.")


def test_a_run_that_two_people_share_is_commonplace_and_the_rest_of_both_is_not() -> None:
    shared = " ".join(made_up(1, 0, length=RUN + WINDOW))
    first, second = (f"{mine} {shared}" for mine in made_up(2, 1, length=10))
    index = index_of((first, 1), (second, 2))
    assert index.has(first)
    assert index.has(second)
    assert not index.has(shared)


OFTEN = ["so", "you", "have", "to", "say", "what", "they", "said"]


def in_common_words(text: str) -> CopyIndex:
    """An index of a text, among common words that others said."""
    return index_of((text, 1), *[(f"{' '.join(OFTEN)} {number % 10}", 2 + number) for number in range(60)])


def test_three_rare_words_in_a_row_are_found_in_whatever_they_are_said() -> None:
    index = in_common_words("you have to say Velvet, apple tiger")
    assert index.has("i think they said velvet apple tiger")
    assert index.has("VELVET apple tiger?")
    assert not index.has("say velvet apple")
    assert not index.has("they have velvet to say apple what tiger")
    assert not index.has("velvet tiger apple")


def test_of_words_that_are_common_three_in_a_row_are_anybodys() -> None:
    index = in_common_words("say what you have said")
    assert not index.has("they said what you have to say")


def test_a_rare_run_that_several_said_is_anybodys() -> None:
    assert index_of(("velvet apple tiger", 1)).has("oh velvet apple tiger")
    assert not index_of(("velvet apple tiger", 1), ("a velvet apple tiger", 2)).has("oh velvet apple tiger")


NUMBERS = [
    "exactly 31133 steps",
    "31133",
    "31,133!",
    "take 31 133 and go",
    "it is 3113-3",
    "131133",
    "x31133s",
    "311\n33.0",
]


@pytest.mark.parametrize("text", NUMBERS)
def test_a_number_that_one_person_said_is_found_however_it_is_written(text: str) -> None:
    index = in_common_words("there are exactly 31133")
    assert index.has(text)
    assert not index.has(text, f"who said {text}?")


@pytest.mark.parametrize("text", ["exactly 31134 steps", "311", "3113 and 3"])
def test_other_numbers_are_not(text: str) -> None:
    assert not in_common_words("there are exactly 31133, or 311").has(text)


def test_a_number_that_several_said_is_anybodys() -> None:
    assert not index_of(("since 2018", 1), ("in 2018 i was", 2)).has("it was 2018")


@given(words, words, st.data())
def test_every_long_run_is_found(before: list[str], after: list[str], data: st.DataObject) -> None:
    said = data.draw(st.lists(st.integers(0, 10**6).map(str), min_size=RUN + WINDOW - 1, max_size=40))
    start = data.draw(st.integers(0, len(said) - (RUN + WINDOW - 1)))
    end = data.draw(st.integers(start + RUN + WINDOW - 1, len(said)))
    index = index_of((" ".join(said), 1))
    assert index.has(" ".join(said))
    assert index.has(" ".join([*before, *said[start:end], *after]))


@given(st.lists(words.map(" ".join) | st.just(""), max_size=8))
def test_texts_are_hashed_together_as_alone(texts: list[str]) -> None:
    hashes, rows, chosen = fingerprints(texts)
    for row, text in enumerate(texts):
        alone, _, chosen_alone = fingerprints([text])
        together = zip(hashes[rows == row].tolist(), chosen[rows == row].tolist(), strict=True)
        assert sorted(together) == sorted(zip(alone.tolist(), chosen_alone.tolist(), strict=True))


@given(words.filter(lambda each: len(each) >= RUN))
def test_winnowing_leaves_one_run_in_each_window(said: list[str]) -> None:
    _, _, (whole, *chosen) = fingerprints([" ".join(said)])
    assert whole
    for start in range(max(len(chosen) - WINDOW + 1, 1)):
        assert any(chosen[start : start + WINDOW])


def test_new_texts_are_seldom_taken_for_known() -> None:
    index = index_of(*zip(made_up(3000, 0), range(3000), strict=True))
    assert sum(map(index.has, made_up(1000, 1))) < 40  # 8 hashes each, of which one in 500 is taken for known


def test_it_is_small() -> None:
    said = made_up(3000, 0, length=8)
    index = index_of(*zip(said, range(len(said)), strict=True))
    assert sum(map(len, index.filters)) < 6 * len(said)


def test_a_file_holds_all_of_it_and_indexes_add_up(tmp_path: Path) -> None:
    both = INDEX + index_of(("another one", 1))
    both.save(tmp_path / "copies.npz")
    loaded = CopyIndex.load(tmp_path / "copies.npz")
    assert [bits.tolist() for bits in loaded.filters] == [bits.tolist() for bits in both.filters]
    for text, known in ((STORY, True), ("another one", True), ("good morning", False)):
        assert both.has(text) == loaded.has(text) == known


@pytest.mark.parametrize("index", [CopyIndex(), index_of(), index_of(("", 1))])
def test_an_index_of_nothing_finds_nothing(index: CopyIndex, tmp_path: Path) -> None:
    index.save(tmp_path / "copies.npz")
    assert not any(map(CopyIndex.load(tmp_path / "copies.npz").has, [STORY, "", "one"]))


def test_a_file_that_is_no_index_is_an_error(tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "garbage").write_bytes(b"garbage")
    for name in ("objects.npy", "garbage", "missing"):
        with pytest.raises((OSError, ValueError)):
            CopyIndex.load(tmp_path / name)
