"""Which batches a run sees, and in which order: a function of dataset and settings, so that any step can be begun."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from training.dataset import Batch, Split, batches, count_batches
from training.presets import TrainingConfig


@dataclass(frozen=True)
class Plan:
    """How a run over a split is cut into steps.

    Attributes:
        split: the examples.
        config: the settings.
        shapes: how many batches of each shape, context and reply time, an epoch has.
        epoch_steps, total_steps: of an epoch, and of the run if nothing ends it before.
        total_tokens: of replies, in the run.
    """

    split: Split
    config: TrainingConfig
    shapes: Mapping[tuple[int, int], int]
    epoch_steps: int
    total_steps: int
    total_tokens: int

    @classmethod
    def of(cls, split: Split, config: TrainingConfig) -> "Plan":
        """Count what there is."""
        shapes = count_batches(split, config.batch_size)
        steps = sum(shapes.values())
        tokens = int(split.replies.lengths.sum() * config.epochs)
        return cls(split, config, shapes, steps, math.ceil(steps * config.epochs), tokens)

    def batches(self, step: int) -> Iterator[Batch]:
        """The batches from a step on, made in the background while the network computes."""
        endless = self._epochs(*divmod(step, self.epoch_steps))
        types = (tf.int32, tf.int32, tf.int32, tf.float32)
        # Not `from_generator`: it makes glibc hand back freed memory at once, and each step pays for it in page faults.
        data = tf.data.Dataset.range(self.total_steps - step)
        data = data.map(lambda _: tf.numpy_function(lambda: tuple(next(endless)), [], types))
        return (Batch(*batch) for batch in data.prefetch(2).as_numpy_iterator())

    def _epochs(self, epoch: int, skipped: int) -> Iterator[Batch]:
        """One epoch after the other; each is shuffled by its number."""
        config = self.config
        while True:
            yield from batches(
                self.split,
                batch_size=config.batch_size,
                rng=np.random.default_rng([config.seed, epoch]),
                skipped=skipped,
                context_dropout=config.context_dropout,
            )
            epoch, skipped = epoch + 1, 0
