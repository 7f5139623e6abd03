"""How fast, and in how much memory, `chinwag-train prepare` takes exports of growing size.

    python tests/benchmarks/prepare.py [--sizes 0.1 1 5] [--folder DIR]

Writes DiscordChatExporter files of so many GB (made-up chat in the exporter's own layout, with as many roles, mentions
and reactions as in exports of 2025: about 2.6 kB a message), prepares each from nothing in a process of its own, and
prints the rate, the CPU time, and the most memory that the process and its workers had resident, together and alone.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

SYLLABLES = [consonant + vowel for consonant in "bdklmns" for vowel in "aeiou"]
COMMON = """
the i to a and you it that is of in was for my on so me but have be not just do with this we like are no he they at what
can if get all know one go up how will think there good yeah out about when would lol time now people
"""
PEOPLE = 500
EPOCH_MS = 1_420_070_400_000


def make_words(rng: random.Random, count: int = 5000) -> list[str]:
    """Common English words, then words of a language that nobody speaks, the short ones first."""
    words = {"".join(rng.choices(SYLLABLES, k=rng.choice((1, 1, 2, 2, 2, 3, 3, 4)))) for _ in range(count * 2)}
    return [*COMMON.split(), *sorted(words, key=lambda word: (len(word), word))[:count]]


def as_exported(value: object, depth: int) -> str:
    """JSON as the exporter indents it, so many levels deep."""
    return json.dumps(value, indent=2, ensure_ascii=False).replace("\n", "\n" + "  " * depth)


def make_author(person: int) -> dict[str, object]:
    id_ = str(200_000_000_000_000_000 + person * 7919)
    roles = [
        {"id": str(300 + role), "name": f"role {role}", "color": "#FD7875", "position": role}
        for role in range(4 + person % 8)
    ]
    return {
        "id": id_,
        "name": f"person{person}",
        "discriminator": "0000",
        "nickname": f"Person {person}",
        "color": "#FD7875",
        "isBot": False,
        "roles": roles,
        "avatarUrl": f"https://cdn.example.com/avatars/{id_}/{person:032x}.png?size=512",
    }


class Writer:
    """Writes messages of made-up people, each as the exporter writes it, with all its fields."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._words = make_words(self._rng)
        self._authors = [as_exported(make_author(person), 3) for person in range(PEOPLE)]
        self._mentions = [as_exported([make_author(person)], 3) for person in range(PEOPLE)]
        emoji = {
            "id": "",
            "name": "\U0001f525",
            "code": "fire",
            "isAnimated": False,
            "imageUrl": "https://cdn.example.com/f",
        }
        fire = {"emoji": emoji, "count": 2, "users": [make_author(person) for person in (1, 2)]}
        self._reactions = ["[]"] * 6 + [as_exported([fire], 3)]
        self._recent: list[tuple[str, int]] = []
        self._now_ms = 1_500_000_000_000
        self._number = 0

    def message(self) -> str:
        rng = self._rng
        self._number += 1
        self._now_ms += 1 + int(rng.expovariate(1 / 20_000)) + (3_600_000 if rng.random() < 0.01 else 0)
        id_ = str(((self._now_ms - EPOCH_MS) << 22) + self._number % 4096)
        person = min(int(rng.expovariate(1 / 40)), PEOPLE - 1)
        kind, mentions, reference = "Default", "[]", ""
        if len(self._recent) > 10 and rng.random() < 0.2:
            target, answered = self._recent[-min(len(self._recent), 1 + int(rng.expovariate(1 / 4)))]
            link = {"type": "Default", "messageId": target, "channelId": "77", "guildId": "1"}
            kind, mentions, reference = (
                "Reply",
                self._mentions[answered],
                f'"reference": {as_exported(link, 3)},\n      ',
            )
        self._recent = [*self._recent[-40:], (id_, person)]
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self._now_ms / 1000))
        return (
            f'{{\n      "id": "{id_}",\n      "type": "{kind}",\n'
            f'      "timestamp": "{stamp}.{self._now_ms % 1000:03}+00:00",\n'
            '      "timestampEdited": null,\n      "callEndedTimestamp": null,\n      "isPinned": false,\n'
            f'      "content": "{self._content()}",\n      "author": {self._authors[person]},\n'
            '      "attachments": [],\n      "embeds": [],\n      "stickers": [],\n'
            f'      "reactions": {rng.choice(self._reactions)},\n      "mentions": {mentions},\n'
            f'      {reference}"inlineEmojis": []\n    }}'
        )

    def _content(self) -> str:
        rng, words = self._rng, self._words
        length = max(1, min(60, int(rng.lognormvariate(1.8, 0.8))))
        text = " ".join([words[int(len(words) ** rng.random()) - 1] for _ in range(length)])
        return text + rng.choice(("", "", "", "?", "!", " :)", " \U0001f602", " lol"))


def write_export(path: Path, size: int, seed: int = 0) -> None:
    """Write an export of about a size in bytes."""
    writer = Writer(seed)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write('{\n  "guild": {\n    "id": "1",\n    "name": "Made up",\n    "iconUrl": ""\n  },\n')
        file.write('  "channel": {\n    "id": "77",\n    "type": "GuildTextChat",\n    "name": "general"\n  },\n')
        file.write('  "messages": [\n    ' + writer.message())
        written = number = 1
        while written < size:
            written += file.write(",\n    " + writer.message())
            number += 1
        file.write(f'\n  ],\n  "messageCount": {number}\n}}\n')


class Memory:
    """Watches the resident memory of a process and its children (Linux)."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.together = self.alone = 0
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            sizes = [size for pid in family(self._pid) if (size := _resident(pid))]
            self.together = max(self.together, sum(sizes))
            self.alone = max(self.alone, *sizes, 0)

    def stop(self) -> None:
        self._over.set()
        self._thread.join()


def family(pid: int) -> Iterator[int]:
    """A process, and all that it and they have started."""
    todo = [pid]
    while todo:
        pid = todo.pop()
        yield pid
        with contextlib.suppress(OSError):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                todo += map(int, (thread / "children").read_text().split())


def _resident(pid: int) -> int:
    """Bytes of memory that are the process's own: what is mapped from files can be dropped at any time."""
    with contextlib.suppress(OSError, StopIteration, ValueError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))
    return 0


def measure(export: Path, out: Path) -> str:
    """Prepare an export in a process of its own; a row of figures."""
    command = [sys.executable, "-m", "training", "prepare", str(export), "--out", str(out)]
    begin, before = time.perf_counter(), os.times()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    memory = Memory(process.pid)
    code = process.wait()
    memory.stop()
    seconds, after = time.perf_counter() - begin, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    size = export.stat().st_size / 1e6
    counts = json.loads((out / "dataset.json").read_text())["facts"]["counts"] if code == 0 else {}
    return (
        f"{size / 1000:7.2f} GB {seconds:8.1f} s {size / seconds:7.1f} MB/s {size / cpu:7.1f} MB/CPU-s "
        f"{memory.together >> 20:6} MiB together {memory.alone >> 20:5} MiB the largest "
        f"{counts.get('messages', 0) / seconds:8,.0f} messages/s {counts.get('examples', 0):12,} examples"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=float, nargs="+", default=[0.1, 1], help="in GB")
    parser.add_argument("--folder", type=Path, help="where the exports go, and stay for the next time")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        for size in options.sizes:
            export, out = folder / f"{size:g}GB.json", folder / f"{size:g}GB.data"
            if not export.exists():
                write_export(export, int(size * 1e9))
            shutil.rmtree(out, ignore_errors=True)
            print(measure(export, out), flush=True)


if __name__ == "__main__":
    main()
