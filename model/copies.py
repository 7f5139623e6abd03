"""Whether a reply repeats what one person said: a small index of hashes that training builds and the bot asks.

Indexed is what a single author said: each reply as a whole; runs of its words, chosen by winnowing (Schleimer et
al., 2003), so that every `RUN + WINDOW - 1` words in a row that a text shares with it are found, and shorter runs
mostly; every `RARE_RUN` words in a row none of which is short or common there; and every number of four to eight
digits. What several authors said is commonplace, and anybody's to say. The hashes lie in Bloom filters (Bloom, 1970),
which now and then take something new for known, but never something known for new.
"""

import hashlib
import io
import math
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

RUN, WINDOW = 6, 3
"""Words of a run, and of how many runs in a row one at least is indexed."""

RARE_RUN, RARE_LENGTH = 3, 4
"""Words of a run of rare ones, and letters of each: a log seen often is known by heart, down to a password's words."""

DIGITS = 4, 8
"""The least and the most of a number that may be somebody's own, such as a PIN; longer ones are said by nobody."""

_COMMON, _LEAST_COMMON = 0.7, 20
"""Share of all words that the common ones make up, the commonest few hundred, and texts that each is in at least."""

_FALSE_POSITIVES = 0.002
_HASHES = round(-math.log2(_FALSE_POSITIVES))
_LEAST_BYTES = 1024  # in a smaller filter the bits of a hash fall together
_MOST_FILTERS = 1024
_TEXTS_AT_ONCE = 4096
_REMEMBERED = 1 << 18  # texts that count once
_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")
_NUMBER = re.compile(r"\b\d(?:[ .,'\u2019-]?\d)*\b")
_DIGITS_IN_A_ROW = re.compile(r"\d(?:\W{0,3}\d)*")
_BASE = 0x9E3779B97F4A7C15

Hashes = npt.NDArray[np.uint64]
Bits = npt.NDArray[np.uint8]


class CopyIndex:
    """Bloom filters of what single authors said, one for each dataset that the model has learned from.

    Args:
        filters: the bits of each.
    """

    def __init__(self, filters: Sequence[Bits] = ()) -> None:
        self.filters = tuple(filters)

    @classmethod
    def build(cls, replies: Callable[[], Iterable[tuple[str, int]]]) -> "CopyIndex":
        """Index replies.

        Args:
            replies: gives texts, and a number for the author of each; it is asked twice.
        """
        common = _common_words(text for text, _ in replies())
        hashes: list[Hashes] = [np.zeros(0, np.uint64)]
        authors: list[npt.NDArray[np.int64]] = [np.zeros(0, np.int64)]
        chosen = [np.zeros(0, bool)]
        rest = iter(replies())
        while some := list(islice(rest, _TEXTS_AT_ONCE)):
            found, rows, kept = fingerprints([text for text, _ in some], common)
            numbers = [(number, author) for text, author in some for number in _numbers(text)]
            hashes += [found, _number_hashes([number for number, _ in numbers])]
            authors.append(np.array([author for _, author in some], np.int64)[rows])
            authors.append(np.array([author for _, author in numbers], np.int64))
            chosen += [kept, np.ones(len(numbers), bool)]
        said, by, kept = np.concatenate(hashes), np.concatenate(authors), np.concatenate(chosen)
        order = np.lexsort((by, said))
        said, by, kept = said[order], by[order], kept[order]
        starts = np.flatnonzero(np.concatenate([[True], said[1:] != said[:-1]])[: len(said)])
        if not len(starts):
            return cls([_filter(said)])
        ends = np.append(starts[1:], len(said)) - 1
        return cls([_filter(said[starts][(by[starts] == by[ends]) & np.logical_or.reduceat(kept, starts)])])

    @classmethod
    def load(cls, path: Path) -> "CopyIndex":
        """Read a file that `save` wrote.

        Raises:
            OSError, ValueError: it is none. No more memory is taken than it has bytes.
        """
        try:
            with zipfile.ZipFile(path) as archive:
                members = archive.infolist()
                if len(members) > _MOST_FILTERS or any(each.compress_type != zipfile.ZIP_STORED for each in members):
                    raise ValueError("the index of copies is packed in another way")
                return cls([_read_filter(archive.read(member)) for member in members])
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
            raise ValueError("the index of copies is damaged") from error

    def save(self, path: Path) -> None:
        """Write it as a file of NumPy's."""
        with path.open("wb") as file:
            np.savez(file, *self.filters)

    def __add__(self, other: "CopyIndex") -> "CopyIndex":
        return CopyIndex([*self.filters, *other.filters])

    def has(self, text: str, heard: str = "") -> bool:
        """Whether a single author said this, one of its lines, a long run of its words, or a number in it.

        Args:
            text: what is to be said.
            heard: the conversation, of which any number may be said again.
        """
        hashes, _, _ = fingerprints([*{text, *text.splitlines()}])
        if numbers := _hidden_numbers(text):
            known = "\n".join(_digits(heard))
            hashes = np.concatenate([hashes, _number_hashes([each for each in numbers if each not in known])])
        return any(bool(_holds(bits, hashes).any()) for bits in self.filters)


