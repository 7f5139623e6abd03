"""Finding and reading exports, whatever their format: files, folders, gzip, zip, and what is broken about them."""

import codecs
import gzip
import io
import json
import os
import pickle
import struct
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from training.exports import (
    Export,
    ExportError,
    Message,
    ReadNotes,
    find_exports,
    json_lines,
    packing,
    read_exports,
)
from training.exports import (
    file as file_module,
)
from training.exports.file import ExportFile


def line(id_: str, content: str = "hi", conversation: str = "c") -> str:
    return json.dumps({"conversation": conversation, "id": id_, "author": "ann", "timestamp": None, "content": content})


def lines(count: int, seed: int = 0) -> bytes:
    random = Random(seed)
    return "".join(line(str(number), random.randbytes(20).hex()) + "\n" for number in range(count)).encode()


def zipped(files: dict[str, bytes | str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def read(*paths: Path) -> tuple[list[Message], ReadNotes]:
    notes = ReadNotes()
    return list(read_exports(paths, notes)), notes


def ids(*paths: Path) -> list[str]:
    return [message.id for message in read(*paths)[0]]


def write(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_the_format_is_told_by_content_not_by_name(tmp_path: Path) -> None:
    assert ids(write(tmp_path / "notes.csv.png", gzip.compress(line("1").encode()))) == ["1"]


def test_a_folder_is_read_to_the_bottom_in_sorted_order_without_hidden_files(tmp_path: Path) -> None:
    for name in ("b/x.jsonl", "a.jsonl", "b/deep/er.jsonl", ".hidden/h.jsonl", "b/.part.jsonl"):
        write(tmp_path / name, line(name))
    assert ids(tmp_path) == ["a.jsonl", "b/x.jsonl", "b/deep/er.jsonl"]


def test_an_archive_is_read_in_sorted_order_and_may_hold_gzip_and_lie_in_a_folder(tmp_path: Path) -> None:
    members = {
        "b.jsonl": line("b"),
        "a/x.jsonl.gz": gzip.compress(line("a").encode()),
        "__MACOSX/._b.jsonl": line("fork"),
        "empty/": "",
    }
    write(tmp_path / "deep" / "export.dat", zipped(members))
    assert ids(tmp_path) == ids(tmp_path / "deep" / "export.dat") == ["a", "b"]


def test_only_a_file_that_was_given_itself_is_named_or_an_archive_of_nothing_else(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", line("1"))
    write(tmp_path / "b.zip", zipped({"c.jsonl": line("2"), "photo.jpg": "no export"}))
    write(tmp_path / "d.zip", zipped({"e.jsonl": line("3"), "f.jsonl": line("4")}))
    assert [export.is_named for export in find_exports([tmp_path / "a.jsonl"], ReadNotes())] == [True]
    assert [export.is_named for export in find_exports([tmp_path / "b.zip"], ReadNotes())] == [True]
    assert [export.is_named for export in find_exports([tmp_path / "d.zip"], ReadNotes())] == [False, False]
    assert [export.is_named for export in find_exports([tmp_path], ReadNotes())] == [False] * 4


def test_a_file_that_is_reached_twice_is_read_once(tmp_path: Path) -> None:
    path = write(tmp_path / "folder" / "chat.jsonl", line("1"))
    write(tmp_path / "folder" / "more.zip", zipped({"x": line("2")}))
    (tmp_path / "folder" / "link.jsonl").symlink_to(path)
    (tmp_path / "named").symlink_to(path)
    assert ids(tmp_path / "folder", path, tmp_path / "named", tmp_path / "folder") == ["1", "2"]
    assert ids(tmp_path / "named") == ["1"]


def test_links_to_folders_are_not_followed_and_links_that_lead_nowhere_are_noted(tmp_path: Path) -> None:
    write(tmp_path / "chat.jsonl", line("1"))
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "gone.jsonl").symlink_to(tmp_path / "absent")
    (tmp_path / "self").symlink_to(tmp_path / "self")
    messages, notes = read(tmp_path)
    assert len(messages) == 1
    assert notes.skipped_files == 3
    assert "1 file(s) that are links to folders (loop)" in notes.warnings[0]
    assert "2 file(s) that are not there, or no files (gone.jsonl, self)" in notes.warnings[1]


def test_a_pipe_in_a_folder_is_not_waited_for(tmp_path: Path) -> None:
    write(tmp_path / "chat.jsonl", line("1"))
    os.mkfifo(tmp_path / "pipe")
    assert ids(tmp_path) == ["1"]
    with pytest.raises(ExportError, match="neither a file nor a folder"):
        read(tmp_path / "pipe")


def test_a_file_of_unknown_format_in_a_folder_is_counted_and_named(tmp_path: Path) -> None:
    write(tmp_path / "chat.jsonl", line("1"))
    write(tmp_path / "avatar.png", b"\x89PNG")
    write(tmp_path / "nothing.json", b"")
    messages, notes = read(tmp_path)
    assert len(messages) == 1
    assert (notes.files, notes.skipped_files) == (1, 2)
    assert notes.warnings == [
        f"left out of {tmp_path}: 2 file(s) that are in no known format (avatar.png, nothing.json)"
    ]


def test_many_files_of_unknown_format_make_one_short_warning(tmp_path: Path) -> None:
    write(tmp_path / "chat.jsonl", line("1"))
    for number in range(100):
        write(tmp_path / f"{number:03}.png", b"\x89PNG")
    notes = read(tmp_path)[1]
    assert notes.skipped_files == 100
    assert [warning.count(".png") for warning in notes.warnings] == [5]


def test_what_is_read_as_a_last_resort_is_left_out_beside_an_export(tmp_path: Path) -> None:
    prose = "The kettle was old. It had stood in the attic for years, and nobody missed it.\n\n" * 5
    write(tmp_path / "about.txt", prose)
    assert read(tmp_path)[1].files == 1
    write(tmp_path / "chat.jsonl", line("1"))
    messages, notes = read(tmp_path)
    assert [message.id for message in messages] == ["1"]
    assert "about.txt" in notes.warnings[0]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("absent", None, "There is no file or folder"),
        ("empty.json", b"", "is empty"),
        ("empty.gz", gzip.compress(b"", mtime=0), "is empty"),
        ("page.html", b"<html>", "is no chat export that Chinwag knows"),
        ("list.json", b"[1, 2]", "is no chat export that Chinwag knows"),
        ("broken.gz", b"\x1f\x8bnonsense", "cannot be unpacked"),
        ("broken.zip", b"PK\x03\x04nonsense", "cannot be opened"),
        ("empty.zip", zipped({}), r"holds no chat export that Chinwag knows \(no files at all\)"),
        (
            "matryoshka.zip",
            zipped({"a.zip": zipped({"chat.jsonl": line("1")})}),
            r"knows \(1 file\(s\) are in no known",
        ),
        ("matryoshka.gz", gzip.compress(gzip.compress(line("1").encode())), "is no chat export that Chinwag knows"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else None,  # packed bytes hold the time: no two workers' agree
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
    write(tmp_path / "avatar.png", b"\x89PNG")
    with pytest.raises(ExportError, match="holds no chat export"):
        read(tmp_path)


def test_a_file_that_may_not_be_read_is_noted_in_a_folder_and_an_error_if_it_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "open.jsonl", line("1"))
    closed = write(tmp_path / "closed.jsonl", line("2"))
    open_file = ExportFile.open

    def refuse(export: ExportFile) -> object:
        if export.path == closed:
            raise PermissionError(13, "Permission denied", str(closed))
        return open_file(export)

    monkeypatch.setattr(ExportFile, "open", refuse)
    messages, notes = read(tmp_path)
    assert [message.id for message in messages] == ["1"]
    assert "1 file(s) that cannot be read (Permission denied) (closed.jsonl)" in notes.warnings[0]
    with pytest.raises(ExportError, match=r"closed\.jsonl cannot be read \(Permission denied\): check its permissions"):
        read(closed)


def test_a_folder_that_may_not_be_entered_is_noted_inside_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "chat.jsonl", line("1"))
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def refuse(path: str | Path = ".") -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert "cannot be read (Permission denied) (closed)" in read(tmp_path)[1].warnings[0]
    with pytest.raises(ExportError, match="closed cannot be read"):
        read(tmp_path / "closed")


def test_an_unreadable_path_is_found_before_anything_is_read(tmp_path: Path) -> None:
    write(tmp_path / "good.jsonl", line("1"))
    messages = read_exports([tmp_path / "good.jsonl", tmp_path / "absent"], ReadNotes())
    with pytest.raises(ExportError, match="absent"):
        next(messages)


def test_a_disk_that_fails_midway_is_an_export_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "chat.jsonl", line("1"))

    def fail(export: ExportFile) -> Iterator[Message]:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(json_lines, "read", fail)
    with pytest.raises(ExportError, match=r"chat\.jsonl cannot be read to its end \(Input/output error\)"):
        read(path)


def test_names_cannot_speak_to_the_terminal(tmp_path: Path) -> None:
    evil = "\x1b]0;evil\x07\u202e" + "x" * 2000
    path = write(tmp_path / "a.zip", zipped({evil: b"\x89PNG", f"{evil}.jsonl": b"\xff\n" + line("1").encode() * 2}))
    notes = ReadNotes()
    with pytest.raises(ExportError) as raised:
        read(path)
    write(path, zipped({evil: b"\x89PNG", f"{evil}.jsonl": line("1") + "\n{]\n"}))
    list(read_exports([path], notes))
    assert len(notes.warnings) == 2
    for sentence in (*notes.warnings, str(raised.value)):
        assert sentence.isprintable()
        assert len(sentence) < 1000


def test_names_that_climb_out_of_an_archive_are_no_matter(tmp_path: Path) -> None:
    path = write(tmp_path / "folder" / "a.zip", zipped({"../../up.jsonl": line("1"), "/root.jsonl": line("2")}))
    assert sorted(ids(path)) == ["1", "2"]
    assert sorted(found.name for found in tmp_path.rglob("*")) == ["a.zip", "folder"]


def test_a_truncated_gzip_gives_what_came_before_and_says_so(tmp_path: Path) -> None:
    packed = gzip.compress(lines(2000))
    path = write(tmp_path / "chat.jsonl.gz", packed[: len(packed) // 2])
    messages, notes = read(path)
    assert 800 < len(messages) < 1200
    assert [message.id for message in messages] == [str(number) for number in range(len(messages))]
    assert notes.warnings[-1].startswith(f"{path} cannot be unpacked to its end")


def test_a_truncated_zip_gives_what_came_before_and_says_so(tmp_path: Path) -> None:
    packed = zipped({"a.jsonl": line("first"), "b.jsonl": lines(2000)})
    path = write(tmp_path / "chat.zip", packed[: len(packed) // 2])
    messages, notes = read(path)
    assert 700 < len(messages) < 1200
    assert messages[0].id == "first"
    assert f"The archive {path} is broken" in notes.warnings[0]
    assert f"{path}/b.jsonl cannot be unpacked to its end" in notes.warnings[-1]


def test_a_zip_without_its_directory_is_read_even_if_sizes_come_after_the_data(tmp_path: Path) -> None:
    class Unseekable(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError

    buffer = Unseekable()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jsonl", line("1"))
        archive.writestr("b.jsonl", line("2"))
        whole = len(buffer.getvalue())
    messages, notes = read(write(tmp_path / "chat.zip", buffer.getvalue()[:whole]))
    assert [message.id for message in messages] == ["1", "2"]
    assert len(notes.warnings) == 1


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_wrong_checksum_is_told_and_the_content_kept(tmp_path: Path, method: int) -> None:
    packed = bytearray(zipped({"a.jsonl": lines(50)}, method))
    directory = packed.index(b"PK\x01\x02")
    packed[directory + 16] ^= 1
    messages, notes = read(write(tmp_path / "chat.zip", bytes(packed)))
    assert len(messages) == 50
    assert "its checksum is wrong" in notes.warnings[-1]


def test_data_that_breaks_in_an_archive_costs_only_what_follows(tmp_path: Path) -> None:
    packed = bytearray(zipped({"a.jsonl": lines(2000), "b.jsonl": line("last")}))
    packed[len(packed) // 2 : len(packed) // 2 + 20] = b"\xff" * 20
    messages, notes = read(write(tmp_path / "chat.zip", bytes(packed)))
    assert 700 < len(messages) < 2001
    assert messages[-1].id == "last"
    assert any("a.jsonl cannot be unpacked to its end" in warning for warning in notes.warnings)


def test_members_that_need_a_password_are_left_out_and_named(tmp_path: Path) -> None:
    packed = bytearray(zipped({"locked.jsonl": line("1"), "open.jsonl": line("2")}))
    packed[packed.index(b"PK\x01\x02") + 8] |= 1
    messages, notes = read(write(tmp_path / "chat.zip", bytes(packed)))
    assert [message.id for message in messages] == ["2"]
    assert "1 file(s) that need a password: unpack them yourself (locked.jsonl)" in notes.warnings[0]


def test_a_member_whose_header_is_gone_or_that_is_packed_strangely_is_left_out(tmp_path: Path) -> None:
    packed = bytearray(zipped({"a.jsonl": line("1"), "b.jsonl": line("2"), "c.jsonl": line("3")}))
    packed[:2] = b"PK"
    packed[packed.index(b"PK\x03\x04", 10)] = 0
    first = packed.index(b"PK\x01\x02")
    packed[first + 10 : first + 12] = struct.pack("<H", zipfile.ZIP_LZMA)
    messages, notes = read(write(tmp_path / "chat.zip", bytes(packed)))
    assert [message.id for message in messages] == ["3"]
    assert "2 file(s)" in notes.warnings[0]


def test_a_bomb_of_one_file_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "_BOMB_BYTES", 1 << 18)
    bomb = lines(20) + b" " * (1 << 24)
    messages, notes = read(write(tmp_path / "bomb.gz", gzip.compress(bomb)))
    assert len(messages) == 20
    assert "as only a bomb does" in notes.warnings[-1]
    with pytest.raises(ExportError, match="as only a bomb does"):
        read(write(tmp_path / "bomb.zip", zipped({"a": bomb})))


def test_a_bomb_of_many_files_is_not_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "many.zip", zipped({f"{number:04}": line("1") for number in range(1000)}))
    monkeypatch.setattr(packing, "_MAX_DIRECTORY_BYTES", 10_000)
    with pytest.raises(ExportError, match="more files than any export"):
        read(path)


def test_a_bomb_of_many_files_without_a_directory_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = zipped({f"{number:04}": line("1") for number in range(1000)})
    monkeypatch.setattr(packing, "_MAX_MEMBERS", 100)
    assert read(write(tmp_path / "many.zip", packed[: packed.index(b"PK\x01\x02")]))[1].files == 100


def test_files_in_an_archive_that_overlap_are_not_entered(tmp_path: Path) -> None:
    packed = zipped({"a.jsonl": lines(100)})
    begin, end = packed.index(b"PK\x01\x02"), packed.index(b"PK\x05\x06")
    entries = b"".join(packed[begin:end].replace(b"a.jsonl", b"%07d" % number) for number in range(50))
    tail = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 50, 50, len(entries), begin, 0)
    with pytest.raises(ExportError, match="its files overlap"):
        read(write(tmp_path / "overlap.zip", packed[:begin] + entries + tail))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_any_unicode_is_read_with_or_without_a_mark(tmp_path: Path, encoding: str) -> None:
    content = f"{line('1')}\r\n{json.dumps(json.loads(line('2', 'ünïcødé ☕')), ensure_ascii=False)}\r\n"
    for name, data in {"a": content.encode(encoding), "b.gz": gzip.compress(content.encode(encoding))}.items():
        messages, notes = read(write(tmp_path / name, data))
        assert [message.content for message in messages] == ["hi", "ünïcødé ☕"]
        assert notes.warnings == []


def test_a_line_in_another_encoding_is_read_as_windows_1252(tmp_path: Path) -> None:
    path = write(tmp_path / "x", b"caf\xc3\xa9\r\ncaf\xe9\x85\n" + codecs.BOM_UTF8 + b"a\0b")
    assert list(ExportFile(path, ReadNotes()).lines()) == [(0, "café"), (7, "café…"), (13, "ab")]


def test_a_line_of_any_length_is_left_out_in_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_module, "MAX_LINE_BYTES", 1000)
    path = write(tmp_path / "x", b"a\n" + b"x" * 10_000 + b"\nb\n")
    notes = ReadNotes()
    assert list(ExportFile(path, notes).lines()) == [(0, "a"), (10_003, "b")]
    assert notes.warnings == [f"record 2 at byte 2 of {path} is garbled and left out (a line of more than 0 MiB)"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_parts_together_hold_each_line_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(file_module, "PART_BYTES", size)
    path = write(tmp_path / "x", b"one\n\ntwo\r\nthree three\n" + b"four")
    whole = ExportFile(path, ReadNotes())
    found = [line for part in whole.ranges() for line in ExportFile(path, ReadNotes(), part=part).lines()]
    assert found == (list(whole.lines()) if size < 100 else [])


def test_what_is_packed_or_in_another_encoding_is_not_divided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_module, "PART_BYTES", 1)
    path = write(tmp_path / "a.gz", gzip.compress(b"x" * 100))
    assert ExportFile(path, ReadNotes()).ranges() == []
    assert ExportFile(write(tmp_path / "b", "text".encode("utf-16")), ReadNotes()).ranges() == []
    path = write(tmp_path / "c.zip", zipped({"x": b"x" * 100}))
    assert ExportFile(path, ReadNotes(), member="x").ranges() == []


def test_what_lies_beside_an_export_can_be_looked_at(tmp_path: Path) -> None:
    write(tmp_path / "users.json", b"plain")
    plain = ExportFile(write(tmp_path / "general" / "day.json", b"x"), ReadNotes())
    packed = write(tmp_path / "a.zip", zipped({"users.json": b"packed", "general/day.json": b"x"}))
    member = ExportFile(packed, ReadNotes(), member="general/day.json")
    assert (plain.sibling("../users.json"), member.sibling("../users.json")) == (b"plain", b"packed")
    assert plain.sibling("absent") is member.sibling("absent") is None


def test_a_thousand_files_in_an_archive_are_found_without_reading_its_directory_for_each(tmp_path: Path) -> None:
    path = write(tmp_path / "many.zip", zipped({f"{number:04}": line(str(number)) for number in range(2000)}))
    begin = time.process_time()
    assert len(find_exports([path], ReadNotes())) == 2000
    assert time.process_time() - begin < 5  # reading it each time takes a minute


def test_an_export_can_be_sent_to_another_process(tmp_path: Path) -> None:

    export = find_exports([write(tmp_path / "a", line("1"))], ReadNotes(), columns={"name": "nick"})[0]
    copy: Export = pickle.loads(pickle.dumps(export))
    assert copy == export
    assert [message.id for message in copy.messages(copy.open(ReadNotes()))] == ["1"]


def test_a_column_that_chinwag_does_not_know_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a", line("1"))
    with pytest.raises(ExportError, match=r"There is no column autor: Chinwag knows author, content,"):
        find_exports([path], ReadNotes(), columns={"autor": "nick"})
