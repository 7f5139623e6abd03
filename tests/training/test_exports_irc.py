"""Logs of IRC in the forms of clients, bouncers and bots."""

import itertools
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.exports import Message, ReadNotes, irc, read_exports
from training.exports.file import ExportFile

IRSSI = """\
--- Log opened Fri Jan 05 21:05:40 2024
21:05 -!- ann [~ann@example.net] has joined #tea
21:05 -!- Irssi: #tea: Total of 2 nicks [1 ops, 0 halfops, 0 voices, 1 normal]
21:07 < ann> hello?
21:08 <@Bob> ann: yes :)
21:08  * Bob waves
23:58 -!- Bob is now known as Bob_away
--- Day changed Sat Jan 06 2024
00:03 <      ann> night
--- Log closed Sat Jan 06 00:04:10 2024
"""
WEECHAT = """\
2024-01-05 21:05:40\t-->\tann (~ann@example.net) has joined #tea
2024-01-05 21:05:41\t--\tTopic for #tea is "hello"
2024-01-05 21:07:00\tann\thello?
2024-01-05 21:08:00\t@Bob\tann: yes :)
2024-01-05 21:08:00\t *\tBob waves
2024-01-05 23:58:00\t--\tBob is now known as Bob_away
2024-01-06 00:03:00\tann\tnight
2024-01-06 00:04:10\t<--\tann (~ann@example.net) has quit (Quit: leaving)
"""
ZNC = """\
[21:05:40] *** Joins: ann (~ann@example.net)
[21:07:00] <ann> hello?
[21:08:00] <Bob> ann: yes :)
[21:08:00] * Bob waves
[21:10:00] -ChanServ- [#tea] welcome
[23:58:00] *** Bob is now known as Bob_away
[00:03:00] <ann> night
"""
UBUNTU = """\
=== ann [~ann@example.net] has joined #tea
[21:07] <ann> hello?
[21:08] <Bob> ann: yes :)
=== Bob waves
=== Bob is now known as Bob_away
=== carol [~c@example.net] has joined #tea
[00:03] <ann> night
"""
BOTBOT = """\
b'2024-01-05T21:05:40 * ann joined the channel
2024-01-05T21:07:00 <ann> hello?
2024-01-05T21:08:00 <Bob> ann: yes :)
2024-01-05T21:08:00 * Bob waves
2024-01-05T21:46:50 * TOPIC: we drink tea
2024-01-06T00:03:00 <ann> night
2024-01-06T00:04:10 * ann has left the channel
'
"""
HEXCHAT = """\
**** BEGIN LOGGING AT Fri Jan  5 21:05:40 2024

Jan 05 21:05:40 *\tNow talking on #tea
Jan 05 21:05:40 *\tTopic for #tea is: hello
Jan 05 21:07:00 <ann>\thello?
Jan 05 21:08:00 <Bob>\tann: yes :)
Jan 05 21:08:00 *\tBob waves
Jan 05 21:09:00 *\tChanServ gives channel operator status to Bob
Jan 06 00:03:00 <ann>\tnight
Jan 06 00:04:10 *\tann has quit (Leaving)
**** ENDING LOGGING AT Sat Jan  6 00:04:10 2024
"""
MIRC = """\
Session Start: Fri Jan 05 21:05:40 2024
Session Ident: #tea
[21:05] * Now talking in #tea
[21:07] <ann> hello?
[21:08] <@Bob> ann: \x0304,01yes\x03 :)
[21:08] * Bob waves
[21:09] * carol (~c@example.net) has joined #tea
Session Time: Sat Jan 06 00:00:00 2024
[00:03] <ann> \x02night\x02
Session Close: Sat Jan 06 00:04:10 2024
"""
TWELVE_HOURS = """\
(09:07:00 PM) <ann> hello?
(09:08:00 pm) <Bob> ann: yes :)
(09:08:00 PM) * Bob waves
(12:03:00 AM) <ann> night
"""
DIALECTS = {
    "irssi": IRSSI,
    "weechat": WEECHAT,
    "znc": ZNC,
    "ubuntu": UBUNTU,
    "botbot": BOTBOT,
    "hexchat": HEXCHAT,
    "mirc": MIRC,
    "twelve-hours": TWELVE_HOURS,
}
SAID = [
    ("ann", "hello?", "2024-01-05 21:07"),
    ("bob", "ann: yes :)", "2024-01-05 21:08"),
    ("bob", "waves", "2024-01-05 21:08"),
    ("ann", "night", "2024-01-06 00:03"),
]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def read(path: Path) -> tuple[list[Message], ReadNotes]:
    notes = ReadNotes()
    return list(read_exports([path], notes)), notes


