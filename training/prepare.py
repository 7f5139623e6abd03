"""Chat exports in, a dataset directory out.

The directory also keeps the archive of what was read, so that a run with one more export reads only that one, and a run
that was killed goes on.
"""

import functools
import itertools
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from model.blocklist import Blocklist
from model.bundle import TOKENIZER
from model.lock import LOCK, locked
from model.tokenizer import Tokenizer, Tokens
from training.archive import FILE_NAME as ARCHIVE
from training.archive import Archive, Place
from training.conversations import Conversations, LinkedMessage, LinkedTurn, link_messages
from training.dataset import (
    HEAD,
    SPLITS,
    Dataset,
    DatasetConfig,
    DatasetError,
    DatasetWriter,
    EncodedExamples,
    encode_examples,
)
from training.examples import Example, example_of, skip_reason, split
from training.exports import Export, ReadNotes, find_exports
from training.linking.linker import Linker
from training.reading import Filters, ReadingSummary, read_into
from training.report import FILE_NAME as REPORT
from training.report import Statistics, write_report
from training.tally import Tally
from training.workers import Pool, Workers

VOCABULARY_SIZE = 4096

_FEWEST_HELD_OUT = 20
"""Fewer validation examples say nothing, and would stop training by chance: then all are trained on."""

_WORKERS_FROM_BYTES = 4 << 20
"""Exports that are smaller in all are read sooner than another process starts."""

_PIECE_MESSAGES = 2048
_PIECE_EXAMPLES = 4096
_REPEATED = 100  # warnings among which one that says the same is not said again
_EXAMPLE = msgspec.json.Decoder(Example)
_PACK = msgspec.msgpack.Encoder()
_UNPACK = msgspec.msgpack.Decoder(list[LinkedMessage])
_BUILDING = ".building"
_PAIRS_AS_CHAT = (
    "Pairs were read as chat is, which leaves out near copies, what looks like noise, and personal details: "
    "--verbatim takes them as they are."
)
_REMEMBERED_TURNS = 1 << 10  # each is looked at again in the contexts of what follows it


class Progress(Protocol):
    """Told how far a stage is."""

    def __call__(self, stage: str, done: int, total: int, unit: str) -> None:
        """Take notice; `done` never falls within a stage."""


@dataclass(frozen=True)
class Preparation:
    """What `prepare` did.

    Attributes:
        dataset: ready to train on.
        tally: what became of the messages.
        notes: what became of the files.
    """

    dataset: Dataset
    tally: Tally
    notes: ReadNotes


def prepare(
    exports: Sequence[Path],
    out: Path,
    *,
    config: DatasetConfig | None = None,
    tokenizer: Tokenizer | None = None,
    tokens: Tokens = "bpe",
    vocabulary_size: int = VOCABULARY_SIZE,
    filters: Filters | None = None,
    unwanted: Blocklist | None = None,
    excluded: frozenset[str] = frozenset(),
    columns: Mapping[str, str] | None = None,
    workers: int | None = None,
    ray: str | None = None,
    on_progress: Progress = lambda stage, done, total, unit: None,
) -> Preparation:
    """Read exports, link their messages into conversations, and write the examples as token ids.

    Args:
        exports: files, folders and archives.
        out: becomes the dataset directory; a prepared one there is replaced, anything else is left alone.
        config: lengths and shares.
        tokenizer: the one of the model that will be trained on; without it a new one is learned.
        tokens: what kind of tokens a new tokenizer has.
        vocabulary_size: how many, at most.
        filters: what not to learn.
        unwanted: words that no example may hold, in its reply or its context. Unlike messages that the filters leave
            out, those with such a word stay where they are, so that conversations begin and end as they do without.
        excluded: who opted out (see `model.consent`).
        columns: of tables, see `training.exports`.
        workers: processes to use; by default one for each core, and none for a few megabytes.
        ray: the address of a Ray whose machines do the work (see `training.cluster`); None for this machine alone.
        on_progress: told how far it is.

    Raises:
        ExportError: an export cannot be read.
        DatasetError: there is nothing to learn from, or `out` is taken.
        ClusterError: the machines cannot do the work.
    """
    config, filters, notes = config or DatasetConfig(), filters or Filters(), ReadNotes()
    found = find_exports(exports, notes, columns=columns)
    if not filters.verbatim and any(export.format == "pairs" for export in found):
        notes.warnings.append(_PAIRS_AS_CHAT)
    with _claimed(out):
        with _pool(found, workers, ray, [*exports, out]) as pool:
            with Archive(out) as archive:
                summaries = read_into(
                    archive,
                    found,
                    pool,
                    filters=filters,
                    excluded=excluded,
                    on_progress=lambda done, total: on_progress("Reading", done, total, "B"),
                )
                archive.settle()
                tally, statistics = _tally(summaries, archive), Statistics()
                spool = _Spool(out / _BUILDING)
                with closing(spool):
                    _link(archive, pool, spool, config, unwanted, tally, statistics, on_progress)
                if not tally.examples:
                    archive.delete()
                    raise DatasetError(_nothing_to_learn(tally))
            names = _take_notes(notes, summaries)
            if tokenizer is None:
                tokenizer = Tokenizer.train(spool.texts(), tokens=tokens, vocabulary_size=vocabulary_size)
            _encode(spool, pool, config, tokenizer, _facts(tally, notes, spool), on_progress)
        write_report(spool.folder / REPORT, tally, statistics, names, notes.warnings)
        _put_in_place(spool.folder, out)
    return Preparation(Dataset.open(out), tally, notes)


