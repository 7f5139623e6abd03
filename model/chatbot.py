"""Turns in, a reply out: the whole model behind a few methods. Knows no Discord."""

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from model.blocklist import Blocklist
from model.bundle import COPIES, TOKENIZER, Bundle, BundleFacts, ModelFormatError
from model.copies import CopyIndex
from model.decoding import Candidate, Request, write
from model.dialogue import Turn, clean_text, render_context
from model.guards import Rejection, rejection
from model.inference import Inference
from model.ranking import DEFAULT, Weights
from model.sampling import SamplingConfig
from model.tokenizer import Tokenizer

SPEECHLESS = "…"
"""When nothing else may be said."""

_BROKEN = "\ufffd"
"""What the bytes of half a character decode to."""


@dataclass(frozen=True, kw_only=True)
class ReplyConfig:
    """How a reply is found.

    Attributes:
        sampling: how candidates are drawn.
        candidates: how many.
        weights: how they are ranked.
        talkativeness: what each token of a candidate adds to its score, in nats; below 0 makes for short replies.
        blocklist: of what is not said here.
        guarded: whether any candidate may be rejected: not where a text of the training data can be the right answer.
    """

    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    candidates: int = 8
    weights: Weights = DEFAULT
    talkativeness: float = 0.0
    blocklist: Blocklist = field(default=Blocklist(), compare=False)
    guarded: bool = True

    def __post_init__(self) -> None:
        if self.candidates < 1:
            raise ValueError(f"there must be at least one candidate, not {self.candidates}")


LIKELIEST = ReplyConfig(sampling=SamplingConfig(temperature=0), candidates=1, guarded=False)
"""What the network finds likeliest, a token at a time, whatever it is."""


@dataclass(frozen=True)
class Question:
    """A conversation that waits for a reply.

    Attributes:
        turns: clean ones, oldest first; those of the bot itself have the speaker `ME`. May be empty.
        rng: the only source of chance.
        config: how the reply is found.
    """

    turns: Sequence[Turn]
    rng: np.random.Generator
    config: ReplyConfig = ReplyConfig()


@dataclass(frozen=True)
class Ranked:
    """A candidate in clean text.

    Attributes:
        text: what it says.
        candidate: its ids and log probabilities.
        score: by which it is ranked.
        rejection: why it must not be said, if it must not.
    """

    text: str
    candidate: Candidate
    score: float
    rejection: Rejection | None


@dataclass(frozen=True)
class Reply:
    """What is said, and why.

    Attributes:
        text: clean text that is not empty.
        candidates: by score, but those that break off at the longest length behind the others; the first one that is
            not rejected is what is said.
    """

    text: str
    candidates: tuple[Ranked, ...]


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
            ModelFormatError: it is missing, damaged or of another version.
        """
        bundle = Bundle.open(directory)
        try:
            tokenizer = Tokenizer.load(directory / TOKENIZER)
            inference = Inference(directory)
            copies = CopyIndex.load(directory / COPIES)
        except Exception as error:  # ONNX Runtime's exceptions have no base of their own
            raise ModelFormatError(
                f"The model in {directory} cannot be loaded ({type(error).__name__}): train it again."
            ) from error
        if tokenizer.vocabulary_size != bundle.facts.network.get("vocabulary_size"):
            raise ModelFormatError(f"The model in {directory} has the tokenizer of another one: train it again.")
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
        reason = rejection(text, question.turns, self._copies, [config.blocklist]) if config.guarded else None
        return Ranked(text, candidate, score + config.talkativeness * candidate.tokens, reason)
