"""Who answers whom, where it is known: exports in; how often the linker finds it, beside simple rules, out.

The measure is that of Kummerfeld et al. (ACL 2019): every message whose link is known has one predicted link, and a
message that starts something new is linked to itself. As each has one known link too, precision, recall and F1 over all
of them are one figure.

In a corpus that people annotated every message from the first link of a channel on is known, either to answer or to
start something. On Discord only those are known that were sent with the Reply button; the others may answer just as
well. So starts count if more than MOSTLY of all messages from the first link on have one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.dialogue import clean_text
from training.exports import ExportError, Message, ReadNotes, read_exports
from training.linking.linker import NEW, Linker, Utterance
from training.names import Names

MOSTLY = 2 / 3
UNKNOWN = -2
"""The link of a message of which nothing is known."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LinkedChannel:
    """A channel with what is known of its links.

    Attributes:
        utterances: of people, without empty ones.
        links: [n] the index of the message that each answers, NEW, or UNKNOWN.
    """

    utterances: list[Utterance]
    links: Ints


@dataclass(frozen=True, slots=True)
class LinkScore:
    """How many links were found. Rules are dicts from `linker`, `previous message`, `last other speaker`, `addressee`.

    Attributes:
        messages: all that were read.
        links: messages known to answer another one.
        starts: messages known to start something new; 0 where that is not known.
        right: rule -> links and starts found.
        targets: rule -> links found by a rule that is told that there is one.
    """

    messages: int
    links: int
    starts: int
    right: dict[str, int]
    targets: dict[str, int]

    def f1(self, rule: str = "linker") -> float:
        """Precision, recall and F1 of links, starts being links to themselves; NaN where starts are not known."""
        return self.right[rule] / (self.links + self.starts) if self.starts else float("nan")

    def top_1(self, rule: str = "linker") -> float:
        """How often the target of a link is found, given that there is one."""
        return self.targets[rule] / self.links

    def table(self) -> str:
        """The score for people to read."""
        known = f"links to find  {self.links:,} of {self.messages:,} messages"
        starts = f"starts to find {self.starts:,}" if self.starts else "starts         not known here: no F1"
        rows = [known, starts, f"{'':<20}{'link F1 %':>12}{'target found %':>18}"]
        for rule in self.right:
            f1 = f"{100 * self.f1(rule):.1f}" if self.starts else "-"
            rows.append(f"{rule:<20}{f1:>12}{100 * self.top_1(rule):>18.1f}")
        return "\n".join(rows)


def score(files: Iterable[Path], linker: Linker | None = None, notes: ReadNotes | None = None) -> LinkScore:
    """Hide the known links of exports and count how many are found.

    Args:
        files: exports, or folders of them.
        linker: the shipped one if None.
        notes: filled while the exports are read.

    Raises:
        ExportError: an export cannot be read, or there are no links.
    """
    channels = read_links(files, notes)
    linker = linker or Linker.load()
    right = dict.fromkeys(RULES, 0)
    targets = dict.fromkeys(RULES, 0)
    for channel in channels:
        links, known = channel.links, channel.links != UNKNOWN
        for rule, (guessed, target) in _guesses(channel, linker).items():
            right[rule] += int((guessed == links)[known].sum())
            targets[rule] += int((target == links)[links >= 0].sum())
    counted = np.concatenate([channel.links for channel in channels])
    return LinkScore(len(counted), int((counted >= 0).sum()), int((counted == NEW).sum()), right, targets)


def read_links(files: Iterable[Path], notes: ReadNotes | None = None) -> list[LinkedChannel]:
    """Read exports with their links. Raises ExportError if one cannot be read, or if there are no links."""
    by_channel: dict[str, list[Message]] = {}
    for message in read_exports(files, notes or ReadNotes()):
        by_channel.setdefault(message.channel, []).append(message)
    channels = [LinkedChannel(*_resolve(messages)) for messages in by_channel.values()]
    linked = [channel.links[np.argmax(channel.links >= 0) :] for channel in channels if (channel.links >= 0).any()]
    if not linked:
        raise ExportError("None of these messages says which one it answers: give an export with replies.")
    annotated = np.mean(np.concatenate(linked) >= 0) > MOSTLY
    return [_with_starts(channel) for channel in channels] if annotated else channels


RULES = ("linker", "previous message", "last other speaker", "addressee")


def _guesses(channel: LinkedChannel, linker: Linker) -> dict[str, tuple[Ints, Ints]]:
    """What each rule says of every message: its link, and its target if there is one."""
    utterances = channel.utterances
    simple = np.array(list(_rules(utterances)), np.int64).reshape(-1, 3).T
    found = (linker.link(utterances), linker.target(utterances))
    return dict(zip(RULES, [found, *((links, links) for links in simple)], strict=True))


def _rules(utterances: list[Utterance]) -> Iterator[tuple[int, int, int]]:
    """The previous message, the last one of another speaker, and the last one of who is spoken to, else the second."""
    last: dict[str, int] = {}
    other = NEW
    for index, utterance in enumerate(utterances):
        if index and utterances[index - 1].author != utterance.author:
            other = index - 1
        addressee = max((last.get(author, NEW) for author in utterance.mentions), default=NEW)
        yield index - 1, other, other if addressee == NEW else addressee
        last[utterance.author] = index


def _resolve(messages: list[Message]) -> tuple[list[Utterance], Ints]:
    if all(message.timestamp is not None for message in messages):
        messages.sort(key=lambda message: message.timestamp or 0.0)
    names = Names()
    utterances: list[Utterance] = []
    places: dict[str, int] = {}
    answered: list[str | None] = []
    for message in messages:
        content, mentions = names.resolve(message.author, message.name, message.content, message.mentions)
        text = clean_text(content)
        if not (message.is_bot or message.is_system) and clean_text(message.content):
            places[message.id] = len(utterances)
            utterances.append(Utterance(message.author, message.timestamp, text, mentions))
            answered.append(message.reply_to)
    links = [UNKNOWN if id_ is None else places.get(id_, UNKNOWN) for id_ in answered]
    return utterances, np.array([link if link < index else UNKNOWN for index, link in enumerate(links)], np.int64)


def _with_starts(channel: LinkedChannel) -> LinkedChannel:
    """Count whatever has no link as a start, from the first link on."""
    links = channel.links.copy()
    begin = int(np.argmax(links >= 0)) if (links >= 0).any() else len(links)
    links[begin:][links[begin:] == UNKNOWN] = NEW
    return LinkedChannel(channel.utterances, links)
