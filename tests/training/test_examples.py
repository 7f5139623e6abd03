"""Turns to examples, and examples to one side or the other."""

import pytest

from model.dialogue import Turn
from training.conversations import LinkedTurn
from training.examples import MAX_REPLY_CHARACTERS, Example, example_of, skip_reason, split

ANN, BOB, CAT = "ann", "bob", "cat"


def turn(author: str, text: str, *context: tuple[str, str]) -> LinkedTurn:
    return LinkedTurn("c", "c:1", tuple(Turn(*said) for said in context), Turn(author, text), 1, None, None)


def test_a_turn_is_a_reply_to_its_context() -> None:
    assert example_of(turn(ANN, "tonight", (ANN, "a game?"), (BOB, "sure\nwhen?"))) == Example(
        "c:1", (Turn(ANN, "a game?"), Turn(BOB, "sure\nwhen?")), Turn(ANN, "tonight")
    )


def test_neighbours_of_one_speaker_in_a_context_are_joined_as_the_bot_joins_them() -> None:
    context = example_of(turn(BOB, "hey", (CAT, "hm"), (ANN, "one"), (ANN, "two"), (ANN, "three"))).context
    assert context == (Turn(CAT, "hm"), Turn(ANN, "one\ntwo\nthree"))


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (turn(ANN, "hi"), "no context"),
        (turn(ANN, "again", (BOB, "hm"), (ANN, "hi")), "reply to oneself"),
        (turn(ANN, "x" * (MAX_REPLY_CHARACTERS + 1), (BOB, "hi")), "reply too long"),
        (turn(ANN, "x" * MAX_REPLY_CHARACTERS, (BOB, "hi")), None),
        (turn(ANN, "hey", (ANN, "x" * 5000), (BOB, "hi")), None),
    ],
)
def test_what_cannot_be_learned_from_is_told_with_its_reason(said: LinkedTurn, reason: str | None) -> None:
    assert skip_reason(example_of(said)) == reason


def test_the_split_depends_on_the_name_alone_and_stays_the_same() -> None:
    assert [number for number in range(60) if split(f"c:{number}") == "validation"] == [8, 9, 13, 18, 43]


def test_any_name_has_a_side() -> None:
    assert {split(name) for name in ("", "\ud800", "☕" * 1000)} <= {"train", "validation"}


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
def test_the_split_gives_validation_its_share(share: float) -> None:
    sides = [split(f"c:{number}", share) for number in range(4000)]
    assert sides.count("validation") / 4000 == pytest.approx(share, abs=0.02)
