"""Element's plain text of a Matrix room."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from training.exports import GONE, Message, ReadNotes, read_exports

NAME = "matrix - Lewd tea - Chat Export - 2024-01-05T21-10-00.000Z.txt"


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def read(path: Path) -> tuple[list[Message], ReadNotes]:
    notes = ReadNotes()
    return list(read_exports([path], notes)), notes


def said(minute: int, text: str) -> str:
    return f"Fri, Jan 5, 2024, 21:{minute:02}:30 - {text}"


def test_a_line_with_a_time_before_all_chat_begins_no_message(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", said(1, "Ann: a"), "Fri, Jan 5, 1024, 21:02:30 - Ann: b", said(3, "Ann: c"))
    messages, _ = read(path)
    assert [message.content for message in messages] == ["a\nFri, Jan 5, 1024, 21:02:30 - Ann: b", "c"]


@pytest.mark.parametrize(
    "date",
    [
        "Fri, Jan 5, 2024, 21:10:30",
        "Fri, 5 Jan 2024, 21:10:30",
        "Fri, Jan 5, 2024, 9:10:30 PM",
        "Fr., 5. Jan. 2024, 21:10:30",
        "ven. 5 janv. 2024, 21:10:30",
    ],
)
def test_every_form_of_date_says_the_same(tmp_path: Path, date: str) -> None:
    (message,), notes = read(write(tmp_path / NAME, f"{date} - Ann Lee: hey", "second line"))
    assert (message.channel, message.author, message.content) == ("Lewd tea", "Ann Lee", "hey\nsecond line")
    assert message.timestamp == datetime(2024, 1, 5, 21, 10, 30, tzinfo=UTC).timestamp()
    assert notes.channels["Lewd tea"].is_nsfw
    assert notes.warnings == []


def test_a_reply_is_linked_by_the_words_it_quotes(tmp_path: Path) -> None:
    lines = [
        said(1, "Ann: hey, is anyone of you here today at all?"),
        said(2, "Ann: other"),
        said(3, 'Bob: <@ann:hs.org "hey, is anyone of you here toda..."> yes <3'),
        said(4, 'Ann: <@bob:hs.org "yes"> good'),
        said(5, 'Bob: <@ann:hs.org "long ago"> hm'),
    ]
    messages, _ = read(write(tmp_path / NAME, *lines))
    assert [message.content for message in messages[2:]] == ["yes <3", "good", "hm"]
    assert [message.reply_to for message in messages] == [None, None, messages[0].id, messages[2].id, GONE]


def test_of_several_messages_with_the_words_quoted_the_latest_is_answered(tmp_path: Path) -> None:
    lines = [said(1, "Ann: yes"), said(2, "Ann: yes"), said(3, 'Bob: <@ann:hs.org "yes"> no')]
    messages, _ = read(write(tmp_path / NAME, *lines))
    assert messages[2].reply_to == messages[1].id


def test_actions_files_and_notices_are_told_apart(tmp_path: Path) -> None:
    lines = ["* Bob waves", "Ann joined the room", "Ann: cat.jpg (File Attached)", "Ann: hi"]
    messages, _ = read(write(tmp_path / NAME, *(said(n, line) for n, line in enumerate(lines))))
    assert [(message.author, message.content, message.is_system) for message in messages] == [
        ("Bob", "waves", False),
        ("", "Ann joined the room", True),
        ("Ann", "", False),
        ("Ann", "hi", False),
    ]


def test_what_belongs_to_no_message_is_noted(tmp_path: Path) -> None:
    messages, notes = read(write(tmp_path / NAME, "end of it", said(1, "Ann: a"), said(2, "Ann: b"), said(2, "Ann: b")))
    assert [message.content for message in messages] == ["a", "b", "b"]
    assert len({message.id for message in messages}) == 3
    assert notes.garbled_records == 1
