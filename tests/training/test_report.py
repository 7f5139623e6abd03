"""The picture page of a dataset."""

import re
from collections import Counter
from pathlib import Path

from model.dialogue import Turn
from training.conversations import LinkedTurn
from training.report import Statistics, write_report
from training.tally import Tally

MONDAY_NINE = 4 * 86_400 + 9 * 3_600.0  # 5 January 1970
DAY = 86_400.0


def turn(
    text: str = "a few words", *, channel: str = "1", at: float | None = MONDAY_NINE, depth: int = 1
) -> LinkedTurn:
    context = tuple(Turn("ann", "hi") for _ in range(depth))
    return LinkedTurn(channel, "c", context, Turn("bob", text), 2, at, None if at is None or not depth else 40.0)


def page(folder: Path, statistics: Statistics, tally: Tally | None = None, **names: str) -> str:
    path = folder / "report.html"
    write_report(path, tally or Tally(messages=10, kept=9, turns=5), statistics, names, ["x.json breaks off"])
    return path.read_text(encoding="utf-8")


def counted(*turns: LinkedTurn) -> Statistics:
    statistics = Statistics()
    for each in turns:
        statistics.add(each)
    return statistics


def test_a_turn_is_counted_in_every_picture() -> None:
    statistics = counted(turn(depth=3))
    assert statistics.channels == {"1": 2}
    assert statistics.days == {4: 2}
    assert statistics.hours == {9: 2}  # the tenth hour of Monday
    assert statistics.months == {(1970 * 12, "1"): 2}
    assert statistics.words == {2: 1}  # three words
    assert statistics.delays == {3: 1}  # between 30 s and a minute
    assert (statistics.depths, statistics.bursts) == ({3: 1}, {2: 1})


def test_hours_and_days_are_those_of_the_calendar() -> None:
    statistics = counted(turn(at=MONDAY_NINE + 6 * DAY), turn(at=MONDAY_NINE - 4 * DAY - 9 * 3600))
    assert statistics.hours == Counter({6 * 24 + 9: 2, 3 * 24: 2})  # a Sunday; the epoch was a Thursday


def test_the_page_shows_every_count_and_reason(tmp_path: Path) -> None:
    tally = Tally(messages=123_456, kept=100_000, turns=80_000, conversations=700, examples=61_728)
    tally.left_out.update(bot=23_456)
    tally.skipped.update({"no context": 18_272})
    tally.redacted.update(phone=31)
    text = page(tmp_path, counted(turn()), tally)
    for shown in (
        "123,456",
        "100,000",
        "80,000",
        "700",
        "61,728",
        "50%",
        "messages left out",
        "<th>bot</th>",
        "turns not learned",
        "23,456",
        "taken out of messages",
        "phone",
        "no context",
    ):
        assert shown in text
    assert "x.json breaks off" in text


def test_many_years_are_shown_by_month_and_channel(tmp_path: Path) -> None:
    turns = [turn(channel=str(number % 9), at=MONDAY_NINE + 40 * number * DAY) for number in range(100)]
    text = page(tmp_path, counted(*turns), **{str(number): f"room {number}" for number in range(9)})
    assert "#room 0" in text
    assert "all others" in text
    assert "5 January 1970" in text


def test_channels_too_small_to_see_are_one(tmp_path: Path) -> None:
    turns = [turn(channel=str(number), at=MONDAY_NINE + number * DAY) for number in range(200)]
    text = page(tmp_path, counted(*turns))
    assert "all channels" in text
    assert "#7<" not in text


def test_colours_are_those_of_the_page_by_day_and_by_night(tmp_path: Path) -> None:
    text = page(tmp_path, counted(turn()))
    assert "prefers-color-scheme: dark" in text
    assert "var(--accent)" in text
    drawn = "".join(re.findall("<svg.*?</svg>", text, re.DOTALL))
    assert not re.findall(r"#[0-9a-f]{6}\b", drawn)


def test_equal_datasets_give_equal_pages(tmp_path: Path) -> None:
    assert page(tmp_path, counted(turn(), turn("x"))) == page(tmp_path, counted(turn("x"), turn()))


def test_without_a_clock_or_anything_at_all_there_still_is_a_page(tmp_path: Path) -> None:
    assert "Through the week" not in page(tmp_path, counted(turn(at=None)))
    assert "</html>" in page(tmp_path, Statistics(), Tally())


def test_names_from_an_export_are_text_not_html(tmp_path: Path) -> None:
    statistics = counted(*(turn(at=MONDAY_NINE + month * 40 * DAY) for month in range(9)))
    text = page(tmp_path, statistics, **{"1": "<script>x</script> room \U0001f44b"})
    assert "<script" not in text
    assert "room \U0001f44b" in text  # no font of matplotlib's has it
    assert "&lt;script&gt;" in text


def test_the_page_needs_no_network_and_holds_nobodys_words(tmp_path: Path) -> None:
    text = page(tmp_path, counted(turn("xylophones everywhere")))
    assert "xylophones" not in text
    assert not re.findall(r"(?:src|href)=\"?https?:", text)
