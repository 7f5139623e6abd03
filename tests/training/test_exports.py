"""Finding and reading exports, whatever their format."""

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from training.exports import ExportError, Message, ReadNotes, normal_form, read_exports
from training.exports.file import ExportFile


def line(id_: str, content: str = "hi", conversation: str = "c") -> str:
    return json.dumps({"conversation": conversation, "id": id_, "author": "ann", "timestamp": None, "content": content})


def read(*paths: Path) -> tuple[list[Message], ReadNotes]:
    notes = ReadNotes()
    return list(read_exports(paths, notes)), notes


def ids(*paths: Path) -> list[str]:
    return [message.id for message in read(*paths)[0]]


def test_the_format_is_told_by_content_not_by_name(tmp_path: Path) -> None:
    path = tmp_path / "notes.csv.png"
    path.write_bytes(gzip.compress(line("1").encode()))
    assert ids(path) == ["1"]


def test_a_folder_is_read_to_the_bottom_in_sorted_order_without_hidden_files(tmp_path: Path) -> None:
    for name in ("b/x.jsonl", "a.jsonl", "b/deep/er.jsonl", ".hidden/h.jsonl", "b/.part.jsonl"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(line(name))
    assert ids(tmp_path) == ["a.jsonl", "b/x.jsonl", "b/deep/er.jsonl"]


def test_a_file_of_unknown_format_in_a_folder_is_counted_and_named(tmp_path: Path) -> None:
    (tmp_path / "chat.jsonl").write_text(line("1"))
    (tmp_path / "avatar.png").write_bytes(b"\x89PNG")
    (tmp_path / "nothing.json").write_bytes(b"")
    messages, notes = read(tmp_path)
    assert len(messages) == 1
    assert (notes.files, notes.skipped_files) == (1, 2)
    assert notes.warnings == [
        f"left out of {tmp_path}, being no known export: 2 file(s) (avatar.png, nothing.json)",
    ]


def test_many_files_of_unknown_format_make_one_short_warning(tmp_path: Path) -> None:
    (tmp_path / "chat.jsonl").write_text(line("1"))
    for number in range(100):
        (tmp_path / f"{number:03}.png").write_bytes(b"\x89PNG")
    notes = read(tmp_path)[1]
    assert notes.skipped_files == 100
    assert [warning.count(".png") for warning in notes.warnings] == [5]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("absent", None, "There is no file or folder"),
        ("empty.json", b"", "is empty"),
        ("empty.gz", gzip.compress(b""), "is empty"),
        ("page.html", b"<html>", "is no chat export that Chinwag knows"),
        ("list.json", b"[1, 2]", "is no chat export that Chinwag knows"),
        ("broken.gz", b"\x1f\x8bnonsense", "is empty"),
    ],
)
def test_what_cannot_be_read_is_one_plain_sentence_with_the_name(
    tmp_path: Path, name: str, content: bytes | None, complaint: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ExportError, match=complaint) as raised:
        read(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_folder_without_an_export_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "avatar.png").write_bytes(b"\x89PNG")
    with pytest.raises(ExportError, match="holds no chat export"):
        read(tmp_path)


def test_a_file_that_may_not_be_read_is_an_error_even_in_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed.jsonl").write_text(line("1"))

    def refuse(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ExportError, match=r"closed\.jsonl cannot be read \(Permission denied\): check its permissions"):
        read(tmp_path)


def test_an_unreadable_path_is_found_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "good.jsonl").write_text(line("1"))
    messages = read_exports([tmp_path / "good.jsonl", tmp_path / "absent"], ReadNotes())
    with pytest.raises(ExportError, match="absent"):
        next(messages)


def test_a_disk_that_fails_midway_is_an_export_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "chat.jsonl"
    path.write_text(line("1"))

    def fail(export: ExportFile) -> Iterator[Message]:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(normal_form, "read", fail)
    with pytest.raises(ExportError, match=r"chat\.jsonl cannot be read to its end \(Input/output error\)"):
        read(path)


def test_a_truncated_gzip_gives_what_came_before_and_says_so(tmp_path: Path) -> None:
    lines = "".join(line(str(number), os.urandom(20).hex()) + "\n" for number in range(2000))
    packed = gzip.compress(lines.encode())
    path = tmp_path / "chat.jsonl.gz"
    path.write_bytes(packed[: len(packed) // 2])
    messages, notes = read(path)
    assert 800 < len(messages) < 1200
    assert [message.id for message in messages] == [str(number) for number in range(len(messages))]
    assert f"the gzip file {path} is broken" in notes.warnings[-1]


def test_progress_rises_to_the_size_of_all_files(tmp_path: Path) -> None:
    plain = "".join(line(str(number)) + "\n" for number in range(5000)).encode()
    (tmp_path / "a.jsonl").write_bytes(plain)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(plain))
    total = sum(path.stat().st_size for path in tmp_path.iterdir())
    seen: list[tuple[int, int]] = []
    notes = ReadNotes(progress=lambda done, of: seen.append((done, of)))
    assert sum(1 for _ in read_exports([tmp_path], notes)) == 10_000
    assert len(seen) > 5
    assert seen == sorted(seen)
    assert seen[-1] == (total, total)
    assert {of for _, of in seen} == {total}
