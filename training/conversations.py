"""Archived messages in, turns that answer each other out.

First each message gets its target: an explicit reply has the message it names, however old; the others what the learned
linker says. This looks at a bounded number of messages and is done piece by piece, by several processes. Then, in
order, messages become turns: what one author says in one go is one turn, and it answers the turn of its target.
"""

import sqlite3
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import NamedTuple

import msgspec

from model.dialogue import MAX_CONTEXT_TURNS, Turn
from training.archive import Archive, ArchivedMessage, Place
from training.cleanliness import NearCopies
from training.linking.linker import CONTEXT, NEW, Linker, Utterance

SESSION_GAP = 30 * 60.0
"""Seconds after which a message without a reply link is no longer taken for an answer."""

BURST_GAP = 5 * 60.0
"""Seconds of silence after which an author's next message is a turn of its own."""

MAX_CONVERSATION_TURNS = 200
"""A talk that never ends begins anew after so many turns: as one conversation it could not be divided between training
and validation."""

MAX_TURN_CHARACTERS = 2000
"""A longer monologue is several turns; also what Discord lets a single message hold."""

_MAX_OPEN_TURNS = 64
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(tuple[str, int, float | None, tuple[Turn, ...]])
_MAX_RECENT_MESSAGES = 4096


class LinkedMessage(NamedTuple):
    """A message and what it answers.

    Attributes:
        channel: an opaque id.
        id: names the message within its channel.
        author: an opaque account id.
        timestamp: seconds since the epoch, None if unknown.
        text: clean.
        target: the id of the message it answers; None if it starts something new.
        is_explicit: the author said what it answers, even if that is gone.
        is_target: another message says that it answers this one.
        signature: to find near copies.
    """

    channel: str
    id: str
    author: str
    timestamp: float | None
    text: str
    target: str | None
    is_explicit: bool
    is_target: bool
    signature: bytes | None


class LinkedTurn(NamedTuple):
    """What one author said in one go, and what it answers.

    Attributes:
        channel: an opaque id.
        conversation: names the tree of turns that it belongs to.
        context: the turns it answers, oldest first, at most `MAX_CONTEXT_TURNS`.
        turn: itself.
        messages: how many it is made of.
        timestamp: when it began.
        delay: seconds from the end of the turn it answers; None if there is none, or no clock.
    """

    channel: str
    conversation: str
    context: tuple[Turn, ...]
    turn: Turn
    messages: int
    timestamp: float | None
    delay: float | None


def link_messages(archive: Archive, linker: Linker, begin: Place, end: Place) -> list[LinkedMessage]:
    """The messages from one place on and before another, each with its target."""
    linked: list[LinkedMessage] = []
    for _, group in groupby(archive.messages(begin, end), key=lambda message: message.channel):
        messages = list(group)
        before = archive.before(messages[0].position, CONTEXT) if messages[0].channel == begin.channel else []
        linked += _link([*before, *messages], len(before), linker)
    return linked


def _link(messages: Sequence[ArchivedMessage], first: int, linker: Linker) -> Iterator[LinkedMessage]:
    """Link the messages of a channel from an index on."""
    targets = _targets_among_two(messages)[first:]
    if None in targets:
        linked = linker.link([_utterance(message) for message in messages], first).tolist()
        targets = [likely if target is None else target for target, likely in zip(targets, linked, strict=True)]
    for message, target in zip(messages[first:], targets, strict=True):
        channel, _, _, id_, author, text, reply_to, _, signature, is_target = message
        is_explicit = reply_to is not None
        answered = reply_to if is_explicit else None if target in (None, NEW) else messages[target].id
        yield LinkedMessage(
            channel, id_, author, message.timestamp, text, answered or None, is_explicit, is_target, signature
        )


def _targets_among_two(messages: Sequence[ArchivedMessage]) -> list[int | None]:
    """Where only two have spoken lately each answers the other: the index of the other's last message, or `NEW`.

    None where a third has spoken within `CONTEXT`, and it takes the linker to say who answers whom.
    """
    last: dict[str, int] = {}  # by author, who spoke last at the end
    targets: list[int | None] = []
    for index, message in enumerate(messages):
        last.pop(message.author, None)
        others = [other for other in islice(reversed(last.values()), 2) if other >= index - CONTEXT]
        targets.append(None if len(others) > 1 else others[0] if others else NEW)
        last[message.author] = index
    return targets


def _utterance(message: ArchivedMessage) -> Utterance:
    return Utterance(message.author, message.timestamp, message.text, message.mentions)


class _Conversation:
    """A tree of turns."""

    __slots__ = ("name", "turns")

    def __init__(self, name: str) -> None:
        self.name = name
        self.turns = 0


@dataclass(slots=True, eq=False)
class _Said:
    """A turn that its author may still go on with."""

    speaker: str
    conversation: _Conversation
    parent: "_Said | None"
    context: tuple[Turn, ...]
    began: float | None
    delay: float | None
    last: float | None = None
    text: str = ""
    messages: int = 0
    targets: list[str] = field(default_factory=list)
    is_answered: bool = False

    def add(self, message: LinkedMessage) -> None:
        self.text = f"{self.text}\n{message.text}" if self.messages else message.text
        self.messages += 1
        self.last = message.timestamp
        if message.is_target:
            self.targets.append(message.id)

    @property
    def path(self) -> tuple[Turn, ...]:
        """What an answer to it answers."""
        return (*self.context[1 - MAX_CONTEXT_TURNS :], Turn(self.speaker, self.text))

    def finished(self, channel: str) -> LinkedTurn:
        """As it stays."""
        turn = Turn(self.speaker, self.text)
        return LinkedTurn(channel, self.conversation.name, self.context, turn, self.messages, self.began, self.delay)


