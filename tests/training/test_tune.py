"""The search for a better preset: on made-up trainings that take no time, and once on real ones."""

import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from training import train as loop
from training import tune as module
from training.__main__ import app
from training.dataset import Dataset
from training.presets import PRESETS, Preset, PresetError, Start, TrainingConfig
from training.train import Evaluation, History, TrainingError
from training.tune import SPACE, Attempt, Tuning, TuningError, tune

BASE = PRESETS["base"]
TRIAL = 60.0  # seconds

Train = Callable[[Dataset, Preset, TrainingConfig, Callable[..., None]], History]


def evaluation(loss: float, seconds: float) -> Evaluation:
    return Evaluation(1, 1, loss, loss, 0.0, seconds=seconds)


def loss_of(preset: Preset) -> float:
    """Best at a rate of 0.005 and 96 units."""
    training, units = preset.training, preset.network["encoder_units"]
    return 2.0 + abs(math.log(training.learning_rate / 0.005)) + abs(math.log(units / 96))


class Clock:
    """Stands still but while made-up networks learn."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


CLOCK = Clock()


def learn(dataset: Dataset, preset: Preset, config: TrainingConfig, on_evaluation: Callable[..., None]) -> History:
    """Takes the time that it is given, and no computing."""
    history, limit = History(), config.time_limit or 0.0
    for part in range(1, 11):
        CLOCK.seconds += limit / 10
        history.best = evaluation(loss_of(preset) + 1 / part, limit * part / 10)
        on_evaluation(history.best, [])
    return history


@pytest.fixture
def search(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Tuning]:
    """Runs a search over made-up trainings."""

    def run(
        *, trials: float = 12, training: Train = learn, on_trial: Callable[[Attempt], None] = lambda _: None
    ) -> Tuning:
        monkeypatch.setattr(module, "_train", training)
        monkeypatch.setattr(module, "monotonic", CLOCK)
        limit = trials * TRIAL + 1.0
        return tune(dataset, tmp_path / "tune", BASE, time_limit=limit, trial_time=TRIAL, on_trial=on_trial)

    return run


def test_it_begins_with_the_preset_and_finds_a_better_one(search: Callable[..., Tuning], tmp_path: Path) -> None:
    told: list[Attempt] = []

    found = search(trials=15, on_trial=told.append)

    own = {"learning_rate": BASE.training.learning_rate, "encoder_units": BASE.network["encoder_units"]}
    assert told[0].settings.items() >= own.items()
    assert told[0].settings.keys() == SPACE.keys()
    assert told == found.attempts
    assert loss_of(found.preset) < loss_of(BASE)
    assert loss_of(found.preset) + 0.1 == min(attempt.loss for attempt in told if attempt.loss and not attempt.given_up)
    assert Preset.load(tmp_path / "tune" / "preset.json") == found.preset


def test_what_is_not_searched_stays(search: Callable[..., Tuning]) -> None:
    found = search(trials=5).preset

    assert found.network.keys() == BASE.network.keys()
    assert found.network["cell"] == BASE.network["cell"]
    assert (
        replace(
            found.training, **{name: getattr(BASE.training, name) for name in SPACE if hasattr(found.training, name)}
        )
        == BASE.training
    )


def test_trials_that_promise_nothing_are_given_up_and_save_time(search: Callable[..., Tuning]) -> None:
    found = search(trials=20)

    given_up = [attempt for attempt in found.attempts if attempt.given_up]
    whole = [attempt for attempt in found.attempts if not attempt.given_up]
    assert given_up
    assert max(attempt.seconds for attempt in given_up) < min(attempt.seconds for attempt in whole)
    assert [attempt.number for attempt in found.attempts[:3]] == [attempt.number for attempt in whole[:3]] == [0, 1, 2]


def test_a_search_that_was_killed_goes_on_with_the_trial_it_was_killed_in(search: Callable[..., Tuning]) -> None:
    trained: list[Preset] = []

    def killed(dataset: Dataset, preset: Preset, config: TrainingConfig, on_evaluation: Callable[..., None]) -> History:
        trained.append(preset)
        if len(trained) == 4:
            raise SystemExit
        return learn(dataset, preset, config, on_evaluation)

    with pytest.raises(SystemExit):
        search(training=killed)
    found = search(training=killed)

    assert trained[4] == trained[3]
    assert [attempt.number for attempt in found.attempts[:4]] == [0, 1, 2, 4]
    again = search(training=killed)
    assert again == found


def test_it_needs_no_links(search: Callable[..., Tuning], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError("A required privilege is not held by the client")  # as Windows says

    monkeypatch.setattr(os, "symlink", refuse)
    assert len(search(trials=1).attempts) == 1


def test_ctrl_c_ends_it_with_the_best_so_far(search: Callable[..., Tuning]) -> None:
    trained: list[Preset] = []

    def interrupted(
        dataset: Dataset, preset: Preset, config: TrainingConfig, on_evaluation: Callable[..., None]
    ) -> History:
        trained.append(preset)
        history = learn(dataset, preset, config, on_evaluation)
        history.interrupted = len(trained) == 3
        return history

    found = search(training=interrupted)

    assert len(trained) == 3
    assert len(found.attempts) == 2
    assert found.preset in trained[:2]


def test_a_loss_that_is_no_number_is_given_up(search: Callable[..., Tuning]) -> None:
    def diverging(
        dataset: Dataset, preset: Preset, config: TrainingConfig, on_evaluation: Callable[..., None]
    ) -> History:
        if preset != BASE:
            CLOCK.seconds += TRIAL
            raise TrainingError("The loss is no number.")
        return learn(dataset, preset, config, on_evaluation)

    found = search(trials=3, training=diverging)

    assert found.preset == BASE
    assert [attempt.given_up for attempt in found.attempts[:2]] == [False, True]


def test_no_time_is_a_plain_sentence(search: Callable[..., Tuning]) -> None:
    with pytest.raises(TuningError, match="--time-limit"):
        search(trials=0.1)


def test_trials_in_which_nothing_is_learned_are_a_plain_sentence(search: Callable[..., Tuning]) -> None:
    def ignorant(
        dataset: Dataset, preset: Preset, config: TrainingConfig, on_evaluation: Callable[..., None]
    ) -> History:
        CLOCK.seconds += TRIAL
        return History(best=evaluation(math.log(dataset.tokenizer.vocabulary_size), TRIAL))

    with pytest.raises(TuningError, match="--trial-time"):
        search(trials=2, training=ignorant)


def test_the_table_has_the_best_first() -> None:
    attempts = [
        Attempt(0, 3.0, False, 60.0, {"learning_rate": 0.002}),
        Attempt(1, 2.0, True, 20.0, {"learning_rate": 0.001}),
        Attempt(2, 2.5, False, 60.0, {"learning_rate": 0.0040001}),
        Attempt(3, None, True, 1.0, {"learning_rate": 0.01}),
    ]

    lines = Tuning(BASE, attempts).table().splitlines()

    assert [line.split()[0] for line in lines] == ["trial", "2", "0", "1", "3"]
    assert "learning_rate 0.004" in lines[1]
    assert "given up" in lines[3]


def test_a_presets_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    preset = replace(BASE, tokens="char", training=replace(BASE.training, learning_rate=0.1))

    preset.save(tmp_path / "mine.json")

    assert Preset.load(tmp_path / "mine.json") == preset


@pytest.mark.parametrize("text", ["", "[]", '{"network": {}, "wings": 2}', '{"training": {"wings": 2}}', '"x"'])
def test_what_is_no_preset_is_a_plain_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.json").write_text(text)

    with pytest.raises(PresetError, match=r"mine\.json"):
        Preset.load(tmp_path / "mine.json")


def test_a_field_that_no_network_has_is_a_plain_sentence() -> None:
    with pytest.raises(PresetError, match="wings"):
        Preset({"wings": 2}).shape(vocabulary_size=300)


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_preset_that_there_is_not(dataset_directory: Path) -> None:
    result = call("tune", dataset_directory, "--preset", "enormous")

    assert result.exit_code == 1
    assert "enormous" in result.output
    assert "base" in result.output


def test_the_command_writes_a_preset_that_a_network_can_start_from(
    dataset_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_train", learn)
    monkeypatch.setattr(module, "monotonic", CLOCK)

    result = call("tune", dataset_directory, "--preset", "small", "--time-limit", "10m", "--trial-time", "10m")

    assert result.exit_code == 0, result.output
    start = Start(preset=str(dataset_directory / "tune" / "preset.json"))
    assert start.name == "preset"
    assert start.settings == PRESETS["small"]  # the first trial, for which alone there was time
    assert start.config(seed=3) == replace(PRESETS["small"].training, seed=3)
    assert "--preset" in result.stdout.splitlines()[-1]


def test_a_trial_trains_the_network_of_its_preset(
    dataset: Dataset, tiny_presets: dict[str, Preset], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_COMPILE_FROM_STEPS", 10**9)  # XLA takes longer to compile than this to learn
    preset, losses = tiny_presets["classic"], list[float]()

    history = module._train(
        dataset,
        preset,
        replace(preset.training, epochs=0.3),
        lambda evaluation, samples: losses.append(evaluation.validation_loss),
    )

    assert history.best is not None
    assert history.best.validation_loss == min(losses) < math.log(dataset.tokenizer.vocabulary_size)
