"""DiscordChatExporter's plain text: what is peculiar to it (see also the tests of agreement and of damage)."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.training.discord_chat_exporter import ANN, BOB, MESSAGES, Said, old_text_export, text_export
from training.exports import Channel, Message, ReadNotes, discord_chat_exporter_text
from training.exports.file import ExportFile

Export = Callable[[Iterable[Said]], str]
LAYOUTS: list[Export] = [text_export, old_text_export]


def open_file(folder: Path, content: str, name: str = "export.txt") -> tuple[ExportFile, ReadNotes]:
    path = folder / name
    path.write_text(content, newline="")
    notes = ReadNotes()
    return ExportFile(path, notes), notes


def read(folder: Path, content: str, name: str = "export.txt") -> tuple[list[Message], ReadNotes]:
    file, notes = open_file(folder, content, name)
    return list(discord_chat_exporter_text.read(file)), notes


@pytest.mark.parametrize("export", LAYOUTS)
@pytest.mark.parametrize(
    "typed",
    [
        "[1/13/2024 9:07 PM] bob",
        "one\n[1/13/2024 9:07 PM] bob\ntwo",
        "one\n\n[x] y\n\n[12] z\n\n[yesterday at 9:07 PM] bob",
        "{Reactions}\n{Embed}",
        "one\n{Attachments}\ntwo",
        "one\n\n\n\ntwo",
        "=" * 62,
        "a\n" + "=" * 62 + "\nb",
    ],
)
def test_a_text_that_looks_like_the_layout_is_a_text(tmp_path: Path, export: Export, typed: str) -> None:
    messages, notes = read(tmp_path, export([Said(0, ANN, typed), Said(1, BOB, "next")]))
    assert [message.content for message in messages] == [typed, "next"]
    assert notes.warnings == []


@pytest.mark.parametrize("export", LAYOUTS)
def test_what_stands_beside_the_text_is_no_text(tmp_path: Path, export: Export) -> None:
    said = [Said(0, ANN, "one", has_extras=True, forwards="words of others"), Said(1, BOB, "", has_extras=True)]
    messages, _ = read(tmp_path, export(said))
    assert [(message.name, message.content) for message in messages] == [("ann#1234", "one"), ("bob", "")]


@pytest.mark.parametrize("export", LAYOUTS)
def test_an_export_that_runs_backwards_says_so_before_its_first_message(tmp_path: Path, export: Export) -> None:
    for messages, is_reversed in ((MESSAGES, False), (MESSAGES[::-1], True)):
        file, _ = open_file(tmp_path, export(messages))
        next(discord_chat_exporter_text.read(file))
        assert file.newest_first is is_reversed


@pytest.mark.parametrize(
    ("name", "channel"),
    [
        ("S - R - general [700000000000000001] [part 2].txt", "700000000000000001"),
        ("1.txt", "Teahouse / Rooms / general"),
    ],
)
def test_the_channel_is_that_of_the_file_name_or_of_the_head(tmp_path: Path, name: str, channel: str) -> None:
    messages, notes = read(tmp_path, text_export(MESSAGES), name)
    assert {message.channel for message in messages} == {channel}
    assert notes.channels == {channel: Channel(channel, "general")}


def test_direct_messages_are_private(tmp_path: Path) -> None:
    _, notes = read(tmp_path, text_export(MESSAGES).replace("Guild: Teahouse", "Guild: Direct Messages"))
    assert next(iter(notes.channels.values())).is_private


@pytest.mark.parametrize("export", LAYOUTS)
def test_an_export_without_messages_is_whole(tmp_path: Path, export: Export) -> None:
    messages, notes = read(tmp_path, export([]))
    assert (messages, notes.warnings) == ([], [])


def test_fewer_messages_than_announced_means_that_it_breaks_off(tmp_path: Path) -> None:
    content = old_text_export(MESSAGES).replace("Messages: 13", "Messages: 1,300")
    messages, notes = read(tmp_path, content)
    assert len(messages) == len(MESSAGES) - 1
    assert notes.truncated_files == 1


def test_lines_before_the_first_message_are_noted(tmp_path: Path) -> None:
    content = text_export(MESSAGES).replace("[1/13/2024 9:07 PM] ann#1234", "[1/13/2024 ann", 1)
    messages, notes = read(tmp_path, content)
    assert len(messages) == len(MESSAGES) - 1
    assert notes.garbled_records > 0


@pytest.mark.parametrize(
    "content", ["", "=" * 62, "=" * 61 + "\nGuild: S\n", "Guild: S\n", "[1/1/2024 9:07 PM] a\nb\n"]
)
def test_other_texts_are_not_recognised(tmp_path: Path, content: str) -> None:
    assert not discord_chat_exporter_text.recognises(open_file(tmp_path, content)[0])
