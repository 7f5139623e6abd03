"""What a dataset was made of, as a page with pictures for a browser: `report.html` in its folder."""

import html
import io
import warnings
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from training.conversations import LinkedTurn
from training.tally import Tally

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FILE_NAME = "report.html"

_Key = TypeVar("_Key", int, str)

_DAY = 86_400
_EPOCH = date(1970, 1, 1)
_FIRST_WEEKDAY = _EPOCH.weekday()
_NAMED_CHANNELS = 7
_WORDS = (1, 2, 3, 4, 6, 9, 13, 20, 30, 50, 100)  # where the ranges begin
_WORD_NAMES = ("1", "2", "3", "4-5", "6-8", "9-12", "13-19", "20-29", "30-49", "50-99", "100+")
_DELAYS = (0, 5, 15, 30, 60, 120, 300, 900, 3_600, 6 * 3_600, _DAY, 7 * _DAY)
_DELAY_NAMES = ("5 s", "15 s", "30 s", "1 min", "2 min", "5 min", "15 min", "1 h", "6 h", "a day", "a week", "longer")
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_INK, _ACCENT, _GREY = "#2b2d42", "#e4572e", "#9aa3b2"
_COLOURS = ("#e4572e", "#17a2a2", "#f2b134", "#5b5f97", "#76b041", "#b35ba6", "#3d5a80", "#c9ccd5")
_STYLE = {
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _GREY,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "chinwag",  # equal datasets give equal pages
}


