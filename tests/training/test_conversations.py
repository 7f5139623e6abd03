"""Who answers whom, and what is one turn."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.dialogue import MAX_CONTEXT_TURNS, Turn
from training import conversations
from training.archive import BEGINNING, END, FILE_NAME, NO_CLOCK, Archive, ReadMessage
from training.cleanliness import signature
from training.conversations import (
    BURST_GAP,
    MAX_CONVERSATION_TURNS,
    MAX_TURN_CHARACTERS,
    SESSION_GAP,
    Conversations,
    LinkedMessage,
    LinkedTurn,
    link_messages,
)
from training.exports import GONE
from training.linking.linker import NEW, Linker, Utterance

ANN, BOB, CAT, DAN = "ann", "bob", "cat", "dan"
YEAR = 365 * 86400.0


class Chat:
    """Writes messages of one channel down, a second apart if not told otherwise."""

    def __init__(self, *, clock: bool = True) -> None:
        self.messages: list[LinkedMessage] = []
        self._now: float | None = 0.0 if clock else None

    def say(
        self, author: str, text: str, *, after: float = 1.0, to: str | None = None, likely: str | None = None
    ) -> str:
        """Say something `to` a message, or something that the linker thinks `likely` to answer one."""
        if self._now is not None:
            self._now += after
        id_ = str(len(self.messages) + 1)
        target = (to or None) if to is not None else likely
        self.messages.append(
            LinkedMessage("c", id_, author, self._now, text, target, to is not None, False, signature(text))
        )
        return id_

    def linked(self) -> list[LinkedMessage]:
        named = {message.target for message in self.messages if message.is_explicit}
        return [message._replace(is_target=message.id in named) for message in self.messages]


def turns_of(folder: Path, chat: Chat) -> list[LinkedTurn]:
    return list(Conversations(folder).turns(chat.linked()))


def contexts(folder: Path, chat: Chat) -> dict[str, list[str]]:
    """Each turn's text and the texts of its context."""
    return {turn.turn.text: [said.text for said in turn.context] for turn in turns_of(folder, chat)}


def test_a_turn_answers_what_its_message_answers_and_knows_what_was_before(tmp_path: Path) -> None:
    chat = Chat()
    hi = chat.say(ANN, "hi")
    hey = chat.say(BOB, "hey", after=3.0, likely=hi)
    chat.say(CAT, "yo", after=4.0, to=hey)
    assert sorted(turns_of(tmp_path, chat), key=lambda turn: turn.timestamp or 0) == [
        LinkedTurn("c", "c:1", (), Turn(ANN, "hi"), 1, 1.0, None),
        LinkedTurn("c", "c:1", (Turn(ANN, "hi"),), Turn(BOB, "hey"), 1, 4.0, 3.0),
        LinkedTurn("c", "c:1", (Turn(ANN, "hi"), Turn(BOB, "hey")), Turn(CAT, "yo"), 1, 8.0, 4.0),
    ]


def test_one_turn_may_be_the_context_of_several(tmp_path: Path) -> None:
    chat = Chat()
    question = chat.say(ANN, "question")
    first = chat.say(BOB, "first", likely=question)
    second = chat.say(CAT, "second", likely=question)
    chat.say(DAN, "to the first", likely=first)
    chat.say(ANN, "to the second", likely=second)
    assert contexts(tmp_path, chat) == {
        "question": [],
        "first": ["question"],
        "second": ["question"],
        "to the first": ["question", "first"],
        "to the second": ["question", "second"],
    }


def test_interleaved_talks_are_kept_apart_where_the_linker_says_so(tmp_path: Path) -> None:
    chat = Chat()
    cats, tea = chat.say(ANN, "cats 0"), chat.say(CAT, "tea 0")
    for number in range(1, 4):
        cats = chat.say((ANN, BOB)[number % 2], f"cats {number}", likely=cats)
        tea = chat.say((CAT, DAN)[number % 2], f"tea {number}", likely=tea)
    turns = turns_of(tmp_path, chat)
    assert len(turns) == 8
    for turn in turns:
        topic, number = turn.turn.text.split()
        assert [said.text for said in turn.context] == [f"{topic} {earlier}" for earlier in range(int(number))]
    assert len({turn.conversation for turn in turns}) == 2


