"""What a training run gave, as a page for a browser: curves, figures beside others', sample exchanges, attention.

It lies beside the bundle, not in it: it shows held-out exchanges, which are members' words, and a bundle may be handed
on.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from model.bundle import PRETRAINED
from model.dialogue import Marker
from training.attention import Attention, attend
from training.dataset import Dataset
from training.generation import sample_replies
from training.page import PALETTE, canvas, drawing, legend, page, section, squares, svg, text, tiles
from training.presets import Start, TrainingConfig
from training.report import fates

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from model.seq2seq import Seq2Seq
    from training.metrics import Row
    from training.train import History

_MOST_DOTS = 25  # more evaluations than this are a line
_FIGURES_IN_WORDS = (
    "Measured on held-out exchanges, of which nothing was learned. A dot is the figure, its bar the range in which it "
    "lies with 95 % certainty: where two bars do not meet, the difference is no chance."
)
_SAMPLES_IN_WORDS = (
    "Held-out exchanges, evenly spread and not selected: what was said, what the human answered, and what the model "
    "answers. Seen from who answers: me, you (whom I answer), and others."
)
_ATTENTION_IN_WORDS = (
    "Those of the samples with the most context. A row for each piece of the reply that the model wrote, from top to "
    "bottom; a column for each piece of what was said before. The stronger a square, the more the network looked there."
)
_FOOTER = (
    "Made by Chinwag on this machine. This page shows what people wrote: keep it where the chat logs are. "
    "The model beside it says nothing of its data but counts."
)
_HEADLINE = ("bits_per_byte", "perplexity", "recall_at_1_of_20")
_SPEAKERS = {Marker.ME: "me", Marker.YOU: "you", Marker.OTHER: "other"}


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


@dataclass(frozen=True)
class Sample:
    """A held-out exchange and what the model makes of it: the marked turns of the context, and both replies."""

    context: Sequence[tuple[Marker, str]]
    human: str
    model: str


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """All that the page shows.

    Attributes:
        name: of the bundle.
        start, config: what training started from, and how it was done.
        parameters: of the network.
        finished: when.
        rejection: why the bundle is not live; None where it is.
        history: of the training.
        rows: figures of the bundle, then those of others.
        samples: evenly spread over the held-out exchanges.
        attentions: of some samples; none for a network without attention.
        facts: of the dataset.
        data_page: where the dataset's own page is, seen from this one; None where it is not kept.
    """

    name: str
    start: Start
    config: TrainingConfig
    parameters: int
    finished: datetime
    rejection: str | None
    history: "History"
    rows: "Sequence[Row]"
    samples: Sequence[Sample]
    attentions: Sequence[Attention]
    facts: Mapping[str, Any]
    data_page: str | None


def write_run_report(path: Path, report: RunReport) -> None:
    """Write the page. Equal reports give equal pages."""
    with drawing():
        curves = _curves(report.history)
    cards = [
        section("How it learned", _curves_in_words(report.history), curves),
        section("How good it is", _FIGURES_IN_WORDS, _figures(report.rows)),
        section("What it says", _SAMPLES_IN_WORDS, _samples(report.samples)),
        section("Where it looks", _ATTENTION_IN_WORDS, _attentions(report.attentions)),
        section("What it learned from", _data_in_words(report.facts), _data(report)),
    ]
    written = page(f"Training run {report.name}", _head(report), cards, footer=_FOOTER)
    path.write_text(written, encoding="utf-8")


def sample(
    directory: Path, network: "Seq2Seq", dataset: Dataset, count: int = 8, pictures: int = 4
) -> tuple[list[Sample], list[Attention]]:
    """Exchanges evenly spread over the validation side, and what the network looks at in those with the most context.

    Args:
        directory: the bundle.
        network: what it was made of.
        dataset: prepared with its tokenizer.
        count: exchanges.
        pictures: those of them that are looked into.
    """
    split, tokenizer = dataset.validation, dataset.tokenizer
    rows = np.linspace(0, len(split) - 1, min(count, len(split))).astype(int).tolist()
    contexts = [split.contexts[row].tolist() for row in rows]
    replies = sample_replies(directory, contexts, seed=0)
    samples = [
        Sample(tokenizer.decode_context(context), tokenizer.decode(split.replies[row].tolist()), reply)
        for row, context, reply in zip(rows, contexts, replies, strict=True)
    ]
    longest = sorted(sorted(range(len(rows)), key=lambda index: -len(contexts[index]))[:pictures])
    attentions = [attend(network, tokenizer, contexts[index], replies[index]) for index in longest]
    return samples, [each for each in attentions if each is not None]


def _head(report: RunReport) -> str:
    badge = (
        '<span class="badge live">live</span>' if report.rejection is None else '<span class="badge">not live</span>'
    )
    words = (
        f"A {report.start.name} network of {report.parameters / 1e6:.1f} million parameters, {_origin(report.start)}. "
        f"Training ended on {report.finished:%d %B %Y at %H:%M} UTC{_ending(report)}."
    )
    reason = "" if report.rejection is None else f"<p>{text(report.rejection)}</p>"
    return f'<div class="lead"><p>{badge} {text(words)}</p>{reason}</div>{tiles(_tiles(report))}'


def _origin(start: Start) -> str:
    if start.bundle is None:
        return "begun anew"
    return f"which went on from {'the shipped model' if start.bundle == PRETRAINED else start.bundle.name}"


def _ending(report: RunReport) -> str:
    """After how long, and why."""
    history, config = report.history, report.config
    if history.best is None:
        return " before anything could be measured"
    last = history.evaluations[-1]
    later = len(history.evaluations) - 1 - history.evaluations.index(history.best)
    if history.interrupted:
        why = "since Ctrl-C was pressed"
    elif config.time_limit is not None and last.seconds >= config.time_limit:
        why = "since the time was up"
    elif later >= config.patience:
        why = "since nothing became better any more"
    else:
        why = "as planned"
    return f" after {last.epoch:.1f} epochs, {why}"


def _tiles(report: RunReport) -> list[tuple[str, str]]:
    shown = []
    if report.rows:
        named = [(key, report.rows[0].figures.get(key)) for key in _HEADLINE]
        shown = [(FIGURES[key].show(found.value), FIGURES[key].title.lower()) for key, found in named if found]
    shown.append((f"{report.facts['train_examples']:,}", "exchanges learned from"))
    if report.history.evaluations:
        last = report.history.evaluations[-1]
        shown += [
            (_short(last.tokens), "tokens seen"),
            (f"{last.tokens / max(last.seconds, 1e-9):,.0f}", "tokens a second"),
            (_duration(last.seconds), "of training"),
        ]
    return shown


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _short(count: int) -> str:
    return f"{count:,}" if count < 1_000_000 else f"{count / 1e6:,.1f} M"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"


def _curves(history: "History") -> str:
    """Losses and learning rate by step, accuracy and speed by time."""
    evaluations = history.evaluations
    if not evaluations:
        return ""
    names = [("training", "grey"), ("held-out exchanges", "accent"), ("the best, which was kept", "teal")]
    return f'<div class="pair">{_by_step(history)}{_by_time(history)}</div>{legend(names)}'


def _by_step(history: "History") -> str:
    evaluations = history.evaluations
    figure = canvas(3.3)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    steps = [each.step for each in evaluations]
    _line(upper, steps, [each.train_loss for each in evaluations], "grey")
    _line(upper, steps, [each.validation_loss for each in evaluations], "accent")
    if history.best is not None:
        _mark(upper, history.best.step, history.best.validation_loss, f"{history.best.validation_loss:.3f}")
    upper.set_title(loc="left", label="loss, nats a token")
    _line(lower, steps, [each.learning_rate for each in evaluations], "violet")
    lower.set_ylim(bottom=0)
    lower.set_title(loc="left", label="learning rate")
    lower.set_xlabel("step")
    lower.xaxis.set_major_formatter("{x:,.0f}")
    return svg(figure, "Losses and learning rate by step")


def _by_time(history: "History") -> str:
    from matplotlib.ticker import PercentFormatter

    evaluations = history.evaluations
    figure = canvas(3.3)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    unit, name = (60.0, "minutes") if evaluations[-1].seconds >= 120 else (1.0, "seconds")
    times = [each.seconds / unit for each in evaluations]
    _line(upper, times, [each.validation_accuracy for each in evaluations], "accent")
    if history.best is not None:
        accuracy = history.best.validation_accuracy
        _mark(upper, history.best.seconds / unit, accuracy, f"{accuracy:.1%}")
    upper.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=1))
    upper.set_title(loc="left", label="tokens guessed right")
    starts = [(0.0, 0), *((each.seconds, each.tokens) for each in evaluations[:-1])]
    speeds = [
        (each.tokens - tokens) / max(each.seconds - seconds, 1e-9)
        for each, (seconds, tokens) in zip(evaluations, starts, strict=True)
    ]
    _line(lower, times, speeds, "violet")
    lower.set_ylim(bottom=0)
    lower.set_title(loc="left", label="tokens a second")
    lower.set_xlabel(name)
    lower.yaxis.set_major_formatter("{x:,.0f}")
    return svg(figure, "Accuracy and speed by time")


def _line(axes: "Axes", places: Sequence[float], values: Sequence[float], colour: str) -> None:
    dot = "o" if len(values) <= _MOST_DOTS else ""
    axes.plot(places, values, color=PALETTE[colour][0], linewidth=1.8, marker=dot, markersize=3.5, clip_on=False)
    axes.grid(True, axis="y")
    axes.margins(x=0.03, y=0.15)
    axes.set_xlim(left=0)
    axes.spines["left"].set_visible(False)
    axes.tick_params(left=False)


def _mark(axes: "Axes", place: float, value: float, name: str) -> None:
    teal = PALETTE["teal"][0]
    axes.plot([place], [value], color=teal, marker="o", markersize=7, clip_on=False)
    axes.annotate(name, (place, value), (0, 7), textcoords="offset points", ha="center", color=teal, fontweight="bold")


def _curves_in_words(history: "History") -> str:
    best = history.best
    if best is None:
        return ""
    return (
        f"Measured {_times(len(history.evaluations))}. The best was after step {best.step:,}: there the network "
        f"guessed {best.validation_accuracy:.1%} of the tokens of held-out replies right; it is the one kept."
    )


def _figures(rows: "Sequence[Row]") -> str:
    shown = (_figure(key, figure, rows) for key, figure in FIGURES.items())
    return f'<div class="pair">{"".join(shown)}</div>' if rows else ""


def _figure(key: str, figure: Figure, rows: "Sequence[Row]") -> str:
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


def _samples(samples: Sequence[Sample]) -> str:
    return f'<div class="pair samples">{"".join(map(_sample, samples))}</div>' if samples else ""


def _sample(sample: Sample) -> str:
    turns = "".join(
        f'<div class="{_SPEAKERS[marker]}"><small>{_SPEAKERS[marker]}</small>{text(said)}</div>'
        for marker, said in sample.context
    )
    return (
        f'<div class="chat">{turns}<div class="me human"><small>human</small>{text(sample.human)}</div>'
        f'<div class="me model"><small>model</small>{text(sample.model)}</div></div>'
    )


def _attentions(attentions: Sequence[Attention]) -> str:
    return f'<div class="maps">{"".join(map(_attention, attentions))}</div>' if attentions else ""


def _attention(attention: Attention) -> str:
    strengths = np.sqrt(attention.weights / attention.weights.max())  # most shares are small, and should be seen
    titles = [
        [
            f"{reply.strip()} looks at {name.strip()}: {share:.0%}"
            for name, share in zip(attention.context, line, strict=True)
        ]
        for reply, line in zip(attention.reply, attention.weights.tolist(), strict=True)
    ]
    return squares(attention.reply, attention.context, strengths.tolist(), titles, kind="attention")


def _data_in_words(facts: Mapping[str, Any]) -> str:
    held_out = f"{facts['validation_examples']:,} of other conversations were held out to measure it"
    return f"{facts['train_examples']:,} exchanges; {held_out if facts['held_out'] else 'none were held out'}."


def _data(report: RunReport) -> str:
    link = f'<p><a href="{text(report.data_page)}">All about the data</a></p>' if report.data_page else ""
    return fates(report.facts.get("counts", {})) + link
