"""Replies to many contexts at once."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from model.chatbot import ChatBot
from model.dialogue import Turn, render_context
from model.sampling import SamplingConfig
from model.tokenizer import Tokenizer
from tests.model.tiny_network import publish_bundle
from tests.training.knowing_network import KnowingNetwork
from training import generation
from training.generation import sample_replies

LINES = ["where is the kettle?", "it is on the shelf", "ok", "no idea\nask her", "thank you so much"]
TOKENIZER = Tokenizer.train([*LINES, "a b c d e f g h i j k l m n o p q r s t u v w x y z"], vocabulary_size=330)
CONTEXTS = [TOKENIZER.encode_context(render_context([Turn("someone", text)]), 12) for text in LINES]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_bundle(tmp_path_factory.mktemp("models"), TOKENIZER)


def test_they_are_those_of_the_bot(bundle: Path) -> None:
    likeliest, chatbot = SamplingConfig(temperature=0), ChatBot.load(bundle)
    alone = [chatbot.reply([Turn("someone", text)], np.random.default_rng(0), likeliest) for text in LINES]
    assert [sample_replies(bundle, [context], seed=0, sampling=likeliest) for context in CONTEXTS] == [
        [reply] for reply in alone
    ]


def test_equal_seeds_say_equal_things_and_others_do_not(bundle: Path) -> None:
    many = CONTEXTS * 20
    assert sample_replies(bundle, many, seed=1) == sample_replies(bundle, many, seed=1)
    assert sample_replies(bundle, many, seed=1) != sample_replies(bundle, many, seed=2)


def test_each_context_gets_its_reply(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = dict(zip(LINES, [*LINES[1:], LINES[0]], strict=True))
    known: Mapping[tuple[int, ...], list[int]] = {
        tuple(context): TOKENIZER.encode(answers[text])[:9] for context, text in zip(CONTEXTS, LINES, strict=True)
    }
    network = KnowingNetwork(known, TOKENIZER.vocabulary_size, {})
    monkeypatch.setattr(generation, "Inference", network.in_place_of)
    order = np.random.default_rng(0).integers(0, len(LINES), 200)
    replies = sample_replies(bundle, [CONTEXTS[row] for row in order], seed=0, sampling=SamplingConfig(temperature=0))
    assert replies == [TOKENIZER.decode(known[tuple(CONTEXTS[row])]).strip() for row in order]


def test_no_reply_is_empty(bundle: Path) -> None:
    assert all(sample_replies(bundle, CONTEXTS * 10, seed=0, sampling=SamplingConfig(temperature=5)))
