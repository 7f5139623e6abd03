"""Ruined exports of Discord in every format: what is whole is read, what is not is noted, and nothing else happens."""

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.discord_chat_exporter import EXPORTS, MESSAGES
from training.exports import Message, ReadNotes, formats
from training.exports.file import ExportFile

API = [
    {
        "id": said.id,
        "type": 0,
        "content": said.typed,
        "channel_id": "7",
        "timestamp": said.time.isoformat(),
        "author": {"id": said.author.id, "username": said.author.full_name},
    }
    for said in MESSAGES
]
PACKAGE = [{"ID": int(said.id), "Timestamp": str(said.time), "Contents": said.typed} for said in MESSAGES]
ROWS = [f'{said.id},{said.time},"{said.typed}",' for said in MESSAGES if '"' not in said.typed]

CONTENTS: dict[str, tuple[str, bytes]] = {
    "JSON": ("discord_chat_exporter_json", EXPORTS["JSON"](MESSAGES).encode()),
    "HTML": ("discord_chat_exporter_html", EXPORTS["HTML"](MESSAGES).encode()),
    "HTML, minified": ("discord_chat_exporter_html", EXPORTS["HTML, minified"](MESSAGES).encode()),
    "HTML before 2022": ("discord_chat_exporter_html", EXPORTS["HTML before 2022"](MESSAGES).encode()),
    "CSV": ("discord_chat_exporter_csv", EXPORTS["CSV"](MESSAGES).encode()),
    "CSV before 2021": ("discord_chat_exporter_csv", EXPORTS["CSV before 2021"](MESSAGES).encode()),
    "text": ("discord_chat_exporter_text", EXPORTS["text"](MESSAGES).encode()),
    "text before 2020": ("discord_chat_exporter_text", EXPORTS["text before 2020"](MESSAGES).encode()),
    "API": ("discord_api", json.dumps(API).encode()),
    "API, a message a line": ("discord_api", "\n".join(map(json.dumps, API)).encode()),
    "package": ("discord_data_package", json.dumps(PACKAGE, indent=2).encode()),
    "package before 2024": (
        "discord_data_package",
        "\n".join(["ID,Timestamp,Contents,Attachments", *ROWS, ""]).encode(),
    ),
}
HAVE_AN_END = [layout for layout in CONTENTS if not layout.startswith(("CSV", "API, a", "package before"))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    (folder / "channel.json").write_text('{"id": "7", "type": "GUILD_TEXT", "name": "general"}')
    return folder


def read(folder: Path, layout: str, content: bytes) -> tuple[list[Message], ReadNotes]:
    path = folder / "export"
    path.write_bytes(content)
    notes = ReadNotes()
    file = ExportFile(path, notes)
    format_ = formats()[CONTENTS[layout][0]]
    format_.recognises(file)
    messages = list(format_.read(file))
    file.finish()
    assert all(type(message) is Message for message in messages)
    return messages, notes


def texts(messages: list[Message]) -> list[str]:
    return [message.content for message in messages]


@pytest.mark.parametrize("layout", CONTENTS)
def test_every_layout_is_recognised_by_its_content_and_by_no_other_format(folder: Path, layout: str) -> None:
    path = folder / "export.jpeg"
    path.write_bytes(CONTENTS[layout][1])
    names = [name for name, format_ in formats().items() if format_.recognises(ExportFile(path, ReadNotes()))]
    assert names[0] == CONTENTS[layout][0]
    assert not any(name.startswith("discord") for name in names[1:])


@pytest.mark.parametrize("layout", CONTENTS)
def test_a_whole_export_gives_all_messages_and_no_notes(folder: Path, layout: str) -> None:
    messages, notes = read(folder, layout, CONTENTS[layout][1])
    assert len(messages) == len(ROWS if layout == "package before 2024" else MESSAGES)
    assert (notes.garbled_records, notes.truncated_files) == (0, 0)
    assert len(notes.warnings) == layout.startswith("package")


@pytest.mark.parametrize("layout", CONTENTS)
def test_of_a_file_that_breaks_off_all_whole_messages_come(folder: Path, layout: str) -> None:
    content = CONTENTS[layout][1]
    whole = texts(read(folder, layout, content)[0])
    fewest = 0
    for cut in range(1, len(content) - 60, 89):
        messages, notes = read(folder, layout, content[:cut])
        assert texts(messages) == whole[: len(messages)], cut
        assert len(messages) >= fewest, cut
        fewest = len(messages)
        if layout in HAVE_AN_END and messages and b"postamble" not in content[:cut]:
            assert notes.truncated_files == 1, cut
            assert " breaks off after record " in notes.warnings[-1]
    assert fewest >= len(whole) - 2


@pytest.mark.parametrize("layout", CONTENTS)
@pytest.mark.parametrize("change", ["line ends", "mark", "NULs", "UTF-16"])
def test_encodings_are_no_matter(folder: Path, layout: str, change: str) -> None:
    content = CONTENTS[layout][1]
    expected = texts(read(folder, layout, content)[0])
    text = content.decode()
    changed = {
        "line ends": text.replace("\r\n", "\n").replace("\n", "\r\n").encode(),
        "mark": b"\xef\xbb\xbf" + content,
        "NULs": text.replace("another", "ano\0ther").replace("beep", "\0beep\0").encode(),
        "UTF-16": text.encode("utf-16"),
    }[change]
    messages, notes = read(folder, layout, changed)
    assert [text.replace("\r", "") for text in texts(messages)] == expected
    assert (notes.garbled_records, notes.truncated_files) == (0, 0)


@pytest.mark.parametrize("layout", CONTENTS)
def test_a_byte_that_is_no_character_costs_no_message(folder: Path, layout: str) -> None:
    content = CONTENTS[layout][1]
    messages, notes = read(folder, layout, content.replace(b"beep", b"be\xe9p"))
    assert len(messages) == len(read(folder, layout, content)[0])
    assert any(text.startswith("be") and text != "beep" for text in texts(messages))
    assert notes.garbled_records == 0


@pytest.mark.parametrize("layout", CONTENTS)
def test_the_same_message_twice_is_told_by_its_id_where_there_are_ids(folder: Path, layout: str) -> None:
    content = CONTENTS[layout][1]
    first, second = (read(folder, layout, content)[0] for _ in range(2))
    assert [message.id for message in first] == [message.id for message in second]
    assert len({message.id for message in first}) == len(first)


@settings(max_examples=100)
@given(data=st.data(), layout=st.sampled_from(list(CONTENTS)), garbage=st.binary(max_size=200))
def test_no_damage_stops_a_reader(folder: Path, data: st.DataObject, layout: str, garbage: bytes) -> None:
    content = CONTENTS[layout][1]
    begin = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(begin, min(begin + 500, len(content))) | st.just(len(content)))
    read(folder, layout, content[:begin] + garbage + content[end:])


