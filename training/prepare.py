"""Chat exports in, a dataset directory out."""

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from model.tokenizer import Tokenizer
from training.archive import Archive
from training.conversations import Tally
from training.dataset import SPLITS, Dataset, DatasetConfig, DatasetError, DatasetWriter
from training.examples import Example, examples_of, split
from training.exports import ReadNotes, read_exports

VOCABULARY_SIZE = 4096

_FEWEST_HELD_OUT = 20
"""Fewer validation examples say nothing, and would stop training by chance: then all are trained on."""


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
    vocabulary_size: int = VOCABULARY_SIZE,
    notes: ReadNotes | None = None,
) -> Preparation:
    """Read exports, link their messages into conversations, and write the examples as token ids.

    Args:
        exports: files and folders.
        out: becomes the dataset directory; a prepared one there is replaced, anything else is left alone.
        config: lengths and shares.
        tokenizer: the one of the model that will be trained on; without it a new one is learned.
        vocabulary_size: of a new tokenizer, at most.
        notes: where warnings and progress go.

    Raises:
        ExportError: an export cannot be read.
        DatasetError: there is nothing to learn from, or `out` is taken.
    """
    config, notes, tally = config or DatasetConfig(), notes or ReadNotes(), Tally()
    building = out.with_name(f".{out.name}.new")
    try:
        if out.exists() and not (out / "dataset.json").exists() and any(out.iterdir()):
            raise DatasetError(f"{out} holds something that is no dataset: name an empty or a new folder.")
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        spool = building / "examples.jsonl"
        with Archive(building) as archive:
            archive.add(read_exports(exports, notes))
            sides = _spool(examples_of(archive, tally), spool, config.validation_share)
        if not tally.examples:
            raise DatasetError(_nothing_to_learn(tally))
        held_out = sides["train"] > sides["validation"] >= _FEWEST_HELD_OUT
        _encode(spool, building, config, tokenizer, vocabulary_size, held_out, _facts(tally, notes, sides, held_out))
        spool.unlink()
        _replace(out, building)
    except OSError as error:
        raise DatasetError(f"{out} cannot be written ({error.strerror}): choose another folder.") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return Preparation(Dataset.open(out), tally, notes)


def _replace(out: Path, building: Path) -> None:
    """Put a finished dataset in the place of another, which comes back if that fails."""
    replaced = out.with_name(f".{out.name}.old")
    if out.exists():
        shutil.rmtree(replaced, ignore_errors=True)  # only now: there is a whole one in its place
        out.rename(replaced)
    try:
        building.rename(out)
    except OSError:
        if replaced.exists():
            replaced.rename(out)
        raise
    shutil.rmtree(replaced, ignore_errors=True)


def _spool(examples: Iterator[Example], path: Path, validation_share: float) -> Counter[str]:
    """Write examples to a file, since the tokenizer must have seen all before the first is encoded."""
    sides: Counter[str] = Counter()
    with path.open("wb") as file:
        for example in examples:
            sides[split(example.conversation, validation_share)] += 1
            file.write(msgspec.json.encode(example) + b"\n")
    return sides


def _read_spool(path: Path) -> Iterator[Example]:
    decoder = msgspec.json.Decoder(Example)
    with path.open("rb") as file:
        yield from map(decoder.decode, file)


def _encode(
    spool: Path,
    out: Path,
    config: DatasetConfig,
    tokenizer: Tokenizer | None,
    vocabulary_size: int,
    held_out: bool,
    facts: dict[str, object],
) -> None:
    def side(example: Example) -> str:
        return split(example.conversation, config.validation_share) if held_out else SPLITS[0]

    if tokenizer is None:
        texts = (example.reply.text for example in _read_spool(spool) if side(example) == SPLITS[0])
        tokenizer = Tokenizer.train(texts, vocabulary_size=vocabulary_size)
    writer = DatasetWriter(out, tokenizer, config)
    for example in _read_spool(spool):
        writer.add(side(example), example)
    writer.close(facts)


def _facts(tally: Tally, notes: ReadNotes, sides: Counter[str], held_out: bool) -> dict[str, object]:
    return {
        "files": notes.files,
        "held_out": held_out,
        "train_examples": sides["train"] if held_out else tally.examples,
        "validation_examples": sides["validation"] if held_out else 0,
        "counts": tally.as_json(),
    }


def _nothing_to_learn(tally: Tally) -> str:
    if not tally.messages:
        return "The exports hold no messages: export a channel in which people talk."
    reasons = ", ".join(f"{count} {reason}" for reason, count in (tally.left_out + tally.skipped).most_common())
    return (
        f"There is no exchange to learn from in {tally.messages} messages ({reasons}): "
        "export a channel in which people answer each other."
    )