def test_a_context_is_the_last_turns_and_no_more_than_the_bot_sees(tmp_path: Path) -> None:
    chat, last = Chat(), None
    for number in range(MAX_CONTEXT_TURNS + 3):
        last = chat.say((ANN, BOB)[number % 2], f"text {number}", likely=last)
    end = MAX_CONTEXT_TURNS + 2
    texts = contexts(tmp_path, chat)
    assert texts[f"text {end}"] == [f"text {number}" for number in range(end - MAX_CONTEXT_TURNS, end)]
    assert texts["text 3"] == ["text 0", "text 1", "text 2"]


def test_a_context_is_as_it_was_when_the_reply_was_written(tmp_path: Path) -> None:
    chat = Chat()
    one = chat.say(ANN, "one")
    chat.say(BOB, "early", likely=one)
    chat.say(ANN, "two", to=one)
    chat.say(CAT, "late", to=one)
    assert contexts(tmp_path, chat) == {"one\ntwo": [], "early": ["one"], "late": ["one\ntwo"]}


class TestExplicitLinks:
    @pytest.mark.parametrize("years", [0.01, 3, 9])
    def test_they_win_however_many_years_later(self, tmp_path: Path, years: float) -> None:
        chat = Chat()
        question = chat.say(ANN, "question")
        answer = chat.say(BOB, "answer", likely=question)
        chat.say(ANN, "something else", after=SESSION_GAP + 1)
        chat.say(CAT, "late", after=years * YEAR, to=answer)
        turns = {turn.turn.text: turn for turn in turns_of(tmp_path, chat)}
        assert turns["late"].context == (Turn(ANN, "question"), Turn(BOB, "answer"))
        assert turns["late"].conversation == turns["question"].conversation != turns["something else"].conversation
        assert turns["late"].delay == pytest.approx(years * YEAR + SESSION_GAP + 1)

    @pytest.mark.parametrize("clock", [True, False])
    def test_they_win_however_many_messages_later(self, tmp_path: Path, clock: bool) -> None:
        chat, last = Chat(clock=clock), None
        question = chat.say(ANN, "question")
        for number in range(2 * conversations._MAX_RECENT_MESSAGES):
            last = chat.say((BOB, CAT)[number % 2], f"text {number}", likely=last)
        chat.say(DAN, "late", to=question)
        assert contexts(tmp_path, chat)["late"] == ["question"]

    def test_they_win_over_what_the_linker_thinks(self, tmp_path: Path) -> None:
        def always_the_last(utterances: Sequence[Utterance], first: int) -> npt.NDArray[np.int64]:
            return np.arange(first, len(utterances)) - 1

        messages = [said(number, (ANN, BOB, CAT)[number % 3]) for number in range(6)]
        messages[5] = messages[5]._replace(reply_to="1")
        linked = link(tmp_path, messages, Scripted(always_the_last))
        assert [message.target for message in linked] == [None, "0", "1", "2", "3", "1"]
        assert [message.is_explicit for message in linked] == [False] * 5 + [True]

    def test_a_burst_that_is_over_is_answered_as_a_whole_whichever_message_is_named(self, tmp_path: Path) -> None:
        chat = Chat()
        chat.say(ANN, "one")
        second = chat.say(ANN, "two")
        chat.say(ANN, "three")
        chat.say(BOB, "reply", after=YEAR, to=second)
        assert contexts(tmp_path, chat)["reply"] == ["one\ntwo\nthree"]

    def test_what_follows_a_late_reply_stays_in_the_old_conversation(self, tmp_path: Path) -> None:
        chat = Chat()
        question = chat.say(ANN, "question")
        answer = chat.say(CAT, "answer", after=YEAR, to=question)
        chat.say(BOB, "thanks", likely=answer)
        assert contexts(tmp_path, chat)["thanks"] == ["question", "answer"]

    @pytest.mark.parametrize("target", [GONE, "999"])
    def test_to_what_is_gone_they_start_something_new(self, tmp_path: Path, target: str) -> None:
        chat = Chat()
        chat.say(ANN, "hi")
        chat.say(BOB, "reply", to=target)
        assert contexts(tmp_path, chat) == {"hi": [], "reply": []}

    @pytest.mark.parametrize("target", [GONE, "999"])
    def test_to_what_is_gone_they_start_something_new_in_the_midst_of_a_burst_too(
        self, tmp_path: Path, target: str
    ) -> None:
        chat = Chat()
        chat.say(ANN, "one")
        chat.say(ANN, "two", to=target)
        assert contexts(tmp_path, chat) == {"one": [], "two": []}

    def test_to_what_comes_later_by_a_wrong_clock_they_start_something_new(self, tmp_path: Path) -> None:
        messages = [said(1, BOB, time=5.0, reply_to="2"), said(2, ANN, time=10.0), said(3, CAT, time=11.0)]
        turns = Conversations(tmp_path).turns(link(tmp_path, messages, Scripted(nobody)))
        assert [turn.context for turn in turns if turn.turn.speaker == BOB] == [()]

    def test_to_another_channel_they_start_something_new(self, tmp_path: Path) -> None:
        messages = [said(1, ANN, channel="a"), said(2, BOB, channel="b", reply_to="1")]
        turns = Conversations(tmp_path).turns(link(tmp_path, messages, Scripted(nobody)))
        assert [(turn.conversation, turn.context) for turn in turns] == [("a:1", ()), ("b:2", ())]

    def test_to_itself_a_message_starts_something_new(self, tmp_path: Path) -> None:
        chat = Chat()
        chat.say(ANN, "hi", to="1")
        assert contexts(tmp_path, chat) == {"hi": []}


