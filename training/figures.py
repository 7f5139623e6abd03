"""Figures of models beside each other, as a part of a page: what each means, and a dot with a whisker for each row."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from training.page import text

if TYPE_CHECKING:
    from training.metrics import Row


class Figure(NamedTuple):
    """How a figure is shown: its name, one sentence, which direction is good, and a value as text."""

    title: str
    meaning: str
    good: str
    show: Callable[[float], str]


_LOWER, _HIGHER, _HUMAN = "lower is better", "higher is better", "near the human's is best"
_percent = "{:.1%}".format

FIGURES = {
    "bits_per_byte": Figure(
        "Bits per byte",
        "How many bits it takes to tell a held-out reply to somebody who guesses as the model does.",
        _LOWER,
        "{:.3f}".format,
    ),
    "perplexity": Figure(
        "Perplexity per word",
        "Among how many equally likely words the model wavers at each word of a held-out reply.",
        _LOWER,
        "{:,.1f}".format,
    ),
    "recall_at_1_of_20": Figure(
        "Recall@1 of 20",
        "How often it finds the reply that was given among 20; blind guessing finds 5 %.",
        _HIGHER,
        _percent,
    ),
    "recall_at_1_of_20_mmi": Figure(
        "Recall@1 of 20, with MMI",
        "The same where a reply does not count as likely for being likely anywhere.",
        _HIGHER,
        _percent,
    ),
    "f1": Figure("F1", "How many words its reply and the human's have in common.", _HIGHER, _percent),
    "bleu": Figure("BLEU", "How many words in a row they have in common, out of 100.", _HIGHER, "{:.2f}".format),
    "distinct_1": Figure("Distinct-1", "How many different words it has, for each word it says.", _HUMAN, _percent),
    "distinct_2": Figure(
        "Distinct-2", "How many different pairs of words; few of them are what makes a bot dull.", _HUMAN, _percent
    ),
    "reply_words": Figure("Length", "Words in a reply.", _HUMAN, "{:.1f}".format),
    "dullness": Figure(
        "Stock replies", "How many of all its replies are one of its ten most frequent ones.", _HUMAN, _percent
    ),
    "copy_rate": Figure(
        "Copied replies",
        "How many of its replies of six words and more stand in the training data word for word.",
        _LOWER,
        _percent,
    ),
}
"""What is shown of a row's figures, in this order."""


def figures(rows: Sequence["Row"]) -> str:
    """Each figure of all rows as dots with whiskers, the first row's in colour; nothing where there are no rows."""
    shown = (_figure(key, figure, rows) for key, figure in FIGURES.items())
    return f'<div class="pair">{"".join(shown)}</div>' if rows else ""


def _figure(key: str, figure: Figure, rows: Sequence["Row"]) -> str:
    """One figure of all rows, as dots with whiskers on a common scale."""
    estimates = [(row.name, row.figures[key]) for row in rows if key in row.figures]
    # What is so by construction, as that a training reply stands in the training data, would but stretch the scale.
    estimates = [(name, each) for name, each in estimates if not each.low == each.high == 1.0]
    if not estimates:
        return ""
    low, high = min(each.low for _, each in estimates), max(each.high for _, each in estimates)
    lines = "".join(
        f"<tr><th>{text(name)}</th>"
        f"<td>{_whisker(*((end - low) / max(high - low, 1e-9) for end in (each.value, each.low, each.high)))}</td>"
        f"<td>{figure.show(each.value)} <small>± {figure.show(each.margin)}</small></td></tr>"
        for name, each in estimates
    )
    head = f"<h3>{text(figure.title)} <small>{text(figure.good)}</small></h3><p>{text(figure.meaning)}</p>"
    return f'<div class="figure">{head}<table class="dots">{lines}</table></div>'


def _whisker(value: float, low: float, high: float) -> str:
    """Places on the scale are from 0 to 1."""
    interval = f'<i style="left:{low:.1%};right:{1 - high:.1%}"></i>'
    return f'<div class="track">{interval}<b style="left:{value:.1%}"></b></div>'
