"""Messages that nothing is to be learned from, and messages that were said before.

`reason` judges one message by its looks. `signature` and `NearCopies` find copypasta: long messages that nearly equal
an earlier one (MinHash with banding: Broder 1997; Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, ch. 3).
"""

# ruff: noqa: RUF001 - typographic signs are among what people write

import re
import struct
import unicodedata
from collections.abc import Sequence
from functools import cache
from hashlib import blake2b
from typing import Any

from rensa import RMinHash  # type: ignore[import-untyped]

from model import ChinwagError
from model.blocklist import Blocklist

MIN_SIGNED_WORDS, MIN_SIGNED_CHARACTERS = 8, 40
"""Shorter messages are said again by chance."""

SIGNATURE_BYTES = 32

_BANDS, _ROWS = 4, 8  # a pair is found with probability 1 - (1 - s^8)^4: one in two at a Jaccard similarity s of 0.8
_PACKED = struct.Struct(f"<{_BANDS * _ROWS}Q")
_BAND_BYTES = _PACKED.size // _BANDS
_SHINGLE_WORDS = 3
_SEED = 20_001
_SLOTS = 2**22

_MIN_TOLD_LETTERS = 12  # fewer tell a language by their script only
_DOUBT, _MORE_DOUBT = 50, 1e6  # so many times less likely than the likeliest language, a message is not in it

_COMMAND = re.compile(
    r"(?:[!/]{1,2}|[.?$>;%&|]|;;|>>|&&|\$\$)[a-z][a-z\d_-]+(?=\s|$)"
    r"|[-+=~^,*](?:play|skip|stop|pause|resume|queue|np|join|leave|loop|volume|lyrics|help|ping|prefix|info|invite|rank|level|"
    r"lvl|bal|balance|daily|work|roll|avatar|afk|ban|kick|mute|unmute|warn|purge|clear|poll|quote|role|stats|profile)(?=\s|$)"
    r"|(?:[a-z]|(?!hi|no|ok|oh|ha|ah|yo|ew|um|uh|so|go|wow|lol|omg|yes|yay|hey|wtf|bro|ugh|bye|ooh|nah|meh)[a-z]{2,3})"
    r"[!?>][a-z]{2,}(?=\s|$)"
    r"|(?:pls|plz)\s(?:beg|hunt|fish|dig|dep|deposit|with|withdraw|bal|balance|daily|weekly|monthly|work|search|crime|hl|"
    r"highlow|rob|steal|heist|slots|gamble|bet|buy|sell|shop|use|inv|inventory|memes?|pm|postmemes|trivia|gift|rich|"
    r"leaderboard|lb|profile|cd|scratch|blackjack|bj|snakeeyes)\b(?=(?:\s\S+){0,2}$)"
    r"|(?:owo|uwu|rpg)\s(?:hunt|battle|h|b|daily|cash|sell|buy|zoo|inv|pray|curse|cf|slots|heal|adventure|chop|fish|work)\b"
)
_CUSTOM_EMOJI = re.compile(r"<a?:\w+:\d+>|:\w{2,32}:")
_PLAIN = bytes(range(128, 256)) + b" \n0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MIN_SIGNS = 8
_MAX_LOOKED_AT = 2000  # characters of a message in which a flood is looked for
_LONG_WORD, _LONG_BLOB = 16, 32
_CODE_LINE = re.compile(
    r"\s*(?:.*[;{}]\s*$|.*\)\s*(?:=>|->|:)\s*$|at\s[\w.$<>]+\(|File\s\"|Traceback\s\(|(?:\w+\.)*\w*(?:Error|Exception):|#include|"
    r"(?:import|from|def|class|return|public|private|static|const|let|var|function|if|for|while)\s.*[=({:;]|</?\w+[^>]*>\s*$|"
    r"\[?\d{4}-\d\d-\d\d[T\s]\d\d:\d\d|\[?\d\d:\d\d:\d\d|\[?(?:INFO|DEBUG|WARN(?:ING)?|ERROR|FATAL|TRACE)\b|[$#>]\s\w+\s-|[\w.\[\]]+\s*=\s*\S+\s*$)"
)
_BLOB = re.compile(
    r"(?<![\w/+])(?:[0-9a-fA-F]{32,}|(?=[A-Za-z+/]*\d)(?=[a-z\d+/]*[A-Z])(?=[A-Z\d+/]*[a-z])[A-Za-z0-9+/]{44,}={0,2})(?![\w/])"
)
_REPEATED = re.compile(r"(\S{1,6}?)\1{15,512}")
_COMBINING = re.compile("[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u20d0-\u20ff]{3,}")
_MASHED = re.compile(
    r"[bcdfghjklmnpqrstvwxz]{7}|[asdfghjkl]{8}|(?:[asdfjkl]{3}[a-z]?){3}|asdf|sdfg|dfgh|fghj|ghjk|hjkl|lkjh|qwer|zxcv|xcvb"
)
_ROW_WORDS = frozenset({"qwerty", "alfalfa", "falafals", "salsas", "flasks"})
_STRETCHED = re.compile(r"(\w)\1+")
_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"\w+(?:['’]\w+)*")


