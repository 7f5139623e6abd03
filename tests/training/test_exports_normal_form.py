"""The normal form: JSON Lines."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.exports import Message, ReadNotes, normal_form
from training.exports.file import ExportFile

FULL = {
    "conversation": "c1",
    "id": "c1:1",
    "author": "ann",
    "timestamp": "2024-01-05T21:07:03.5+01:00",
    "content": "hi ☕",
    "reply_to": "c1:0",
    "is_bot": True,
    "is_system": True,
}
BARE = {"conversation": 7, "id": 2, "author": 3, "timestamp": None, "content": "", "reply_to": None}


def read(folder: Path, content: bytes) -> tuple[list[Message], ReadNotes]:
    path = folder / "chat.jsonl"
    path.write_bytes(content)
    notes = ReadNotes()
    export = ExportFile(path, notes)
    messages = list(normal_form.read(export))
    export.finish()
    return messages, notes


def lines(*records: object) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def test_every_field_arrives(tmp_path: Path) -> None:
    messages, notes = read(tmp_path, lines(FULL, BARE))
    assert messages == [
        Message("c1", "c1:1", "ann", 1704485223.5, "hi ☕", "c1:0", None, True, True),
        Message("7", "2", "3", None, "", None, None, False, False),
    ]
    assert notes == ReadNotes()


def test_a_time_without_a_zone_is_utc(tmp_path: Path) -> None:
    messages, _ = read(tmp_path, lines(FULL | {"timestamp": "1970-01-01T00:01:00"}))
    assert messages[0].timestamp == 60.0


def test_a_bad_line_is_named_and_reading_goes_on(tmp_path: Path) -> None:
    good = lines(BARE)
    bad = [b"{]\n", b'{"id": "1"}\n', b'{"conversation":"c","id":"1","author":"a","content":"\xff"}\n']
    bad += [lines(BARE | {"timestamp": "yesterday"}), lines(BARE | {"content": 5}), b"[" * 5000 + b"\n"]
    messages, notes = read(tmp_path, good + b"".join(bad) + b"\r\n" + good)
    assert len(messages) == 2
    assert notes.garbled_records == 6
    assert f"record 2 at byte {len(good)} " in notes.warnings[0]
    assert f"record 3 at byte {len(good) + len(bad[0])} " in notes.warnings[1]
    assert "1 more garbled records" in notes.warnings[5]
    assert len(notes.warnings) == 6


def test_a_byte_order_mark_and_windows_line_ends_are_no_matter(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + lines(BARE, FULL).replace(b"\n", b"\r\n")
    assert normal_form.recognises(content)
    assert len(read(tmp_path, content)[0]) == 2


def test_only_lines_with_the_four_fields_are_recognised() -> None:
    assert normal_form.recognises(lines(BARE))
    for field in ("conversation", "id", "author", "content"):
        assert not normal_form.recognises(lines({key: value for key, value in BARE.items() if key != field}))
    assert not normal_form.recognises(b'"conversation id author content"')
    assert not normal_form.recognises(b"[" * 100_000)


def test_a_bad_first_line_does_not_hide_the_format() -> None:
    assert normal_form.recognises(b"oops\n" + lines(BARE))


@settings(deadline=None)
@given(st.binary(max_size=300), st.integers(0, 60))
def test_no_bytes_stop_the_reader(tmp_path_factory: pytest.TempPathFactory, garbage: bytes, position: int) -> None:
    good = lines(BARE)
    messages, _ = read(tmp_path_factory.getbasetemp(), good + good[:position] + garbage + b"\n" + good)
    assert messages[0].id == messages[-1].id == "2"
    normal_form.recognises(garbage)
