"""What a network looks at, as words and shares."""

import numpy as np
import numpy.typing as npt
import pytest

from model.attention import Attention, attention
from model.dialogue import Marker
from model.tokenizer import END, Tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(["the kettle is in the attic", "the badger is in the shed"] * 9, vocabulary_size=300)


def looks(tokenizer: Tokenizer, context: list[int], reply: str) -> Attention:
    """Its step t looks at token t of the context, counted in circles, twice as much as at each other one."""
    tokens = [*tokenizer.encode(reply), END]
    weights: npt.NDArray[np.float32] = np.ones((len(tokens), len(context)), np.float32)
    weights[np.arange(len(tokens)), np.arange(len(tokens)) % len(context)] = 2
    return attention(tokenizer, context, tokens, weights / weights.sum(-1, keepdims=True))


def test_rows_are_what_is_written_and_columns_what_was_said(tokenizer: Tokenizer) -> None:
    seen = looks(tokenizer, tokenizer.encode_context([(Marker.YOU, "the kettle\nis")], 40), "in the shed")
    assert seen.context[0] == "[you]"
    assert "".join(seen.context[1:]) == " the kettle[line] is"
    assert "".join(seen.reply) == " in the shed[end]"
    assert seen.weights.shape == (len(seen.reply), len(seen.context))
    assert seen.weights.argmax(axis=1).tolist() == [row % len(seen.context) for row in range(len(seen.reply))]


def test_a_character_of_many_bytes_is_one(tokenizer: Tokenizer) -> None:
    context = tokenizer.encode_context([(Marker.ME, "the \U0001f44b\U0001f44b shed")], 40)
    seen = looks(tokenizer, context, "in \U0001f9ed")
    assert seen.context.count("\U0001f44b") == 2
    assert seen.reply[-2:] == ["\U0001f9ed", "[end]"]
    np.testing.assert_allclose(seen.weights.sum(axis=1), 1, rtol=1e-6)
    plain = 1 / (len(context) + 1)
    assert seen.weights[0, seen.context.index("\U0001f44b")] == pytest.approx(4 * plain)  # of its four bytes together


def test_a_context_of_nothing_is_an_end(tokenizer: Tokenizer) -> None:
    assert list(looks(tokenizer, [END], "the shed").context) == ["[end]"]
