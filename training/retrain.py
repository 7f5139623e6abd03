"""A prepared dataset in, a published bundle out: build or take up a network, train it, measure it, publish it."""

import hashlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np

from model.bundle import (
    COPIES,
    HEAD,
    TOKENIZER,
    Bundle,
    BundleFacts,
    ModelFormatError,
    keep,
    live_bundle,
    publish,
    seal,
    staging,
    writing,
)
from model.copies import CopyIndex
from model.onnx_graph import export, load_network
from model.seq2seq import Seq2Seq, Seq2SeqConfig, build
from training.checkpoint import Place
from training.crew import Crew
from training.dataset import NOBODY, Dataset
from training.distribution import Replicas, devices
from training.evaluate import Figures, evaluate
from training.gate import bits_per_byte
from training.presets import FINE_TUNING, Start, TrainingConfig
from training.progress import Bar
from training.run_report import report_run
from training.samples import Sample
from training.train import Evaluation, History, train


@dataclass(frozen=True)
class Retraining:
    """What a run gave.

    Attributes:
        bundle: where the new bundle is.
        history: of the training.
        figures: of the bundle, on the validation split.
        rival: bits per byte of the model that was live, on the same replies; None if it was not asked.
        page: about the run, beside the bundle; None if it could not be made.
    """

    bundle: Path
    history: History
    figures: Figures
    rival: float | None
    page: Path | None = None

    @property
    def published(self) -> bool:
        """Whether the new bundle is live: not if it is worse than the one that was."""
        return self.rival is None or self.figures.bits_per_byte <= self.rival

    @property
    def rejection(self) -> str | None:
        """Why the new bundle is not live, in a sentence; None where it is."""
        if self.published:
            return None
        return (
            f"The live model foretells the held-out replies better, with {self.rival:.3f} bits a byte to "
            f"{self.figures.bits_per_byte:.3f}: it stays live, and this one is kept beside it."
        )


def retrain(
    dataset: Dataset,
    models: Path,
    start: Start,
    config: TrainingConfig,
    *,
    checkpoint: Place | None = None,
    crew: Crew | None = None,
    data_page: Path | None = None,
    force: bool = False,
    on_evaluation: Callable[[Evaluation, list[Sample]], None] = lambda evaluation, samples: None,
    on_note: Callable[[str], None] = lambda note: None,
) -> Retraining | None:
    """Train a network on a dataset and make it the live bundle of a models folder, unless the live one is better.

    Args:
        dataset: to learn.
        models: the folder.
        start: what training starts from.
        config: how.
        checkpoint, on_evaluation, on_note: as for `train`.
        crew: machines that train instead of this one; they need a checkpoint.
        data_page: the dataset's own page, if it stays.
        force: make it live whatever the live one can.

    Returns:
        What came of it; None in a process that only helped the chief of several machines.

    Raises:
        TrainingError: training cannot go on.
        CheckpointError: the checkpoint cannot be written.
        ModelFormatError: the bundle to start from cannot be read, or the new one cannot be written.
        DatasetError: the dataset was prepared for another network.
        LockedError: another process makes a model in the folder.
        ClusterError: the crew cannot do it.
    """
    with staging(models) as staged:  # first of all: a folder that cannot be written should not cost hours
        with devices():
            network = _network(dataset, start, config.seed)
            learn: Callable[..., History] = crew.train if crew else train
            history = learn(
                network, dataset, config, checkpoint=checkpoint, on_evaluation=on_evaluation, on_note=on_note
            )
            if not Replicas().chief:
                return None
        facts = BundleFacts(
            preset=start.name,
            network=asdict(network.config),
            max_context_tokens=dataset.config.max_context_tokens,
            max_reply_tokens=dataset.config.max_reply_tokens,
            training=_training_facts(dataset, start, config, history),
        )
        with writing(models):
            export(network, staged, training=True)
            (staged / TOKENIZER).write_bytes(dataset.tokenizer.to_bytes())
            _copies(dataset, start).save(staged / COPIES)
            seal(staged, facts)
        figures = evaluate(staged, dataset)
        facts.training["figures"] = asdict(figures)
        before = _live(models, on_note)
        rival = None if force or before is None else _rival(before, dataset, on_note)
        result = Retraining(staged, history, figures, rival)
        result = replace(result, bundle=(publish if result.published else keep)(staged, facts))
    try:
        page = report_run(
            result.bundle,
            network.count_params(),
            dataset,
            start=start,
            config=config,
            history=history,
            measured=figures,
            rejection=result.rejection,
            before=before,
            data_page=data_page,
        )
    except (Exception, KeyboardInterrupt) as error:  # whatever it is: there is a model, and a page is not worth one
        on_note(f"The page about the run could not be made ({type(error).__name__}: {error}); the model is as it is.")
        return result
    return replace(result, page=page)


def _network(dataset: Dataset, start: Start, seed: int) -> Seq2Seq:
    keras.utils.set_random_seed(seed)
    if start.bundle is None:
        return build(start.settings.shape(dataset.tokenizer.vocabulary_size))
    dataset.check_vocabulary(start.bundle)
    try:
        shape = Seq2SeqConfig(**Bundle.open(start.bundle).facts.network)
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise ModelFormatError(f"The model in {start.bundle} has no network that there is: train another.") from error
    return load_network(replace(shape, **FINE_TUNING.network) if start.fine_tuning else shape, start.bundle)


def _copies(dataset: Dataset, start: Start) -> CopyIndex:
    """The index of what the network learns now, and of all that it learned before."""
    before = CopyIndex.load(start.bundle / COPIES) if start.bundle else CopyIndex()
    split = dataset.train
    authors = np.arange(1, len(split) + 1) if split.authors is None else split.authors
    rows = np.flatnonzero(authors != NOBODY).tolist()
    with Bar(total=2 * len(rows), desc="Indexing what was said", delay=1, disable=not sys.stderr.isatty()) as bar:

        def replies() -> Iterator[tuple[str, int]]:
            for row, author in zip(rows, authors[rows].tolist(), strict=True):
                yield dataset.tokenizer.decode(split.replies[row].tolist()), author
                bar.update()

        return before + CopyIndex.build(replies)


def _live(models: Path, on_note: Callable[[str], None]) -> Path | None:
    """The live bundle, if it can be compared with another."""
    try:
        return Bundle.open(live_bundle(models)).directory
    except ModelFormatError as error:
        on_note(f"The new model is published without a comparison with the live one: {error}")
        return None


def _rival(live: Path, dataset: Dataset, on_note: Callable[[str], None]) -> float | None:
    """Bits per byte of the live model, if there is a fair way to compare it."""
    if not dataset.facts["held_out"]:
        on_note("Nothing is held out to compare the new model with the live one by: it is published as it is.")
        return None
    return bits_per_byte(live, dataset)


def _training_facts(dataset: Dataset, start: Start, config: TrainingConfig, history: History) -> dict[str, Any]:
    return {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "started_from": _identity(start.bundle) if start.bundle else None,
        "config": asdict(config),
        "interrupted": history.interrupted,
        "evaluations": [asdict(evaluation) for evaluation in history.evaluations],
        "best_step": history.best.step if history.best else None,
        "dataset": {**dataset.facts, **asdict(dataset.config)},
    }


def _identity(bundle: Path) -> str:
    """Names the bundle that training started from by its content, wherever it lies."""
    return hashlib.sha256((bundle / HEAD).read_bytes()).hexdigest()[:16]
