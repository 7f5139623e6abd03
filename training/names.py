"""Who is spoken to: the raw messages of a channel in; the same without handles, and the ids of those spoken to, out."""

import re
from collections import Counter
from collections.abc import Iterable

_DISCORD_USER = re.compile(r"<@!?(\d+)>")
_AT = re.compile(r"(?<![\w@./])@(?=\w)")  # not the one inside an e-mail address
_HANDLE = re.compile(r"\w(?:[\w.-]*\w)?")
_ADDRESS = re.compile(r"\s*(\S+?)(?:\s?[:,]+(?![/\d])\s*|\s+-\s+)(?=\S)")
_SIGN = re.compile(r"[\d_]")
_AROUND_WORDS = ".,:;!?()<>\"'*~"
_APPENDED = "_`"  # by IRC clients, to a nick that is taken
_NOBODY = frozenset({"everyone", "here"})
_MIN_NAME_CHARACTERS = 3  # of a name that is recognised without a sign of address
_MAX_NAME_CHARACTERS = 80
_MAX_NAMES = 1 << 14
_MAX_ADDRESSES = 4


class Names:
    """The names heard so far in one channel, in bounded memory. Feed it all messages in order."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}  # folded name -> author id, the one not heard for longest first
        self._lengths: dict[str, Counter[int]] = {}  # first word -> how many names begin with it, by number of words
        self._addresses: Counter[str] = Counter()  # folded name -> how often it was used to address
        self._words: Counter[str] = Counter()  # folded name -> how often it stood amid a text like any word

    def resolve(
        self, author: str, name: str | None, content: str, mentions: tuple[str, ...]
    ) -> tuple[str, tuple[str, ...]]:
        """Find who a message speaks to.

        Args:
            author: the id of the one who says it.
            name: what the author is called; the id itself if None.
            content: raw text.
            mentions: ids of accounts that the format says are mentioned. They count only if the text shows an `@` with
                a name not heard yet, because Discord also lists whoever is replied to.

        Returns:
            The content without handles, and the ids of those spoken to, each once, in order of appearance.
        """
        self._hear(name or author, author)
        found: dict[str, None] = {}
        if "@" in content:
            content = self._take_signs(content, found, mentions)
        content = self._take_addresses(content, found)
        content = self._take_words(content, found)
        found.pop(author, None)
        return content, tuple(found)

    def _hear(self, name: str, author: str) -> None:
        """Remember that this name was heard last."""
        key = _fold(name)
        if not key:
            return
        if self._ids.pop(key, None) is None:
            if len(self._ids) >= _MAX_NAMES:
                self._forget(next(iter(self._ids)))
            first, *more = key.split()
            self._lengths.setdefault(first, Counter())[1 + len(more)] += 1
        self._ids[key] = author

    def _forget(self, key: str) -> None:
        del self._ids[key], self._addresses[key], self._words[key]
        first, *more = key.split()
        lengths = self._lengths[first]
        lengths[1 + len(more)] -= 1
        if not +lengths:
            del self._lengths[first]

    def _take_signs(self, content: str, found: dict[str, None], mentions: tuple[str, ...]) -> str:
        """Take out `<@1>` and `@Name`."""
        found.update(dict.fromkeys(_DISCORD_USER.findall(content)))
        content = _DISCORD_USER.sub(" ", content)
        kept, start = [], 0
        for sign in _AT.finditer(content):
            if sign.start() < start:
                continue  # inside the name before
            key, end = self._name_at(content, sign.end())
            if key in self._ids:
                self._addresses[key] += 1
                found[self._ids[key]] = None
            elif key not in _NOBODY:
                found.update(dict.fromkeys(mentions))
            kept.append(content[start : sign.start()])
            start = end
        return " ".join([*kept, content[start:]]) if kept else content

    def _name_at(self, content: str, start: int) -> tuple[str, int]:
        """The longest known name that begins there, else the word, and where it ends."""
        words = content[start : start + _MAX_NAME_CHARACTERS].split()
        for length in sorted(self._lengths_of(words[0]), reverse=True):
            end = start
            for word in words[:length]:
                end = content.index(word, end) + len(word)
            whole = content[start:end]
            for name in (whole, whole.rstrip(_AROUND_WORDS)):
                if _fold(name) in self._ids:
                    return _fold(name), start + len(name)
        handle = _HANDLE.match(content, start)
        return (_fold(handle[0]), handle.end()) if handle else ("", start)

    def _lengths_of(self, word: str) -> Iterable[int]:
        """By how many words names go on that begin with this one, with or without the punctuation behind it."""
        firsts = (_fold(word), _fold(word.rstrip(_AROUND_WORDS)))
        return {length for first in firsts for length in self._lengths.get(first, ())}

    def _take_addresses(self, content: str, found: dict[str, None]) -> str:
        """Take `ann: `, `ann, ` and `ann - ` from the start, if such a name was heard."""
        for _ in range(_MAX_ADDRESSES):
            address = _ADDRESS.match(content)
            key = _fold(address[1]) if address else ""
            if address is None or key not in self._ids:
                break
            self._addresses[key] += 1
            found[self._ids[key]] = None
            content = content[address.end() :]
        return content

    def _take_words(self, content: str, found: dict[str, None]) -> str:
        """Note the names that stand elsewhere, and take out those that nobody would read as a word."""
        folded = {word.strip(_AROUND_WORDS).rstrip(_APPENDED) for word in content.lower().split()}
        if self._ids.keys().isdisjoint(folded):  # as in most messages
            return content
        words = content.split()
        for place, word in enumerate(words):
            name = word.strip(_AROUND_WORDS)
            key = _fold(name)
            if key not in self._ids or len(key) < _MIN_NAME_CHARACTERS or key.isdecimal():
                continue
            if _SIGN.search(key):
                content = re.sub(rf"(?<!\S){re.escape(word)}(?!\S)", word.replace(name, "", 1), content, count=1)
            elif self._words[key] > self._addresses[key]:
                continue  # more of a word than of a name, as "me" or "usual" are
            elif 0 < place < len(words) - 1:  # where words stand; names come first or last
                self._words[key] += 1
            found[self._ids[key]] = None
        return content


def _fold(name: str) -> str:
    """The form in which names are compared."""
    return " ".join(name.lower().split()).rstrip(_APPENDED)
