"""Words and phrases that are neither learned nor said: a plain text file that admins edit.

One word or phrase a line; empty lines and lines that begin with `#` say nothing. Whole words count, in any case, and
also where they are disguised: s p e l l e d out, wr1tten with d1g1ts and $igns, in look-alike letters of other
alphabets, with a st*r for a letter, or stretchedddd.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

from model import ChinwagError

# Letters that look like Latin ones, after Unicode's confusables (UTS 39); Latin letters with marks lose them by NFKD.
_LOOK_ALIKES = str.maketrans(
    "авсԁеһіјкмнорԛѕтухԝαβεηικνορτυχωłøđı",  # noqa: RUF001
    "abcdehijkmhopqstyxwabenikvoptuxwlodi",
)
_LEET = str.maketrans("0134578@$!|+€", "oieastbasiite")
_LEET_L = str.maketrans("1!|", "lll")
_STRETCHED = re.compile(r"(.)\1{2,}")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_DISGUISED = re.compile(r"[\w@$!|+*€]*(?:[^\W\d_][\d@$!|+*€]|[\d@$!|+*€][^\W\d_])[\w@$!|+*€]*")
_SPELLED = re.compile(r"(?<![^\W_])[^\W_](?:[\s.,\-_*/]{1,3}[^\W_](?![^\W_])){2,}")
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u3040-\u30ff\u3400-\u9fff]")


class BlocklistError(ChinwagError):
    """A blocklist cannot be used; the message says where and why."""


class Blocklist:
    """Finds blocked words and phrases in text; without entries it finds nothing.

    Args:
        entries: the words and phrases.
    """

    def __init__(self, entries: Iterable[str] = ()) -> None:
        self._entries = {tuple(_WORD.findall(_fold(entry))): entry for entry in entries}
        self._unspaced = {"".join(words): self._entries[words] for words in self._entries if _is_unspaced(words)}
        self._first_words: dict[str, set[int]] = {}
        for words in self._entries:
            self._first_words.setdefault(words[0], set()).add(len(words))
        self._by_length: dict[int, list[str]] = {}
        for words in self._entries:
            self._by_length.setdefault(len("".join(words)), []).append("".join(words))
        self._joined = {"".join(words): entry for words, entry in self._entries.items()}

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
            if not _WORD.search(_fold(entry)):
                raise BlocklistError(
                    f"Line {number} of the blocklist {path} has no letter or digit: {entry!r}; write a word or a phrase, "
                    "or `#` before a comment."
                )
        return cls(entries.values())

    def finds(self, text: str) -> str | None:
        """The entry that the text holds, as it stands in the file, or None."""
        if not self._entries:
            return None
        folded = _fold(text)
        return self._in_words(_WORD.findall(folded)) or self._in_disguise(folded)

    def _in_words(self, words: list[str]) -> str | None:
        for position, word in enumerate(words):
            for length in self._first_words.get(word, ()):
                entry = self._entries.get(tuple(words[position : position + length]))
                if entry is not None:
                    return entry
        return None

    def _in_disguise(self, folded: str) -> str | None:
        if _STRETCHED.search(folded):
            for kept in (r"\1", r"\1\1"):
                found = self._in_words(_WORD.findall(_STRETCHED.sub(kept, folded)))
                if found is not None:
                    return found
        if _DISGUISED.search(folded):
            found = self._in_leet(folded)
            if found is not None:
                return found
        for spelled in _SPELLED.findall(folded):
            letters = "".join(filter(str.isalnum, spelled.translate(_LEET)))
            found = next((entry for word, entry in self._joined.items() if len(word) > 2 and word in letters), None)
            if found is not None:
                return found
        return next((entry for word, entry in self._unspaced.items() if word in folded), None)

    def _in_leet(self, folded: str) -> str | None:
        for plain in _undisguised(folded):
            found = self._in_words(_WORD.findall(plain))
            if found is not None:
                return found
        starred = (token for token in _DISGUISED.findall(folded) if "*" in token.strip("*"))
        return next((entry for token in starred if (entry := self._behind_stars(token.strip("*"))) is not None), None)

    def _behind_stars(self, token: str) -> str | None:
        """The entry that a word such as `h*ck` stands for, a star a letter."""
        letters = token.translate(_LEET)
        for word in self._by_length.get(len(letters), ()):
            if all(letter in ("*", own) for letter, own in zip(letters, word, strict=True)):
                return self._joined[word]
        return None


def _fold(text: str) -> str:
    """Lower case without marks, and Latin letters for what looks like them."""
    text = text.casefold()
    if text.isascii():
        return text
    decomposed = unicodedata.normalize("NFKD", text)
    visible = "".join(c for c in decomposed if unicodedata.category(c) not in ("Mn", "Cf"))
    return unicodedata.normalize("NFC", visible).casefold().translate(_LOOK_ALIKES)


def _undisguised(folded: str) -> Iterator[str]:
    """The text with digits and signs inside of words read as letters; `1` may be an i or an l."""

    def read(match: re.Match[str], *, first: bool) -> str:
        token = match[0].rstrip("!+|*").lstrip("!+|*")
        return token.translate(_LEET if first else _LEET_L | {k: v for k, v in _LEET.items() if k not in _LEET_L})

    yield _DISGUISED.sub(lambda match: read(match, first=True), folded)
    yield _DISGUISED.sub(lambda match: read(match, first=False), folded)


def _is_unspaced(words: tuple[str, ...]) -> bool:
    """Whether an entry is of a script that writes no spaces: there, a whole word cannot be told."""
    return bool(_UNSPACED.search(words[0]))
