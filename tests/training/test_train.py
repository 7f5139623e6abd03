"""The training loop, on networks that learn in seconds."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from model.seq2seq import Seq2Seq, Seq2SeqConfig, build
from training import train as loop
from training.dataset import Dataset
from training.presets import PRESETS, Preset, TrainingConfig
from training.train import Evaluation, History, TrainingError, train

CONFIG = TrainingConfig(learning_rate=1e-2, epochs=2.0, batch_size=16)


def network(dataset: Dataset, preset: Preset | None = None, seed: int = 0) -> Seq2Seq:
    shape = {"embedding_dim": 12, "encoder_units": 10} if preset is None else preset.network
    keras.utils.set_random_seed(seed)
    return build(Seq2SeqConfig(vocabulary_size=dataset.tokenizer.vocabulary_size, **shape))


def weights_equal(one: Seq2Seq, other: Seq2Seq) -> bool:
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return all(np.array_equal(mine, yours) for mine, yours in pairs)


@pytest.fixture(autouse=True)
def _uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """XLA takes longer to compile than these networks to train; one test is about it."""
    monkeypatch.setattr(loop, "_COMPILE_FROM_STEPS", 10**9)


@pytest.mark.parametrize("name", ["classic", "base"])
def test_each_preset_learns(dataset: Dataset, tiny_presets: dict[str, Preset], name: str) -> None:
    preset = tiny_presets[name]
    trained = network(dataset, preset)
    history = train(trained, dataset, replace(preset.training, epochs=4.0, batch_size=16))
    first, best = history.evaluations[0], history.best
    assert best is not None
    assert best.validation_loss < first.validation_loss < np.log(trained.config.vocabulary_size)
    counts = np.bincount(dataset.validation.replies.ids)
    assert best.validation_accuracy > 1.5 * counts.max() / counts.sum()  # better than the commonest token


def test_equal_seeds_give_equal_networks_and_others_do_not(dataset: Dataset) -> None:
    def trained(seed: int) -> Seq2Seq:
        made = network(dataset, seed=seed)
        train(made, dataset, replace(CONFIG, epochs=0.3, seed=seed))
        return made

    assert weights_equal(trained(1), trained(1))
    assert not weights_equal(trained(1), trained(2))


def test_it_ends_with_the_weights_of_the_best_evaluation(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([3.0, 1.0, 2.0, 2.5, 2.6])
    monkeypatch.setattr(loop, "_evaluate", lambda *arguments: (next(losses), 0.0))
    made, snapshots = network(dataset), []
    history = train(made, dataset, CONFIG, on_evaluation=lambda _: snapshots.append(made.get_weights()))
    assert history.best == history.evaluations[1]
    assert all(np.array_equal(*pair) for pair in zip(made.get_weights(), snapshots[1], strict=True))
    assert not all(np.array_equal(*pair) for pair in zip(made.get_weights(), snapshots[-1], strict=True))


def test_it_stops_when_nothing_gets_better(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_evaluate", lambda *arguments: (1.0, 0.0))
    history = train(network(dataset), dataset, replace(CONFIG, epochs=50.0, patience=2))
    assert len(history.evaluations) == 3  # the best and two that are no better


def test_ctrl_c_keeps_the_best_so_far(dataset: Dataset) -> None:
    made, seen = network(dataset), []

    def interrupt(evaluation: Evaluation) -> None:
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
    make_step = loop._train_step

    def interrupted_step(*arguments: object) -> object:
        step, calls = make_step(*arguments), iter(range(3))

        def interrupting(*batch: object) -> object:
            if next(calls) == 2:
                raise KeyboardInterrupt
            return step(*batch)

        return interrupting

    monkeypatch.setattr(loop, "_train_step", interrupted_step)
    history = train(made, dataset, CONFIG)
    assert history == History([], None, interrupted=True)
    assert not weights_equal(made, original)


def test_a_loss_that_is_no_number_stops_with_advice(dataset: Dataset) -> None:
    made = network(dataset)
    made.embedding.embeddings.assign(made.embedding.embeddings * np.nan)
    with pytest.raises(TrainingError, match=r"step 1: train again with a lower learning rate"):
        train(made, dataset, CONFIG)


def test_the_learning_rate_rises_then_falls() -> None:
    schedule = loop._WarmUpAndDecay(1.0, warm_up=10, total=110)
    rates = [float(schedule(step)) for step in (0, 9, 10, 60, 110)]
    assert rates == pytest.approx([0.1, 1.0, 1.0, 0.525, 0.05])


def test_every_token_counts_the_same_in_a_step_however_much_padding(dataset: Dataset) -> None:
    """The loss of a step is the mean over its tokens: rows filled up with weight 0 do not change it."""
    step_loss = []
    for size in (8, 64):
        made = network(dataset)
        score = loop._score_step(made, compiled=False)
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
    classic, base = PRESETS["classic"], PRESETS["base"]
    assert (classic.network["attention"], classic.network["decoder_layers"]) == ("none", 1)
    assert classic.training.optimizer == "rmsprop"
    assert not classic.network["bidirectional"]
    assert (base.network["attention"], base.network["decoder_layers"]) == ("luong", 2)
    assert base.training.optimizer == "adam"
    assert base.network["bidirectional"]
