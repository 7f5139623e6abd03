"""What a dataset was made of, as a page with pictures for a browser: `report.html` in its folder."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from training.conversations import LinkedTurn
from training.page import PALETTE, bars, canvas, drawing, legend, page, section, squares, svg, text, tiles
from training.tally import Tally

FILE_NAME = "report.html"

_Key = TypeVar("_Key", int, str)

_DAY = 86_400
_EPOCH = date(1970, 1, 1)
_FIRST_WEEKDAY = _EPOCH.weekday()
_WORDS = (1, 2, 3, 4, 6, 9, 13, 20, 30, 50, 100)  # where the ranges begin
_WORD_NAMES = ("1", "2", "3", "4-5", "6-8", "9-12", "13-19", "20-29", "30-49", "50-99", "100+")
_DELAYS = (0, 5, 15, 30, 60, 120, 300, 900, 3_600, 6 * 3_600, _DAY, 7 * _DAY)
_DELAY_NAMES = (
    *("5\ns", "15\ns", "30\ns", "1\nmin", "2\nmin", "5\nmin", "15\nmin", "1\nh", "6\nh", "1\nday", "1\nweek"),
    "more",
)
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_FATES = (
    ("left_out", "messages left out", "grey"),
    ("skipped", "turns not learned", "amber"),
    ("redacted", "taken out of messages", "green"),
)
_CHANNEL_COLOURS = ("accent", "teal", "amber", "violet", "green", "plum", "navy")
_SMALLEST_CHANNEL = 0.01  # of all messages; smaller ones are not told apart
_DAYS_BY_DAY = 62  # a longer time is shown by month
_FOOTER = "Made by Chinwag on this machine. It holds counts only: no message, and no names but those of channels."


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
    with drawing():
        cards = [
            section("What came in, and what of it is learned", _fates_in_words(tally), fates(tally.as_json())),
            *_times(statistics, channel_names),
            section(
                "How much is said in one go",
                _words_in_words(statistics),
                _histogram(statistics.words, _WORD_NAMES, "words"),
                half=True,
            ),
            section(
                "How long an answer takes",
                _delays_in_words(statistics),
                _histogram(statistics.delays, _DELAY_NAMES, "at most"),
                half=True,
            ),
            section("Notes", "What reading met.", _notes(warnings)),
        ]
    written = page("What your bot learns from", _tiles(tally, statistics), cards, footer=_FOOTER)
    path.write_text(written, encoding="utf-8")


def fates(counts: Mapping[str, Any]) -> str:
    """Bars of why messages and turns are not learned, and of what was taken out, of `Tally.as_json`."""
    rows = [
        (reason, count, colour) for key, _, colour in _FATES for reason, count in _sorted(Counter(counts.get(key, {})))
    ]
    return legend([(name, colour) for key, name, colour in _FATES if counts.get(key)]) + bars(rows) if rows else ""


def _tiles(tally: Tally, statistics: Statistics) -> str:
    return tiles(
        [
            (f"{tally.messages:,}", "messages read"),
            (f"{tally.kept:,}", "messages kept"),
            (f"{tally.turns:,}", "turns"),
            (f"{tally.conversations:,}", "conversations"),
            (f"{tally.examples:,}", "exchanges to learn from"),
            (f"{len(statistics.channels):,}", "channels"),
        ]
    )


def _fates_in_words(tally: Tally) -> str:
    share = tally.examples / max(1, tally.messages)
    return (
        f"Of {tally.messages:,} messages {tally.kept:,} were kept. They make {tally.turns:,} turns, and "
        f"{tally.examples:,} of these answer somebody: {share:.0%} of what was read teaches the bot a reply. "
        "The bars are on a logarithmic scale."
    )


def _times(statistics: Statistics, channel_names: Mapping[str, str]) -> list[str]:
    if not statistics.days:
        return []
    calendar, week = _calendar(statistics, channel_names), _week(statistics.hours)
    return [
        section("Through time", _calendar_in_words(statistics), calendar, half=True),
        section("Through the week", _week_in_words(statistics.hours), week, half=True),
    ]


def _calendar(statistics: Statistics, channel_names: Mapping[str, str]) -> str:
    """Messages by day or month, the busiest channels in colours."""
    days, months = statistics.days, [month for month, _ in statistics.months]
    if max(days) - min(days) < _DAYS_BY_DAY:
        shown = range(min(days), max(days) + 2)
        heights = [days[day] for day in shown[:-1]]
        return _timeline([_EPOCH + timedelta(day) for day in shown], {"accent": heights})
    shown = range(min(months), max(months) + 2)
    smallest = _SMALLEST_CHANNEL * statistics.channels.total()
    busiest = [channel for channel, count in _sorted(statistics.channels) if count >= smallest]
    colours = dict(zip(busiest, _CHANNEL_COLOURS, strict=False))
    stacks = {colour: [0] * (len(shown) - 1) for colour in (*colours.values(), "silver")}
    for (month, channel), count in statistics.months.items():
        stacks[colours.get(channel, "silver")][month - shown[0]] += count
    names = [(_channel_name(channel, channel_names), colour) for channel, colour in colours.items()]
    if len(colours) < len(statistics.channels):
        names.append(("all others" if colours else "all channels", "silver"))
    return _timeline([date(month // 12, month % 12 + 1, 1) for month in shown], stacks) + legend(names)


def _timeline(edges: Sequence[date], stacks: Mapping[str, Sequence[int]]) -> str:
    """Heights by colour, one on the other, between neighbouring dates."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num

    figure = canvas(2.5)
    axes = figure.add_subplot()
    bottoms = [0] * (len(edges) - 1)
    for colour, heights in stacks.items():
        tops = [below + height for below, height in zip(bottoms, heights, strict=True)]
        axes.stairs(tops, date2num(edges), baseline=bottoms, fill=True, color=PALETTE[colour][0])
        bottoms = tops
    axes.set_ylim(bottom=0)
    locator = AutoDateLocator(minticks=3, maxticks=7)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.grid(axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(left=False)
    return svg(figure, "Messages by time")


def _channel_name(channel: str, names: Mapping[str, str]) -> str:
    return f"#{names.get(channel) or channel.partition('#')[0]}"[:28]


def _calendar_in_words(statistics: Statistics) -> str:
    day, count = _sorted(statistics.days)[0]
    first, last = (_EPOCH + timedelta(edge) for edge in (min(statistics.days), max(statistics.days)))
    return (
        f"From {first:%d %B %Y} to {last:%d %B %Y} people talked on {len(statistics.days):,} days. "
        f"The busiest was {_EPOCH + timedelta(day):%A, %d %B %Y}, with {count:,} messages."
    )


def _week(hours: Counter[int]) -> str:
    """A square for each hour of the week."""
    names = [f"{hour}:00" for hour in range(24)]
    counts = [[hours[day * 24 + hour] for hour in range(24)] for day in range(7)]
    most = max(hours.values())
    return squares(
        _WEEKDAYS,
        [name if hour % 6 == 0 else "" for hour, name in enumerate(names)],
        [[count / most for count in line] for line in counts],
        [
            [f"{day} {name}: {count:,} messages" for name, count in zip(names, line, strict=True)]
            for day, line in zip(_WEEKDAYS, counts, strict=True)
        ],
        kind="week",
    )


def _week_in_words(hours: Counter[int]) -> str:
    hour, count = _sorted(hours)[0]
    share = count / hours.total()
    name = f"{_WEEKDAYS[hour // 24]} {hour % 24}:00"
    return f"The liveliest hour is {name} (UTC, or the exporting machine's clock), with {share:.1%} of all messages."


def _histogram(counts: Counter[int], names: Sequence[str], unit: str) -> str:
    """Upright bars of the share of each range."""
    if not counts:
        return ""
    figure = canvas(2.3)
    axes = figure.add_subplot()
    shares = [counts[index] / counts.total() for index in range(len(names))]
    drawn = axes.bar(names, shares, color=PALETTE["accent"][0], width=0.8)
    axes.bar_label(drawn, [f"{share:.0%}" for share in shares], padding=2, fontsize=8)
    axes.set_xlabel(unit)
    axes.spines["left"].set_visible(False)
    axes.tick_params(left=False, labelleft=False, bottom=False)
    axes.tick_params(axis="x", labelsize=7.5)
    return svg(figure, f"Shares by {unit}")


def _words_in_words(statistics: Statistics) -> str:
    several = 1 - statistics.bursts[1] / max(1, statistics.bursts.total())
    deep = sum(count for depth, count in statistics.depths.items() if depth > 1) / max(1, statistics.depths.total())
    return (
        f"Turns by their number of words. {several:.0%} are written as several messages in a row, which are joined; "
        f"{deep:.0%} answer a talk of more than one turn."
    )


def _delays_in_words(statistics: Statistics) -> str:
    return f"{statistics.delays.total():,} answers, by the time since what they answer was said."


def _notes(warnings: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{text(line)}</li>' for line in warnings)}</ul>" if warnings else ""


def _sorted(counts: Counter[_Key]) -> list[tuple[_Key, int]]:
    """The greatest first, equal ones in the order of their keys."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


@lru_cache(1 << 10)
def _month(day: int) -> int:
    moment = _EPOCH + timedelta(day)
    return moment.year * 12 + moment.month - 1
