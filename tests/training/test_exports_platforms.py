"""What the formats of all platforms have in common: each knows its own, and nothing breaks them."""

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.exports import Message, ReadNotes, formats
from training.exports.file import ExportFile

_SLACK = [
    {
        "type": "message",
        "user": "U1",
        "text": "hello <@U2>",
        "ts": "1700000000.000100",
        "thread_ts": "1700000000.000100",
    },
    {"type": "message", "user": "U2", "text": "hi", "ts": "1700000001.000100", "thread_ts": "1700000000.000100"},
]
_TELEGRAM_CHAT: dict[str, Any] = {
    "name": "Tea",
    "type": "private_group",
    "id": 7,
    "messages": [
        {"id": 1, "type": "message", "date": "2024-01-05T21:07:00", "from": "Ann", "from_id": "user1", "text": "hello"},
        {"id": 2, "type": "message", "date_unixtime": "1704489000", "from_id": "user2", "text": ["hi ", {"text": "!"}]},
    ],
}
_TELEGRAM_ACCOUNT = {
    "about": "Here is the data.",
    "contacts": {"about": "...", "list": [{"first_name": "Bob"}]},
    "chats": {"about": "...", "list": [_TELEGRAM_CHAT]},
}
_MATRIX = {
    "room_name": "Tea",
    "export_date": "1/5/2024",
    "exported_by": "Bob",
    "messages": [
        {
            "type": "m.room.message",
            "sender": "@ann:hs",
            "event_id": "$1",
            "room_id": "!r:hs",
            "origin_server_ts": 1704489000000,
            "content": {"msgtype": "m.text", "body": "hello", "formatted_body": "<b>hello</b>"},
        }
    ],
}
_MESSENGER = {
    "participants": [{"name": "Ann"}, {"name": "Bob"}],
    "messages": [
        {"sender_name": "Bob", "timestamp_ms": 1700000001000, "content": "hi"},
        {"sender_name": "Ann", "timestamp_ms": 1700000000000, "content": "hello", "is_unsent": False},
    ],
    "title": "Bob",
    "thread_path": "inbox/bob_1",
}
_JSON = {
    "slack": _SLACK,
    "telegram": _TELEGRAM_CHAT,
    "telegram account": _TELEGRAM_ACCOUNT,
    "matrix": _MATRIX,
    "messenger": _MESSENGER,
}
_TEXT = {
    "matrix_text": "Fri, Jan 5, 2024, 21:10:00 - Ann: hello\nFri, Jan 5, 2024, 21:11:00 - Bob: hi\n",
    "irc znc": "[21:07:03] <ann> hello\n[21:08:03] * bob waves\n[21:09:03] *** Quits: bob (~b@h) (bye)\n",
    "irc irssi": "--- Log opened Fri Jan 05 21:05:40 2024\n21:07 < ann> hello\n21:08 <@bob> hi\n",
    "irc weechat": "2024-01-05 21:07:03\tann\thello\n2024-01-05 21:08:03\t@bob\thi\n",
    "irc botbot": "2024-01-05T21:07:03 <ann> hello\n2024-01-05T21:08:03 <bob> hi\n",
    "irc ubuntu": "[21:07] <ann> hello\n=== bob is now known as rob\n[21:08] <rob> hi\n",
    "whatsapp android": "1/5/24, 9:07 PM - Ann: hello\n1/5/24, 9:08 PM - Bob: hi\nmore\n",
    "whatsapp ios": "[05.01.24, 21:07:03] Ann: hello\r\n[05.01.24, 21:08:03] Bob: \u200eBild weggelassen\r\n",
    "whatsapp iso": "2024-01-05 21:07 - Ann: hello\n2024-01-05 21:08 - Bob: hi\n",
}
SAMPLES = {name: json.dumps(document, indent=1) for name, document in _JSON.items()} | _TEXT
PLATFORMS = sorted({name.split()[0] for name in SAMPLES})


def opened(folder: Path, content: bytes) -> tuple[ExportFile, ReadNotes]:
    path = folder / "export-2024-01-05.txt"
    path.write_bytes(content)
    notes = ReadNotes()
    return ExportFile(path, notes), notes


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("mark", ["", "\ufeff", "\n\n"])
def test_a_sample_is_known_by_its_own_format_alone(tmp_path: Path, name: str, mark: str) -> None:
    export, notes = opened(tmp_path, (mark + SAMPLES[name]).encode())
    takers = [format_ for format_, module in formats().items() if module.recognises(export)]
    assert takers[0] == name.split()[0]
    assert len([taker for taker in takers if not getattr(formats()[taker], "IS_LAST_RESORT", False)]) == 1
    messages = list(formats()[takers[0]].read(export))
    assert {"hello", "hi"} & {message.content for message in messages}
    assert notes.warnings == []


