"""The command line: `chinwag-train retrain` makes a model of chat exports; its parts can be run one by one."""

import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

# TensorFlow and the readers are imported where they are used: --help does without, as does a light install.
from model import ChinwagError
from model.bundle import PRETRAINED, Bundle, ModelFormatError, live_bundle

if TYPE_CHECKING:
    from training.dataset import Dataset
    from training.evaluate import Figures
    from training.prepare import Preparation
    from training.retrain import Retraining, Start

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Train Chinwag on chat logs: exports in, a model out.",
)


class PresetName(StrEnum):
    """The presets of `training.presets`, here so that --help need not import them."""

    CLASSIC = "classic"
    BASE = "base"


Exports = Annotated[
    list[Path],
    typer.Argument(
        metavar="EXPORT...",
        help="Files or folders: DiscordChatExporter JSON, or JSON Lines in Chinwag's normal form; gzip or not.",
        show_default=False,
    ),
]
Models = Annotated[Path, typer.Option(metavar="DIR", help="The folder of models; `current` in it is the live one.")]
PresetOption = Annotated[PresetName | None, typer.Option(help="Start a new network of this shape.", show_default=False)]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="base|current|DIR",
        help="Go on from a trained model: the shipped one (the default without --preset), the live one, or a bundle.",
        show_default=False,
    ),
]
Epochs = Annotated[
    float | None, typer.Option(min=0.01, help="Times each exchange is seen, at most.", show_default=False)
]
Seed = Annotated[int, typer.Option(min=0, help="Equal seeds on equal machines give equal models.")]
DEFAULT_MODELS = Path("models")


