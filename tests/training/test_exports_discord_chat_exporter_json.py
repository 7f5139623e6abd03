"""DiscordChatExporter's JSON, in its own layout and in others."""

import gzip
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.exports import GONE, Channel, Message, Part, ReadNotes, discord_chat_exporter_json, indented_json
from training.exports.file import ExportFile

ANN: dict[str, Any] = {
    "id": "100000000000000001",
    "name": "ann",
    "nickname": "Annie",
    "isBot": False,
    "roles": [{"id": "9"}],
}
BOB: dict[str, Any] = {"id": "100000000000000002", "name": "bob", "nickname": "Bob ✨", "isBot": False, "roles": []}
SNOWFLAKE = "1192937581969408001"  # 2024-01-05 21:08:03.25 UTC


def record(**fields: Any) -> dict[str, Any]:
    return {
        "id": SNOWFLAKE,
        "type": "Default",
        "timestamp": "2024-01-05T21:08:03.25+00:00",
        "timestampEdited": None,
        "content": "hi",
        "author": ANN,
        "embeds": [{"title": "a\n    }", "fields": [{}]}],
        "mentions": [],
    } | fields


def export(*messages: dict[str, Any]) -> dict[str, Any]:
    head = {"guild": {"id": "300", "name": "S"}, "channel": {"id": "200", "topic": "[{"}, "dateRange": {"after": None}}
    return head | {"messages": list(messages), "messageCount": len(messages)}


def own_layout(*messages: dict[str, Any]) -> bytes:
    return json.dumps(export(*messages), indent=2, ensure_ascii=False).encode()


def compact(*messages: dict[str, Any]) -> bytes:
    return json.dumps(export(*messages), separators=(",", ":"), ensure_ascii=False).encode()


def wider(*messages: dict[str, Any]) -> bytes:
    return json.dumps(export(*messages), indent=4).encode()


def windows(*messages: dict[str, Any]) -> bytes:
    return b"\xef\xbb\xbf" + own_layout(*messages).replace(b"\n", b"\r\n")


LAYOUTS = [own_layout, compact, wider, windows]
Result = TypeVar("Result")
THREE = [record(id=str(number), content=f"text {number}") for number in (1, 2, 3)]


def file_with(folder: Path, content: bytes, part: Part | None = None) -> tuple[ExportFile, ReadNotes]:
    path = folder / "export.json"
    path.write_bytes(content)
    notes = ReadNotes()
    return ExportFile(path, notes, part=part), notes


def read(folder: Path, content: bytes, part: Part | None = None) -> tuple[list[Message], ReadNotes]:
    file, notes = file_with(folder, content, part)
    messages = list(discord_chat_exporter_json.read(file))
    file.finish()
    return messages, notes


def recognises(folder: Path, content: bytes) -> bool:
    return discord_chat_exporter_json.recognises(file_with(folder, content)[0])


def is_faultless(notes: ReadNotes) -> bool:
    return (notes.garbled_records, notes.truncated_files, notes.warnings) == (0, 0, [])


def traced(run: Callable[[], Result]) -> tuple[Result, int]:
    """What a function returns and the most bytes it held at a time."""
    tracemalloc.start()
    try:
        return run(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def read_one(folder: Path, **fields: Any) -> Message:
    (message,), notes = read(folder, own_layout(record(**fields)))
    assert is_faultless(notes)
    return message


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_messages(tmp_path: Path, layout: Callable[..., bytes]) -> None:
    reply: dict[str, Any] = {
        "id": "1192937832579072002",
        "type": "Reply",
        "timestamp": "2024-01-05T22:09:03+01:00",
        "timestampEdited": "2024-01-05T21:10:03+00:00",
        "content": "yes\n    }\n☕ 🔥",
        "author": BOB,
        "mentions": [ANN],
        "reference": {"messageId": SNOWFLAKE, "channelId": "200", "guildId": "300"},
    }
    content = layout(record(), reply)
    assert recognises(tmp_path, content)
    messages, notes = read(tmp_path, content)
    assert messages == [
        Message("200", SNOWFLAKE, ANN["id"], 1704488883.25, "hi", name="Annie"),
        Message("200", reply["id"], BOB["id"], 1704488943.0, reply["content"], SNOWFLAKE, 1704489003.0, name="Bob ✨"),
    ]
    assert is_faultless(notes)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_channel_without_messages_is_whole(tmp_path: Path, layout: Callable[..., bytes]) -> None:
    messages, notes = read(tmp_path, layout())
    assert messages == []
    assert is_faultless(notes)


def test_the_exporters_own_layout_does_not_need_the_slow_parser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discord_chat_exporter_json, "_any_layout", None)
    for layout in (own_layout, windows):
        assert len(read(tmp_path, layout(*THREE))[0]) == 3


