"""JSON values at given places of a document of any size, one by one, in constant memory.

General streaming parsers build the depths of a hostile document in memory and cannot go on behind broken syntax.
This one only finds where values begin and end, leaves what is inside them to a decoder, and after damage goes on at
the next thing that begins like the elements before it.
"""

import codecs
import re
from collections.abc import Callable, Collection, Iterator
from typing import BinaryIO, NamedTuple

import msgspec

MAX_VALUE_BYTES = 1 << 24
"""A longer value is left out: far above any real message, far below the memory there is."""

UNDECODABLE = (msgspec.MsgspecError, ValueError, RecursionError)
"""What decoding a value into a record raises, and what the record's own texts, such as times, raise."""

_BLOCK_BYTES = 1 << 18
_MAX_DEPTH = 64  # of the containers around a value that is asked for
_ELEMENT = "[]"

# A string cannot hold a line break, so that a lost quote does no harm beyond its line.
_STRING = r'"(?:[^"\\\n]++|\\.)*+'
_SPACE = re.compile(rb"[\s\0]*+")
_SCALAR = re.compile(_STRING.encode() + rb'["\n]?|[^\s\0"{}\[\],:]*+', re.DOTALL)
_TO_BRACKET = re.compile(rb'[^"{}\[\]]*+(?:' + _STRING.encode() + rb'["\n][^"{}\[\]]*+)*+', re.DOTALL)
_OPEN_STRING = re.compile(_STRING.encode(), re.DOTALL)
_NESTED = ""
for _ in range(8):  # as deep as the messages of any format
    _NESTED = rf'[{{\[](?:[^"{{}}\[\]]++|{_STRING}"|{_NESTED or "(?!)"})*+[}}\]]'
_WHOLE_ELEMENT = re.compile(rf"[\s\0]*+,?+[\s\0]*+({_NESTED})(?=[\s\0]*+[,\]])".encode(), re.DOTALL)
_FIRST_VALUE = rb'"[^"\\\n]*+"|[^\s,"{}\[\]]++'
_FIRST_KEYS = re.compile(
    rb'\{\s*+(?P<first>"[^"\\\n]*+")\s*+:(?:\s*+(?:' + _FIRST_VALUE + rb')\s*+,\s*+(?P<second>"[^"\\\n]*+")\s*+:)?'
)
_OPENING_BYTES = 1024
_MAX_NESTING = 500  # within a value

_HALF = rb"u[dD][89a-fA-F][0-9a-fA-F]{2}"
_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(?P<half>" + _HALF + rb")|.)", re.DOTALL)

_DECODER = msgspec.json.Decoder(msgspec.Raw)


class JsonValue(NamedTuple):
    """A value that was asked for.

    Attributes:
        place: which of the places it stands at.
        byte: where it begins.
        text: its JSON, well-formed and in UTF-8.
    """

    place: str
    byte: int
    text: bytes


class JsonError(Exception):
    """The document breaks off, or nothing behind a damage can be understood. Holds the byte."""

    def __init__(self, byte: int, why: str) -> None:
        super().__init__(why)
        self.byte = byte


def json_values(
    stream: BinaryIO, places: Collection[str], on_garbled: Callable[[int, str], None]
) -> Iterator[JsonValue]:
    """Yield the values at some places of a JSON document, in order.

    Args:
        stream: the document from its beginning; a byte order mark, NULs and ill-formed UTF-8 are tolerated.
        places: keys joined by dots, `[]` for any element of an array, e.g. `[]`, `messages.[]`, `chats.list.[].id`.
        on_garbled: told the byte of each element that is left out, and why.

    Raises:
        JsonError: the document is not whole.
    """
    yield from _Scanner(stream, frozenset(places), on_garbled).document()


