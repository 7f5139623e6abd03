"""Files of SQLite, with what happens to files: damage, locks, upgrades. Never taken for empty, never lost."""

import multiprocessing
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import peewee
import pytest

from model import ChinwagError
from model.database import Schema
from model.sqlite_file import SqliteFile

ROOT = Path(__file__).parents[2]


class BooksError(ChinwagError):
    """What is raised here."""


BOOKS = Schema(
    application=0x426F6F6B,
    steps=("CREATE TABLE book (id INTEGER PRIMARY KEY, title TEXT NOT NULL); CREATE TABLE lent (book INTEGER)",),
    error=BooksError,
    holds="lists the books",
)
LATER = replace(
    BOOKS,
    steps=(
        *BOOKS.steps,
        "ALTER TABLE book ADD COLUMN author TEXT NOT NULL DEFAULT 'unknown'",
        "CREATE INDEX book_title ON book (title); UPDATE book SET title = upper(title)",
    ),
)
BOOK = peewee.Table("book")
TITLES = {number: f"title {number} " + "x" * (number % 90) for number in range(1, 501)}


def write(database: SqliteFile, titles: dict[int, str]) -> None:
    with database.transaction(write=True) as transaction:
        for id, title in titles.items():
            transaction.run(BOOK.insert(id=id, title=title))


def read(database: SqliteFile) -> dict[int, str]:
    with database.transaction(write=False) as transaction:
        return dict(transaction.run(BOOK.select(BOOK.c.id, BOOK.c.title)))


def beside(path: Path) -> list[str]:
    """The names of the other files, but for the lock that mending takes and what a kill leaves."""
    others = (each.name for each in path.parent.iterdir() if each != path)
    return sorted(name for name in others if not name.endswith((".lock", "-journal")))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "books.sqlite"


@pytest.fixture
def books(path: Path) -> SqliteFile:
    database = SqliteFile(path, BOOKS)
    write(database, TITLES)
    return database