class Conversations:
    """Makes turns of the linked messages of all channels, taken in order.

    Attributes:
        left_out: messages that became part of no turn, by reason.
        conversations: how many trees of turns there are.
    """

    def __init__(self, folder: Path) -> None:
        """Args: folder: holds, while this is in use, a file with the turns that late replies may name."""
        self.left_out: Counter[str] = Counter()
        self.conversations = 0
        self._folder = folder
        self._near_copies = NearCopies()

    def turns(self, messages: Iterable[LinkedMessage]) -> Iterator[LinkedTurn]:
        """Yield the turns, those of a channel together and in the order in which they end."""
        with closing(_NamedTurns(self._folder)) as named:
            for channel, group in groupby(messages, key=lambda message: message.channel):
                yield from self._of_channel(channel, group, named)

    def _of_channel(
        self, channel: str, messages: Iterable[LinkedMessage], named: "_NamedTurns"
    ) -> Iterator[LinkedTurn]:
        recent: OrderedDict[str, _Said] = OrderedDict()
        open_turns: OrderedDict[str, _Said] = OrderedDict()  # by speaker, who spoke last at the end
        previous: _Said | None = None

        def finish(said: _Said) -> LinkedTurn:
            named.add(channel, said)
            said.parent = None  # else no turn would ever be free
            return said.finished(channel)

        for message in messages:
            if message.signature and self._near_copies.seen_before(message.signature):
                self.left_out["near copy"] += 1
                continue
            target = recent.get(message.target) if message.target else None
            if (
                not target
                and message.target
                and message.is_explicit
                and (target := named.find(channel, message.target))
            ):
                recent[message.target] = target
            said = open_turns.pop(message.author, None)
            if said is None or not _goes_on(said, message, target, previous):
                if said:
                    yield finish(said)
                said = self._begin(message, target)
            said.add(message)
            open_turns[message.author] = recent[message.id] = previous = said
            if len(recent) > _MAX_RECENT_MESSAGES:
                _, forgotten = recent.popitem(last=False)
                if open_turns.get(forgotten.speaker) is forgotten:  # from now on it is found by name only
                    del open_turns[forgotten.speaker]
                    yield finish(forgotten)
            while len(open_turns) > 1:
                oldest = next(iter(open_turns.values()))
                if _silence(oldest, message) <= BURST_GAP and len(open_turns) <= _MAX_OPEN_TURNS:
                    break
                del open_turns[oldest.speaker]
                yield finish(oldest)
        yield from map(finish, open_turns.values())

    def _begin(self, message: LinkedMessage, target: _Said | None) -> _Said:
        if target is None or (not message.is_explicit and _is_over(target, message)):
            self.conversations += 1
            conversation = _Conversation(f"{message.channel}:{message.id}")
            said = _Said(message.author, conversation, None, (), message.timestamp, None)
        else:
            target.is_answered = True
            clocks = message.timestamp is not None and target.last is not None
            delay = _silence(target, message) if clocks else None
            said = _Said(message.author, target.conversation, target, target.path, message.timestamp, delay)
        said.conversation.turns += 1
        return said


def _is_over(target: _Said, message: LinkedMessage) -> bool:
    """Whether a turn is not to be answered any more without an explicit link."""
    return _silence(target, message) > SESSION_GAP or target.conversation.turns >= MAX_CONVERSATION_TURNS


def _goes_on(said: _Said, message: LinkedMessage, target: _Said | None, previous: _Said | None) -> bool:
    """Whether a message goes on with its author's last turn rather than beginning another."""
    if _silence(said, message) > BURST_GAP or len(said.text) + len(message.text) > MAX_TURN_CHARACTERS:
        return False
    if target is said:
        return message.is_explicit or said is previous or not said.is_answered
    return said is previous and (target is said.parent if target else not message.is_explicit)


def _silence(said: _Said, message: LinkedMessage) -> float:
    """Seconds between the end of a turn and a message; nothing where there is no clock."""
    return 0.0 if said.last is None or message.timestamp is None else message.timestamp - said.last


class _NamedTurns:
    """Turns that some reply names, on disk, since it may come years later."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "named_turns.sqlite"
        self._path.unlink(missing_ok=True)
        self._database = sqlite3.connect(self._path, isolation_level=None)
        self._database.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -8192;"
            "CREATE TABLE turns (channel TEXT, id TEXT, turn BLOB, PRIMARY KEY (channel, id)) WITHOUT ROWID; BEGIN;"
        )

    def add(self, channel: str, said: _Said) -> None:
        """Keep a finished turn, if it is named at all."""
        if said.targets:
            turn = _ENCODER.encode((said.conversation.name, said.conversation.turns, said.last, said.path))
            rows = [(channel, id_, turn) for id_ in said.targets]
            self._database.executemany("INSERT OR REPLACE INTO turns VALUES (?, ?, ?)", rows)

    def find(self, channel: str, id_: str) -> _Said | None:
        """The turn that a message belongs to."""
        query = "SELECT turn FROM turns WHERE channel = ? AND id = ?"
        row = self._database.execute(query, (channel, id_)).fetchone()
        if row is None:
            return None
        name, turns, last, path = _DECODER.decode(row[0])
        *context, turn = path
        conversation = _Conversation(name)
        conversation.turns = turns
        return _Said(turn.speaker, conversation, None, tuple(context), None, None, last, turn.text, 1)

    def close(self) -> None:
        """Delete the file: it holds people's words."""
        self._database.close()
        self._path.unlink(missing_ok=True)