def main() -> None:
    """The console script."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # its notes on processors and CUDA mean nothing to an admin
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    app()


@app.command()
def retrain(
    exports: Exports,
    models: Models = DEFAULT_MODELS,
    preset: PresetOption = None,
    from_: From = None,
    epochs: Epochs = None,
    seed: Seed = 0,
) -> None:
    """Prepare, train, evaluate and publish in one. A running bot takes the new model by itself.

    Ctrl-C during training publishes the best so far; again, it gives up and changes nothing.
    """
    with _plain_failures(), _scratch(models) as scratch:
        start = _start(preset, from_, models)
        preparation = _prepare(exports, scratch / "data", start)
        _train(preparation.dataset, models, start, epochs, seed)


@app.command()
def prepare(
    exports: Exports,
    out: Annotated[Path, typer.Option(metavar="DATA", help="The dataset's folder.", show_default=False)],
    preset: PresetOption = None,
    from_: From = None,
    models: Models = DEFAULT_MODELS,
) -> None:
    """Turn exports into a dataset. Name the --preset or --from that will be trained on it."""
    with _plain_failures():
        _prepare(exports, out, _start(preset, from_, models))


@app.command()
def train(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A folder that `prepare` wrote.", show_default=False)],
    models: Models = DEFAULT_MODELS,
    preset: PresetOption = None,
    from_: From = None,
    epochs: Epochs = None,
    seed: Seed = 0,
) -> None:
    """Train on a prepared dataset, evaluate, and publish."""
    with _plain_failures():
        from training.dataset import Dataset

        _train(Dataset.open(data), models, _start(preset, from_, models), epochs, seed)


@app.command()
def evaluate(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A folder that `prepare` wrote.", show_default=False)],
    bundle: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The model; else the live one of --models.", show_default=False)
    ] = None,
    models: Models = DEFAULT_MODELS,
    samples: Annotated[int, typer.Option(min=0, help="Sample exchanges to show.")] = 5,
) -> None:
    """Measure a model on the held-out conversations of a dataset."""
    with _plain_failures():
        from training.dataset import Dataset
        from training.evaluate import evaluate as measure
        from training.evaluate import sample_exchanges

        directory, dataset = bundle or live_bundle(models), Dataset.open(data)
        _print_figures(measure(directory, dataset))
        for turn, human, reply in sample_exchanges(directory, dataset, samples):
            typer.echo(f"\n> {_one_line(turn.text)}\n  human: {_one_line(human)}\n  model: {_one_line(reply)}")


@app.command()
def pretrain(
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the bundle goes; one there is replaced.")
    ] = PRETRAINED,
    epochs: Annotated[float, typer.Option(min=0.01, help="Times each exchange is seen, at most.")] = 1.25,
    seed: Seed = 0,
) -> None:
    """Train the model that Chinwag ships, on the chitchat-dataset package (MIT): about 40 minutes on 2 cores."""
    from training.pretrain import write_corpus
    from training.retrain import Start

    with _plain_failures(), _scratch(out.parent) as scratch:
        start = Start(preset=PresetName.BASE)
        write_corpus(scratch / "chitchat.jsonl")
        preparation = _prepare([scratch / "chitchat.jsonl"], scratch / "data", start)
        bundle = _train(preparation.dataset, scratch / "models", start, epochs, seed).bundle
        out.mkdir(exist_ok=True)
        for path in bundle.iterdir():  # beside the model card and whatever else lies there
            os.replace(path, out / path.name)
        typer.echo(f"Moved to {out}")


def _start(preset: PresetName | None, from_: str | None, models: Path) -> "Start":
    from training.retrain import Start

    if preset is not None and from_ is not None:
        raise typer.BadParameter("name --preset (a new network) or --from (one that goes on learning), not both")
    if preset is not None:
        return Start(preset=preset)
    named = {"base": PRETRAINED, None: PRETRAINED}
    directory = live_bundle(models) if from_ == "current" else named.get(from_) or Path(str(from_))
    return Start(preset=Bundle.open(directory).facts.preset, bundle=directory)


def _prepare(exports: list[Path], out: Path, start: "Start") -> "Preparation":
    from tqdm import tqdm

    from model.bundle import TOKENIZER
    from model.tokenizer import Tokenizer
    from training.exports import ReadNotes
    from training.prepare import prepare
    from training.presets import PRESETS

    tokenizer = Tokenizer.load(start.bundle / TOKENIZER) if start.bundle else None
    with tqdm(desc="Reading", unit="B", unit_scale=True, ncols=100, delay=1) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        notes = ReadNotes(progress=progress)
        size = PRESETS[start.preset].vocabulary_size
        preparation = prepare(exports, out, tokenizer=tokenizer, vocabulary_size=size, notes=notes)
    for warning in notes.warnings:
        typer.echo(f"Note: {warning}", err=True)
    typer.echo(preparation.tally.table())
    facts = preparation.dataset.facts
    typer.echo(f"  held out for validation{facts['validation_examples']:>15,}")
    if not facts["held_out"]:
        typer.echo("Note: too few conversations to hold some out: the figures are of what was trained on.", err=True)
    return preparation


def _train(dataset: "Dataset", models: Path, start: "Start", epochs: float | None, seed: int) -> "Retraining":
    from tqdm import tqdm

    from training.retrain import retrain as run
    from training.train import Evaluation

    def report(evaluation: Evaluation) -> None:
        tqdm.write(
            f"step {evaluation.step:>7,}  loss {evaluation.train_loss:.3f}  validation loss "
            f"{evaluation.validation_loss:.3f}  accuracy {evaluation.validation_accuracy:.1%}"
        )

    result = run(dataset, models, start, start.config(epochs, seed), on_evaluation=report)
    if result.history.interrupted:
        typer.echo("Interrupted: this is the best so far.", err=True)
    _print_figures(result.figures)
    typer.echo(f"Published {result.bundle}")
    return result


def _print_figures(figures: "Figures") -> None:
    typer.echo(
        f"perplexity per word {figures.perplexity:.1f}, {figures.bits_per_byte:.3f} bits a byte, "
        f"on {figures.replies:,} replies of {figures.words:,} words"
    )


def _one_line(text: str) -> str:
    return " / ".join(text.split("\n"))


@contextlib.contextmanager
def _scratch(beside: Path) -> Iterator[Path]:
    """A folder for what holds people's words only as long as it is needed, on the disk with room for models."""
    try:
        beside.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".retrain-", dir=beside))
    except OSError as error:
        raise ModelFormatError(f"{beside} cannot be written ({error.strerror}): choose another folder.") from error
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextlib.contextmanager
def _plain_failures() -> Iterator[None]:
    """Turn a known failure into one sentence and exit code 1."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in ("tensorflow", "keras", "onnx", "safetensors", "msgspec", "ijson", "tqdm"):
            raise
        _fail(f"Training needs {error.name}: install Chinwag with its extra, pip install -e '.[train]'.", error)
    except KeyboardInterrupt as error:
        _fail("Interrupted; nothing was changed.", error)
    except ChinwagError as error:
        _fail(str(error), error)


def _fail(sentence: str, error: BaseException) -> None:
    logging.getLogger("training").debug("The command failed.", exc_info=error)
    typer.echo(sentence, err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    main()