def test_a_message_needs_no_more_than_id_and_author(tmp_path: Path) -> None:
    content = own_layout({"id": SNOWFLAKE, "author": {"id": 5}})
    assert read(tmp_path, content)[0] == [Message("200", SNOWFLAKE, "5", 1704488883.25, "")]


@pytest.mark.parametrize(
    ("fields", "timestamp"),
    [
        ({}, 1704488883.25),
        ({"timestamp": "garbled"}, 1704488883.25),
        ({"timestamp": None}, 1704488883.25),
        ({"id": "1001", "timestamp": "2024-01-05T21:08:03.1234567+00:00"}, 1704488883.123456),
        ({"id": "1001", "timestamp": "1970-01-01T00:00:00+00:00"}, 0.0),
        ({"id": "1001", "timestamp": None}, None),
        ({"id": "1001", "timestamp": "garbled"}, None),
        ({"id": "m1192937581969408001", "timestamp": None}, None),
    ],
)
def test_the_time_is_that_of_the_id_or_the_printed_one(
    tmp_path: Path, fields: dict[str, Any], timestamp: float | None
) -> None:
    assert read_one(tmp_path, **fields).timestamp == timestamp


@pytest.mark.parametrize(
    ("kind", "is_bot", "is_system"),
    [
        ("Default", False, False),
        ("Reply", False, False),
        ("0", False, False),
        (19, False, False),
        ("20", True, False),
        ("23", True, False),
        ("GuildMemberJoin", False, True),
        ("ThreadCreated", False, True),
        ("8", False, True),
        ("46", False, True),
        (7, False, True),
    ],
)
def test_the_type_tells_speech_from_bots_and_notices(
    tmp_path: Path, kind: str | int, is_bot: bool, is_system: bool
) -> None:
    message = read_one(tmp_path, type=kind)
    assert (message.is_bot, message.is_system) == (is_bot, is_system)


def test_a_bot_account_or_webhook_is_a_bot(tmp_path: Path) -> None:
    assert read_one(tmp_path, author=ANN | {"isBot": True}).is_bot


@pytest.mark.parametrize(
    ("kind", "reference", "reply_to"),
    [
        ("Reply", {"messageId": "5"}, "5"),
        ("Reply", {"type": "Default", "messageId": 5}, "5"),
        ("19", {"messageId": "5"}, "5"),
        ("Reply", {"messageId": None}, GONE),
        ("Reply", None, GONE),
        ("Default", {"messageId": "5"}, None),
        ("Default", {"type": "Forward", "messageId": "5"}, None),
        ("Reply", {"type": "Forward", "messageId": "5"}, None),
        ("ChannelPinnedMessage", {"messageId": "5"}, None),
    ],
)
def test_only_a_reply_answers_what_it_refers_to(
    tmp_path: Path, kind: str, reference: dict[str, Any] | None, reply_to: str | None
) -> None:
    assert read_one(tmp_path, type=kind, reference=reference).reply_to == reply_to


def test_forwarded_words_are_not_the_forwarders(tmp_path: Path) -> None:
    message = read_one(
        tmp_path, content="", reference={"type": "Forward"}, forwardedMessage={"content": "somebody else's words"}
    )
    assert message.content == ""


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("@Annie look", "look"),
        ("hey @ann and @Bob ✨!", "hey and !"),
        ("@Annie Rose and @Annie", "and"),
        ("@Carl stays, he is not mentioned; so does Annie", "@Carl stays, he is not mentioned; so does Annie"),
        ("who is @Unknown or @deleted-role", "who is or"),
        ("<@100000000000000001> raw", "<@100000000000000001> raw"),
        ("me@home", "me@home"),
    ],
)
def test_names_of_mentioned_people_are_taken_out(tmp_path: Path, content: str, expected: str) -> None:
    rose = {"id": "3", "name": "Annie Rose", "nickname": None}
    nameless = {"id": "4", "name": "", "nickname": ""}
    message = read_one(tmp_path, content=content, mentions=[ANN, rose, BOB, nameless])
    assert message.content.split() == expected.split()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "damage",
    [{"content": 5}, {"author": None}, {"author": {"id": None}}, {"id": None}, {"mentions": [{}]}, {"type": []}],
)
def test_a_message_with_a_bad_field_is_left_out_and_reading_goes_on(
    tmp_path: Path, layout: Callable[..., bytes], damage: dict[str, Any]
) -> None:
    messages, notes = read(tmp_path, layout(THREE[0], THREE[1] | damage, THREE[2]))
    assert [message.id for message in messages] == ["1", "3"]
    assert (notes.garbled_records, notes.truncated_files) == (1, 0)
    assert notes.warnings[0].startswith("record 2 at byte ")


