"""Batches in, a trained network out: the loop, its progress and its best state."""

import itertools
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from model import ChinwagError
from model.seq2seq import Seq2Seq
from training.dataset import Batch, Dataset, Split, batches, count_batches
from training.presets import TrainingConfig

_COMPILE_FROM_STEPS = 60
"""For each batch shape. XLA takes as long to compile one as so many steps without it."""

_EVALUATIONS_PER_EPOCH = 4
_SMALLEST_EVALUATION_INTERVAL = 25  # steps
_QUICK_EXAMPLES = 2000
_WARM_UP_STEPS = 200


class TrainingError(ChinwagError):
    """Training cannot go on; the message says why and what to do, in one sentence."""


@dataclass(frozen=True)
class Evaluation:
    """The network's state of learning at a step. Loss is in nats a token, accuracy a share of tokens."""

    step: int
    tokens: int
    train_loss: float
    validation_loss: float
    validation_accuracy: float


@dataclass
class History:
    """What happened in a run.

    Attributes:
        evaluations: in order.
        best: the one whose weights were kept.
        interrupted: whether Ctrl-C ended it.
    """

    evaluations: list[Evaluation] = field(default_factory=list)
    best: Evaluation | None = None
    interrupted: bool = False


def train(
    network: Seq2Seq,
    dataset: Dataset,
    config: TrainingConfig,
    *,
    on_evaluation: Callable[[Evaluation], None] = lambda evaluation: None,
) -> History:
    """Train a network in place; it ends with the weights of the best evaluation. Ctrl-C ends it early.

    Args:
        network: built; random, or trained before.
        dataset: its vocabulary is the network's.
        config: how.
        on_evaluation: told of each evaluation, the best so far in place as `History.best`.

    Raises:
        TrainingError: the loss is no number any more.
    """
    keras.utils.set_random_seed(config.seed)
    config = replace(config, batch_size=min(config.batch_size, len(dataset.train)))
    steps_per_epoch, shapes = count_batches(dataset.train, config.batch_size)
    total_steps = math.ceil(steps_per_epoch * config.epochs)
    compiled = total_steps >= shapes * _COMPILE_FROM_STEPS and sys.platform != "win32"
    step = _train_step(network, _optimizer(network, config, total_steps), config.clip_norm, compiled)
    score = _score_step(network, compiled)
    interval = max(_SMALLEST_EVALUATION_INTERVAL, steps_per_epoch // _EVALUATIONS_PER_EPOCH)

    history, best_weights, tokens, losses = History(), network.get_weights(), 0, _Average()
    total_tokens = int(dataset.train.replies.lengths.sum() * config.epochs)
    with _progress_bar(total_tokens) as bar:
        try:
            for number, batch in enumerate(_epochs(dataset.train, config, total_steps), 1):
                loss, counted = float(step(*batch)), int(batch.weights.sum())
                if not math.isfinite(loss):
                    raise TrainingError(
                        f"The loss is no number at step {number}: train again with a lower learning rate."
                    )
                losses.add(loss, counted)
                tokens += counted
                bar.set_postfix(loss=f"{losses.recent:.3f}", refresh=False)
                bar.update(counted)
                if number % interval and number != total_steps:
                    continue
                evaluation = Evaluation(number, tokens, losses.take(), *_evaluate(score, dataset.validation, config))
                history.evaluations.append(evaluation)
                if history.best is None or evaluation.validation_loss < history.best.validation_loss:
                    history.best, best_weights = evaluation, network.get_weights()
                on_evaluation(evaluation)
                if number - history.best.step >= config.patience * interval:
                    break
        except KeyboardInterrupt:
            history.interrupted = True
            if history.best is None:  # too early for a best: what there is
                best_weights = network.get_weights()
    network.set_weights(best_weights)
    return history


def _epochs(split: Split, config: TrainingConfig, total_steps: int) -> Iterator[Batch]:
    """Batches of as many epochs as it takes, made in the background while the network computes."""
    rng = np.random.default_rng(config.seed)
    endless = itertools.chain.from_iterable(
        batches(split, batch_size=config.batch_size, rng=rng) for _ in itertools.count()
    )
    types = (tf.int32, tf.int32, tf.int32, tf.float32)
    # Not `from_generator`: it makes glibc hand back freed memory at once, and each step pays for it in page faults.
    data = tf.data.Dataset.range(total_steps).map(lambda _: tf.numpy_function(lambda: tuple(next(endless)), [], types))
    return (Batch(*batch) for batch in data.prefetch(2).as_numpy_iterator())


def _optimizer(network: Seq2Seq, config: TrainingConfig, total_steps: int) -> keras.Optimizer:
    rate: Any = config.learning_rate
    if config.decay:
        rate = _WarmUpAndDecay(config.learning_rate, min(_WARM_UP_STEPS, total_steps // 10), total_steps)
    optimizer = {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop}[config.optimizer](rate)
    optimizer.build(network.trainable_variables)
    return optimizer


class _WarmUpAndDecay(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    def __init__(self, highest: float, warm_up: int, total: int) -> None:
        self.highest, self.warm_up, self.total = highest, warm_up, total

    def __call__(self, step: Any) -> Any:
        step = tf.cast(step, tf.float32)
        rising = (step + 1) / max(self.warm_up, 1)
        falling = 1 - 0.95 * (step - self.warm_up) / max(self.total - self.warm_up, 1)
        return self.highest * tf.minimum(tf.minimum(rising, 1.0), tf.maximum(falling, 0.05))


def _train_step(network: Seq2Seq, optimizer: keras.Optimizer, clip_norm: float, compiled: bool) -> Any:
    variables = network.trainable_variables

    @tf.function(jit_compile=compiled)  # type: ignore[untyped-decorator]
    def step(encoder_ids: Any, decoder_ids: Any, targets: Any, weights: Any) -> Any:
        with tf.GradientTape() as tape:
            losses, _ = _losses(network(encoder_ids, decoder_ids, training=True), targets, weights)
            loss = tf.reduce_sum(losses) / tf.maximum(tf.reduce_sum(weights), 1.0)
        gradients = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(loss, variables)]
        gradients, _ = tf.clip_by_global_norm(gradients, clip_norm)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss

    return step


def _score_step(network: Seq2Seq, compiled: bool) -> Any:
    @tf.function(jit_compile=compiled)  # type: ignore[untyped-decorator]
    def score(encoder_ids: Any, decoder_ids: Any, targets: Any, weights: Any) -> Any:
        losses, hits = _losses(network(encoder_ids, decoder_ids), targets, weights)
        return tf.reduce_sum(losses), tf.reduce_sum(hits)

    return score


def _losses(logits: Any, targets: Any, weights: Any) -> tuple[Any, Any]:
    """Cross-entropy in nats and whether the likeliest token was right, `[batch, time]`; 0 on padding."""
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits) * weights
    hits = tf.cast(tf.equal(tf.argmax(logits, -1, output_type=tf.int32), targets), tf.float32) * weights
    return losses, hits


def _evaluate(score: Any, split: Split, config: TrainingConfig) -> tuple[float, float]:
    """Loss a token and accuracy over the first examples of a split."""
    loss = hits = count = 0.0
    for number, batch in enumerate(batches(split, batch_size=config.batch_size)):
        if number * config.batch_size > _QUICK_EXAMPLES:
            break
        batch_loss, batch_hits = score(*batch)
        loss, hits, count = loss + float(batch_loss), hits + float(batch_hits), count + float(batch.weights.sum())
    return loss / count, hits / count


class _Average:
    """The mean loss a token since it was last taken, and of late."""

    def __init__(self) -> None:
        self.total = self.count = 0.0
        self.recent = 0.0

    def add(self, loss: float, tokens: int) -> None:
        self.recent = loss if not self.recent else 0.98 * self.recent + 0.02 * loss
        self.total, self.count = self.total + loss * tokens, self.count + tokens

    def take(self) -> float:
        mean = self.total / max(self.count, 1)
        self.total = self.count = 0.0
        return mean


def _progress_bar(total_tokens: int) -> Any:
    interval = 0.5 if sys.stderr.isatty() else 30.0
    return tqdm(
        total=total_tokens, desc="Training", unit="tok", unit_scale=True, mininterval=interval, miniters=1, ncols=100
    )
