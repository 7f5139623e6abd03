"""Exports to what may be stored of them."""

import itertools
import os
import random
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.consent import consent_key
from tests.training.conftest import discord, line, write_discord, write_lines
from training import reading
from training.archive import Archive, ArchivedMessage
from training.exports import ReadNotes, find_exports
from training.exports import file as export_file
from training.reading import Filters, ReadingSummary, read_into
from training.workers import Workers

ADDRESS, TOKEN = "zoe.quux@example.org", "ghp_Zx81kQ0vB7sT2wLmN4pR9cYdEfGh3JkA5b6C"
PASTA = "now this is a story all about how my life got flipped turned upside down"


def read(
    archive: Path,
    exports: Iterable[Path],
    *,
    filters: Filters | None = None,
    excluded: Iterable[str] = (),
    workers: int = 0,
    **columns: str,
) -> tuple[list[ArchivedMessage], ReadingSummary]:
    """The messages in an archive after reading exports, and the sum of what was met."""
    archive.mkdir(exist_ok=True)
    with Workers(workers) as pool, Archive(archive) as opened:
        summaries = read_into(
            opened,
            find_exports(exports, ReadNotes(), columns=columns),
            pool,
            filters=filters or Filters(),
            excluded=frozenset(map(consent_key, excluded)),
        )
        opened.settle()
        messages = list(opened.messages())
    for summary in summaries:
        assert summary.received == summary.kept + sum(summary.left_out.values())
    return messages, _sum(summaries)


def _sum(summaries: Sequence[ReadingSummary]) -> ReadingSummary:
    return ReadingSummary(
        received=sum(each.received for each in summaries),
        kept=sum(each.kept for each in summaries),
        left_out=dict(sum((Counter(each.left_out) for each in summaries), Counter())),
        redacted=dict(sum((Counter(each.redacted) for each in summaries), Counter())),
        opted_out=dict(sum((Counter(each.opted_out) for each in summaries), Counter())),
    )


def texts(messages: Iterable[ArchivedMessage]) -> list[str]:
    return [message.text for message in messages]


