"""Who answers whom."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.archive import Archive, LinkedTurn
from training.conversations import BURST_GAP, MAX_BURST_CHARACTERS, MAX_SESSION_TURNS, SESSION_GAP, Tally, link_turns
from training.exports import GONE, Message

ANN, BOB, CAT = "ann", "bob", "cat"


class Chat:
    """Writes messages of one channel down, a second apart if not told otherwise."""

    def __init__(self, *, clock: bool = True) -> None:
        self.messages: list[Message] = []
        self._now: float | None = 0.0 if clock else None

    def say(
        self,
        author: str,
        content: str,
        *,
        after: float = 1.0,
        to: str | None = None,
        bot: bool = False,
        system: bool = False,
    ) -> str:
        if self._now is not None:
            self._now += after
        id_ = str(len(self.messages) + 1)
        self.messages.append(Message("c", id_, author, self._now, content, reply_to=to, is_bot=bot, is_system=system))
        return id_


def link(folder: Path, messages: Sequence[Message]) -> tuple[list[LinkedTurn], Tally]:
    tally = Tally()
    with Archive(folder) as archive:
        archive.add(messages)
        return list(link_turns(archive, tally)), tally


def links(folder: Path, chat: Chat) -> dict[str, str | None]:
    """Each turn's text and the text of its parent."""
    turns = link(folder, chat.messages)[0]
    return {turn.text: None if turn.parent is None else turns[turn.parent].text for turn in turns}


def test_a_turn_answers_the_one_before_it(tmp_path: Path) -> None:
    chat = Chat()
    for author, content in ((ANN, "hi"), (BOB, "hey"), (CAT, "yo")):
        chat.say(author, content)
    turns, tally = link(tmp_path, chat.messages)
    assert turns == [
        LinkedTurn(0, ANN, "hi", None, "c:1"),
        LinkedTurn(1, BOB, "hey", 0, "c:1"),
        LinkedTurn(2, CAT, "yo", 1, "c:1"),
    ]
    assert tally == Tally(messages=3, kept=3, turns=3, conversations=1)


def test_after_a_long_silence_something_new_begins(tmp_path: Path) -> None:
    chat = Chat()
    chat.say(ANN, "hi")
    chat.say(BOB, "in time", after=SESSION_GAP)
    chat.say(ANN, "too late", after=SESSION_GAP + 1)
    chat.say(BOB, "new talk")
    assert links(tmp_path, chat) == {"hi": None, "in time": "hi", "too late": None, "new talk": "too late"}


def test_silence_is_measured_from_the_end_of_a_burst(tmp_path: Path) -> None:
    chat = Chat()
    chat.say(ANN, "one")
    chat.say(ANN, "two", after=BURST_GAP)
    chat.say(BOB, "reply", after=SESSION_GAP)
    assert links(tmp_path, chat)["reply"] == "one\ntwo"


def test_without_a_clock_there_is_no_silence(tmp_path: Path) -> None:
    chat = Chat(clock=False)
    for author, content in ((ANN, "hi"), (BOB, "hey"), (BOB, "you"), (ANN, "yo")):
        chat.say(author, content)
    assert links(tmp_path, chat) == {"hi": None, "hey\nyou": "hi", "yo": "hey\nyou"}


def test_an_explicit_reply_goes_to_its_target_however_late(tmp_path: Path) -> None:
    chat = Chat()
    question = chat.say(ANN, "question")
    chat.say(BOB, "something else", after=SESSION_GAP + 1)
    chat.say(CAT, "answer", after=90 * 86400.0, to=question)
    turns, tally = link(tmp_path, chat.messages)
    assert [(turn.text, turn.parent, turn.conversation) for turn in turns] == [
        ("question", None, "c:1"),
        ("something else", None, "c:2"),
        ("answer", 0, "c:1"),
    ]
    assert tally.conversations == 2


def test_what_follows_a_late_reply_stays_in_the_old_conversation(tmp_path: Path) -> None:
    chat = Chat()
    question = chat.say(ANN, "question")
    chat.say(BOB, "something else", after=SESSION_GAP + 1)
    chat.say(CAT, "answer", to=question)
    chat.say(BOB, "thanks")
    turns = link(tmp_path, chat.messages)[0]
    assert turns[3].parent == 2
    assert turns[3].conversation == "c:1"


def test_a_reply_to_any_message_of_a_burst_is_a_reply_to_the_burst(tmp_path: Path) -> None:
    chat = Chat()
    chat.say(ANN, "one")
    second = chat.say(ANN, "two")
    chat.say(ANN, "three")
    chat.say(CAT, "between")
    chat.say(BOB, "reply", to=second)
    assert links(tmp_path, chat)["reply"] == "one\ntwo\nthree"