@settings(max_examples=100)
@given(layout=st.sampled_from(list(CONTENTS)), garbage=st.binary(max_size=500), kept=st.integers(0, 300))
def test_no_bytes_stop_a_reader(folder: Path, layout: str, garbage: bytes, kept: int) -> None:
    read(folder, layout, CONTENTS[layout][1][:kept] + garbage)


@settings(max_examples=100)
@given(layout=st.sampled_from(list(CONTENTS)), pieces=st.lists(st.integers(0, 60), max_size=60))
def test_no_order_of_its_own_pieces_stops_a_reader(folder: Path, layout: str, pieces: list[int]) -> None:
    content = CONTENTS[layout][1]
    size = len(content) // 60 + 1
    read(folder, layout, content[:100] + b"".join(content[piece * size : (piece + 1) * size] for piece in pieces))


def nested(depth: int) -> dict[str, bytes]:
    """Something far too deep in the middle of each format."""
    return {
        "JSON": b'"embeds": ' + b"[" * depth + b"]" * depth + b",",
        "HTML": b"<div>" * depth,
        "API": b'"embeds": ' + b'{"a":' * depth + b"1" + b"}" * depth + b",",
    }


@pytest.mark.parametrize(("layout", "mark"), [("JSON", b'"content"'), ("HTML", b"beep"), ("API", b'"content"')])
def test_depth_harms_no_more_than_the_message_it_lies_in(folder: Path, layout: str, mark: bytes) -> None:
    content = CONTENTS[layout][1]
    at = content.index(mark, len(content) // 2)
    ruined = content[:at] + nested(100_000)[layout] + content[at:]
    messages = read(folder, layout, ruined)[0]
    assert len(messages) >= len(MESSAGES) - 2


@pytest.mark.parametrize("layout", CONTENTS)
def test_one_huge_message_does_not_fill_the_memory(folder: Path, monkeypatch: pytest.MonkeyPatch, layout: str) -> None:
    for module in ("indented_json", "json_values", "discord_chat_exporter_html"):
        monkeypatch.setattr(f"training.exports.{module}.MAX_VALUE_BYTES", 50_000)
        monkeypatch.setattr(f"training.exports.{module}._BLOCK_BYTES", 5000)
    monkeypatch.setattr("training.exports.file._SIBLING_BYTES", 50_000)
    monkeypatch.setattr("training.exports.file.MAX_LINE_BYTES", 50_000)
    monkeypatch.setattr("training.exports.discord_chat_exporter_text.MAX_LINE_BYTES", 50_000)
    content = CONTENTS[layout][1].replace(
        b"beep", b'b\\"' * 1_500_000 if layout in ("JSON", "API") else b"b" * 4_500_000
    )
    (messages, notes), peak = traced(lambda: read(folder, layout, content))
    assert notes.garbled_records + notes.truncated_files >= 1
    assert len(messages) >= len(MESSAGES) - 4
    assert peak < 3e6


def traced(run: Callable[[], tuple[list[Message], ReadNotes]]) -> tuple[tuple[list[Message], ReadNotes], int]:
    """What a function returns and the most bytes it held at a time."""
    tracemalloc.start()
    try:
        return run(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
