"""What a training run gave, as a page for a browser: curves, figures beside others', sample exchanges, attention.

It lies beside the bundle, not in it: it shows held-out exchanges, which are members' words, and a bundle may be handed
on.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from model.attention import Attention
from model.bundle import PRETRAINED, Bundle, report_of
from model.chatbot import ChatBot
from model.dialogue import Marker
from training.curves import curves
from training.dataset import Dataset, DatasetError
from training.evaluate import Figures, evaluate, references
from training.figures import FIGURES, figures
from training.generation import sample_replies
from training.page import page, section, squares, text, tiles
from training.presets import Start, TrainingConfig
from training.report import fates

if TYPE_CHECKING:
    from training.metrics import Row
    from training.train import History

_SAMPLES, _PICTURES = 8, 4
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


def report_run(
    bundle: Path,
    parameters: int,
    dataset: Dataset,
    *,
    start: Start,
    config: TrainingConfig,
    history: "History",
    measured: Figures,
    rejection: str | None,
    before: Path | None,
    data_page: Path | None,
) -> Path:
    """Measure what a bundle is compared with, let it answer held-out exchanges, and write the page beside it.

    Args:
        bundle: the new one.
        parameters: of its network.
        dataset: what it learned.
        start, config, history: how.
        measured: of the bundle.
        rejection: why it is not live; None where it is.
        before: the bundle that was live, and still is if the new one is not.
        data_page: the dataset's own page, if it stays.

    Returns:
        The page.
    """
    rows = [measured.row("this model"), *_rival(before, dataset, rejection is None), *references(dataset)]
    samples, attentions = _exchanges(bundle, dataset)
    report = RunReport(
        name=bundle.name,
        start=start,
        config=config,
        parameters=parameters,
        finished=datetime.fromisoformat(Bundle.open(bundle).facts.training["finished"]),
        rejection=rejection,
        history=history,
        rows=rows,
        samples=samples,
        attentions=attentions,
        facts=dataset.facts,
        data_page=quote(Path(os.path.relpath(data_page, bundle.parent)).as_posix()) if data_page else None,
    )
    path = report_of(bundle)
    write_run_report(path, report)
    return path


def write_run_report(path: Path, report: RunReport) -> None:
    """Write the page. Equal reports give equal pages."""
    cards = [
        section("How it learned", _curves_in_words(report.history), curves(report.history)),
        section("How good it is", _FIGURES_IN_WORDS, figures(report.rows)),
        section("What it says", _SAMPLES_IN_WORDS, _samples(report.samples)),
        section("Where it looks", _ATTENTION_IN_WORDS, _attentions(report.attentions)),
        section("What it learned from", _data_in_words(report.facts), _data(report)),
    ]
    written = page(f"Training run {report.name}", _head(report), cards, footer=_FOOTER)
    temporary = path.with_name(f".{path.name}")
    try:
        temporary.write_text(written, encoding="utf-8")
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _rival(before: Path | None, dataset: Dataset, replaced: bool) -> "list[Row]":
    """The figures of the bundle that was live, if there is one with the vocabulary of the dataset."""
    if before is None:
        return []
    name = "the shipped model" if before == PRETRAINED else "the one before" if replaced else "the live one"
    try:
        return [evaluate(before, dataset).row(name)]
    except DatasetError:
        return []


def _exchanges(bundle: Path, dataset: Dataset) -> tuple[list[Sample], list[Attention]]:
    """Some of the validation side, evenly spread, and what the network looks at in those with the most context."""
    split, tokenizer, chatbot = dataset.validation, dataset.tokenizer, ChatBot.load(bundle)
    rows = np.linspace(0, len(split) - 1, min(_SAMPLES, len(split))).astype(int).tolist()
    contexts = [split.contexts[row].tolist() for row in rows]
    replies = sample_replies(chatbot, contexts, seed=0)
    samples = [
        Sample(tokenizer.decode_context(context), tokenizer.decode(split.replies[row].tolist()), reply)
        for row, context, reply in zip(rows, contexts, replies, strict=True)
    ]
    longest = sorted(sorted(range(len(rows)), key=lambda index: -len(contexts[index]))[:_PICTURES])
    looked = (chatbot.attention(contexts[index], tokenizer.encode(replies[index])) for index in longest)
    return samples, [each for each in looked if each is not None]


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


def _curves_in_words(history: "History") -> str:
    best = history.best
    if best is None:
        return ""
    return (
        f"Measured {_times(len(history.evaluations))}. The best was after step {best.step:,}: there the network "
        f"guessed {best.validation_accuracy:.1%} of the tokens of held-out replies right; it is the one kept."
    )


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
