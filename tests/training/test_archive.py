"""The messages on disk: each once, by channel, in order of time."""

import itertools
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from training.archive import Archive, LinkedTurn
from training.exports import GONE, ExportError, Message


def message(id_: str, timestamp: float | None = None, *, channel: str = "c", content: str = "hi") -> Message:
    return Message(channel, id_, "ann", timestamp, content)


def stored(folder: Path, *messages: Message) -> list[Message]:
    with Archive(folder) as archive:
        archive.add(messages)
        return [message for _, channel in archive.channels() for message in channel]


def ids(folder: Path, *messages: Message) -> list[str]:
    return [message.id for message in stored(folder, *messages)]


def test_messages_come_back_as_they_were(tmp_path: Path) -> None:
    messages = [
        Message("a", "1", "ann", 1.5, "hi\0 ☕🔥\n", None, None, False, False),
        Message("a", "2", "bob", 2.0, "", GONE, 3.25, True, False),
        Message("b", "1", "bob", None, "x", "1", None, False, True),
    ]
    assert stored(tmp_path, *messages) == messages


def test_channels_come_one_by_one_each_with_its_messages(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        archive.add([message("1", channel="b"), message("1", channel="a"), message("2", channel="b")])
        channels = [(channel, [message.id for message in messages]) for channel, messages in archive.channels()]
    assert channels == [("a", ["1"]), ("b", ["1", "2"])]


def test_order_is_time_whatever_the_order_of_arrival(tmp_path: Path) -> None:
    messages = [message("a", 3.0), message("b", 1.0), message("c", 2.0)]
    for arrival in itertools.permutations(messages):
        assert ids(tmp_path, *arrival) == ["b", "c", "a"]


def test_numbered_ids_tell_the_order_within_one_tick(tmp_path: Path) -> None:
    messages = [message("10", 1.0), message("9", 1.0), message("11", 1.0)]
    for arrival in itertools.permutations(messages):
        assert ids(tmp_path, *arrival) == ["9", "10", "11"]


def test_other_ids_keep_the_order_of_arrival_within_one_tick(tmp_path: Path) -> None:
    assert ids(tmp_path, message("$z", 1.0), message("$a", 1.0), message("$mm", 1.0)) == ["$z", "$a", "$mm"]


def test_without_a_clock_the_order_of_arrival_stays(tmp_path: Path) -> None:
    assert ids(tmp_path, message("9"), message("10"), message("1")) == ["9", "10", "1"]


def test_one_id_in_two_channels_is_two_messages(tmp_path: Path) -> None:
    assert len(stored(tmp_path, message("1", channel="a"), message("1", channel="b"))) == 2


def test_a_message_exported_twice_is_kept_once_and_counted(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        archive.add([message("1"), message("2")])
        archive.add([message("2"), message("3")])
        assert (archive.received, len(archive)) == (4, 3)


def test_the_last_edit_wins_in_either_order(tmp_path: Path) -> None:
    first = Message("c", "1", "ann", 1.0, "zzz")
    edited = Message("c", "1", "ann", 1.0, "mmm", edited=5.0)
    again = Message("c", "1", "ann", 1.0, "aaa", edited=6.0)
    for arrival in itertools.permutations([first, edited, again]):
        assert stored(tmp_path, *arrival) == [again]


def test_of_two_unedited_versions_the_same_one_wins_in_either_order(tmp_path: Path) -> None:
    bare = Message("c", "1", "ann", 1.0, "hi")
    linked = Message("c", "1", "ann", 1.0, "hey", reply_to="0")
    assert stored(tmp_path, bare, linked) == stored(tmp_path, linked, bare) == [linked]


def test_a_turn_is_found_by_number_and_by_its_messages(tmp_path: Path) -> None:
    turn = LinkedTurn(0, "ann", "hi\nthere", None, "c:1")
    with Archive(tmp_path) as archive:
        archive.add([message("1"), message("2"), message("3"), message("1", channel="d")])
        archive.add_turn(turn, "c", ["1", "2"])
        assert archive.turn(0) == archive.turn_of_message("c", "1") == archive.turn_of_message("c", "2") == turn
        assert archive.turn_of_message("c", "3") is None
        assert archive.turn_of_message("c", "absent") is None
        assert archive.turn_of_message("d", "1") is None


def test_turns_may_be_added_while_messages_are_taken(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        archive.add(message(str(number), float(number)) for number in range(3000))
        seen = 0
        for channel, messages in archive.channels():
            for number, each in enumerate(messages):
                archive.add_turn(LinkedTurn(number, each.author, each.content, None, "c"), channel, [each.id])
                seen += 1
    assert seen == 3000


def test_nothing_is_left_on_disk(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        archive.add([message("1")])
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())


def test_what_a_killed_run_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "archive.sqlite").write_bytes(b"half an archive")
    assert ids(tmp_path, message("1")) == ["1"]


def test_a_full_disk_is_one_plain_sentence(tmp_path: Path) -> None:
    complaint = r"archive\.sqlite cannot be written .* make room on that disk"
    with pytest.raises(ExportError, match=complaint), Archive(tmp_path):
        raise sqlite3.OperationalError("database or disk is full")
    assert not list(tmp_path.iterdir())


def test_a_bad_export_stops_the_archive_as_it_is(tmp_path: Path) -> None:
    def messages() -> Iterator[Message]:
        yield message("1")
        raise ExportError("chat.json is empty")

    with pytest.raises(ExportError, match=r"^chat\.json is empty$"), Archive(tmp_path) as archive:
        archive.add(messages())
