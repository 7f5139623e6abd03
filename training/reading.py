"""Exports in, messages fit to be kept out: the first half of `prepare`, done by several processes.

Whatever must not be stored is taken out here, before anything is written: personal details, secrets, names in address
position, people who opted out, private channels. Each message is either kept or counted under one reason.
"""

import fnmatch
import hashlib
import itertools
import os
import shutil
import tempfile
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from model.blocklist import Blocklist
from model.consent import consent_key
from model.dialogue import clean_text
from training.archive import NO_CLOCK, Archive, ReadMessage
from training.cleanliness import reason as uncleanliness
from training.cleanliness import signature
from training.exports import Channel, Export, Message, ReadNotes, formats
from training.exports.file import ExportFile
from training.names import Names
from training.privacy import MAX_CHARACTERS, redact
from training.workers import Pool

_VERSION = 1
"""Grows whenever the same export would be read into other messages: then archives are read anew."""

_FOLDER = ".reading-"
_PART_FROM_BYTES = 48 << 20
_OPTED_OUT = "opted out"
_BATCH_MESSAGES = 1000
_LENGTH_BYTES = 4
_PACK = msgspec.msgpack.Encoder()
_UNPACK = msgspec.msgpack.Decoder(list[ReadMessage])
_MAX_CHANNELS_OF_NAMES = 64
_MAX_KNOWN = 1 << 14
_MAX_PLACE = (1 << 63) - 1  # what SQLite can hold


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What is not to be learned, as far as the user can choose.

    Attributes:
        channels: names or ids (`*` and `?` stand for anything) of the only channels to read; empty for all. Private
            and not-safe-for-work channels are read only if named here in full.
        not_channels: names or ids, likewise, of channels to leave out.
        languages: ISO 639-1 codes; messages in other languages are left out. Empty for all.
        blocklist: lines of the admins' own list; messages with one of these words are left out.
        verbatim: take texts as they are, but for their spaces, links and Discord's own marks: nothing is left out for
            its looks or for nearly equalling another, and no names or personal details are taken out.
    """

    channels: tuple[str, ...] = ()
    not_channels: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    blocklist: tuple[str, ...] = ()
    verbatim: bool = False


class ReadingSummary(msgspec.Struct):
    """What one reading met: received = kept + left out.

    Attributes:
        received: messages.
        kept: those in the archive.
        left_out: the others, by reason.
        redacted: personal details and secrets taken out, by kind.
        opted_out: how many messages of each person who opted out are among those left out.
        garbled: records that are no message.
        truncated: 1 if the export breaks off.
        warnings: plain sentences.
        channel_names: by channel id, of kept messages.
    """

    received: int = 0
    kept: int = 0
    left_out: dict[str, int] = msgspec.field(default_factory=dict)
    redacted: dict[str, int] = msgspec.field(default_factory=dict)
    opted_out: dict[str, int] = msgspec.field(default_factory=dict)
    garbled: int = 0
    truncated: int = 0
    warnings: list[str] = msgspec.field(default_factory=list)
    channel_names: dict[str, str] = msgspec.field(default_factory=dict)


@dataclass(frozen=True)
class _Task:
    export: Export
    filters: Filters
    excluded: frozenset[str]
    folder: Path


@dataclass(frozen=True)
class _Result:
    path: Path  # of the messages that are kept: a big export may hold more than memory does
    summary: ReadingSummary
    speakers: frozenset[bytes]  # the digests of their names


def read_into(
    archive: Archive,
    exports: Sequence[Export],
    workers: Pool,
    *,
    filters: Filters,
    excluded: frozenset[str] = frozenset(),
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[ReadingSummary]:
    """Bring an archive up to date with exports; what it holds already is not read again.

    Args:
        archive: afterwards holds the messages of these exports and no others.
        exports: in a fixed order.
        workers: share the work.
        filters: what to leave out.
        excluded: the keys (`model.consent.consent_key`) of people who opted out.
        on_progress: told the bytes done, those that were read before included, and the bytes in all.

    Returns:
        What was met, for each export or part of one, in order.
    """
    parts = {_key(part, filters): part for export in exports for part in _parts(export)}
    known = {key for key, summary in _summaries(archive).items() if summary.opted_out.keys() <= excluded}
    known -= archive.readings_of(map(_digest, excluded))
    archive.keep_only(known & parts.keys())
    todo = {key: part for key, part in parts.items() if key not in known}
    total = sum(map(_bytes, parts.values()))
    done = total - sum(map(_bytes, todo.values()))
    on_progress(done, total)
    for left in archive.path.parent.glob(f"{_FOLDER}*"):  # by a run that was killed
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_FOLDER, dir=archive.path.parent, ignore_cleanup_errors=True) as folder:
        tasks = (_Task(part, filters, excluded, Path(folder)) for part in todo.values())
        for (key, part), result in zip(todo.items(), workers.map(_read, tasks), strict=True):
            archive.add_reading(key, _encode(result.summary), _rows(result.path), result.speakers)
            result.path.unlink()
            done += _bytes(part)
            on_progress(done, total)
    summaries = _summaries(archive)
    return [summaries[key] for key in parts]


def _summaries(archive: Archive) -> dict[str, ReadingSummary]:
    return {key: msgspec.json.decode(text, type=ReadingSummary) for key, text in archive.summaries().items()}


def _encode(summary: ReadingSummary) -> str:
    return msgspec.json.encode(summary, order="deterministic").decode()


def _parts(export: Export) -> list[Export]:
    """A big export in parts that can be read side by side, if its format allows."""
    divide = getattr(formats()[export.format], "parts", None)
    if divide is None or export.size < _PART_FROM_BYTES:
        return [export]
    return [replace(export, part=part) for part in divide(export.open(ReadNotes()))] or [export]


def _bytes(export: Export) -> int:
    return export.part.end - export.part.begin if export.part else export.size


def _key(export: Export, filters: Filters) -> str:
    """Names all that decides what a reading gives; the folder too, of which some formats make the channel's name."""
    status = export.path.stat()
    identity = (
        (
            _VERSION,
            export.format,
            str(export.path.absolute()),
            status.st_size,
            status.st_mtime_ns,
            export.member,
            export.is_named,
        ),
        (sorted(export.columns.items()), export.part, filters),
    )
    return hashlib.blake2b(repr(identity).encode(), digest_size=16).hexdigest()


