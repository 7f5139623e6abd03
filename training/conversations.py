"""Messages of a channel in, linked turns out: who answers whom.

An explicit reply goes to the message it names, however old; any other message goes to the turn before it in the
channel, unless that is so long ago that it starts something new. Messages that one author sends in a row are one turn.
A reply to what is gone or left out (a bot, a system notice) starts something new as well.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from model.dialogue import clean_text
from training.archive import Archive, LinkedTurn
from training.exports import Message

SESSION_GAP = 30 * 60.0
"""Seconds of silence after which a message without a reply link starts something new."""

BURST_GAP = 5 * 60.0
"""Seconds of silence after which an author's next message is a turn of its own."""

MAX_SESSION_TURNS = 200
"""A channel that never falls silent begins something new after so many turns: as one conversation it could not be
divided between training and validation."""

MAX_BURST_CHARACTERS = 2000
"""A longer monologue is several turns; also what Discord lets a single message hold."""


@dataclass(slots=True)
class Tally:
    """What became of the messages: messages = kept + left out; turns = examples + skipped.

    Attributes:
        messages: read from the exports.
        kept: messages that are part of a turn.
        left_out: the other messages by reason: bot, system, empty, duplicate.
        turns: made of the kept messages.
        conversations: trees of turns.
        examples: turns that can be learned from.
        skipped: the other turns by reason.
    """

    messages: int = 0
    kept: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    turns: int = 0
    conversations: int = 0
    examples: int = 0
    skipped: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, int | dict[str, int]]:
        """All counts, reasons in the order of the alphabet, so that equal runs give equal files."""
        return {
            "messages": self.messages,
            "kept": self.kept,
            "left_out": dict(sorted(self.left_out.items())),
            "turns": self.turns,
            "conversations": self.conversations,
            "examples": self.examples,
            "skipped": dict(sorted(self.skipped.items())),
        }

    def table(self) -> str:
        """The counts for people to read."""
        rows = [("messages read", self.messages)]
        rows += [(f"  left out: {reason}", count) for reason, count in sorted(self.left_out.items())]
        rows += [("  kept", self.kept), ("turns", self.turns), ("conversations", self.conversations)]
        rows += [(f"  skipped: {reason}", count) for reason, count in sorted(self.skipped.items())]
        rows += [("examples", self.examples)]
        return "\n".join(f"{name:<28}{count:>12,}" for name, count in rows)


@dataclass(slots=True)
class _Burst:
    """A turn that its author may still go on with."""

    speaker: str
    parent: LinkedTurn | None
    ids: list[str]
    lines: list[str]
    last: float | None

    def add(self, message: Message, text: str) -> None:
        self.ids.append(message.id)
        self.lines.append(text)
        self.last = message.timestamp

    def has_room(self, text: str) -> bool:
        return sum(map(len, self.lines)) + len(text) <= MAX_BURST_CHARACTERS


def link_turns(archive: Archive, tally: Tally) -> Iterator[LinkedTurn]:
    """Make turns of all messages, each after its parent, and keep them in the archive.

    Args:
        archive: all messages; it takes in the turns.
        tally: a fresh one, filled while the turns are taken.
    """
    tally.messages = archive.received
    if duplicates := archive.received - len(archive):
        tally.left_out["duplicate"] = duplicates
    for channel, messages in archive.channels():
        yield from _link_channel(archive, channel, _spoken(messages, tally), tally)


def _link_channel(
    archive: Archive, channel: str, messages: Iterable[tuple[Message, str]], tally: Tally
) -> Iterator[LinkedTurn]:
    previous: LinkedTurn | None = None
    burst: _Burst | None = None
    session_turns = 0
    for message, text in messages:
        if burst and _continues(burst, message, text, archive):
            burst.add(message, text)
            continue
        if burst:
            previous = _finish(burst, channel, archive, tally)
            yield previous
        if session_turns == MAX_SESSION_TURNS:
            previous, session_turns = None, 0
        parent = _parent(message, previous, burst.last if burst else None, archive)
        session_turns = session_turns + 1 if parent else 1
        burst = _Burst(message.author, parent, [message.id], [text], message.timestamp)
    if burst:
        yield _finish(burst, channel, archive, tally)


def _continues(burst: _Burst, message: Message, text: str, archive: Archive) -> bool:
    """Whether a message goes on with a turn rather than beginning the next one."""
    if message.author != burst.speaker or _silence(burst.last, message) > BURST_GAP or not burst.has_room(text):
        return False
    if message.reply_to is None or message.reply_to in burst.ids:
        return True
    target = archive.turn_of_message(message.channel, message.reply_to)
    return target is not None and target == burst.parent


def _parent(message: Message, previous: LinkedTurn | None, last: float | None, archive: Archive) -> LinkedTurn | None:
    """The turn that a message answers, given the turn before it and when that ended."""
    if message.reply_to is not None:
        return archive.turn_of_message(message.channel, message.reply_to)
    return previous if _silence(last, message) <= SESSION_GAP else None


def _finish(burst: _Burst, channel: str, archive: Archive, tally: Tally) -> LinkedTurn:
    parent = burst.parent
    turn = LinkedTurn(
        number=tally.turns,
        speaker=burst.speaker,
        text="\n".join(burst.lines),
        parent=parent.number if parent else None,
        conversation=parent.conversation if parent else f"{channel}:{burst.ids[0]}",
    )
    archive.add_turn(turn, channel, burst.ids)
    tally.turns += 1
    tally.conversations += parent is None
    return turn


def _spoken(messages: Iterable[Message], tally: Tally) -> Iterator[tuple[Message, str]]:
    """The messages that somebody said, with their clean text; the others are counted."""
    for message in messages:
        if message.is_bot or message.is_system:
            tally.left_out["bot" if message.is_bot else "system"] += 1
        elif text := clean_text(message.content):
            tally.kept += 1
            yield message, text
        else:
            tally.left_out["empty"] += 1


def _silence(last: float | None, message: Message) -> float:
    """Seconds between a message and the one before; nothing where there is no clock."""
    return 0.0 if last is None or message.timestamp is None else message.timestamp - last
