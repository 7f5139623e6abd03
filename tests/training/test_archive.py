"""The messages on disk: each once, by channel, in order of time, and of finished readings only."""

import itertools
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.archive import BEGINNING, END, FILE_NAME, NO_CLOCK, Archive, ArchivedMessage, ReadMessage
from training.exports import GONE, ExportError


def message(
    id_: str,
    time: float = 1.0,
    *,
    channel: str = "c",
    place: int = 0,
    author: str = "ann",
    text: str = "hi",
    reply_to: str | None = None,
    edited: float | None = None,
    mentions: str = "",
    signature: bytes | None = None,
) -> ReadMessage:
    return ReadMessage(channel, time, place, id_, author, text, reply_to, edited, mentions, signature)


def add(archive: Archive, *messages: ReadMessage, key: str | None = None) -> None:
    archive.add_reading(key or f"reading {len(archive.summaries())}", "{}", messages, ())


def ids(messages: Iterable[ArchivedMessage]) -> list[str]:
    return [message.id for message in messages]


def texts_of(folder: Path, readings: Iterable[Iterable[ReadMessage]]) -> list[str]:
    """The texts that a new archive gives of some readings."""
    for path in folder.glob(f"{FILE_NAME}*"):
        path.unlink()
    with Archive(folder) as archive:
        for reading in readings:
            add(archive, *reading)
        archive.settle()
        return [message.text for message in archive.messages()]


