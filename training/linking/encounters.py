"""A channel as arrays: utterances in; who speaks, to whom, in what words, and who met whom before, out."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt

WINDOW = 64
"""How many messages back an answer may reach."""
NEVER = 1 << 30

_WORD = re.compile(r"\w+|[?!]")
_MAX_WORDS, _MAX_CHARACTERS = 32, 400  # of a message that are looked at

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]


class Utterance(NamedTuple):
    """A message as every format has it.

    Attributes:
        author: an opaque id; only equality matters.
        timestamp: seconds; None if unknown.
        text: clean text, with the names of those it is addressed to taken out.
        mentions: ids of those spoken to.
    """

    author: str
    timestamp: float | None
    text: str
    mentions: tuple[str, ...]


class Channel(NamedTuple):
    """Utterances as arrays; authors are numbers."""

    author: Ints  # [n]
    mention: Ints  # [2, n] the first two spoken to, -1 for none
    time: npt.NDArray[np.float64]  # [n], NaN if unknown
    several_lines: npt.NDArray[np.bool_]  # [n]
    words: Ints  # hashed, one message after the other; the last of each is its first once more, marked as such
    starts: Ints  # [n + 1] where the words of a message begin


class _Hashes(dict[str, int]):
    """Hashes of words, remembered."""

    def __missing__(self, word: str) -> int:
        if len(self) > 1 << 16:
            self.clear()
        self[word] = hashed = crc32(word.encode("utf-8", "replace")) & 0xFFFF
        return hashed


HASHES = _Hashes()


def read(utterances: Sequence[Utterance]) -> Channel:
    """Turn utterances into arrays."""
    numbers: dict[str, int] = {}
    words: list[int] = []
    starts, authors, first, second, lines, times = [0], [], [], [], [], []
    number, hashed, find = numbers.setdefault, HASHES.__getitem__, _WORD.findall
    for author, time, text, mentions in utterances:
        authors.append(number(author, len(numbers)))
        first.append(number(mentions[0], len(numbers)) if mentions else -1)
        second.append(number(mentions[1], len(numbers)) if len(mentions) > 1 else -1)
        if found := find(text[:_MAX_CHARACTERS].lower())[: _MAX_WORDS - 1]:
            words.extend(map(hashed, found))
            words.append(hashed("^" + found[0]))
        starts.append(len(words))
        lines.append("\n" in text)
        times.append(time)
    return Channel(
        author=np.array(authors, np.int64),
        mention=np.array([first, second], np.int64),
        time=np.array(times, np.float64),
        several_lines=np.array(lines, np.bool_),
        words=np.array(words, np.int64),
        starts=np.array(starts, np.int64),
    )


class _Events:
    """Where in a channel things happen to whom, to be asked for the nearest one before or after."""

    def __init__(self, who: Ints, where: Ints, n: int) -> None:
        self._n = n
        self._keys = np.append(np.sort((who * n + where)[who >= 0]), NEVER * n)

    def last(self, who: Ints, before: Ints) -> Ints:
        """The last position before the given one, no further than WINDOW; -1 if there is none."""
        key = who * self._n + before
        back = key - self._keys[np.searchsorted(self._keys, key) - 1]
        return np.where((who >= 0) & (back > 0) & (back <= np.minimum(before, WINDOW)), before - back, -1)

    def next(self, who: Ints, after: Ints) -> Ints:
        """The first position after the given one; NEVER or later if there is none."""
        key = who * self._n + after
        where = self._keys[np.searchsorted(self._keys, key, side="right")] - key + after
        return np.where(where < self._n, where, NEVER)


class Encounters(NamedTuple):
    """Who met whom, as positions [n], -1 for none, or as authors, -1 for none."""

    before: Ints  # the author's message before
    before2: Ints  # and the one before that
    after: Ints  # the author's next message
    after2: Ints
    addressed: Ints  # the last message that spoke to the author
    addressed2: Ints
    answered: Ints  # the next one that does
    met: Ints  # the last message of the one who is spoken to
    partner: Ints  # author: whom the author speaks to, or spoke to last
    earlier_partner: Ints  # author: the same before this message
    suitor: Ints  # author: who spoke to the author last


def encounters(channel: Channel) -> tuple[Encounters, Ints]:
    """What happened around each message, and its candidates besides the nearest [n, k - NEAREST]."""
    author, (first, second) = channel.author, channel.mention
    n = len(author)
    here = np.arange(n)
    spoken = _Events(author, here, n)
    to = _Events(channel.mention.ravel(), np.concatenate([here, here]), n)
    before, after = spoken.last(author, here), spoken.next(author, here)
    addressed = to.last(author, here)
    speaking = _Events(np.where(first >= 0, author, -1), here, n)
    partner = np.where(first >= 0, first, at_positions(first, speaking.last(author, here)))
    met = spoken.last(first, here)
    found = Encounters(
        before=before,
        before2=at_positions(before, before),
        after=after,
        after2=at_positions(after, np.where(after < n, after, -1), NEVER),
        addressed=addressed,
        addressed2=to.last(author, addressed),
        answered=to.next(author, here),
        met=met,
        partner=partner,
        earlier_partner=at_positions(partner, before),
        suitor=at_positions(author, addressed),
    )
    met2 = at_positions(before, met)
    others = [met, met2, at_positions(before, met2), spoken.last(second, here), addressed, found.addressed2]
    others += [spoken.last(found.earlier_partner, here)]
    return found, np.stack([before, found.before2, *others], axis=1)


def at_positions(values: Array, positions: Ints, default: float = -1) -> Array:
    """The values at positions, the default at position -1."""
    found: Array = values[positions]
    found[positions < 0] = default
    return found