@pytest.mark.parametrize("damage", [b'"', b"\x01", b"\\", b"\n", b'text": [', b'"}}}}'])
def test_damage_inside_a_message_costs_only_that_message(tmp_path: Path, damage: bytes) -> None:
    content = own_layout(*THREE)
    begin = content.index(b'{\n      "id": "2"')
    messages, notes = read(tmp_path, content.replace(b"text 2", damage))
    assert [message.id for message in messages] == ["1", "3"]
    assert (notes.garbled_records, notes.truncated_files) == (1, 0)
    assert f"record 2 at byte {begin:,} " in notes.warnings[0]


def test_damage_across_the_end_of_a_message_does_not_cost_the_next_one(tmp_path: Path) -> None:
    content = own_layout(*THREE)
    end = content.index(b"\n    },", content.index(b"text 2"))
    messages, notes = read(tmp_path, content[: end - 40] + b"\0" * 40 + content[end + 6 :])
    assert [message.id for message in messages] == ["1", "3"]
    assert notes.garbled_records == 1


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nuls_are_no_matter(tmp_path: Path, layout: Callable[..., bytes]) -> None:
    content = layout(*THREE).replace(b"text 2", b"te\0xt 2").replace(b'"id"', b'\0"id"')
    messages, notes = read(tmp_path, content)
    assert [message.content for message in messages] == ["text 1", "text 2", "text 3"]
    assert is_faultless(notes)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("damage", [b"\xff", b"\\ud83d", b"\\udd25\\ud83d"])
def test_ill_formed_characters_are_replaced(tmp_path: Path, layout: Callable[..., bytes], damage: bytes) -> None:
    messages, notes = read(tmp_path, layout(*THREE).replace(b"text 2", b"te" + damage + b"xt 2"))
    assert [message.content.replace("\ufffd", "") for message in messages] == ["text 1", "text 2", "text 3"]
    assert "\ufffd" in messages[1].content
    assert is_faultless(notes)


def test_a_file_that_never_closes_a_message_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indented_json, "MAX_VALUE_BYTES", 1000)
    monkeypatch.setattr(indented_json, "_BLOCK_BYTES", 5000)
    content = own_layout(*THREE)
    ruined = content[: content.rindex(b"\n    }")] + b"x" * 3_000_000
    (messages, notes), peak = traced(lambda: read(tmp_path, ruined))
    assert [message.id for message in messages] == ["1", "2"]
    assert notes.truncated_files == 1
    assert peak < 1e6


@pytest.mark.parametrize("layout", [own_layout, compact])
def test_a_long_export_needs_no_more_memory_than_a_short_one(tmp_path: Path, layout: Callable[..., bytes]) -> None:
    path = tmp_path / "export.json"
    path.write_bytes(layout(*(record(content="x" * 2000) for _ in range(4000))))
    file = ExportFile(path, ReadNotes())
    count, peak = traced(lambda: sum(1 for _ in discord_chat_exporter_json.read(file)))
    assert count == 4000
    assert path.stat().st_size > 8e6
    assert peak < 5e6


@pytest.mark.parametrize("block", [1, 7, 64, 1000])
def test_messages_are_put_together_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(indented_json, "_BLOCK_BYTES", block)
    messages, notes = read(tmp_path, own_layout(*THREE))
    assert [message.id for message in messages] == ["1", "2", "3"]
    assert is_faultless(notes)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_cut_at_any_byte_every_whole_message_before_it_comes(tmp_path: Path, layout: Callable[..., bytes]) -> None:
    content = layout(*(message | {"embeds": []} for message in THREE))
    ends = []
    for number in (1, 2, 3):  # a message ends with its last key, an empty list, and the brace after that
        mentions = content.index(b'"mentions"', content.index(b"text %d" % number))
        ends.append(content.index(b"}", mentions) + 1)
    list_end = content.index(b"]", ends[-1]) + 1
    for cut in range(content.index(b'"guild"'), len(content), 7):
        messages, notes = read(tmp_path, content[:cut])
        assert len(messages) == sum(end <= cut for end in ends), cut
        assert notes.garbled_records == 0
        if cut < list_end:
            assert notes.truncated_files == 1, cut
            assert f"breaks off after record {len(messages)}, at byte " in notes.warnings[0]


