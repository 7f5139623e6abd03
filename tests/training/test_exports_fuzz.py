"""All formats at once: each knows its own and no other's, and no damage does more than cost messages."""

import gzip
import io
import itertools
import json
import math
import re
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from training.exports import ExportError, Message, ReadNotes, formats, read_exports
from training.exports import file as file_module
from training.exports.file import ExportFile

DAMAGED_FILES = 8  # of each format in each packing
SECONDS = 5

TEXTS = (
    "is the kettle on?",
    'it boils ☕ "loudly"',
    "who put it in the attic",
    "nobody knows",
    "good night",
    "bye, ann",
)
SAID = ("kettle on", "boils", "who put", "nobody knows", "good night")
"""What no note may repeat."""


def said(record: Callable[[int, str, str], object]) -> list[object]:
    return [record(number, ("ann", "bob")[number % 2], text) for number, text in enumerate(TEXTS)]


def lines(record: Callable[[int, str, str], object]) -> str:
    return "".join(f"{line}\n" for line in said(record))


def minute(number: int) -> str:
    return f"2024-01-05T21:0{number}:03.500+00:00"


def in_csv(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def api_message(number: int, author: str, text: str) -> dict[str, object]:
    return {
        "id": f"11928{number}5547567587331",
        "type": 0,
        "channel_id": "9",
        "content": text,
        "timestamp": minute(number),
        "edited_timestamp": None,
        "author": {"id": f"5{author}", "username": author, "discriminator": "0", "bot": False},
        "mentions": [],
        "attachments": [],
    }


def exporter_message(number: int, author: str, text: str) -> dict[str, object]:
    return {
        "id": f"11928{number}5547567587331",
        "type": "Default",
        "timestamp": minute(number),
        "timestampEdited": None,
        "content": text,
        "author": {"id": f"5{author}", "name": author, "nickname": author.title(), "isBot": False},
        "mentions": [],
    }


def exporter_group(number: int, author: str, text: str) -> str:
    return (
        "<div class=chatlog__message-group>"
        f"<div id=chatlog__message-container-{number} class=chatlog__message-container data-message-id={number}>"
        "<div class=chatlog__message><div class=chatlog__message-primary><div class=chatlog__header>"
        f"<span class=chatlog__author title={author} data-user-id=5{author}>{author}</span> "
        f'<span class=chatlog__timestamp title="Friday, January 5, 2024 9:0{number} PM">'
        f"<a href=#x>1/5/2024 9:0{number} PM</a></span></div>"
        f'<div class="chatlog__content chatlog__markdown"><span class=chatlog__markdown-preserve>{text}</span></div>'
        "</div></div></div></div>"
    )


RULE = "=" * 62
PROSE = "The kettle was old. Nobody knew how long\nit had stood in the attic.\n\n"

# The content of the file that is read, then what lies beside it.
SAMPLES: dict[str, dict[str, str]] = {
    "csv_table": {"a.csv": "user,date,text\n" + lines(lambda n, who, text: f"{who},{minute(n)},{in_csv(text)}")},
    "discord_api": {"a.json": json.dumps(said(api_message))},
    "discord_chat_exporter_csv": {
        "a.csv": "AuthorID,Author,Date,Content,Attachments,Reactions\n"
        + lines(lambda n, who, text: f'"5{n % 2}","{who}","{minute(n)}",{in_csv(text)},"",""')
    },
    "discord_chat_exporter_html": {
        "a.html": "<!DOCTYPE html><html lang=en><head><title>Tea - general</title></head><body>"
        "<div class=preamble><div class=preamble__entries-container><div class=preamble__entry>Tea</div>"
        "<div class=preamble__entry>Text / general</div></div></div><div class=chatlog>\n"
        + lines(exporter_group)
        + "</div><div class=postamble><div class=postamble__entry>Exported 6 message(s)</div></div></body></html>"
    },
    "discord_chat_exporter_json": {
        "a.json": json.dumps(
            {
                "guild": {"id": "1", "name": "Tea"},
                "channel": {"id": "9", "type": "GuildTextChat", "name": "general"},
                "messages": said(exporter_message),
                "messageCount": len(TEXTS),
            },
            indent=2,
        )
    },
    "discord_chat_exporter_text": {
        "a.txt": f"{RULE}\nGuild: Tea\nChannel: Text / general\n{RULE}\n\n"
        + lines(lambda n, who, text: f"[1/5/2024 9:0{n} PM] {who}\n{text}\n\n")
        + f"{RULE}\nExported 6 message(s)\n{RULE}\n"
    },
    "discord_data_package": {
        "messages.json": json.dumps(
            said(lambda n, who, text: {"ID": n, "Timestamp": minute(n), "Contents": text, "Attachments": ""})
        ),
        "channel.json": json.dumps({"id": "9", "type": 0, "name": "general", "guild": {"id": "1", "name": "Tea"}}),
    },
    "irc": {"tea.log": lines(lambda n, who, text: f"[2024-01-05 21:0{n}:03] <{who}> {text}")},
    "json_lines": {
        "a.jsonl": lines(
            lambda n, who, text: json.dumps({"id": n, "author": who, "timestamp": minute(n), "content": text})
        )
    },
    "matrix": {
        "a.json": json.dumps(
            {
                "room_name": "Tea",
                "room_creator": "@ann:x",
                "topic": "",
                "export_date": "Friday",
                "exported_by": "@ann:x",
                "messages": said(
                    lambda n, who, text: {
                        "type": "m.room.message",
                        "sender": f"@{who}:x",
                        "content": {"msgtype": "m.text", "body": text},
                        "origin_server_ts": 1_704_485_223_500 + n,
                        "event_id": f"${n}",
                        "room_id": "!tea:x",
                    }
                ),
            }
        )
    },
    "matrix_text": {"a.txt": lines(lambda n, who, text: f"Fri, Jan 5, 2024, 21:0{n}:03 - {who}: {text}")},
    "messenger": {
        "a.json": json.dumps(
            {
                "participants": [{"name": "Ann"}, {"name": "Bob"}],
                "messages": said(
                    lambda n, who, text: {"sender_name": who, "timestamp_ms": 1_704_485_223_500 - n, "content": text}
                ),
                "title": "Tea",
                "thread_path": "inbox/tea_1",
            }
        )
    },
    "pairs": {"a.tsv": lines(lambda n, who, text: f"{text} {n}\t{text.upper()}")},
    "plain_text": {"a.txt": PROSE * 4},
    "slack": {
        "general/2024-01-05.json": json.dumps(
            said(lambda n, who, text: {"type": "message", "user": who, "text": text, "ts": f"170448522{n}.000200"})
        ),
        "users.json": json.dumps([{"id": "ann", "name": "ann", "profile": {"display_name": "Ann"}}]),
    },
    "telegram": {
        "result.json": json.dumps(
            {
                "name": "Tea",
                "type": "private_group",
                "id": 9,
                "messages": said(
                    lambda n, who, text: {
                        "id": n,
                        "type": "message",
                        "date": minute(n)[:19],
                        "date_unixtime": str(1_704_485_223 + n),
                        "from": who,
                        "from_id": f"user{who}",
                        "text": text,
                        "text_entities": [],
                    }
                ),
            }
        )
    },
    "whatsapp": {"_chat.txt": lines(lambda n, who, text: f"05/01/2024, 21:0{n} - {who}: {text}")},
}


def test_there_is_a_sample_of_each_format() -> None:
    assert SAMPLES.keys() == formats().keys()


def pack(folder: Path, files: dict[str, bytes], packing: str) -> tuple[Path, str | None]:
    """Write files in a way; the path, and the name within an archive, of the first one."""
    name = next(iter(files))
    if packing == "zip":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for other, content in files.items():
                archive.writestr(other, content)
        (folder / "a.zip").write_bytes(buffer.getvalue())
        return folder / "a.zip", name
    for other, content in files.items():
        path = folder / other
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content, 1) if (packing, other) == ("gzip", name) else content)
    return folder / name, None