def _pool(
    found: Sequence[Export], workers: int | None, ray: str | None, needed: Sequence[Path]
) -> AbstractContextManager[Pool]:
    if ray is not None:
        from training.cluster import Cluster  # which is not installed where one machine is enough

        return Cluster(ray, workers=workers, needed=needed)
    small = sum(export.size for export in found) < _WORKERS_FROM_BYTES
    return Workers((0 if small else os.cpu_count() or 1) if workers is None else workers)


@contextmanager
def _claimed(out: Path) -> Iterator[None]:
    """Hold a directory that is, or becomes, a dataset; only what a next run can use stays after a failure."""
    try:
        if out.exists() and not any((out / name).exists() for name in (HEAD, ARCHIVE, LOCK)) and any(out.iterdir()):
            raise DatasetError(f"{out} holds something that is no dataset: name an empty or a new folder.")
        out.mkdir(parents=True, exist_ok=True)
        with locked(out):
            shutil.rmtree(out / _BUILDING, ignore_errors=True)  # of a run that was killed
            try:
                yield
            finally:
                shutil.rmtree(out / _BUILDING, ignore_errors=True)
                if all(path.name.startswith(LOCK) for path in out.iterdir()):
                    shutil.rmtree(out, ignore_errors=True)
    except OSError as error:
        raise DatasetError(
            f"{out} cannot be written ({error.strerror}): make room there, or choose another folder."
        ) from error


def _tally(summaries: Iterable[ReadingSummary], archive: Archive) -> Tally:
    """What became of the messages until they were in the archive."""
    tally = Tally(kept=len(archive))
    for summary in summaries:
        tally.messages += summary.received
        tally.left_out.update(summary.left_out)
        tally.redacted.update(summary.redacted)
    if duplicates := tally.messages - tally.left_out.total() - tally.kept:
        tally.left_out["duplicate"] = duplicates
    return tally


def _take_notes(notes: ReadNotes, summaries: Iterable[ReadingSummary]) -> dict[str, str]:
    """Add what the readings met to the notes. Returns the names of channels by id."""
    names: dict[str, str] = {}
    for summary in summaries:
        notes.garbled_records += summary.garbled
        notes.truncated_files += summary.truncated
        notes.warnings += [warning for warning in summary.warnings if warning not in notes.warnings[-_REPEATED:]]
        names |= summary.channel_names
    return names


def _link(
    archive: Archive,
    pool: Pool,
    spool: "_Spool",
    config: DatasetConfig,
    unwanted: Blocklist | None,
    tally: Tally,
    statistics: Statistics,
    on_progress: Progress,
) -> None:
    """Make turns of the messages, and examples of the turns."""
    conversations = Conversations(spool.folder)
    finds = functools.lru_cache(_REMEMBERED_TURNS)((unwanted or Blocklist()).finds)
    for turn in conversations.turns(_linked(archive, pool, on_progress)):
        statistics.add(turn)
        if example := _example(turn, finds, tally):
            spool.add(split(example.conversation, config.validation_share), example)
    tally.conversations = conversations.conversations
    tally.left_out += conversations.left_out
    tally.kept -= conversations.left_out.total()


@dataclass(frozen=True)
class _LinkTask:
    folder: Path
    begin: Place
    end: Place


@functools.cache
def _opened(folder: Path) -> tuple[Archive, Linker]:
    """Opened once a process."""
    return Archive(folder, settled=True), Linker.load()


def _link_piece(task: _LinkTask) -> bytes:
    """The linked messages of a piece, packed: many times faster to hand on than as objects."""
    archive, linker = _opened(task.folder)
    return _PACK.encode(link_messages(archive, linker, task.begin, task.end))


def _linked(archive: Archive, pool: Pool, on_progress: Progress) -> Iterator[LinkedMessage]:
    """All messages in order, each with its target."""
    total, done = len(archive), 0
    pieces = (_LinkTask(archive.path.parent, *piece) for piece in archive.pieces(_PIECE_MESSAGES))
    try:
        for packed in pool.map(_link_piece, pieces):
            messages = _UNPACK.decode(packed)
            yield from messages
            done += len(messages)
            on_progress("Linking", done, total, " messages")
    finally:
        if _opened.cache_info().currsize:
            _opened(archive.path.parent)[0].close()
            _opened.cache_clear()


