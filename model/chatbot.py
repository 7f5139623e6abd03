"""Turns in, a reply out: the whole model behind two methods. Knows no Discord."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model.bundle import TOKENIZER, Bundle, BundleFacts, ModelFormatError
from model.dialogue import Turn, clean_text, render_context
from model.inference import Inference
from model.sampling import SamplingConfig, sample
from model.tokenizer import END, LINE_ID, PAD, START, UNKNOWN, Tokenizer

_BROKEN = "\ufffd"
"""What the bytes of half a character decode to."""

_SPEECHLESS = "…"
"""When all the network has to say is white space."""


class ChatBot:
    """A loaded bundle that answers; safe to share between threads."""

    def __init__(self, tokenizer: Tokenizer, inference: Inference, facts: BundleFacts) -> None:
        self.facts = facts
        self._tokenizer = tokenizer
        self._inference = inference
        self._unsayable = [PAD, UNKNOWN, START, *range(END + 1, LINE_ID)]

    @classmethod
    def load(cls, directory: Path) -> "ChatBot":
        """Load a bundle.

        Raises:
            ModelFormatError: it is missing, damaged or of another version.
        """
        bundle = Bundle.open(directory)
        try:
            tokenizer = Tokenizer.load(directory / TOKENIZER)
            inference = Inference(directory)
        except Exception as error:  # ONNX Runtime's exceptions have no base of their own
            raise ModelFormatError(
                f"The model in {directory} cannot be loaded ({type(error).__name__}): train it again."
            ) from error
        if tokenizer.vocabulary_size != bundle.facts.network.get("vocabulary_size"):
            raise ModelFormatError(f"The model in {directory} has the tokenizer of another one: train it again.")
        return cls(tokenizer, inference, bundle.facts)

    def reply(self, turns: Sequence[Turn], rng: np.random.Generator, sampling: SamplingConfig | None = None) -> str:
        """Answer a conversation.

        Args:
            turns: clean ones, oldest first; those of the bot itself have the speaker `ME`. May be empty.
            rng: the only source of chance.
            sampling: how adventurous the answer is.

        Returns:
            A reply in clean text that is not empty.
        """
        context = self._tokenizer.encode_context(render_context(turns), self.facts.max_context_tokens)
        ids = self._generate(context, sampling or SamplingConfig(), rng)
        text = self._tokenizer.decode(ids).replace(_BROKEN, "")
        return clean_text(text) or _SPEECHLESS  # bytes can spell what text never has

    def _generate(self, context: list[int], sampling: SamplingConfig, rng: np.random.Generator) -> list[int]:
        state = self._inference.encode([context])
        ids: list[int] = []
        token = np.array([START], np.int64)
        while len(ids) < self.facts.max_reply_tokens:
            logits, state = self._inference.step(token, state)
            logits[:, self._unsayable] = -np.inf
            if not ids:
                logits[:, [END, LINE_ID]] = -np.inf
            token = sample(logits, sampling, rng)
            if token[0] == END:
                break
            ids.append(int(token[0]))
        return ids