def raw(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def read_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read, as they are."""
    names: list[str] = []
    read_one = reading._read

    def noted(task: Any) -> Any:
        names.append(task.export.path.name)
        return read_one(task)

    monkeypatch.setattr(reading, "_read", noted)
    return names


def test_messages_are_kept_clean_with_all_that_linking_needs(tmp_path: Path) -> None:
    path = write_discord(
        tmp_path / "g.json",
        discord("ann", "who has the kettle?", at=1.0),
        discord("bob", "@ann me\n\n  too, see https://example.org <:tea:123456789012345678>", at=2.0),
        discord("cat", "ann: really?", at=3.0, to="123456789012345678"),
    )
    messages, _ = read(tmp_path / "a", [path])
    ann = messages[0].author
    assert texts(messages) == ["who has the kettle?", "me\ntoo, see :tea:", "really?"]
    assert [message.mentions for message in messages] == [(), (ann,), (ann,)]
    assert [message.reply_to for message in messages] == [None, None, "123456789012345678"]
    assert len({message.author for message in messages}) == 3


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (line(1, "robot", "beep", is_bot=True), "bot"),
        (line(1, "ann", "joined the server", is_system=True), "system message"),
        (line(1, "ann", ""), "empty"),
        (line(1, "ann", "https://example.org/cat.gif"), "nothing but links or personal details"),
        (line(1, "a1", "@a1 who is it, " * 1500), "overlong"),
        (line(1, "ann", "<@123456789012345678>"), "empty"),
        (line(1, "ann", "!play never gonna give you up"), "command"),
        (line(1, "ann", "```py\nprint(1)\n```"), "code"),
        (line(1, "ann", "!!!???!!!???!!!???!!!"), "symbols"),
        (line(1, "ann", "hoho" * 20), "noise"),
        (line(1, "ann", "oh heck no"), "blocked"),
        (line(1, "ann", "ich weiß wirklich nicht, was das bedeuten soll, mein Lieber"), "language"),
        (line(1, "ann", ADDRESS), "nothing but links or personal details"),
        (line(1, "zoe", "hello there"), "opted out"),
    ],
)
def test_what_is_left_out_is_counted_by_reason(tmp_path: Path, message: dict[str, Any], reason: str) -> None:
    path = write_lines(tmp_path / "c.jsonl", message, line(2, "bob", "this is kept, my friend"))
    filters = Filters(languages=("en",), blocklist=("heck",))
    messages, summary = read(tmp_path / "a", [path], filters=filters, excluded=["zoe"])
    assert summary.left_out == {reason: 1}
    assert texts(messages) == ["this is kept, my friend"]


class TestOrder:
    def test_ids_that_are_numbers_tell_it_within_one_tick_of_the_clock(self, tmp_path: Path) -> None:
        ids = ["9", "10", "1192937581969408001", "1192937581969408002", "9223372036854775807"]
        lines = [line(id_, "ann", f"id {id_}", at=1.0) for id_ in ids]
        for seed in range(5):
            path = write_lines(tmp_path / f"{seed}.jsonl", *random.Random(seed).sample(lines, len(lines)))
            assert [message.id for message in read(tmp_path / f"a{seed}", [path])[0]] == ids

    @pytest.mark.parametrize("id_", ["9223372036854775808", "9" * 40, "-1", "²", "٣", "1_0", " 1"])
    def test_any_id_can_be_stored(self, tmp_path: Path, id_: str) -> None:
        path = write_lines(tmp_path / "c.jsonl", line(id_, "ann", "hi"), line("x", "bob", "hey", to=id_))
        messages, _ = read(tmp_path / "a", [path])
        assert [(message.id, message.is_target) for message in messages] == [(id_, True), ("x", False)]

    def test_without_a_clock_it_is_that_of_the_file(self, tmp_path: Path) -> None:
        path = write_lines(tmp_path / "c.jsonl", *(line(f"m{n}", "ann", f"text {n}") for n in (3, 1, 2, 11, 0)))
        assert texts(read(tmp_path / "a", [path])[0]) == ["text 3", "text 1", "text 2", "text 11", "text 0"]

    def test_of_an_export_that_runs_backwards_it_is_turned_round_within_a_minute_too(self, tmp_path: Path) -> None:
        rows = [f'"12","ann","2024-01-01T10:{n // 4:02}:00.0000000+00:00","text {n}","",""' for n in range(12)]
        for number, order in enumerate((rows, rows[::-1])):
            path = tmp_path / f"{number}.csv"
            path.write_text("\n".join(["AuthorID,Author,Date,Content,Attachments,Reactions", *order]) + "\n")
            assert texts(read(tmp_path / f"a{number}", [path])[0]) == [f"text {n}" for n in range(12)]

    @settings(max_examples=15)
    @given(seed=st.integers(), cuts=st.lists(st.integers(0, 30), max_size=3))
    def test_that_of_exports_and_of_messages_in_them_does_not_matter(
        self, tmp_path_factory: pytest.TempPathFactory, seed: int, cuts: list[int]
    ) -> None:
        rng = random.Random(seed)
        folder = tmp_path_factory.mktemp("order")
        lines = [
            line(
                rng.choice([str(n), f"1192937581969408{n:03}"]),
                f"a{n % 3}",
                f"text {rng.randrange(9)}",
                at=float(n // 4),
                to=rng.choice([None, n - 1]),
            )
            for n in range(30)
        ]
        lines += rng.sample(lines, 5)
        results = []
        for run in range(2):
            shuffled = rng.sample(lines, len(lines))
            bounds = [0, *sorted(cuts), len(lines)]
            parts = [shuffled[begin:end] for begin, end in itertools.pairwise(bounds) if end > begin]
            paths = [write_lines(folder / f"{run}-{number}.jsonl", *part) for number, part in enumerate(parts)]
            rng.shuffle(paths)
            results.append([message._replace(place=0) for message in read(folder / f"a{run}", paths)[0]])
        assert results[0] == results[1]

    def test_copies_in_several_exports_are_kept_once_as_last_edited(self, tmp_path: Path) -> None:
        old = write_discord(tmp_path / "a.json", discord("ann", "old", at=1.0), discord("bob", "one", at=2.0))
        new = write_discord(
            tmp_path / "b.json", discord("ann", "new", at=1.0, edited=9.0), discord("cat", "two", at=3.0)
        )
        for number, order in enumerate(([old, new], [new, old])):
            assert texts(read(tmp_path / f"archive {number}", order)[0]) == ["new", "one", "two"]


class TestChannels:
    @pytest.fixture
    def server(self, tmp_path: Path) -> Path:
        folder = tmp_path / "server"
        folder.mkdir()
        for channel, kind in [
            ("general", "GuildTextChat"),
            ("general-2", "GuildTextChat"),
            ("art", "GuildTextChat"),
            ("nsfw-talk", "GuildTextChat"),
            ("bob", "DirectTextChat"),
            ("ann, bob, cat", "DirectGroupTextChat"),
            ("secret", "GuildPrivateThread"),
        ]:
            message = discord("ann", f"in {channel}", at=float(len(channel)))
            write_discord(folder / f"{channel}.json", message, channel=channel, kind=kind)
        return folder

    def test_private_and_nsfw_ones_in_a_folder_are_left_out_and_counted(self, tmp_path: Path, server: Path) -> None:
        messages, summary = read(tmp_path / "a", [server])
        assert sorted(texts(messages)) == ["in art", "in general", "in general-2"]
        assert summary.left_out == {"private channel": 3, "channel not safe for work": 1}
        assert b"in secret" not in raw(tmp_path / "a")

    @pytest.mark.parametrize("name", ["nsfw-talk", "bob", "secret"])
    def test_a_file_that_is_named_is_read_in_any_case(self, tmp_path: Path, server: Path, name: str) -> None:
        assert texts(read(tmp_path / "a", [server / f"{name}.json"])[0]) == [f"in {name}"]

    @pytest.mark.parametrize("name", ["nsfw-talk", "bob", "SECRET"])
    def test_a_channel_that_is_named_in_full_is_read_in_any_case(self, tmp_path: Path, server: Path, name: str) -> None:
        messages, summary = read(tmp_path / "a", [server], filters=Filters(channels=(name,)))
        assert texts(messages) == [f"in {name.lower()}"]
        assert summary.left_out == {"channel left out": 6}

    @pytest.mark.parametrize(
        ("filters", "kept"),
        [
            (Filters(channels=("general",)), ["in general"]),
            (Filters(channels=("#General*",)), ["in general", "in general-2"]),
            (Filters(channels=("?rt", "general")), ["in art", "in general"]),
            (Filters(channels=("*",)), ["in art", "in general", "in general-2"]),
            (Filters(not_channels=("general*",)), ["in art"]),
            (Filters(channels=("*",), not_channels=("art",)), ["in general", "in general-2"]),
            (Filters(channels=("nowhere",)), []),
        ],
    )
    def test_those_to_read_and_to_leave_out_may_hold_wildcards(
        self, tmp_path: Path, server: Path, filters: Filters, kept: list[str]
    ) -> None:
        messages, summary = read(tmp_path / "a", [server], filters=filters)
        assert sorted(texts(messages)) == kept
        assert summary.received == 7

    def test_they_can_be_chosen_by_id(self, tmp_path: Path, server: Path) -> None:
        id_ = read(tmp_path / "a", [server / "art.json"])[0][0].channel
        assert texts(read(tmp_path / "b", [server], filters=Filters(channels=(id_,)))[0]) == ["in art"]
        assert "in art" not in texts(read(tmp_path / "b", [server], filters=Filters(not_channels=(id_,)))[0])


class TestAgain:
    def test_only_the_new_export_is_read(self, tmp_path: Path, read_files: list[str]) -> None:
        a = write_lines(tmp_path / "a.jsonl", line(1, "ann", "one", at=1.0))
        b = write_lines(tmp_path / "b.jsonl", line(2, "ann", "two", at=2.0))
        read(tmp_path / "archive", [a])
        assert texts(read(tmp_path / "archive", [a, b])[0]) == ["one", "two"]
        assert read_files == ["a.jsonl", "b.jsonl"]

    def test_what_was_read_is_not_even_looked_at(self, tmp_path: Path) -> None:
        path = write_lines(tmp_path / "a.jsonl", line(1, "ann", "one"), line(2, "bob", "", is_bot=True))
        before = read(tmp_path / "archive", [path])
        status = path.stat()
        content = path.read_bytes()
        path.write_bytes(content.replace(b"one", b"???"))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert read(tmp_path / "archive", [path]) == before

    def test_an_export_that_is_no_longer_given_is_forgotten(self, tmp_path: Path, read_files: list[str]) -> None:
        a = write_lines(tmp_path / "a.jsonl", line(1, "ann", "one", at=1.0))
        b = write_lines(tmp_path / "b.jsonl", line(2, "ann", "forget these words", at=2.0))
        read(tmp_path / "archive", [a, b])
        messages, summary = read(tmp_path / "archive", [a])
        assert (texts(messages), summary.received) == (["one"], 1)
        assert read_files == ["a.jsonl", "b.jsonl"]
        assert b"forget these" not in raw(tmp_path / "archive")

    @pytest.mark.parametrize("by", ["time", "size", "path"])
    def test_an_export_that_changed_is_read_anew(self, tmp_path: Path, read_files: list[str], by: str) -> None:
        path = write_lines(tmp_path / "a.jsonl", line(1, "ann", "one"))
        read(tmp_path / "archive", [path])
        status = path.stat()
        write_lines(path, line(1, "ann", "two" if by != "size" else "three"))
        later = 10**9 if by == "time" else 0
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + later))
        if by == "path":
            (tmp_path / "other").mkdir()
            path = path.rename(tmp_path / "other" / path.name)
        assert texts(read(tmp_path / "archive", [path])[0]) == ["three" if by == "size" else "two"]
        assert len(read_files) == 2

    @pytest.mark.parametrize(
        "filters",
        [Filters(channels=("c",)), Filters(not_channels=("x",)), Filters(languages=("en",)), Filters(blocklist=("x",))],
    )
    def test_with_other_filters_all_is_read_anew(self, tmp_path: Path, read_files: list[str], filters: Filters) -> None:
        path = write_lines(tmp_path / "a.jsonl", line(1, "ann", "one"))
        for chosen in (None, filters, filters, None):
            read(tmp_path / "archive", [path], filters=chosen)
        assert len(read_files) == 3

    def test_files_of_one_name_size_and_time_in_different_folders_are_told_apart(self, tmp_path: Path) -> None:
        paths = []
        for number in (1, 2):
            folder = tmp_path / f"server {number}" / "general"
            folder.mkdir(parents=True)
            paths.append(write_lines(folder / "2024-01-01.jsonl", line(number, "ann", f"text {number}")))
            os.utime(paths[-1], (10**9, 10**9))
        messages, summary = read(tmp_path / "archive", paths)
        assert (texts(messages), summary.received) == (["text 1", "text 2"], 2)

    def test_nothing_but_the_archive_stays_even_of_a_run_that_was_killed(self, tmp_path: Path) -> None:
        (tmp_path / "archive" / ".reading-killed").mkdir(parents=True)
        (tmp_path / "archive" / ".reading-killed" / "rows").write_text("words")
        path = write_lines(tmp_path / "a.jsonl", line(1, "ann", "one"))
        read(tmp_path / "archive", [path])
        assert [left.name for left in (tmp_path / "archive").iterdir()] == ["messages.sqlite"]


class TestPeopleWhoOptedOut:
    """By id in all formats; by name where there are names."""

    @pytest.fixture
    def exports(self, tmp_path: Path) -> list[Path]:
        zoe = str(10**17 + sum(b"zoe"))
        first = write_discord(
            tmp_path / "a.json",
            discord("ann", "hello zoe", at=1.0),
            discord("zoe", f"zoes first words, write to {ADDRESS}", at=2.0, nickname="Zoë Q"),
            discord("zoe", "zoes first words, write to me", at=2.0, nickname="Zoë Q"),
            discord("zoe", "!play zoes song", at=3.0, nickname="Zoë Q"),
            discord("bob", "hm", at=4.0),
        )
        second = write_discord(
            tmp_path / "b.json",
            discord("zoe", "zoes second words", at=5.0, nickname="Zozo"),
            discord("zoe", "zoes first words, write to me", at=2.0, nickname="Zozo"),
            discord("cat", "tea?", at=6.0),
        )
        third = write_discord(tmp_path / "c.json", discord("ann", "no zoe in here", at=9.0))
        assert zoe.encode() in first.read_bytes()
        return [first, second, third]

    @pytest.mark.parametrize(
        ("who", "kept"),
        [
            (str(10**17 + sum(b"zoe")), ["hello zoe", "hm", "tea?", "no zoe in here"]),
            (
                " zoë q ",
                ["hello zoe", "zoes first words, write to me", "hm", "zoes second words", "tea?", "no zoe in here"],
            ),
            ("ZOZO", ["hello zoe", "zoes first words, write to me", "hm", "tea?", "no zoe in here"]),
        ],
    )
    def test_they_are_not_learned_and_whenever_they_did_it_makes_no_difference(
        self, tmp_path: Path, exports: list[Path], who: str, kept: list[str]
    ) -> None:
        fresh = read(tmp_path / "fresh", exports, excluded=[who])
        assert texts(fresh[0]) == kept
        read(tmp_path / "late", exports)
        assert read(tmp_path / "late", exports, excluded=[who]) == fresh
        assert fresh[1].left_out["opted out"] == sum(fresh[1].opted_out.values()) > 0

    def test_their_words_are_gone_from_the_raw_archive(self, tmp_path: Path, exports: list[Path]) -> None:
        zoe = str(10**17 + sum(b"zoe"))
        read(tmp_path / "archive", exports)
        assert b"zoes second words" in raw(tmp_path / "archive")
        read(tmp_path / "archive", exports, excluded=[zoe])
        content = raw(tmp_path / "archive")
        assert b"zoes first" not in content
        assert b"zoes second" not in content
        assert zoe.encode() not in content.replace(f'"opted_out":{{"{zoe}"'.encode(), b"")

    def test_what_holds_nothing_of_theirs_is_not_read_again(
        self, tmp_path: Path, exports: list[Path], read_files: list[str]
    ) -> None:
        read(tmp_path / "archive", exports)
        read(tmp_path / "archive", exports, excluded=["Zozo", "somebody else"])
        read(tmp_path / "archive", exports, excluded=["Zozo", "somebody else"])
        assert read_files == ["a.json", "b.json", "c.json", "b.json"]

    def test_once_they_opt_in_again_their_exports_are_read_anew(
        self, tmp_path: Path, exports: list[Path], read_files: list[str]
    ) -> None:
        before = read(tmp_path / "archive", exports)
        read(tmp_path / "archive", exports, excluded=["Zozo"])
        assert read(tmp_path / "archive", exports) == before
        assert read_files == ["a.json", "b.json", "c.json", "b.json", "b.json"]

    def test_in_a_format_with_names_only_the_name_is_the_account(self, tmp_path: Path) -> None:
        path = write_lines(tmp_path / "c.jsonl", line(1, "Zoë Q", "zoes words"), line(2, "bob", "hm"))
        read(tmp_path / "archive", [path])
        assert texts(read(tmp_path / "archive", [path], excluded=["ZOË q"])[0]) == ["hm"]
        assert b"zoes words" not in raw(tmp_path / "archive")

    def test_names_are_not_stored_to_know_them_by(self, tmp_path: Path, exports: list[Path]) -> None:
        read(tmp_path / "archive", exports)
        assert "Zoë Q".encode() not in raw(tmp_path / "archive")
        assert b"Zozo" not in raw(tmp_path / "archive")


@pytest.mark.parametrize("workers", [0, 2])
def test_secrets_and_personal_details_are_never_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """Not even for a moment: what the readers write down in between is looked at as well."""
    path = write_lines(
        tmp_path / "c.jsonl",
        line(1, "ann", f"my address is {ADDRESS}, my key is {TOKEN}, keep them safe"),
        line(2, "bob", f"{TOKEN}"),
    )
    seen: list[bytes] = []
    take = reading._rows

    def rows(path: Path) -> Any:
        seen.append(path.read_bytes())
        return take(path)

    monkeypatch.setattr(reading, "_rows", rows)
    messages, summary = read(tmp_path / "archive", [path], workers=workers)
    content = raw(tmp_path / "archive") + b"".join(seen)
    assert b"keep them safe" in content
    for secret in (ADDRESS, "zoe.quux", TOKEN, TOKEN[8:24]):
        assert secret.encode() not in content
    assert len(messages) == 1
    assert sum(summary.redacted.values()) == 2
    assert summary.left_out == {"nothing but links or personal details": 1}


@pytest.mark.parametrize("format_", ["lines", "discord"])
def test_a_big_export_in_parts_gives_what_it_gives_in_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_files: list[str], format_: str
) -> None:
    if format_ == "lines":
        lines = [line(f"m{n}", f"a{n % 5}", f"text number {n}", at=n // 3, to=f"m{n // 2}") for n in range(400)]
        path = write_lines(tmp_path / "c.jsonl", *lines)
    else:
        talk = [discord(f"a{n % 5}", f"text number {n}", at=n / 10) for n in range(200)]
        path = write_discord(tmp_path / "c.json", *talk)
    whole = read(tmp_path / "whole", [path])
    monkeypatch.setattr(reading, "_PART_FROM_BYTES", 1)
    monkeypatch.setattr(export_file, "PART_BYTES", 5000)
    monkeypatch.setattr("training.exports.discord_chat_exporter_json._PART_BYTES", 5000)
    read_files.clear()
    messages, summary = read(tmp_path / "parts", [path])
    assert [message._replace(place=0) for message in messages] == [message._replace(place=0) for message in whole[0]]
    assert summary == whole[1]
    assert len(read_files) > 5


def test_several_processes_give_what_one_gives(tmp_path: Path) -> None:
    paths = [
        write_lines(tmp_path / f"{n}.jsonl", *(line(f"{n}-{m}", f"a{m % 3}", f"text {m}", at=m) for m in range(50)))
        for n in range(5)
    ]
    assert read(tmp_path / "one", paths, workers=2) == read(tmp_path / "two", paths)


def test_progress_rises_to_the_size_of_all_and_counts_what_was_read_before(tmp_path: Path) -> None:
    a = write_lines(tmp_path / "a.jsonl", line(1, "ann", "one"))
    b = write_lines(tmp_path / "b.jsonl", line(2, "ann", "three"))
    sizes = [path.stat().st_size for path in (a, b)]
    told: list[tuple[int, int]] = []
    with Archive(tmp_path) as archive, Workers(0) as pool:
        for paths in ([a], [a, b]):
            found = find_exports(paths, ReadNotes())
            read_into(
                archive, found, pool, filters=Filters(), on_progress=lambda done, total: told.append((done, total))
            )
    assert told == [(0, sizes[0]), (sizes[0], sizes[0]), (sizes[0], sum(sizes)), (sum(sizes), sum(sizes))]


def test_a_moved_archive_goes_on(tmp_path: Path, read_files: list[str]) -> None:
    path = write_lines(tmp_path / "a.jsonl", line(1, "ann", "one"))
    read(tmp_path / "archive", [path])
    shutil.move(tmp_path / "archive", tmp_path / "moved")
    assert texts(read(tmp_path / "moved", [path])[0]) == ["one"]
    assert len(read_files) == 1
