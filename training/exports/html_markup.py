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


def tokens(markup: str) -> Iterator[Tag | str]:
    """Yield tags and, without entities, the text between them. What looks like a tag but is none is text."""
    begin = at = broken = 0
    while (maybe := _MAYBE_TAG.search(markup, at)) and broken < _MAX_BROKEN_TAGS:
        at = maybe.start()
        if not (tag := _TAG.match(markup, at, at + _MAX_TAG_CHARACTERS)):
            at += 1
            broken += 1
            continue
        if at > begin:
            yield html.unescape(markup[begin:at])
        if tag["name"]:
            yield Tag(tag["name"].lower(), bool(tag["end"]), tag["attributes"])
        begin = at = tag.end()
    if begin < len(markup):
        yield html.unescape(markup[begin:])


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