def printed(timestamp: float | None) -> str | None:
    return None if timestamp is None else f"{datetime.fromtimestamp(timestamp, UTC):%Y-%m-%d %H:%M}"


def spoken(messages: list[Message]) -> list[tuple[str, str, str | None]]:
    return [(m.author, m.content, printed(m.timestamp)) for m in messages if not m.is_system]


def clocks(folder: Path, *lines: str, name: str = "tea-2024-03-10.log") -> list[str | None]:
    text = "".join(f"[{clock}] <ann> {number}\n" for number, clock in enumerate(lines))
    return [printed(message.timestamp) for message in read(write(folder / name, text))[0]]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_says_the_same(tmp_path: Path, dialect: str) -> None:
    messages, notes = read(write(tmp_path / "tea-2024-01-05.log", DIALECTS[dialect]))
    assert spoken(messages) == SAID
    assert notes.warnings == []
    lines = [line for line in DIALECTS[dialect].splitlines() if line[:3] not in ("---", "***", "Ses", "'", "")]
    assert len(messages) == len(lines)  # all else is a notice
    assert {message.author for message in messages if message.is_system} <= {""}


@pytest.mark.parametrize("dialect", sorted(DIALECTS.keys() - {"znc", "ubuntu", "twelve-hours"}))
def test_a_log_with_dates_needs_none_in_its_name(tmp_path: Path, dialect: str) -> None:
    assert spoken(read(write(tmp_path / "tea.log", DIALECTS[dialect]))[0]) == SAID


def test_a_nick_is_compared_as_irc_does_and_shown_as_it_is(tmp_path: Path) -> None:
    text = "[21:07] <@Ann[m]\\> one\n[21:08] <ann{M}|> two\n[21:09] * +ann[m]\\ three\n"
    messages, _ = read(write(tmp_path / "tea.log", text))
    assert [message.author for message in messages] == ["ann{m}|"] * 3
    assert [message.name for message in messages] == ["Ann[m]\\", "ann{M}|", "ann[m]\\"]


@pytest.mark.parametrize(
    ("nick", "is_bot"), [("teabot", True), ("TeaBot_", True), ("ChanServ", True), ("ubottu", True), ("bottle", False)]
)
def test_bots_are_known_by_their_names(tmp_path: Path, nick: str, is_bot: bool) -> None:
    (message,), _ = read(write(tmp_path / "tea.log", f"[21:07] <{nick}> hi\n"))
    assert message.is_bot is is_bot


def test_an_old_ubuntu_line_is_an_action_only_of_somebody_who_spoke(tmp_path: Path) -> None:
    text = "[21:07] <ann> hi\n=== ann waves\n=== carol waves\n=== Topic for #tea: waves\n"
    messages, _ = read(write(tmp_path / "tea-2024-01-05.txt", text))
    assert [(message.author, message.content, message.is_system) for message in messages[1:]] == [
        ("ann", "waves", False),
        ("", "carol waves", True),
        ("", "Topic for #tea: waves", True),
    ]
    assert messages[1].timestamp == messages[0].timestamp


def test_the_bytes_that_botbot_printed_become_characters(tmp_path: Path) -> None:
    text = 'b"2024-01-05T21:07:00 <ann> it\\\'s caf\\xc3\\xa9\n2024-01-05T21:07:01 <ann> \\\\x\n"\n'
    messages, notes = read(write(tmp_path / "tea.log", text))
    assert [message.content for message in messages] == ["it's café", "\\x"]
    assert notes.garbled_records == 0


