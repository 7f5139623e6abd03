"""How fast exports of Discord are read, up to messages: `python tests/benchmarks/read.py`.

Exports of each format are made up and read in turns with what else could read them, so that a busy machine treats all
alike. Printed are medians of MB per second of processor time, and how many times as fast as the peer that is.
"""

import csv
import html.parser
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ijson
import msgspec

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.training.discord_chat_exporter import ANN, BOB, EXPORTS, ROBOT, Said  # noqa: E402
from training.exports import ReadNotes, find_exports  # noqa: E402

ROUNDS = 5
MESSAGES = 10_000
WORDS = (
    "the",
    "a",
    "to",
    "hey",
    "lol",
    "what",
    "is that going on",
    "with new map",
    "tonight",
    "maybe",
    "yes",
    "no",
    "I think",
)

Peers = dict[str, Callable[[Path], object]]


def sentence(rng: random.Random) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 18)))


def user(number: int, rng: random.Random, roles: int) -> dict[str, Any]:
    return {
        "id": str(10**17 + number),
        "name": f"user{number}",
        "discriminator": "0000",
        "nickname": f"Nick {number}",
        "color": "#FD7875",
        "isBot": number == 0,
        "roles": [
            {"id": str(7 * 10**17 + role), "name": f"Role {role}", "color": None, "position": role}
            for role in range(rng.randint(0, roles))
        ],
        "avatarUrl": f"https://cdn.discordapp.com/avatars/{10**17 + number}/{number:032x}.png?size=512",
    }


def record(number: int, users: list[dict[str, Any]], rng: random.Random, is_lean: bool) -> dict[str, Any]:
    said = Said(number / 3, ANN, sentence(rng))
    author, other = rng.sample(users, 2)
    made: dict[str, Any] = {
        "id": said.id,
        "type": "Default",
        "timestamp": said.time.isoformat(timespec="milliseconds"),
        "timestampEdited": None,
        "callEndedTimestamp": None,
        "isPinned": False,
        "content": said.typed,
        "author": {key: value for key, value in author.items() if not is_lean or key != "roles"},
        "attachments": [],
        "embeds": [],
        "stickers": [],
        "reactions": [],
        "mentions": [],
    }
    if is_lean:
        return made
    chance = rng.random()
    if chance < 0.3:
        made |= {"type": "Reply", "mentions": [other]}
        made["reference"] = {"messageId": said.id, "channelId": "2", "guildId": "3"}
    elif chance < 0.4:
        made |= {"content": f"@{other['nickname']} {said.typed}", "mentions": [other]}
    if chance > 0.8:
        emoji = {"id": "", "name": "🔥", "code": "fire", "isAnimated": False, "imageUrl": "https://example.org/f.svg"}
        fans = [{key: fan[key] for key in ("id", "name", "nickname", "avatarUrl")} for fan in (author, other)]
        made["reactions"] = [{"emoji": emoji, "count": 2, "users": fans}]
    return made


def json_export(is_lean: bool) -> str:
    rng = random.Random(0)
    users = [user(number, rng, roles=10) for number in range(40)]
    made = json.loads(EXPORTS["JSON"]([]))
    made["messages"] = [record(number, users, rng, is_lean) for number in range(MESSAGES)]
    return json.dumps(made, indent=2, ensure_ascii=False)


def said_messages() -> list[Said]:
    rng = random.Random(0)
    return [Said(number / 3, rng.choice((ANN, BOB, ROBOT)), sentence(rng)) for number in range(MESSAGES)]


def reader(path: Path) -> Callable[[Path], object]:
    """Read a file whose format is known."""
    (export,) = find_exports([path], ReadNotes())

    def read(path: Path) -> None:
        notes = ReadNotes()
        count = sum(1 for _ in export.messages(export.open(notes)))
        assert (count, notes.warnings) == (MESSAGES, []), (count, notes.warnings)

    return read


def ijson_items(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in ijson.items(file, "messages.item"))


def html_parser(path: Path) -> None:
    html.parser.HTMLParser().feed(path.read_text())


def csv_rows(delimiter: str) -> Callable[[Path], int]:
    return lambda path: sum(1 for _ in csv.reader(path.open(newline=""), delimiter=delimiter))


def measure(name: str, content: str, peers: Peers) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "export")
        path.write_text(content)
        readers: Peers = {"Chinwag": reader(path), **peers}
        seconds: dict[str, list[float]] = {which: [] for which in readers}
        for _ in range(ROUNDS):
            for which, run in readers.items():
                start = time.process_time()
                run(path)
                seconds[which].append(time.process_time() - start)
        size = path.stat().st_size
    rates = {which: size / 1e6 / statistics.median(times) for which, times in seconds.items()}
    print(f"{name:24} {size // MESSAGES:5} bytes a message {rates['Chinwag']:6.0f} MB/s", end="")
    print("".join(f", {rates['Chinwag'] / rates[peer]:.1f} times {peer} ({rates[peer]:.0f})" for peer in peers))


def main() -> None:
    said = said_messages()
    json_peers: Peers = {
        "msgspec": lambda path: msgspec.json.decode(path.read_bytes()),
        "json.load": lambda path: json.loads(path.read_text()),
        "ijson": ijson_items,
    }
    measure("JSON, rich", json_export(is_lean=False), json_peers)
    measure("JSON, lean", json_export(is_lean=True), json_peers)
    measure("JSON, compact", json.dumps(json.loads(json_export(is_lean=False)), ensure_ascii=False), json_peers)
    for name, export in EXPORTS.items():
        if name.startswith("HTML"):
            measure(name, export(said), {"html.parser": html_parser})
        elif name.startswith("CSV"):
            measure(name, export(said), {"csv.reader": csv_rows(";" if "before" in name else ",")})
        elif name.startswith("text"):
            measure(name, export(said), {})


if __name__ == "__main__":
    main()