class TestBursts:
    def test_what_one_author_says_in_one_go_is_one_turn(self, tmp_path: Path) -> None:
        chat = Chat()
        hi = chat.say(ANN, "hi")
        chat.say(BOB, "one", likely=hi)
        chat.say(BOB, "two", likely=hi)
        chat.say(BOB, "three")
        turns = turns_of(tmp_path, chat)
        assert [(turn.turn.text, turn.messages) for turn in turns] == [("hi", 1), ("one\ntwo\nthree", 3)]

    @pytest.mark.parametrize(("pause", "turns"), [(BURST_GAP, {"one\ntwo"}), (BURST_GAP + 1, {"one", "two"})])
    def test_a_pause_ends_them(self, tmp_path: Path, pause: float, turns: set[str]) -> None:
        chat = Chat()
        chat.say(ANN, "one")
        chat.say(ANN, "two", after=pause)
        assert contexts(tmp_path, chat).keys() == turns

    def test_they_have_a_greatest_length(self, tmp_path: Path) -> None:
        chat = Chat()
        for _ in range(5):
            chat.say(ANN, "x" * (MAX_TURN_CHARACTERS // 2))
        assert [turn.messages for turn in turns_of(tmp_path, chat)] == [2, 2, 1]

    def test_somebody_elses_turn_between_ends_them(self, tmp_path: Path) -> None:
        chat = Chat()
        chat.say(ANN, "one")
        chat.say(BOB, "between")
        chat.say(ANN, "two")
        assert contexts(tmp_path, chat).keys() == {"one", "between", "two"}

    def test_they_go_on_across_another_talk_where_the_linker_says_so(self, tmp_path: Path) -> None:
        chat = Chat()
        one = chat.say(ANN, "one")
        chat.say(BOB, "another talk")
        chat.say(ANN, "two", likely=one)
        assert contexts(tmp_path, chat).keys() == {"one\ntwo", "another talk"}

    def test_they_go_on_with_explicit_replies_to_the_same_turn_or_to_themselves(self, tmp_path: Path) -> None:
        chat = Chat()
        question = chat.say(ANN, "question")
        one = chat.say(BOB, "one", to=question)
        chat.say(BOB, "two", to=question)
        chat.say(BOB, "three", to=one)
        assert contexts(tmp_path, chat) == {"question": [], "one\ntwo\nthree": ["question"]}

    def test_a_reply_to_something_else_ends_them(self, tmp_path: Path) -> None:
        chat = Chat()
        old, new = chat.say(ANN, "old"), chat.say(CAT, "new")
        chat.say(BOB, "one", likely=new)
        chat.say(BOB, "two", to=old)
        chat.say(BOB, "three")
        assert contexts(tmp_path, chat) == {"old": [], "new": [], "one": ["new"], "two\nthree": ["old"]}


class TestSilence:
    def test_after_a_long_one_something_new_begins(self, tmp_path: Path) -> None:
        chat = Chat()
        hi = chat.say(ANN, "hi")
        in_time = chat.say(BOB, "in time", after=SESSION_GAP, likely=hi)
        chat.say(ANN, "too late", after=SESSION_GAP + 1, likely=in_time)
        assert contexts(tmp_path, chat) == {"hi": [], "in time": ["hi"], "too late": []}

    def test_it_begins_at_the_end_of_a_burst(self, tmp_path: Path) -> None:
        chat = Chat()
        chat.say(ANN, "one")
        two = chat.say(ANN, "two", after=BURST_GAP)
        chat.say(BOB, "reply", after=SESSION_GAP, likely=two)
        assert contexts(tmp_path, chat)["reply"] == ["one\ntwo"]

    def test_there_is_none_without_a_clock(self, tmp_path: Path) -> None:
        chat = Chat(clock=False)
        hi = chat.say(ANN, "hi")
        chat.say(BOB, "hey", likely=hi)
        hey = chat.say(BOB, "you")
        chat.say(ANN, "yo", likely=hey)
        assert contexts(tmp_path, chat) == {"hi": [], "hey\nyou": ["hi"], "yo": ["hi", "hey\nyou"]}
        assert {turn.delay for turn in turns_of(tmp_path, chat)} == {None}


def test_a_talk_that_never_ends_begins_anew_unless_an_explicit_reply_goes_on_with_it(tmp_path: Path) -> None:
    chat, last = Chat(), None
    for number in range(2 * MAX_CONVERSATION_TURNS):
        last = chat.say((ANN, BOB)[number % 2], f"text {number}", likely=last)
    chat.say(CAT, "explicit", to=last)
    turns = turns_of(tmp_path, chat)
    assert [turn.turn.text for turn in turns if not turn.context] == ["text 0", f"text {MAX_CONVERSATION_TURNS}"]
    assert Counter(Counter(turn.conversation for turn in turns).values()) == {200: 1, 201: 1}


def test_many_who_talk_at_once_are_told_apart(tmp_path: Path) -> None:
    chat = Chat()
    firsts = [chat.say(f"author {number}", f"first {number}", after=0.1) for number in range(200)]
    for number, first in enumerate(firsts):
        chat.say(f"other {number}", f"answer {number}", after=0.1, to=first)
    texts = contexts(tmp_path, chat)
    assert all(texts[f"answer {number}"] == [f"first {number}"] for number in range(200))


def test_near_copies_are_left_out_and_counted_and_a_reply_to_one_starts_something_new(tmp_path: Path) -> None:
    chat = Chat()
    pasta = "now this is a story all about how my life got flipped turned upside down and I would like to"
    chat.say(ANN, pasta)
    copy = chat.say(BOB, f"{pasta}!")
    chat.say(CAT, "reply", to=copy)
    made = Conversations(tmp_path)
    turns = list(made.turns(chat.linked()))
    assert [(turn.turn.text, turn.context) for turn in turns] == [(pasta, ()), ("reply", ())]
    assert made.left_out == {"near copy": 1}


def test_the_words_kept_on_disk_for_late_replies_are_gone_afterwards(tmp_path: Path) -> None:
    chat = Chat()
    question = chat.say(ANN, "question")
    chat.say(BOB, "answer", to=question)
    made = Conversations(tmp_path)
    turns = made.turns(chat.linked())
    next(turns)
    assert list(tmp_path.iterdir())
    list(turns)
    assert not list(tmp_path.iterdir())


# Linking messages from the archive.


class Scripted(Linker):
    """A linker that does as it is told."""

    def __init__(self, script: "Script") -> None:
        self._script = script

    def link(self, utterances: Sequence[Utterance], first: int = 0) -> npt.NDArray[np.int64]:
        return self._script(utterances, first)


class Script:
    def __call__(self, utterances: Sequence[Utterance], first: int) -> npt.NDArray[np.int64]: ...


def nobody(utterances: Sequence[Utterance], first: int) -> npt.NDArray[np.int64]:
    return np.full(len(utterances) - first, NEW)


def said(
    id_: object,
    author: str,
    text: str | None = None,
    *,
    time: float | None = None,
    channel: str = "c",
    reply_to: str | None = None,
    mentions: str = "",
) -> ReadMessage:
    text = text or f"text {id_}"
    time = float(str(id_)) if time is None else time
    return ReadMessage(channel, time, int(str(id_)), str(id_), author, text, reply_to, None, mentions, signature(text))


def link(folder: Path, messages: Sequence[ReadMessage], linker: Linker, size: int | None = None) -> list[LinkedMessage]:
    for path in folder.glob(f"{FILE_NAME}*"):
        path.unlink()
    with Archive(folder) as archive:
        archive.add_reading("all", "", messages, ())
        archive.settle()
        pieces = archive.pieces(size) if size else [(BEGINNING, END)]
        return [message for piece in pieces for message in link_messages(archive, linker, *piece)]


def test_the_linker_sees_each_channel_alone_with_clock_text_and_mentions(tmp_path: Path) -> None:
    seen: list[list[Utterance]] = []

    def script(utterances: Sequence[Utterance], first: int) -> npt.NDArray[np.int64]:
        seen.append(list(utterances))
        return nobody(utterances, first)

    messages = [said(number, (ANN, BOB, CAT)[number % 3], channel="ab"[number % 2]) for number in range(8)]
    messages.append(said(9, DAN, "you two", time=NO_CLOCK, channel="a", mentions=f"{ANN}\n{BOB}"))
    link(tmp_path, messages, Scripted(script))
    assert [[utterance.text for utterance in channel] for channel in seen] == [
        ["you two", "text 0", "text 2", "text 4", "text 6"],
        ["text 1", "text 3", "text 5", "text 7"],
    ]
    assert seen[0][0] == Utterance(DAN, None, "you two", (ANN, BOB))


def test_where_only_two_talk_each_answers_the_other(tmp_path: Path) -> None:
    authors = [ANN, ANN, BOB, BOB, ANN, BOB]
    linked = link(tmp_path, [said(number, author) for number, author in enumerate(authors)], Scripted(nobody))
    assert [message.target for message in linked] == [None, None, "1", "1", "3", "4"]


def test_what_the_linker_says_of_three_becomes_the_targets(tmp_path: Path) -> None:
    def script(utterances: Sequence[Utterance], first: int) -> npt.NDArray[np.int64]:
        return np.array([NEW, NEW, NEW, 0, 1, NEW][first:])

    authors = [ANN, BOB, CAT, CAT, ANN, BOB]
    linked = link(tmp_path, [said(number, author) for number, author in enumerate(authors)], Scripted(script))
    assert [message.target for message in linked] == [None, "0", None, "0", "1", None]


@pytest.fixture(scope="module")
def linker() -> Linker:
    return Linker.load()


@st.composite
def chats(draw: st.DrawFn, most: int = 30) -> list[ReadMessage]:
    """Messages of two channels, with replies to anything, and clocks that stand still, jump or are missing."""
    messages: list[ReadMessage] = []
    time = draw(st.sampled_from([0.0, NO_CLOCK]))
    authors = (ANN, BOB, CAT, DAN)[: draw(st.integers(2, 4))]
    texts = st.sampled_from(["where is it?", "yes", "no idea, maybe in the shed", "bob: look", "", "the kettle"])
    for number in range(draw(st.integers(0, most))):
        if time != NO_CLOCK:
            time += draw(st.sampled_from([0.0, 1.0, 40.0, BURST_GAP + 1, SESSION_GAP + 1]))
        messages.append(
            said(
                number,
                draw(st.sampled_from(authors)),
                f"{draw(texts)} {number}",
                time=time,
                channel=draw(st.sampled_from("aab")),
                reply_to=draw(st.none() | st.none() | st.integers(0, most).map(str) | st.just(GONE)),
                mentions=draw(st.sampled_from(["", "", BOB])),
            )
        )
    return messages


@settings(max_examples=20)
@given(messages=chats(), size=st.integers(1, 12))
def test_linking_in_pieces_of_any_size_is_linking_in_one_piece(
    tmp_path_factory: pytest.TempPathFactory, linker: Linker, messages: list[ReadMessage], size: int
) -> None:
    folder = tmp_path_factory.getbasetemp()
    assert link(folder, messages, linker, size) == link(folder, messages, linker)


@pytest.mark.parametrize("size", [50, 128, 400])
def test_linking_a_long_channel_in_pieces_is_linking_it_in_one_piece(tmp_path: Path, linker: Linker, size: int) -> None:
    """Longer than what the linker looks back on, and with stretches in which only two talk."""
    rng = np.random.default_rng(5)
    messages = []
    for number in range(1000):
        authors = 2 if number // 300 % 2 else 5
        text = " ".join(rng.choice(["tea", "cats", "where", "is", "it", "?", "yes", "no"], rng.integers(1, 8)))
        messages.append(said(number, str(rng.integers(authors)), text, time=number * 15.0))
    whole = link(tmp_path, messages, linker)
    assert link(tmp_path, messages, linker, size) == whole
    assert 500 < sum(message.target is not None for message in whole) < 1000


@settings(max_examples=30)
@given(messages=chats())
def test_every_message_is_in_exactly_one_turn_and_every_turn_in_the_tree_of_what_it_answers(
    tmp_path_factory: pytest.TempPathFactory, linker: Linker, messages: list[ReadMessage]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    linked, made = link(folder, messages, linker), Conversations(folder)
    turns = list(made.turns(linked))
    assert sorted(text for turn in turns for text in turn.turn.text.split("\n")) == sorted(
        message.text for message in messages
    )
    assert not made.left_out
    assert sum(turn.messages for turn in turns) == len(messages)
    roots = [turn.conversation for turn in turns if not turn.context]
    assert len(set(roots)) == len(roots) == made.conversations
    home = {text: turn for turn in turns for text in turn.turn.text.split("\n")}
    order = {(message.channel, message.id): place for place, message in enumerate(linked)}
    texts = {(message.channel, message.id): message.text for message in linked}
    for turn in turns:
        assert len(turn.turn.text) <= MAX_TURN_CHARACTERS + turn.messages
        assert len(turn.context) <= MAX_CONTEXT_TURNS
        for answered in turn.context:
            for text in answered.text.split("\n"):
                assert home[text].conversation == turn.conversation
                assert home[text].channel == turn.channel
                assert home[text].turn.speaker == answered.speaker
                assert home[text].turn.text.startswith(answered.text)
    for place, message in enumerate(linked):
        target = (message.channel, message.target or "")
        if message.is_explicit and order.get(target, place) < place:  # explicit links are always followed
            turn = home[message.text]
            said_before = turn.context[-1].text.split("\n") if turn.context else []
            assert texts[target] in [*said_before, *turn.turn.text.split("\n")]
