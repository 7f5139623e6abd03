"""Telegram Desktop's JSON: one chat, or an account with its chats in lists."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.exports import GONE, Message, ReadNotes, read_exports


def said(id_: int, text: Any, user: int = 1, **more: Any) -> dict[str, Any]:
    head = {"id": id_, "type": "message", "date": "2024-01-05T21:07:00", "date_unixtime": str(1704485220 + id_)}
    return {**head, "from": "Ann", "from_id": f"user{user}", "text": text} | more


def chat(
    *messages: dict[str, Any], type_: str = "private_group", id_: Any = 77, name: Any = "Friends"
) -> dict[str, Any]:
    return {"name": name, "type": type_, "id": id_, "messages": list(messages)}


def write(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False), encoding="utf-8")
    return path


def read(path: Path) -> tuple[list[Message], ReadNotes]:
    notes = ReadNotes()
    return list(read_exports([path], notes)), notes


def read_one(folder: Path, record: dict[str, Any], **of_chat: Any) -> Message:
    return read(write(folder / "result.json", chat(record, **of_chat)))[0][0]


def test_a_message_has_its_ids_its_exact_time_and_what_it_answers(tmp_path: Path) -> None:
    message = read_one(tmp_path, said(5, "yes", reply_to_message_id=3, edited_unixtime="1704485300"))
    assert message == Message(
        channel="77",
        id="5",
        author="user1",
        timestamp=1704485225.0,
        content="yes",
        reply_to="3",
        edited=1704485300.0,
        name="Ann",
    )


def test_an_old_export_has_bare_numbers_of_users_and_local_times(tmp_path: Path) -> None:
    record = said(5, "yes", from_id=1, edited="2024-01-05T21:08:00")
    del record["date_unixtime"]
    message = read_one(tmp_path, record)
    assert (message.author, message.timestamp, message.edited) == ("user1", 1704488820.0, 1704488880.0)


def test_an_account_has_a_channel_for_each_chat(tmp_path: Path) -> None:
    account = {
        "about": "Here is the data.",
        "personal_information": {"user_id": 1, "first_name": "Ann"},
        "contacts": {"about": "...", "list": [{"first_name": "Bob", "date": "2020-01-01T00:00:00"}]},
        "chats": {
            "about": "...",
            "list": [
                chat(said(1, "one")),
                chat(type_="personal_chat", id_=5, name="Empty"),
                {"type": "saved_messages", "id": 1, "messages": [said(1, "two")]},
                chat(said(1, "three"), type_="public_supergroup", id_=9, name="18+ only"),
            ],
        },
        "left_chats": {"about": "...", "list": [chat(said(1, "four"), id_=10, name=None)]},
    }
    messages, notes = read(write(tmp_path / "result.json", account))
    assert [(message.channel, message.content) for message in messages] == [
        ("77", "one"),
        ("1", "two"),
        ("9", "three"),
        ("10", "four"),
    ]
    found = [(id_, room.name, room.is_private, room.is_nsfw) for id_, room in notes.channels.items()]
    assert found == [
        ("77", "Friends", True, False),
        ("1", None, True, False),
        ("9", "18+ only", False, True),
        ("10", None, True, False),
    ]


@pytest.mark.parametrize(
    ("type_", "is_private"),
    [
        ("personal_chat", True),
        ("bot_chat", True),
        ("saved_messages", True),
        ("private_group", True),
        ("private_supergroup", True),
        ("private_channel", True),
        ("public_supergroup", False),
        ("public_channel", False),
    ],
)
def test_the_type_of_a_chat_tells_whether_it_is_private(tmp_path: Path, type_: str, is_private: bool) -> None:
    _, notes = read(write(tmp_path / "result.json", chat(said(1, "hi"), type_=type_)))
    assert notes.channels["77"].is_private is is_private


@pytest.mark.parametrize(
    ("text", "content", "mentions"),
    [
        ("plain", "plain", ()),
        (["a ", {"type": "bold", "text": "b"}, " c"], "a b c", ()),
        (["hi ", {"type": "mention", "text": "@bobby"}], "hi @bobby", ()),
        ([{"type": "mention_name", "text": "Bob Ray", "user_id": 2}, " hi"], "@user2 hi", ("user2",)),
        ([{"type": "text_link", "text": "here", "href": "http://x.org"}], "here", ()),
        ("", "", ()),
    ],
)
def test_text_with_entities_is_joined(tmp_path: Path, text: Any, content: str, mentions: tuple[str, ...]) -> None:
    message = read_one(tmp_path, said(1, text))
    assert (message.content, message.mentions) == (content, mentions)
    entities = [{"type": "plain", "text": part} if isinstance(part, str) else part for part in text]
    without_text = said(1, None, text_entities=entities)
    assert read_one(tmp_path, without_text).content == content


@pytest.mark.parametrize(
    ("more", "is_bot", "is_system"),
    [
        ({}, False, False),
        ({"via_bot": "@gif"}, True, False),
        ({"from": "Rose Bot"}, True, False),
        ({"from": "GroupHelpBot"}, True, False),
        ({"from": "Abbot"}, False, False),
        ({"type": "service", "action": "invite_members", "actor": "Ann", "actor_id": "user1"}, False, True),
    ],
)
def test_bots_and_notices_are_told_apart(tmp_path: Path, more: dict[str, Any], is_bot: bool, is_system: bool) -> None:
    message = read_one(tmp_path, said(1, "x") | more)
    assert (message.is_bot, message.is_system) == (is_bot, is_system)


def test_in_a_chat_with_a_bot_the_other_one_is_the_bot(tmp_path: Path) -> None:
    bot_chat = chat(said(1, "/start", user=1), said(2, "Welcome!", user=5), type_="bot_chat", id_=5, name="Helper")
    messages, _ = read(write(tmp_path / "result.json", bot_chat))
    assert [message.is_bot for message in messages] == [False, True]


def test_a_message_passed_on_is_not_the_words_of_the_one_who_did(tmp_path: Path) -> None:
    assert read_one(tmp_path, said(1, "news", forwarded_from="Channel")).content == ""
    assert read_one(tmp_path, said(1, "news", forwarded_from=None)).content == ""


def test_a_deleted_account_keeps_its_id(tmp_path: Path) -> None:
    message = read_one(tmp_path, said(1, "x") | {"from": None})
    assert (message.author, message.name) == ("user1", None)


def test_in_a_topic_only_real_replies_are_replies(tmp_path: Path) -> None:
    topic = said(1, "", type="service", action="topic_created", actor="Ann", actor_id="user1")
    records = [topic, said(2, "hi", reply_to_message_id=1), said(3, "hello", reply_to_message_id=2)]
    messages, _ = read(write(tmp_path / "result.json", chat(*records)))
    assert [message.reply_to for message in messages] == [None, None, "2"]


def test_a_reply_into_another_chat_answers_what_is_gone(tmp_path: Path) -> None:
    assert read_one(tmp_path, said(1, "x", reply_to_message_id=3, reply_to_peer_id="channel5")).reply_to == GONE


def test_a_chat_without_an_id_goes_by_its_name(tmp_path: Path) -> None:
    assert read_one(tmp_path, said(1, "x"), id_=None).channel == "Friends"


def test_a_broken_file_gives_what_is_whole_and_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "result.json", chat(said(1, "one"), said(2, "two", date_unixtime="soon"), said(3, "three")))
    messages, notes = read(path)
    assert [message.content for message in messages] == ["one", "three"]
    assert notes.garbled_records == 1
    path.write_bytes(path.read_bytes()[:-90])
    messages, notes = read(path)
    assert [message.content for message in messages] == ["one"]
    assert (notes.garbled_records, notes.truncated_files) == (1, 1)


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 9), st.text(st.characters(exclude_categories=["Cs"])), st.none() | st.integers(1, 1 << 40)
        ),
        min_size=1,
    )
)
def test_what_a_writer_writes_is_read_back(spoken: list[tuple[int, str, int | None]]) -> None:
    records = [said(n, text, user, reply_to_message_id=target) for n, (user, text, target) in enumerate(spoken)]
    with tempfile.TemporaryDirectory() as folder:
        messages, notes = read(write(Path(folder) / "result.json", chat(*records)))
    found = [(int(m.author[4:]), m.content, m.reply_to and int(m.reply_to)) for m in messages]
    assert found == spoken
    assert [message.timestamp for message in messages] == [1704485220.0 + n for n in range(len(spoken))]
    assert notes.warnings == []
