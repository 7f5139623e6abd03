"""Replies to many contexts at once."""

import numpy as np
import pytest

from model.chatbot import ChatBot
from model.dialogue import ME, Turn, render_context
from model.reply import LIKELIEST, ReplyConfig
from model.sampling import SamplingConfig
from model.tokenizer import Tokenizer
from tests.model.tiny_network import publish_bundle
from tests.training.knowing_network import KnowingNetwork
from training.generation import sample_replies, turns_of

LINES = ["where is the kettle?", "it is on the shelf", "ok", "no idea\nask her", "thank you so much"]
TOKENIZER = Tokenizer.train([*LINES, "a b c d e f g h i j k l m n o p q r s t u v w x y z"], vocabulary_size=330)
CONTEXTS = [TOKENIZER.encode_context(render_context([Turn("someone", text)]), 12) for text in LINES]


@pytest.fixture(scope="module")
def chatbot(tmp_path_factory: pytest.TempPathFactory) -> ChatBot:
    return ChatBot.load(publish_bundle(tmp_path_factory.mktemp("models"), TOKENIZER))


def test_they_are_those_of_the_bot(chatbot: ChatBot) -> None:
    alone = [chatbot.reply([Turn("someone", text)], np.random.default_rng(0), LIKELIEST) for text in LINES]
    assert [sample_replies(chatbot, [context], seed=0, config=LIKELIEST) for context in CONTEXTS] == [
        [reply] for reply in alone
    ]


def test_equal_seeds_say_equal_things_and_others_do_not(chatbot: ChatBot) -> None:
    many = CONTEXTS * 8
    assert sample_replies(chatbot, many, seed=1) == sample_replies(chatbot, many, seed=1)
    assert sample_replies(chatbot, many, seed=1) != sample_replies(chatbot, many, seed=2)


def test_each_context_gets_its_reply(chatbot: ChatBot) -> None:
    answers = dict(zip(LINES, [*LINES[1:], LINES[0]], strict=True))
    known = {tuple(context): TOKENIZER.encode(answers[text])[:9] for context, text in zip(CONTEXTS, LINES, strict=True)}
    network = KnowingNetwork(known, TOKENIZER.vocabulary_size, {})
    order = np.random.default_rng(0).integers(0, len(LINES), 200)
    knowing = ChatBot(TOKENIZER, network, chatbot.facts)
    replies = sample_replies(knowing, [CONTEXTS[row] for row in order], seed=0, config=LIKELIEST)
    assert replies == [TOKENIZER.decode(known[tuple(CONTEXTS[row])]).strip() for row in order]


def test_no_reply_is_empty(chatbot: ChatBot) -> None:
    wild = ReplyConfig(sampling=SamplingConfig(temperature=5), candidates=2)
    assert all(sample_replies(chatbot, CONTEXTS * 10, seed=0, config=wild))


def test_turns_are_those_of_the_context(chatbot: ChatBot) -> None:
    turns = [Turn("ann", "ok"), Turn(ME, "no idea"), Turn("bob", "thank you")]
    context = TOKENIZER.encode_context(render_context(turns), 30)
    assert turns_of(chatbot, context) == [Turn("<other>", "ok"), Turn(ME, "no idea"), Turn("<you>", "thank you")]
