"""A paragraph in, its sentences out."""

import re

_STOPS = ".!?\u2026"
_WIDE_STOPS = "\u3002\uff01\uff1f"  # Chinese and Japanese, where no space follows
_CLOSING = re.escape("\"'\u201d\u2019\u00bb)]*_\u300d\u300f")
_OPENING = re.escape("\"'\u201c\u2018\u201e\u00ab\u00bf\u00a1([*_-\u2014")

SENTENCE_END = re.compile(rf"(?:(?<![{_STOPS}])[{_STOPS}]+[{_CLOSING}]*(?=\s|$)|[{_WIDE_STOPS}]+[{_CLOSING}]*)\s*")
"""A stop, what closes with it, and the space behind."""

ENDS_LIKE_PROSE = re.compile(rf"[{_STOPS}{_WIDE_STOPS}:;,\u2014\u2013-][{_CLOSING}]*$|[{_CLOSING}]$")
"""The end of a paragraph that is no heading."""

_LAST_WORD = re.compile(r"(\w(?:\w|\.(?=\w))*)\.$")
_LAST_CHARACTERS = 40
_NEXT_WORD = re.compile(rf"[{_OPENING}\s]*+(\w)")
_BEFORE_NAMES = frozenset(
    {"mr", "mrs", "ms", "messrs", "mme", "mlle", "dr", "prof", "st", "rev", "hon", "gen", "col", "maj", "capt", "lt"}
    | {"sgt", "gov", "sen", "rep", "hr", "vs", "cf", "ca", "e.g", "i.e", "z.b", "u.a", "d.h", "u.s", "bzw"}
)
_BEFORE_NUMBERS = frozenset(
    {"no", "nos", "nr", "vol", "fig", "pp", "ch", "sec", "op", "art", "bd"}
    | {"jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec"}
)


def split_sentences(paragraph: str) -> list[str]:
    """Split where a stop is followed by what begins a sentence, unless the stop belongs to an abbreviation.

    Args:
        paragraph: without line breaks.

    Returns:
        The sentences, without spaces around; together they are the paragraph.
    """
    sentences: list[str] = []
    begin = 0
    for stop in SENTENCE_END.finditer(paragraph):
        if _is_end(paragraph[max(begin, stop.end() - _LAST_CHARACTERS) : stop.end()].rstrip(), paragraph, stop.end()):
            sentences.append(paragraph[begin : stop.end()].strip())
            begin = stop.end()
    sentences.append(paragraph[begin:].strip())
    return [sentence for sentence in sentences if sentence]


def _is_end(end: str, paragraph: str, next_: int) -> bool:
    follows = _NEXT_WORD.match(paragraph, next_)
    if follows is None or follows[1].islower():
        return follows is None  # as in "What?" he said
    word = _LAST_WORD.search(end)
    if word is None:
        return True
    last = word[1].casefold()
    is_initial = len(last) == 1 and last.isalpha() and last != "i"  # as in J. S. Bach
    return not (is_initial or last in _BEFORE_NAMES or (last in _BEFORE_NUMBERS and follows[1].isdigit()))
