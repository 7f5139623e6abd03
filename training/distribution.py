"""What a network trains on: this machine's processor, its GPUs, or those of several machines together."""

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from model import ChinwagError
from model.tokenizer import PAD
from training.dataset import Batch


class DistributionError(ChinwagError):
    """The machines to train on are not well named; the message says what to do, in one sentence."""


def devices() -> AbstractContextManager[Any]:
    """The scope in which a network is built and trained on all there is; to be called before TensorFlow computes.

    One GPU or none is used as it is; several are by `MirroredStrategy`, and several machines by
    `MultiWorkerMirroredStrategy` when the environment's `TF_CONFIG` names them: start the same command on each.
    Where all GPUs have tensor cores, products are of half precision (Micikevicius et al., 2018).

    Raises:
        DistributionError: `TF_CONFIG` makes no sense.
    """
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        if not tf.config.experimental.get_memory_growth(gpu):
            tf.config.experimental.set_memory_growth(gpu, True)
    if gpus:
        keras.config.set_dtype_policy(_precision(gpus))
    scope: AbstractContextManager[Any] = _strategy(several=len(gpus) > 1).scope()
    return scope


def _strategy(*, several: bool) -> tf.distribute.Strategy:
    if not os.environ.get("TF_CONFIG"):
        return tf.distribute.MirroredStrategy() if several else tf.distribute.get_strategy()
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except (ValueError, TypeError, KeyError) as error:
        raise DistributionError(f"TF_CONFIG names no machines to train on ({error}): correct or unset it.") from error


def _precision(gpus: Sequence[Any]) -> str:
    """The best that all of them compute fast: bfloat16 from Ampere on, float16 from Volta on."""
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    oldest = min(each.get("compute_capability", (0, 0)) for each in details)
    return "mixed_bfloat16" if oldest >= (8, 0) else "mixed_float16" if oldest >= (7, 0) else "float32"


class Replicas:
    """The copies of a network that learn together, under the strategy in whose scope this is made.

    Attributes:
        count: on all machines together.
        alone: whether this is the only process.
        chief: whether this process is the one that evaluates, saves and publishes.
    """

    def __init__(self) -> None:
        self._strategy = tf.distribute.get_strategy()
        self.count: int = self._strategy.num_replicas_in_sync
        cluster = self._strategy.cluster_resolver
        kind, number = (cluster.task_type, cluster.task_id) if cluster else (None, None)
        self.alone = kind is None
        self.chief = kind in (None, "chief") or (number == 0 and "chief" not in cluster.cluster_spec().jobs)
        self._sum = tf.function(self._sum_of_first)

    def split(self, batch: Batch) -> tuple[Any, ...]:
        """The rows of a batch that each replica of this process learns from, and the weight of the whole batch.

        So many replicas take the step that one would: each one's loss is its share of the batch's mean.
        """
        count = np.float32(batch.weights.sum())
        if self.count == 1:
            return (*batch, count)
        rows = -(-len(batch.weights) // self.count)

        def share(part: npt.NDArray[Any], context: Any) -> Any:
            mine = part[context.replica_id_in_sync_group * rows :][:rows]
            return np.pad(mine, ((0, rows - len(mine)), (0, 0)), constant_values=PAD)

        spread = self._strategy.experimental_distribute_values_from_function
        return (*(spread(lambda context, part=part: tf.constant(share(part, context))) for part in batch), count)

    def run(self, function: Any, *arguments: Any) -> Any:
        """What a function that makes each replica know the same gives for a replica's share of the arguments."""
        results = self._strategy.run(function, arguments)
        return self._strategy.experimental_local_results(results)[0]

    def sum(self, tensors: Sequence[Any]) -> Sequence[Any]:
        """Each tensor added up over all replicas; for use in a function that `run` runs."""
        if self.count == 1:
            return tensors
        context = tf.distribute.get_replica_context()
        total: Sequence[Any] = context.all_reduce(tf.distribute.ReduceOp.SUM, list(tensors))
        return total

    def from_chief(self, values: Sequence[Any]) -> list[npt.NDArray[Any]]:
        """The chief's numbers and arrays, in all processes; each gives its own, of the same shapes."""
        arrays = [np.asarray(value) for value in values]
        if self.alone:
            return arrays
        firsts = self._sum([tf.constant(array, tf.float64) for array in arrays])
        return [first.numpy().astype(array.dtype) for first, array in zip(firsts, arrays, strict=True)]

    def _sum_of_first(self, tensors: list[Any]) -> Any:
        def of_replica() -> Sequence[Any]:
            first = tf.distribute.get_replica_context().replica_id_in_sync_group == 0
            return self.sum([tf.where(first, tensor, tf.zeros_like(tensor)) for tensor in tensors])

        return self.run(of_replica)
