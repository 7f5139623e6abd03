"""The words that restore a wallet. No sign tells them: they are a dozen short words and no sentence.

BIP 39 takes them from a list of 2048 words of three to eight letters, without articles, most pronouns and auxiliaries.
"""

import re

PATTERN = r"(?<![\w'])(?<![a-z]{3}[ ,])(?:[a-z]{3,20}[ ,]{1,2}){11,40}[a-z]{3,20}(?![\w'])"
"""Words on end without a very short one, tried only where they begin."""

_LENGTH = 12
_MAX_BINDING = 4
_WORDS = re.compile(PATTERN, re.IGNORECASE)
_BINDING = frozenset(
    """the and for was are but not his him she her has had they them from been were its got get out our now how who did
    does cant dont because really going think know make want good some more their would could should also even
    things lol
    haha with your people most which many each those these than ever being having while
    a i to of is it in my me so on at as be do if or we he im by up no ok""".split()  # noqa: SIM905
)
_BINDING_BYTES = frozenset(word.encode() for word in _BINDING)
_OFTEN = frozenset(
    """you that can have when what there like this just all will only time then where into about after other any
    must such
    through well much very never""".split()  # noqa: SIM905
)


def may_be_mnemonic(words: list[bytes]) -> bool:
    """Whether the words of a text, in lower case, are many and hardly any binds."""
    return len(words) >= _LENGTH and len(_BINDING_BYTES.intersection(words)) <= _MAX_BINDING


def holds_mnemonic(text: str) -> bool:
    """Whether there are a dozen such words on end."""
    return any(map(is_mnemonic, _WORDS.finditer(text)))


def is_mnemonic(match: re.Match[str]) -> bool:
    """Whether twelve words on end are no sentence, which would bind, repeat and count its words."""
    words: list[str] = []
    if len(re.findall(r"\b[A-Z]", match[0])) > 1:
        return False
    for word in re.findall(r"[a-z]+", match[0].lower()):
        words = [] if word in _BINDING or len(word) > 8 else [*words, word]
        if len(words) == _LENGTH:
            break
    of_sentences = sum(word in _OFTEN or (word[-1] == "s" and word[-2] not in "sui") for word in words)
    return len(set(words)) >= 0.75 * _LENGTH and of_sentences <= 2
