"""Several replicas learn what one would."""

import itertools
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.seq2seq import Seq2SeqConfig, build
from training import distribution
from training import train as loop
from training.dataset import Dataset, batches
from training.distribution import DistributionError, Replicas, devices
from training.presets import TrainingConfig
from training.step import optimizer_of, training_step
from training.train import train

CONFIG = TrainingConfig(learning_rate=1e-2, epochs=0.5, batch_size=31, clip_norm=0.5, context_dropout=0.2, anchor=2.0)


def run(scope: AbstractContextManager[Any], data: Path, checkpoint: Path | None = None) -> dict[str, Any]:
    """Train a small network, evaluating often: its losses, weights and dtype."""
    loop._SMALLEST_EVALUATION_INTERVAL, loop._EVALUATIONS_PER_EPOCH, loop._COMPILE_FROM_STEPS = 3, 100, 10**9
    dataset = Dataset.open(data)
    with scope:
        keras.utils.set_random_seed(0)
        shape = {"embedding_dim": 8, "encoder_units": 6, "bidirectional": False, "decoder_layers": 1}
        network = build(Seq2SeqConfig(vocabulary_size=dataset.tokenizer.vocabulary_size, **shape))
        history = train(network, dataset, CONFIG, checkpoint=checkpoint)
        weights = [array.tolist() for array in network.get_weights()]
    losses = [(each.step, each.train_loss, each.validation_loss) for each in history.evaluations]
    return {"losses": losses, "weights": weights}


@pytest.fixture(scope="module")
def alone(dataset_directory: Path) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_SMALLEST_EVALUATION_INTERVAL", "_EVALUATIONS_PER_EPOCH", "_COMPILE_FROM_STEPS"):
            patch.setattr(loop, name, getattr(loop, name))
        return run(tf.distribute.get_strategy().scope(), dataset_directory)


@contextmanager
def started(program: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process that runs a program with all that this module knows."""
    program = f"from tests.training.test_distribution import *\n{program}"
    settings = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""} | environment
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=settings) as process:
        try:
            yield process
        finally:
            process.kill()


def result(process: subprocess.Popen[str]) -> dict[str, Any]:
    printed, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors[-3000:]
    answer: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return answer


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    np.testing.assert_allclose(one["losses"], other["losses"], rtol=1e-5)
    for mine, yours in zip(one["weights"], other["weights"], strict=True):
        np.testing.assert_allclose(mine, yours, atol=1e-4)


def test_two_devices_of_one_machine_learn_what_one_does(dataset_directory: Path, alone: dict[str, Any]) -> None:
    program = f"""
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
print(json.dumps(run(strategy.scope(), Path({str(dataset_directory)!r}))))
"""
    with started(program) as process:
        assert_same(result(process), alone)


def test_two_machines_learn_what_one_does_and_only_the_chief_evaluates_and_saves(
    dataset_directory: Path, tmp_path: Path, alone: dict[str, Any]
) -> None:
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(2)]}
    with ExitStack() as stack:
        workers = []
        for index in range(2):
            arguments = f"Path({str(dataset_directory)!r}), Path({str(tmp_path / str(index))!r})"
            config = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
            worker = started(f"print(json.dumps(run(devices(), {arguments})))", TF_CONFIG=config)
            workers.append(stack.enter_context(worker))
        chief, other = map(result, workers)
    assert_same(chief, alone)
    assert other["losses"] == []
    assert other["weights"] == chief["weights"]
    assert [path.name for path in tmp_path.iterdir()] == ["0"]


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def test_one_processor_costs_no_strategy() -> None:
    with devices():
        assert not tf.distribute.has_strategy()


def test_machines_that_are_not_well_named_are_a_plain_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", "two of them")
    with pytest.raises(DistributionError, match="correct or unset it"):
        devices()


@pytest.mark.parametrize(
    ("capabilities", "precision"),
    [
        ([(9, 0), (8, 0)], "mixed_bfloat16"),
        ([(8, 6), (7, 5)], "mixed_float16"),
        ([(7, 0)], "mixed_float16"),
        ([(6, 1), (9, 0)], "float32"),
        ([None], "float32"),
    ],
)
def test_precision_is_what_the_oldest_gpu_computes_fast(
    monkeypatch: pytest.MonkeyPatch, capabilities: list[tuple[int, int] | None], precision: str
) -> None:
    details = {number: {"compute_capability": each} if each else {} for number, each in enumerate(capabilities)}
    monkeypatch.setattr(tf.config.experimental, "get_device_details", details.__getitem__)
    assert distribution._precision(list(details)) == precision


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_learns_nearly_the_same(dataset: Dataset, policy: str) -> None:
    learned = []
    for each in ("float32", policy):
        keras.config.set_dtype_policy(each)
        try:
            keras.utils.set_random_seed(0)
            network = build(Seq2SeqConfig(vocabulary_size=320, embedding_dim=8, encoder_units=6, decoder_layers=1))
        finally:
            keras.config.set_dtype_policy("float32")
        learn = training_step(network, optimizer_of(network, CONFIG), CONFIG, Replicas(), network.get_weights())
        some = itertools.islice(itertools.cycle(batches(dataset.train, batch_size=16)), 12)
        learned.append([learn(batch) for batch in some])
        assert {array.dtype for array in network.get_weights()} == {np.dtype(np.float32)}
    assert learned[0][-1] < 0.97 * learned[0][0]
    np.testing.assert_allclose(learned[1], learned[0], rtol=0.01)
