"""DiscordChatExporter's CSV: what is peculiar to it (see also the tests of agreement and of damage)."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.training.discord_chat_exporter import ANN, BOB, MESSAGES, Said, csv_export, old_csv_export
from training.exports import Message, ReadNotes, discord_chat_exporter_csv
from training.exports.file import ExportFile

HEADER = "AuthorID,Author,Date,Content,Attachments,Reactions\n"


def open_file(folder: Path, content: str, name: str = "export.csv") -> tuple[ExportFile, ReadNotes]:
    path = folder / name
    path.write_text(content, newline="")
    notes = ReadNotes()
    return ExportFile(path, notes), notes


def read(folder: Path, content: str, name: str = "export.csv") -> tuple[list[Message], ReadNotes]:
    file, notes = open_file(folder, content, name)
    return list(discord_chat_exporter_csv.read(file)), notes


def row(date: str, content: str = "hi") -> str:
    return f'"5","ann","{date}","{content}","",""\n'


@pytest.mark.parametrize("export", [csv_export, old_csv_export])
def test_fields_may_hold_quotes_delimiters_and_line_breaks(
    tmp_path: Path, export: Callable[[Iterable[Said]], str]
) -> None:
    typed = 'a "b", c; d\n\n"","e'
    (message,), notes = read(tmp_path, export([Said(0, ANN, typed)]))
    assert message.content.replace("\r", "") == typed
    assert (message.author, message.name) == (ANN.id, "ann#1234")
    assert notes.warnings == []


@pytest.mark.parametrize(
    ("date", "timestamp"),
    [
        ("2024-01-13T21:07:03.2500000+00:00", 1705180023.25),
        ("2024-01-13T22:07:03.2500000+01:00", 1705180023.25),
        ("13-Jan-24 09:07 PM", 1705180020.0),
        ("1/13/2024 9:07 PM", 1705180020.0),
        ("01/13/2024 9:07 PM", 1705180020.0),
        ("1/13/2024 9:07\u202fPM", 1705180020.0),
        ("13.01.2024 21:07", 1705180020.0),
        ("13/01/2024 21:07", 1705180020.0),
        ("2024-01-13 21:07", 1705180020.0),
        ("2024/01/13 21:07", 1705180020.0),
        ("13-1-2024 21:07", 1705180020.0),
        ("1/13/2024 12:07 AM", 1705104420.0),
        ("yesterday", None),
        ("", None),
        ("99-Jan-24 09:07 PM", None),
        ("2024-99-13T21:07:03", None),
    ],
)
def test_dates_come_in_many_forms(tmp_path: Path, date: str, timestamp: float | None) -> None:
    assert read(tmp_path, HEADER + row(date))[0][0].timestamp == timestamp


@pytest.mark.parametrize(
    ("dates", "days"),
    [
        (["01/02/2024 21:07", "14/02/2024 21:07"], ["02-01", "02-14"]),
        (["01/02/2024 21:07", "02/14/2024 21:07"], ["01-02", "02-14"]),
        (["01/02/2024 21:07", "02/02/2024 21:07", "03/02/2024 21:07"], ["02-01", "02-02", "02-03"]),
        (["1/2/2024 9:07 PM", "1/3/2024 9:07 PM"], ["01-02", "01-03"]),
    ],
)
def test_day_and_month_are_told_apart_by_all_dates(tmp_path: Path, dates: list[str], days: list[str]) -> None:
    messages, _ = read(tmp_path, HEADER + "".join(map(row, dates)))
    printed = [f"2024-{day}T21:07:00" for day in days]
    expected, _ = read(tmp_path, HEADER + "".join(map(row, printed)))
    assert [message.timestamp for message in messages] == [message.timestamp for message in expected]


@pytest.mark.parametrize("export", [csv_export, old_csv_export])
def test_an_export_that_runs_backwards_says_so_before_its_first_message(
    tmp_path: Path, export: Callable[[Iterable[Said]], str]
) -> None:
    for messages, is_reversed in ((MESSAGES, False), (MESSAGES[::-1], True)):
        file, _ = open_file(tmp_path, export(messages))
        next(discord_chat_exporter_csv.read(file))
        assert file.newest_first is is_reversed


def test_messages_of_overlapping_partitions_have_the_same_ids(tmp_path: Path) -> None:
    said = [Said(0, ANN, "lol"), Said(0, ANN, "lol"), Said(0, BOB, "lol"), Said(1, ANN, "lol")]
    name = "Teahouse - Rooms - general [700000000000000001]"
    first, _ = read(tmp_path, old_csv_export(said), f"{name}.csv")
    second, _ = read(tmp_path, old_csv_export(said[2:]), f"{name} [part 2].csv")
    assert len({message.id for message in first}) == 4
    assert [(message.channel, message.id) for message in first[2:]] == [
        (message.channel, message.id) for message in second
    ]


def test_the_channel_is_that_of_the_file_name(tmp_path: Path) -> None:
    messages, notes = read(tmp_path, csv_export(MESSAGES), "S - R - c [700000000000000001].csv")
    assert {message.channel for message in messages} == {"700000000000000001"}
    assert notes.channels.keys() == {"700000000000000001"}
    other, _ = read(tmp_path, csv_export(MESSAGES), "1.csv")
    assert other[0].channel.startswith("1.csv")


@pytest.mark.parametrize(
    ("content", "is_system"),
    [
        ("Joined the server.", True),
        ("Pinned a message.", True),
        ("Started a thread.", True),
        ("Changed the channel icon.", True),
        ("Changed the channel name: tea", True),
        ("Added bob to the group.", True),
        ("Removed bob from the group.", True),
        ("Left the group.", True),
        ("Started a call that lasted 1,234 minutes.", True),
        ("Joined the server. Hi!", False),
        ("joined the server", False),
    ],
)
def test_notices_are_told_by_their_text(tmp_path: Path, content: str, is_system: bool) -> None:
    assert read(tmp_path, HEADER + row("1/13/2024 9:07 PM", content))[0][0].is_system is is_system


def test_raw_marks_are_read_as_elsewhere(tmp_path: Path) -> None:
    (message,), _ = read(tmp_path, HEADER + row("", "<@5> <@!6> <:lul:7>"))
    assert (message.content, message.mentions) == ("<@5> <@!6> :lul:", ("5", "6"))


def test_a_row_that_is_none_is_noted_and_left_out(tmp_path: Path) -> None:
    messages, notes = read(tmp_path, HEADER + row("", "one") + "broken\n\n" + row("", "two"))
    assert [message.content for message in messages] == ["one", "two"]
    assert notes.garbled_records == 1


def test_without_ids_the_name_is_the_author(tmp_path: Path) -> None:
    (message,), _ = read(tmp_path, 'Author;Date;Content;Attachments;Reactions;\n"ann#1";"";"hi";"";"";\n')
    assert (message.author, message.name) == ("ann#1", "ann#1")


@pytest.mark.parametrize("content", ["", "author,content\n", "Author,Date,Content\n", "[]", "AuthorID;Author\n"])
def test_other_tables_are_not_recognised(tmp_path: Path, content: str) -> None:
    assert not discord_chat_exporter_csv.recognises(open_file(tmp_path, content)[0])
