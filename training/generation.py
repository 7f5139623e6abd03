"""Replies of a bundle to many contexts at once, each as `ChatBot.reply` would give one."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model.bundle import TOKENIZER, Bundle
from model.dialogue import clean_text
from model.inference import Inference
from model.sampling import SamplingConfig, sample
from model.tokenizer import END, LINE_ID, PAD, START, UNKNOWN, Tokenizer
from training.likelihood import batches

_BATCH_SIZE = 64
_BROKEN, _SPEECHLESS = "\ufffd", "…"
_UNSAYABLE = [PAD, UNKNOWN, START, *range(END + 1, LINE_ID)]


def sample_replies(
    directory: Path, contexts: Sequence[Sequence[int]], *, seed: int, sampling: SamplingConfig | None = None
) -> list[str]:
    """Answer contexts in clean text, under a progress bar.

    Args:
        directory: the bundle.
        contexts: token ids.
        seed: of chance.
        sampling: as the bot samples by default.
    """
    facts, inference = Bundle.open(directory).facts, Inference(directory)
    tokenizer = Tokenizer.load(directory / TOKENIZER)
    rng, sampling = np.random.default_rng(seed), sampling or SamplingConfig()
    replies = [""] * len(contexts)
    for rows in batches([len(context) for context in contexts], _BATCH_SIZE, "Answering"):
        answers = _generate(inference, [contexts[row] for row in rows], facts.max_reply_tokens, sampling, rng)
        for row, ids in zip(rows, answers, strict=True):
            replies[row] = clean_text(tokenizer.decode(ids).replace(_BROKEN, "")) or _SPEECHLESS
    return replies


def _generate(
    inference: Inference,
    contexts: Sequence[Sequence[int]],
    max_tokens: int,
    sampling: SamplingConfig,
    rng: np.random.Generator,
) -> list[list[int]]:
    state, tokens, unended = inference.encode(contexts), np.full(len(contexts), START), np.arange(len(contexts))
    replies: list[list[int]] = [[] for _ in contexts]
    for time in range(max_tokens):
        logits, state = inference.step(tokens, state)
        logits[:, [*_UNSAYABLE, *([] if time else [END, LINE_ID])]] = -np.inf
        tokens = sample(logits, sampling, rng)
        going_on = np.flatnonzero(tokens != END)
        tokens, unended, state = tokens[going_on], unended[going_on], state.take(going_on)
        for row, token in zip(unended, tokens, strict=True):
            replies[row].append(int(token))
        if not len(unended):
            break
    return replies
