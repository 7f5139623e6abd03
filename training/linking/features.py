"""What the linker goes by: a channel in; for each message its candidates, and what speaks for each of them, out.

All features are whole multiples of 1 / UNIT and depend on the CONTEXT messages before a message only.

Letters of the shapes: n messages, k candidates of a message, f features.
"""

import numpy as np
import numpy.typing as npt

from training.linking.encounters import HASHES, WINDOW, Array, Channel, Ints, at_positions, encounters

CONTEXT = 2 * WINDOW
"""How many messages before a message its features depend on: whom a candidate spoke to before counts as well."""
NEAREST = 12
"""This many messages before a message are candidates whoever wrote them."""
CANDIDATES = NEAREST + 10
UNIT = 32
LIMIT = 127
"""The largest value of a feature, in units."""
RARITY_UNIT = 16
BUCKETS = 4096
"""Of hashed words."""

_USES = 6  # of a word within the window that are looked at
_PACE = 16  # messages over which the pace of the channel is taken
_LONG_AGO = 1200.0  # seconds after which hardly anybody answers without saying whom

Floats = npt.NDArray[np.float32]


def _overlap(channel: Channel, rarity: Array) -> Array:
    """[2, n, WINDOW]: the rarity of the words shared with each message before: all, and those rare around."""
    n = len(channel.author)
    key = channel.words * n + np.repeat(np.arange(n), np.diff(channel.starts))
    key.sort()
    key = key[np.diff(key, prepend=-1) > 0]  # a word once a message, by word, then by message
    word, message = np.divmod(key, n)
    uses = np.zeros(len(key), np.int64)
    for use in range(1, _USES + 1):
        uses[use:] += key[use:] - key[:-use] <= np.minimum(WINDOW, message[use:])
    cells, shared = [], []
    for use in range(1, _USES + 1):
        later = np.flatnonzero(uses >= use)
        cells.append(message[later] * WINDOW + (key[later] - key[later - use]) - 1)
        shared.append(later)
    cell, which = np.concatenate(cells), np.concatenate(shared)
    weight = rarity[word[which] % BUCKETS]
    rare = weight * (uses[which] <= 2)
    sums = [np.bincount(cell, summed, n * WINDOW).reshape(n, WINDOW) for summed in (weight, rare)]
    return np.array(sums, np.float32) / RARITY_UNIT


