"""What must not be said."""

import time

import pytest

from model.blocklist import Blocklist
from model.copies import CopyIndex
from model.dialogue import ME, Turn
from model.guards import Rejection, rejection

SECRET = "my aunt keeps seven grey parrots in her attic"
COPIES = CopyIndex.build(lambda: [(SECRET, 1), ("never mind", 1)])
TURNS = [
    Turn("ann", "hello, mail ann@example.org or see example.org/page"),
    Turn(ME, "i would rather not"),
    Turn("ann", "call 555 010 9999 then, or ask @bob about the garden"),
]


def reason(text: str, turns: list[Turn] = TURNS, words: str = "dratted") -> Rejection | None:
    return rejection(text, turns, COPIES, Blocklist(words.split()))


@pytest.mark.parametrize(
    "text",
    [
        "hello", "ok :)", "👍", "?!", "i am 25", "at 12:30 on 24.12.2024", "it was 1999 or 2001", "3.5 or so",
        "that's it.so what", "wait...what", "10,000 of them", "a/b", "e.g. this", "he said: no",
    ],
)  # fmt: skip
def test_ordinary_replies_may_be_said(text: str) -> None:
    assert reason(text) is None


def test_nothing_is_no_reply() -> None:
    assert reason("") is Rejection.EMPTY


@pytest.mark.parametrize("text", ["you dratted thing", "d r a t t e d", "dr4tted", "DRATTED!", "drаtted"])  # noqa: RUF001
def test_blocked_words_are_not_said_however_they_are_spelled(text: str) -> None:
    assert reason(text) is Rejection.BLOCKED
    assert reason(text, words="other") is None


@pytest.mark.parametrize(
    "text",
    [
        "hey @everyone", "ask @carl", "<@123", "see <#9", "write to carl@example.com", "discord.gg/abc",
        "it's on foo.com", "www.foo.bar", "http://x", "call 555 010 1234", "+44 20 7946 0000", "id 123456789012345678",
        "4111-1111-1111-1111",
    ],
)  # fmt: skip
def test_what_leads_elsewhere_is_not_said(text: str) -> None:
    assert reason(text) is Rejection.CONTACT


@pytest.mark.parametrize(
    "text", ["ok, @bob it is", "Ann@Example.org?", "i will call 555 010 9999", "example.org/page is down."]
)
def test_what_the_conversation_has_may_be_said_again(text: str) -> None:
    assert reason(text) is None
    assert reason(text, []) is Rejection.CONTACT


def test_the_last_turn_is_not_said_again_unless_it_is_short() -> None:
    long, short = [Turn("ann", "What a nice day it is!")], [Turn("ann", "Good morning")]
    assert reason("what a nice day it is", long) is Rejection.ECHO
    assert reason("what a nice day it is today", long) is None
    assert reason("good morning", short) is None


def test_the_bot_does_not_say_the_same_thing_twice_in_a_row() -> None:
    assert reason("I would rather not.") is Rejection.ECHO
    assert reason("yes", [Turn(ME, "yes"), Turn("ann", "what?"), Turn(ME, "no"), Turn("ann", "well")]) is None


@pytest.mark.parametrize("text", [SECRET, f"well {SECRET.upper()}", "never mind!"])
def test_what_one_person_said_is_not_said(text: str) -> None:
    assert reason(text) is Rejection.COPY


def test_an_empty_conversation_is_no_excuse() -> None:
    assert reason("hello there", []) is None


@pytest.mark.parametrize(
    "piece",
    ["a.", "a", ".", "-", "@", "a@", "a@a.", "1 ", "1 " * 8 + " " * 99, "<", "www.", "w-", "\u0338", "a.com/", "+"],
)
def test_time_is_bounded_whatever_a_model_says(piece: str) -> None:
    text = (piece * 50_000)[:50_000]
    begin = time.process_time()
    reason(text, [Turn("ann", text[:1000])], words="dratted d.r")
    assert time.process_time() - begin < 2


@pytest.mark.parametrize("before", ["", "a." * 20, "x" * 40, "hey..."])
@pytest.mark.parametrize("text", ["foo.com", "ann@example.zz", "1 2 3 4 5 6 7 8 9", "(555) 010-12 34"])
def test_length_hides_nothing(before: str, text: str) -> None:
    assert reason(f"{before}{text}") is Rejection.CONTACT


def test_a_line_of_several_must_not_be_a_copy_either() -> None:
    copies = CopyIndex.build(lambda: [("there are exactly 31133", 1), ("hi there", 1), ("hi there", 2)])
    assert rejection("there are exactly 31133\nwow", [], copies, Blocklist()) is Rejection.COPY
    assert rejection("hi there\nwow", [], copies, Blocklist()) is None
