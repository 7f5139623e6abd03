"""What a network looks at, as words and shares."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from model.dialogue import Marker
from model.tokenizer import END, PAD, START, Tokenizer
from training.attention import attend


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(["the kettle is in the attic", "the badger is in the shed"] * 9, vocabulary_size=300)


def network(*, attends: bool = True) -> Any:
    """Its step t looks at token t of the context, counted in circles, twice as much as at each other one."""

    def attention_weights(encoder_ids: Any, decoder_ids: Any) -> Any:
        asked.append((encoder_ids.tolist(), decoder_ids.tolist()))
        weights = np.repeat(encoder_ids[:, np.newaxis] != PAD, decoder_ids.shape[1], axis=1).astype(float)
        for row, length in zip(weights, (encoder_ids != PAD).sum(-1), strict=True):
            steps = np.arange(len(row))
            row[steps, steps % length] = 2
        return weights / weights.sum(-1, keepdims=True)

    asked: list[Any] = []
    return SimpleNamespace(config=SimpleNamespace(attends=attends), attention_weights=attention_weights, asked=asked)


def test_rows_are_what_is_written_and_columns_what_was_said(tokenizer: Tokenizer) -> None:
    looking = network()
    context = tokenizer.encode_context([(Marker.YOU, "the kettle\nis")], 40)
    (seen,) = attend(looking, tokenizer, [context], ["in the shed"])
    assert seen.context[0] == "[you]"
    assert "".join(seen.context[1:]) == " the kettle[line] is"
    assert "".join(seen.reply) == " in the shed[end]"
    assert seen.weights.shape == (len(seen.reply), len(seen.context))
    decoder_ids = [START, *tokenizer.encode("in the shed")]  # what is written follows what is read
    assert looking.asked == [([context], [decoder_ids])]


def test_several_are_seen_at_once_as_each_alone(tokenizer: Tokenizer) -> None:
    contexts = [tokenizer.encode_context([(Marker.YOU, text)], 40) for text in ("the kettle is in", "the")]
    replies = ["in", "in the attic"]
    alone = [attend(network(), tokenizer, [each], [reply])[0] for each, reply in zip(contexts, replies, strict=True)]
    for seen, expected in zip(attend(network(), tokenizer, contexts, replies), alone, strict=True):
        assert (seen.context, seen.reply) == (expected.context, expected.reply)
        np.testing.assert_allclose(seen.weights, expected.weights)


def test_a_character_of_many_bytes_is_one(tokenizer: Tokenizer) -> None:
    context = tokenizer.encode_context([(Marker.ME, "the \U0001f44b\U0001f44b shed")], 40)
    (seen,) = attend(network(), tokenizer, [context], ["in \U0001f9ed"])
    assert seen.context.count("\U0001f44b") == 2
    assert seen.reply[-2:] == ["\U0001f9ed", "[end]"]
    np.testing.assert_allclose(seen.weights.sum(axis=1), 1, rtol=1e-6)
    plain = 1 / (len(context) + 1)
    assert seen.weights[0, seen.context.index("\U0001f44b")] == pytest.approx(4 * plain)  # of its four bytes together


def test_a_context_of_nothing_is_an_end(tokenizer: Tokenizer) -> None:
    (seen,) = attend(network(), tokenizer, [[END]], ["the shed"])
    assert list(seen.context) == ["[end]"]


def test_a_network_without_attention_looks_at_nothing(tokenizer: Tokenizer) -> None:
    assert attend(network(attends=False), tokenizer, [[END]], ["the shed"]) == []
