"""WhatsApp's text in the forms of phones and languages."""

# ruff: noqa: RUF001

import itertools
import tempfile
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.exports import Message, ReadNotes, read_exports

LRM, NNBSP, NBSP = "\u200e", "\u202f", "\u00a0"

HEADERS = [
    "5/1/24, 21:07 - {}",
    "05/01/2024, 21:07 - {}",
    "05/01/2024 21:07 - {}",
    "05.01.24, 21:07 - {}",
    "5.1.2024 klo 21.07 - {}",
    "05-01-2024 21:07 - {}",
    "2024-01-05 21:07 - {}",
    "2024/01/05, 21:07 - {}",
    "24-01-05, 21:07 - {}",
    "2024. 01. 05. 21:07 - {}",
    "05. 01. 2024. 21:07 - {}",
    "5.01.24 г., 21:07 - {}",
    "5/1/24 21 h 07 - {}",
    "1/5/24, 9:07 PM - {}",
    f"1/5/24, 9:07{NNBSP}PM - {{}}",
    "5/1/24, 9:07 pm - {}",
    f"5/1/24, 9:07{NBSP}p.{NBSP}m. - {{}}",
    "5/1/24, 9:07 μ.μ. - {}",
    "5/1/2024 ÖS 9:07 - {}",
    "5/1/24, 9:07 PTG - {}",
    "5/1/24, 9:07 CH - {}",
    "2024/1/5 下午9:07 - {}",
    "2024. 1. 5. 오후 9:07, {}",
    "2024년 1월 5일 오후 9:07, {}",
    "2024/1/5 午後9:07 - {}",
    "٥/١/٢٠٢٤، ٩:٠٧ م - {}",
    "٥\u200f/١\u200f/٢٠٢٤، ٩:٠٧ م - {}",
    "5/1/2567 21:07 - {}",
    "05/01/24, 21:07:00 - {}",
    "05/01/24 21:07:00: {}",
    "[05/01/2024, 21:07:00] {}",
    "[05.01.24, 21:07:00] {}",
    "[05-01-2024 21:07:00] {}",
    "[05/01/24 21:07] {}",
    f"[1/5/24, 9:07:00{NNBSP}PM] {{}}",
    f"{LRM}[2024/1/5 下午9:07:00] {{}}",
    "[2024-01-05, 9:07:00 p.m.] {}",
]


