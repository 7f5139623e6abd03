"""One step: a batch in, a better network and its loss out."""

import math
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from model.seq2seq import Seq2Seq
from training.checkpoint import Array
from training.dataset import Batch
from training.distribution import Replicas
from training.presets import TrainingConfig

Tensor = Any
Shape = tuple[int, int]

_LOWEST_RATE = 0.05  # of the highest
_LOSS_SCALE = {"float16": 1024.0}
"""Half precision has no gradients below a hundred-millionth: they are computed of so many times the loss."""


def optimizer_of(network: Seq2Seq, config: TrainingConfig) -> keras.Optimizer:
    """The optimiser of a run, its variables created. Weight decay spares biases."""
    optimizers, decay = keras.optimizers, config.weight_decay
    make: dict[str, Callable[..., keras.Optimizer]] = {
        "adam": partial(optimizers.Adam, weight_decay=decay or None),
        "adamw": partial(optimizers.AdamW, weight_decay=decay),
        "rmsprop": partial(optimizers.RMSprop, weight_decay=decay or None),
        "sgd": partial(optimizers.SGD, momentum=0.9, weight_decay=decay or None),
        "muon": partial(
            optimizers.Muon, weight_decay=decay, adam_weight_decay=decay, exclude_layers=["softmax", "projection"]
        ),
    }
    optimizer = make[config.optimizer](config.learning_rate)
    optimizer.exclude_from_weight_decay([each for each in network.trainable_variables if len(each.shape) < 2])
    optimizer.build(network.trainable_variables)
    return optimizer


def learning_rate(config: TrainingConfig, step: int, progress: float) -> float:
    """The rate of a step: it rises over the warm-up and falls over the run.

    Args:
        config: says how.
        step: from 0.
        progress: share of the run that is over, 0 to 1.
    """
    risen = max((step + 1) / max(config.warm_up, 1), 10 * progress)
    left = {"none": 1.0, "linear": 1.0 - progress, "cosine": (1.0 + math.cos(math.pi * progress)) / 2}[config.decay]
    return config.learning_rate * min(risen, 1.0) * (_LOWEST_RATE + (1.0 - _LOWEST_RATE) * left)


def training_step(
    network: Seq2Seq,
    optimizer: keras.Optimizer,
    config: TrainingConfig,
    replicas: Replicas,
    start: Sequence[Array],
    compiled: Collection[Shape] = (),
) -> Callable[[Batch], float]:
    """A function from a batch to its loss in nats a token, NaN where nothing was learned from it.

    Args:
        network, optimizer: what it changes.
        config: how.
        replicas: that share each batch.
        start: the weights that the run began with.
        compiled: the batch shapes, context and reply time, for which XLA compiles the step.
    """
    variables, scale = network.trainable_weights, _LOSS_SCALE.get(network.compute_dtype, 1.0)
    anchored = list(zip(variables, map(tf.Variable, start), strict=True)) if config.anchor else []

    def differentiate(encoder_ids: Tensor, decoder_ids: Tensor, targets: Tensor, weights: Tensor, count: Tensor) -> Any:
        with tf.GradientTape() as tape:
            logits = network(encoder_ids, decoder_ids, training=True)
            losses = cross_entropy(logits, targets)
            smoothed = smooth(losses, logits, targets, config.label_smoothing)
            loss = scale * tf.reduce_sum(smoothed * weights) / count
        gradients = tape.gradient(loss, variables)
        return tf.reduce_sum(losses * weights) / count, [tf.convert_to_tensor(each) / scale for each in gradients]

    def learn(*batch: Tensor) -> Tensor:
        loss, gradients = differentiate(*batch)
        loss, *gradients = replicas.sum([loss, *gradients])
        norm = tf.linalg.global_norm(gradients)
        sound = tf.math.is_finite(norm) & tf.math.is_finite(loss)
        factor = config.clip_norm / tf.maximum(norm, config.clip_norm)
        factor /= replicas.count  # the optimiser adds up what it takes for shares
        # One bad batch must not spoil the weights: its gradient counts as zero.
        optimizer.apply([tf.where(sound, gradient * factor, 0.0) for gradient in gradients], variables)
        return tf.where(sound, loss, math.nan)

    def step(*batch: Tensor) -> Tensor:
        loss = replicas.run(learn, *batch)
        for weight, first in anchored:
            weight.assign_sub(optimizer.learning_rate * config.anchor * (weight - first))
        return loss

    if replicas.count > 1:  # XLA does not compile what machines tell each other
        differentiate = tf.function(differentiate, jit_compile=bool(compiled))
        compiled = ()
    graph = by_shape(step, compiled)
    return lambda batch: float(graph(batch.shape, *replicas.split(batch)))


def scoring_step(network: Seq2Seq, compiled: Collection[Shape] = ()) -> Callable[[Batch], tuple[float, float]]:
    """A function from a batch to the sum of its losses in nats, and how often the likeliest token was right."""

    def score(encoder_ids: Tensor, decoder_ids: Tensor, targets: Tensor, weights: Tensor) -> Any:
        logits = network(encoder_ids, decoder_ids)
        hits = tf.cast(tf.equal(tf.argmax(logits, -1, output_type=tf.int32), targets), tf.float32)
        return tf.reduce_sum(cross_entropy(logits, targets) * weights), tf.reduce_sum(hits * weights)

    graph = by_shape(score, compiled)

    def scores(batch: Batch) -> tuple[float, float]:
        loss, hits = graph(batch.shape, *batch)
        return float(loss), float(hits)

    return scores


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """In nats, `[batch, time]`, of logits `[batch, time, vocabulary]` and target ids `[batch, time]`."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)


def smooth(losses: Tensor, logits: Tensor, targets: Tensor, share: float) -> Tensor:
    """The cross-entropy `losses` against targets of which a share is spread over all tokens (Szegedy et al., 2016).

    It differs by that share of how far the target's logit lies above the mean one, which needs no one-hot targets.
    """
    if not share:
        return losses
    return losses + share * (tf.gather(logits, targets, batch_dims=2) - tf.reduce_mean(logits, -1))


def by_shape(function: Callable[..., Any], compiled: Collection[Shape]) -> Callable[..., Any]:
    """A graph of a function, to be called with the shape of a batch and the arguments; XLA compiles it for some."""
    graphs = {each: tf.function(function, jit_compile=each) for each in (False, True)}
    return lambda shape, *arguments: graphs[shape in compiled](*arguments)
