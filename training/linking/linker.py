"""The learned linker: utterances of a channel in, which earlier one each of them answers out. NumPy only.

After Kummerfeld et al., "A Large-Scale Corpus for Conversation Disentanglement" (ACL 2019): each message is scored
against earlier ones and against starting something new, and the best wins. Words have learned embeddings, hashed.

Features, weights and hidden units are small whole numbers, so that every sum of float32 is exact: the result does not
depend on how a channel is cut into pieces, nor on the machine.

Letters of the shapes: n messages, k candidates of a message, f features, h hidden units, d dimensions.
"""

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.exports import ExportError
from training.linking.encounters import WINDOW, Array, Channel, Ints, Utterance, read
from training.linking.features import BUCKETS, CANDIDATES, CONTEXT, LIMIT, UNIT, Evidence, Floats

__all__ = ["CONTEXT", "LINKER", "NEW", "WEIGHTS", "WINDOW", "Linker", "Utterance"]

LINKER = Path(__file__).with_name("linker.npz")
NEW = -1
WEIGHT_UNIT = 256
"""A weight of 1 in the file."""
WEIGHTS: dict[str, npt.DTypeLike] = {
    "rarity": np.uint8,  # [BUCKETS]
    "embedding": np.int8,  # [BUCKETS, d]
    "query": np.int16,  # [d, d]
    "key": np.int16,  # [d, d]
    "asker": np.int16,  # [f + d, h]
    "answer": np.int16,  # [f + d, h]
    "pair": np.int16,  # [f + 1, h]
    "bias": np.int32,  # [h]
    "out": np.int16,  # [h]
    "new": np.int16,  # [f + d, h]
    "new_bias": np.int32,  # [h]
    "new_out": np.int16,  # [h]
    "new_out_bias": np.int32,  # []
}
HIDDEN_LIMIT = 255
OWN_WORDS = 8.0
"""How much less likely people name a message of their own as what they reply to, as a difference of logits."""


_NEVER = -(1 << 20)
_PIECE = 4096  # messages linked at a time
_BLOCK = 128  # messages scored at a time, so that what is computed stays in the cache


class Linker:
    """The network that scores candidates."""

    def __init__(self, weights: Mapping[str, Array]) -> None:
        """Take the arrays named in WEIGHTS. Raises KeyError if one is missing."""
        arrays = {name: np.asarray(weights[name]) for name in WEIGHTS}
        self._rarity = arrays.pop("rarity").astype(np.int64)
        self._embedding = arrays.pop("embedding").astype(np.int32)
        unit = np.float32(WEIGHT_UNIT)
        self._weights: dict[str, Floats] = {name: array.astype(np.float32) / unit for name, array in arrays.items()}

    @classmethod
    def load(cls, path: Path = LINKER) -> "Linker":
        """Read the weights. Raises ExportError if the file holds none."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as weights:
                return cls(weights)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ExportError(f"{path} does not hold the weights of a linker: install Chinwag again.") from error

    def link(self, utterances: Sequence[Utterance], first: int = 0) -> Ints:
        """Find which message each utterance from `first` on answers.

        That depends only on the CONTEXT messages before it: a channel can be linked in pieces, with the same result.

        Returns:
            [len(utterances) - first] indices into utterances, or NEW.
        """
        pieces = [
            np.where(scores[:, :-1].max(axis=1) >= scores[:, -1], _best(at, scores[:, :-1]), NEW)
            for _, at, scores in self._pieces(utterances, first)
        ]
        return np.concatenate([np.empty(0, np.int64), *pieces])

    def target(self, utterances: Sequence[Utterance], first: int = 0) -> Ints:
        """The same for utterances that are known to be replies; NEW only where nothing was said before."""
        own = np.float32(OWN_WORDS * UNIT)
        pieces = [
            _best(at, np.where(mine, scores[:, :-1] - own, scores[:, :-1]))
            for mine, at, scores in self._pieces(utterances, first)
        ]
        return np.concatenate([np.empty(0, np.int64), *pieces])

    def scores(self, channel: Channel, first: int = 0) -> tuple[Ints, Floats]:
        """Score the candidates of each message from `first` on.

        Returns:
            [n, k] their positions in the channel, -1 for none, and [n, k + 1] their logits and that of NEW, in units of
            1 / UNIT.
        """
        evidence = Evidence(channel, self._rarity)
        text = self._text(channel)
        weights = self._weights
        query, key = _fix(text @ weights["query"]), _fix(text @ weights["key"])
        asker = np.column_stack([evidence.asker, text]) @ weights["asker"]
        situation = np.column_stack([evidence.answer, text])
        answer = situation @ weights["answer"] + weights["bias"]
        scores = np.empty((len(text) - first, CANDIDATES + 1), np.float32)
        for begin in range(first, len(text), _BLOCK):
            rows = slice(begin, begin + _BLOCK)
            at = evidence.candidates[rows]
            alike = np.matmul(key[at], query[rows, :, None])[..., 0] / UNIT
            pair = np.concatenate([evidence.pair(rows), _fix(alike)[None]]).reshape(len(weights["pair"]), -1)
            hidden = (pair.T @ weights["pair"]).reshape(*at.shape, -1)
            hidden += asker[at]
            hidden += answer[rows, None]
            scores[begin - first : begin - first + _BLOCK, :-1] = np.where(
                at >= 0, _rectify(hidden) @ weights["out"], _NEVER
            )
        new = _rectify(situation[first:] @ weights["new"] + weights["new_bias"])
        scores[:, -1] = new @ weights["new_out"] + weights["new_out_bias"]
        return evidence.candidates[first:], scores

    def _pieces(
        self, utterances: Sequence[Utterance], first: int
    ) -> Iterator[tuple[npt.NDArray[np.bool_], Ints, Floats]]:
        """Yield for some messages after the other whether candidates are their own, their positions and all scores."""
        for start in range(first, len(utterances), _PIECE):
            begin = max(0, start - CONTEXT)
            channel = read(utterances[begin : start + _PIECE])
            at, scores = self.scores(channel, start - begin)
            own = channel.author[at] == channel.author[start - begin :, None]
            yield own, np.where(at < 0, NEW, at + begin), scores

    def _text(self, channel: Channel) -> Floats:
        """[n, d]: the sum of the embeddings of the words of each message, less the longer it is."""
        counts = np.diff(channel.starts)
        sums = np.zeros((len(counts), self._embedding.shape[1]), np.int32)
        sums[counts > 0] = np.add.reduceat(self._embedding[channel.words % BUCKETS], channel.starts[:-1][counts > 0])
        return _fix(sums / (2 * np.sqrt(1 + counts))[:, None])


def _best(at: Ints, scores: Floats) -> Ints:
    best: Ints = at[np.arange(len(at)), scores.argmax(axis=1)]
    return best


def _rectify(hidden: Floats) -> Floats:
    """Turn sums of products into hidden units, in place."""
    return np.clip(np.rint(hidden, out=hidden), 0, HIDDEN_LIMIT, out=hidden)


def _fix(x: Array) -> Floats:
    """Whole numbers, small enough for exact sums."""
    return np.clip(np.rint(x), -LIMIT, LIMIT).astype(np.float32)