def test_a_file_that_breaks_off_before_its_channel_still_says_so(tmp_path: Path) -> None:
    content = b'{\n  "guild": {\n    "id": "300"'
    assert recognises(tmp_path, content)
    messages, notes = read(tmp_path, content)
    assert (messages, notes.truncated_files) == ([], 1)


def test_without_a_channel_id_the_file_is_the_channel(tmp_path: Path) -> None:
    content = json.dumps({"guild": {}, "channel": {"id": None}, "messages": [record()]}).encode()
    assert read(tmp_path, content)[0][0].channel.startswith("export.json")


@pytest.mark.parametrize("content", [b"", b"[]", b'{"a": 1}', b'{"text": "\\"guild\\": {"}', b"<html>", b"\x00\x01"])
def test_other_files_are_not_recognised(tmp_path: Path, content: bytes) -> None:
    assert not recognises(tmp_path, content)


def divided(content: bytes, size: int) -> list[Part]:
    return [Part(begin, min(begin + size, len(content))) for begin in range(0, len(content), size)]


def joined(folder: Path, content: bytes, size: int) -> tuple[list[Message], ReadNotes]:
    """What all parts of a size give together."""
    messages: list[Message] = []
    notes = ReadNotes()
    for part in divided(content, size):
        some, its_notes = read(folder, content, part)
        messages += some
        notes.garbled_records += its_notes.garbled_records
        notes.truncated_files += its_notes.truncated_files
        notes.warnings += its_notes.warnings
    return messages, notes


def bytes_in(warnings: list[str]) -> list[str]:
    return [warning.partition("byte ")[2].split(" ")[0] for warning in warnings]


def same(left: tuple[list[Message], ReadNotes], right: tuple[list[Message], ReadNotes]) -> bool:
    return (
        left[0] == right[0]
        and left[1].garbled_records == right[1].garbled_records
        and left[1].truncated_files == right[1].truncated_files
        and bytes_in(left[1].warnings) == bytes_in(right[1].warnings)
    )


@pytest.mark.parametrize("layout", [own_layout, windows])
def test_the_parts_together_are_the_whole_wherever_they_begin(tmp_path: Path, layout: Callable[..., bytes]) -> None:
    content = layout(*THREE)
    whole = read(tmp_path, content)
    for size in (33, 500):
        assert same(joined(tmp_path, content, size), whole), size
    for border in range(content.index(b'"messages"'), content.index(b'"type"', content.index(b'"messages"')) + 9):
        halves = [read(tmp_path, content, part) for part in (Part(0, border), Part(border, len(content)))]
        assert halves[0][0] + halves[1][0] == whole[0], border
        assert is_faultless(halves[0][1])
        assert is_faultless(halves[1][1])


@given(data=st.data(), size=st.integers(100, 1500), garbage=st.binary(max_size=100) | st.just(b"\n    {"))
def test_the_parts_of_a_ruined_file_are_the_whole_too(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, size: int, garbage: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp()
    content = own_layout(*(record(id=str(number)) for number in range(4)))
    begin = data.draw(st.integers(content.index(b'"content"'), len(content)))
    end = data.draw(st.integers(begin, len(content)) | st.just(len(content)))
    content = content[:begin] + garbage + content[end:]
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(indented_json, "_BLOCK_BYTES", size)  # parts end where blocks do
        assert same(joined(folder, content, size), read(folder, content))


def test_a_big_file_in_the_exporters_layout_has_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discord_chat_exporter_json, "_PART_BYTES", 500)
    content = own_layout(*THREE)
    assert discord_chat_exporter_json.parts(file_with(tmp_path, content)[0]) == divided(content, 500)
    assert discord_chat_exporter_json.parts(file_with(tmp_path, content[:400])[0]) == []
    assert discord_chat_exporter_json.parts(file_with(tmp_path, compact(*THREE))[0]) == []
    assert discord_chat_exporter_json.parts(file_with(tmp_path, gzip.compress(content * 9))[0]) == []


def test_a_message_that_is_too_long_costs_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indented_json, "MAX_VALUE_BYTES", 10_000)
    monkeypatch.setattr(indented_json, "_BLOCK_BYTES", 1000)
    content = own_layout(THREE[0], THREE[1] | {"content": "x" * 1_000_000}, THREE[2])
    (messages, notes), peak = traced(lambda: read(tmp_path, content))
    assert [message.id for message in messages] == ["1", "3"]
    assert (notes.garbled_records, notes.truncated_files) == (1, 0)
    begin = content.index(b'{\n      "id": "2"')
    assert f"record 2 at byte {begin:,} " in notes.warnings[0]
    assert "longer than" in notes.warnings[0]
    assert peak < 7e5
    assert same(joined(tmp_path, content, 200_000), (messages, notes))