class Evidence:
    """What speaks for and against each candidate of n messages, in units of 1 / UNIT.

    Attributes:
        candidates: [n, k] positions, -1 for none.
        asker: [n, f] what there is to say of each message as one that is answered.
        answer: [n, f] the same as one that answers.
    """

    def __init__(self, channel: Channel, rarity: Array) -> None:
        """Look at a channel. The first CONTEXT messages lack what was before them.

        Args:
            channel: n messages.
            rarity: [BUCKETS] how rare words are, whole numbers.
        """
        self._channel = channel
        self._here = here = np.arange(len(channel.author))
        self._met, chosen = encounters(channel)
        self._overlap = _overlap(channel, rarity)
        alike = self._overlap[1].argmax(axis=1)
        alike = np.where(self._overlap[1][here, alike] > 0, here - 1 - alike, -1)
        self.candidates = _candidates(here, np.column_stack([chosen, alike]))
        sums = np.append(0, np.cumsum(rarity[channel.words % BUCKETS], dtype=np.int64))
        self._rare = np.diff(sums[channel.starts]) / RARITY_UNIT
        self._speakers = _speakers(self._met.after, here)
        self._gap = _elapsed(np.diff(channel.time, prepend=channel.time[:1]))
        self._pace = _elapsed(channel.time - channel.time[np.maximum(here - _PACE, 0)])
        said = self._said()
        self.asker, self.answer = _fixed(said).T, _fixed(said + self._situation()).T

    def pair(self, rows: slice) -> Floats:
        """[f, rows, k] what there is to say of these messages together with their candidates."""
        at = self.candidates[rows]
        here = self._here[rows, None]
        back = np.where(at >= 0, here - 1 - at, 0)
        return _fixed(self._when(rows, at, back) + self._who(rows, at, here) + self._what(rows, at, here, back))

    def _said(self) -> list[Array]:
        met, here, (first, second) = self._met, self._here, self._channel.mention
        counts = np.diff(self._channel.starts)
        asks = np.append(0, np.cumsum(self._channel.words == HASHES["?"]))[self._channel.starts]
        since = np.where(met.before >= 0, here - met.before, WINDOW)
        return [
            _log2(counts) / 5,
            np.diff(asks) > 0,
            self._channel.several_lines,
            counts <= 3,
            first >= 0,
            second >= 0,
            met.before < 0,
            _log2(since) / 6,
            met.before == here - 1,
            met.addressed < 0,
            met.earlier_partner >= 0,
            _log2(self._gap / 30) / 8,
            self._rare / 32,
        ]

    def _situation(self) -> list[Array]:
        met, first, time = self._met, self._channel.mention[0], self._channel.time
        return [
            _log2(_elapsed(time - at_positions(time, met.before, np.nan)) / 30) / 8,
            met.addressed > met.before,
            (first >= 0) & (met.met < 0),
            met.earlier_partner == first,
            _log2(self._speakers[:, _PACE - 1]) / 4,
            _log2(self._pace / 30) / 8,
            (_log2(self._gap + 4) - _log2(self._pace / _PACE + 4)) / 4,
            self._overlap[0].max(axis=1, initial=0) / 8,
            self._overlap[1].max(axis=1, initial=0) / 8,
            met.before2 >= 0,
        ]

    def _when(self, rows: slice, at: Ints, back: Ints) -> list[Array]:
        time = self._channel.time
        elapsed = _elapsed(time[rows, None] - at_positions(time, at, np.nan))
        return [
            _LOG2[back] / 6,
            1 / (1 + back),
            back == 0,
            back == 1,
            back == 2,
            _log2(elapsed / 30) / 8,
            (_log2(elapsed + 4) - _log2(self._pace[rows, None] / _PACE + 4)) / 4,
            elapsed > _LONG_AGO,
        ]

    def _who(self, rows: slice, at: Ints, here: Ints) -> list[Array]:
        met, author = self._met, self._channel.author
        first, second = self._channel.mention
        me, to, too = author[rows, None], first[rows, None], second[rows, None]
        before, partner, addressed = met.before[rows, None], met.earlier_partner[rows, None], met.addressed[rows, None]
        they, their_to, their_too = (
            at_positions(author, at, -2),
            at_positions(first, at, -2),
            at_positions(second, at, -2),
        )
        their_after, their_partner = at_positions(met.after, at, 0), at_positions(met.partner, at, -2)
        mine, last = they == me, their_after >= here
        since = np.take_along_axis(self._speakers[rows], np.maximum(here - 1 - at, 0) % WINDOW, axis=1) - last.view(
            np.uint8
        )
        to_them, to_me = (to == they) | (too == they), (their_to == me) | (their_too == me)
        to_another = (their_to >= 0) & ~to_me
        answered = at_positions(met.answered, at, 0) < here
        ends = (their_after != at + 1) | (at + 1 == here)  # what they said in one go
        just_me = author[np.maximum(here - 1, 0)] == me
        return [
            _LOG2[since] / 4,
            since == 0,
            since == 1,
            mine,
            last,
            ~last & (at_positions(met.after2, at, 0) >= here),
            last & ~mine & (since == just_me),
            to_them,
            to == they,
            to_them & last,
            to_me,
            to_another,
            (their_to == to) & (to >= 0),
            (their_to < 0) & (to < 0),
            partner == they,
            met.suitor[rows, None] == they,
            addressed == at,
            (addressed == at) & (addressed > before),
            before == at,
            met.before2[rows, None] == at,
            at > before,
            their_partner == me,
            (their_partner == partner) & (partner >= 0),
            (their_partner == to) & (to >= 0),
            (their_partner < 0) & ~mine,
            to_them & (their_partner == me),
            answered,
            answered & to_me,
            ends,
            ends & mine,
        ]

    def _what(self, rows: slice, at: Ints, here: Ints, back: Ints) -> list[Array]:
        shared, shared_rare = (np.take_along_axis(overlap[rows], back, axis=1) for overlap in self._overlap)
        size = np.sqrt(1 + self._rare)
        earlier = here - 1 - at_positions(self._met.before, at)  # what they said before that
        near = earlier < np.minimum(here, WINDOW)
        context = np.take_along_axis(self._overlap[0][rows], np.where(near, earlier, 0), axis=1) * near
        return [
            shared / 8,
            shared_rare / 8,
            shared / (size[rows, None] * at_positions(size, at, 1)),
            shared > 0,
            shared_rare > 0,
            context / 8,
        ]


def _fixed(values: list[Array]) -> Floats:
    """[f, ...]: whole numbers of 1 / UNIT, small enough for exact sums."""
    out = np.empty((len(values), *values[0].shape), np.float32)
    for row, value in zip(out, values, strict=True):
        np.multiply(value, np.float32(UNIT), out=row, casting="unsafe")
        if value.dtype != np.bool_:
            np.clip(np.rint(row, out=row), -LIMIT, LIMIT, out=row)
    return out


def _candidates(here: Ints, chosen: Ints) -> Ints:
    """[n, k]: the nearest messages, and those chosen that are further away, each once."""
    candidates = np.empty((len(here), CANDIDATES), np.int64)
    candidates[:, :NEAREST] = here[:, None] - 1 - np.arange(NEAREST)
    for column, extra in enumerate(chosen.T, NEAREST):
        far = (extra >= 0) & (extra < here - NEAREST) & (extra >= here - WINDOW)
        new = far & (candidates[:, NEAREST:column] != extra[:, None]).all(axis=1)
        candidates[:, column] = np.where(new, extra, -1)
    return np.maximum(candidates, -1, out=candidates)


def _speakers(after: Ints, here: Ints) -> npt.NDArray[np.uint8]:
    """[n, WINDOW]: how many people spoke since each message before, its own author included."""
    padded = np.append(np.full(WINDOW, -1, np.int32), after[:-1].astype(np.int32))
    last = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[:, ::-1] >= here[:, None].astype(np.int32)
    return np.asarray(np.add.accumulate(last.view(np.uint8), axis=1))


def _log2(x: Array) -> Array:
    """log2(1 + x), linear between the powers of two and so the same on every machine."""
    mantissa, exponent = np.frexp(1 + x)
    return np.asarray(exponent + 2 * mantissa - 2)


_LOG2 = _log2(np.arange(256.0))


def _elapsed(seconds: Array) -> Array:
    """The clock stands still where the time is unknown or runs backwards."""
    return np.nan_to_num(np.maximum(seconds, 0), nan=0.0, posinf=0.0)