@pytest.mark.parametrize("target", [GONE, "999"])
def test_a_reply_to_what_is_gone_starts_something_new(tmp_path: Path, target: str) -> None:
    chat = Chat()
    chat.say(ANN, "hi")
    chat.say(BOB, "reply", to=target)
    assert links(tmp_path, chat)["reply"] is None


@pytest.mark.parametrize("left_out", [{"bot": True}, {"system": True}])
def test_a_reply_to_what_is_left_out_starts_something_new(tmp_path: Path, left_out: dict[str, bool]) -> None:
    chat = Chat()
    chat.say(ANN, "hi")
    target = chat.say("robot", "beep", **left_out)  # type: ignore[arg-type]
    chat.say(BOB, "reply", to=target)
    assert links(tmp_path, chat) == {"hi": None, "reply": None}


def test_a_reply_to_what_comes_later_by_a_wrong_clock_starts_something_new(tmp_path: Path) -> None:
    messages = [Message("c", "1", ANN, 10.0, "later"), Message("c", "2", BOB, 5.0, "reply", reply_to="1")]
    turns = link(tmp_path, messages)[0]
    assert [(turn.text, turn.parent) for turn in turns] == [("reply", None), ("later", 0)]


def test_a_reply_does_not_leave_its_channel(tmp_path: Path) -> None:
    messages = [Message("a", "1", ANN, 1.0, "hi"), Message("b", "2", BOB, 2.0, "reply", reply_to="1")]
    assert [turn.parent for turn in link(tmp_path, messages)[0]] == [None, None]


def test_channels_do_not_answer_each_other(tmp_path: Path) -> None:
    messages = [Message("a", "1", ANN, 1.0, "hi"), Message("b", "2", BOB, 2.0, "hey")]
    assert [turn.conversation for turn in link(tmp_path, messages)[0]] == ["a:1", "b:2"]


def test_a_burst_ends_after_a_pause(tmp_path: Path) -> None:
    chat = Chat()
    chat.say(ANN, "one")
    chat.say(ANN, "two", after=BURST_GAP)
    chat.say(ANN, "later", after=BURST_GAP + 1)
    assert links(tmp_path, chat) == {"one\ntwo": None, "later": "one\ntwo"}