def test_the_channel_is_described(tmp_path: Path) -> None:
    content = json.dumps(export(record()) | {"channel": {"id": "200", "name": "general", "type": "GuildTextChat"}})
    assert read(tmp_path, content.encode())[1].channels == {"200": Channel("200", "general")}


@pytest.mark.parametrize(
    ("guild", "channel", "is_private", "is_nsfw"),
    [
        ("1", {"type": "GuildTextChat", "name": "general"}, False, False),
        ("1", {"type": 11, "name": "a thread"}, False, False),
        ("0", {"type": "DirectTextChat", "name": "ann"}, True, False),
        ("1", {"type": "DirectGroupTextChat", "name": None}, True, False),
        ("1", {"type": "GuildPrivateThread", "name": "staff"}, True, False),
        ("1", {"type": "12", "name": "staff"}, True, False),
        ("1", {"type": 3, "name": "us"}, True, False),
        ("0", {"name": "ann"}, True, False),
        ("1", {"name": "nsfw-memes"}, False, True),
        ("1", {"name": "only_18+"}, False, True),
        ("1", {"name": "pics", "category": "LEWD"}, False, True),
        ("1", {"name": "adulting-tips"}, False, False),
        ("1", {"name": "2018"}, False, False),
    ],
)
def test_private_and_unsafe_channels_are_told(
    tmp_path: Path, guild: str, channel: dict[str, Any], is_private: bool, is_nsfw: bool
) -> None:
    content = json.dumps({"guild": {"id": guild}, "channel": {"id": "200", **channel}, "messages": []}).encode()
    described = read(tmp_path, content)[1].channels["200"]
    assert (described.is_private, described.is_nsfw) == (is_private, is_nsfw)


@pytest.mark.parametrize(
    ("content", "mentioned", "ids"),
    [
        ("@Annie look", [ANN], (ANN["id"],)),
        ("@ann and @Bob ✨", [BOB, ANN], (BOB["id"], ANN["id"])),
        ("you too", [ANN], ()),
        ("<@100000000000000002> <@!3> <@100000000000000002>", [BOB], (BOB["id"], "3")),
        ("@Annie", [], ()),
    ],
)
def test_only_those_whom_the_text_mentions_are_mentioned(
    tmp_path: Path, content: str, mentioned: list[dict[str, Any]], ids: tuple[str, ...]
) -> None:
    assert read_one(tmp_path, content=content, mentions=mentioned).mentions == ids


def test_a_servers_emoji_is_its_name(tmp_path: Path) -> None:
    assert read_one(tmp_path, content="<:lul:1234> <a:wave:5678> 🔥 a <b:c>").content == ":lul: :wave: 🔥 a <b:c>"


@pytest.mark.parametrize(("author", "name"), [(ANN, "Annie"), (ANN | {"nickname": None}, "ann"), ({"id": "1"}, None)])
def test_the_author_is_called_by_the_nickname(tmp_path: Path, author: dict[str, Any], name: str | None) -> None:
    assert read_one(tmp_path, author=author).name == name


@given(data=st.data(), layout=st.sampled_from(LAYOUTS), garbage=st.binary(max_size=200))
def test_no_bytes_stop_the_reader(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, layout: Callable[..., bytes], garbage: bytes
) -> None:
    content = layout(*THREE)
    begin = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(begin, len(content)))
    read(tmp_path_factory.getbasetemp(), content[:begin] + garbage + content[end:])


@given(begin=st.integers(0, 2000), length=st.integers(0, 400), garbage=st.binary(max_size=50))
def test_messages_away_from_the_damage_always_come(
    tmp_path_factory: pytest.TempPathFactory, begin: int, length: int, garbage: bytes
) -> None:
    many = [record(id=str(number), embeds=[]) for number in range(10)]
    content = own_layout(*many)
    first = content.index(b'"id": "3"')
    begin = min(first + begin, content.index(b'"id": "7"') - length)
    garbage = garbage.replace(b"\n    }", b"")
    messages, _ = read(tmp_path_factory.getbasetemp(), content[:begin] + garbage + content[begin + length :])
    assert {"0", "1", "2", "8", "9"} <= {message.id for message in messages}