def _read(task: _Task) -> _Result:
    """Read an export, in whichever process this is, and write what is kept of it to a file."""
    notes = ReadNotes()
    file = task.export.open(notes)
    sieve = _Sieve(task, notes)
    descriptor, path = tempfile.mkstemp(dir=task.folder)
    with os.fdopen(descriptor, "wb") as rows:
        kept = sieve.sift(task.export.messages(file), file)
        while batch := list(itertools.islice(kept, _BATCH_MESSAGES)):
            packed = _PACK.encode(batch)
            rows.write(len(packed).to_bytes(_LENGTH_BYTES) + packed)
    return _Result(Path(path), sieve.summary(), frozenset(sieve.speakers))


def _rows(path: Path) -> Iterator[ReadMessage]:
    with path.open("rb") as file:
        while length := file.read(_LENGTH_BYTES):
            yield from _UNPACK.decode(file.read(int.from_bytes(length)))


class _Sieve:
    """Decides which messages of one reading are kept, and counts the others."""

    def __init__(self, task: _Task, notes: ReadNotes) -> None:
        self._task = task
        self._notes = notes
        self._blocklist = Blocklist(task.filters.blocklist) if task.filters.blocklist else None
        self._names: OrderedDict[str, Names] = OrderedDict()
        self._received = 0
        self._kept: Counter[str] = Counter()  # by channel
        self._left_out: Counter[str] = Counter()
        self._redacted: Counter[str] = Counter()
        self._opted_out: Counter[str] = Counter()
        self._channel_reasons: dict[str, str | None] = {}
        self._known: set[tuple[str, str | None]] = set()
        self.speakers: set[bytes] = set()

    def sift(self, messages: Iterator[Message], file: ExportFile) -> Iterator[ReadMessage]:
        """Yield what is kept."""
        begin = self._task.export.part.begin if self._task.export.part else 0
        for place, message in enumerate(messages, begin):  # parts begin farther apart than they hold messages
            self._received += 1
            text, mentions, reason = self._judge(message)
            if reason:
                self._left_out[reason] += 1
                continue
            self._kept[message.channel] += 1
            author = message.author
            if (author, message.name) not in self._known:
                self._know(author, message.name)
            place = -place if file.newest_first else place
            yield _row(message, text, mentions, place, None if self._task.filters.verbatim else signature(text))

    def _know(self, author: str, name: str | None) -> None:
        """Keep the digests by which an author can later be found who opts out."""
        if len(self._known) > _MAX_KNOWN:
            self._known.clear()
        self._known.add((author, name))
        self.speakers.update(_digest(consent_key(known)) for known in (author, name or author))

    def summary(self) -> ReadingSummary:
        """What was met, after the last message."""
        names = {id_: channel.name for id_, channel in self._notes.channels.items() if channel.name and self._kept[id_]}
        return ReadingSummary(
            received=self._received,
            kept=self._kept.total(),
            left_out=dict(self._left_out),
            redacted=dict(self._redacted),
            opted_out=dict(self._opted_out),
            garbled=self._notes.garbled_records,
            truncated=self._notes.truncated_files,
            warnings=self._notes.warnings,
            channel_names=names,
        )

    def _judge(self, message: Message) -> tuple[str, tuple[str, ...], str | None]:
        """The clean text of a message and whom it speaks to; or why it is left out."""
        if reason := self._reason_of_channel(message.channel):
            return "", (), reason
        if message.is_bot or message.is_system:
            return "", (), "bot" if message.is_bot else "system message"
        verbatim, content = self._task.filters.verbatim, message.content
        mentions: tuple[str, ...] = ()
        redacted: Counter[str] = Counter()
        if not verbatim and len(content) > MAX_CHARACTERS:
            return "", (), "overlong"
        if not verbatim:
            names = self._names_of(message.channel)
            content, mentions = names.resolve(message.author, message.name, content, message.mentions)
        if reason := uncleanliness(
            content, by_looks=not verbatim, blocklist=self._blocklist, languages=self._task.filters.languages
        ):
            return "", (), reason
        if not verbatim:
            content, redacted = redact(content)
        text = clean_text(content)
        if not text:
            return "", (), "empty" if not redacted else "nothing but links or personal details"
        if self._task.excluded and (person := self._person_who_opted_out(message)):
            self._opted_out[person] += 1
            return "", (), _OPTED_OUT
        self._redacted.update(redacted)
        return text, mentions, None

    def _person_who_opted_out(self, message: Message) -> str | None:
        names = (consent_key(message.author), consent_key(message.name or ""))
        return next((name for name in names if name in self._task.excluded), None)

    def _names_of(self, channel: str) -> Names:
        names = self._names.get(channel)
        if names is None:
            names = self._names[channel] = Names()
            if len(self._names) > _MAX_CHANNELS_OF_NAMES:
                self._names.popitem(last=False)
        return names

    def _reason_of_channel(self, id_: str) -> str | None:
        if id_ not in self._channel_reasons or id_ not in self._notes.channels:
            channel = self._notes.channels.get(id_, Channel(id_))
            self._channel_reasons[id_] = _reason_of_channel(channel, self._task.filters, self._task.export.is_named)
        return self._channel_reasons[id_]


