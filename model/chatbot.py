"""Turns in, a reply out: the whole model behind a few methods. Knows no Discord."""

import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model.attention import Attention, attention
from model.bundle import COPIES, TOKENIZER, Bundle, BundleFacts, ModelFormatError
from model.copies import CopyIndex
from model.decoding import Candidate, Request, write
from model.dialogue import Turn, clean_text, render_context
from model.guards import Rejection, rejection
from model.inference import Inference
from model.reply import Explanation, Question, Ranked, Reply, ReplyConfig
from model.tokenizer import END, START, Tokenizer

SPEECHLESS = "…"
"""When nothing else may be said."""

_BROKEN = "\ufffd"
"""What the bytes of half a character decode to."""


class ChatBot:
    """A loaded bundle that answers; safe to share between threads.

    Attributes:
        facts, tokenizer: of the bundle.
        rejections: how many candidates were rejected so far, by reason.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        inference: Inference,
        facts: BundleFacts,
        copies: CopyIndex | None = None,
    ) -> None:
        self.facts = facts
        self.rejections: Counter[Rejection] = Counter()
        self.tokenizer = tokenizer
        self._inference = inference
        self._copies = copies or CopyIndex()
        self._counting = threading.Lock()

    @classmethod
    def load(cls, directory: Path) -> "ChatBot":
        """Load a bundle.

        Raises:
            ModelFormatError: it is missing, damaged, of another version, or cannot answer.
        """
        bundle = Bundle.open(directory)
        try:
            tokenizer = Tokenizer.load(directory / TOKENIZER)
            if tokenizer.vocabulary_size != bundle.facts.network.get("vocabulary_size"):
                raise ModelFormatError(f"The model in {directory} has the tokenizer of another one: train it again.")
            inference = Inference(directory)
            copies = CopyIndex.load(directory / COPIES)
            _check_answers(inference, tokenizer.vocabulary_size)
        except ModelFormatError:
            raise
        except Exception as error:  # ONNX Runtime's exceptions have no base of their own
            raise ModelFormatError(
                f"The model in {directory} cannot be loaded ({type(error).__name__}): train it again."
            ) from error
        return cls(tokenizer, inference, bundle.facts, copies)

    def reply(self, turns: Sequence[Turn], rng: np.random.Generator, config: ReplyConfig | None = None) -> str:
        """Answer a conversation, see `Question`.

        Returns:
            A reply in clean text that is not empty.
        """
        (reply,) = self.replies([Question(turns, rng, config or ReplyConfig())])
        return reply.text

    def replies(self, questions: Sequence[Question]) -> list[Reply]:
        """Answer several conversations together, which takes less time than one after the other."""
        contexts = [self._encode(question.turns) for question in questions]
        requests = [
            Request(context, question.config.sampling, question.rng, question.config.candidates)
            for context, question in zip(contexts, questions, strict=True)
        ]
        ranked = any(question.config.candidates > 1 for question in questions)
        found = write(self._inference, requests, max_tokens=self.facts.max_reply_tokens, prior=ranked)
        return [self._choose(question, found) for question, found in zip(questions, found, strict=True)]

    def describe(self) -> dict[str, str]:
        """What an admin may want to know of it, by headings."""
        training, told = self.facts.training, {"Preset": self.facts.preset}
        if "finished" in training:
            told["Trained"] = str(training["finished"])
        if "figures" in training:
            told["Bits a byte on held-out replies"] = f"{training['figures']['bits_per_byte']:.3f}"
        with self._counting:
            counts = self.rejections.most_common()
        told["Drafts thrown away"] = ", ".join(f"{count} {reason}" for reason, count in counts) or "none yet"
        return told

    def rejected(self) -> dict[str, int]:
        """How many candidates were rejected so far, by each reason there is."""
        with self._counting:
            return {reason.value: self.rejections[reason] for reason in Rejection}

    def explain(self, question: Question) -> Explanation:
        """Answer a conversation as `replies` does, and tell how the answer came about."""
        (reply,) = self.replies([question])
        said = next((each.candidate for each in reply.candidates if not each.rejection), None)
        looked = None if said is None else self.attention(self._encode(question.turns), said.ids)
        return Explanation(reply, looked)

    def look(self, turns: Sequence[Turn], text: str) -> Attention | None:
        """What the network looks at in a conversation as it writes a reply; None for one without attention."""
        return self.attention(self._encode(turns), self.tokenizer.encode(text))

    def attention(self, context: Sequence[int], reply: Sequence[int]) -> Attention | None:
        """What the network looks at as it writes a reply, both token ids; None for a network without attention."""
        weights = self._inference.attention(context, [START, *reply])
        return None if weights is None else attention(self.tokenizer, context, [*reply, END], weights)

    def _encode(self, turns: Sequence[Turn]) -> list[int]:
        return self.tokenizer.encode_context(render_context(turns), self.facts.max_context_tokens)

    def _choose(self, question: Question, candidates: Sequence[Candidate]) -> Reply:
        ranked = [self._rank(question, each) for each in candidates]
        ranked.sort(key=lambda each: (not each.candidate.ended, -each.score))  # what breaks off is a last resort
        with self._counting:
            self.rejections.update(each.rejection for each in ranked if each.rejection)
        said = next((each.text for each in ranked if not each.rejection), None)
        return Reply(said or SPEECHLESS, tuple(ranked))

    def _rank(self, question: Question, candidate: Candidate) -> Ranked:
        config = question.config
        # Bytes can spell what text never has.
        text = clean_text(self.tokenizer.decode(list(candidate.ids)).replace(_BROKEN, ""))
        score = config.weights.score(candidate.likelihood, candidate.prior, float(candidate.tokens))
        reason = rejection(text, question.turns, self._copies, config.blocklist) if config.guarded else None
        return Ranked(text, candidate, score + config.talkativeness * candidate.tokens, reason)


def _check_answers(inference: Inference, vocabulary_size: int) -> None:
    """Raise whatever ONNX Runtime does, or ValueError, unless the graphs begin a reply over the vocabulary."""
    likelihoods, _ = inference.step(np.array([START]), inference.encode([[END]]))
    if likelihoods.shape != (1, vocabulary_size) or not np.isfinite(likelihoods.max()):
        raise ValueError("the graphs give no log probabilities of the tokens that there are")
