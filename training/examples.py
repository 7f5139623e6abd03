"""Turns in, training examples out: a context and the reply to it."""

import functools
import hashlib
from dataclasses import dataclass
from typing import Literal

from model.dialogue import Turn, merge_bursts
from training.conversations import LinkedTurn

MAX_REPLY_CHARACTERS = 1000
"""Longer replies are pasted more often than said."""

VALIDATION_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Example:
    """A reply and what it answers.

    Attributes:
        conversation: names the tree of turns that all of it comes from.
        context: oldest first; in a good example not empty and last by another speaker.
        reply: what was answered to it.
    """

    conversation: str
    context: tuple[Turn, ...]
    reply: Turn


def example_of(turn: LinkedTurn) -> Example:
    """A turn as a reply to its context, in which neighbours of one speaker are joined as the bot joins them."""
    return Example(turn.conversation, tuple(merge_bursts(turn.context)), turn.turn)


def skip_reason(example: Example) -> str | None:
    """Why nothing should be learned from an example, or None if it is a good one."""
    if not example.context:
        return "no context"
    if example.context[-1].speaker == example.reply.speaker:
        return "reply to oneself"
    if len(example.reply.text) > MAX_REPLY_CHARACTERS:
        return "reply too long"
    return None


@functools.lru_cache(1 << 12)
def split(conversation: str, validation_share: float = VALIDATION_SHARE) -> Literal["train", "validation"]:
    """Which side a conversation is on: always the same one, decided by a hash of its name alone."""
    digest = hashlib.blake2b(conversation.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return "validation" if int.from_bytes(digest) < validation_share * 2**64 else "train"
