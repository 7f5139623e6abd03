"""The learned linker: utterances of a channel in, which earlier one each of them answers out. NumPy only.

After Kummerfeld et al., "A Large-Scale Corpus for Conversation Disentanglement" (ACL 2019): each message is scored
against earlier ones and against starting something new, and the best wins. Words are hashed, with learned embeddings.

All numbers that enter a matrix product are whole multiples of a power of two and small, so that every sum is exact: the
result does not depend on how a channel is cut into pieces, nor on the machine.

Letters of the shapes: n messages, k candidates of a message, f features, h hidden units, d dimensions.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt

from training.exports import ExportError

LINKER = Path(__file__).with_name("linker.npz")
NEW = -1
WINDOW = 64
"""How many messages back an answer may reach at most."""
CONTEXT = 2 * WINDOW
"""How many messages before a message its link depends on: whom a candidate spoke to before counts as well."""
NEAREST = 20
"""This many messages before a message are candidates whatever they are."""
CANDIDATES = NEAREST + 10

BUCKETS = 4096
"""Of hashed words."""
MAX_WORDS = 32
"""The words of a message that are looked at."""
_WORD = re.compile(r"\w+|[?!]")
_MAX_CHARACTERS = 400
_USES = 6  # of a word within the window that are looked at
_PACE = 16  # messages over which the pace of the channel is taken
_NEVER = 1 << 30
OWN = 1 << 17
_PIECE = 4096  # messages scored at a time, so that memory is bounded

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]
Array = npt.NDArray[Any]


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
    text: Floats  # [3, n] the number of words, whether there is a question mark, whether there are several lines
    words: Ints  # hashed, one message after the other
    starts: Ints  # [n + 1] where the words of a message begin


class Features(NamedTuple):
    """What the network sees of n messages."""

    candidates: Ints  # [n, k] positions, -1 for none
    asker: Floats  # [f, n] of each message in the role of a candidate
    answer: Floats  # [f, n] of each message as the one that answers
    pair: Floats  # [f, n, k]


class _Hashes(dict[str, int]):
    """Hashes of words, remembered."""

    def __missing__(self, word: str) -> int:
        if len(self) > 1 << 16:
            self.clear()
        self[word] = hashed = crc32(word.encode("utf-8", "replace")) & 0xFFFF
        return hashed


_HASHES = _Hashes()


def read(utterances: Sequence[Utterance]) -> Channel:
    """Turn utterances into arrays."""
    numbers: dict[str, int] = {}
    words: list[int] = []
    starts, authors, first, second, lines, times = [0], [], [], [], [], []
    number, hashed, find = numbers.setdefault, _HASHES.__getitem__, _WORD.findall
    for author, time, text, mentions in utterances:
        authors.append(number(author, len(numbers)))
        first.append(number(mentions[0], len(numbers)) if mentions else -1)
        second.append(number(mentions[1], len(numbers)) if len(mentions) > 1 else -1)
        words += map(hashed, find(text[:_MAX_CHARACTERS].lower())[:MAX_WORDS])
        starts.append(len(words))
        lines.append("\n" in text)
        times.append(time)
    begin = np.array(starts, np.int32)
    marks = np.append(0, np.cumsum(np.array(words, np.int32) == _HASHES["?"]))
    return Channel(
        author=np.array(authors, np.int32),
        mention=np.array([first, second], np.int32),
        time=np.array(times, np.float64),
        text=np.array([np.diff(begin), marks[begin[1:]] > marks[begin[:-1]], lines], np.float32),
        words=np.array(words, np.int32),
        starts=begin,
    )


class _Events:
    """Where in a channel things happen to whom, to be asked for the nearest one before or after."""

    def __init__(self, who: Ints, where: Ints, n: int) -> None:
        self._n = n
        self._keys = np.append(np.sort(who * n + where), [_NEVER]).astype(np.int32)

    def last(self, who: Ints, before: Ints) -> Ints:
        """The last position before the given one, no further than WINDOW; -1 if there is none."""
        key = who * self._n + before
        found = self._keys[np.searchsorted(self._keys, key) - 1]
        return np.where(
            (who >= 0) & (before > 0) & (found < key) & (key - found <= np.minimum(before, WINDOW)),
            found - key + before,
            -1,
        )

    def next(self, who: Ints, after: Ints) -> Ints:
        """The first position after the given one; _NEVER if there is none."""
        key = who * self._n + after
        found = self._keys[np.searchsorted(self._keys, key, side="right")] - key + after
        return np.where(found < self._n, found, _NEVER)


def _of(values: Array, positions: Ints, default: float = -1) -> Array:
    """The values at positions, the default where the position is none."""
    return np.where(
        (positions >= 0) & (positions < len(values)), values[np.clip(positions, 0, len(values) - 1)], default
    ).astype(values.dtype)


def _overlap(channel: Channel, rarity: Floats) -> Floats:
    """[2, n, WINDOW]: the rarity of the words that a message shares with each one before: of all, of those rare around."""
    n = len(channel.author)
    message = np.repeat(np.arange(n), np.diff(channel.starts))
    key = np.unique(channel.words.astype(np.int64) * n + message)  # a word once a message, by word, then by message
    word, message = key // n, key % n
    weight = rarity[word % BUCKETS]
    uses = np.zeros(len(key), np.int32)
    for use in range(1, _USES + 1):
        uses[use:] += (word[use:] == word[:-use]) & (message[use:] - message[:-use] <= WINDOW)
    out = np.zeros((2, n * WINDOW), np.float32)
    for use in range(1, _USES + 1):
        later = np.flatnonzero(uses >= use)
        cell = message[later] * WINDOW + message[later] - message[later - use] - 1
        out[0] += np.bincount(cell, weight[later], n * WINDOW)
        out[1] += np.bincount(cell, weight[later] * (uses[later] <= 2), n * WINDOW)
    return out.reshape(2, n, WINDOW)


def _log2(x: Array) -> Array:
    """log2(1 + x), linear between the powers of two and so the same on every machine."""
    mantissa, exponent = np.frexp(1 + x)
    return exponent + 2 * mantissa - 2


def _seconds(x: Array) -> Array:
    return np.nan_to_num(np.maximum(x, 0), nan=0.0, posinf=0.0)


def features(channel: Channel, rarity: Floats) -> Features:
    author, (first, second), time = channel.author, channel.mention, channel.time
    n = len(author)
    here = np.arange(n, dtype=np.int32)
    spoken = _Events(author, here, n)
    told = channel.mention.reshape(-1) >= 0
    to = _Events(channel.mention.reshape(-1)[told], np.concatenate([here, here])[told], n)
    spoke_to = _Events(author[first >= 0], here[first >= 0], n)

    before, after = spoken.last(author, here), spoken.next(author, here)
    before2 = _of(before, before)
    before2[before2 < here - WINDOW] = -1
    after2 = _of(after, after, _NEVER)
    addressed = to.last(author, here)
    addressed2 = to.last(author, addressed)
    addressed2[addressed2 < here - WINDOW] = -1
    answered = to.next(author, here)
    partner = np.where(first >= 0, first, _of(first, spoke_to.last(author, here)))
    suitor = _of(author, addressed)
    met = spoken.last(first, here)
    met2 = _of(before, met)
    met3 = _of(before, met2)
    other = spoken.last(second, here)
    prior = _of(partner, before)
    met_partner = spoken.last(prior, here)

    ov = _overlap(channel, rarity)
    best = ov[1].argmax(1).astype(np.int32)
    alike = np.where(ov[1][here, best] > 0, here - 1 - best, -1)
    J = np.full((n, CANDIDATES), -1, np.int32)
    J[:, :NEAREST] = here[:, None] - 1 - np.arange(NEAREST)
    for c, extra in enumerate(
        [before, before2, met, met2, met3, other, addressed, addressed2, met_partner, alike], NEAREST
    ):
        fresh = (
            (extra >= 0)
            & (extra < here - NEAREST)
            & (extra >= here - WINDOW)
            & (J[:, NEAREST:c] != extra[:, None]).all(1)
        )
        J[:, c] = np.where(fresh, extra, -1)
    J = np.maximum(J, -1)
    valid = J >= 0
    I = here[:, None]
    cell = np.where(valid, I - 1 - J, 0)
    last_row = (
        np.lib.stride_tricks.sliding_window_view(np.concatenate([np.full(WINDOW, -1, np.int32), after[:-1]]), WINDOW)[
            :, ::-1
        ]
        >= I
    )
    speakers = np.cumsum(last_row, 1, dtype=np.uint8)
    rank = (np.take_along_axis(speakers, cell, 1)).astype(np.int32)
    ja = _of(author, J, -2)
    a = author[:, None]
    f = first[:, None]
    s = second[:, None]
    jafter = _of(after, J, 0)
    last_of = jafter >= I
    second_of = ~last_of & (_of(after2, J, 0) >= I)
    same = ja == a
    rank = rank - last_of
    jf, js, jp = _of(first, J, -2), _of(second, J, -2), _of(partner, J, -2)
    to_me = (jf == a) | (js == a)
    i_to = (f == ja) | (s == ja)
    dt = _seconds(time[:, None] - _of(time, J, np.nan))
    pace = _seconds(time - time[np.maximum(here - _PACE, 0)])
    gap = _seconds(np.diff(time, prepend=time[:1]))
    ans = _of(answered, J, 0) < I
    burst_end = jafter != J + 1
    burst_end |= J + 1 == I
    cells = (here[:, None], cell)
    ov0, ov1 = ov[0][cells], ov[1][cells]
    sums = np.append(0, np.cumsum(rarity[channel.words % BUCKETS].astype(np.float64)))
    total = (sums[channel.starts[1:]] - sums[channel.starts[:-1]]).astype(np.float32)
    norm = np.sqrt(1 + total)
    dist = I - J
    pair = [
        _log2(dist - 1) / 6,
        dist == 1,
        dist == 2,
        dist == 3,
        1 / np.maximum(dist, 1),
        _log2(dt / 30) / 8,
        (_log2(dt + 4) - _log2(pace[:, None] / _PACE + 4)) / 4,
        dt > 1200,
        same,
        last_of,
        second_of,
        _log2(rank) / 4,
        rank == 0,
        rank == 1,
        last_of & (rank - (a == author[np.maximum(here - 1, 0)][:, None]) == 0) & ~same,
        i_to,
        f == ja,
        i_to & last_of,
        to_me,
        (jf >= 0) & ~to_me,
        (jf == f) & (f >= 0),
        (jf < 0) & (f < 0),
        prior[:, None] == ja,
        suitor[:, None] == ja,
        addressed[:, None] == J,
        before[:, None] == J,
        before[:, None] < J,
        jp == a,
        (jp == prior[:, None]) & (jp >= 0),
        (jp == f) & (f >= 0),
        ans,
        ans & to_me,
        burst_end,
        same & burst_end,
        ov0 / 8,
        ov1 / 8,
        np.minimum(ov0 / (norm[:, None] * _of(norm, J, 1)), 2),
        ov0 > 0,
        ov1 > 0,
        (jp < 0) & ~same,
        i_to & (jp == a),
        (addressed[:, None] == J) & (addressed > before)[:, None],
        before2[:, None] == J,
    ]
    pair = np.stack([np.asarray(p, np.float32) for p in pair])
    pair *= valid
    lw, q, ml = channel.text
    own_gap = np.where(before >= 0, here - before, WINDOW)
    common = [
        _log2(lw) / 5,
        q,
        ml,
        lw <= 2,
        first >= 0,
        second >= 0,
        before < 0,
        _log2(own_gap) / 6,
        before == here - 1,
        addressed < 0,
        prior >= 0,
        _log2(gap / 30) / 8,
        total / 32,
    ]
    message = [
        *common,
        _log2(_seconds(time - _of(time, before, np.nan)) / 30) / 8,
        addressed > before,
        (first >= 0) & (met < 0),
        prior == first,
        _log2(speakers[:, 15]) / 4,
        _log2(pace / 30) / 8,
        (_log2(gap + 4) - _log2(pace / _PACE + 4)) / 4,
        ov[0].max(1) / 8,
        ov[1].max(1) / 8,
        before2 >= 0,
    ]
    return Features(
        J,
        np.stack([np.asarray(x, np.float32) for x in common]),
        np.stack([np.asarray(x, np.float32) for x in message]),
        pair,
    )


class Linker:
    """The network over the features."""

    def __init__(self, weights: dict[str, Array]) -> None:
        self._w = {name: value.astype(np.float32) for name, value in weights.items()}
        self._embedding = weights["embedding"].astype(np.int32)
        self._rarity = weights["rarity"].astype(np.float32) / 16

    @classmethod
    def load(cls, path: Path = LINKER) -> "Linker":
        """Read the weights. Raises ExportError if there are none."""
        try:
            with np.load(path, allow_pickle=False) as weights:
                return cls({name: weights[name] for name in weights.files})
        except (OSError, ValueError, KeyError) as error:
            raise ExportError(f"{path} does not hold the weights of a linker: install Chinwag again.") from error

    def link(self, utterances: Sequence[Utterance], first: int = 0) -> npt.NDArray[np.int64]:
        """Find which message each utterance from `first` on answers.

        It depends only on the CONTEXT messages before each, so that a channel can be linked in pieces.

        Returns:
            [len(utterances) - first] indices into utterances, or NEW.
        """
        return self._choose(utterances, first, new=True)

    def target(self, utterances: Sequence[Utterance], first: int = 0) -> npt.NDArray[np.int64]:
        """The same for utterances that are known to answer another speaker; NEW only where there is no candidate."""
        return self._choose(utterances, first, new=False)

    def _choose(self, utterances: Sequence[Utterance], first: int, new: bool) -> npt.NDArray[np.int64]:
        pieces = [
            self._choose_piece(utterances[max(0, start - CONTEXT) : start + _PIECE], min(start, CONTEXT), new)
            + max(0, start - CONTEXT)
            for start in range(first, len(utterances), _PIECE)
        ]
        links = np.concatenate([np.empty(0, np.int64), *pieces])
        return np.where(links < 0, NEW, links)

    def _choose_piece(self, utterances: Sequence[Utterance], first: int, new: bool) -> npt.NDArray[np.int64]:
        channel = read(utterances)
        candidates, scores = self.scores(channel, first)
        if not new:
            own = _of(channel.author, candidates) == channel.author[first:, None]
            scores[:, :-1] -= OWN * own
            scores[:, -1] = -(1 << 24)
        best = scores.argmax(1)
        none = scores[np.arange(len(best)), best] <= -(1 << 23)
        positions = np.column_stack([candidates, np.full(len(best), -(1 << 40))])[np.arange(len(best)), best]
        return np.where(none, -(1 << 40), positions).astype(np.int64)

    def scores(self, channel: Channel, first: int = 0) -> tuple[Ints, Floats]:
        """The candidates [n, k], and the scores [n, k + 1] of these and of starting something new, from `first` on."""
        w = self._w
        seen = features(channel, self._rarity)
        text = self._text(channel)
        key, query = _fix(text @ w["key"] / 256), _fix(text @ w["query"] / 256)
        asker = np.column_stack([_fix(32 * seen.asker.T), text]) @ w["asker"]
        answer = np.column_stack([_fix(32 * seen.answer.T), text])[first:]
        h, at = answer @ w["answer"] + w["bias"], seen.candidates[first:]
        new = np.maximum(answer @ w["new"] + w["new_bias"], 0)
        new = np.minimum(np.rint(new / 256), 255) @ w["new_out"] + w["new_out_bias"]
        pair = _fix(32 * seen.pair[:, first:])
        scores = np.empty((len(at), CANDIDATES + 1), np.float32)
        for b in range(0, len(at), 128):
            j = at[b : b + 128]
            dot = np.einsum("nd,nkd->nk", query[first + b : first + b + 128], key[j])
            x = np.concatenate([pair[:, b : b + 128].reshape(len(pair), -1), _fix(dot / 32).reshape(1, -1)])
            hidden = (x.T @ w["pair"]).reshape(*j.shape, -1)
            hidden += asker[j]
            hidden += h[b : b + 128, None]
            np.maximum(hidden, 0, out=hidden)
            hidden /= 256
            np.minimum(np.rint(hidden, out=hidden), 255, out=hidden)
            scores[b : b + 128, :-1] = np.where(j >= 0, hidden @ w["out"], -(1 << 23))
        scores[:, -1] = new
        return at, scores

    def _text(self, channel: Channel) -> Floats:
        """[n, d]: the summed embeddings of the words of each message, less the longer it is."""
        padded = np.vstack(
            [self._embedding[channel.words % BUCKETS], np.zeros((1, self._embedding.shape[1]), np.int32)]
        )
        sums = (
            np.add.reduceat(padded, channel.starts[:-1]) * (channel.text[0] > 0)[:, None]
            if len(channel.author)
            else padded[:0]
        )
        return _fix(sums / np.sqrt(1 + channel.text[0])[:, None] / 2)


def _fix(x: Array) -> Floats:
    """Whole numbers small enough for exact sums."""
    return np.clip(np.rint(x), -127, 127).astype(np.float32)