@dataclass(slots=True)
class Statistics:
    """Counts over turns: days, hours and lengths, never texts or people.

    Attributes:
        months: messages by month (years times twelve) and channel.
        days: messages by day since the epoch.
        hours: messages by hour of the week, from Monday, UTC.
        channels: messages by channel.
        words: turns by number of words, in the ranges of the picture.
        delays: answers by delay, likewise.
        depths: turns by how many turns they answer.
        bursts: turns by how many messages they are made of.
    """

    months: Counter[tuple[int, str]] = field(default_factory=Counter)
    days: Counter[int] = field(default_factory=Counter)
    hours: Counter[int] = field(default_factory=Counter)
    channels: Counter[str] = field(default_factory=Counter)
    words: Counter[int] = field(default_factory=Counter)
    delays: Counter[int] = field(default_factory=Counter)
    depths: Counter[int] = field(default_factory=Counter)
    bursts: Counter[int] = field(default_factory=Counter)

    def add(self, turn: LinkedTurn) -> None:
        """Count a turn."""
        channel, _, context, said, messages, timestamp, delay = turn
        text = said.text
        self.channels[channel] += messages
        self.words[bisect_right(_WORDS, text.count(" ") + text.count("\n") + 1) - 1] += 1
        self.depths[len(context)] += 1
        self.bursts[messages] += 1
        if delay is not None:
            self.delays[max(0, bisect_right(_DELAYS, delay) - 1)] += 1
        if timestamp is not None:
            day, second = divmod(int(timestamp), _DAY)
            self.days[day] += messages
            self.hours[(day + _FIRST_WEEKDAY) % 7 * 24 + second // 3_600] += messages
            self.months[_month(day), channel] += messages


def write_report(
    path: Path, tally: Tally, statistics: Statistics, channel_names: Mapping[str, str], warnings: Sequence[str]
) -> None:
    """Write the page.

    Args:
        path: of the page.
        tally: what became of the messages.
        statistics: of the turns.
        channel_names: by channel id, where they are known.
        warnings: what reading met.
    """
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        sections = [_section("What came in, and what of it is learned", _fates(tally), _fates_in_words(tally))]
        if statistics.days:
            sections += [
                _section("Through time", _calendar(statistics, channel_names), _calendar_in_words(statistics)),
                _section("Through the week", _week(statistics.hours), _week_in_words(statistics.hours)),
            ]
        sections += [
            _section(
                "How much is said in one go", _bars(statistics.words, _WORD_NAMES, "words"), _words_in_words(statistics)
            ),
            _section(
                "How long an answer takes",
                _bars(statistics.delays, _DELAY_NAMES, "at most"),
                _delays_in_words(statistics),
            ),
        ]
    if warnings:
        sections.append(
            f"<section><h2>Notes</h2><ul>{''.join(f'<li>{_text(line)}</li>' for line in warnings)}</ul></section>"
        )
    path.write_text(_PAGE.format(tiles=_tiles(tally, statistics), sections="".join(sections)), encoding="utf-8")


def _section(title: str, picture: str, words: str) -> str:
    return f"<section><h2>{_text(title)}</h2><p>{_text(words)}</p>{picture}</section>" if picture else ""


def _tiles(tally: Tally, statistics: Statistics) -> str:
    tiles = [
        (f"{tally.messages:,}", "messages read"),
        (f"{tally.kept:,}", "messages kept"),
        (f"{tally.turns:,}", "turns"),
        (f"{tally.conversations:,}", "conversations"),
        (f"{tally.examples:,}", "exchanges to learn from"),
        (f"{len(statistics.channels):,}", "channels"),
    ]
    return "".join(f"<div><b>{number}</b>{name}</div>" for number, name in tiles)


def _fates(tally: Tally) -> str:
    """Bars of why messages and turns are not learned, and of what was taken out."""
    rows = [(f"left out: {reason}", count, _GREY) for reason, count in _sorted(tally.left_out)]
    rows += [(f"not learned: {reason}", count, _COLOURS[2]) for reason, count in _sorted(tally.skipped)]
    rows += [(f"taken out: {kind}", count, _COLOURS[4]) for kind, count in _sorted(tally.redacted)]
    if not rows:
        return ""
    names, counts, colours = zip(*reversed(rows), strict=True)
    axes = _axes(height=0.5 + 0.24 * len(rows))
    bars = axes.barh(names, counts, color=colours, height=0.72)
    axes.bar_label(bars, [f"{count:,}" for count in counts], padding=4, fontsize=9)
    axes.set_xscale("log")
    axes.set_xlim(0.7, max(counts) * 4)
    axes.spines[["bottom", "left"]].set_visible(False)
    axes.tick_params(bottom=False, labelbottom=False, left=False, which="both")
    return _svg(axes)


def _fates_in_words(tally: Tally) -> str:
    share = tally.examples / max(1, tally.messages)
    return (
        f"Of {tally.messages:,} messages {tally.kept:,} were kept. They make {tally.turns:,} turns, and "
        f"{tally.examples:,} of these answer somebody: {share:.0%} of what was read teaches the bot a reply. "
        "The bars are on a logarithmic scale."
    )


def _calendar(statistics: Statistics, channel_names: Mapping[str, str]) -> str:
    """Messages by day or month, the busiest channels in colours."""
    from matplotlib.dates import date2num

    top = [channel for channel, _ in _sorted(statistics.channels)[:_NAMED_CHANNELS]]
    axes = _axes(height=2.9)
    if _span(statistics.days) <= 62:
        days = range(min(statistics.days), max(statistics.days) + 1)
        axes.bar(
            date2num([_EPOCH + timedelta(day) for day in days]), [statistics.days[day] for day in days], color=_ACCENT
        )
        axes.xaxis_date()
        return _svg(axes)
    months = range(min(month for month, _ in statistics.months), max(month for month, _ in statistics.months) + 1)
    rows = [[statistics.months[month, channel] for month in months] for channel in top]
    totals = Counter[int]()
    for (month, _), count in statistics.months.items():
        totals[month] += count
    rows.append([totals[month] - sum(row[index] for row in rows) for index, month in enumerate(months)])
    names = [f"#{channel_names.get(channel) or channel.partition('#')[0]}"[:28] for channel in top] + ["all others"]
    dates = [date(month // 12, month % 12 + 1, 1) for month in months]
    if len(statistics.channels) <= len(top):
        rows, names = rows[:-1], names[:-1]
    bottoms = [0] * len(dates)
    for row, name, colour in zip(rows, names, _COLOURS, strict=False):
        axes.bar(date2num(dates), row, bottom=bottoms, width=26, color=colour, label=name)
        bottoms = [below + count for below, count in zip(bottoms, row, strict=True)]
    axes.xaxis_date()
    axes.legend(frameon=False, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=9)
    return _svg(axes)


def _calendar_in_words(statistics: Statistics) -> str:
    day, count = _sorted(statistics.days)[0]
    first, last = (_EPOCH + timedelta(edge) for edge in (min(statistics.days), max(statistics.days)))
    return (
        f"From {first:%d %B %Y} to {last:%d %B %Y} people talked on {len(statistics.days):,} days. "
        f"The busiest was {_EPOCH + timedelta(day):%A, %d %B %Y}, with {count:,} messages."
    )


def _week(hours: Counter[int]) -> str:
    """A square for each hour of the week."""
    axes = _axes(height=2.2)
    grid = [[hours[day * 24 + hour] for hour in range(24)] for day in range(7)]
    axes.pcolormesh(grid, cmap="YlOrRd", edgecolors="white", linewidth=1.5, vmin=0)
    axes.invert_yaxis()
    axes.set_yticks([day + 0.5 for day in range(7)], _WEEKDAYS)
    axes.set_xticks([hour + 0.5 for hour in range(0, 24, 3)], [f"{hour}:00" for hour in range(0, 24, 3)])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return _svg(axes)


def _week_in_words(hours: Counter[int]) -> str:
    hour, count = _sorted(hours)[0]
    share = count / hours.total()
    name = f"{_WEEKDAYS[hour // 24]} {hour % 24}:00"
    return f"The liveliest hour is {name} (UTC, or the exporting machine's clock), with {share:.1%} of all messages."


def _bars(counts: Counter[int], names: Sequence[str], unit: str) -> str:
    if not counts:
        return ""
    axes = _axes(height=2.2)
    total = counts.total()
    bars = axes.bar(names, [counts[index] / total for index in range(len(names))], color=_ACCENT, width=0.8)
    axes.bar_label(bars, [f"{counts[index] / total:.0%}" for index in range(len(names))], padding=2, fontsize=9)
    axes.set_xlabel(unit)
    axes.spines["left"].set_visible(False)
    axes.tick_params(left=False, labelleft=False, bottom=False)
    return _svg(axes)


def _words_in_words(statistics: Statistics) -> str:
    several = 1 - statistics.bursts[1] / max(1, statistics.bursts.total())
    deep = sum(count for depth, count in statistics.depths.items() if depth > 1) / max(1, statistics.depths.total())
    return (
        f"Turns by their number of words. {several:.0%} are written as several messages in a row, which are joined; "
        f"{deep:.0%} answer a talk of more than one turn."
    )


def _delays_in_words(statistics: Statistics) -> str:
    return f"{statistics.delays.total():,} answers, by the time since what they answer was said."


def _axes(height: float) -> "Axes":
    from matplotlib.figure import Figure

    return Figure(figsize=(9, height), layout="tight").add_subplot()


def _svg(axes: "Axes") -> str:
    stream = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # the browser has fonts of its own
        cast("Figure", axes.figure).savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    text = stream.getvalue()
    return text[text.index("<svg") :]


def _sorted(counts: Counter[_Key]) -> list[tuple[_Key, int]]:
    """The greatest first, equal ones in the order of their keys."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _span(days: Counter[int]) -> int:
    return max(days) - min(days) + 1


@lru_cache(1 << 10)
def _month(day: int) -> int:
    moment = _EPOCH + timedelta(day)
    return moment.year * 12 + moment.month - 1


def _text(text: str) -> str:
    return html.escape("".join(character if character.isprintable() else "\ufffd" for character in text))


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>What your bot learns from</title>
<style>
body {{ margin: 0; background: #f6f4ef; color: #2b2d42; font: 16px/1.5 system-ui, sans-serif; }}
main {{ max-width: 960px; margin: 0 auto; padding: 2.5rem 1.25rem; }}
h1 {{ font-size: 2rem; margin: 0 0 1.25rem; }}
h2 {{ font-size: 1.2rem; margin: 0; }}
p {{ margin: .4rem 0 1rem; color: #565a70; }}
section {{ background: #fff; border-radius: 14px; padding: 1.4rem 1.6rem; margin: 1.1rem 0; }}
.tiles {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: .8rem; }}
.tiles div {{ background: #fff; border-radius: 14px; padding: 1rem 1.2rem; color: #565a70; }}
.tiles b {{ display: block; font-size: 1.6rem; color: #e4572e; font-variant-numeric: tabular-nums; }}
svg {{ width: 100%; height: auto; }}
footer {{ color: #8a8fa3; font-size: .85rem; }}
</style></head><body><main>
<h1>What your bot learns from</h1>
<div class="tiles">{tiles}</div>
{sections}
<footer>Made by Chinwag on this machine. It holds counts only: no message, and no names but those of channels.</footer>
</main></body></html>
"""
