"""Element's JSON of a Matrix room."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.exports import Message, ReadNotes, read_exports

ANN, BOB = "@ann:hs.org", "@bob:hs.org"


def event(id_: str, content: dict[str, Any], sender: str = ANN, **more: Any) -> dict[str, Any]:
    head = {"content": content, "origin_server_ts": 1704489000123, "sender": sender, "type": "m.room.message"}
    return head | {"event_id": id_, "room_id": "!room:hs.org"} | more


def said(id_: str, text: str, sender: str = ANN, **more: Any) -> dict[str, Any]:
    return event(id_, {"body": text, "msgtype": "m.text"} | more, sender)


def joined(sender: str, name: str) -> dict[str, Any]:
    return event(
        "$j" + sender, {"membership": "join", "displayname": name}, sender, type="m.room.member", state_key=sender
    )


def answers(id_: str, **more: Any) -> dict[str, Any]:
    return {"m.relates_to": {"m.in_reply_to": {"event_id": id_}} | more}


def write(path: Path, *events: dict[str, Any], name: str = "Tea") -> Path:
    head = {"room_name": name, "room_creator": "Ann", "topic": "", "export_date": "1/5/2024", "exported_by": "Bob"}
    path.write_text(json.dumps(head | {"messages": events}, indent=4))
    return path


def read(path: Path) -> tuple[list[Message], ReadNotes]:
    notes = ReadNotes()
    return list(read_exports([path], notes)), notes


def read_events(folder: Path, *events: dict[str, Any]) -> list[Message]:
    return read(write(folder / "export.json", *events))[0]


def test_a_message_has_its_ids_its_exact_time_and_the_name_of_its_author(tmp_path: Path) -> None:
    messages, notes = read(write(tmp_path / "export.json", joined(ANN, "Ann"), said("$1", "hello"), name="Adult tea"))
    assert messages[1] == Message(
        channel="!room:hs.org", id="$1", author=ANN, timestamp=1704489000.123, content="hello", name="Ann"
    )
    room = notes.channels["!room:hs.org"]
    assert (room.name, room.is_private, room.is_nsfw) == ("Adult tea", False, True)


@pytest.mark.parametrize(
    ("body", "content"),
    [
        ("> <@ann:hs.org> first\n> more\n\nyes", "yes"),
        ("> * <@ann:hs.org> waves\n\nyes", "yes"),
        ("> <@ann:hs.org> first\n\n> mine\nyes", "> mine\nyes"),
        ("> wise words\n\nyes", "> wise words\n\nyes"),
        ("yes", "yes"),
    ],
)
def test_a_reply_has_its_target_and_not_the_words_it_answers(tmp_path: Path, body: str, content: str) -> None:
    (message,) = read_events(tmp_path, said("$2", body, **answers("$1")))
    assert (message.content, message.reply_to) == (content, "$1")


def test_what_threads_say_for_old_clients_is_no_reply(tmp_path: Path) -> None:
    fallback = answers("$1", rel_type="m.thread", event_id="$1", is_falling_back=True)
    real = answers("$2", rel_type="m.thread", event_id="$1", is_falling_back=False)
    messages = read_events(tmp_path, said("$2", "a", **fallback), said("$3", "b", **real))
    assert [message.reply_to for message in messages] == [None, "$2"]


def test_an_edit_is_a_later_form_of_its_message_at_the_same_place(tmp_path: Path) -> None:
    new = {"m.new_content": {"body": "tea!", "msgtype": "m.text"}}
    edit = said("$2", "* tea!", **new, **{"m.relates_to": {"rel_type": "m.replace", "event_id": "$1"}})
    edit["origin_server_ts"] += 60_000
    first, second = read_events(tmp_path, said("$1", "tee", **answers("$0")), edit)
    assert (second.id, second.content, second.reply_to) == ("$1", "tea!", "$0")
    assert (second.timestamp, second.edited) == (first.timestamp, 1704489060.123)


@pytest.mark.parametrize(
    ("content", "more", "expected", "is_bot", "is_system"),
    [
        ({"msgtype": "m.emote", "body": "waves"}, {}, "waves", False, False),
        ({"msgtype": "m.notice", "body": "built"}, {}, "built", True, False),
        ({"msgtype": "m.image", "body": "cat.jpg"}, {}, "", False, False),
        ({"msgtype": "m.image", "body": "my cat", "filename": "cat.jpg"}, {}, "my cat", False, False),
        ({"msgtype": "m.file", "body": "a.pdf", "filename": "a.pdf"}, {}, "", False, False),
        ({}, {}, "", False, False),
        ({"body": "cat"}, {"type": "m.sticker"}, "", False, False),
        ({"topic": "tea"}, {"type": "m.room.topic", "state_key": ""}, "", False, True),
        ({}, {"type": "m.call.invite"}, "", False, True),
    ],
)
def test_talk_bots_media_and_notices_are_told_apart(
    tmp_path: Path, content: dict[str, Any], more: dict[str, Any], expected: str, is_bot: bool, is_system: bool
) -> None:
    (message,) = read_events(tmp_path, event("$1", content, **more))
    assert (message.content, message.is_bot, message.is_system) == (expected, is_bot, is_system)


def test_reactions_and_deletions_are_no_messages(tmp_path: Path) -> None:
    events = [event("$2", {}, type="m.reaction"), event("$3", {}, type="m.room.redaction"), said("$4", "hi")]
    assert [message.id for message in read_events(tmp_path, *events)] == ["$4"]


def test_who_is_mentioned_stands_in_the_text_with_a_sign(tmp_path: Path) -> None:
    link = '<a href="https://matrix.to/#/%40bob%3Ahs.org">Bob &amp; Co</a>: hi'
    html = {"format": "org.matrix.custom.html", "formatted_body": link}
    messages = read_events(
        tmp_path,
        said("$1", "Bob & Co: hi", **html),
        said("$2", "bob hi", **{"m.mentions": {"user_ids": [BOB]}}),
        said("$3", "hi", **{"m.mentions": {}}),
    )
    assert [(message.content, message.mentions) for message in messages] == [
        ("@Bob & Co: hi", (BOB,)),
        ("bob hi", (BOB,)),
        ("hi", ()),
    ]


def test_a_broken_file_gives_what_is_whole_and_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "export.json", said("$1", "one"), {"type": 5}, said("$2", "two"), said("$3", "three"))
    messages, notes = read(path)
    assert [message.content for message in messages] == ["one", "two", "three"]
    assert notes.garbled_records == 1
    path.write_bytes(path.read_bytes()[: path.read_bytes().rindex(b'"$3"')])
    messages, notes = read(path)
    assert [message.content for message in messages] == ["one", "two"]
    assert notes.truncated_files == 1


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from([ANN, BOB]), st.text(st.characters(exclude_categories=["Cs"])))))
def test_what_a_writer_writes_is_read_back(spoken: list[tuple[str, str]]) -> None:
    texts = [text for _, text in spoken if text.startswith("> <@")]
    assert not texts  # nobody types that by chance
    events = [said(f"${n}", text, sender, **answers(f"${n - 1}")) for n, (sender, text) in enumerate(spoken)]
    with tempfile.TemporaryDirectory() as folder:
        messages, notes = read(write(Path(folder) / "export.json", *events))
    assert [(message.author, message.content) for message in messages] == spoken
    assert [message.reply_to for message in messages] == [f"${n - 1}" for n in range(len(spoken))]
    assert notes.warnings == []
