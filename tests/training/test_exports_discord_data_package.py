"""Discord's package of one's own data."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from training.exports import Channel, Message, ReadNotes, discord_data_package, find_exports
from training.exports.file import ExportFile

FILES = {
    "README.txt": "Hello!",
    "Account/user.json": json.dumps({"id": "44", "username": "ann", "global_name": "Annie"}),
    "Servers/index.json": json.dumps({"11": "Teahouse"}),
    "Messages/index.json": json.dumps({"22": "general in Teahouse", "33": "Direct Message with bob#0"}),
    "Messages/c22/channel.json": json.dumps(
        {"id": "22", "type": "GUILD_TEXT", "name": "general", "guild": {"id": "11", "name": "Teahouse"}}
    ),
    "Messages/c22/messages.json": json.dumps(
        [
            {
                "ID": 1192937832579072002,
                "Timestamp": "2024-01-05 21:09:03",
                "Contents": "thanks <@55> <:lul:5>",
                "Attachments": "",
            },
            {"ID": 7, "Timestamp": "2024-01-05 21:07:03", "Contents": "hi", "Attachments": "https://example.org/a.png"},
        ]
    ),
    "Messages/c33/channel.json": json.dumps({"id": "33", "type": "DM", "recipients": ["44", "55"]}),
    "Messages/c33/messages.csv": (
        "ID,Timestamp,Contents,Attachments\n"
        '8,2024-01-03 07:00:00.123000+00:00,"line one\nline ""two""",https://example.org/a.png\n'
    ),
}
Write = Callable[[Path, dict[str, str]], Path]
EXPECTED = [
    Message("22", "1192937832579072002", "44", 1704488943.0, "thanks <@55> :lul:", name="Annie", mentions=("55",)),
    Message("22", "7", "44", 1704488823.0, "hi", name="Annie"),
    Message("33", "8", "44", 1704265200.123, 'line one\nline "two"', name="Annie"),
]


def write_folder(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = folder / "package" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder / "package"


def write_archive(folder: Path, files: dict[str, str]) -> Path:
    with zipfile.ZipFile(folder / "package.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return folder / "package.zip"


def read(path: Path) -> tuple[list[Message], ReadNotes]:
    notes = ReadNotes()
    messages: list[Message] = []
    for export in find_exports([path], notes):
        assert export.format == "discord_data_package"
        messages += export.messages(export.open(notes))
    return messages, notes


@pytest.mark.parametrize("write", [write_folder, write_archive])
def test_a_package_gives_its_owners_messages(tmp_path: Path, write: Write) -> None:
    messages, notes = read(write(tmp_path, FILES))
    assert messages == EXPECTED
    assert notes.channels == {"22": Channel("22", "general"), "33": Channel("33", is_private=True)}
    assert (notes.garbled_records, notes.truncated_files) == (0, 0)


@pytest.mark.parametrize("write", [write_folder, write_archive])
def test_it_is_said_of_the_package_that_it_has_one_side_only(tmp_path: Path, write: Write) -> None:
    path = write(tmp_path, FILES)
    sentences = {sentence for sentence in read(path)[1].warnings if "one side" in sentence}
    assert len(sentences) == 1
    assert str(path) in sentences.pop()


@pytest.mark.parametrize("messages", ["messages", "Messages", "Nachrichten"])
@pytest.mark.parametrize("prefix", ["c", ""])
def test_names_of_folders_are_no_matter(tmp_path: Path, messages: str, prefix: str) -> None:
    files = {name.replace("Messages/c", f"{messages}/{prefix}"): content for name, content in FILES.items()}
    assert read(write_folder(tmp_path, files))[0] == EXPECTED


def test_without_the_account_all_messages_still_have_one_author(tmp_path: Path) -> None:
    files = {name: content for name, content in FILES.items() if "Account" not in name}
    messages, _ = read(write_folder(tmp_path, files))
    assert len({message.author for message in messages}) == 1
    assert [message.content for message in messages] == [message.content for message in EXPECTED]


def test_bad_records_are_noted_and_left_out(tmp_path: Path) -> None:
    files = dict(FILES)
    files["Messages/c22/messages.json"] = '[{"ID": 1, "Contents": "one"}, {"Contents": 5}, {"ID": 2, "Contents": null}]'
    files["Messages/c33/messages.csv"] += "broken\n\n9,,last,\n"
    messages, notes = read(write_folder(tmp_path, files))
    assert [message.content for message in messages] == ["one", "", 'line one\nline "two"', "last"]
    assert notes.garbled_records == 2


@pytest.mark.parametrize("name", ["Messages/c22/messages.json", "Messages/c33/messages.csv"])
def test_without_a_channel_beside_it_a_file_is_no_package(tmp_path: Path, name: str) -> None:
    path = write_folder(tmp_path, FILES) / name
    file = ExportFile(path, ReadNotes())
    assert discord_data_package.recognises(file)
    (path.parent / "channel.json").unlink()
    assert not discord_data_package.recognises(file)
    (path.parent / "channel.json").write_text("[]")
    assert not discord_data_package.recognises(file)
