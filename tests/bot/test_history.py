"""Messages become turns: no Discord needed, only things shaped like its messages."""

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import discord
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.history import is_speech, known_target, parts_of, to_context, unbroken
from model.dialogue import MAX_CONTEXT_TURNS, ME, Turn

BOT, ALICE, BOB = 1, 2, 3
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def message(author: int, content: str = "hi", *, minute: float = 0, robot: bool = False, **fields: Any) -> Any:
    person = SimpleNamespace(id=author, bot=robot or author == BOT)
    usual = {"type": discord.MessageType.default, "webhook_id": None, "reference": None}
    when = NOON + timedelta(minutes=minute)
    return SimpleNamespace(author=person, content=content, created_at=when, **{**usual, **fields})


def test_speakers_are_ids_and_the_bot_is_me() -> None:
    messages = [message(ALICE, "one"), message(BOT, "two"), message(BOB, "three")]
    assert to_context(messages, BOT) == [Turn("2", "one"), Turn(ME, "two"), Turn("3", "three")]


def test_text_is_cleaned() -> None:
    assert to_context([message(ALICE, "<@1>  hello <:wave:5>\nhttps://x.org")], BOT) == [Turn("2", "hello :wave:")]


def test_bursts_are_one_turn() -> None:
    messages = [message(ALICE, "one"), message(ALICE, "two"), message(ALICE, "<@1>"), message(BOB, "three")]
    assert to_context(messages, BOT) == [Turn("2", "one\ntwo"), Turn("3", "three")]


def test_what_others_post_between_does_not_break_a_burst() -> None:
    messages = [message(ALICE, "one"), message(9, "beep", robot=True), message(ALICE, "two")]
    assert to_context(messages, BOT) == [Turn("2", "one\ntwo")]


def test_the_newest_turns_are_kept() -> None:
    messages = [message(ALICE + index % 2, str(index)) for index in range(MAX_CONTEXT_TURNS + 3)]
    turns = to_context(messages, BOT)
    assert len(turns) == MAX_CONTEXT_TURNS
    assert turns[-1].text == str(MAX_CONTEXT_TURNS + 2)


def test_long_messages_leave_no_room_for_older_ones() -> None:
    messages = [message(ALICE + index % 2, f"{index} " + "\ufdfa" * 3990) for index in range(20)]
    begin = time.process_time()
    turns = to_context(messages, BOT)
    assert time.process_time() - begin < 1
    assert [turn.text.split()[0] for turn in turns] == ["17", "18", "19"]
    assert len(to_context([message(ALICE, "a" * 50_000)], BOT)) == 1


@pytest.mark.parametrize(
    ("said", "speech"),
    [
        (message(ALICE), True),
        (message(ALICE, type=discord.MessageType.reply), True),
        (message(BOT), True),
        (message(BOT, type=discord.MessageType.chat_input_command), False),
        (message(9, robot=True), False),
        (message(ALICE, webhook_id=7), False),
        (message(ALICE, type=discord.MessageType.new_member), False),
        (message(ALICE, type=discord.MessageType.thread_starter_message), False),
    ],
)
def test_only_people_and_the_bot_itself_speak(said: Any, speech: bool) -> None:
    assert is_speech(said, BOT) is speech


@pytest.mark.parametrize(
    ("minutes", "kept"),
    [([0], 1), ([0, 29, 58], 3), ([0, 30], 2), ([0, 31], 1), ([0, 10, 45, 50], 2)],
)
def test_a_long_pause_ends_a_conversation(minutes: list[int], kept: int) -> None:
    messages = [message(ALICE, minute=minute) for minute in minutes]
    assert unbroken(messages) == messages[-kept:]


class TestKnownTarget:
    def test_of_a_plain_message_is_none(self) -> None:
        assert known_target(message(ALICE)) is None

    def test_comes_from_the_cache(self) -> None:
        target = message(BOT)
        reference = SimpleNamespace(resolved=None, cached_message=target)
        assert known_target(message(ALICE, type=discord.MessageType.reply, reference=reference)) is target

    def test_of_a_forwarded_message_is_none(self) -> None:
        reference = SimpleNamespace(resolved=None, cached_message=message(BOT))
        assert known_target(message(ALICE, reference=reference)) is None


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("to point", ["to point"]),
        ("0123456789", ["0123456789"]),
        ("0123456789 1", ["0123456789", "1"]),
        ("01234 567890 1", ["01234", "567890 1"]),
        ("a b. c d e f", ["a b.", "c d e f"]),
        ("a. b. c. d. e", ["a. b. c.", "d. e"]),
        ("01234\n56 78 1", ["01234", "56 78 1"]),
        ("0123456789ab", ["0123456789", "ab"]),
        ("3.14159 and so", ["3.14159", "and so"]),
        ("", []),
    ],
)
def test_parts_end_at_sentences_else_at_words(text: str, parts: list[str]) -> None:
    assert parts_of(text, 10) == parts


@given(st.text("ab .\n", max_size=80), st.integers(1, 12))
def test_no_part_is_too_long_and_nothing_is_lost(text: str, limit: int) -> None:
    parts = parts_of(text, limit)
    assert all(len(part) <= limit for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert all(part.strip() for part in parts[:-1])