class LanguageError(ChinwagError):
    """A language that cannot be told from others."""


def reason(
    text: str, *, by_looks: bool = True, blocklist: Blocklist | None = None, languages: Sequence[str] = ()
) -> str | None:
    """Say why a message is not to be learned, or None if it is.

    Args:
        text: one message, raw or clean.
        by_looks: whether commands, code, walls of symbols and noise are left out.
        blocklist: words and phrases that are not learned.
        languages: the codes (ISO 639-1) of the languages that are learned; without any, all are.

    Returns:
        "command", "code", "symbols", "noise", "blocked" or "language".

    Raises:
        LanguageError: a language code that the identifier does not know.
    """
    if by_looks and (looks := _looks(text)):
        return looks
    if blocklist is not None and blocklist.finds(text):
        return "blocked"
    if languages and not _is_in(text, languages):
        return "language"
    return None


def _looks(text: str) -> str | None:
    """What a message looks like that nobody said to anybody, or None."""
    words = text.split()
    longest = max(map(len, words), default=0)
    if _COMMAND.match(text):
        return "command"
    if _is_code(text, longest):
        return "code"
    if _has_signs(text) and _is_wall(text):
        return "symbols"
    if _is_noise(text, words, longest):
        return "noise"
    return None


def signature(text: str) -> bytes | None:
    """The keys by which near copies of a long message are found, or None for a short one.

    Returns:
        Four bands of eight bytes; messages that share a band in the same place are near copies, with word 3-grams of a
        Jaccard similarity around 0.8 or more. The same on every machine.
    """
    if len(text) < MIN_SIGNED_CHARACTERS:
        return None
    words = _WORD.findall(text.casefold())
    if len(words) < MIN_SIGNED_WORDS:
        return None
    minhash = RMinHash(num_perm=_BANDS * _ROWS, seed=_SEED)
    minhash.update(
        [" ".join(words[start : start + _SHINGLE_WORDS]) for start in range(len(words) - _SHINGLE_WORDS + 1)]
    )
    rows = _PACKED.pack(*minhash.digest())
    bands = (rows[start : start + _BAND_BYTES] for start in range(0, len(rows), _BAND_BYTES))
    return b"".join(blake2b(band, digest_size=SIGNATURE_BYTES // _BANDS).digest() for band in bands)


class NearCopies:
    """Remembers signatures in 16 MiB, however many come.

    A table of one fingerprint a slot, where a newer one takes the slot of an older one: unlike a Bloom filter, it never
    fills up and begins to see copies everywhere, but forgets some of what is more than some million messages ago.
    """

    def __init__(self) -> None:
        self._slots = memoryview(bytearray(4 * _SLOTS)).cast("I")

    def seen_before(self, signature: bytes) -> bool:
        """Whether an earlier message had one of the signature's bands; the signature is remembered from now on."""
        found = False
        for band in range(_BANDS):
            key = int.from_bytes(signature[band * 8 : band * 8 + 8], "little")
            slot, fingerprint = (key + band) % _SLOTS, key >> 32 or 1  # 0 is an empty slot
            found = found or self._slots[slot] == fingerprint
            self._slots[slot] = fingerprint
        return found


def _is_code(text: str, longest_word: int) -> bool:
    """Whether a message is a block of code, mostly lines of code or of a log, or has a long run of hex or base64."""
    if "```" in text:
        return True
    if "\n" in text:
        lines = [line for line in text.split("\n") if line.strip()]
        if len(lines) >= 4 and sum(map(bool, map(_CODE_LINE.match, lines))) * 2 > len(lines):
            return True
    return longest_word >= _LONG_BLOB and bool(_BLOB.search(text))


def _has_signs(text: str) -> bool:
    """Whether there may be a wall of signs; bytes, because CPython translates them many times faster than `str`."""
    return not text.isascii() or len(text.encode().translate(None, _PLAIN)) >= _MIN_SIGNS


def _is_wall(text: str) -> bool:
    """Whether a message has at least eight signs or emoji and not half as many letters and digits."""
    text = _CUSTOM_EMOJI.sub("\u2b50", text)
    letters = sum(map(str.isalnum, text))
    signs = sum(not (c.isalnum() or c.isspace() or unicodedata.category(c) in _PART_OF_A_SIGN) for c in text)
    return signs >= _MIN_SIGNS and signs > 2 * letters


_PART_OF_A_SIGN = frozenset({"Mn", "Mc", "Me", "Cf", "Sk"})  # accents, vowel signs, joiners, skin tones


def _is_noise(text: str, words: list[str], longest_word: int) -> bool:
    """Whether a message is a flood of a few characters, a mashed keyboard, or letters under heaps of marks."""
    if not text.isascii() and len(_COMBINING.findall(text)) > 1:
        return True
    if len(words) >= 16 and len(set(words)) * 8 <= len(words):
        return True
    if longest_word >= _LONG_WORD:
        repeated = _REPEATED.search(text[:_MAX_LOOKED_AT])
        if repeated and len(repeated[0]) * 2 > min(len(text), _MAX_LOOKED_AT):
            return True
    lowered = text.lower()
    return _is_mashed(lowered, lowered.split())


def _is_mashed(text: str, words: list[str]) -> bool:
    """Whether most of a message is words that no tongue can say, or that lie side by side on the keyboard."""
    shortest = 4 if _has_key_row(text) else 7
    words = [word for word in words if len(word) >= shortest]
    if sum(map(len, words)) * 2 <= len(text):
        return False
    return sum(len(word) for word in words if _is_mashed_word(word)) * 2 > len(text)


def _has_key_row(text: str) -> bool:
    return "sdf" in text or "jkl" in text or "fgh" in text or "hjk" in text or "qwer" in text or "zxc" in text


def _is_mashed_word(word: str) -> bool:
    if len(word) < 4 or not _MASHED.search(word):
        return False
    return len(set(word)) > 3 and word not in _ROW_WORDS and bool(_MASHED.search(_STRETCHED.sub(r"\1", word)))


def _is_in(text: str, languages: Sequence[str]) -> bool:
    """Whether a message may be in one of the languages; one that is too short to tell is."""
    likelihoods = dict(_identifier().rank(_CUSTOM_EMOJI.sub(" ", text)))
    unknown = [language for language in languages if language not in likelihoods]
    if unknown:
        raise LanguageError(
            f"No language that can be told has the code {', '.join(unknown)}: "
            f"name one of {', '.join(sorted(likelihoods))}."
        )
    wanted, best = sum(likelihoods[language] for language in languages), max(likelihoods.values())
    is_long = len(_LETTER.findall(text)) >= _MIN_TOLD_LETTERS
    return bool(wanted * (_DOUBT if is_long else _MORE_DOUBT) >= best)


@cache
def _identifier() -> Any:
    """Loaded (0.6 s) when it is first needed: without languages to choose from it never is."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # type: ignore[import-untyped]

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
