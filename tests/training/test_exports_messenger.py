"""Messenger's JSON: newest first, every byte of UTF-8 printed as a character."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.exports import Message, ReadNotes, read_exports


def printed(text: str) -> str:
    """A text as Facebook prints it."""
    return text.encode().decode("latin-1")


def said(text: str | None, time: int = 1700000000123, name: str = "Ann Lee", **more: Any) -> dict[str, Any]:
    return {"sender_name": printed(name), "timestamp_ms": time, "content": text and printed(text)} | more


def write(path: Path, *messages: dict[str, Any], **more: Any) -> Path:
    document = {"participants": [{"name": "Ann Lee"}, {"name": "Bob"}], "messages": messages, "title": "Bob"}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document | {"thread_path": "inbox/bob_1"} | more, indent=2))
    return path


def read(path: Path) -> tuple[list[Message], ReadNotes]:
    notes = ReadNotes()
    return list(read_exports([path], notes)), notes


def read_one(folder: Path, record: dict[str, Any], **more: Any) -> Message:
    return read(write(folder / "message_1.json", record, **more))[0][0]


def test_a_message_has_its_exact_time_its_author_and_an_id_of_its_own(tmp_path: Path) -> None:
    message = read_one(tmp_path, said("hello"))
    assert (message.channel, message.author, message.name) == ("inbox/bob_1", "Ann Lee", "Ann Lee")
    assert (message.timestamp, message.content, message.reply_to) == (1700000000.123, "hello", None)
    assert message.id


def test_the_bytes_of_characters_become_characters_again(tmp_path: Path) -> None:
    message = read_one(tmp_path, said("café 🎉 naïve", name="Zoë"), title=printed("Gärten"))
    assert (message.content, message.author) == ("café 🎉 naïve", "Zoë")
    assert read(tmp_path / "message_1.json")[1].channels["inbox/bob_1"].name == "Gärten"


@pytest.mark.parametrize("text", ["café", "日本語", "ÃŸ?", "naïve Â"])
def test_a_text_that_was_repaired_before_stays(tmp_path: Path, text: str) -> None:
    record = said("") | {"content": text}
    assert read_one(tmp_path, record).content == text


def test_files_of_a_conversation_share_its_channel_and_repeat_no_id(tmp_path: Path) -> None:
    write(tmp_path / "inbox/bob_1/message_1.json", said("two", 1700000002000), said("one", 1700000001000))
    write(tmp_path / "inbox/bob_1/message_2.json", said("one", 1600000001000), said("one", 1600000001000))
    messages, notes = read(tmp_path)
    assert {message.channel for message in messages} == {"inbox/bob_1"}
    assert len({message.id for message in messages}) == 4
    assert notes.channels["inbox/bob_1"].is_private


def test_a_mark_of_byte_order_hides_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "message_1.json", said("one"))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert [message.channel for message in read(path)[0]] == ["inbox/bob_1"]


def test_a_second_download_gives_the_same_ids(tmp_path: Path) -> None:
    old = read(write(tmp_path / "old.json", said("hi"), said("hi")))[0]
    new = read(write(tmp_path / "new.json", said("later", 1800000000000), said("hi"), said("hi")))[0]
    assert [message.id for message in new][1:] == [message.id for message in old]


def test_a_file_that_breaks_off_before_the_name_of_its_conversation_goes_by_its_folder(tmp_path: Path) -> None:
    path = write(tmp_path / "bob_1" / "message_1.json", said("one"), said("two"))
    path.write_bytes(path.read_bytes()[: path.read_bytes().rindex(b'"sender_name"')])
    messages, notes = read(path)
    assert [(message.channel, message.content) for message in messages] == [("bob_1", "one")]
    assert notes.truncated_files == 1


@pytest.mark.parametrize(
    ("record", "content", "is_system"),
    [
        (said(None, photos=[{"uri": "x.jpg"}]), "", False),
        (said("gone", is_unsent=True), "", False),
        (said("The video chat ended.", type="Call", call_duration=0), "The video chat ended.", True),
        (said("Bob joined.", type="Subscribe"), "Bob joined.", True),
        (said("Ann Lee named the group Tea."), "Ann Lee named the group Tea.", True),
        (said("Ann sent an attachment."), "Ann sent an attachment.", True),
        (said("You missed a call from Ann."), "You missed a call from Ann.", True),
        (said("Reacted 👍 to your message "), "Reacted 👍 to your message ", True),
        (said("my brother left the group early"), "my brother left the group early", False),
        (said("Bob called you"), "Bob called you", False),
    ],
)
def test_media_and_notices_are_told_from_talk(
    tmp_path: Path, record: dict[str, Any], content: str, is_system: bool
) -> None:
    message = read_one(tmp_path, record)
    assert (message.content, message.is_system) == (content, is_system)


def test_the_download_of_encrypted_conversations_is_read(tmp_path: Path) -> None:
    record = {"isUnsent": False, "media": [], "senderName": "Zoë", "text": "café", "timestamp": 1700000000123}
    path = tmp_path / "Zoe_1.json"
    path.write_text(json.dumps({"participants": ["Zoë", "Bob"], "threadName": "Zoë_1", "messages": [record]}))
    (message,), notes = read(path)
    assert (message.channel, message.author, message.content) == ("Zoë_1", "Zoë", "café")
    assert message.timestamp == 1700000000.123
    assert notes.channels["Zoë_1"].name == "Zoë_1"


def test_a_garbled_message_is_left_out_and_noted(tmp_path: Path) -> None:
    messages, notes = read(write(tmp_path / "message_1.json", said("one"), said("x") | {"content": 5}, said("two")))
    assert [message.content for message in messages] == ["one", "two"]
    assert notes.garbled_records == 1


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from(["Ann", "Zoë", "李"]), st.text(st.characters(exclude_categories=["Cs"])))))
def test_what_a_writer_writes_is_read_back(spoken: list[tuple[str, str]]) -> None:
    records = [said(text, 1700000000000 - n, name) for n, (name, text) in enumerate(spoken)]
    with tempfile.TemporaryDirectory() as folder:
        messages, _ = read(write(Path(folder) / "message_1.json", said("last", 1800000000000), *records))
    assert [(message.author, message.content) for message in messages[1:]] == spoken
    assert [message.timestamp for message in messages[1:]] == [record["timestamp_ms"] / 1000 for record in records]
    assert len({message.id for message in messages}) == len(messages)
