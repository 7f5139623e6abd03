"""A dataset and a time budget in, the preset that learns it best out: a search over networks and their training.

Each trial trains a network from nothing for the same time, and is judged by its lowest validation loss. The first is
the preset to beat; the settings of the others are drawn where good ones were (tree-structured Parzen estimators;
Bergstra et al., 2011), and one that after some time is worse than the median of those before it was is given up.
"""

import contextlib
import gc
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from time import monotonic
from typing import Any

import keras
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, Trial, TrialState

from model import ChinwagError
from model.lock import locked
from model.seq2seq import build
from training.checkpoint import fingerprint
from training.dataset import Dataset
from training.distribution import devices
from training.presets import Preset, TrainingConfig
from training.train import Evaluation, History, TrainingError, train

PRESET = "preset.json"

_STUDY, _SECONDS = "study.log", "seconds"
_TRIALS = 8  # that a time budget is meant for; as some are given up, there are more
_SHORTEST_TRIAL = 120.0  # seconds
_COMPARISONS = 10  # of a trial with those before it
_COMPARED_FROM = 3  # before, XLA compiles
_FIRST_TRIALS = 3  # that are never given up


_NOTHING_LEARNED = 0.97  # of the loss of a network that holds all tokens for equally likely


class TuningError(ChinwagError):
    """There was no time to find anything; the message says what to do, in one sentence."""


@dataclass(frozen=True)
class Range:
    """The numbers between two, each order of magnitude as likely as another."""

    low: float
    high: float


SPACE: dict[str, Range | tuple[Any, ...]] = {
    "learning_rate": Range(2e-4, 1e-2),
    "batch_size": (16, 32, 64, 128),
    "optimizer": ("adam", "adamw", "rmsprop", "muon"),
    "label_smoothing": (0.0, 0.05, 0.1),
    "dropout": (0.0, 0.1, 0.2, 0.3),
    "embedding_dim": (64, 128, 192, 256, 384),
    "encoder_layers": (1, 2),
    "encoder_units": (64, 96, 128, 192, 256, 384),
    "decoder_layers": (1, 2, 3),
}
"""What is searched: fields of `TrainingConfig` and `Seq2SeqConfig`. All others stay as the preset has them."""

_OF_TRAINING = frozenset(field.name for field in fields(TrainingConfig))


@dataclass(frozen=True)
class Attempt:
    """A trial that is over.

    Attributes:
        number: from 0.
        loss: its lowest validation loss, in nats a token; None if it had none.
        given_up: whether it was ended early, or its loss was no number.
        seconds: that it took.
        settings: its place in `SPACE`.
    """

    number: int
    loss: float | None
    given_up: bool
    seconds: float
    settings: dict[str, Any]

    @classmethod
    def of(cls, trial: FrozenTrial) -> "Attempt":
        """What optuna remembers of a trial."""
        losses = [trial.value] if trial.value is not None else [*trial.intermediate_values.values()]
        given_up, seconds = trial.state is TrialState.PRUNED, trial.user_attrs[_SECONDS]
        return cls(trial.number, min(losses, default=None), given_up, seconds, trial.params)

    def row(self) -> str:
        """Its row of the table."""
        loss = "-" if self.loss is None else f"{self.loss:.4f}"
        settings = ", ".join(
            f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in self.settings.items()
        )
        return f"{self.number:>5}{loss:>9}{self.seconds:>8.0f}s  {'given up: ' if self.given_up else ''}{settings}"


@dataclass(frozen=True)
class Tuning:
    """What a search found.

    Attributes:
        preset: the best.
        attempts: all trials, those of earlier runs too.
    """

    preset: Preset
    attempts: list[Attempt]

    def table(self) -> str:
        """The trials, the best first, for people to read."""
        ranked = sorted(self.attempts, key=lambda attempt: (attempt.given_up, attempt.loss or math.inf))
        return "\n".join([f"{'trial':>5}{'loss':>9}{'time':>9}  settings", *(attempt.row() for attempt in ranked)])


