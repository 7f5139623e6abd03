"""Personal details and secrets out of one raw message, before anything of it is stored.

What is found is taken out, not replaced by a placeholder: the bot would learn to say the placeholder. Rules rather take
too much: a sentence with a hole costs nothing, a secret that is learned cannot be called back.
"""

import re
import unicodedata
from collections import Counter
from itertools import chain

from training.privacy.addresses import ADDRESSES
from training.privacy.contacts import ACCOUNTS, LINKS
from training.privacy.credentials import KEYS, TOKENS
from training.privacy.hints import HINTS
from training.privacy.identity import IDENTITY
from training.privacy.passwords import PASSWORDS
from training.privacy.payment import PAYMENT
from training.privacy.rule import Glance, Rule, is_suspicious

MAX_CHARACTERS = 20_000
"""A longer text is no chat message: all of it is taken out. It bounds the time that one message can take."""

_RULES = (*LINKS, *KEYS, *PAYMENT, *TOKENS, *PASSWORDS, *IDENTITY, *ADDRESSES, *ACCOUNTS, *HINTS)
_TELLING_WORDS = frozenset(word for rule in _RULES if rule.is_told_by_words for word in rule.words)
_UNTOLD = [(index, rule.digits, rule.run) for index, rule in enumerate(_RULES) if not rule.words]
_TOLD_BY = {
    word: [index for index, rule in enumerate(_RULES) if word in rule.words]
    for word in {word for rule in _RULES for word in rule.words}
}
_WORDS = frozenset(_TOLD_BY)
_MAX_PASSES = 8
_SPACES = re.compile(r"[ \t]+")
_CONTROL = re.compile(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]")
_INVISIBLE = re.compile("[\u00ad\u061c\u180e\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]")
_KEYCAP = re.compile("(?<=\\d)\ufe0f?\u20e3")
_CUSTOM_EMOJI = re.compile(r"<a?(:\w+:)\d+>")
_TIMESTAMP = re.compile(r"<t:-?\d+(?::\w)?>")


def redact(text: str) -> tuple[str, Counter[str]]:
    """Take personal details and secrets out of a raw message.

    Returns:
        The text without them, and how many of which kind there were. Where there were none, the text is as it came;
        else it is also normalised as `clean_text` does, so that what hides behind look-alike digits or invisible
        characters is seen. Redacting the result again changes nothing.
    """
    counts: Counter[str] = Counter()
    if len(text) > MAX_CHARACTERS:
        return "", Counter(overlong=1)
    plain = text if text.isascii() and text.isprintable() and "<" not in text else _readable(text)
    if not is_suspicious(plain, _TELLING_WORDS):
        return text, counts
    for _ in range(_MAX_PASSES):  # what is taken out can bring its neighbours together to something new
        before, plain = plain, _one_pass(plain, counts)
        if plain == before:
            return (plain if counts else text), counts
    return "", counts  # a text that never settles is made to mislead


def _one_pass(text: str, counts: Counter[str]) -> str:
    glance = Glance(text, _WORDS)
    found = counts.total()
    untold = [index for index, digits, run in _UNTOLD if digits <= glance.digits and run <= glance.longest_run]
    for index in sorted({*untold, *chain.from_iterable(map(_TOLD_BY.__getitem__, glance.words))}):
        if glance.allows(rule := _RULES[index]):
            text = _take_out(rule, text, counts)
    if counts.total() == found:
        return text
    return "\n".join(filter(None, (_SPACES.sub(" ", line).strip() for line in text.split("\n"))))


def _take_out(rule: Rule, text: str, counts: Counter[str]) -> str:
    kept, end = [], 0
    for match in rule.pattern.finditer(text):
        if rule.check(match):
            kept.append(text[end : match.start("out")])
            end = match.end("out")
    if not kept:
        return text
    counts[rule.kind] += len(kept)
    return " ".join([*kept, text[end:]])


def _readable(text: str) -> str:
    """The text as it will be learned: NFKC, nothing invisible, custom emoji by name, no timestamps of Discord's."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", _INVISIBLE.sub("", _KEYCAP.sub("", text)))
    return _TIMESTAMP.sub(" ", _CUSTOM_EMOJI.sub(r" \1 ", _CONTROL.sub(" ", text)))
