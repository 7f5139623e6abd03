"""Pairs of a source and a target."""

import json
from pathlib import Path

import pytest

from training.exports import GONE, Message, ReadNotes, pairs
from training.exports import file as file_module
from training.exports.file import ExportFile

TSV = "good morning\tguten Morgen\nthe kettle boils\tder Kessel kocht\nit is 5:30\tes ist halb sechs\n"


def opened(folder: Path, content: str | bytes, columns: dict[str, str] | None = None) -> ExportFile:
    path = folder / "pairs"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return ExportFile(path, ReadNotes(), columns=columns)


def read(export: ExportFile) -> list[tuple[str, str]]:
    messages = list(pairs.read(export))
    assert [message.author for message in messages] == ["source", "target"] * (len(messages) // 2)
    return [(source.content, target.content) for source, target in zip(messages[::2], messages[1::2], strict=True)]


def test_a_target_answers_its_source_and_a_source_answers_nothing(tmp_path: Path) -> None:
    export = opened(tmp_path, TSV)
    first, second = list(pairs.read(export))[2:4]
    assert first == Message(export.channel, first.id, "source", None, "the kettle boils", GONE)
    assert second == Message(export.channel, second.id, "target", None, "der Kessel kocht", first.id)


def test_two_columns_need_no_header_and_may_be_followed_by_whose_they_are(tmp_path: Path) -> None:
    for content in (TSV, TSV.replace("\n", "\tCC-BY 2.0 (France) Attribution: tatoeba.org\n")):
        assert pairs.recognises(opened(tmp_path, content))
        assert read(opened(tmp_path, content))[1] == ("the kettle boils", "der Kessel kocht")


def test_quotes_in_two_columns_are_text(tmp_path: Path) -> None:
    assert read(opened(tmp_path, '"good morning\tguten Morgen\n"hm"\t"ja"\n')) == [
        ('"good morning', "guten Morgen"),
        ('"hm"', '"ja"'),
    ]


@pytest.mark.parametrize("names", [*pairs.COMMON_NAMES, ("en", "de")])
def test_json_lines_and_tables_name_the_two(tmp_path: Path, names: tuple[str, str]) -> None:
    source, target = names
    columns = {"source": "en", "target": "de"}
    lines = [{source: "hello\nthere", target: "hallo\nda", "id": 3}] * 2
    for content in (
        "\n".join(map(json.dumps, lines)),
        f'n,{source},{target.upper()}\n1,"hello\nthere","hallo\nda"\n2,"hello\nthere","hallo\nda"\n',
    ):
        assert pairs.recognises(opened(tmp_path, content, columns))
        assert read(opened(tmp_path, content, columns)) == [("hello\nthere", "hallo\nda")] * 2


def test_a_line_that_holds_no_two_texts_is_noted(tmp_path: Path) -> None:
    good = json.dumps({"input": "hello", "output": "hallo"}) + "\n"
    cases = [
        (TSV + "no tab\n\n" + TSV, 6),
        (good + '{"input": 5, "output": "x"}\n\n' + good, 2),
        ("question,answer\na,b\nonly one\n\nc,d\n", 2),
    ]
    for content, count in cases:
        notes = ReadNotes()
        assert len(read(ExportFile(opened(tmp_path, content).path, notes))) == count
        assert notes.garbled_records == 1


@pytest.mark.parametrize(
    "content",
    [
        "",
        "one line\twith a tab\n",
        "".join(f"2024-01-05 21:0{n}:00\thello there\n" for n in range(9)),
        "".join(f"Jan 05 21:0{n}:00 <ann>\thello there {n}\n" for n in range(9)),
        "".join(f"{name}\thello there {n}\n" for n in range(20) for name in ("ann", "bob")),
        "".join(f"1.{n}\t2.{n}\n" for n in range(9)),
        "".join(f"good day {n}\tguten Tag\tand more\n" for n in range(9)),
        "Some prose here.\n" * 30 + "a\tb\n",
        '{"user": "ann", "text": "hi"}\n',
        "user\ttext\nann\thi\n",
    ],
)
def test_what_is_no_pair_is_not_taken(tmp_path: Path, content: str) -> None:
    assert not pairs.recognises(opened(tmp_path, content))


def test_parts_together_give_the_same_messages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_module, "PART_BYTES", 50)
    content = "".join(f"good day number {n} ☕\tguten Tag Nummer {n}\n" for n in range(50))
    whole = opened(tmp_path, content)
    parts = pairs.parts(whole)
    assert len(parts) > 30
    files = [ExportFile(whole.path, ReadNotes(), part=part) for part in parts]
    assert [message for file in files for message in pairs.read(file)] == list(pairs.read(whole))
    assert pairs.parts(opened(tmp_path, "question,answer\n" + content)) == []


def test_bytes_of_any_kind_do_no_harm(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + TSV.replace("\n", "\r\n").encode() + b"caf\xe9\0\tcoffee\n"
    assert pairs.recognises(opened(tmp_path, content))
    assert [*read(opened(tmp_path, content))[::3]] == [("good morning", "guten Morgen"), ("café", "coffee")]
