"""Replies of a bundle to many contexts, as the bot gives them."""

from collections.abc import Sequence

import numpy as np

from model.chatbot import ChatBot
from model.dialogue import ME, Marker, Turn
from model.reply import Question, ReplyConfig
from training.likelihood import batches

_AT_ONCE = 16


def sample_replies(
    chatbot: ChatBot, contexts: Sequence[Sequence[int]], *, seed: int, config: ReplyConfig | None = None
) -> list[str]:
    """Answer contexts in clean text, under a progress bar.

    Args:
        chatbot: answers.
        contexts: token ids.
        seed: of chance; each context has its own, whatever else is asked.
        config: as the bot answers by default.
    """
    config, replies = config or ReplyConfig(), [""] * len(contexts)
    generators = np.random.default_rng(seed).spawn(len(contexts))
    for rows in batches([len(context) for context in contexts], _AT_ONCE, "Answering"):
        questions = [Question(turns_of(chatbot, contexts[row]), generators[row], config) for row in rows]
        for row, reply in zip(rows, chatbot.replies(questions), strict=True):
            replies[row] = reply.text
    return replies


def turns_of(chatbot: ChatBot, context: Sequence[int]) -> list[Turn]:
    """The turns of a context of a dataset with the bundle's vocabulary, as the bot sees them."""
    turns = chatbot.tokenizer.decode_context(context)
    return [Turn(ME if marker is Marker.ME else marker, text) for marker, text in turns]