@pytest.mark.parametrize(
    ("name", "channel"),
    [
        ("#tea-2024-01-05.log", "#tea"),
        ("#tea.20240105.log", "#tea"),
        ("2024/01/05/#tea.txt", "#tea"),
        ("net/#tea/2024-01-05.log", "#tea"),
        ("irclogs/#tea/2024/01/2024-01-05.log", "#tea"),
        ("user_net_#tea_20240105.log", "user_net_#tea"),
        ("irc.net.#tea.2024-01-05.weechatlog", "irc.net.#tea"),
        ("05.01.2024 #tea (1).txt", "#tea"),
    ],
)
def test_the_name_of_the_file_or_its_folder_gives_the_channel_and_the_date(
    tmp_path: Path, name: str, channel: str
) -> None:
    (message,), notes = read(write(tmp_path / name, "[21:07] <ann> hi\n"))
    assert (message.channel, printed(message.timestamp)) == (channel, "2024-01-05 21:07")
    assert not notes.channels[channel].is_private


def test_without_any_date_there_is_no_time_but_an_order(tmp_path: Path) -> None:
    messages, _ = read(write(tmp_path / "lewd tea.log", "[21:07] <ann> hi\n[21:07] <ann> hi\n[00:07] <ann> hi\n" * 2))
    assert {message.timestamp for message in messages} == {None}
    assert len({message.id for message in messages}) == 6


def test_midnight_passes_when_the_clock_goes_back(tmp_path: Path) -> None:
    assert clocks(tmp_path, "23:58", "00:03", "14:00", "13:00", "12:00") == [
        "2024-03-10 23:58",
        "2024-03-11 00:03",
        "2024-03-11 14:00",
        "2024-03-12 13:00",
        "2024-03-13 12:00",
    ]


def test_midnight_does_not_pass_when_clocks_are_set_back_or_disagree(tmp_path: Path) -> None:
    assert clocks(tmp_path, "02:59", "02:00", "14:00", "13:57", "23:59", "00:01", "23:59", "00:02") == [
        "2024-03-10 02:59",
        "2024-03-10 02:00",
        "2024-03-10 14:00",
        "2024-03-10 13:57",
        "2024-03-10 23:59",
        "2024-03-11 00:01",
        "2024-03-10 23:59",
        "2024-03-11 00:02",
    ]


def test_a_day_whose_clock_goes_around_twice_has_twelve_hours_on_it(tmp_path: Path) -> None:
    assert clocks(tmp_path, "12:05", "01:10", "11:59", "12:00", "01:00", "11:00") == [
        "2024-03-10 00:05",
        "2024-03-10 01:10",
        "2024-03-10 11:59",
        "2024-03-10 12:00",
        "2024-03-10 13:00",
        "2024-03-10 23:00",
    ]
    assert clocks(tmp_path, "09:00", "12:00", "12:30") == ["2024-03-10 09:00", "2024-03-10 12:00", "2024-03-10 12:30"]


def test_dates_without_a_year_go_over_new_year(tmp_path: Path) -> None:
    text = "**** BEGIN LOGGING AT Sat Dec 30 21:00:00 2023\nDec 31 23:59:00 <ann>\ta\nJan 01 00:01:00 <ann>\tb\n"
    messages, _ = read(write(tmp_path / "tea.log", text))
    assert [printed(message.timestamp) for message in messages] == ["2023-12-31 23:59", "2024-01-01 00:01"]


def test_a_day_in_another_language_or_without_a_date_begins_all_the_same(tmp_path: Path) -> None:
    text = (
        "--- Log opened Fr Mär 08 21:05:40 2024\n21:07 < ann> a\n--- Day changed Sa Mär 09 2024\n00:03 < ann> b\n"
        "--- Day changed ???\n00:04 < ann> c\n"
    )
    messages, _ = read(write(tmp_path / "tea.log", text))
    assert [printed(message.timestamp) for message in messages] == [
        "2024-03-08 21:07",
        "2024-03-09 00:03",
        "2024-03-10 00:04",
    ]


def test_a_clock_that_runs_past_all_calendars_does_no_harm(tmp_path: Path) -> None:
    years = "Dec 31 23:59:00 <ann> a\nJan 01 00:01:00 <ann> b\n" * 20
    text = f"--- Log opened Fri Dec 31 00:00:00 9990\n{years}" + "[12:00] <ann> a\n[11:00] <ann> b\n" * 3000
    messages, notes = read(write(tmp_path / "tea.log", text + "--- Day changed ???\n[12:00] <ann> c\n"))
    assert len(messages) == 6041
    assert notes.warnings == []


