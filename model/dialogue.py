"""The text contract of training and serving: raw chat text in, clean turns with relative speakers out.

Everything here is pure and needs the standard library only, so that both sides can share it.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

ME = "me"
"""The speaker name of the one who replies, where no account id is at hand."""

MAX_CONTEXT_TURNS = 6
"""How much of a conversation a reply looks back on, in training and in serving."""

_ZERO_WIDTH_JOINER = "\u200d"  # a format character, but it holds emoji such as families together
_SENTENCEPIECE_SPACE = "\u2581"  # SentencePiece's own sign for a space: text must not contain it
_REMEMBERED_CHARACTERS = 1 << 14
_CUSTOM_EMOJI = re.compile(r"<a?(:\w+:)\d+>")
_DISCORD_TOKEN = re.compile(r"<(?:@[!&]?\d+|#\d+|t:-?\d+(?::\w)?|/[^<>:\n]+:\d+|id:\w+)>")
_URL = re.compile(r"<?\bhttps?://\S+", re.IGNORECASE)
_LINE_END = re.compile(r"\r\n|[\n\r\v\f\x85\u2028\u2029]")


class Marker(StrEnum):
    """Who said a turn of the context, seen from the one who replies."""

    ME = "<me>"
    YOU = "<you>"
    OTHER = "<other>"


@dataclass(frozen=True, slots=True)
class Turn:
    """What one speaker said in one go.

    Attributes:
        speaker: an opaque name or account id; only equality matters.
        text: clean text; a line is a message of a burst or a line of a message.
    """

    speaker: str
    text: str


def clean_text(text: str) -> str:
    """Normalise one raw message: NFKC, one space between words, no empty lines.

    Control and format characters, Discord's tokens (`<@1>`, `<#1>`, `<t:1:R>`) and links go; custom emoji
    become `:name:`. The result may be empty. Cleaning clean text changes nothing.
    """
    lines = (_clean_line(line) for line in _LINE_END.split(text))
    return "\n".join(line for line in lines if line)


def merge_bursts(turns: Iterable[Turn]) -> list[Turn]:
    """Join neighbouring turns of one speaker, a line each; turns without text are dropped."""
    merged: list[Turn] = []
    for turn in turns:
        if not turn.text:
            continue
        if merged and merged[-1].speaker == turn.speaker:
            merged[-1] = Turn(turn.speaker, f"{merged[-1].text}\n{turn.text}")
        else:
            merged.append(turn)
    return merged


def render_context(turns: Sequence[Turn], me: str = ME) -> list[tuple[Marker, str]]:
    """Replace speakers by their relation to the one who replies.

    Args:
        turns: the context, oldest first.
        me: the speaker whose reply follows.

    Returns:
        A marker and the text for each turn. `YOU` is the last speaker who is not `me`.
    """
    you = next((turn.speaker for turn in reversed(turns) if turn.speaker != me), None)
    markers = {me: Marker.ME, you: Marker.YOU}
    return [(markers.get(turn.speaker, Marker.OTHER), turn.text) for turn in turns]


def _clean_line(line: str) -> str:
    if not (line.isascii() and line.isprintable()):  # else, as in most lines, there is nothing to normalise
        line = unicodedata.normalize("NFKC", line.translate(_VISIBLE))
    if "<" in line:
        line = _DISCORD_TOKEN.sub(" ", _CUSTOM_EMOJI.sub(r" \1 ", line))
    if ":" in line:
        line = _URL.sub(" ", line)
    line = " ".join(line.split())
    if "<" in line and _DISCORD_TOKEN.search(line):  # spelled by what was around another one: `</a<@1>b:1>`
        line = " ".join(line.replace("<", " ").split())
    return line


class _Visible(dict[int, str]):
    """What is seen of each character, for `str.translate`; filled as characters are met."""

    def __missing__(self, code: int) -> str:
        visible = _visible(chr(code))
        if len(self) < _REMEMBERED_CHARACTERS:
            self[code] = visible
        return visible


_VISIBLE = _Visible()


def _visible(character: str) -> str:
    if character == _SENTENCEPIECE_SPACE:
        return "_"
    category = unicodedata.category(character)
    if category == "Cc":
        return " "
    if category == "Cs" or (category == "Cf" and character != _ZERO_WIDTH_JOINER):
        return ""
    return character