def _example(turn: LinkedTurn, finds: Callable[[str], str | None], tally: Tally) -> Example | None:
    """A turn as an example, if it is a good one; counted in any case."""
    example = example_of(turn)
    reason = skip_reason(example)
    if reason is None and any(finds(said.text) for said in (*example.context, example.reply)):
        reason = "unwanted words"
    tally.turns += 1
    if reason:
        tally.skipped[reason] += 1
        return None
    tally.examples += 1
    return example


class _Spool:
    """Examples on their way to the disk as ids: the tokenizer must have seen all before the first is encoded."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.examples: Counter[str] = Counter()
        self.paths = {side: folder / f"{side}.jsonl" for side in SPLITS}
        self._files = {side: path.open("wb") for side, path in self.paths.items()}
        self._begins: dict[str, list[int]] = {side: [] for side in SPLITS}
        self._encoder = msgspec.json.Encoder()

    def add(self, side: str, example: Example) -> None:
        """Take in an example of one of `SPLITS`."""
        if self.examples[side] % _PIECE_EXAMPLES == 0:
            self._begins[side].append(self._files[side].tell())
        self.examples[side] += 1
        self._files[side].write(self._encoder.encode(example) + b"\n")

    def close(self) -> None:
        """After the last example."""
        for file in self._files.values():
            file.close()

    @property
    def is_divisible(self) -> bool:
        """Whether there is enough to hold some out."""
        return self.examples["train"] > self.examples["validation"] >= _FEWEST_HELD_OUT

    def pieces(self) -> Iterator[tuple[str, Path, int, int]]:
        """The side, the file and the range of bytes of some thousand examples each."""
        for side, path in self.paths.items():
            begins = [*self._begins[side], path.stat().st_size]
            for begin, end in itertools.pairwise(begins):
                yield side if self.is_divisible else SPLITS[0], path, begin, end

    def texts(self) -> Iterator[str]:
        """What will be trained on: replies, and what no reply is since it came first, as do the sources of pairs."""
        for side, path, begin, end in self.pieces():
            if side == SPLITS[0]:
                for example in _read_spool(path, begin, end):
                    yield from (turn.text for turn in example.context if len(example.context) == 1)
                    yield example.reply.text


def _read_spool(path: Path, begin: int, end: int) -> list[Example]:
    with path.open("rb") as file:
        file.seek(begin)
        return [_EXAMPLE.decode(line) for line in file.read(end - begin).splitlines()]


@dataclass(frozen=True)
class _EncodeTask:
    side: str
    path: Path
    begin: int
    end: int
    tokenizer: Path
    config: DatasetConfig


@functools.lru_cache(1)
def _tokenizer(path: Path) -> Tokenizer:
    return Tokenizer.load(path)


def _encode_piece(task: _EncodeTask) -> tuple[str, EncodedExamples]:
    examples = _read_spool(task.path, task.begin, task.end)
    return task.side, encode_examples(examples, _tokenizer(task.tokenizer), task.config)


def _encode(
    spool: _Spool,
    pool: Pool,
    config: DatasetConfig,
    tokenizer: Tokenizer,
    facts: dict[str, object],
    on_progress: Progress,
) -> None:
    """Turn the spool into a dataset in its folder."""
    path = spool.folder / TOKENIZER
    path.write_bytes(tokenizer.to_bytes())
    _tokenizer.cache_clear()
    total, done = spool.examples.total(), 0
    pieces = (_EncodeTask(*piece, path, config) for piece in spool.pieces())
    with DatasetWriter(spool.folder) as writer:
        for side, examples in pool.map(_encode_piece, pieces):
            writer.add(side, examples)
            done += len(examples.reply_lengths)
            on_progress("Encoding", done, total, " examples")
        writer.finish(config, facts)
    for spooled in spool.paths.values():
        spooled.unlink()


def _put_in_place(building: Path, out: Path) -> None:
    """Put a finished dataset in the place of another. Without its head, which goes last, it is none."""
    (out / HEAD).unlink(missing_ok=True)
    for path in sorted(building.iterdir(), key=lambda path: path.name == HEAD):
        os.replace(path, out / path.name)


def _facts(tally: Tally, notes: ReadNotes, spool: _Spool) -> dict[str, object]:
    held_out = spool.is_divisible
    return {
        "files": notes.files,
        "held_out": held_out,
        "train_examples": spool.examples["train"] if held_out else tally.examples,
        "validation_examples": spool.examples["validation"] if held_out else 0,
        "counts": tally.as_json(),
    }


def _nothing_to_learn(tally: Tally) -> str:
    if not tally.messages:
        return "The exports hold no messages: export a channel in which people talk."
    reasons = ", ".join(f"{count} {reason}" for reason, count in (tally.left_out + tally.skipped).most_common())
    if tally.left_out["private channel"] + tally.left_out["channel not safe for work"] > tally.messages / 2:
        return (
            f"There is nothing to learn from in {tally.messages} messages ({reasons}): private channels and those not "
            "safe for work are read only if you name the file itself, or the channel with --channel."
        )
    return (
        f"There is no exchange to learn from in {tally.messages} messages ({reasons}): "
        "export a channel in which people answer each other."
    )
