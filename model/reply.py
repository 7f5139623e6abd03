"""What a model is asked and what it answers. Loads no ONNX Runtime."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from model.attention import Attention
from model.blocklist import Blocklist
from model.decoding import Candidate
from model.dialogue import Turn
from model.guards import Rejection
from model.ranking import DEFAULT, Weights
from model.sampling import SamplingConfig


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


@dataclass(frozen=True)
class Explanation:
    """Why a reply is what it is.

    Attributes:
        reply: with all its candidates, their scores, and why some must not be said.
        attention: what the network looked at as it wrote what is said; None where it cannot look, or said none.
    """

    reply: Reply
    attention: Attention | None
