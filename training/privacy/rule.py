"""What one kind of personal detail or secret looks like, and which messages are worth a closer look."""

# ruff: noqa: RUF001 - the signs that people write

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from training.privacy.mnemonic import holds_mnemonic, may_be_mnemonic

Match = re.Match[str]


@dataclass(frozen=True, slots=True)
class Rule:
    """What one kind of detail looks like, and what a text must hold for the pattern to be worth trying.

    Attributes:
        kind: the name it is counted under.
        pattern: the form; its group `out` is taken out. It takes time linear in the text.
        check: confirms a match by what no pattern can express, such as a checksum.
        words: the text holds one of these words, in any case, if there are any.
        signs: the text holds one of these characters or parts of words, if there are any.
        digits: the text holds at least so many digits.
        run: the text holds at least so many characters without a space.
    """

    kind: str
    pattern: re.Pattern[str]
    check: Callable[[Match], bool]
    words: frozenset[bytes]
    signs: tuple[str, ...]
    digits: int
    run: int

    @property
    def is_told_by_words(self) -> bool:
        """Whether nothing but words says that a text could hold this detail."""
        return not (self.digits or self.run or self.signs)


class Glance:
    """What is seen of a text at first glance.

    Attributes:
        words: those of the telling words that it holds.
        digits: how many it holds.
        longest_run: of characters without a space.
    """

    __slots__ = ("_text", "digits", "longest_run", "words")

    def __init__(self, text: str, telling_words: frozenset[bytes]) -> None:
        self.words = telling_words.intersection(_words_of(text))
        self._text = text
        self.digits = len(_DIGIT.findall(text))
        self.longest_run = max(map(len, text.split()), default=0)

    def allows(self, rule: Rule) -> bool:
        """Whether the pattern of a rule could match, but for its words."""
        return (
            self.digits >= rule.digits
            and self.longest_run >= rule.run
            and (not rule.signs or any(sign in self._text for sign in rule.signs))
        )


def is_suspicious(text: str, telling_words: frozenset[bytes]) -> bool:
    """Whether any rule could match, in about two microseconds; a rule that goes by no word is told by a sign.

    Args:
        text: one message.
        telling_words: the words of all rules that go by words alone.
    """
    data = text.encode("utf-8", "replace")
    if len(data.translate(None, _SIGNS)) < len(data) or (not data.isascii() and _DIGIT.search(text)):
        return True
    words = _words_of(text)
    if not telling_words.isdisjoint(words) or (words and len(max(words, key=len)) >= _LONG_WORD):
        return True
    if may_be_mnemonic(words) and holds_mnemonic(text):
        return True
    if (b"-" in data or b"_" in data) and len(max(data.split(), key=len, default=b"")) >= _LONG_WORD:
        return True
    return len(data.translate(None, _BRACKETS)) < len(data) and bool(_BRACKETED_AT.search(text))


def _words_of(text: str) -> list[bytes]:
    """The words of a text in lower case; bytes, because CPython translates them many times faster than `str`."""
    if not text.isascii():
        text = text.lower().translate(_QUOTES)
    return text.encode("utf-8", "replace").translate(_FOLD).split()


def always(match: Match) -> bool:
    """The check of a form that says all."""
    return True


def rule(
    kind: str,
    pattern: str,
    check: Callable[[Match], bool] = always,
    *,
    words: str = "",
    signs: str = "",
    digits: int = 0,
    run: int = 0,
) -> Rule:
    """Compile a rule.

    Args:
        kind, check, digits, run: see `Rule`.
        pattern: in any case and with free spacing; `{{name}}` stands for one of `PARTS`. Without a group `out` all
            of it is taken out.
        signs: characters, or with spaces between them parts of words.
        words: separated by spaces; see `one_of`.
    """
    while "{{" in pattern:
        pattern = re.sub(r"\{\{(\w+)\}\}", lambda name: PARTS[name[1]], pattern)
    if "(?P<out>" not in pattern:
        pattern = f"(?P<out>{pattern})"
    parts = tuple(signs.split() if " " in signs else signs)
    compiled = re.compile(pattern, re.IGNORECASE | re.VERBOSE)
    return Rule(kind, compiled, check, frozenset(_telling(words)), parts, digits, run)


def one_of(names: str) -> str:
    """A pattern of any of the names, which are separated by spaces; `_` in a name is a gap, a hyphen or nothing."""
    longest_first = sorted(names.split(), key=len, reverse=True)
    return f"(?:{'|'.join(longest_first).replace('_', '[ _.-]?')})"


def _telling(names: str) -> Iterator[bytes]:
    """The words by which the names are seen: all of each in one, and the longest of its parts."""
    for name in names.split():
        yield name.replace("_", "").encode()
        yield max(re.split(r"[\W_]+", name), key=len).encode()


