"""What single people said is found again, and what several said is not."""

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.copies import RUN, WINDOW, CopyIndex, fingerprints

STORY = "the quick brown fox jumps over the lazy dog and then it sleeps until noon"
INDEX = CopyIndex.build(
    [(STORY, 1), ("one two", 3), ("good morning", 1), ("Good morning!", 2), ("well I never said that, ok?", 4), ("", 5)]
)
words = st.lists(st.sampled_from([f"w{number}" for number in range(400)]), min_size=1, max_size=30)


def made_up(count: int, seed: int, length: int = 12) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(f"x{rng.randrange(10**9)}" for _ in range(length)) for _ in range(count)]


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
    assert CopyIndex.build([("my old saying", 7)] * 5).has("My old saying.")


def test_a_run_that_two_people_share_is_commonplace_and_the_rest_of_both_is_not() -> None:
    shared = " ".join(made_up(1, 0, length=RUN + WINDOW))
    first, second = (f"{mine} {shared}" for mine in made_up(2, 1, length=10))
    index = CopyIndex.build([(first, 1), (second, 2)])
    assert index.has(first)
    assert index.has(second)
    assert not index.has(shared)


@given(words, words, st.data())
def test_every_long_run_is_found(before: list[str], after: list[str], data: st.DataObject) -> None:
    said = data.draw(st.lists(st.integers(0, 10**6).map(str), min_size=RUN + WINDOW - 1, max_size=40))
    start = data.draw(st.integers(0, len(said) - (RUN + WINDOW - 1)))
    end = data.draw(st.integers(start + RUN + WINDOW - 1, len(said)))
    index = CopyIndex.build([(" ".join(said), 1)])
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
    index = CopyIndex.build((text, number) for number, text in enumerate(made_up(3000, 0)))
    assert sum(map(index.has, made_up(1000, 1))) < 40  # 8 hashes each, of which one in 500 is taken for known


def test_it_is_small() -> None:
    said = made_up(3000, 0, length=8)
    index = CopyIndex.build((text, number) for number, text in enumerate(said))
    assert sum(map(len, index.filters)) < 6 * len(said)


def test_a_file_holds_all_of_it_and_indexes_add_up(tmp_path: Path) -> None:
    both = INDEX + CopyIndex.build([("another one", 1)])
    both.save(tmp_path / "copies.npz")
    loaded = CopyIndex.load(tmp_path / "copies.npz")
    assert [bits.tolist() for bits in loaded.filters] == [bits.tolist() for bits in both.filters]
    for text, known in ((STORY, True), ("another one", True), ("good morning", False)):
        assert both.has(text) == loaded.has(text) == known


@pytest.mark.parametrize("index", [CopyIndex(), CopyIndex.build([]), CopyIndex.build([("", 1)])])
def test_an_index_of_nothing_finds_nothing(index: CopyIndex, tmp_path: Path) -> None:
    index.save(tmp_path / "copies.npz")
    assert not any(map(CopyIndex.load(tmp_path / "copies.npz").has, [STORY, "", "one"]))


def test_a_file_that_is_no_index_is_an_error(tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "garbage").write_bytes(b"garbage")
    for name in ("objects.npy", "garbage", "missing"):
        with pytest.raises((OSError, ValueError)):
            CopyIndex.load(tmp_path / name)