def test_a_burst_has_a_greatest_length(tmp_path: Path) -> None:
    chat = Chat()
    for _ in range(5):
        chat.say(ANN, "x" * (MAX_BURST_CHARACTERS // 2))
    assert [len(turn.text.split()) for turn in link(tmp_path, chat.messages)[0]] == [2, 2, 1]


def test_a_channel_that_never_falls_silent_is_more_than_one_conversation(tmp_path: Path) -> None:
    chat = Chat()
    for number in range(2 * MAX_SESSION_TURNS + 1):
        chat.say((ANN, BOB)[number % 2], f"text {number}")
    turns = link(tmp_path, chat.messages)[0]
    roots = [turn.number for turn in turns if turn.parent is None]
    assert roots == [0, MAX_SESSION_TURNS, 2 * MAX_SESSION_TURNS]


def test_an_explicit_reply_is_followed_even_where_a_session_ends(tmp_path: Path) -> None:
    chat = Chat()
    for number in range(MAX_SESSION_TURNS):
        last = chat.say((ANN, BOB)[number % 2], f"text {number}")
    chat.say(CAT, "reply", to=last)
    turns = link(tmp_path, chat.messages)[0]
    assert turns[-1].parent == turns[-2].number


def test_messages_that_are_left_out_do_not_break_a_burst(tmp_path: Path) -> None:
    chat = Chat()
    chat.say(ANN, "one")
    chat.say("robot", "beep", bot=True)
    chat.say(BOB, "https://example.org")
    chat.say(ANN, "two")
    assert links(tmp_path, chat) == {"one\ntwo": None}


def test_a_burst_goes_on_with_a_reply_to_the_same_turn(tmp_path: Path) -> None:
    chat = Chat()
    question = chat.say(ANN, "question")
    chat.say(BOB, "one", to=question)
    chat.say(BOB, "two", to=question)
    assert links(tmp_path, chat) == {"question": None, "one\ntwo": "question"}


def test_a_burst_goes_on_with_a_reply_to_itself(tmp_path: Path) -> None:
    chat = Chat()
    chat.say(ANN, "hi")
    own = chat.say(BOB, "one")
    chat.say(BOB, "two", to=own)
    assert links(tmp_path, chat) == {"hi": None, "one\ntwo": "hi"}


@pytest.mark.parametrize("target", ["1", GONE])
def test_a_reply_to_something_else_ends_a_burst(tmp_path: Path, target: str) -> None:
    chat = Chat()
    chat.say(ANN, "old")
    chat.say(CAT, "new")
    chat.say(BOB, "one")
    chat.say(BOB, "two", to=target)
    chat.say(BOB, "three")
    parent = "old" if target == "1" else None
    assert links(tmp_path, chat) == {"old": None, "new": "old", "one": "new", "two\nthree": parent}


def test_everything_left_out_is_counted_by_reason(tmp_path: Path) -> None:
    chat = Chat()
    chat.say(ANN, "hi")
    chat.say("robot", "beep", bot=True)
    chat.say("robot", "boop", bot=True, system=True)
    chat.say(BOB, "Joined the server.", system=True)
    chat.say(BOB, "<@1> https://example.org")
    tally = link(tmp_path, [*chat.messages, chat.messages[0]])[1]
    assert tally.left_out == {"bot": 2, "system": 1, "empty": 1, "duplicate": 1}
    assert (tally.messages, tally.kept, tally.turns) == (6, 1, 1)


def test_the_tally_prints_and_saves_every_count() -> None:
    tally = Tally(messages=1234, kept=1000, turns=900, conversations=300, examples=590)
    tally.left_out.update(empty=200, bot=34)
    tally.skipped.update({"no context": 310})
    assert tally.as_json() == {
        "messages": 1234,
        "kept": 1000,
        "left_out": {"bot": 34, "empty": 200},
        "turns": 900,
        "conversations": 300,
        "examples": 590,
        "skipped": {"no context": 310},
    }
    assert json.dumps(tally.as_json()["left_out"]) == '{"bot": 34, "empty": 200}'
    assert [line.split() for line in tally.table().splitlines()] == [
        ["messages", "read", "1,234"],
        ["left", "out:", "bot", "34"],
        ["left", "out:", "empty", "200"],
        ["kept", "1,000"],
        ["turns", "900"],
        ["conversations", "300"],
        ["skipped:", "no", "context", "310"],
        ["examples", "590"],
    ]


@st.composite
def chats(draw: st.DrawFn) -> list[Message]:
    """Messages with unique ids in time order, replies to anything, some of it left out or missing."""
    gaps = st.sampled_from([0.0, 1.0, BURST_GAP + 1, SESSION_GAP + 1])
    messages: list[Message] = []
    now = 0.0
    for number in range(draw(st.integers(0, 25))):
        now += draw(gaps)
        kind = draw(st.sampled_from(["said", "said", "said", "said", "bot", "system", "empty"]))
        messages.append(
            Message(
                channel=draw(st.sampled_from(["a", "b"])),
                id=str(number),
                author=draw(st.sampled_from([ANN, BOB, CAT])),
                timestamp=now,
                content="" if kind == "empty" else f"text{number}",
                reply_to=draw(st.none() | st.integers(0, 30).map(str) | st.just(GONE)),
                is_bot=kind == "bot",
                is_system=kind == "system",
            )
        )
    return messages


@settings(deadline=None)
@given(messages=chats(), repeats=st.integers(0, 3))
def test_every_message_is_in_one_turn_or_counted_as_left_out(
    tmp_path_factory: pytest.TempPathFactory, messages: list[Message], repeats: int
) -> None:
    turns, tally = link(tmp_path_factory.getbasetemp(), messages + messages[:repeats])
    assert tally.messages == tally.kept + sum(tally.left_out.values())
    spoken = [m.content for m in messages if m.content and not m.is_bot and not m.is_system]
    assert sorted(line for turn in turns for line in turn.text.split("\n")) == sorted(spoken)
    assert (tally.kept, tally.turns) == (len(spoken), len(turns))


@settings(deadline=None)
@given(messages=chats())
def test_every_turn_comes_after_its_parent_in_the_same_tree(
    tmp_path_factory: pytest.TempPathFactory, messages: list[Message]
) -> None:
    turns, tally = link(tmp_path_factory.getbasetemp(), messages)
    assert [turn.number for turn in turns] == list(range(len(turns)))
    for turn in turns:
        if turn.parent is not None:
            assert turn.parent < turn.number
            assert turns[turn.parent].conversation == turn.conversation
    roots = [turn.conversation for turn in turns if turn.parent is None]
    assert len(set(roots)) == len(roots) == tally.conversations


@settings(deadline=None)
@given(messages=chats(), seed=st.integers())
def test_the_order_of_the_exports_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, messages: list[Message], seed: int
) -> None:
    shuffled = random.Random(seed).sample(messages, len(messages))
    folder = tmp_path_factory.getbasetemp()
    assert link(folder, messages) == link(folder, shuffled)