_DIGIT = re.compile(r"\d")
_SIGNS = b"0123456789@/\\<"
_BRACKETS = b"([{*"
_BRACKETED_AT = re.compile(r"[(\[{*]\s?(?:at|a|ät|arroba|chiocciola|arobase)\s?[)\]}*]", re.IGNORECASE)
_LONG_WORD = 20
_FOLD = bytes(code if code > 127 or chr(code).isalnum() else 32 for code in range(256)).lower()
_QUOTES = dict.fromkeys(map(ord, "‘’“”„«»…–—¿¡"), " ")

PARTS = {
    "is": r"""(?:\s*(?:'s|’s|[:=]+|-+>|=>|→)\s*
        |\s+(?:is|was|used\sto\sbe|will\sbe|would\sbe|has\sbeen|heißt|heisst|c['’]est|c|se\sllama|si\schiama|are|ist
            |war|lautet|sind|es|era|son|est|était|sont|é|são|è|sono|är|var|er|jest|to\sjest|-)\s+
        (?:(?:now|just|literally|currently|still|like|always|jetzt|immer|ahora|maintenant|toujours|agora|nu|teraz)\s+)?
        |\s+to\s+(?={{odd}}))""",
    # Where a name or a password is told after "is", none of these words stands there.
    "value": r"""(?!(?:the|an?|not|wrong|right|correct|incorrect|required|needed|too|so|very|my|your|our|his|her|their|
        its?|in|on|at|to|for|of|and|or|but|that|this|these|what|when|where|how|still|just|really|always|never|already|
        being|been|closed|open|opened|intercepted|thrown|caught|changed|reset|saved|stored|weak|strong|long|short|safe|secure|hard|easy|invalid|expired|hacked|
        stolen|leaked|broken|gone|lost|if|because|protected|hashed|encrypted|same|different|only|like|literally|also|
        now|no|yes|there|something|nothing|anything|everything|set|asked|is|was|are|were|as|all|i|im|you|he|she|we|
        they|me|please|pls|plz|later|tonight|tomorrow|today|bro|guys|with|by|from|than|then|going|down|dead|private|
        public|full|boring|cool|great|good|bad|fine|nice|better|best|working|acting|blowing|pretty|kinda|mostly|more|
        much|about|taken|locked|banned|deleted|empty|old|new|fun|up|out|off|here|online|offline|any|some|one|who|why|
        which|can|will|would|could|should|do|did|does|have|has|had|get|got|every|u|ur|lol|haha|super|actually|
        probably|maybe|called|named|under|lagging|crashing|free|sick|trash|awesome|amazing|horrible|terrible|weird|
        crazy|awful|dumb|stupid|used|way|getting|making|doing|trying|having|looking|coming|them|him|us|messenger
            |chat|live(?!:)|party)\b)""",
    "handle": r"[@$]?(?:live:)?\w[\w.\-]{0,30}\w(?:\#\w{3,5})?\b",
    # A digit, an underscore or a capital inside: no word of a language.
    "odd": r"(?=[@$]|(?=\S{0,32}[a-z])[\w.\-]{0,32}(?:\w[\d_]|\d\w|_\w|\w_|\w\.\w)|\w{0,32}(?-i:[a-z][A-Z]))",
    # As people make passwords: letters and, among them, a digit or a sign.
    "strong": r"""(?=\S{0,40}[^\W\d_])(?=\S{0,40}(?:\d|[!@\#$%^&*_+=~?]\w))[^\s,;"'`()]{5,64}(?<![.:])""",
    "no": r"(?:number|num|numbers|nummer|numer|numero|numéro|número|nr|nro|no|n°|id|code|ref|\#)",
    "month": r"""(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|
        oct(?:ober)?|nov(?:ember)?|dec(?:ember)?|januari?|jänner|februari?|märz|maart|mars|mei|maj|mai|juni|juli
            |augusti?|
        augustus|okt(?:ober)?|dez(?:ember)?|enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|
        noviembre|diciembre|janvier|février|avril|juin|juillet|août|septembre|octobre|novembre|décembre|janeiro|
        fevereiro|março|maio|junho|julho|setembro|outubro|novembro|dezembro|gennaio|febbraio|aprile|maggio|giugno|luglio|
        settembre|ottobre|dicembre|stycznia|lutego|marca|kwietnia|maja|czerwca|lipca|sierpnia|września|października|
        listopada|grudnia)\b\.?""",
    "clause": r"""(?:"[^"\n]{1,80}"|'[^'\n]{1,80}'|`[^`\n]{1,80}`
        |\S{1,199}[^\s,;](?:[ ](?![-–(&|])[^\s,.!?;]{1,40}){0,4})""",
    "for_what": r"""(?:\s(?:for|to|of|on|de|del|de\sla|do|da|di|du|für|vom|von|zum|zur|van|van\sde
            |till)\s[\w'’.-]{1,20}(?:\s[\w'’.-]{1,20}){0,3}?)?""",
}
"""What several patterns share; more is added by those who use it."""
