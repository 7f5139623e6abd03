"""One channel in all formats of DiscordChatExporter gives the same messages, but for what a format cannot carry."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.training.discord_chat_exporter import EXPORTS, MESSAGES, USERS
from training.exports import Message, ReadNotes, find_exports

Field = Callable[[Message], Any]

FIELDS: dict[str, Field] = {
    "author": lambda message: message.author,
    "full name": lambda message: USERS[message.author].full_name if message.author in USERS else message.author,
    "name": lambda message: message.name,
    "content": lambda message: message.content.strip(),  # HTML is indented
    "content but for names": lambda message: _without_names(message.content),
    "time": lambda message: message.timestamp,
    "minute": lambda message: message.timestamp and message.timestamp // 60,
    "reply": lambda message: message.reply_to,
    "bot": lambda message: message.is_bot,
    "notice": lambda message: message.is_system,
    "mentions": lambda message: message.mentions,
}

HAS_OTHER_NOTICES = "the exporter words notices in another way"
HAS_NO_LINKS = "there are no ids of messages, so that no reply can be linked"
HAS_NO_FLAG = "bots and webhooks are not told from people"
SHOWS_NAMES = "a mention is plain text, which nothing tells from a name that somebody typed after an @"
SHOWS_MINUTES = "the time is printed to the minute"
SHOWS_ACCOUNTS = "the name of the account is printed, not what it is called on the server"
CANNOT = {
    "HTML": {"content": HAS_OTHER_NOTICES, "content but for names": HAS_OTHER_NOTICES},
    "CSV": {
        "name": SHOWS_ACCOUNTS,
        "content": SHOWS_NAMES,
        "reply": HAS_NO_LINKS,
        "bot": HAS_NO_FLAG,
        "mentions": SHOWS_NAMES,
    },
}
CANNOT["HTML, minified"] = CANNOT["HTML"]
CANNOT["CSV before 2021"] = CANNOT["CSV"] | {"time": SHOWS_MINUTES}
CANNOT["text"] = CANNOT["CSV before 2021"] | {"author": "there are no ids of accounts: two of one name are one"}
CANNOT["text before 2020"] = CANNOT["text"]


def _without_names(content: str) -> str:
    """Unlike a format's reader, this knows everybody's name."""
    for name in (*(user.display_name for user in USERS.values()), "Unknown"):
        content = content.replace(f"@{name}", " ")
    return " ".join(content.split())


def read(folder: Path, layout: str) -> list[Message]:
    path = folder / "export"
    path.write_bytes(EXPORTS[layout](MESSAGES).encode())
    notes = ReadNotes()
    (export,) = find_exports([path], notes)  # told by its content: the name tells nothing
    messages = list(export.messages(export.open(notes)))
    assert (notes.warnings, notes.garbled_records, notes.truncated_files) == ([], 0, 0)
    return messages


@pytest.mark.parametrize("layout", list(EXPORTS)[1:])
def test_all_formats_agree_but_for_what_they_cannot_carry(
    tmp_path: Path, layout: str, record_property: Callable[[str, object], None]
) -> None:
    expected, messages = read(tmp_path, "JSON"), read(tmp_path, layout)
    assert len(messages) == len(expected) == len(MESSAGES)
    differences = {}
    for name, field in FIELDS.items():
        same = sum(field(left) == field(right) for left, right in zip(expected, messages, strict=True))
        record_property(name, f"{same} of {len(messages)}")
        print(f"{layout:18} {name:22} {same:2} of {len(messages)}", CANNOT.get(layout, {}).get(name, ""))
        if same < len(messages):
            differences[name] = same
    assert differences.keys() == CANNOT.get(layout, {}).keys()
