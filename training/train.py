"""Batches in, a trained network out: the loop, its progress and its best state."""

import importlib.util
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from model import ChinwagError
from model.seq2seq import Seq2Seq, Seq2SeqConfig
from training.checkpoint import Checkpoint, Place, Snapshot, fingerprint
from training.dataset import Batch, Dataset, Split, batches
from training.distribution import Replicas
from training.plan import Plan
from training.presets import TrainingConfig
from training.progress import Bar
from training.samples import Sample, sample_replies
from training.step import Shape, learning_rate, optimizer_of, scoring_step, training_step

_COMPILE_FROM_STEPS = 60
"""Of one batch shape. XLA takes as long to compile one as so many steps without it."""

_SLOW_STEP = 0.25  # seconds; how many steps a time limit allows is counted with it
_EVALUATIONS_PER_EPOCH = 4
_EVALUATIONS_PER_TIME_LIMIT = 10
_SMALLEST_EVALUATION_INTERVAL = 25  # steps
_QUICK_EXAMPLES = 2000
_SAVE_INTERVAL = 120.0  # seconds
_MOST_BAD_STEPS = 10  # in a row
_SHARES = (1.0, 0.75, 0.5, 0.25)


class TrainingError(ChinwagError):
    """Training cannot go on; the message says why and what to do, in one sentence."""


@dataclass(frozen=True)
class Evaluation:
    """The network's state of learning at a step.

    Attributes:
        step, tokens, epoch, seconds: how far the run was.
        train_loss: since the last evaluation, in nats a token.
        validation_loss: in nats a token.
        validation_accuracy: how often the likeliest token was right, a share of tokens.
        learning_rate: of the step.
    """

    step: int
    tokens: int
    train_loss: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float = 0.0
    epoch: float = 0.0
    seconds: float = field(default=0.0, compare=False)


@dataclass
class History:
    """What happened in a run.

    Attributes:
        evaluations: in order.
        best: the one with the lowest validation loss, whose weights were kept.
        share: how much of them, the rest being the weights of the start (see `TrainingConfig.averaging`).
        interrupted: whether Ctrl-C ended it.
    """

    evaluations: list[Evaluation] = field(default_factory=list)
    best: Evaluation | None = None
    interrupted: bool = False
    share: float = 1.0


def train(
    network: Seq2Seq,
    dataset: Dataset,
    config: TrainingConfig,
    *,
    checkpoint: Place | None = None,
    on_evaluation: Callable[[Evaluation, list[Sample]], None] = lambda evaluation, samples: None,
    on_note: Callable[[str], None] = lambda note: None,
) -> History:
    """Train a network in place; it ends with the weights of the best evaluation. Ctrl-C ends it early.

    A run that was killed and is called again with equal arguments goes on from its last checkpoint, and all that
    comes after is as if it had never been killed (but for what a time limit decides).

    Args:
        network: built in the scope of `training.distribution.devices` and still in it; random, or trained before.
        dataset: its vocabulary is the network's.
        config: how.
        checkpoint: a folder of this run's own to go on from, or a URL of one; None for a run that cannot be taken up
            again. Curves for TensorBoard lie in the folder, where that is installed.
        on_evaluation: told of each evaluation, the best so far in place as `History.best`, and shown a few replies.
        on_note: told in a sentence what a person should know, such as where a run goes on.

    Returns:
        What happened; of several processes only the chief knows of evaluations.

    Raises:
        TrainingError: the loss is no number any more; the checkpoint has the last state in which it was one.
        CheckpointError: the checkpoint cannot be written.
    """
    run = _Run(network, dataset, config, checkpoint, on_note)
    with progress_bar(run.total_tokens, run.state.tokens) as bar:
        try:
            stream = run.batches()
            while run.goes_on():
                batch = next(stream)
                _describe(bar, run, batch)
                bar.update(run.learn(batch))
                if run.evaluation_due:
                    on_evaluation(*run.evaluate())
                if run.save_due:
                    run.save()
        except KeyboardInterrupt:
            run.state.history.interrupted = True
    run.finish()
    return run.state.history