def write(path: Path, *lines: str, end: str = "\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(line + end for line in lines).encode())
    return path


def read(path: Path) -> tuple[list[Message], ReadNotes]:
    notes = ReadNotes()
    return list(read_exports([path], notes)), notes


def printed(message: Message) -> str | None:
    return None if message.timestamp is None else f"{datetime.fromtimestamp(message.timestamp, UTC):%Y-%m-%d %H:%M}"


def days(folder: Path, *headers: str) -> list[str]:
    messages, _ = read(write(folder / "chat.txt", *(f"{header} - Ann: hi" for header in headers)))
    return [(printed(message) or "")[:10] for message in messages]


def texts(folder: Path, *said: str, header: str = "[05.01.24, 21:07:00] ") -> list[tuple[str, bool]]:
    start = [f"{header}Ann: hello"] * 3
    messages, _ = read(write(folder / "chat.txt", *start, *(header + text for text in said)))
    return [(message.content, message.is_system) for message in messages[3:]]


@pytest.mark.parametrize("header", HEADERS)
def test_every_form_of_header_says_the_same(tmp_path: Path, header: str) -> None:
    said = ["Ann: hello", "Bob Ray: yes :)", "\u202a+1 555 0100\u202c: hm"]
    messages, notes = read(write(tmp_path / "chat.txt", *(header.format(text) for text in said)))
    assert [(message.author, message.content) for message in messages] == [
        ("Ann", "hello"),
        ("Bob Ray", "yes :)"),
        ("+1 555 0100", "hm"),
    ]
    assert {printed(message) for message in messages} == {"2024-01-05 21:07"}
    assert notes.warnings == []


@pytest.mark.parametrize("clock", ["%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p"])
@pytest.mark.parametrize("separator", ["/", "-", "."])
@pytest.mark.parametrize("order", ["dmy", "mdy", "ymd", "ydm"])
@pytest.mark.parametrize("form", ["{}, {} - Ann: {}", "[{} {}] Ann: {}"])
def test_the_order_of_day_and_month_is_found_in_the_chat(
    tmp_path: Path, form: str, order: str, separator: str, clock: str
) -> None:
    moments = [datetime(2024, 1, 5, 0, 7, tzinfo=UTC) + timedelta(hours=13 * n) for n in range(40)]
    date = separator.join(f"%{letter}" for letter in order)
    lines = [form.format(f"{moment:{date}}", f"{moment:{clock}}", n) for n, moment in enumerate(moments)]
    messages, _ = read(write(tmp_path / "chat.txt", *lines))
    assert [message.timestamp for message in messages] == [moment.timestamp() for moment in moments]


def test_the_order_of_a_chat_of_few_days_is_the_one_in_which_they_follow_each_other(tmp_path: Path) -> None:
    assert days(tmp_path, "03/01/24, 21:07", "02/02/24, 21:07") == ["2024-01-03", "2024-02-02"]  # backwards otherwise
    assert days(tmp_path, "02/03/24, 21:07", "02/04/24, 21:07") == ["2024-02-03", "2024-02-04"]  # a month otherwise
    assert days(tmp_path, "02/13/24, 21:07", "02/01/24, 21:07") == ["2024-02-13", "2024-02-01"]  # no date otherwise


def test_a_doubtful_order_is_day_first_but_as_in_the_united_states_with_their_clock(tmp_path: Path) -> None:
    assert days(tmp_path, "2/1/24, 21:07") == ["2024-01-02"]
    assert days(tmp_path, "2/1/24, 9:07 PM") == ["2024-02-01"]
    assert days(tmp_path, "2/1/24, 9:07 pm") == ["2024-01-02"]


def test_a_date_that_is_none_gives_no_time(tmp_path: Path) -> None:
    messages, _ = read(write(tmp_path / "chat.txt", "99/99/24, 21:07 - Ann: hi", "99/99/24, 21:07 - Ann: hi"))
    assert [message.timestamp for message in messages] == [None, None]
    assert len({message.id for message in messages}) == 2


def test_a_message_of_several_lines_is_one(tmp_path: Path) -> None:
    lines = ["05.01.24, 21:07 - Ann: one", "two", "", "[05.01.24, 21:08] Bob: pasted", "05.01.24, 21:09 - Bob:", "x"]
    messages, _ = read(write(tmp_path / "chat.txt", *lines, end="\r\n"))
    assert [(message.author, message.content) for message in messages] == [
        ("Ann", "one\ntwo\n\n[05.01.24, 21:08] Bob: pasted"),
        ("Bob", "x"),
    ]


@pytest.mark.parametrize(
    "notice",
    [
        "Ann added you",
        'Ann created group "Tea: the best"',
        "Ann changed the subject from “a: b” to “c: d”",
        "Ann hat die Gruppe „Tee: gut“ erstellt",
        "‎Messages and calls are end-to-end encrypted.",
    ],
)
def test_a_line_without_a_name_is_a_notice(tmp_path: Path, notice: str) -> None:
    messages, _ = read(write(tmp_path / "chat.txt", "5/1/24, 21:07 - Ann: hi", f"5/1/24, 21:07 - {notice}"))
    assert [(message.author, message.is_system) for message in messages] == [("Ann", False), ("", True)]


def test_what_ios_marks_as_its_own_is_a_notice_under_any_name(tmp_path: Path) -> None:
    assert (
        texts(tmp_path, f"Ann: {LRM}Ann added Bob", f"Tea: {LRM}Missed voice call. Tap to call back")
        == [("", True)] * 2
    )


def test_the_first_notice_may_bear_the_name_of_the_group(tmp_path: Path) -> None:
    greeting = "5/1/24, 21:07 - Tea: Nachrichten sind jetzt Ende-zu-Ende-verschlüsselt."
    talk = ["5/1/24, 21:08 - Ann: hi"] * 3 + ["5/1/24, 21:09 - Ann: is it end-to-end?"]
    messages, _ = read(write(tmp_path / "chat.txt", greeting, *talk))
    assert [message.is_system for message in messages] == [True, False, False, False, False]


@pytest.mark.parametrize(
    "mark",
    [
        "<Media omitted>",
        "<Medien ausgeschlossen>",
        "<Mídia oculta>",
        "<Média omis>",
        "<मीडिया के बिना>",
        f"{LRM}image omitted",
        f"{LRM}Bild weggelassen",
        f"{LRM}afbeelding weggelaten",
        f"{LRM}<attached: 00000012-PHOTO-2024-01-05.jpg>",
        f"{LRM}This message was deleted.",
        "image omitted",
        "audio omitido",
        "Sticker weggelassen",
        "изображение отсутствует",
        "<attached: 1-PHOTO.jpg>",
        "IMG-20240105-WA0001.jpg (file attached)",
        f"{LRM}IMG-20240105-WA0001.jpg (Datei angehängt)",
        "This message was deleted",
        "You deleted this message",
        "Diese Nachricht wurde gelöscht.",
        "Mensagem apagada",
        "此消息已删除",
        "null",
    ],
)
def test_what_stands_for_media_or_for_nothing_is_empty(tmp_path: Path, mark: str) -> None:
    assert texts(tmp_path, f"Ann: {mark}") == [("", False)]


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("see you <This message was edited>", "see you"),
        (f"see you {LRM}<This message was edited>", "see you"),
        ("bis dann <Diese Nachricht wurde bearbeitet.>", "bis dann"),
        (f"my cat {LRM}<attached: 1-PHOTO.jpg>", "my cat"),
        (f"my cat {LRM}image omitted", "my cat"),
        ("IMG-1.jpg (file attached)\nmy cat", "my cat"),
        ("read it.txt (it is short)", "read it.txt (it is short)"),
        ("a <b> c", "a <b> c"),
        ("see you <soon, I hope>", "see you <soon, I hope>"),
        ("I omitted it", "I omitted it"),
        ("note: milk", "note: milk"),
        ("hi @\u2068Bob Ray\u2069!", "hi @Bob Ray!"),
    ],
)
def test_only_what_people_wrote_is_left(tmp_path: Path, text: str, content: str) -> None:
    assert texts(tmp_path, f"Ann: {text}") == [(content, False)]


