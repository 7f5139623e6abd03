"""Examples in, token ids on disk, padded batches out.

A dataset directory holds `dataset.json`, `tokenizer.model` and, for each split, its contexts and replies as one long
`uint16` array each with the `uint64` offsets where examples begin, read through memory maps, and two `uint32` numbers
of each example: of its conversation, and of its reply's author. This is the only place that shifts, pads and weighs.
"""

import json
import os
import zlib
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from model import ChinwagError
from model.bundle import TOKENIZER
from model.dialogue import render_context
from model.tokenizer import END, PAD, START, Tokenizer, TokenizerError
from training.examples import Example
from training.exports.pairs import TARGET

SPLITS = ("train", "validation")
FORMAT = 4
READABLE_FORMATS = (3, FORMAT)  # format 3 has no numbers of authors
HEAD = "dataset.json"

NOBODY = 0
"""The author of targets of pairs, such as translations."""

_STEP = 4  # of padded lengths
_EXAMPLES_PER_BUCKET = 2000
_MOST_BUCKETS = 5
_WORTH_A_BUCKET = 0.75  # of the padded length of contexts

Ids = npt.NDArray[np.uint16]
Offsets = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.uint32]


class DatasetError(ChinwagError):
    """A dataset directory cannot be used; the message says why and what to do, in one sentence."""


@dataclass(frozen=True, kw_only=True)
class DatasetConfig:
    """How long an example may be, in tokens.

    Attributes:
        max_context_tokens: of the context, markers counted; older tokens go first.
        max_reply_tokens: of the reply, end token counted; the rest of a longer one is not learned.
        validation_share: share of conversations kept for validation.
    """

    max_context_tokens: int = 48
    max_reply_tokens: int = 48
    validation_share: float = 0.05


class Batch(NamedTuple):
    """One step's examples, padded with `PAD`.

    Attributes:
        encoder_ids: contexts, `[batch, context time]`.
        decoder_ids: replies behind the start token, `[batch, reply time]`.
        targets: the token that follows each decoder id.
        weights: 1 where there is a target, 0 where there is padding.
    """

    encoder_ids: npt.NDArray[np.int32]
    decoder_ids: npt.NDArray[np.int32]
    targets: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]

    @property
    def shape(self) -> tuple[int, int]:
        """Context time and reply time."""
        return self.encoder_ids.shape[1], self.decoder_ids.shape[1]