def conclude(network: Seq2Seq, dataset: Dataset, config: TrainingConfig, checkpoint: Place) -> History:
    """Give a network what a run of `train` that others made has learned until its last checkpoint.

    Args:
        network, dataset, config, checkpoint: as they were given to that run.

    Returns:
        What happened; nothing, where there is no checkpoint.
    """
    run = _Run(network, dataset, config, checkpoint, lambda note: None)
    run.finish()
    return run.state.history


@dataclass
class _State:
    """What a run has seen and measured; with its variables all that it is at a step.

    Attributes:
        step, tokens, seconds: that are over.
        bad_steps: of late, in a row, whose loss or gradient was no number.
        loss_sum, loss_tokens: of training since the last evaluation, in nats.
        recent_loss: its running average.
        history: so far.
    """

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    bad_steps: int = 0
    loss_sum: float = 0.0
    loss_tokens: int = 0
    recent_loss: float = 0.0
    history: History = field(default_factory=History)

    def add(self, loss: float, tokens: int) -> None:
        self.loss_sum, self.loss_tokens = self.loss_sum + loss * tokens, self.loss_tokens + tokens
        self.recent_loss = 0.98 * self.recent_loss + 0.02 * loss if self.recent_loss else loss

    @classmethod
    def of(cls, progress: dict[str, Any]) -> "_State":
        """What `asdict` made a dict of."""
        history = progress["history"]
        evaluations = [Evaluation(**evaluation) for evaluation in history["evaluations"]]
        best = history["best"] and Evaluation(**history["best"])
        return cls(**progress | {"history": History(evaluations, best)})