def sample(name: str) -> dict[str, bytes]:
    return {file: content.encode() for file, content in SAMPLES[name].items()}


PACKINGS = ("plain", "gzip", "zip")


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("name", SAMPLES)
def test_each_format_knows_its_own_and_no_other(tmp_path: Path, name: str, packing: str) -> None:
    path, member = pack(tmp_path, sample(name), packing)
    notes = ReadNotes()
    file = ExportFile(path, notes, member=member)
    assert [other for other, format_ in formats().items() if format_.recognises(file)] == [name]
    texts = "\n".join(message.content for message in formats()[name].read(file))
    assert all(text in texts for text in TEXTS) or name == "plain_text"
    assert notes.garbled_records == notes.truncated_files == 0


def damage(random: Random, content: bytes) -> bytes:
    """Damage a file in some places."""
    for _ in range(random.choice((1, 1, 2, 4))):
        begin = random.randrange(len(content) + 1)
        end = min(len(content), begin + random.choice((1, 1, 8, 100)))
        middle = random.choice(
            (
                b"",
                content[begin:end] * 2,
                bytes(byte ^ 1 << random.randrange(8) for byte in content[begin:end]),
                b"\0" * random.choice((1, 100)),
                content[begin:end] + random.randbytes(random.choice((1, 20))),
                content[begin:end]
                + random.choice((b'"', b"\n", b"{", b"[", b"]}", b"\\", b",", b"<", b"\r", b"9" * 400)),
                b"\x00".join(bytes([byte]) for byte in content[begin:end]),
            )
        )
        content = content[:begin] + middle + (content[end:] if random.random() < 0.9 else b"")
    return content


