"""HTML as it lies in a file, tag by tag, in linear time whatever comes.

Parsers of HTML build trees as deep as a file makes them, and the quick ones crash on the deepest. What programs write
for themselves is regular enough to be read without a tree.
"""

import html
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"})
"""Elements without an end."""

_MAX_TAG_CHARACTERS = 1 << 16
_MAX_BROKEN_TAGS = 1000  # in one piece of markup; each costs time
_TAG = re.compile(
    r"<(?P<end>/?+)(?P<name>[a-zA-Z][a-zA-Z0-9]*+)(?P<attributes>(?:[^\"'<>]++|\"[^\"]*+\"|'[^']*+')*+)>"
    r"|<!--.*?-->|<![^>]*+>",
    re.DOTALL,
)
_MAYBE_TAG = re.compile(r"<(?=[a-zA-Z/!])")
_ATTRIBUTE = re.compile(r"([^\s\"'=<>/]++)(?:\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s\"'>]++)))?+")


class Tag(NamedTuple):
    """A tag.

    Attributes:
        name: of the element, in lower case.
        is_end: it ends the element.
        attributes: as they are written, see `attributes`.
    """

    name: str
    is_end: bool
    attributes: str


class Markup:
    """A piece of markup with a place in it; iterating yields tags and, without entities, the text between them.

    What looks like a tag but is none is text.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._broken = 0

    def __iter__(self) -> Iterator[Tag | str]:
        return self

    def __next__(self) -> Tag | str:
        begin = at = self._at
        while at < len(self._text):
            maybe = _MAYBE_TAG.search(self._text, at) if self._broken < _MAX_BROKEN_TAGS else None
            at = maybe.start() if maybe else len(self._text)
            match = self._tag(at) if maybe else None
            if maybe and not match:
                at += 1
            elif at > begin:
                self._at = at
                return html.unescape(self._text[begin:at])
            elif match:
                begin = at = self._at = match.end()
                if match["name"]:
                    return Tag(match["name"].lower(), bool(match["end"]), match["attributes"])
        raise StopIteration

    def seek(self, mark: re.Pattern[str]) -> Tag | None:
        """Go behind the next tag whose attributes hold a mark."""
        while found := mark.search(self._text, self._at):
            begin = self._text.rfind("<", self._at, found.start())
            match = self._tag(begin) if begin >= 0 and self._broken < _MAX_BROKEN_TAGS else None
            if match and match["name"] and match.end() > found.end():
                self._at = match.end()
                return Tag(match["name"].lower(), bool(match["end"]), match["attributes"])
            self._at = found.end()
        return None

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Go behind what comes next, if it is as a pattern has it."""
        match = pattern.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return match

    def is_balanced_from(self, tag: Tag) -> bool:
        """Whether all elements of a tag's name that begin with that tag or behind it also end."""
        begin = self._text.rfind(tag.attributes)
        opened, closed = self._text.count(f"<{tag.name}", begin), self._text.count(f"</{tag.name}>", begin)
        return closed > opened  # the tag itself begins before its attributes

    def _tag(self, at: int) -> re.Match[str] | None:
        match = _TAG.match(self._text, at, at + _MAX_TAG_CHARACTERS)
        self._broken += match is None
        return match


@lru_cache(maxsize=1024)  # the same few tags come again and again
def attributes(written: str) -> dict[str, str]:
    """The attributes of a tag by name."""
    return {
        match[1].lower(): html.unescape(match[2] or match[3] or match[4] or "")
        for match in _ATTRIBUTE.finditer(written)
    }


@lru_cache(maxsize=1024)
def class_names(written: str) -> frozenset[str]:
    """The classes of an element."""
    return frozenset(attributes(written).get("class", "").split())
