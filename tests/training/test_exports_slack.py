"""Slack's export: folders of days, with lists of users and channels beside them."""

import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.exports import Message, ReadNotes, read_exports

USERS = [
    {"id": "U1", "name": "ann.lee", "profile": {"display_name": "Ann", "real_name": "Ann Lee"}},
    {"id": "U2", "name": "bob", "profile": {"display_name": "", "real_name": "Bob Ray"}},
    {"id": "U3", "name": "clock", "is_bot": True, "profile": None},
]


def said(text: str, ts: str = "1700000000.000100", user: str = "U1", **more: Any) -> dict[str, Any]:
    return {"type": "message", "user": user, "text": text, "ts": ts} | more


def write(folder: Path, *messages: Any, channel: str = "general", day: str = "2023-11-14") -> Path:
    path = folder / channel / f"{day}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(messages, indent=4))
    return path


def read(path: Path) -> tuple[list[Message], ReadNotes]:
    notes = ReadNotes()
    return list(read_exports([path], notes)), notes


def read_one(folder: Path, record: dict[str, Any]) -> Message:
    return read(write(folder, record))[0][0]


def test_a_message_has_slacks_ids_and_the_time_inside_its_id(tmp_path: Path) -> None:
    (tmp_path / "users.json").write_text(json.dumps(USERS))
    (tmp_path / "channels.json").write_text(json.dumps([{"id": "C9", "name": "general"}]))
    message = read_one(tmp_path, said("hello", edited={"user": "U1", "ts": "1700000060.000000"}))
    assert message == Message(
        channel="C9",
        id="1700000000.000100",
        author="U1",
        timestamp=1700000000.0001,
        content="hello",
        edited=1700000060.0,
        name="Ann",
    )


def test_a_whole_export_is_read_and_its_lists_are_not_taken_for_messages(tmp_path: Path) -> None:
    (tmp_path / "users.json").write_text(json.dumps(USERS))
    (tmp_path / "channels.json").write_text(json.dumps([{"id": "C9", "name": "general", "created": 1452837318}]))
    (tmp_path / "integration_logs.json").write_text(json.dumps([{"user_id": "U1", "date": "1452837318"}]))
    write(tmp_path, said("one"), day="2023-11-14")
    write(tmp_path, said("two", "1700090000.000100"), day="2023-11-15")
    messages, notes = read(tmp_path)
    assert [(message.channel, message.content) for message in messages] == [("C9", "one"), ("C9", "two")]
    assert (notes.files, notes.skipped_files) == (2, 3)


def test_an_archive_is_read_like_the_folder_that_it_holds(tmp_path: Path) -> None:
    archive = tmp_path / "export.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("users.json", json.dumps(USERS))
        file.writestr("groups.json", json.dumps([{"id": "G9", "name": "lewd-talk"}]))
        file.writestr("lewd-talk/2023-11-14.json", json.dumps([said("hello", user="U2")]))
    messages, notes = read(archive)
    assert [(message.channel, message.name) for message in messages] == [("G9", "Bob Ray")]
    channel = notes.channels["G9"]
    assert (channel.name, channel.is_private, channel.is_nsfw) == ("lewd-talk", True, True)


@pytest.mark.parametrize(
    ("list_", "room", "folder", "id_", "is_private"),
    [
        ("channels.json", {"id": "C1", "name": "x"}, "x", "C1", False),
        ("groups.json", {"id": "G1", "name": "x"}, "x", "G1", True),
        ("dms.json", {"id": "D1", "members": ["U1", "U2"]}, "D1", "D1", True),
        ("mpims.json", {"id": "G2", "name": "mpdm-a--b-1"}, "mpdm-a--b-1", "G2", True),
        ("channels.json", {"id": "C1", "name": "other"}, "x", "x", False),
    ],
)
def test_the_lists_tell_a_channels_id_and_whether_it_is_private(
    tmp_path: Path, list_: str, room: dict[str, Any], folder: str, id_: str, is_private: bool
) -> None:
    (tmp_path / list_).write_text(json.dumps([room]))
    messages, notes = read(write(tmp_path, said("hi"), channel=folder))
    assert [message.channel for message in messages] == [id_]
    assert notes.channels[id_].is_private is is_private


@pytest.mark.parametrize(
    ("text", "content", "mentions"),
    [
        ("<@U2> hello", "@U2 hello", ("U2",)),
        ("<@U2|bob>: and <@U3>, hi <@U2>", "@U2 and @U3, hi @U2", ("U2", "U3")),
        ("see <http://x.org/a_b|the page>", "see the page", ()),
        ("see <http://x.org/a_b>", "see http://x.org/a_b", ()),
        ("mail <mailto:a@b.org|a@b.org>", "mail a@b.org", ()),
        ("in <#C1|general> or <#C2>", "in #general or #C2", ()),
        ("<!here> lunch <!subteam^S1|@team>", " lunch ", ()),
        ("on <!date^1392734382^{date}|Feb 18, 2014>", "on Feb 18, 2014", ()),
        ("1 &lt; 2 &amp;&amp; 3 &gt; 2 &amp;lt;", "1 < 2 && 3 > 2 &lt;", ()),
        ("nice :smile: *bold*", "nice :smile: *bold*", ()),
    ],
)
def test_the_text_is_free_of_slacks_marks(tmp_path: Path, text: str, content: str, mentions: tuple[str, ...]) -> None:
    message = read_one(tmp_path, said(text))
    assert (message.content, message.mentions) == (content, mentions)


