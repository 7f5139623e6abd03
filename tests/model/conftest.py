"""Fixtures of the model's tests: a vocabulary of a few lines and a whole bundle over it, each made once."""

from pathlib import Path

import pytest

from model.tokenizer import Tokenizer

LINES = (
    "hello there how are you",
    "i am fine thanks and you",
    "what are you doing tonight",
    "nothing much you",
    "hello you there",
    "hello 👍",
)


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(LINES, vocabulary_size=300)


@pytest.fixture(scope="session")
def tiny_bundle(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published bundle of a random network, with all that the real one has."""
    from tests.model import tiny_network  # here and not above: TensorFlow takes seconds, and most tests need none

    return tiny_network.publish_bundle(tmp_path_factory.mktemp("models"), tokenizer)
