"""Exports to a dataset directory."""

import errno
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model import ChinwagError
from model.lock import LockedError, locked
from model.tokenizer import Tokenizer
from tests.training.conftest import (
    dataset_files,
    discord,
    line,
    write_corpus,
    write_discord,
    write_lines,
    write_talk,
)
from training import conversations, reading
from training import prepare as module
from training.archive import Archive
from training.dataset import Dataset, DatasetError, DatasetWriter, Split
from training.exports import ExportError
from training.prepare import Preparation
from training.reading import Filters

VOCABULARY = Tokenizer.train(["where is the kettle in the shed", "yes no why it is by the canal"], vocabulary_size=300)
TALKS = [line(1, "ann", "who is there?", at=1.0), line(2, "bob", "it is me", at=2.0, to=1)]


@pytest.fixture(autouse=True)
def _plain_report(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that the report is made of, without the pictures, which take longer than all else."""
    if "real_report" not in request.fixturenames:
        monkeypatch.setattr(module, "write_report", lambda path, *facts: path.write_text(repr(facts)))


@pytest.fixture
def real_report() -> None: ...


def prepare(exports: list[Path], out: Path, **options: Any) -> Preparation:
    """With a vocabulary that need not be learned first."""
    return module.prepare(exports, out, **{"tokenizer": VOCABULARY} | options)


@pytest.fixture(scope="module")
def talks(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three exports in which people talk; some messages of the first are in the second, too, edited."""
    folder = tmp_path_factory.mktemp("talks")
    paths = [write_talk(folder / f"{number}.jsonl", 300, seed=number) for number in range(3)]
    copies = [json.loads(each) for each in paths[0].read_text().splitlines()[100:120]]
    with paths[1].open("a") as file:
        file.writelines(json.dumps(copy | {"content": f"edited {copy['content']}"}) + "\n" for copy in copies)
    return paths


@pytest.fixture(scope="module")
def in_one_run(talks: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of the dataset that one unbroken run makes of all three."""
    folder = tmp_path_factory.mktemp("one")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "write_report", lambda path, *facts: path.write_text(repr(facts)))
        module.prepare(talks, folder, vocabulary_size=320)
    return dataset_files(folder)


def texts(dataset: Dataset, split: Split) -> set[str]:
    return {dataset.tokenizer.decode(split.replies[row].tolist()) for row in range(len(split))}


def corpus_of(path: Path, *conversations: list[str]) -> Path:
    return write_lines(
        path,
        *(
            line(f"{n}-{m}", str(m % 2), text, conversation=str(n))
            for n, lines in enumerate(conversations)
            for m, text in enumerate(lines)
        ),
    )


def raw(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


class TestTheDataset:
    def test_no_conversation_is_on_both_sides(self, tmp_path: Path) -> None:
        path = corpus_of(tmp_path / "c.jsonl", *([f"question {n}", f"answer {n}", f"remark {n}"] for n in range(800)))
        dataset = module.prepare([path], tmp_path / "d").dataset

        def numbers(split: Split) -> set[str]:
            return {text.split()[1] for text in texts(dataset, split)}

        assert not numbers(dataset.train) & numbers(dataset.validation)
        assert 20 <= len(numbers(dataset.validation)) <= 80  # 5 % of 800

    def test_the_vocabulary_is_learned_without_what_is_held_out(self, tmp_path: Path) -> None:
        path = corpus_of(tmp_path / "c.jsonl", *([f"question {n}", f"answer {n}"] for n in range(800)))
        dataset = module.prepare([path], tmp_path / "d", vocabulary_size=400).dataset
        sides = (dataset.train.contexts, dataset.train.replies)
        learned = (dataset.tokenizer.decode(side[row].tolist()) for row in range(len(dataset.train)) for side in sides)
        again = Tokenizer.train(learned, vocabulary_size=400)
        assert again.to_bytes() == dataset.tokenizer.to_bytes()

    def test_the_vocabulary_of_a_model_is_kept(self, corpus: Path, tmp_path: Path) -> None:
        dataset = prepare([corpus], tmp_path / "d").dataset
        assert dataset.tokenizer.to_bytes() == VOCABULARY.to_bytes()
        assert any("umbrella" in text for text in texts(dataset, dataset.train))  # words it has never seen

    def test_too_few_to_hold_some_out_are_all_trained_on(self, tmp_path: Path) -> None:
        dataset = prepare([write_corpus(tmp_path / "c.jsonl", conversations=12)], tmp_path / "d").dataset
        assert dataset.facts["held_out"] is False
        assert len(dataset.train) == dataset.facts["train_examples"] == dataset.facts["counts"]["examples"]

    def test_peoples_words_and_names_are_in_plain_text_in_the_archive_only(self, tmp_path: Path) -> None:
        words = "a rather peculiar remark"
        path = write_lines(tmp_path / "c.jsonl", *TALKS, line(3, "ann", words, at=3.0, to=2))
        prepare([path], tmp_path / "d")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["c.jsonl", "d"]
        files = {path.name: path.read_bytes() for path in (tmp_path / "d").iterdir()}
        assert [name for name, content in files.items() if words.encode() in content] == ["messages.sqlite"]

    def test_the_page_with_pictures_is_part_of_it_and_the_same_each_time(
        self, talks: list[Path], tmp_path: Path, real_report: None
    ) -> None:
        for name in ("one", "two"):
            prepare(talks, tmp_path / name)
        assert dataset_files(tmp_path / "one") == dataset_files(tmp_path / "two")
        assert "<svg" in (tmp_path / "one" / "report.html").read_text(encoding="utf-8")

    def test_several_contexts_of_one_turn_are_several_examples(self, tmp_path: Path) -> None:
        lines = [line(n + 3, f"a{n}", f"answer {n}", at=10.0 + n, to=2) for n in range(5)]
        dataset = prepare([write_lines(tmp_path / "c.jsonl", *TALKS, *lines)], tmp_path / "d").dataset
        contexts = [VOCABULARY.decode_context(dataset.train.contexts[row].tolist()) for row in range(6)]
        assert [text for _, text in contexts[-1]] == ["who is there?", "it is me"]
        assert contexts[1:] == [contexts[-1]] * 5


class TestTheSameBytes:
    def test_whatever_was_there_before(
        self, talks: list[Path], tmp_path: Path, in_one_run: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Export by export, with one too many in between, each read once only."""
        read_files: list[str] = []
        read_one = reading._read

        def noted(task: Any) -> Any:
            read_files.append(task.export.path.name)
            return read_one(task)

        monkeypatch.setattr(reading, "_read", noted)
        more = write_talk(tmp_path / "more.jsonl", 50, seed=7)
        for chosen in (talks[1:2], talks[1:], [*talks, more], talks):
            module.prepare(chosen, tmp_path / "d", vocabulary_size=320)
        assert dataset_files(tmp_path / "d") == in_one_run
        assert read_files == ["1.jsonl", "2.jsonl", "0.jsonl", "more.jsonl"]

    def test_of_one_export_less(self, talks: list[Path], tmp_path: Path) -> None:
        prepare(talks, tmp_path / "less")
        prepare(talks[1:], tmp_path / "less")
        prepare(talks[1:], tmp_path / "fresh")
        assert dataset_files(tmp_path / "less") == dataset_files(tmp_path / "fresh")

    def test_in_any_order_of_exports_and_messages(
        self, talks: list[Path], tmp_path: Path, in_one_run: dict[str, bytes]
    ) -> None:
        rng = random.Random(3)
        shuffled = []
        for path in (talks[2], talks[0], talks[1]):
            lines = path.read_text().splitlines(keepends=True)
            shuffled.append(tmp_path / path.name)
            shuffled[-1].write_text("".join(rng.sample(lines, len(lines))))
        module.prepare(shuffled, tmp_path / "d", vocabulary_size=320)
        assert dataset_files(tmp_path / "d") == in_one_run

    def test_by_several_processes(self, talks: list[Path], tmp_path: Path, in_one_run: dict[str, bytes]) -> None:
        module.prepare(talks, tmp_path / "d", vocabulary_size=320, workers=2)
        assert dataset_files(tmp_path / "d") == in_one_run

    def test_in_pieces_of_any_size(
        self, talks: list[Path], tmp_path: Path, in_one_run: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "_PIECE_MESSAGES", 37)
        monkeypatch.setattr(module, "_PIECE_EXAMPLES", 13)
        monkeypatch.setattr(reading, "_PART_FROM_BYTES", 1)
        monkeypatch.setattr("training.exports.file.PART_BYTES", 10_000)
        module.prepare(talks, tmp_path / "d", vocabulary_size=320)
        assert dataset_files(tmp_path / "d") == in_one_run

    def test_with_an_archive_that_was_damaged(
        self, talks: list[Path], tmp_path: Path, in_one_run: dict[str, bytes]
    ) -> None:
        module.prepare(talks[:1], tmp_path / "d", vocabulary_size=320)
        (tmp_path / "d" / "messages.sqlite").write_bytes(b"no archive any more" * 1000)
        module.prepare(talks, tmp_path / "d", vocabulary_size=320)
        assert dataset_files(tmp_path / "d") == in_one_run

    @pytest.mark.skipif(sys.platform == "win32", reason="cannot fork, and has no kill that cannot be caught")
    def test_after_a_kill_anywhere(self, talks: list[Path], tmp_path: Path, in_one_run: dict[str, bytes]) -> None:
        points = [
            *("sift 100", "_rows 300", "add_reading 3", "settle 1", "link_messages 1"),
            *("train 1", "extend 2", "_put_in_place 1", "replace 5"),
        ]
        program = [sys.executable, "-c", _KILLED_AT, tmp_path, *talks, "--", *points]
        result = subprocess.run(program, stdout=subprocess.PIPE, text=True, check=True)
        killed = [json.loads(each) for each in result.stdout.splitlines()]
        assert [each["point"] for each in killed if not each["was_killed"]] == []
        for number, each in enumerate(killed):
            folder = tmp_path / str(number)
            assert dataset_files(folder) == in_one_run, each
            assert not [path.name for path in folder.iterdir() if path.name.startswith((".building", ".reading"))]

    @pytest.mark.skipif(sys.platform == "win32", reason="has no kill that cannot be caught")
    def test_after_kills_while_several_processes_work(
        self, talks: list[Path], tmp_path: Path, in_one_run: dict[str, bytes]
    ) -> None:
        for stage in ("Reading", "Linking"):
            program = [sys.executable, "-c", _TELLS_ITS_STAGE, tmp_path / "d", *talks]
            with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None
                assert any(line.startswith(stage) for line in process.stdout)
                process.kill()
        module.prepare(talks, tmp_path / "d", vocabulary_size=320, workers=0)
        assert dataset_files(tmp_path / "d") == in_one_run
        assert sorted(path.name for path in (tmp_path / "d").iterdir()) == sorted(
            [*in_one_run, ".lock", "messages.sqlite"]
        )


_KILLED_AT = """
import json, os, signal, sys
from collections import Counter
from pathlib import Path
from training import prepare as module

module.write_report = lambda path, *facts: path.write_text(repr(facts))
separator = sys.argv.index("--")
exports, points = list(map(Path, sys.argv[2:separator])), sys.argv[separator + 1 :]

def run(out, point):
    process = os.fork()
    if process:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    calls = Counter()
    def count(frame, event, argument):
        if event not in ("call", "c_call"):
            return
        name = frame.f_code.co_name if event == "call" else argument.__name__
        calls[name] += 1
        if f"{name} {calls[name]}" == point:
            os.kill(os.getpid(), signal.SIGKILL)
    if point:
        sys.setprofile(count)
    module.prepare(exports, out, vocabulary_size=320, workers=0)
    os._exit(0)

for number, point in enumerate(points):
    out = Path(sys.argv[1]) / str(number)
    killed = run(out, point)
    assert run(out, None) == 0, point
    print(json.dumps({"point": point, "was_killed": killed == -signal.SIGKILL}))
"""

_TELLS_ITS_STAGE = """
import sys
from pathlib import Path
from training.prepare import prepare

def tell(stage, done, total, unit):
    if done:
        print(stage, flush=True)

prepare(list(map(Path, sys.argv[2:])), Path(sys.argv[1]), vocabulary_size=320, workers=2, on_progress=tell)
"""


class TestPrivacy:
    def test_secrets_reach_no_file(self, tmp_path: Path) -> None:
        secrets = ("zoe.quux@example.org", "ghp_Zx81kQ0vB7sT2wLmN4pR9cYdEfGh3JkA5b6C")
        path = write_lines(
            tmp_path / "c.jsonl",
            *TALKS,
            line(3, "ann", f"write to {secrets[0]} then", at=3.0, to=2),
            line(4, "bob", f"with {secrets[1]}, sure", at=4.0, to=3),
            line(5, "ann", secrets[0], at=5.0, to=4),
        )
        preparation = prepare([path], tmp_path / "d")
        assert b"then" in raw(tmp_path / "d")
        for secret in (*secrets, "zoe.quux", "kQ0vB7sT2wLmN4"):
            assert secret.encode() not in raw(tmp_path / "d")
        learned = texts(preparation.dataset, preparation.dataset.train)
        assert learned == {"it is me", "write to then", "with , sure"}
        assert sum(preparation.tally.redacted.values()) == 2

    def test_whoever_opts_out_is_neither_answer_nor_context_as_if_it_had_always_been_so(self, tmp_path: Path) -> None:
        path = write_discord(
            tmp_path / "general.json",
            discord("ann", "who is there?", at=1.0),
            discord("zoe", "zoes answer", at=2.0, to=snow(1.0)),
            discord("bob", "it is me", at=3.0, to=snow(1.0)),
            discord("cat", "you are who, zoe?", at=4.0, to=snow(2.0)),
            discord("ann", "come in", at=5.0, to=snow(3.0)),
        )
        zoe = str(10**17 + sum(b"zoe"))
        before = prepare([path], tmp_path / "late")
        assert before.tally.examples == 4
        after = prepare([path], tmp_path / "late", excluded=frozenset({zoe}))
        assert texts(after.dataset, after.dataset.train) == {"it is me", "come in"}
        assert after.tally.left_out == {"opted out": 1}
        contexts = b"".join(
            text.encode()
            for row in range(2)
            for _, text in VOCABULARY.decode_context(after.dataset.train.contexts[row].tolist())
        )
        assert b"zoes" not in contexts + raw(tmp_path / "late")
        prepare([path], tmp_path / "fresh", excluded=frozenset({zoe}))
        assert dataset_files(tmp_path / "late") == dataset_files(tmp_path / "fresh")
        assert prepare([path], tmp_path / "late").tally == before.tally

    def test_nothing_but_private_channels_says_how_to_have_them_read(self, tmp_path: Path) -> None:
        folder = tmp_path / "server"
        folder.mkdir()
        for name in ("bob", "zoe"):
            write_discord(folder / f"{name}.json", discord("ann", "hi", at=1.0), channel=name, kind="DirectTextChat")
        with pytest.raises(
            DatasetError, match=r"2 private channel.* name the file itself, or the channel with --channel"
        ):
            prepare([folder], tmp_path / "d")

    def test_private_and_nsfw_channels_are_left_out_and_counted(self, tmp_path: Path) -> None:
        folder = tmp_path / "server"
        folder.mkdir()
        talk = [discord("ann", "who is there?", at=1.0), discord("bob", "it is me", at=2.0, to=snow(1.0))]
        write_discord(folder / "general.json", *talk)
        write_discord(folder / "nsfw-talk.json", discord("ann", "unspeakable", at=1.0), channel="nsfw-talk")
        write_discord(folder / "bob.json", discord("ann", "whispered", at=1.0), channel="bob", kind="DirectTextChat")
        preparation = prepare([folder], tmp_path / "d")
        assert preparation.tally.left_out == {"private channel": 1, "channel not safe for work": 1}
        assert b"unspeakable" not in raw(tmp_path / "d")
        assert b"whispered" not in raw(tmp_path / "d")
        named = prepare(
            [folder, folder / "nsfw-talk.json"], tmp_path / "d", filters=Filters(channels=("bob", "general"))
        )
        assert named.tally.left_out == {"channel left out": 1}


def snow(at: float) -> str:
    return str(discord("ann", "", at=at)["id"])


@st.composite
def exports(draw: st.DrawFn) -> list[str]:
    """Lines of an export: messages of all kinds, replies to anything, copies, and lines that are none."""
    contents = st.one_of(
        st.text(max_size=40),
        st.sampled_from(["", "hi", "!play song", "```x```", "heck", "me@example.org", "a" * 50, "x" * 2500]),
        st.just("now this is a story all about how my life got flipped turned upside down and I would like"),
    )
    lines = []
    for number in range(draw(st.integers(1, 25))):
        said = line(
            draw(st.integers(number, number + 2)),
            draw(st.sampled_from(["ann", "bob", "cat", "zoe"])),
            draw(contents),
            at=draw(st.sampled_from([None, float(number), 5.0, 4000.0 * number])),
            to=draw(st.none() | st.integers(0, 30)),
            conversation=draw(st.sampled_from(["a", "b", "nsfw"])),
            is_bot=draw(st.sampled_from([False, False, False, True])),
            is_system=draw(st.sampled_from([False, False, False, True])),
        )
        lines.append(json.dumps(said))
    return [*lines, *draw(st.lists(st.sampled_from([*lines, "{", "null", ""]), max_size=5))]


class TestCounts:
    @pytest.mark.parametrize("time", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00"])
    def test_a_time_beyond_the_ends_of_the_calendar_costs_only_its_message(self, tmp_path: Path, time: str) -> None:
        talk = [line(1, "ann", "who is there?", at=1.0), line(2, "bob", "it is me", at=2.0)]
        path = write_lines(tmp_path / "c.jsonl", *talk, line(3, "zoe", "when am I?", to=2) | {"timestamp": time})
        preparation = prepare([path], tmp_path / "d")
        assert (preparation.tally.messages, preparation.tally.examples) == (2, 1)
        assert preparation.notes.garbled_records == 1

    def test_they_balance_for_ordinary_talk(self, talks: list[Path], tmp_path: Path) -> None:
        preparation = prepare(talks, tmp_path / "d")
        tally, dataset = preparation.tally, preparation.dataset
        assert tally.left_out == {"duplicate": 20}
        assert (tally.messages, tally.kept) == (920, 900)
        assert tally.turns == tally.examples + tally.skipped.total()
        assert tally.skipped["no context"] == tally.conversations
        assert tally.examples == dataset.facts["train_examples"] + dataset.facts["validation_examples"]
        assert len(dataset.train) == dataset.facts["train_examples"]
        assert dataset.facts["counts"] == tally.as_json()
        assert json.loads((tmp_path / "d" / "dataset.json").read_text())["facts"]["counts"] == tally.as_json()

    @settings(max_examples=20)
    @given(lines=exports())
    def test_they_balance_for_any_input(self, tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
        folder = tmp_path_factory.mktemp("any")
        talk = (json.dumps(each | {"conversation": "talk"}) for each in TALKS)
        (folder / "c.jsonl").write_text("\n".join([*talk, *lines]))
        preparation = prepare([folder], folder / "d", filters=Filters(blocklist=("heck",)), excluded=frozenset({"zoe"}))
        tally = preparation.tally
        known = sum('"id"' in each for each in lines) + len(TALKS)
        assert tally.messages == known
        assert tally.messages == tally.kept + tally.left_out.total()
        assert tally.turns == tally.examples + tally.skipped.total()
        assert tally.turns <= tally.kept
        rows = dict(each.rsplit(maxsplit=1) for each in tally.table().splitlines())
        assert set(rows) == {
            *("messages read", "  kept", "turns", "conversations", "examples"),
            *(f"  left out: {reason}" for reason in tally.left_out),
            *(f"  taken out of them: {kind}" for kind in tally.redacted),
            *(f"  skipped: {reason}" for reason in tally.skipped),
        }

    def test_they_are_told_as_they_rise(self, talks: list[Path], tmp_path: Path) -> None:
        told: dict[str, list[tuple[int, int]]] = {}
        tally = prepare(
            talks,
            tmp_path / "d",
            on_progress=lambda stage, done, total, unit: told.setdefault(stage, []).append((done, total)),
        ).tally
        assert list(told) == ["Reading", "Linking", "Encoding"]
        assert all(steps == sorted(steps) for steps in told.values())
        size = sum(path.stat().st_size for path in talks)
        ends = [(size, size), (tally.kept, tally.kept), (tally.examples, tally.examples)]
        assert [steps[-1] for steps in told.values()] == ends


def full(*arguments: Any, **named: Any) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


def full_database(*arguments: Any, **named: Any) -> Any:
    raise sqlite3.OperationalError("database or disk is full")


class TestFailures:
    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the files that could not be filled
    @pytest.mark.parametrize(
        ("where", "name", "fails"),
        [
            (reading.tempfile, "mkstemp", full),
            (Archive, "add_reading", full_database),
            (Archive, "settle", full_database),
            (module._Spool, "add", full),
            (conversations._NamedTurns, "add", full_database),
            (DatasetWriter, "add", full),
            (DatasetWriter, "finish", full),
            (module, "write_report", full),
        ],
    )
    def test_a_full_disk_is_one_sentence_and_leaves_the_old_dataset(
        self,
        talks: list[Path],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        where: object,
        name: str,
        fails: Callable[..., Any],
    ) -> None:
        prepare(talks[:2], tmp_path / "d")
        before = dataset_files(tmp_path / "d")
        with monkeypatch.context() as patch:
            patch.setattr(where, name, fails)
            with pytest.raises(ChinwagError, match=r"cannot be written \(.*(No space left|disk is full).*\): \w+"):
                prepare(talks, tmp_path / "d")
        assert dataset_files(tmp_path / "d") == before
        prepare(talks, tmp_path / "d")
        prepare(talks, tmp_path / "fresh")
        assert dataset_files(tmp_path / "d") == dataset_files(tmp_path / "fresh")

    def test_a_dataset_that_is_only_half_in_place_is_none_and_the_next_run_repairs_it(
        self, talks: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        prepare(talks[:1], tmp_path / "d")
        replace = os.replace

        def failing(source: Path, target: Path) -> None:
            if target.name == "train.replies.ids":
                raise PermissionError(13, "Permission denied")
            replace(source, target)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", failing)
            with pytest.raises(DatasetError, match="cannot be written"):
                prepare(talks, tmp_path / "d")
        with pytest.raises(DatasetError, match="holds no prepared dataset"):
            Dataset.open(tmp_path / "d")
        prepare(talks, tmp_path / "d")
        prepare(talks, tmp_path / "fresh")
        assert dataset_files(tmp_path / "d") == dataset_files(tmp_path / "fresh")

    def test_nothing_to_learn_from_says_why_and_leaves_nothing(self, tmp_path: Path) -> None:
        path = corpus_of(tmp_path / "c.jsonl", ["hello?"], ["anyone?"], [""])
        complaint = r"no exchange to learn from in 3 messages \(2 no context, 1 empty\)"
        with pytest.raises(DatasetError, match=complaint):
            prepare([path], tmp_path / "d")
        assert not (tmp_path / "d").exists()

    def test_no_messages_at_all_says_so(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match="hold no messages"):
            prepare([write_discord(tmp_path / "c.json")], tmp_path / "d")
        assert not (tmp_path / "d").exists()

    def test_nothing_to_learn_from_leaves_the_old_dataset(self, talks: list[Path], tmp_path: Path) -> None:
        prepare(talks[:1], tmp_path / "d")
        before = dataset_files(tmp_path / "d")
        with pytest.raises(DatasetError, match="no exchange"):
            prepare([corpus_of(tmp_path / "c.jsonl", ["hello?"])], tmp_path / "d")
        assert dataset_files(tmp_path / "d") == before

    def test_an_export_that_is_missing_leaves_the_old_dataset(self, talks: list[Path], tmp_path: Path) -> None:
        prepare(talks[:1], tmp_path / "d")
        with pytest.raises(ExportError):
            prepare([tmp_path / "missing.json"], tmp_path / "d")
        assert len(Dataset.open(tmp_path / "d").train)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["d"]

    def test_an_export_that_vanishes_is_one_plain_sentence(
        self, talks: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = shutil.copy(talks[0], tmp_path / "c.jsonl")
        find = module.find_exports

        def found(*arguments: Any, **named: Any) -> Any:
            exports = find(*arguments, **named)
            path.unlink()
            return exports

        monkeypatch.setattr(module, "find_exports", found)
        with pytest.raises(ChinwagError, match="No such file"):
            prepare([path], tmp_path / "d")

    def test_a_folder_with_something_else_is_left_alone(self, talks: list[Path], tmp_path: Path) -> None:
        (tmp_path / "precious.txt").write_text("mine")
        with pytest.raises(DatasetError, match="no dataset"):
            prepare(talks, tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]

    def test_what_else_lies_in_the_folder_of_a_dataset_stays(self, talks: list[Path], tmp_path: Path) -> None:
        prepare(talks[:1], tmp_path / "d")
        (tmp_path / "d" / "notes.txt").write_text("mine")
        prepare(talks[:2], tmp_path / "d")
        assert (tmp_path / "d" / "notes.txt").read_text() == "mine"

    def test_a_folder_that_another_process_works_in_is_refused_and_left_alone(
        self, talks: list[Path], tmp_path: Path
    ) -> None:
        prepare(talks[:1], tmp_path / "d")
        before = dataset_files(tmp_path / "d")
        with locked(tmp_path / "d"), pytest.raises(LockedError, match="Another process is at work in"):
            prepare(talks, tmp_path / "d")
        assert dataset_files(tmp_path / "d") == before
        prepare(talks, tmp_path / "d")
