"""Lists of messages of Discord's API, in the forms in which tools store them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from training.exports import GONE, Channel, Message, Part, ReadNotes, discord_api
from training.exports.file import ExportFile

SNOWFLAKE = "1192937581969408001"  # 2024-01-05 21:08:03.25 UTC
ANN: dict[str, Any] = {"id": "100000000000000001", "username": "ann", "global_name": "Annie", "avatar": None}


def record(**fields: Any) -> dict[str, Any]:
    return {
        "id": SNOWFLAKE,
        "type": 0,
        "content": "hi",
        "channel_id": "200",
        "author": ANN,
        "attachments": [],
        "embeds": [{"description": "an embed's words"}],
        "mentions": [],
        "mention_roles": [],
        "pinned": False,
        "mention_everyone": False,
        "tts": False,
        "timestamp": "2024-01-05T21:08:03.250000+00:00",
        "edited_timestamp": None,
        "flags": 0,
        "components": [],
    } | fields


Layout = Callable[[list[dict[str, Any]]], str]
LAYOUTS: dict[str, Layout] = {
    "array": json.dumps,
    "pretty array": lambda messages: json.dumps(messages, indent=4),
    "object": lambda messages: json.dumps({"messages": messages}),
    "object with more": lambda messages: json.dumps({"guild_id": "1", "total": {"a": [1]}, "messages": messages}),
    "pages of the search": lambda messages: json.dumps({"total_results": 9, "messages": [[m] for m in messages]}),
    "array of pages": lambda messages: json.dumps([messages]),
    "lines": lambda messages: "\n".join(map(json.dumps, messages)),
}


def open_file(
    folder: Path, content: str, name: str = "export.json", part: Part | None = None
) -> tuple[ExportFile, ReadNotes]:
    path = folder / name
    path.write_text(content)
    notes = ReadNotes()
    return ExportFile(path, notes, part=part), notes


def read(folder: Path, content: str, name: str = "export.json") -> tuple[list[Message], ReadNotes]:
    file, notes = open_file(folder, content, name)
    assert discord_api.recognises(file)
    return list(discord_api.read(file)), notes


def read_one(folder: Path, **fields: Any) -> Message:
    (message,), _ = read(folder, json.dumps([record(**fields)]))
    return message


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_every_form_gives_the_same_messages(tmp_path: Path, layout: Layout) -> None:
    reply = {
        "id": "1192937832579072002",
        "type": 19,
        "content": "yes <@100000000000000001> <:lul:5>",
        "author": {"id": "7", "username": "bob"},
        "edited_timestamp": "2024-01-05T21:10:03+00:00",
        "message_reference": {"type": 0, "channel_id": "200", "message_id": SNOWFLAKE, "guild_id": "1"},
        "mentions": [ANN],
    }
    messages, notes = read(tmp_path, layout([record(), record(**reply)]))
    assert messages == [
        Message("200", SNOWFLAKE, ANN["id"], 1704488883.25, "hi", name="Annie"),
        Message(
            "200",
            "1192937832579072002",
            "7",
            1704488943.0,
            "yes <@100000000000000001> :lul:",
            reply_to=SNOWFLAKE,
            edited=1704489003.0,
            name="bob",
            mentions=("100000000000000001",),
        ),
    ]
    assert (notes.warnings, notes.channels) == ([], {"200": Channel("200")})


@pytest.mark.parametrize(
    ("fields", "reply_to"),
    [
        ({"type": 19, "message_reference": {"message_id": "5"}}, "5"),
        ({"type": 19, "message_reference": {"message_id": 5}, "referenced_message": None}, "5"),
        ({"type": 19, "message_reference": {}}, GONE),
        ({"type": 19}, GONE),
        ({"type": 0, "message_reference": {"type": 1, "message_id": "5"}}, None),
        ({"type": 6, "message_reference": {"message_id": "5"}}, None),
        ({}, None),
    ],
)
def test_only_a_reply_answers_what_it_refers_to(tmp_path: Path, fields: dict[str, Any], reply_to: str | None) -> None:
    assert read_one(tmp_path, **fields).reply_to == reply_to


@pytest.mark.parametrize(
    ("fields", "is_bot", "is_system"),
    [
        ({}, False, False),
        ({"author": ANN | {"bot": True}}, True, False),
        ({"author": ANN | {"bot": None}}, False, False),
        ({"webhook_id": "5"}, True, False),
        ({"type": 20}, True, False),
        ({"type": 23}, True, False),
        ({"type": 7}, False, True),
        ({"type": 46}, False, True),
    ],
)
def test_bots_and_notices_are_told(tmp_path: Path, fields: dict[str, Any], is_bot: bool, is_system: bool) -> None:
    message = read_one(tmp_path, **fields)
    assert (message.is_bot, message.is_system) == (is_bot, is_system)


def test_a_forwarded_message_is_empty(tmp_path: Path) -> None:
    snapshots = [{"message": {"content": "words of others"}}]
    fields = {"content": "", "message_reference": {"type": 1, "message_id": "5"}, "message_snapshots": snapshots}
    assert read_one(tmp_path, **fields).content == ""


def test_a_nickname_goes_before_the_display_name(tmp_path: Path) -> None:
    assert read_one(tmp_path, member={"nick": "Queen Ann", "roles": []}).name == "Queen Ann"
    assert read_one(tmp_path, member={"nick": None}).name == "Annie"


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        ({"id": "200", "name": "general", "type": 0}, Channel("200", "general")),
        ({"id": "200", "name": "pics", "type": 0, "nsfw": True}, Channel("200", "pics", is_nsfw=True)),
        ({"id": "200", "type": 1, "recipients": []}, Channel("200", is_private=True)),
        ({"id": "999", "name": "another", "nsfw": True}, Channel("200")),
    ],
)
def test_a_channel_beside_the_messages_describes_them(
    tmp_path: Path, channel: dict[str, Any], expected: Channel
) -> None:
    _, notes = read(tmp_path, json.dumps({"channel": channel, "messages": [record()]}))
    assert notes.channels == {"200": expected}


def test_a_file_may_hold_several_channels(tmp_path: Path) -> None:
    messages, notes = read(tmp_path, json.dumps([record(), record(channel_id="201"), record()]))
    assert [message.channel for message in messages] == ["200", "201", "200"]
    assert notes.channels.keys() == {"200", "201"}


def test_without_a_channel_the_file_name_tells(tmp_path: Path) -> None:
    content = json.dumps([record(channel_id=None)])
    assert read(tmp_path, content, "x [700000000000000001].json")[0][0].channel == "700000000000000001"
    assert read(tmp_path, content, "x.json")[0][0].channel.startswith("x.json")


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("damage", [{"author": None}, {"content": 5}, {"id": None}])
def test_a_message_with_a_bad_field_is_left_out(tmp_path: Path, layout: Layout, damage: dict[str, Any]) -> None:
    messages, notes = read(tmp_path, layout([record(id="1"), record(id="2") | damage, record(id="3")]))
    assert [message.id for message in messages] == ["1", "3"]
    assert (notes.garbled_records, notes.truncated_files) == (1, 0)


def test_lines_can_be_read_in_parts(tmp_path: Path) -> None:
    content = LAYOUTS["lines"]([record(id=str(number)) for number in range(9)])
    found = []
    for part in (Part(0, 1000), Part(1000, 2500), Part(2500, len(content))):
        found += list(discord_api.read(open_file(tmp_path, content, part=part)[0]))
    assert [message.id for message in found] == [str(number) for number in range(9)]
    assert discord_api.parts(open_file(tmp_path, content)[0]) == []
    assert discord_api.parts(open_file(tmp_path, json.dumps([record()]))[0]) == []


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '[{"id": "1", "author": {"id": "2", "name": "ann"}, "content": "hi", "timestamp": "2024-01-05"}]',
        '{"id": "1", "author": "ann", "content": "hi", "timestamp": null}',
        '[{"type": "message", "user": "U1", "text": "hi", "ts": "1.2"}]',
    ],
)
def test_other_json_is_not_recognised(tmp_path: Path, content: str) -> None:
    assert not discord_api.recognises(open_file(tmp_path, content)[0])