def test_a_time_before_all_chat_is_none(tmp_path: Path) -> None:
    text = "[1012-01-05 21:05:03] <ann> a\n--- Log opened Fri Jan 05 00:00:00 1012\n[21:06] <ann> b\n"
    messages, _ = read(write(tmp_path / "tea.log", text))
    assert [(message.timestamp, message.content) for message in messages] == [(None, "a"), (None, "b")]


def test_a_zone_is_heeded(tmp_path: Path) -> None:
    text = "2024-01-05T21:07:00+01:00 <ann> a\n[2024-01-05 21:07:00Z] <ann> b\n2024-01-05T21:07:00.5-0130 <ann> c\n"
    messages, _ = read(write(tmp_path / "tea.log", text))
    assert [printed(message.timestamp) for message in messages] == [
        "2024-01-05 20:07",
        "2024-01-05 21:07",
        "2024-01-05 22:37",
    ]


def test_equal_lines_have_ids_of_their_own_and_the_same_ones_when_exported_again(tmp_path: Path) -> None:
    old = read(write(tmp_path / "a" / "tea-2024-01-05.log", "[21:07] <ann> hi\n" * 3))[0]
    new = read(write(tmp_path / "b" / "tea-2024-01-05.log", "[21:07] <ann> hi\n" * 3 + "[21:08] <ann> hi\n"))[0]
    assert len({message.id for message in new}) == 4
    assert [message.id for message in new[:3]] == [message.id for message in old]


def test_what_is_no_line_of_a_log_is_noted(tmp_path: Path) -> None:
    good = b"\xef\xbb\xbf[21:07] <ann> one\r\n\r\n[21:08] <an\0n> caf\xe9\r\n"
    text = good + b"[21:09] * ann waves\r\n" * 9 + b"something else\r\n[25:59] <ann> x\r\n[21:09] <a"
    path = tmp_path / "tea.log"
    path.write_bytes(text)
    messages, notes = read(path)
    assert [message.content for message in messages] == ["one", "café"] + ["waves"] * 9
    assert notes.garbled_records == 3


def test_a_table_with_a_heading_is_no_log(tmp_path: Path) -> None:
    lines = "2024-01-05 21:07:00\tann\thello\n2024-01-05 21:08:00\tbob\thi\n"
    assert irc.recognises(ExportFile(write(tmp_path / "tea.tsv", lines), ReadNotes()))
    assert not irc.recognises(ExportFile(write(tmp_path / "table.tsv", "date\tname\ttext\n" + lines), ReadNotes()))


NICKS = st.sampled_from(["ann", "Bob", "Carol[m]", "d`ave|2"])
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=30)


@settings(max_examples=60)
@given(st.lists(st.tuples(NICKS, TEXTS, st.integers(0, 400), st.booleans()), min_size=1))
def test_what_a_writer_writes_is_read_back(talk: list[tuple[str, str, int, bool]]) -> None:
    times = [60 * minutes for minutes in itertools.accumulate(step for _, _, step, _ in talk)]
    begin = datetime(2024, 1, 5, tzinfo=UTC).timestamp()
    lines = ["--- Log opened Fri Jan 05 00:00:00 2024"]
    for (before, after), (nick, text, _, is_action) in zip(itertools.pairwise([0, *times]), talk, strict=True):
        moment = datetime.fromtimestamp(begin + after, UTC)
        if after // 86400 > before // 86400:
            lines.append(f"--- Day changed {moment:%a %b %d %Y}")
        text = f"so {text}" if is_action else text
        lines.append(f"{moment:%H:%M}  * {nick} {text}" if is_action else f"{moment:%H:%M} <@{nick}> {text}")
    with tempfile.TemporaryDirectory() as folder:
        messages, notes = read(write(Path(folder) / "tea.log", "\n".join(lines)))
    assert [(m.name, m.content) for m in messages] == [(nick, f"so {t}" if act else t) for nick, t, _, act in talk]
    assert [message.timestamp for message in messages] == [begin + seconds for seconds in times]
    assert notes.warnings == []