@pytest.mark.parametrize(
    ("more", "is_bot", "is_system"),
    [
        ({}, False, False),
        ({"subtype": "me_message"}, False, False),
        ({"subtype": "thread_broadcast"}, False, False),
        ({"subtype": "file_share"}, False, False),
        ({"subtype": "bot_message", "user": None, "bot_id": "B1", "username": "hook"}, True, False),
        ({"bot_id": "B1"}, True, False),
        ({"user": "USLACKBOT"}, True, False),
        ({"user": "U3"}, True, False),
        ({"subtype": "channel_join"}, False, True),
        ({"subtype": "channel_topic"}, False, True),
        ({"subtype": "something_new"}, False, True),
    ],
)
def test_bots_and_notices_are_told_apart(tmp_path: Path, more: dict[str, Any], is_bot: bool, is_system: bool) -> None:
    (tmp_path / "users.json").write_text(json.dumps(USERS))
    message = read_one(tmp_path, said("x") | more)
    assert (message.is_bot, message.is_system) == (is_bot, is_system)


def test_an_upload_keeps_only_what_was_said_with_it(tmp_path: Path) -> None:
    texts = [
        "<@U1> uploaded a file: <http://x|cat>",
        "<@U1> uploaded a file: <http://x|cat> and commented: look!",
        "look at this",
    ]
    messages, _ = read(write(tmp_path, *(said(text, subtype="file_share") for text in texts)))
    assert [message.content for message in messages] == ["", "look!", "look at this"]


def test_a_deleted_root_of_a_thread_has_no_text(tmp_path: Path) -> None:
    message = read_one(tmp_path, said("This message was deleted.", subtype="tombstone"))
    assert (message.content, message.is_system) == ("", False)


def test_in_a_thread_each_answers_the_last_one_of_somebody_else(tmp_path: Path) -> None:
    def in_thread(id_: int, user: str, thread: int) -> dict[str, Any]:
        return said("x", f"170000000{id_}.000000", user, thread_ts=f"170000000{thread}.000000")

    day = [
        in_thread(1, "U1", 1),  # a root
        in_thread(2, "U2", 1),
        said("aside", "1700000003.000000", "U5"),
        in_thread(4, "U2", 1),  # goes on
        in_thread(5, "U1", 1),
        in_thread(6, "U1", 0),  # the root lies in another file
        in_thread(7, "U2", 0),
    ]
    messages, _ = read(write(tmp_path, *day))
    targets = {message.id[9]: message.reply_to and message.reply_to[9] for message in messages}
    assert targets == {"1": None, "2": "1", "3": None, "4": "1", "5": "4", "6": "0", "7": "6"}


def test_a_broken_file_gives_what_is_whole_and_says_so(tmp_path: Path) -> None:
    good = json.dumps([said("one"), said("two", "not a time"), said("three")], indent=4)
    path = write(tmp_path)
    path.write_text(good)
    messages, notes = read(path)
    assert [message.content for message in messages] == ["one", "three"]
    assert notes.garbled_records == 1
    path.write_text(good[: good.rindex('"text"')])
    messages, notes = read(path)
    assert [message.content for message in messages] == ["one"]
    assert notes.truncated_files == 1


def test_broken_lists_do_no_harm(tmp_path: Path) -> None:
    for name in ("users.json", "channels.json"):
        (tmp_path / name).write_text("[{" * 10_000)
    messages, _ = read(write(tmp_path, said("one")))
    assert [(message.channel, message.name) for message in messages] == [("general", None)]


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.sampled_from(["U1", "U2", "U3"]), st.text(st.characters(exclude_categories=["Cs", "Cc"]))))
)
def test_what_a_writer_writes_is_read_back(spoken: list[tuple[str, str]]) -> None:
    def escaped(text: str) -> str:
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    records = [said(escaped(text), f"{1_700_000_000 + n}.000100", user) for n, (user, text) in enumerate(spoken)]
    with tempfile.TemporaryDirectory() as folder:
        messages, notes = read(write(Path(folder), said("start", "1690000000.000000"), *records))
    assert [(message.author, message.content) for message in messages[1:]] == spoken
    assert [message.id for message in messages[1:]] == [record["ts"] for record in records]
    assert notes.garbled_records == 0
