"""Log probabilities of replies: those of training, whatever else is in the batch."""

import math
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from model.inference import Inference
from model.onnx_graph import export
from model.tokenizer import END
from tests.model.tiny_network import CONFIGS, lively_network, random_contexts
from tests.training.conftest import ragged
from tests.training.knowing_network import KnowingNetwork
from training.dataset import Split, batches
from training.likelihood import given_contexts, given_nothing, log_probabilities

REPLIES = [np.array([*ids, END], np.uint16) for ids in ([8, 9, 8, 12, 20], [], [30], [9, 9, 9, 9, 9, 9, 9], [8, 9])]


@pytest.mark.parametrize("shape", ["base", "classic"])
def test_they_are_those_of_training(shape: str, tmp_path: Path) -> None:
    network = lively_network(CONFIGS[shape])
    export(network, tmp_path, quantized=False)
    contexts = random_contexts(network.config, (5, 1, 9, 2, 3))
    inference = Inference(tmp_path)
    got = log_probabilities(inference, inference.encode(contexts), REPLIES)
    (batch,) = batches(Split(ragged(contexts), ragged([reply.tolist() for reply in REPLIES])), batch_size=5)
    logits = network(tf.constant(batch.encoder_ids), tf.constant(batch.decoder_ids))
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(batch.targets, logits).numpy() * batch.weights
    assert got == pytest.approx(-losses.sum(axis=1), abs=1e-3)
    assert given_contexts(inference, contexts, REPLIES, "") == pytest.approx(got, abs=1e-5)


def test_a_known_reply_is_as_likely_as_the_network_is_sure() -> None:
    network = KnowingNetwork({(5, 6): [8, 9]}, 50, {})
    sure, unsure = 8 - math.log(49 + math.exp(8)), -math.log(49 + math.exp(8))
    got = given_contexts(network, [[5, 6], [5, 6], [7]], [REPLIES[4], REPLIES[2], REPLIES[4]], "")
    assert got == pytest.approx([3 * sure, 2 * unsure, -3 * math.log(50)], rel=1e-5)


def test_given_nothing_a_network_has_its_likings() -> None:
    network = KnowingNetwork({(5, 6): [8, 9]}, 50, {9: 3})
    total = math.log(49 + math.exp(3))
    assert given_nothing(network, [REPLIES[4], REPLIES[3]], "") == pytest.approx([3 - 3 * total, 21 - 8 * total])


def test_many_pairs_are_those_of_single_ones() -> None:
    rng = np.random.default_rng(0)
    replies = [np.array([*rng.integers(7, 50, rng.integers(1, 12)), END], np.uint16) for _ in range(150)]
    contexts = [[5, row % 30 + 8] for row in range(150)]
    network = KnowingNetwork({(5, row + 8): replies[row].tolist() for row in range(0, 30, 2)}, 50, {9: 1.5})
    alone = [
        float(log_probabilities(network, network.encode([context]), [reply])[0])
        for context, reply in zip(contexts, replies, strict=True)
    ]
    assert given_contexts(network, contexts, replies, "") == pytest.approx(alone)
