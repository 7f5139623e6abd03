"""Linked turns in, training examples out: a context and the reply to it."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from model.dialogue import MAX_CONTEXT_TURNS, Turn, merge_bursts
from training.archive import Archive, LinkedTurn
from training.conversations import Tally, link_turns

MAX_REPLY_CHARACTERS = 1000
"""Longer replies are pasted more often than said."""

VALIDATION_SHARE = 0.05
_RECENT_TURNS = 4096


@dataclass(frozen=True, slots=True)
class Example:
    """A reply and what it answers.

    Attributes:
        conversation: names the tree of turns that all of it comes from.
        context: oldest first, at most `MAX_CONTEXT_TURNS`; in a good example not empty and last by another speaker.
        reply: what was answered to it.
    """

    conversation: str
    context: tuple[Turn, ...]
    reply: Turn


def examples_of(archive: Archive, tally: Tally) -> Iterator[Example]:
    """Link the messages of an archive and yield what can be learned from; the tally says why the rest cannot."""
    recent: dict[int, LinkedTurn] = {}
    for turn in link_turns(archive, tally):
        example = Example(turn.conversation, _context(turn, recent, archive), Turn(turn.speaker, turn.text))
        reason = skip_reason(example)
        if reason is None:
            tally.examples += 1
            yield example
        else:
            tally.skipped[reason] += 1
        recent[turn.number] = turn
        recent.pop(turn.number - _RECENT_TURNS, None)


def skip_reason(example: Example) -> str | None:
    """Why nothing should be learned from an example, or None if it is a good one."""
    if not example.context:
        return "no context"
    if example.context[-1].speaker == example.reply.speaker:
        return "reply to oneself"
    if len(example.reply.text) > MAX_REPLY_CHARACTERS:
        return "reply too long"
    return None


def split(conversation: str, validation_share: float = VALIDATION_SHARE) -> Literal["train", "validation"]:
    """Which side a conversation is on: always the same one, decided by a hash of its name alone."""
    digest = hashlib.blake2b(conversation.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return "validation" if int.from_bytes(digest) < validation_share * 2**64 else "train"


def _context(turn: LinkedTurn, recent: dict[int, LinkedTurn], archive: Archive) -> tuple[Turn, ...]:
    """The turns that lead to this one, oldest first, neighbours of one speaker joined as the bot joins them."""
    path: list[Turn] = []
    number = turn.parent
    while number is not None and len(path) < MAX_CONTEXT_TURNS:
        parent = recent.get(number) or archive.turn(number)
        path.append(Turn(parent.speaker, parent.text))
        number = parent.parent
    return tuple(merge_bursts(reversed(path)))
