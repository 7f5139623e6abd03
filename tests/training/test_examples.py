"""From exports to examples."""

import json
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.dialogue import Turn
from training import examples as examples_module
from training.archive import Archive
from training.conversations import Tally
from training.examples import MAX_CONTEXT_TURNS, MAX_REPLY_CHARACTERS, Example, examples_of, split
from training.exports import Message, ReadNotes, read_exports

ANN, BOB, CAT = "ann", "bob", "cat"


def make(folder: Path, *messages: Message) -> tuple[list[Example], Tally]:
    tally = Tally()
    with Archive(folder) as archive:
        archive.add(messages)
        return list(examples_of(archive, tally)), tally


def said(number: int, author: str, content: str, *, at: float | None = None, to: int | None = None) -> Message:
    return Message(
        "c", str(number), author, float(number) if at is None else at, content, None if to is None else str(to)
    )


def test_a_golden_thread_gives_golden_examples(tmp_path: Path) -> None:
    messages = [
        said(1, ANN, "anyone up for a game?"),
        said(2, BOB, "sure"),
        said(3, BOB, "when?"),
        said(4, CAT, "did you see the news", at=9000.0),
        said(5, ANN, "tonight", at=9010.0, to=3),
        said(6, CAT, "me too", at=9020.0, to=1),
        said(7, BOB, "which news?", at=9030.0, to=4),
    ]
    examples, tally = make(tmp_path, *messages)
    question, when = Turn(ANN, "anyone up for a game?"), Turn(BOB, "sure\nwhen?")
    assert examples == [
        Example("c:1", (question,), when),
        Example("c:1", (question, when), Turn(ANN, "tonight")),
        Example("c:1", (question,), Turn(CAT, "me too")),
        Example("c:4", (Turn(CAT, "did you see the news"),), Turn(BOB, "which news?")),
    ]
    assert tally == Tally(7, 7, tally.left_out, 6, 2, 4, tally.skipped)
    assert tally.skipped == {"no context": 2}


def test_the_context_is_the_last_turns_oldest_first(tmp_path: Path) -> None:
    examples, _ = make(tmp_path, *(said(number, (ANN, BOB)[number % 2], f"text {number}") for number in range(10)))
    assert [turn.text for turn in examples[-1].context] == [f"text {number}" for number in range(3, 9)]
    assert max(len(example.context) for example in examples) == MAX_CONTEXT_TURNS


def test_neighbours_of_one_speaker_in_a_context_are_joined_as_the_bot_joins_them(tmp_path: Path) -> None:
    examples, _ = make(tmp_path, said(1, ANN, "one"), said(2, ANN, "two", at=1000.0), said(3, BOB, "hey", at=1001.0))
    assert [example.context for example in examples] == [(Turn(ANN, "one\ntwo"),)]


def test_a_turn_long_ago_is_fetched_from_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    messages = [said(number, (ANN, BOB)[number % 2], f"text {number}") for number in range(30)]
    messages.append(said(30, CAT, "late", to=3))
    remembered = make(tmp_path, *messages)[0]
    monkeypatch.setattr(examples_module, "_RECENT_TURNS", 2)
    assert make(tmp_path, *messages)[0] == remembered
    assert [turn.text for turn in remembered[-1].context] == ["text 0", "text 1", "text 2", "text 3"]


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([said(1, ANN, "hi")], "no context"),
        ([said(1, ANN, "hi"), said(2, ANN, "again", at=1000.0)], "reply to oneself"),
        ([said(1, BOB, "hi"), said(2, ANN, "x" * (MAX_REPLY_CHARACTERS + 1))], "reply too long"),
    ],
)
def test_what_cannot_be_learned_from_is_skipped_and_counted(
    tmp_path: Path, messages: list[Message], reason: str
) -> None:
    examples, tally = make(tmp_path, *messages)
    assert examples == []
    assert tally.skipped[reason] == 1
    assert tally.examples == 0


def test_the_longest_reply_is_still_learned(tmp_path: Path) -> None:
    assert make(tmp_path, said(1, BOB, "hi"), said(2, ANN, "x" * MAX_REPLY_CHARACTERS))[1].examples == 1


def test_the_split_depends_on_the_name_alone_and_stays_the_same() -> None:
    assert [number for number in range(60) if split(f"c:{number}") == "validation"] == [8, 9, 13, 18, 43]


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
def test_the_split_gives_validation_its_share(share: float) -> None:
    sides = [split(f"c:{number}", share) for number in range(4000)]
    assert sides.count("validation") / 4000 == pytest.approx(share, abs=0.02)


def export(channel: str, *messages: Message) -> str:
    lines = [
        {
            "conversation": channel,
            "id": message.id,
            "author": message.author,
            "timestamp": f"2024-01-01T00:{int(message.timestamp or 0):02}:00Z",
            "content": message.content,
            "reply_to": message.reply_to,
        }
        for message in messages
    ]
    return "".join(json.dumps(line) + "\n" for line in lines)


conversations = st.lists(
    st.tuples(st.sampled_from([ANN, BOB, CAT]), st.none() | st.integers(0, 40)), min_size=1, max_size=40
)


@settings(deadline=None)
@given(chat=conversations, cut=st.integers(0, 40), share=st.floats(0, 1))
def test_parts_in_any_order_give_the_same_examples_and_no_text_on_both_sides(
    tmp_path_factory: pytest.TempPathFactory, chat: list[tuple[str, int | None]], cut: int, share: float
) -> None:
    folder = tmp_path_factory.getbasetemp()
    messages = [said(number, author, f"text{number}", to=to) for number, (author, to) in enumerate(chat)]
    early, late = folder / "early.jsonl", folder / "late.jsonl"
    early.write_text(export("c", *messages[:cut]) or "\n")
    late.write_text(export("c", *messages[max(cut - 3, 0) :]) or "\n")
    paths = [path for path in (early, late) if path.read_text().strip()]
    runs = []
    for order in (paths, paths[::-1], paths):
        tally = Tally()
        with Archive(folder) as archive:
            archive.add(read_exports(order, ReadNotes()))
            runs.append((list(examples_of(archive, tally)), tally))
    assert runs[0] == runs[1] == runs[2]

    examples, tally = runs[0]
    assert tally.turns == tally.examples + sum(tally.skipped.values())
    assert tally.examples == len(examples)
    sides = defaultdict(set)
    for example in examples:
        for turn in (*example.context, example.reply):
            for line in turn.text.split("\n"):
                sides[line].add(split(example.conversation, share))
    assert all(len(side) == 1 for side in sides.values())