def _reason_of_channel(channel: Channel, filters: Filters, is_named: bool) -> str | None:
    """Why a channel is left out, or None."""
    names = {channel.id.casefold(), (channel.name or "").casefold()} - {""}
    if _match(names, filters.not_channels) or (filters.channels and not _match(names, filters.channels)):
        return "channel left out"
    if is_named or names & {name.casefold() for name in filters.channels}:
        return None
    return "private channel" if channel.is_private else "channel not safe for work" if channel.is_nsfw else None


def _match(names: set[str], patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern.casefold().lstrip("#")) for name in names for pattern in patterns)


def _row(message: Message, text: str, mentions: tuple[str, ...], place: int, signed: bytes | None) -> ReadMessage:
    id_ = message.id
    if len(id_) <= len(str(_MAX_PLACE)) and id_.isascii() and id_.isdigit() and int(id_) <= _MAX_PLACE:
        place = int(id_)  # within one tick of the clock ids that are numbers tell the order
    reply_to, timestamp = message.reply_to, message.timestamp
    return ReadMessage(
        _storable(message.channel),
        NO_CLOCK if timestamp is None else timestamp,
        place,
        _storable(id_),
        _storable(message.author),
        text,
        None if reply_to is None else _storable(reply_to),
        message.edited,
        "\n".join(map(_storable, mentions)) if mentions else "",
        signed,
    )


def _storable(id_: str) -> str:
    """Without half characters, which cannot be written in UTF-8."""
    return id_ if id_.isascii() else id_.encode("utf-8", "replace").decode()


def _digest(key: str) -> bytes:
    """Stands for a name (`consent_key`) in the archive, to obey an opt-out by name without keeping names."""
    return hashlib.blake2b(key.encode("utf-8", "replace"), digest_size=8).digest()