class RaggedIds:
    """Sequences of ids of different lengths in one array."""

    def __init__(self, ids: Ids, offsets: Offsets) -> None:
        self.ids = ids
        self.offsets = offsets

    @classmethod
    def open(cls, directory: Path, name: str) -> "RaggedIds":
        """Map the files that `RaggedWriter` wrote; on Windows, read them: it deletes no file that is mapped."""
        load: Any = np.fromfile if os.name == "nt" else partial(np.memmap, mode="r")
        offsets = load(directory / f"{name}.offsets", np.uint64)
        path = directory / f"{name}.ids"
        ids = load(path, np.uint16) if path.stat().st_size else np.empty(0, np.uint16)
        if int(offsets[-1]) != len(ids):
            raise DatasetError(f"{path} is damaged: prepare the dataset again.")
        return cls(ids, offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> Ids:
        return self.ids[int(self.offsets[index]) : int(self.offsets[index + 1])]

    def first(self, count: int) -> "RaggedIds":
        """The first sequences of it."""
        return RaggedIds(self.ids, self.offsets[: count + 1])

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """The number of ids of each sequence."""
        return np.diff(self.offsets).astype(np.int64)


class RaggedWriter:
    """Appends sequences to a file of ids and one of the offsets where they begin."""

    def __init__(self, directory: Path, name: str) -> None:
        self._ids = (directory / f"{name}.ids").open("wb")
        self._offsets = (directory / f"{name}.offsets").open("wb")
        self.files = self._ids, self._offsets
        self._offsets.write(np.zeros(1, np.uint64).tobytes())
        self._end = 0

    def extend(self, ids: Ids, lengths: npt.NDArray[np.uint16]) -> None:
        """Add sequences: their ids run together, and the length of each."""
        ends = self._end + np.cumsum(lengths, dtype=np.uint64)
        self._ids.write(ids.tobytes())
        self._offsets.write(ends.astype(np.uint64).tobytes())
        self._end += len(ids)


def _close(file: BinaryIO) -> None:
    """Close a file that is on the disk then."""
    file.flush()
    os.fsync(file.fileno())
    file.close()


@dataclass(frozen=True)
class Split:
    """The examples of one side, as ids.

    Attributes:
        contexts, replies: of each example.
        conversations: equal for examples of one conversation, `[examples]`; None where the dataset does not say.
        authors: equal for replies of one author, likewise; `NOBODY` for those that are no person's words.
    """

    contexts: RaggedIds
    replies: RaggedIds
    conversations: Numbers | None = None
    authors: Numbers | None = None

    def __len__(self) -> int:
        return len(self.replies)

    def first(self, count: int) -> "Split":
        """The first examples of it."""
        return Split(self.contexts.first(count), self.replies.first(count))


@dataclass(frozen=True)
class Dataset:
    """A prepared dataset.

    Attributes:
        config: how it was made.
        facts: what it was made of: counts, never who.
        tokenizer: gave the ids.
        train, validation: the two sides, split by conversation; a dataset too small to be split, as its facts say
            (`held_out`), is validated on what it was trained on.
    """

    config: DatasetConfig
    facts: dict[str, Any]
    tokenizer: Tokenizer
    train: Split
    validation: Split

    @classmethod
    def open(cls, directory: Path) -> "Dataset":
        """Open a prepared directory.

        Raises:
            DatasetError: it is none, or it is damaged.
        """
        try:
            head = json.loads((directory / HEAD).read_text(encoding="utf-8"))
            if head["format"] not in READABLE_FORMATS:
                raise DatasetError(f"{directory} was prepared by another version of Chinwag: prepare it again.")
            train, validation = (_open_split(directory, split, head["format"]) for split in SPLITS)
            tokenizer = Tokenizer.load(directory / TOKENIZER)
            return cls(DatasetConfig(**head["config"]), head["facts"], tokenizer, train, validation or train)
        except FileNotFoundError as error:
            raise DatasetError(f"{directory} holds no prepared dataset: run `chinwag-train prepare` first.") from error
        except (OSError, ValueError, KeyError, TypeError, TokenizerError) as error:
            raise DatasetError(f"{directory} is damaged ({error}): prepare the dataset again.") from error

    def check_vocabulary(self, bundle: Path) -> None:
        """Raise DatasetError unless the ids mean to a bundle what they mean here."""
        if (bundle / TOKENIZER).read_bytes() != self.tokenizer.to_bytes():
            raise DatasetError(
                f"The dataset has another vocabulary than the model in {bundle}: prepare it with --from {bundle}."
            )


_SIDES, _NUMBERS = ("contexts", "replies"), ("conversations", "authors")


def _open_split(directory: Path, name: str, version: int) -> Split:
    contexts, replies = (RaggedIds.open(directory, f"{name}.{side}") for side in _SIDES)
    numbers = {}
    for each in _NUMBERS if version == FORMAT else _NUMBERS[:1]:
        path = directory / f"{name}.{each}"
        numbers[each] = np.fromfile(path, np.uint32)
        if len(numbers[each]) != len(replies):
            raise DatasetError(f"{path} is damaged: prepare the dataset again.")
    return Split(contexts, replies, **numbers)


class EncodedExamples(NamedTuple):
    """Examples of one split as ids, in the order of their number; the ids of all run together.

    Attributes:
        contexts: ids.
        context_lengths: of each context, `[examples]`.
        replies: ids.
        reply_lengths: of each reply, `[examples]`.
        conversations: a number for each, made of the name of its conversation, `[examples]`.
        authors: likewise of the author of its reply.
    """

    contexts: Ids
    context_lengths: npt.NDArray[np.uint16]
    replies: Ids
    reply_lengths: npt.NDArray[np.uint16]
    conversations: Numbers
    authors: Numbers


def encode_examples(examples: Iterable[Example], tokenizer: Tokenizer, config: DatasetConfig) -> EncodedExamples:
    """Turn examples into ids; what is too long is cut."""
    contexts, replies, context_lengths, reply_lengths = array("H"), array("H"), array("H"), array("H")
    conversations, authors = list[int](), list[int]()
    for example in examples:
        rendered = render_context(example.context, me=example.reply.speaker)
        context = tokenizer.encode_context(rendered, config.max_context_tokens)
        reply = [*tokenizer.encode(example.reply.text), END][: config.max_reply_tokens]
        contexts.extend(context)
        replies.extend(reply)
        context_lengths.append(len(context))
        reply_lengths.append(len(reply))
        conversations.append(_number(example.conversation))
        authors.append(NOBODY if example.reply.speaker == TARGET else _number(example.reply.speaker))
    return EncodedExamples(
        np.frombuffer(contexts, np.uint16),
        np.frombuffer(context_lengths, np.uint16),
        np.frombuffer(replies, np.uint16),
        np.frombuffer(reply_lengths, np.uint16),
        np.array(conversations, np.uint32),
        np.array(authors, np.uint32),
    )


def _number(name: str) -> int:
    return zlib.crc32(name.encode("utf-8", "surrogatepass"))


class DatasetWriter:
    """Writes encoded examples into a directory, in a `with` statement; `finish` makes it a dataset."""

    def __init__(self, directory: Path) -> None:
        """Args: directory: exists, and holds `tokenizer.model`."""
        self._directory = directory
        self._writers = {split: [RaggedWriter(directory, f"{split}.{side}") for side in _SIDES] for split in SPLITS}
        self._numbers = {split: [(directory / f"{split}.{each}").open("wb") for each in _NUMBERS] for split in SPLITS}

    def __enter__(self) -> "DatasetWriter":
        return self

    def __exit__(self, *error: object) -> None:
        """Close the files also where they could not be written to the end, or Windows would not let them be deleted."""
        for file in self._files():
            with suppress(OSError):
                file.close()

    def add(self, split: str, examples: EncodedExamples) -> None:
        """Append examples to one of `SPLITS`."""
        contexts, replies = self._writers[split]
        contexts.extend(examples.contexts, examples.context_lengths)
        replies.extend(examples.replies, examples.reply_lengths)
        for file, numbers in zip(self._numbers[split], (examples.conversations, examples.authors), strict=True):
            file.write(numbers.tobytes())

    def finish(self, config: DatasetConfig, facts: dict[str, Any]) -> None:
        """Write what is left, last of all `dataset.json`."""
        for file in self._files():
            _close(file)
        head = {"format": FORMAT, "config": asdict(config), "facts": facts}
        (self._directory / HEAD).write_text(json.dumps(head, indent=1), encoding="utf-8")

    def _files(self) -> Iterator[BinaryIO]:
        for split in SPLITS:
            for writer in self._writers[split]:
                yield from writer.files
            yield from self._numbers[split]


def batches(
    split: Split,
    *,
    batch_size: int,
    rng: np.random.Generator | None = None,
    skipped: int = 0,
    context_dropout: float = 0.0,
) -> Iterator[Batch]:
    """All examples once, in batches of `batch_size` rows and few shapes (each shape is compiled once).

    Args:
        split: the examples.
        batch_size: rows of every batch; the last one of a shape is filled with rows of weight 0.
        rng: shuffles the examples and the batches; without it the order is fixed.
        skipped: how many batches at the beginning are left out; they cost nothing.
        context_dropout: share of the examples, chosen by `rng`, whose context is replaced by the empty one.
    """
    count = len(split)
    plan = _plan(split, batch_size, np.arange(count) if rng is None else rng.permutation(count))
    order = range(len(plan)) if rng is None else rng.permutation(len(plan))
    blind = np.zeros(count, bool) if rng is None else rng.random(count) < context_dropout
    for index in order[skipped:]:
        (context_time, reply_time), rows = plan[index]
        yield _pad(split, rows, batch_size, context_time, reply_time, blind)


def count_batches(split: Split, batch_size: int) -> dict[tuple[int, int], int]:
    """How many batches of each padded shape, context and reply time, `batches` makes of a split."""
    return Counter(shape for shape, _ in _plan(split, batch_size, np.arange(len(split))))


def _plan(
    split: Split, batch_size: int, order: npt.NDArray[np.int64]
) -> list[tuple[tuple[int, int], npt.NDArray[np.int64]]]:
    """The padded shape and the rows of each batch."""
    shapes = _shapes(split)
    plan: list[tuple[tuple[int, int], npt.NDArray[np.int64]]] = []
    for context_time, reply_time in sorted(set(map(tuple, shapes.tolist()))):
        rows = order[(shapes[order] == (context_time, reply_time)).all(axis=1)]
        starts = range(0, len(rows), batch_size)
        plan += [((context_time, reply_time), rows[start : start + batch_size]) for start in starts]
    return plan


def _shapes(split: Split) -> npt.NDArray[np.int64]:
    """The padded lengths of each example, `[examples, 2]`: a few on each side, more in a large split.

    Each pair of lengths is a shape to compile. Replies cost most, and vary most.
    """
    many = 1 + len(split) // _EXAMPLES_PER_BUCKET
    contexts, most = _bucket(split.contexts.lengths, min(many, 2)), _MOST_BUCKETS - 1
    if contexts.mean() > _WORTH_A_BUCKET * contexts.max():
        contexts[:], most = contexts.max(), _MOST_BUCKETS
    return np.stack([contexts, _bucket(split.replies.lengths, min(many, most))], axis=1)


def _bucket(lengths: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """Each length rounded up to one of at most so many bounds, those with which the least is padded."""
    rounded = -(-lengths // _STEP) * _STEP
    bounds, sizes = np.unique(rounded, return_counts=True)
    totals = np.cumsum(sizes)
    # The cheapest cover of the lengths up to each bound: with one bucket, then with one more in each round.
    covers = [(int(total * bound), [bound]) for total, bound in zip(totals, bounds, strict=True)]
    for _ in range(count - 1):
        covers = [
            min([covers[end], *(_extended(covers[cut], totals[end] - totals[cut], bounds[end]) for cut in range(end))])
            for end in range(len(bounds))
        ]
    chosen = np.array(covers[-1][1])
    return chosen[np.searchsorted(chosen, lengths)]


def _extended(cover: tuple[int, list[int]], count: int, bound: int) -> tuple[int, list[int]]:
    """A cover with a bucket more, of so many lengths."""
    cost, bounds = cover
    return cost + int(count * bound), [*bounds, bound]


def _pad(
    split: Split,
    rows: npt.NDArray[np.int64],
    batch_size: int,
    context_time: int,
    reply_time: int,
    blind: npt.NDArray[np.bool_],
) -> Batch:
    encoder_ids = np.full((batch_size, context_time), PAD, np.int32)
    targets = np.full((batch_size, reply_time), PAD, np.int32)
    encoder_ids[:, 0] = END  # the empty context; also of rows without an example, so that attention has something
    for position, row in enumerate(rows):
        context, reply = split.contexts[row], split.replies[row]
        if not blind[row]:
            encoder_ids[position, : len(context)] = context
        targets[position, : len(reply)] = reply
    decoder_ids = np.concatenate([np.full((batch_size, 1), START, np.int32), targets[:, :-1]], axis=1)
    return Batch(encoder_ids, decoder_ids, targets, (targets != PAD).astype(np.float32))