class _Scanner:
    """Goes through a document with a window of it in memory."""

    def __init__(self, stream: BinaryIO, places: frozenset[str], on_garbled: Callable[[int, str], None]) -> None:
        self._stream = stream
        self._places = places
        self._ways = {""} | {place[:end] for place in places for end in range(len(place)) if place[end] == "."}
        self._on_garbled = on_garbled
        self._window = b""
        self._begin = 0  # the byte of the document that the window begins with
        self._at = 0  # where in the window

    def document(self) -> Iterator[JsonValue]:
        """All wanted values."""
        self._fill()
        self._at = len(codecs.BOM_UTF8) if self._window.startswith(codecs.BOM_UTF8) else 0
        yield from self.values("", 0)

    def values(self, place: str, depth: int) -> Iterator[JsonValue]:
        """The wanted values in the value that comes next, which stands at a place."""
        kind = self._next()
        if place in self._places:
            if value := self._element(place, None):
                yield value
        elif place not in self._ways or depth > _MAX_DEPTH or kind not in (b"{", b"["):
            self._skip(keep=False)
        elif kind == b"{":
            yield from self._object(place, depth)
        else:
            yield from self._array(_join(place, _ELEMENT), depth)

    def _object(self, place: str, depth: int) -> Iterator[JsonValue]:
        self._at += 1
        while (kind := self._next()) != b"}":
            if kind == b",":
                self._at += 1
                continue
            key = self._take(_SCALAR)[0]
            if not key.startswith(b'"') or self._next() != b":":
                raise JsonError(self._byte, "a key is missing")
            self._at += 1
            yield from self.values(_join(place, _step(key)), depth + 1)
        self._at += 1

    def _array(self, place: str, depth: int) -> Iterator[JsonValue]:
        self._at += 1
        opening: re.Pattern[bytes] | None = None
        while True:
            if opening:
                yield from self._whole_elements(place)
            if (kind := self._next()) == b"]":
                break
            if kind == b",":
                self._at += 1
            elif place not in self._places:
                yield from self.values(place, depth + 1)
            else:
                opening = opening or self._opening()
                if value := self._element(place, opening):
                    yield value
        self._at += 1

    def _whole_elements(self, place: str) -> Iterator[JsonValue]:
        """The elements that come next, as long as each is well-formed and ends within the window: the fast way."""
        while match := _WHOLE_ELEMENT.match(self._window, self._at):
            if (text := _well_formed(match[1])) is None:
                return
            byte = self._begin + match.start(1)
            self._at = match.end()
            yield JsonValue(place, byte, text)

    def _element(self, place: str, opening: re.Pattern[bytes] | None) -> JsonValue | None:
        """The value that comes next; None if it is garbled, and then the next one with that opening is next."""
        byte = self._byte
        text, whole = self._skip(keep=True)
        if not whole and not (opening and opening.search(text, 1)):
            raise JsonError(byte, "it ends within this")
        sound = _well_formed(text) if whole and text else None
        if sound and (opening is None or self._next(at_end=b"]") in (b",", b"]")):
            return JsonValue(place, byte, sound)
        self._on_garbled(byte, "its syntax is broken" if text else "it is too long or too deeply nested")
        if opening:
            if text:
                self._window, self._begin, self._at = text + self._window[self._at :], byte, 1
            self._seek(opening)
        return None

    def _opening(self) -> re.Pattern[bytes] | None:
        """What the elements of an array of objects begin with: the keys of the first one."""
        while len(self._window) - self._at < _OPENING_BYTES and self._fill():
            pass
        keys = _FIRST_KEYS.match(self._window, self._at)
        if keys is None:
            return None
        second = rb"(?:" + _FIRST_VALUE + rb")\s*+,\s*+" + re.escape(keys["second"]) if keys["second"] else b""
        return re.compile(rb"\{\s*+" + re.escape(keys["first"]) + rb"\s*+:\s*+" + second)

    def _seek(self, opening: re.Pattern[bytes]) -> None:
        byte = self._byte
        while not (found := opening.search(self._window, self._at)):
            self._at = max(self._at, len(self._window) - _OPENING_BYTES)  # one may lie across the window's end
            if not self._fill():
                raise JsonError(byte, "its syntax is broken, and so is all behind it")
        self._at = found.start()

    def _skip(self, keep: bool) -> tuple[bytes, bool]:
        """Go behind the value that comes next: its text, empty if it cannot be kept, and if it ends."""
        if self._next() not in (b"{", b"["):
            return self._scalar(), True
        parts: list[bytes] = []
        depth, size, start = 0, 0, self._at
        while True:
            if match := _TO_BRACKET.match(self._window, self._at):
                self._at = match.end()
            bracket = self._window[self._at : self._at + 1]
            if bracket and bracket != b'"':
                self._at += 1
                depth += 1 if bracket in b"{[" else -1
                if depth > _MAX_NESTING:
                    return b"", True
            if bracket in (b"", b'"') or depth == 0:
                size += self._at - start
                keep = keep and size <= MAX_VALUE_BYTES
                parts = [*parts, self._window[start : self._at]] if keep else []
                if depth == 0:
                    return b"".join(parts), True
                if len(self._window) - self._at > MAX_VALUE_BYTES:
                    keep = False
                    self._forget_string()
                if not self._fill():
                    return b"".join([*parts, self._window] if keep else []), False
                start = self._at

    def _scalar(self) -> bytes:
        """Go behind a string, a number or a word: its text, empty if it is too long."""
        is_too_long = False
        while self._reaches_end(match := self._match(_SCALAR)):
            if len(self._window) - self._at > MAX_VALUE_BYTES:
                is_too_long = True
                self._forget_string()
            if not self._fill():
                match = self._match(_SCALAR)
                break
        if not match[0]:
            raise JsonError(self._byte, "there is something else where a value must be")
        self._at = match.end()
        return b"" if is_too_long else match[0]

    def _forget_string(self) -> None:
        """Keep of the string that comes next no more than that it is one."""
        match = _OPEN_STRING.match(self._window, self._at)
        if match is None:
            raise JsonError(self._byte, "something here does not end")
        self._begin += match.end() - 1
        self._window, self._at = b'"' + self._window[match.end() :], 0

    @property
    def _byte(self) -> int:
        return self._begin + self._at

    def _next(self, at_end: bytes = b"") -> bytes:
        """The first byte of what comes next, spaces left behind."""
        self._take(_SPACE)
        if kind := self._window[self._at : self._at + 1] or at_end:
            return kind
        raise JsonError(self._byte, "it ends too early")

    def _take(self, pattern: re.Pattern[bytes]) -> re.Match[bytes]:
        """Go behind what matches here: a pattern that matches anything, if only as nothing."""
        while self._reaches_end(match := self._match(pattern)):
            if len(self._window) - self._at > MAX_VALUE_BYTES:
                raise JsonError(self._byte, "something here does not end")
            if not self._fill():
                match = self._match(pattern)
                break
        self._at = match.end()
        return match

    def _match(self, pattern: re.Pattern[bytes]) -> re.Match[bytes]:
        match = pattern.match(self._window, self._at)
        assert match is not None
        return match

    def _reaches_end(self, match: re.Match[bytes]) -> bool:
        """Whether it may go on behind the window, perhaps with the second half of an escape."""
        return match.end() >= len(self._window) - 1 and self._window[match.end() :] in (b"", b"\\")

    def _fill(self) -> bool:
        """Move the window on; False at the end of the document."""
        rest = self._window[self._at :]
        block = self._stream.read(max(_BLOCK_BYTES, len(rest)))  # the double of a long string: it is looked at again
        self._begin += self._at
        self._window, self._at = rest + block, 0
        return bool(block)


def repaired(text: bytes) -> bytes:
    """JSON without NULs, ill-formed UTF-8 and halves of surrogate pairs, which decoders refuse."""
    text = text.replace(b"\0", b"").decode("utf-8", "replace").encode()
    return _ESCAPE.sub(lambda match: rb"\ufffd" if match["half"] else match[0], text)


def _well_formed(text: bytes) -> bytes | None:
    """A value in UTF-8 without NULs; None if its syntax is broken."""
    if _is_json(text):
        return text
    text = repaired(text)
    return text if _is_json(text) else None


def _is_json(text: bytes) -> bool:
    try:
        _DECODER.decode(text)
        return text.isascii() or bool(text.decode())  # the decoder skips what is in strings
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


def _step(key: bytes) -> str:
    """A key as a step of a place; one that could be taken for something else keeps its quotes."""
    name = key.strip(b'"').decode("utf-8", "replace")
    return f'"{name}"' if name in ("", _ELEMENT) or "." in name else name


def _join(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key