@pytest.mark.parametrize("name", _JSON)
def test_json_is_known_in_any_layout(tmp_path: Path, name: str) -> None:
    for text in (json.dumps(_JSON[name], sort_keys=True), json.dumps(_JSON[name], separators=(",", ":"))):
        export, _ = opened(tmp_path, text.encode("utf-16"))
        assert formats()[name.split()[0]].recognises(export)
        assert list(formats()[name.split()[0]].read(export))


@pytest.mark.parametrize(
    "content",
    [
        '[{"id": "U1", "name": "ann", "profile": {"display_name": "Ann"}}]',
        '[{"id": "C1", "name": "tea", "created": 1452837318, "topic": {"value": "", "last_set": "0"}}]',
        '{"type": "service_account", "project_id": "x", "private_key": "y", "messages": []}',
        '{"about": "me", "name": "Ann"}',
        '{"messages": [{"role": "user", "content": "hi"}], "participants": ["a"]}',
        '{"room_name": "Tea", "seats": 5}',
        "# A page\n\nSee you at 21:07 - or later\n\n* 21:07 tea\n",
        "WEBVTT\n\n00:00:01.000 --> 00:00:04.000\nhello\n\n00:00:05.000 --> 00:00:06.000\nhi\n",
        "1\n00:00:01,000 --> 00:00:04,000\nhello\n",
        "2024-01-05 21:07:03,123 INFO started\n2024-01-05 21:07:04,123 INFO done\n",
        "2024-01-05 21:07:03 - INFO - started\n2024-01-05 21:07:04 - INFO - done\n",
        "Jan  5 21:07:03 host sshd[1]: hello\nJan  5 21:07:04 host sshd[1]: bye\n",
        "",
        "\0" * 1000,
    ],
)
def test_what_is_no_export_is_left_to_others(tmp_path: Path, content: str) -> None:
    export, _ = opened(tmp_path, content.encode())
    assert [name for name in PLATFORMS if formats()[name].recognises(export)] == []


@pytest.mark.parametrize("time", ["nan", "inf", "-5", "9" * 30])
@pytest.mark.parametrize("name", ["slack", "telegram", "matrix", "messenger"])
def test_a_time_that_is_none_garbles_its_message(tmp_path: Path, name: str, time: str) -> None:
    content = re.sub(r"1700000001.000100|17\d{8,11}(?=[,\"\n])", time, SAMPLES[name])
    assert content != SAMPLES[name]
    export, notes = opened(tmp_path, content.encode())
    assert all(message.timestamp is None or message.timestamp < 1e12 for message in formats()[name].read(export))
    assert notes.garbled_records > 0


def read_by_all(content: bytes) -> Iterator[Message]:
    with tempfile.TemporaryDirectory() as folder:
        export, notes = opened(Path(folder), content)
        for name in PLATFORMS:
            assert formats()[name].recognises(export) in (True, False)
            yield from formats()[name].read(export)
        assert len(notes.warnings) <= 20 * len(PLATFORMS)


def check_types(message: Message) -> None:
    assert isinstance(message, Message)
    assert all(isinstance(text, str) for text in (message.channel, message.id, message.author, message.content))
    assert message.timestamp is None or isinstance(message.timestamp, float)
    assert isinstance(message.is_bot, bool)
    assert isinstance(message.is_system, bool)
    assert isinstance(message.mentions, tuple)


@settings(max_examples=40)
@given(st.binary(max_size=400) | st.text(st.sampled_from('[]{}<>:,"-*/ \t\n01259apmAPM\u200e')).map(str.encode))
def test_any_bytes_give_messages_and_notes_only(content: bytes) -> None:
    for message in read_by_all(content):
        check_types(message)


PIECES = st.sampled_from(
    [
        b"",
        b"\0",
        b"\xff",
        b'"',
        b"}",
        b"]",
        b"[" * 2000,
        b"null",
        b"-1",
        b"1e999",
        b'{"text": 5}',
        b"\r\n",
        b"\xed\xa0\x80",
    ]
)
NUMBERS = st.sampled_from(["99:99", "9" * 30, "nan", "inf", "\\ud800", "٣", "\x03", "<", "a" * 5000]).map(str.encode)


@settings(max_examples=150)
@given(
    st.sampled_from(sorted(SAMPLES)),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40), PIECES | NUMBERS), max_size=4),
)
def test_damaged_exports_give_messages_and_notes_only(name: str, damages: list[tuple[float, int, bytes]]) -> None:
    content = SAMPLES[name].encode()
    for place, length, piece in damages:
        at = int(place * len(content))
        content = content[:at] + piece + content[at + length :]
    for message in read_by_all(content):
        check_types(message)


@pytest.mark.parametrize("name", _TEXT)
def test_a_cut_text_gives_what_comes_before(tmp_path: Path, name: str) -> None:
    reader = formats()[name.split()[0]]
    export, _ = opened(tmp_path, SAMPLES[name].encode())
    whole = [message.content for message in reader.read(export)]
    export, _ = opened(tmp_path, SAMPLES[name].encode()[:-2])
    cut = [message.content for message in reader.read(export)]
    assert cut[: len(whole) - 1] == whole[:-1]