def tune(
    dataset: Dataset,
    folder: Path,
    preset: Preset,
    *,
    time_limit: float,
    trial_time: float | None = None,
    seed: int = 0,
    on_trial: Callable[[Attempt], None] = lambda attempt: None,
) -> Tuning:
    """Search for a better preset. Ctrl-C ends the search; called again with equal arguments, it goes on.

    Args:
        dataset: what is to be learned.
        folder: of this search; afterwards the best preset is in it, as `PRESET`.
        preset: what the search begins with.
        time_limit: seconds for all trials, those of earlier runs too.
        trial_time: seconds for each; by default an eighth of the limit, but two minutes at least.
        seed: of the search and of each network.
        on_trial: told of each trial when it is over.

    Raises:
        TuningError: no trial came to its end, or none learned anything.
    """
    trial_time = max(time_limit / _TRIALS, _SHORTEST_TRIAL) if trial_time is None else trial_time
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TuningError(f"{folder} cannot be written ({error.strerror}): choose another dataset.") from error
    with locked(folder):
        study = _study(folder, dataset, preset, trial_time, seed)
        while sum(attempt.seconds for attempt in _attempts(study)) + trial_time <= time_limit:
            trial = study.ask(_distributions(preset))
            if not _try(study, trial, dataset, _changed(preset, trial.params), trial_time, seed):
                break
            on_trial(Attempt.of(study.trials[trial.number]))
        attempts = _attempts(study)
        if all(attempt.given_up for attempt in attempts):
            raise TuningError("No trial came to its end: give the search a longer --time-limit.")
        if study.best_value > _NOTHING_LEARNED * math.log(dataset.tokenizer.vocabulary_size):
            raise TuningError("No network learned anything in the time of a trial: give them a longer --trial-time.")
        found = _changed(preset, study.best_params)
        found.save(folder / PRESET)
        return Tuning(found, attempts)


def _study(folder: Path, dataset: Dataset, preset: Preset, trial_time: float, seed: int) -> optuna.Study:
    """The trials of this search so far; one that was killed is queued again."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    ids = [side.ids for split in (dataset.train, dataset.validation) for side in (split.contexts, split.replies)]
    file = str(folder / _STUDY)
    study = optuna.create_study(
        study_name=fingerprint([asdict(preset), trial_time, seed], ids),
        # SQLite would sync at each report; and the lock of choice is a link, which not every Windows allows.
        storage=JournalStorage(JournalFileBackend(file, JournalFileOpenLock(file))),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_FIRST_TRIALS, n_warmup_steps=_COMPARED_FROM),
        load_if_exists=True,
    )
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials), n_startup_trials=_FIRST_TRIALS)
    if not study.trials:
        study.enqueue_trial({name: _setting(preset, name) for name in SPACE})
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial(trial.params)
    return study


def _attempts(study: optuna.Study) -> list[Attempt]:
    return [Attempt.of(trial) for trial in study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))]


def _distributions(preset: Preset) -> dict[str, BaseDistribution]:
    """`SPACE` with the preset's own settings in it."""
    found: dict[str, BaseDistribution] = {}
    for name, choices in SPACE.items():
        own = _setting(preset, name)
        if isinstance(choices, Range):
            found[name] = FloatDistribution(min(choices.low, own), max(choices.high, own), log=True)
        else:
            found[name] = CategoricalDistribution(choices if own in choices else (*choices, own))
    return found


def _setting(preset: Preset, name: str) -> Any:
    """What a preset has where `SPACE` has choices."""
    owner = preset.training if name in _OF_TRAINING else preset.shape(vocabulary_size=0)
    return getattr(owner, name)


def _changed(preset: Preset, settings: dict[str, Any]) -> Preset:
    """A preset with other settings."""
    training = {name: value for name, value in settings.items() if name in _OF_TRAINING}
    network = {name: value for name, value in settings.items() if name not in _OF_TRAINING}
    return replace(preset, network=preset.network | network, training=replace(preset.training, **training))


def _try(study: optuna.Study, trial: Trial, dataset: Dataset, preset: Preset, trial_time: float, seed: int) -> bool:
    """Run a trial and enter its result; returns False if Ctrl-C ended it."""

    def compare(evaluation: Evaluation, *_: object) -> None:
        comparison = int(_COMPARISONS * evaluation.seconds / trial_time)
        if comparison not in compared:
            compared.add(comparison)
            trial.report(evaluation.validation_loss, comparison)
            if trial.should_prune():
                raise optuna.TrialPruned

    compared: set[int] = set()
    config, began = replace(preset.training, time_limit=trial_time, seed=seed), monotonic()
    history = None
    with contextlib.suppress(optuna.TrialPruned, TrainingError):
        history = _train(dataset, preset, config, compare)
    trial.set_user_attr(_SECONDS, monotonic() - began)
    if history is None:
        study.tell(trial, state=TrialState.PRUNED)
        return True
    if history.interrupted or history.best is None:
        study.tell(trial, state=TrialState.FAIL)
        return False
    study.tell(trial, history.best.validation_loss)
    return True


def _train(dataset: Dataset, preset: Preset, config: TrainingConfig, on_evaluation: Callable[..., None]) -> History:
    try:
        with devices():
            keras.utils.set_random_seed(config.seed)
            network = build(preset.shape(dataset.tokenizer.vocabulary_size))
            return train(network, dataset, config, on_evaluation=on_evaluation)
    finally:
        keras.backend.clear_session()
        gc.collect()  # compiled steps refer to themselves, and their memory is large
