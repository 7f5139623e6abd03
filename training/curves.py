"""How a run went, as pictures for its page."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from training.page import PALETTE, canvas, drawing, legend, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from training.train import History

_MOST_DOTS = 25  # more evaluations than this are a line


def curves(history: "History") -> str:
    """Losses and learning rate by step, accuracy and speed by time; nothing where nothing was measured."""
    evaluations = history.evaluations
    if not evaluations:
        return ""
    names = [("training", "grey"), ("held-out exchanges", "accent"), ("the best, which was kept", "teal")]
    with drawing():
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
    """A dot with its value, which stays within the picture."""
    teal, (first, last) = PALETTE["teal"][0], axes.get_xlim()
    share = (place - first) / (last - first)
    side = "left" if share < 0.1 else "right" if share > 0.9 else "center"
    axes.plot([place], [value], color=teal, marker="o", markersize=7, clip_on=False)
    axes.annotate(name, (place, value), (0, 7), textcoords="offset points", ha=side, color=teal, fontweight="bold")
