"""JSON Lines: the normal form, and other names for the same things."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.exports import Channel, Message, ReadNotes, json_lines
from training.exports import file as file_module
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
SECOND = 1_704_485_223.5


def opened(folder: Path, content: bytes, columns: dict[str, str] | None = None) -> ExportFile:
    path = folder / "chat.jsonl"
    path.write_bytes(content)
    return ExportFile(path, ReadNotes(), columns=columns)


def read(folder: Path, content: bytes, columns: dict[str, str] | None = None) -> tuple[list[Message], ReadNotes]:
    notes = ReadNotes()
    export = ExportFile(opened(folder, content).path, notes, columns=columns)
    messages = list(json_lines.read(export))
    export.finish()
    return messages, notes


def lines(*records: object) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def one(folder: Path, record: dict[str, object], columns: dict[str, str] | None = None) -> Message:
    assert json_lines.recognises(opened(folder, lines(record), columns))
    [message] = read(folder, lines(record), columns)[0]
    return message


def test_every_field_of_the_normal_form_arrives(tmp_path: Path) -> None:
    messages, notes = read(tmp_path, lines(FULL | {"name": "Ann"}, BARE))
    assert messages == [
        Message("c1", "c1:1", "ann", SECOND, "hi ☕", "c1:0", is_bot=True, is_system=True, name="Ann"),
        Message("7", "2", "3", None, "", None),
    ]
    assert notes.warnings == []


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"user": "ann", "text": "hi"}, Message("", "", "ann", None, "hi")),
        ({"From": "ann", "Body": "hi", "Room": "r"}, Message("r", "", "ann", None, "hi")),
        ({"speaker": "A", "utterance": "hi", "dialogue_id": 4}, Message("4", "", "A", None, "hi")),
        ({"nick": "ann", "msg": "hi", "message_id": 5, "parent_id": 4}, Message("", "5", "ann", None, "hi", "4")),
        ({"userId": 7, "username": "ann", "message": "hi"}, Message("", "", "7", None, "hi", name="ann")),
        ({"sender": {"id": 7, "bot": True}, "text": "hi"}, Message("", "", "7", None, "hi", is_bot=True)),
        ({"author": "ann", "content": "hi", "bot": "false"}, Message("", "", "ann", None, "hi", is_bot=False)),
        ({"author": "ann", "content": "hi", "id": "1", "parent": "1"}, Message("", "1", "ann", None, "hi")),
        ({"author": "ann", "content": "hi", "reply_to": ""}, Message("", "", "ann", None, "hi")),
    ],
)
def test_common_names_are_understood(tmp_path: Path, record: dict[str, object], message: Message) -> None:
    found = one(tmp_path, record)
    unnamed = {"channel": message.channel or found.channel, "id": message.id or found.id}
    assert found == Message(**{field: getattr(message, field) for field in Message.__struct_fields__} | unnamed)
    assert found.channel
    assert found.id


def test_the_user_can_say_what_a_key_means(tmp_path: Path) -> None:
    record = {"who": "ann", "user": "group", "said": "hi", "text": "html", "at": 1_704_485_223_500}
    message = one(tmp_path, record, {"author": "who", "content": "said", "timestamp": "at"})
    assert (message.author, message.content, message.timestamp) == ("ann", "hi", SECOND)


def test_a_key_the_user_names_for_another_file_does_not_hide_the_common_ones(tmp_path: Path) -> None:
    assert one(tmp_path, FULL, {"author": "user", "content": "text"}).content == "hi ☕"


@pytest.mark.parametrize(
    "time",
    [
        "2024-01-05T20:07:03.5",
        "2024-01-05 20:07:03.5 UTC",
        "2024-01-05T20:07:03.500Z",
        1_704_485_223.5,
        1_704_485_223_500,
        1_704_485_223_500_000,
        "1704485223.5",
        "1704485223500",
    ],
)
def test_times_are_iso_8601_or_counted_since_the_epoch(tmp_path: Path, time: object) -> None:
    assert one(tmp_path, BARE | {"timestamp": time}).timestamp == SECOND


def test_a_time_as_in_mail_is_read(tmp_path: Path) -> None:
    assert one(tmp_path, BARE | {"timestamp": "Fri, 05 Jan 2024 21:07:03 +0100"}).timestamp == SECOND - 0.5


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="its zone cannot be changed here")
def test_a_time_without_a_zone_is_the_same_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert one(tmp_path, BARE | {"timestamp": "Fri, 05 Jan 2024 20:07:03 -0000"}).timestamp == SECOND - 0.5
    finally:
        monkeypatch.undo()
        time.tzset()


def test_times_that_nobody_understands_are_ignored_all_together(tmp_path: Path) -> None:
    messages, notes = read(tmp_path, lines(BARE | {"timestamp": "half past"}, BARE | {"timestamp": "noon"}))
    assert [message.timestamp for message in messages] == [None, None]
    assert "are neither ISO 8601 nor seconds" in notes.warnings[0]


def test_a_bad_line_is_named_and_reading_goes_on(tmp_path: Path) -> None:
    good = lines(FULL)
    bad = [
        b"{]\n",
        b'{"id": "1"}\n',
        b"\xff\n",
        lines(FULL | {"timestamp": -5}),
        lines(FULL | {"timestamp": "Infinity"}),
    ]
    bad += [lines(FULL | {"timestamp": "yesterday"}), lines(FULL | {"content": 5}), b"[" * 5000 + b"\n"]
    messages, notes = read(tmp_path, good + b"".join(bad) + b"\r\n" + good)
    assert len(messages) == 2
    assert notes.garbled_records == 8
    assert f"record 2 at byte {len(good)} " in notes.warnings[0]
    assert f"record 3 at byte {len(good) + len(bad[0])} " in notes.warnings[1]
    assert "3 more garbled records" in notes.warnings[5]
    assert len(notes.warnings) == 6


def test_a_byte_order_mark_nuls_and_windows_line_ends_are_no_matter(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + lines(FULL, FULL).replace(b"\n", b"\r\n").replace(b"c1", b"c\x001")
    assert json_lines.recognises(opened(tmp_path, content))
    assert [message.channel for message in read(tmp_path, content)[0]] == ["c1", "c1"]


def test_only_lines_in_which_somebody_says_something_are_recognised(tmp_path: Path) -> None:
    assert json_lines.recognises(opened(tmp_path, lines(BARE)))
    for field in ("author", "content"):
        without = {key: value for key, value in BARE.items() if key != field}
        assert not json_lines.recognises(opened(tmp_path, lines(without)))
    assert not json_lines.recognises(opened(tmp_path, b'"conversation id author content"'))
    assert not json_lines.recognises(opened(tmp_path, b"[" * 100_000))


def test_a_bad_first_line_does_not_hide_the_format(tmp_path: Path) -> None:
    assert json_lines.recognises(opened(tmp_path, b"oops\n" + lines(BARE)))


def test_a_message_without_an_id_gets_the_same_one_wherever_it_stands(tmp_path: Path) -> None:
    said = {"channel": "c", "user": "ann", "text": "hi", "time": "2024-01-05T20:07:03"}
    other = said | {"user": "bob"}
    first, second, again = (message.id for message in read(tmp_path, lines(said, other, said))[0])
    assert len({first, second, again}) == 3
    assert [message.id for message in read(tmp_path, lines(other, said, said))[0]] == [second, first, again]


def test_messages_without_id_or_time_are_told_apart_by_where_they_stand(tmp_path: Path) -> None:
    said = {"channel": "c", "user": "ann", "text": "hi"}
    messages = read(tmp_path, lines(*[said] * 10))[0]
    assert len({message.id for message in messages}) == 10
    assert messages == read(tmp_path, lines(*[said] * 10))[0]


def test_parts_together_give_the_same_messages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_module, "PART_BYTES", 100)
    said = {"channel": "c", "user": "ann", "text": "hi", "time": "2024-01-05T20:07:03"}
    content = b"".join(
        lines(*[said] * 3, said | {"text": "☕" * number}, said | {"id": number}) for number in range(20)
    )
    export = opened(tmp_path, content)
    parts = json_lines.parts(export)
    assert len(parts) > 30
    files = [ExportFile(export.path, ReadNotes(), part=part) for part in parts]
    messages = [message for file in files for message in json_lines.read(file)]
    assert messages == read(tmp_path, content)[0]
    assert len({message.id for message in messages}) == 100


def test_the_channel_of_a_file_without_is_named_after_it_and_differs_between_files_of_one_name(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "nsfw").mkdir()
    ann, bob = {"user": "ann", "text": "hi"}, {"user": "bob", "text": "hi"}
    messages, notes = read(tmp_path, lines(ann, bob))
    [channel] = {message.channel for message in messages}
    assert notes.channels == {channel: Channel(channel, "chat")}
    assert {message.channel for message in read(tmp_path / "a", lines(ann))[0]} != {channel}
    assert {message.channel for message in read(tmp_path / "a", lines(ann, bob))[0]} == {channel}


def test_a_conversation_that_sounds_unsafe_is_described(tmp_path: Path) -> None:
    notes = read(tmp_path, lines(FULL | {"conversation": "nsfw-chat"}))[1]
    assert notes.channels["nsfw-chat"].is_nsfw


@given(st.binary(max_size=300), st.integers(0, 60))
def test_no_bytes_stop_the_reader(tmp_path_factory: pytest.TempPathFactory, garbage: bytes, position: int) -> None:
    good = lines(BARE)
    folder = tmp_path_factory.getbasetemp()
    messages, _ = read(folder, good + good[:position] + garbage + b"\n" + good)
    assert messages[0].id == messages[-1].id == "2"
    json_lines.recognises(opened(folder, garbage))
