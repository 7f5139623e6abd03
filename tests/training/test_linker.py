"""The linker as shipped."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.made_up_chat import chat
from training.exports import ExportError
from training.linking import linker as linker_module
from training.linking.encounters import WINDOW, read
from training.linking.features import LIMIT, Evidence
from training.linking.linker import CONTEXT, HIDDEN_LIMIT, LINKER, NEW, WEIGHTS, Linker, Utterance

LINES = st.builds(
    Utterance,
    author=st.sampled_from("abcd"),
    timestamp=st.none() | st.floats(-1e12, 1e12),
    text=st.sampled_from(["", "hi", "where is the kettle?", "in the shop", "x\ny", "\ud800 ?", "a " * 500]) | st.text(),
    mentions=st.lists(st.sampled_from("abcdz"), max_size=3).map(tuple),
)


@pytest.fixture(scope="module")
def linker() -> Linker:
    return Linker.load()


def test_an_answer_finds_its_question(linker: Linker) -> None:
    chatter = [
        Utterance("ann", 0.0, "how do I mount a usb stick?", ()),
        Utterance("eve", 20.0, "which browser should I install?", ()),
        Utterance("bob", 40.0, "plug the stick in, it will mount by itself", ("ann",)),
        Utterance("cy", 60.0, "firefox is in the repositories", ("eve",)),
        Utterance("ann", 80.0, "thanks, that works", ("bob",)),
    ]
    assert linker.link(chatter).tolist() == [NEW, NEW, 0, 1, 2]


def test_it_finds_most_links_of_conversations_that_run_at_once(linker: Linker) -> None:
    utterances, links = chat(400)
    found = linker.link(utterances)
    previous = np.arange(len(links)) - 1
    assert (found == links).mean() > 0.6 > 0.45 > (previous == links).mean()


@pytest.mark.parametrize("size", [1, 37, 128, 500])
def test_a_channel_linked_in_pieces_is_linked_the_same(linker: Linker, size: int) -> None:
    utterances, _ = chat(700, seed=1)
    whole = linker.link(utterances)
    starts = range(600, 700) if size == 1 else range(0, 700, size)
    for start in starts:
        begin = max(0, start - CONTEXT)
        piece = linker.link(utterances[begin : start + size], start - begin)
        np.testing.assert_array_equal(np.where(piece == NEW, NEW, piece + begin), whole[start : start + size])


def test_scores_do_not_depend_on_the_pieces_to_the_last_bit(linker: Linker) -> None:
    utterances, _ = chat(500, seed=2)
    at, whole = linker.scores(read(utterances), 300)
    at_piece, piece = linker.scores(read(utterances[300 - CONTEXT :]), CONTEXT)
    np.testing.assert_array_equal(piece, whole)
    np.testing.assert_array_equal(np.where(at_piece < 0, NEW, at_piece + 300 - CONTEXT), at)


def test_long_channels_are_cut_without_a_trace(linker: Linker, monkeypatch: pytest.MonkeyPatch) -> None:
    utterances, _ = chat(600, seed=3)
    whole = linker.link(utterances), linker.target(utterances)
    monkeypatch.setattr(linker_module, "_PIECE", 130)
    np.testing.assert_array_equal(linker.link(utterances), whole[0])
    np.testing.assert_array_equal(linker.target(utterances), whole[1])


def test_later_messages_change_nothing(linker: Linker) -> None:
    utterances, _ = chat(300, seed=4)
    np.testing.assert_array_equal(linker.link(utterances[:200]), linker.link(utterances)[:200])


def test_all_sums_of_the_shipped_weights_are_exact() -> None:
    """No sum of products can reach the size from which float32 skips whole numbers."""
    with np.load(LINKER, allow_pickle=False) as weights:
        w = {name: np.abs(weights[name].astype(np.int64)) for name in WEIGHTS}
    hidden = LIMIT * (w["asker"].sum(0) + w["answer"].sum(0) + w["pair"].sum(0)) + w["bias"]
    new = LIMIT * w["new"].sum(0) + w["new_bias"]
    sums = [
        hidden.max(),
        new.max(),
        HIDDEN_LIMIT * w["out"].sum(),
        HIDDEN_LIMIT * w["new_out"].sum() + w["new_out_bias"],
    ]
    sums += [LIMIT * w["query"].sum(0).max(), LIMIT * w["key"].sum(0).max(), LIMIT**2 * w["query"].shape[1]]
    assert max(sums) < 1 << 24


def test_the_weights_are_small_and_of_the_stated_types() -> None:
    assert LINKER.stat().st_size < 300_000
    with np.load(LINKER, allow_pickle=False) as weights:
        assert {name: weights[name].dtype for name in weights.files} == {
            name: np.dtype(kind) for name, kind in WEIGHTS.items()
        }


def test_a_target_is_somebody_elses_message_where_there_is_one(linker: Linker) -> None:
    utterances, _ = chat(200, seed=5)
    found = linker.target(utterances)
    assert found[0] == NEW
    assert all(0 <= target < index for index, target in enumerate(found) if index)
    assert all(
        utterances[target].author != utterances[index].author for index, target in enumerate(found) if index > 20
    )


def test_empty_and_single(linker: Linker) -> None:
    assert linker.link([]).tolist() == linker.target([]).tolist() == []
    assert linker.link([Utterance("a", None, "hi", ())]).tolist() == [NEW]
    utterances, _ = chat(5)
    assert linker.link(utterances, 5).tolist() == []


@settings(max_examples=40)
@given(st.lists(LINES, max_size=12))
def test_any_channel_can_be_linked(utterances: list[Utterance]) -> None:
    linker = Linker.load()
    for found in (linker.link(utterances), linker.target(utterances)):
        assert len(found) == len(utterances)
        assert all(NEW <= target < index for index, target in enumerate(found))


def test_candidates_are_earlier_messages_each_once_and_within_the_window() -> None:
    utterances, _ = chat(300, seed=6)
    candidates = Evidence(read(utterances), np.ones(4096, np.int64)).candidates
    for index, row in enumerate(candidates):
        real = row[row >= 0]
        assert len(set(real)) == len(real)
        assert all(index - WINDOW <= place < index for place in real)
    assert all((np.diff(row[:10]) == -1).all() for row in candidates[20:])


def test_someone_spoken_to_is_a_candidate_however_many_spoke_since() -> None:
    busy = [Utterance("ann", 0.0, "hello", ())]
    busy += [Utterance(f"p{number}", 0.0, "noise", ()) for number in range(50)]
    busy += [Utterance("bob", 0.0, "hi", ("ann",))]
    assert 0 in Evidence(read(busy), np.ones(4096, np.int64)).candidates[-1]


def test_rare_words_in_common_make_a_candidate() -> None:
    busy = [Utterance("ann", 0.0, "my bandicoot is ill", ())]
    busy += [Utterance(f"p{number}", 0.0, "noise", ()) for number in range(50)]
    busy += [Utterance("bob", 0.0, "a bandicoot needs worms", ())]
    assert 0 in Evidence(read(busy), np.ones(4096, np.int64)).candidates[-1]


def test_a_file_without_weights_is_refused(tmp_path: Path) -> None:
    for name, content in (("none", None), ("text", b"hello"), ("cut", LINKER.read_bytes()[:1000])):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ExportError, match="weights of a linker"):
            Linker.load(path)


def test_time_may_stand_still_run_backwards_or_be_unknown(linker: Linker) -> None:
    utterances, _ = chat(100, seed=7)
    for times in ([None] * 100, [5.0] * 100, [-float(t) for t in range(100)]):
        assert len(linker.link([u._replace(timestamp=t) for u, t in zip(utterances, times, strict=True)])) == 100
    assert any(a.timestamp != b.timestamp for a, b in pairwise(utterances))