def test_messages_come_back_as_they_were_after_the_archive_was_closed(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        add(
            archive,
            message("1", 1.5, channel="a", place=7, text="hi ☕🔥\nyou", mentions="bob\ncat", signature=b"\0" * 32),
            message("2", NO_CLOCK, channel="b", author="bob", reply_to=GONE),
            message("3", 2.0, channel="a", reply_to="1"),
        )
        archive.settle()
    with Archive(tmp_path) as archive:
        assert list(archive.messages()) == [
            ArchivedMessage("a", 1.5, 7, "1", "ann", "hi ☕🔥\nyou", None, ("bob", "cat"), b"\0" * 32, True),
            ArchivedMessage("a", 2.0, 0, "3", "ann", "hi", "1", (), None, False),
            ArchivedMessage("b", NO_CLOCK, 0, "2", "bob", "hi", GONE, (), None, False),
        ]
        assert [message.timestamp for message in archive.messages()] == [1.5, 2.0, None]
        assert len(archive) == 3


def test_order_is_channel_then_time_then_place_whatever_the_order_of_arrival(tmp_path: Path) -> None:
    messages = [
        message("z", 2.0, channel="a", place=1, text="1"),
        message("y", 2.0, channel="a", place=2, text="2"),
        message("x", 1.0, channel="b", place=9, text="3"),
        message("w", 3.0, channel="b", place=0, text="4"),
    ]
    for arrival in itertools.permutations(messages):
        assert texts_of(tmp_path, [arrival[:2], arrival[2:]]) == ["1", "2", "3", "4"]


def test_one_id_in_two_channels_is_two_messages(tmp_path: Path) -> None:
    assert len(texts_of(tmp_path, [[message("1", channel="a"), message("1", channel="b")]])) == 2


def test_a_message_exported_twice_is_there_once(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        add(archive, message("1", 1.0), message("2", 2.0))
        add(archive, message("2", 2.0), message("3", 3.0))
        archive.settle()
        assert ids(archive.messages()) == ["1", "2", "3"]
        assert len(archive) == 3


@pytest.mark.parametrize("same_reading", [True, False])
def test_the_last_edit_wins_in_any_order(tmp_path: Path, same_reading: bool) -> None:
    versions = [
        message("1", text="zzz"),
        message("1", text="mmm", edited=5.0),
        message("1", text="aaa", edited=6.0),
    ]
    for arrival in itertools.permutations(versions):
        assert texts_of(tmp_path, [arrival] if same_reading else [[each] for each in arrival]) == ["aaa"]


def test_the_last_edit_wins_even_if_its_export_has_another_time_and_place(tmp_path: Path) -> None:
    versions = [message("1", 1.0, text="old"), message("1", 1.5, place=3, text="new", edited=9.0)]
    for arrival in itertools.permutations(versions):
        assert texts_of(tmp_path, [[each] for each in arrival]) == ["new"]


@pytest.mark.parametrize("same_reading", [True, False])
def test_of_versions_that_were_not_edited_the_same_one_wins_in_any_order(tmp_path: Path, same_reading: bool) -> None:
    versions = [
        message("1"),
        message("1", text="hey"),
        message("1", text="hey", author="bob"),
        message("1", text="hey", author="bob", mentions="cat"),
        message("1", reply_to="0"),
        message("1", reply_to="0", mentions="dan"),
    ]
    for number, arrival in enumerate(itertools.permutations(versions)):
        if number % 50 == 0:
            folder = tmp_path / str(number)
            folder.mkdir()
            with Archive(folder) as archive:
                for reading in [arrival] if same_reading else [[each] for each in arrival]:
                    add(archive, *reading)
                archive.settle()
                (only,) = archive.messages()
                assert (only.text, only.reply_to, only.author, only.mentions) == ("hi", "0", "ann", ("dan",))


def test_a_duplicate_is_one_only_as_long_as_the_other_copy_is_there(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        add(archive, message("1", text="old"), key="old")
        add(archive, message("1", text="new", edited=2.0), key="new")
        archive.settle()
        archive.keep_only({"old"})
        archive.settle()
        assert [each.text for each in archive.messages()] == ["old"]


def test_a_message_that_another_one_names_is_a_target(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        add(archive, message("1", 1.0), message("2", 2.0), message("1", 1.0, channel="d"))
        add(archive, message("3", 3.0, reply_to="1"))
        archive.settle()
        assert [(each.channel, each.id) for each in archive.messages() if each.is_target] == [("c", "1")]


def test_readings_are_remembered_until_they_are_no_longer_wanted(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        archive.add_reading("a", "one", [message("1", 1.0)], ())
        archive.add_reading("b", "two", [message("2", 2.0)], ())
        archive.add_reading("c", "three", [message("3", 3.0)], ())
    with Archive(tmp_path) as archive:
        assert archive.summaries() == {"a": "one", "b": "two", "c": "three"}
        archive.keep_only({"a", "c", "never read"})
        archive.settle()
        assert archive.summaries() == {"a": "one", "c": "three"}
        assert ids(archive.messages()) == ["1", "3"]


def test_a_reading_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def messages() -> Iterator[ReadMessage]:
        yield message("2")
        raise KeyboardInterrupt

    with Archive(tmp_path) as archive:
        add(archive, message("1"), key="whole")
        with pytest.raises(KeyboardInterrupt):
            archive.add_reading("half", "{}", messages(), ())
        assert list(archive.summaries()) == ["whole"]
        archive.settle()
        assert ids(archive.messages()) == ["1"]


def test_what_is_deleted_cannot_be_read_from_the_raw_file(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        add(
            archive,
            *(message(str(n), float(n), text=f"private words {n}", author=f"zoe{n}") for n in range(500)),
            key="a",
        )
        add(archive, *(message(str(n), float(n), text=f"public words {n}") for n in range(500, 600)), key="b")
        archive.settle()
        archive.keep_only({"b"})
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"public words" in content
    assert b"private words" not in content
    assert b"zoe" not in content


copies = st.lists(
    st.lists(
        st.builds(
            message,
            st.sampled_from("123456789"),
            st.sampled_from([NO_CLOCK, 1.0, 2.0]),
            channel=st.sampled_from("ab"),
            place=st.integers(-1, 1),
            text=st.sampled_from("xy"),
            edited=st.sampled_from([None, 1.0, 2.0]),
        ),
        max_size=12,
    ),
    max_size=4,
)


@settings(max_examples=30)
@given(readings=copies, size=st.integers(1, 9))
def test_pieces_of_any_size_together_hold_each_message_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, readings: list[list[ReadMessage]], size: int
) -> None:
    with Archive(tmp_path_factory.mktemp("archive")) as archive:
        for reading in readings:
            add(archive, *reading)
        archive.settle()
        everything = list(archive.messages())
        pieces = list(archive.pieces(size))
        assert [each for begin, end in pieces for each in archive.messages(begin, end)] == everything
        assert pieces[0][0] == BEGINNING
        assert pieces[-1][1] == END
        assert len(everything) == len(archive) == len({(each.channel, each.id) for each in everything})
        assert len({each.id for reading in readings for each in reading if each.channel == "a"}) == len(
            [each for each in everything if each.channel == "a"]
        )


@settings(max_examples=15)
@given(readings=copies, count=st.integers(1, 5))
def test_before_gives_the_last_messages_of_the_channel(
    tmp_path_factory: pytest.TempPathFactory, readings: list[list[ReadMessage]], count: int
) -> None:
    with Archive(tmp_path_factory.mktemp("archive")) as archive:
        for reading in readings:
            add(archive, *reading)
        archive.settle()
        everything = list(archive.messages())
        for index, each in enumerate(everything):
            earlier = [other for other in everything[:index] if other.channel == each.channel]
            assert archive.before(each.position, count) == earlier[-count:]


@pytest.mark.parametrize("content", [b"half an archive", b"SQLite format 3\0" + b"x" * 5000])
def test_a_damaged_file_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    assert texts_of_existing(tmp_path) == ["hi"]


def texts_of_existing(folder: Path) -> list[str]:
    with Archive(folder) as archive:
        add(archive, message("1"))
        archive.settle()
        return [each.text for each in archive.messages()]


def test_damage_deep_in_the_file_is_one_plain_sentence(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        add(archive, *(message(str(n), float(n), text=f"text {n}" * 20) for n in range(1000)))
        archive.settle()
    path = tmp_path / FILE_NAME
    content = path.read_bytes()
    path.write_bytes(content[:8192] + b"\xff" * (len(content) - 8192))
    with pytest.raises(ExportError, match=r"messages\.sqlite is damaged .* delete it and run again"):
        texts_of_existing(tmp_path)


def test_a_full_disk_is_one_plain_sentence(tmp_path: Path) -> None:
    complaint = r"messages\.sqlite cannot be written .* make room on that disk"
    with pytest.raises(ExportError, match=complaint), Archive(tmp_path):
        raise sqlite3.OperationalError("database or disk is full")


def test_an_archive_that_cannot_be_opened_is_one_plain_sentence(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(ExportError, match=r"messages\.sqlite cannot be written"):
        Archive(tmp_path)


def small_disk(folder: Path) -> Archive:
    archive = Archive(folder)
    archive._database.execute("PRAGMA max_page_count = 12")  # then SQLite says what it says of a disk that is full
    return archive


def test_a_disk_that_is_full_in_the_midst_of_a_reading_loses_that_reading_only(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        add(archive, message("1"), key="whole")
    with pytest.raises(ExportError, match="make room"), small_disk(tmp_path) as archive:
        add(archive, *(message(str(n), text=f"text {n}" * 50) for n in range(500)), key="half")
    with Archive(tmp_path) as archive:
        assert list(archive.summaries()) == ["whole"]
        archive.settle()
        assert ids(archive.messages()) == ["1"]


def test_the_archive_can_be_deleted(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    add(archive, message("1"))
    archive.delete()
    assert not list(tmp_path.iterdir())


def test_others_can_read_while_one_has_it_open(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        add(archive, message("1"), message("2", 2.0))
        archive.settle()
        messages = archive.messages()
        next(messages)
        with Archive(tmp_path) as other:
            assert ids(other.messages()) == ["1", "2"]
        assert ids(messages) == ["2"]


def test_an_archive_of_another_version_is_begun_anew(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        archive.add_reading("key", "{}", [], [])
    with closing(sqlite3.connect(tmp_path / "messages.sqlite")) as database:
        database.execute("PRAGMA user_version = 999")
    with Archive(tmp_path) as archive:
        assert archive.summaries() == {}
