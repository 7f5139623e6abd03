"""CSV and TSV tables with a header."""

from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.exports import Message, ReadNotes, csv_table
from training.exports import file as file_module
from training.exports.file import ExportFile

SECOND = 1_704_485_223.5


def opened(folder: Path, content: str | bytes, columns: dict[str, str] | None = None) -> ExportFile:
    path = folder / "table.csv"
    path.write_bytes(content if isinstance(content, bytes) else dedent(content).encode())
    return ExportFile(path, ReadNotes(), columns=columns)


def read(folder: Path, content: str | bytes, columns: dict[str, str] | None = None) -> tuple[list[Message], ReadNotes]:
    notes = ReadNotes()
    export = ExportFile(opened(folder, content).path, notes, columns=columns)
    messages = list(csv_table.read(export))
    export.finish()
    return messages, notes


def said(folder: Path, content: str | bytes) -> list[tuple[str, str]]:
    return [(message.author, message.content) for message in read(folder, content)[0]]


def test_every_column_arrives(tmp_path: Path) -> None:
    table = """\
        message_id,channel,user_id,username,date,message,parent_id,is_bot,pinned
        2,c,7,ann,2024-01-05T21:07:03.5+01:00,hi,1,true,no
        3,c,8,bob,,hello,,false,no
        """
    messages, notes = read(tmp_path, table)
    assert messages == [
        Message("c", "2", "7", SECOND, "hi", "1", is_bot=True, name="ann"),
        Message("c", "3", "8", None, "hello", None, name="bob"),
    ]
    assert notes.warnings == []


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_out(tmp_path: Path, delimiter: str) -> None:
    table = f'"Author"{delimiter}Text\r\nann{delimiter}"a,b;c\td|e"\r\n'
    assert csv_table.recognises(opened(tmp_path, table))
    assert said(tmp_path, table) == [("ann", "a,b;c\td|e")]


def test_quotes_hold_line_breaks_delimiters_and_quotes(tmp_path: Path) -> None:
    table = 'user,text\nann,"one\r\n\r\n""two"", three"\nbob,5" nails\ncat,"x"\n'
    assert said(tmp_path, table) == [("ann", 'one\n\n"two", three'), ("bob", '5" nails'), ("cat", "x")]


def test_the_user_can_say_what_a_column_means(tmp_path: Path) -> None:
    messages = read(tmp_path, "who,said,when\nann,hi,1704485223500\n", {"author": "who", "content": "said"})[0]
    assert [(message.author, message.content) for message in messages] == [("ann", "hi")]
    assert not csv_table.recognises(opened(tmp_path, "who,said,when\nann,hi,1704485223500\n"))


def test_a_quote_that_never_ends_costs_one_row(tmp_path: Path) -> None:
    rows = "".join(f"ann,line {number} of the table\n" for number in range(10_000))
    table = f'user,text\nann,first\nbob,"lost\n{rows}'
    assert len(table) > 200_000  # longer than a field may be
    messages, notes = read(tmp_path, table)
    assert [message.content for message in messages[:2]] == ["first", "line 0 of the table"]
    assert len(messages) == 10_001
    assert notes.garbled_records == 1
    assert "record 2 at byte 20 " in notes.warnings[0]


def test_a_quote_that_is_open_at_the_end_of_the_file_costs_one_row(tmp_path: Path) -> None:
    messages, notes = read(tmp_path, 'user,text\nann,"lost\nbob,two\ncat,three')
    assert [message.content for message in messages] == ["two", "three"]
    assert notes.garbled_records == 1


def test_a_row_with_too_few_columns_or_without_an_author_is_noted(tmp_path: Path) -> None:
    messages, notes = read(tmp_path, "id,user,text\n1,ann,hi\n2\n3,,hi\n\n4,bob,hi\n")
    assert [message.id for message in messages] == ["1", "4"]
    assert notes.garbled_records == 2


def test_a_last_column_without_the_quotes_it_needs_is_whole(tmp_path: Path) -> None:
    assert said(tmp_path, "user,text\nann,well, hello, you\n") == [("ann", "well, hello, you")]
    assert said(tmp_path, "text,user\nwell,ann,more\n") == [("ann", "well")]


@pytest.mark.parametrize(
    "table",
    [
        "AuthorID,Author,Date,Content,Attachments,Reactions\n",
        "AuthorID;Author;Date;Content;Attachments;Reactions;\n",
        "ID,Timestamp,Contents,Attachments\n1,2024-01-05,hi,\n",
        "price,amount\n1,2\n",
        "author\nann\n",
        "Every author, text in hand, knows that the first sentence is the hardest one of them all,text,author\n",
        "",
    ],
)
def test_tables_of_other_kinds_are_not_taken(tmp_path: Path, table: str) -> None:
    assert not csv_table.recognises(opened(tmp_path, table))


def test_byte_order_mark_nuls_and_utf_16_are_no_matter(tmp_path: Path) -> None:
    table = "user,text\r\nann,h\0i ☕\r\n"
    for content in (table.encode("utf-8-sig"), table.replace("\0", "").encode("utf-16")):
        assert csv_table.recognises(opened(tmp_path, content))
        assert said(tmp_path, content) == [("ann", "hi ☕")]


def test_ids_are_the_same_in_every_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_module, "PART_BYTES", 20)  # tables are not divided, however big
    rows = ["ann,hi,2024-01-05", "ann,hi,2024-01-05", "bob,hi,2024-01-05"]
    all_ids = [message.id for message in read(tmp_path, "\n".join(["user,text,date", *rows]))[0]]
    assert len(set(all_ids)) == 3
    assert [message.id for message in read(tmp_path, "\n".join(["user,text,date", *rows[1:]]))[0]] == [
        all_ids[0],
        all_ids[2],
    ]


@given(st.text(alphabet='ab",;\n\r\t', max_size=300))
def test_no_quotes_stop_the_reader(tmp_path_factory: pytest.TempPathFactory, garbage: str) -> None:
    table = f"user,text\nann,hi\n{garbage}"
    assert said(tmp_path_factory.getbasetemp(), table.encode())[0] == ("ann", "hi")