def fingerprints(
    texts: Sequence[str], common: frozenset[str] = frozenset()
) -> tuple[Hashes, npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Hashes of each text as a whole, whatever its case and punctuation, and of the runs of its words.

    Args:
        texts: any.
        common: words that no run of rare words has.

    Returns:
        The hashes, which text each is of, and whether it is one to index: winnowing leaves out some of the runs.
    """
    words = [_WORD.findall(text.casefold()) for text in texts]
    lengths = np.array([len(each) for each in words], np.int64)
    flat = np.fromiter((_word_hash(word) for each in words for word in each), np.uint64, int(lengths.sum()))
    rows = np.repeat(np.arange(len(texts)), lengths)
    some = np.flatnonzero(lengths)
    if not len(some):
        return np.zeros(0, np.uint64), rows, np.zeros(0, bool)
    starts = (np.cumsum(lengths) - lengths)[some]
    places = np.arange(len(flat)) - np.repeat(starts, lengths[some])
    powers = np.cumprod(np.full(max(int(lengths.max()), RUN), _BASE, np.uint64), dtype=np.uint64)
    whole = _mixed(np.add.reduceat(flat * powers[places], starts) + lengths[some].astype(np.uint64))
    runs = _mixed(_run_sums(flat, powers, RUN) + np.uint64(1))
    inside = places[: len(runs)] + RUN <= lengths[rows[: len(runs)]]
    chosen = _winnowed(runs, rows[: len(runs)], places[: len(runs)], np.maximum(lengths - RUN + 1, 0))
    is_rare = (len(word) >= RARE_LENGTH and word not in common for each in words for word in each)
    rare = _rare_runs(np.fromiter(is_rare, bool, len(flat)), rows)
    rare_runs = _mixed(_run_sums(flat, powers, RARE_RUN)[rare] + np.uint64(2))
    return (
        np.concatenate([whole, runs[inside], rare_runs]),
        np.concatenate([some, rows[: len(runs)][inside], rows[rare]]),
        np.concatenate([np.ones(len(whole), bool), chosen[inside], np.ones(len(rare), bool)]),
    )


def _rare_runs(is_rare: npt.NDArray[np.bool_], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where `RARE_RUN` rare words in a row of one text begin."""
    count = max(len(rows) - RARE_RUN + 1, 0)
    within = rows[:count] == rows[RARE_RUN - 1 :][:count]
    return np.flatnonzero(np.logical_and.reduce([within, *(is_rare[k : k + count] for k in range(RARE_RUN))]))


def _common_words(texts: Iterable[str]) -> frozenset[str]:
    """The commonest words, which make up `_COMMON` of all; a text counts once, however often somebody says it."""
    counts, seen = Counter[str](), [0] * _REMEMBERED
    for text in texts:
        words = _WORD.findall(text.casefold())
        key = hash(tuple(words))
        if seen[key % _REMEMBERED] != key:
            seen[key % _REMEMBERED] = key
            counts.update(words)
    left = _COMMON * counts.total()
    common = set[str]()
    for word, count in counts.most_common():
        if left <= 0 or count < _LEAST_COMMON:
            break
        common.add(word)
        left -= count
    return frozenset(common)


def _numbers(text: str) -> list[str]:
    """The digits of each number that may be somebody's own, however they are grouped."""
    numbers = ("".join(filter(str.isdigit, number)) for number in _NUMBER.findall(text))
    return [number for number in numbers if DIGITS[0] <= len(number) <= DIGITS[1]]


def _hidden_numbers(text: str) -> set[str]:
    """All that may be such a number: also with more digits around it, or spread over lines."""
    return {
        row[start : start + size]
        for row in _digits(text)
        for size in range(DIGITS[0], DIGITS[1] + 1)
        for start in range(len(row) - size + 1)
    }


def _digits(text: str) -> list[str]:
    """Digits that stand beside each other, but for signs and spaces."""
    return ["".join(filter(str.isdigit, row)) for row in _DIGITS_IN_A_ROW.findall(text)]


def _number_hashes(numbers: Sequence[str]) -> Hashes:
    return np.fromiter((_word_hash(f"# {number}") for number in numbers), np.uint64, len(numbers))


def _run_sums(flat: Hashes, powers: Hashes, length: int) -> Hashes:
    """A sum for the run of so many words that begins at each word but the last ones."""
    count = max(len(flat) - length + 1, 0)
    return sum((flat[k : k + count] * powers[k] for k in range(length)), np.zeros(count, np.uint64))


def _winnowed(
    runs: Hashes, rows: npt.NDArray[np.int64], places: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Which runs are the least of some `WINDOW` in a row of one text, or of all that there are if they are fewer."""
    chosen = np.zeros(len(runs), bool)
    width = np.minimum(WINDOW, counts[rows])
    for size in range(1, WINDOW + 1):
        starts = np.flatnonzero((width == size) & (places + size <= counts[rows]))
        if len(starts):
            windows = runs[starts[:, np.newaxis] + np.arange(size)]
            chosen[starts + windows.argmin(axis=1)] = True
    return chosen


def _read_filter(content: bytes) -> Bits:
    """A filter as NumPy saves it; as large as what is there, whatever size it names."""
    file = io.BytesIO(content)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("the index of copies is of another version")
    shape, _, kind = np.lib.format.read_array_header_1_0(file)
    bits = np.frombuffer(content, np.uint8, offset=file.tell())
    if kind != np.uint8 or shape != bits.shape or not len(bits):
        raise ValueError("the index of copies is of another kind than ours")
    return bits


def _filter(hashes: Hashes) -> Bits:
    """A Bloom filter of different hashes."""
    size = max(math.ceil(len(hashes) * -math.log(_FALSE_POSITIVES) / math.log(2) ** 2 / 8), _LEAST_BYTES)
    bits = np.zeros(size, np.uint8)
    for places in _places(hashes, size).T:
        np.bitwise_or.at(bits, places >> 3, (1 << (places & 7)).astype(np.uint8))
    return bits


def _holds(bits: Bits, hashes: Hashes) -> npt.NDArray[np.bool_]:
    places = _places(hashes, len(bits))
    return np.asarray((bits[places >> 3] >> (places & 7) & 1).all(axis=1))


def _places(hashes: Hashes, size: int) -> npt.NDArray[np.int64]:
    """The bits of each hash in so many bytes, `[hashes, _HASHES]` (double hashing; Kirsch & Mitzenmacher, 2006)."""
    first, second = hashes & np.uint64(0xFFFFFFFF), hashes >> np.uint64(32) | np.uint64(1)
    steps = np.arange(_HASHES, dtype=np.uint64)
    return ((first[:, np.newaxis] + steps * second[:, np.newaxis]) % np.uint64(8 * size)).astype(np.int64)


@lru_cache(maxsize=1 << 13)
def _word_hash(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")


def _mixed(hashes: Hashes) -> Hashes:
    """Every bit of the result depends on every bit (the finaliser of SplitMix64; Steele et al., 2014)."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        hashes = (hashes ^ (hashes >> np.uint64(shift))) * np.uint64(factor)
    return hashes ^ (hashes >> np.uint64(31))
