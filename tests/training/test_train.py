"""The training loop, on networks that learn in seconds."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import keras
import numpy as np
import pytest

from model.seq2seq import Seq2Seq, Seq2SeqConfig, build
from training import train as loop
from training.dataset import Batch, Dataset, batches
from training.distribution import Replicas
from training.presets import PRESETS, Preset, TrainingConfig
from training.samples import Sample
from training.step import cross_entropy, learning_rate, optimizer_of, scoring_step, smooth, training_step
from training.train import Evaluation, History, TrainingError, train

CONFIG = TrainingConfig(learning_rate=1e-2, epochs=2.0, batch_size=16)

_SMALLEST = {"embedding_dim": 12, "encoder_units": 10, "bidirectional": False, "decoder_layers": 1}
"""Takes a third of the time of `base` to trace, which is most of what a run takes here."""


def network(dataset: Dataset, preset: Preset | None = None, seed: int = 0) -> Seq2Seq:
    shape = _SMALLEST if preset is None else preset.network
    keras.utils.set_random_seed(seed)
    return build(Seq2SeqConfig(vocabulary_size=dataset.tokenizer.vocabulary_size, **shape))


def weights_equal(one: Seq2Seq, other: Seq2Seq) -> bool:
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return all(np.array_equal(mine, yours) for mine, yours in pairs)


@pytest.fixture(autouse=True)
def _uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """XLA takes longer to compile than these networks to train; one test is about it."""
    monkeypatch.setattr(loop, "_COMPILE_FROM_STEPS", 10**9)


@pytest.mark.parametrize("name", ["classic", "small", "base"])
def test_each_preset_learns(dataset: Dataset, tiny_presets: dict[str, Preset], name: str) -> None:
    preset = tiny_presets[name]
    trained = network(dataset, preset)
    history = train(trained, dataset, replace(preset.training, epochs=6.0, batch_size=16))
    first, best = history.evaluations[0], history.best
    assert best is not None
    assert best.validation_loss < first.validation_loss < np.log(trained.config.vocabulary_size)
    counts = np.unique(dataset.validation.replies.ids, return_counts=True)[1]
    shares = counts / counts.sum()
    assert best.validation_loss < -(shares * np.log(shares)).sum()  # it knows more than how common each token is


def test_equal_seeds_give_equal_networks_and_others_do_not(dataset: Dataset) -> None:
    def trained(seed: int) -> Seq2Seq:
        made = network(dataset, seed=seed)
        train(made, dataset, replace(CONFIG, epochs=0.1, seed=seed))
        return made

    assert weights_equal(trained(1), trained(1))
    assert not weights_equal(trained(1), trained(2))


def test_it_ends_with_the_weights_of_the_best_evaluation(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([3.0, 1.0, 2.0, 2.5, 2.6])
    monkeypatch.setattr(loop, "_evaluate", lambda *arguments: (next(losses), 0.0))
    made, snapshots = network(dataset), []
    history = train(made, dataset, CONFIG, on_evaluation=lambda *_: snapshots.append(made.get_weights()))
    assert history.best == history.evaluations[1]
    assert all(np.array_equal(*pair) for pair in zip(made.get_weights(), snapshots[1], strict=True))
    assert not all(np.array_equal(*pair) for pair in zip(made.get_weights(), snapshots[-1], strict=True))


def test_it_stops_when_nothing_gets_better(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_evaluate", lambda *arguments: (1.0, 0.0))
    history = train(network(dataset), dataset, replace(CONFIG, epochs=50.0, patience=2))
    assert len(history.evaluations) == 3  # the best and two that are no better


def test_ctrl_c_keeps_the_best_so_far(dataset: Dataset) -> None:
    made, seen = network(dataset), []

    def interrupt(evaluation: Evaluation, samples: list[Sample]) -> None:
        seen.append(made.get_weights())
        raise KeyboardInterrupt

    history = train(made, dataset, CONFIG, on_evaluation=interrupt)
    assert history.interrupted
    assert len(history.evaluations) == 1
    assert all(np.array_equal(*pair) for pair in zip(made.get_weights(), seen[0], strict=True))


def test_ctrl_c_before_the_first_evaluation_keeps_what_there_is(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, made = network(dataset), network(dataset)
    make_step = loop.training_step

    def interrupted_step(*arguments: Any) -> Callable[[Batch], float]:
        step, calls = make_step(*arguments), iter(range(3))

        def interrupting(batch: Batch) -> float:
            if next(calls) == 2:
                raise KeyboardInterrupt
            return step(batch)

        return interrupting

    monkeypatch.setattr(loop, "training_step", interrupted_step)
    history = train(made, dataset, CONFIG)
    assert history == History([], None, interrupted=True)
    assert not weights_equal(made, original)


def test_a_loss_that_is_no_number_stops_with_advice(dataset: Dataset) -> None:
    made = network(dataset)
    made.embedding.embeddings.assign(made.embedding.embeddings * np.nan)
    with pytest.raises(TrainingError, match=r"since step 1: train again with a lower --learning-rate"):
        train(made, dataset, CONFIG)


def test_one_bad_batch_is_skipped_and_the_weights_stay_sound(dataset: Dataset) -> None:
    made = network(dataset)
    learn = training_step(made, optimizer_of(made, CONFIG), CONFIG, Replicas(), made.get_weights())
    before = made.get_weights()
    batch = next(batches(dataset.train, batch_size=16))
    assert np.isnan(learn(batch._replace(weights=np.full_like(batch.weights, np.inf))))
    assert all(map(np.array_equal, made.get_weights(), before))
    assert learn(batch) > 0
    assert not any(map(np.array_equal, made.get_weights(), before))
    assert all(np.isfinite(array).all() for array in made.get_weights())


@pytest.mark.parametrize(
    ("decay", "rates"),
    [("none", [0.1, 1.0, 1.0, 1.0]), ("linear", [0.1, 0.905, 0.525, 0.05]), ("cosine", [0.1, 0.976752, 0.525, 0.05])],
)
def test_the_learning_rate_rises_then_falls(decay: Literal["none", "linear", "cosine"], rates: list[float]) -> None:
    config = TrainingConfig(learning_rate=1.0, warm_up=10, decay=decay)
    points = [(0, 0.0), (100, 0.1), (500, 0.5), (1000, 1.0)]
    assert [learning_rate(config, *point) for point in points] == pytest.approx(rates)


def test_the_warm_up_takes_no_more_than_a_tenth_of_a_short_run() -> None:
    config = TrainingConfig(learning_rate=1.0, warm_up=1000, decay="none")
    assert learning_rate(config, 5, 0.05) == pytest.approx(0.5)
    assert learning_rate(config, 10, 0.1) == pytest.approx(1.0)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd", "muon"])
def test_every_optimizer_learns(dataset: Dataset, optimizer: Any) -> None:
    rate = 0.3 if optimizer == "sgd" else 1e-2
    made = network(dataset)
    config = replace(CONFIG, optimizer=optimizer, learning_rate=rate, weight_decay=1e-3, epochs=1.0, clip_norm=5.0)
    evaluations = train(made, dataset, config).evaluations
    assert evaluations[-1].validation_loss < 0.8 * np.log(made.config.vocabulary_size)


def test_an_anchor_keeps_a_network_near_its_start(dataset: Dataset) -> None:
    def way(anchor: float) -> float:
        made = network(dataset)
        config = replace(CONFIG, optimizer="sgd", clip_norm=0.1, anchor=anchor)
        first = made.get_weights()
        learn = training_step(made, optimizer_of(made, config), config, Replicas(), first)
        for batch in itertools.islice(batches(dataset.train, batch_size=16), 8):
            learn(batch)
        return sum(float(np.abs(mine - start).sum()) for mine, start in zip(made.get_weights(), first, strict=True))

    assert 0 < way(50.0) < 0.75 * way(0.0)
    assert way(100.0) == 0  # at a rate of a hundredth: all the way back, in each step


def test_averaging_keeps_the_best_mixture_of_the_start_and_the_best(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([2.0, 2.0, 1.8, 1.7, 1.9])  # of the evaluation, then of the shares from all to a quarter
    monkeypatch.setattr(loop, "_evaluate", lambda *arguments: (next(losses), 0.0))
    made, learned = network(dataset), []
    first = made.get_weights()
    config = replace(CONFIG, epochs=0.1, averaging=True)
    history = train(made, dataset, config, on_evaluation=lambda *_: learned.extend(made.get_weights()))
    assert history.share == 0.5
    for mine, start, best in zip(made.get_weights(), first, learned, strict=True):
        np.testing.assert_allclose(mine, (start + best) / 2, atol=1e-7)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_smoothing_is_that_of_keras(share: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, [4, 5, 11]).astype(np.float32)
    targets = rng.integers(0, 11, [4, 5]).astype(np.int32)
    expected = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=share, reduction="none")(
        keras.ops.one_hot(targets, 11), logits
    )
    losses = smooth(cross_entropy(logits, targets), logits, targets, share)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


def test_a_time_limit_ends_a_run_with_a_last_evaluation_and_a_low_rate(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = itertools.count()
    monkeypatch.setattr(loop.time, "monotonic", lambda: float(next(ticks)))
    history = train(network(dataset), dataset, replace(CONFIG, epochs=1000.0, time_limit=30.0))
    assert 5 < history.evaluations[-1].step < 30
    assert history.evaluations == [history.best]  # none before: so few steps teach nothing, however long they took


def test_every_token_counts_the_same_in_a_step_however_much_padding(dataset: Dataset) -> None:
    """The loss of a step is the mean over its tokens: rows filled up with weight 0 do not change it."""
    step_loss = []
    for size in (8, 64):
        made = network(dataset)
        score = scoring_step(made)
        step_loss.append(loop._evaluate(score, dataset.validation, replace(CONFIG, batch_size=size)))
    assert step_loss[0] == pytest.approx(step_loss[1], rel=1e-5)


def test_a_compiled_run_learns_the_same(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(CONFIG, epochs=0.5)
    plain, compiled = network(dataset), network(dataset)
    loss = [train(plain, dataset, config).evaluations[-1].validation_loss]
    monkeypatch.setattr(loop, "_COMPILE_FROM_STEPS", 1)
    loss.append(train(compiled, dataset, config).evaluations[-1].validation_loss)
    assert loss[0] == pytest.approx(loss[1], rel=1e-3)


def test_presets_are_what_they_are_called() -> None:
    classic = PRESETS["classic"]
    assert (classic.network["attention"], classic.network["decoder_layers"]) == ("none", 1)
    assert classic.training.optimizer == "rmsprop"
    assert not classic.network["bidirectional"]
    sizes = [build(PRESETS[name].shape(4096)).count_params() for name in ("small", "base", "large")]
    assert sizes == sorted(sizes)
    assert sizes[-1] < 20e6
