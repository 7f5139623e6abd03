"""What the report pages share: colours by day and by night, and pieces of HTML. No page needs a network or a script.

Charts with axes are drawn by matplotlib. Bars, squares and bubbles are plain HTML, so that their words wrap, can be
selected, and have whatever fonts the browser has.
"""

import html
import io
import math
import re
import warnings
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PALETTE = {
    "paper": ("#f6f4ef", "#14151a"),
    "card": ("#ffffff", "#1e2028"),
    "line": ("#e4e0d6", "#353843"),
    "ink": ("#2b2d42", "#eceae4"),
    "muted": ("#5d6175", "#a5a8b8"),
    "grey": ("#9aa3b2", "#6f7686"),
    "accent": ("#d4471d", "#ff7d55"),
    "teal": ("#10868a", "#3cc3c0"),
    "amber": ("#e0a021", "#f2b94a"),
    "violet": ("#5b5f97", "#9397dd"),
    "green": ("#5f9a2c", "#92c95c"),
    "plum": ("#b35ba6", "#d989cc"),
    "navy": ("#3d5a80", "#7ba3d6"),
    "silver": ("#c9ccd5", "#4a4e5b"),
}
"""Each colour's name, and what it is by day and by night. No two are equal by day."""

_WIDTH = 4.4  # inches: half a desktop's page, all of a phone's, and legible on both
_STYLE_SHEET = Path(__file__).with_name("page.css")
_STYLE_ATTRIBUTE = re.compile(r'style="[^"]*"')
_DRAWN = re.compile("#[0-9a-f]{6}")
_NAMES = {day: name for name, (day, _) in PALETTE.items()}


def text(raw: str) -> str:
    """Anybody's text as HTML that shows it; a line end is a line end."""
    lines = ("".join(each if each.isprintable() else "\ufffd" for each in line) for line in raw.split("\n"))
    return "<br>".join(map(html.escape, lines))


def tiles(figures: Iterable[tuple[str, str]]) -> str:
    """Large figures with what they count."""
    shown = (f"<div><b>{text(figure)}</b>{text(name)}</div>" for figure, name in figures)
    return f'<div class="tiles">{"".join(shown)}</div>'


def section(title: str, words: str, *parts: str, half: bool = False) -> str:
    """A card; two half ones stand side by side where there is room. Where all parts are empty it is empty too."""
    if not any(parts):
        return ""
    kind = "card half" if half else "card"
    return f'<section class="{kind}"><h2>{text(title)}</h2><p>{text(words)}</p>{"".join(parts)}</section>'


def bars(rows: Sequence[tuple[str, int, str]]) -> str:
    """Horizontal bars on a logarithmic scale: a name, a count and a colour's name each."""
    longest = math.log(1 + max((count for _, count, _ in rows), default=1))
    lines = (
        f"<tr><th>{text(name)}</th><td><i style='width:{100 * math.log(1 + count) / longest:.1f}%;"
        f"background:var(--{colour})'></i></td><td>{count:,}</td></tr>"
        for name, count, colour in rows
    )
    return f'<table class="bars">{"".join(lines)}</table>' if rows else ""


def squares(
    rows: Sequence[str],
    columns: Sequence[str],
    shares: Sequence[Sequence[float]],
    titles: Sequence[Sequence[str]],
    kind: str,
) -> str:
    """A square for each row and column, the darker the greater its share (0 to 1); its title is seen by pointing at it.

    Args:
        rows, columns: their names.
        shares, titles: `[rows, columns]`.
        kind: the class of the table.
    """
    head = "".join(f"<th><span>{text(name)}</span></th>" for name in columns)
    lines = (
        f"<tr><th>{text(name)}</th>"
        + "".join(
            f'<td title="{text(title)}"><i style="opacity:{share:.2f}"></i></td>'
            for share, title in zip(line, line_titles, strict=True)
        )
        + "</tr>"
        for name, line, line_titles in zip(rows, shares, titles, strict=True)
    )
    return f'<div class="wide"><table class="squares {kind}"><tr><td></td>{head}</tr>{"".join(lines)}</table></div>'


def legend(names: Iterable[tuple[str, str]]) -> str:
    """What is drawn in which colour: a name and a colour's name each."""
    entries = (f'<span><i style="background:var(--{colour})"></i>{text(name)}</span>' for name, colour in names)
    return f'<div class="legend">{"".join(entries)}</div>'


def drawing() -> AbstractContextManager[None]:
    """Inside it, matplotlib draws in the style of the pages."""
    import matplotlib

    ink, muted, line = (PALETTE[name][0] for name in ("ink", "muted", "line"))
    style = {
        "font.family": "sans-serif",
        "font.size": 9,
        "text.color": ink,
        "axes.edgecolor": PALETTE["grey"][0],
        "axes.labelcolor": muted,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "grid.color": line,
        "xtick.color": muted,
        "ytick.color": muted,
        "svg.fonttype": "none",  # text stays text
        "svg.hashsalt": "chinwag",  # equal figures give equal pages
    }
    context: AbstractContextManager[None] = matplotlib.rc_context(style)
    return context


def canvas(height: float) -> "Figure":
    """An empty figure of so many inches, as wide as half a page."""
    from matplotlib.figure import Figure

    return Figure(figsize=(_WIDTH, height), layout="constrained")


def svg(figure: "Figure", label: str) -> str:
    """A figure as a part of a page, its colours those of the page; `label` is for who cannot see it."""
    stream = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # the browser has fonts of its own
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    drawn = stream.getvalue()
    drawn = _STYLE_ATTRIBUTE.sub(lambda style: _DRAWN.sub(_variable, style[0]), drawn[drawn.index("<svg") + 4 :])
    return f'<svg role="img" aria-label="{text(label)}"{drawn}'


def page(title: str, head: str, cards: Iterable[str], footer: str) -> str:
    """A whole page: what stands under its title, and its sections."""
    day, night = ("".join(f"--{name}:{colours[index]};" for name, colours in PALETTE.items()) for index in range(2))
    style = _STYLE_SHEET.read_text(encoding="utf-8")
    return _PAGE.format(
        title=text(title), day=day, night=night, style=style, head=head, cards="".join(cards), footer=text(footer)
    )


def _variable(colour: re.Match[str]) -> str:
    name = _NAMES.get(colour[0])
    return f"var(--{name})" if name else colour[0]


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; {day} }}
@media screen and (prefers-color-scheme: dark) {{ :root {{ {night} }} }}
{style}</style></head><body><main>
<h1>{title}</h1>
{head}
<div class="cards">{cards}</div>
<footer>{footer}</footer>
</main></body></html>
"""