def check(path: Path) -> None:
    """Read whatever is there: messages and notes come, an ExportError may, and neither takes for ever."""
    notes = ReadNotes()
    begin = time.process_time()
    try:
        for message in read_exports([path], notes):
            assert isinstance(message, Message)
            for text in (message.channel, message.id, message.author, message.content, message.reply_to or ""):
                text.encode()
            assert message.timestamp is None or 0 <= message.timestamp < math.inf
    except ExportError as error:
        notes.warnings.append(str(error))
    assert all(map(str.isprintable, notes.warnings))
    assert not [warning for warning in notes.warnings if any(word in warning for word in SAID)]
    assert time.process_time() - begin < SECONDS


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("name", SAMPLES)
def test_damage_inside_a_file_does_no_harm(tmp_path: Path, name: str, packing: str) -> None:
    random = Random(f"{name} {packing}")
    for _ in range(DAMAGED_FILES):
        first, *others = sample(name).items()
        path, member = pack(tmp_path, {first[0]: damage(random, first[1]), **dict(others)}, packing)
        for format_ in formats().values():
            format_.recognises(ExportFile(path, ReadNotes(), member=member))
        check(path)


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("number", ["9" * 400, "9" * 5000, "9" * 16, "-9", "0", "1e999", "99"])
def test_numbers_that_nobody_expects_do_no_harm(tmp_path: Path, name: str, number: str) -> None:
    for digits in (rb"\d+", rb"(?<=[ :])\d+", rb"\d{8,}"):
        first, *others = sample(name).items()
        path, _ = pack(tmp_path, {first[0]: re.sub(digits, number.encode(), first[1]), **dict(others)}, "plain")
        check(path)


@pytest.mark.parametrize("packing", ["gzip", "zip"])
@pytest.mark.parametrize("name", ["discord_chat_exporter_json", "slack"])
def test_damage_to_the_packing_does_no_harm(tmp_path: Path, name: str, packing: str) -> None:
    path, _ = pack(tmp_path, sample(name), packing)
    whole = path.read_bytes()
    random = Random(packing)
    for _ in range(60):
        path.write_bytes(damage(random, whole))
        check(path)


def garbage(random: Random) -> Iterator[bytes]:
    yield from (random.randbytes(length) for length in (1, 2, 3, 10, 100, 5000))
    for alphabet in (
        b'{}[]",:0a \n',
        b'a",;\t\n',
        b"<>/=\"'a ",
        b"[]<>: 0129-/\n\r",
        b"ab.,!? \n",
        b"PK\x03\x04\x00\x1f\x8b",
    ):
        yield from (bytes(random.choices(alphabet, k=length)) for length in (5, 50, 2000))
    for opening in (b"[", b"{", b'{"a":', b'"', b"<", b"<div class=chatlog>", b"\n", b"\0", b"\xff\xfe", b"PK\x03\x04"):
        yield opening * 20_000


def test_garbage_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "garbage"
    for content in garbage(Random(0)):
        path.write_bytes(content)
        file = ExportFile(path, ReadNotes())
        for format_ in formats().values():
            format_.recognises(file)
        check(path)


@pytest.mark.parametrize("name", [name for name, format_ in formats().items() if hasattr(format_, "parts")])
def test_parts_of_a_damaged_file_together_give_the_same_messages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(file_module, "PART_BYTES", 150)
    format_ = formats()[name]
    random = Random(name)
    for _ in range(DAMAGED_FILES):
        content = damage(random, next(iter(sample(name).values())))
        path, _ = pack(tmp_path, {"a": content}, "plain")
        file = ExportFile(path, ReadNotes())
        if parts := format_.recognises(file) and format_.parts(file):
            files = (ExportFile(path, ReadNotes(), part=part) for part in parts)
            found = list(itertools.chain.from_iterable(map(format_.read, files)))
            assert found == list(format_.read(file))