def overwrite(path: Path, place: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        file.write(content)


def flip_pages(path: Path, *pages: int) -> None:
    """Turn all bits of pages, counted from 1."""
    content = bytearray(path.read_bytes())
    for page in pages:
        place = slice(4096 * (page - 1), 4096 * page)
        content[place] = bytes(255 - byte for byte in content[place])
    path.write_bytes(content)


DAMAGE: dict[str, tuple[Callable[[Path], object], int]] = {
    "a page in the middle": (lambda path: flip_pages(path, 5), 300),
    "several pages": (lambda path: flip_pages(path, 4, 7), 100),
    "the first page": (lambda path: flip_pages(path, 1), 0),
    "the page of all others": (lambda path: flip_pages(path, 2), 0),
    "cut short": (lambda path: os.truncate(path, path.stat().st_size // 2), 100),
    "cut within a page": (lambda path: os.truncate(path, path.stat().st_size - 1000), 300),
    "zero length": (lambda path: os.truncate(path, 0), 0),
    "no database": (lambda path: path.write_bytes(b"dear diary, " * 1000), 0),
    "zeros": (lambda path: path.write_bytes(bytes(path.stat().st_size)), 0),
    "a text in the midst": (lambda path: overwrite(path, 4096 * 6 + 10, b"dear diary" * 50), 200),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_seen_explained_and_mended_with_what_can_be_read(books: SqliteFile, path: Path, name: str) -> None:
    damage, least = DAMAGE[name]
    damage(path)
    damaged = path.read_bytes()
    for database in (books, SqliteFile(path, BOOKS)):
        for write_it in (False, True):
            with (
                pytest.raises(BooksError, match=r"books\.sqlite, which lists the books, is damaged \(.*\): put back a"),
                database.transaction(write=write_it),
            ):
                pass
        with pytest.raises(BooksError, match="is damaged"):
            database.inspect()
    assert path.read_bytes() == damaged
    told = books.mend()
    assert told is not None
    saved = read(books)
    assert saved.items() <= TITLES.items()
    assert len(saved) >= least
    counted = "1 of its entries" if len(saved) == 1 else f"{len(saved)} of its entries"
    assert f"{counted} could be saved" in told
    assert "\n" not in told
    (kept,) = beside(path)
    assert kept in told
    assert kept.startswith("books.sqlite.damaged.20")
    assert path.with_name(kept).read_bytes() == damaged
    assert (books.mend(), SqliteFile(path, BOOKS).mend()) == (None, None)
    write(books, {1000: "new"})


def test_a_whole_or_missing_file_is_left_alone(books: SqliteFile, path: Path) -> None:
    before = path.read_bytes()
    assert books.mend() is None
    books.inspect()
    assert path.read_bytes() == before
    assert SqliteFile(path.with_name("other.sqlite"), BOOKS).mend() is None
    assert beside(path) == []


def test_a_text_that_cannot_be_read_is_damage_and_not_shown(books: SqliteFile, path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content.replace(b"title 77 x", b"title 77 \xff"))
    with pytest.raises(BooksError, match="is damaged") as raised:
        read(books)
    assert "title" not in str(raised.value)
    told = books.mend()
    assert told is not None
    assert "title" not in told
    assert read(books) == {number: title for number, title in TITLES.items() if number != 77}


def test_any_byte_may_be_flipped(books: SqliteFile, path: Path) -> None:
    whole, rng = path.read_bytes(), random.Random(1)
    for _ in range(40):
        content = bytearray(whole)
        for _ in range(rng.choice([1, 30])):
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
        database = SqliteFile(path, BOOKS)
        try:
            database.mend()
        except BooksError as error:  # the bytes that say whose file it is, or of which version
            assert "not written by Chinwag" in str(error) or "later version" in str(error)  # noqa: PT017
            assert path.read_bytes() == content
            continue
        assert len(read(database)) <= len(TITLES)
        write(database, {1000: "new"})


def test_two_that_mend_at_once_lose_nothing(books: SqliteFile, path: Path) -> None:
    flip_pages(path, 4)

    def mend(_: int) -> str | None:
        try:
            return SqliteFile(path, BOOKS).mend()
        except ChinwagError as error:
            return f"{error}"

    with ThreadPoolExecutor(4) as threads:
        told = list(threads.map(mend, range(4)))
    assert sum("could be saved" in each for each in told if each) == 1
    assert len(beside(path)) == 1


def test_a_folder_that_cannot_be_written_leaves_the_damaged_file(
    books: SqliteFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flip_pages(path, 4)

    def refuse(*args: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    damaged = path.read_bytes()
    with pytest.raises(BooksError, match=r"cannot be mended .*Permission denied"):
        books.mend()
    assert path.read_bytes() == damaged


_HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
connection.execute("INSERT INTO book (id, title) VALUES (999, 'half written')")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_file_that_another_process_holds_is_said_and_nothing_is_lost(books: SqliteFile, path: Path) -> None:
    impatient = SqliteFile(path, BOOKS, timeout=0.1)
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        for use in (lambda: write(impatient, {1000: "new"}), lambda: read(impatient), impatient.mend):
            with pytest.raises(BooksError, match=r"lists the books, has been in use by another process for 0\.1 sec"):
                use()
        process.kill()
    assert read(impatient) == TITLES
    assert beside(path) == []


def _upgrade(path: Path, barrier: "multiprocessing.synchronize.Barrier") -> None:
    barrier.wait()
    assert len(read(SqliteFile(path, LATER))) == len(TITLES)


def test_an_older_file_is_brought_up_to_date_once_and_kept(books: SqliteFile, path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(3)
    processes = [context.Process(target=_upgrade, args=(path, barrier)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    later = SqliteFile(path, LATER)
    with later.transaction(write=True) as transaction:
        rows = transaction.run(BOOK.select(BOOK.c.title, BOOK.c.author).order_by(BOOK.c.id))
    assert rows == [(title.upper(), "unknown") for title in TITLES.values()]
    (kept,) = beside(path)
    assert kept.startswith("books.sqlite.version-1.20")
    assert read(SqliteFile(path.with_name(kept), BOOKS)) == TITLES


def test_a_file_from_before_versions_were_written_down_is_the_first(books: SqliteFile, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 0")
    assert len(read(SqliteFile(path, LATER))) == len(TITLES)


def test_an_upgrade_that_fails_changes_nothing(books: SqliteFile, path: Path) -> None:
    broken = replace(LATER, steps=(*LATER.steps, "INSERT INTO book (id) VALUES (1)"))
    with pytest.raises(BooksError, match=r"cannot be read .*NOT NULL"):
        read(SqliteFile(path, broken))
    assert read(books) == TITLES
    with books.transaction(write=False) as transaction:
        assert transaction.run(peewee.Table("book").select(peewee.SQL("*")))[0] == (1, TITLES[1])


def test_a_new_file_is_of_the_last_version(path: Path) -> None:
    write(SqliteFile(path, LATER), {1: "one"})
    assert read(SqliteFile(path, LATER)) == {1: "one"}
    assert beside(path) == []


def test_a_damaged_file_of_before_is_mended_and_brought_up_to_date(books: SqliteFile, path: Path) -> None:
    flip_pages(path, 4)
    later = SqliteFile(path, LATER)
    assert later.mend() is not None
    with later.transaction(write=False) as transaction:
        titles = transaction.run(BOOK.select(BOOK.c.id, BOOK.c.title, BOOK.c.author))
    assert len(titles) > 300
    assert {(id, title) for id, title, _ in titles} <= set(TITLES.items())


def test_a_file_of_a_later_version_is_refused_and_left_alone(path: Path) -> None:
    write(SqliteFile(path, LATER), {1: "one"})
    before, books = path.read_bytes(), SqliteFile(path, BOOKS)
    for use in (lambda: write(books, {2: "two"}), lambda: read(books), books.mend):
        with pytest.raises(BooksError, match=r"later version of Chinwag \(its format is 3, this one knows 1\): update"):
            use()
    assert path.read_bytes() == before
    assert beside(path) == []


def test_another_programs_file_is_refused_and_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE book (id, title)")
    before, books = path.read_bytes(), SqliteFile(path, BOOKS)
    for use in (lambda: write(books, {2: "two"}), lambda: read(books), books.mend):
        with pytest.raises(BooksError, match="was not written by Chinwag: move it away"):
            use()
    assert path.read_bytes() == before


def test_the_state_tells_changes_apart_or_says_nothing(books: SqliteFile, path: Path) -> None:
    assert books.state() is None  # it has only just been written: another change may look the same
    os.utime(path, (1, 1))
    seen = books.state()
    assert seen is not None
    assert seen == SqliteFile(path, BOOKS).state()
    write(SqliteFile(path, BOOKS), {1000: "new"})
    assert books.state() != seen
    path.unlink()
    assert books.state() == ()


def test_a_file_is_checked_again_only_when_another_one_has_changed_it(
    books: SqliteFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: list[str] = []
    connect = sqlite3.connect

    def traced(*args: object, **options: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **options)  # type: ignore[call-overload]
        connection.set_trace_callback(statements.append)
        return connection

    monkeypatch.setattr(sqlite3, "connect", traced)

    def checks() -> int:
        read(books)
        found = sum("quick_check" in each for each in statements)
        statements.clear()
        return found

    assert checks() == 0  # just written by itself
    write(SqliteFile(path, BOOKS), {1000: "new"})
    statements.clear()
    assert (checks(), checks()) == (1, 0)