class _Run:
    """A network on its way through a dataset."""

    def __init__(
        self,
        network: Seq2Seq,
        dataset: Dataset,
        config: TrainingConfig,
        place: Place | None,
        on_note: Callable[[str], None],
    ) -> None:
        config = replace(config, batch_size=min(config.batch_size, len(dataset.train)))
        self.state = _State()
        self.unmet = _worth_compiling(plan := Plan.of(dataset.train, config))
        self._network, self._dataset, self._config, self._on_note = network, dataset, config, on_note
        self._interval = max(_SMALLEST_EVALUATION_INTERVAL, plan.epoch_steps // _EVALUATIONS_PER_EPOCH)
        self._plan, self._replicas, self._optimizer = plan, Replicas(), optimizer_of(network, config)
        self._checkpoint: Checkpoint | None = None
        self._board: Any = None
        self._start = network.get_weights()
        self._best_weights: list[Any] = []
        if place is not None and self._replicas.chief:
            self._checkpoint = Checkpoint(place, _identity(network, dataset, plan))
            self._take_up(self._checkpoint)
            if isinstance(place, Path) and importlib.util.find_spec("tensorboard"):
                self._board = tf.summary.create_file_writer(str(place / "tensorboard"))
        self._follow_chief()
        self._step = training_step(network, self._optimizer, config, self._replicas, self._start, frozenset(self.unmet))
        self._score = scoring_step(network)
        self._rate = 0.0
        self._started = time.monotonic() - self.state.seconds
        self._saved = time.monotonic()

    @property
    def progress(self) -> float:
        """The share of the run that is over."""
        limit = self._config.time_limit
        return min(max(self.state.step / self._plan.total_steps, self.state.seconds / limit if limit else 0.0), 1.0)

    @property
    def total_tokens(self) -> int:
        """How many tokens the run will have seen at its end, as far as it can be told."""
        total = self._plan.total_tokens
        return min(total, int(self.state.tokens / self.progress)) if self.progress else total

    def goes_on(self) -> bool:
        """Whether there is a step to make; not when all are made, the time is up, or nothing gets better."""
        evaluations, best = self.state.history.evaluations, self.state.history.best
        worse = len(evaluations) - 1 - evaluations.index(best) if best else 0
        mine = [
            learning_rate(self._config, self.state.step, self.progress),
            self.progress >= 1.0 or worse >= self._config.patience,
        ]
        rate, ended = self._replicas.from_chief(mine)
        self._rate = float(rate)
        return not ended

    @property
    def evaluation_due(self) -> bool:
        state, limit = self.state, self._config.time_limit
        last = state.history.evaluations[-1] if state.history.evaluations else None
        steps, seconds = state.step - (last.step if last else 0), state.seconds - (last.seconds if last else 0.0)
        # The first steps are slow to compile: that they took long is no reason to look at what they learned.
        late = limit and seconds >= limit / _EVALUATIONS_PER_TIME_LIMIT and steps >= _SMALLEST_EVALUATION_INTERVAL
        due = late or state.step % self._interval == 0 or self.progress >= 1.0
        return due and self._replicas.chief

    @property
    def save_due(self) -> bool:
        return time.monotonic() - self._saved >= _SAVE_INTERVAL

    def batches(self) -> Iterator[Batch]:
        """The batches from here on."""
        return self._plan.batches(self.state.step)

    def learn(self, batch: Batch) -> int:
        """Make a step; returns its tokens."""
        state, tokens = self.state, int(batch.weights.sum())
        self._optimizer.learning_rate = self._rate
        loss = self._step(batch)
        self.unmet.discard(batch.shape)
        state.step, state.tokens = state.step + 1, state.tokens + tokens
        state.seconds = time.monotonic() - self._started
        if math.isfinite(loss):
            state.add(loss, tokens)
            state.bad_steps = 0
            return tokens
        state.bad_steps += 1
        if state.bad_steps >= _MOST_BAD_STEPS:
            raise TrainingError(
                f"The loss is no number since step {state.step - state.bad_steps + 1}: "
                "train again with a lower --learning-rate."
            )
        self._on_note(f"The loss of step {state.step} is no number: the network learned nothing from it.")
        return tokens

    def evaluate(self) -> tuple[Evaluation, list[Sample]]:
        """Measure the network on the validation side, and keep its weights if none were better."""
        state, validation = self.state, self._dataset.validation
        train_loss = state.loss_sum / max(state.loss_tokens, 1)
        state.loss_sum, state.loss_tokens = 0.0, 0
        evaluation = Evaluation(
            state.step,
            state.tokens,
            train_loss,
            *_evaluate(self._score, validation, self._config),
            learning_rate=self._rate,
            epoch=state.step / self._plan.epoch_steps,
            seconds=state.seconds,
        )
        state.history.evaluations.append(evaluation)
        if state.history.best is None or evaluation.validation_loss < state.history.best.validation_loss:
            state.history.best, self._best_weights = evaluation, self._network.get_weights()
        if self._board is not None:
            with self._board.as_default(step=state.step):
                for name in ("train_loss", "validation_loss", "validation_accuracy", "learning_rate"):
                    tf.summary.scalar(name, getattr(evaluation, name))
        self._saved = -math.inf
        return evaluation, sample_replies(self._network, self._dataset)

    def finish(self) -> None:
        """Give the network its best weights; where it was too early for a best, what there is stays."""
        best, losses = self._best_weights, {}
        if not best:
            return
        for share in _SHARES if self._config.averaging else ():
            self._mix(share)
            losses[share], _ = _evaluate(self._score, self._dataset.validation, self._config)
        self.state.history.share = min(losses, key=losses.__getitem__, default=1.0)
        self._mix(self.state.history.share)

    def _mix(self, share: float) -> None:
        """Put the network on the line from its first weights to its best ones, and beyond neither."""
        pairs = zip(self._start, self._best_weights, strict=True)
        self._network.set_weights([best if share == 1 else first + share * (best - first) for first, best in pairs])

    def save(self) -> None:
        """Write a checkpoint, if there is to be one."""
        self._saved = time.monotonic()
        if self._checkpoint is not None:
            arrays = {name: np.asarray(variable.numpy()) for name, variable in self._variables.items()}
            best = {f"best.{number}": array for number, array in enumerate(self._best_weights)}
            self._checkpoint.save(Snapshot(asdict(self.state), arrays | best))

    def _take_up(self, checkpoint: Checkpoint) -> None:
        """Go on from the checkpoint, if it has something to go on from."""
        snapshot, note = checkpoint.load()
        if snapshot is not None:
            self.state = _State.of(snapshot.progress)
            for name, variable in self._variables.items():
                variable.assign(snapshot.arrays[name])
            best = [name for name in snapshot.arrays if name.startswith("best.")]
            self._best_weights = [snapshot.arrays[f"best.{number}"] for number in range(len(best))]
            note += f" Step {self.state.step:,} of {self._plan.total_steps:,} is done."
        if note:
            self._on_note(note)

    def _follow_chief(self) -> None:
        """Be where the chief is."""
        if not self._replicas.alone:
            variables = list(self._variables.values())
            step, tokens, *arrays = self._replicas.from_chief(
                [self.state.step, self.state.tokens, *(variable.numpy() for variable in variables)]
            )
            self.state.step, self.state.tokens = int(step), int(tokens)
            for variable, array in zip(variables, arrays, strict=True):
                variable.assign(array)

    @property
    def _variables(self) -> dict[str, Any]:
        """Of the network, the states of its random generators too, and of the optimiser."""
        owners = {"network": self._network.variables, "optimizer": self._optimizer.variables}
        return {
            f"{owner}.{number}": variable.value
            for owner, variables in owners.items()
            for number, variable in enumerate(variables)
        }


def _identity(network: Seq2Seq, dataset: Dataset, plan: Plan) -> str:
    """Of a run, by all that decides how it goes, and what a checkpoint of it is made of."""
    sequences = [ids for split in (dataset.train, dataset.validation) for ids in (split.contexts, split.replies)]
    arrays = [array for each in sequences for array in (each.offsets, each.ids)]
    facts = [keras.version(), _settings(plan.config), _settings(network.config), sorted(plan.shapes.items())]
    return fingerprint(facts, [*arrays, *network.get_weights()])


def _settings(config: TrainingConfig | Seq2SeqConfig) -> dict[str, Any]:
    """What differs from the defaults, so that a field that is added later changes no identity."""
    return {each.name: value for each in fields(config) if (value := getattr(config, each.name)) != each.default}


def _worth_compiling(plan: Plan) -> set[Shape]:
    """The batch shapes that the run meets often enough for XLA."""
    if sys.platform == "win32":
        return set()
    steps = min(plan.total_steps, (plan.config.time_limit or math.inf) / _SLOW_STEP)
    return {shape for shape, count in plan.shapes.items() if count * steps / plan.epoch_steps >= _COMPILE_FROM_STEPS}


def _evaluate(
    score: Callable[[Batch], tuple[float, float]], split: Split, config: TrainingConfig
) -> tuple[float, float]:
    """Loss a token and accuracy over the first examples of a split."""
    loss = hits = count = 0.0
    for batch in batches(split.first(_QUICK_EXAMPLES), batch_size=config.batch_size):
        batch_loss, batch_hits = score(batch)
        loss, hits, count = loss + batch_loss, hits + batch_hits, count + float(batch.weights.sum())
    return loss / count, hits / count


def progress_bar(total: float, initial: float) -> Bar:
    """A bar of so many tokens, of which some were learned before."""
    interval = 0.5 if sys.stderr.isatty() else 30.0
    return Bar(
        total=total,
        initial=initial,
        desc="Training",
        unit="tok",
        unit_scale=True,
        mininterval=interval,
        miniters=1,
    )


def _describe(bar: Bar, run: _Run, batch: Batch) -> None:
    """Say what the step to come is about; XLA takes its time to compile for the first batch of a shape."""
    bar.total = run.total_tokens
    bar.describe("Compiling" if batch.shape in run.unmet else "Training", f"{run.state.recent_loss:.3f}")