def test_who_is_mentioned_is_told_by_marks_around_the_name(tmp_path: Path) -> None:
    path = write(tmp_path / "chat.txt", f"[05.01.24, 21:07:00] ~{NNBSP}Ann: hi @\u2068~Bob Ray\u2069, @\u2068Cy\u2069")
    (message,), _ = read(path)
    assert (message.author, message.mentions) == ("Ann", ("Bob Ray", "Cy"))


def test_files_of_a_chat_share_its_channel_whatever_they_are_called(tmp_path: Path) -> None:
    line = "5/1/24, 21:07 - Ann: hi"
    write(tmp_path / "a" / "WhatsApp Chat with Adult Tea.txt", line)
    write(tmp_path / "b" / "WhatsApp Chat with Adult Tea (1).txt", line, "5/1/24, 21:08 - Ann: hi")
    write(tmp_path / "WhatsApp Chat - Bob" / "_chat.txt", line)
    with zipfile.ZipFile(tmp_path / "WhatsApp Chat - Cy (2).zip", "w") as archive:
        archive.writestr("_chat.txt", line)
    messages, notes = read(tmp_path)
    assert len({(message.channel, message.id) for message in messages}) == 4
    names = {"WhatsApp Chat with Adult Tea", "WhatsApp Chat - Bob", "WhatsApp Chat - Cy"}
    assert notes.channels.keys() == names
    assert all(channel.is_private for channel in notes.channels.values())
    assert [channel.is_nsfw for _, channel in sorted(notes.channels.items())] == [False, False, True]


def test_what_is_in_front_of_the_first_message_and_what_is_too_long_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.exports.text_entries._MAX_CHARACTERS", 1000)
    header = "5/1/24, 21:07 - Ann: "
    path = write(tmp_path / "chat.txt", "end of it", *(header + text for text in ("one", "x\n" + "y" * 1000, "two")))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"two", b"caf\xe9\0"))
    messages, notes = read(path)
    assert [message.content for message in messages] == ["one", "café"]
    assert notes.garbled_records == 2


def test_a_log_that_is_no_chat_is_not_taken_for_one(tmp_path: Path) -> None:
    write(tmp_path / "app.log", "2024-01-05 21:07:03,123 - web - INFO - started", "2024-01-05 21:07:04 - INFO - done")
    write(tmp_path / "chat.txt", "5/1/24, 21:07 - Ann: hi")
    assert [message.content for message in read(tmp_path)[0]] == ["hi"]


NAMES = st.sampled_from(["Ann", "Bob Ray", "+1 555 0100", "Zoë 🎉", "O'Neil (work)"])
WORDS = st.text(st.sampled_from("abc de:,.-<>[]()/?!1\n'é🎉"), min_size=1, max_size=40)
LINES = WORDS.map(lambda text: f"so {text} ok").filter(lambda text: "<" not in text or ">" not in text)


@settings(max_examples=60)
@given(
    st.sampled_from(HEADERS[:1] + HEADERS[29:30]), st.lists(st.tuples(NAMES, LINES, st.integers(0, 3000)), min_size=1)
)
def test_what_a_writer_writes_is_read_back(header: str, talk: list[tuple[str, str, int]]) -> None:
    begin = datetime(2024, 1, 13, tzinfo=UTC)
    moments = [begin + timedelta(minutes=total) for total in itertools.accumulate(step for _, _, step in talk)]
    form = "[%d/%m/%Y, %H:%M:%S] " if header.startswith("[") else "%d/%m/%y, %H:%M - "
    lines = [f"{begin:{form}}Ann: start"]
    lines += [f"{moment:{form}}{name}: {text}" for moment, (name, text, _) in zip(moments, talk, strict=True)]
    with tempfile.TemporaryDirectory() as folder:
        messages, notes = read(write(Path(folder) / "chat.txt", *lines))
    assert [(message.author, message.content) for message in messages[1:]] == [(name, text) for name, text, _ in talk]
    assert [message.timestamp for message in messages[1:]] == [moment.timestamp() for moment in moments]
    assert notes.warnings == []
