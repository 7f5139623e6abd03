"""Words and phrases that are neither learned nor said: a plain text file that admins edit.

One word or phrase a line; empty lines and lines that begin with `#` say nothing. Whole words count, in any case, and
also where they are disguised: s p e l l e d out, wr1tten with d1g1ts and $igns, in look-alike letters of other
alphabets, with a st*r for a letter, or stretchedddd.
"""

# ruff: noqa: RUF001 - letters that look like others are what this is about

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from model import ChinwagError

# Letters that look like Latin ones, after Unicode's confusables (UTS 39); Latin letters with marks lose them by NFKD.
_LOOK_ALIKES = str.maketrans("авсԁеһіјкмнорԛѕтухԝαβεηικνορτυχωłøđı", "abcdehijkmhopqstyxwabenikvoptuxwlodi")
_LEET = str.maketrans("0134578@$!|+€", "oieastbasiite")
_LEET_WITH_L = _LEET | str.maketrans("1!|", "lll")
_LEET_SIGNS = b"0134578@$|+*"
_TRIPLE = re.compile(rb"(.)\1\1")
_STRETCHED = re.compile(r"(\w)\1{2,}")
_DISGUISED = re.compile(r"(?<!\S)\S*[^\W\d_]\S*")
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u3040-\u30ff\u3400-\u9fff]")
_WORDS_ONLY = bytes(code if code > 127 or chr(code).isalnum() else 32 for code in range(256))


class BlocklistError(ChinwagError):
    """A blocklist cannot be used; the message says where and why."""


class Blocklist:
    """Finds blocked words and phrases in text; without entries it finds nothing.

    Args:
        entries: the words and phrases; those without a letter or digit say nothing.
    """

    def __init__(self, entries: Iterable[str] = ()) -> None:
        self._entries = {tuple(_words_of(_fold(entry))): entry for entry in entries if can_be_found(entry)}
        self._lengths: dict[str, set[int]] = {}  # of the entries that begin with a word
        for words in self._entries:
            self._lengths.setdefault(words[0], set()).add(len(words))
        self._joined = {"".join(words): entry for words, entry in self._entries.items()}
        self._unspaced = {word: entry for word, entry in self._joined.items() if _UNSPACED.search(word)}

    @property
    def entries(self) -> tuple[str, ...]:
        """The words and phrases, as they were given."""
        return tuple(self._entries.values())

    @classmethod
    def load(cls, path: Path) -> "Blocklist":
        """Read the file.

        Raises:
            BlocklistError: it cannot be read, is no UTF-8 text, or a line has neither a letter nor a digit.
        """
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise BlocklistError(f"The blocklist {path} is not UTF-8 text: save it as UTF-8.") from error
        except OSError as error:
            raise BlocklistError(f"The blocklist {path} cannot be read: {error.strerror or error}.") from error
        entries = {number: line.strip() for number, line in enumerate(lines, 1)}
        entries = {number: entry for number, entry in entries.items() if entry and not entry.startswith("#")}
        for number, entry in entries.items():
            if not can_be_found(entry):
                raise BlocklistError(
                    f"Line {number} of the blocklist {path} has no letter or digit: {entry!r}; write a word or a "
                    "phrase, or `#` before a comment."
                )
        return cls(entries.values())

    def finds(self, text: str) -> str | None:
        """The entry that the text holds, as it stands in the file, or None."""
        if not self._entries:
            return None
        folded = _fold(text)
        words = _words_of(folded)
        return next(filter(None, self._everywhere(folded, words)), None)

    def _everywhere(self, folded: str, words: list[str]) -> Iterator[str | None]:
        """What is found in each of the ways to read a text, the likeliest first; most texts need only that."""
        yield self._in_words(words)
        if self._unspaced:  # of scripts that write no spaces: a whole word cannot be told
            yield next((entry for word, entry in self._unspaced.items() if word in folded), None)
        data = folded.encode("utf-8", "replace")
        if _TRIPLE.search(data) or not folded.isascii():
            yield self._in_words(_words_of(_STRETCHED.sub(r"\1", folded)))
            yield self._in_words(_words_of(_STRETCHED.sub(r"\1\1", folded)))
        if list(map(len, words)).count(1) > 2:
            yield self._in_letters(words)
        if "!" in folded.rstrip("!") or len(data.translate(None, _LEET_SIGNS)) < len(data):
            for token in _DISGUISED.findall(folded):
                yield self._in_leet(token.strip("!?.,;:\"'()*"))

    def _in_words(self, words: Sequence[str]) -> str | None:
        if self._lengths.keys().isdisjoint(words):
            return None
        for position, word in enumerate(words):
            for length in self._lengths.get(word, ()):
                entry = self._entries.get(tuple(words[position : position + length]))
                if entry is not None:
                    return entry
        return None

    def _in_letters(self, words: list[str]) -> str | None:
        """An entry that is spelled letter by letter."""
        spelled = "".join(word if len(word) == 1 else " " for word in words).translate(_LEET).split()
        return next(
            (self._joined[word] for word in self._joined if any(word in run for run in spelled if len(run) > 2)), None
        )

    def _in_leet(self, token: str) -> str | None:
        """An entry behind digits, signs or stars that stand for letters; `1` may be an i or an l."""
        if token.isalpha():
            return None
        found = self._in_words(_words_of(token.translate(_LEET))) or self._in_words(
            _words_of(token.translate(_LEET_WITH_L))
        )
        if found is None and 0 < token.count("*") * 2 <= len(token):
            pattern = re.compile(re.escape(token.translate(_LEET)).replace(r"\*", r"\w"))
            found = next((entry for word, entry in self._joined.items() if pattern.fullmatch(word)), None)
        return found


def can_be_found(entry: str) -> bool:
    """Whether a word or phrase has a letter or digit, by which it is known in a text."""
    return bool(_words_of(_fold(entry)))


def _fold(text: str) -> str:
    """Lower case without marks, apostrophes and invisible characters; Latin letters for what looks like them."""
    text = text.casefold().replace("'", "")
    if text.isascii():
        return text
    visible = (
        c for c in unicodedata.normalize("NFKD", text) if unicodedata.category(c) not in ("Mn", "Cf") and c != "’"
    )
    return unicodedata.normalize("NFC", "".join(visible)).casefold().translate(_LOOK_ALIKES)


def _words_of(folded: str) -> list[str]:
    """The words of a folded text."""
    if folded.isascii():  # by way of bytes, which CPython translates many times faster
        return folded.encode().translate(_WORDS_ONLY).decode().split()
    return "".join(c if c.isalnum() else " " for c in folded).split()
