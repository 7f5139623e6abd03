"""The text of a message that DiscordChatExporter rendered as HTML, as its author typed it."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from training.exports.discord_message import UNRESOLVED_MENTIONS
from training.exports.html_markup import VOID, Tag, attributes

_MARKS = {"strong": "**", "b": "**", "em": "*", "i": "*", "u": "__", "s": "~~", "strike": "~~"}
_LINE_STARTS = {"h1": "# ", "h2": "## ", "h3": "### ", "li": "- "}
_EMOJI_NAME = re.compile(r"[A-Za-z0-9_~]{2,}")
_URL = re.compile(r"\s*\w+:")  # shown as such; what is behind may be written a bit differently
_MAX_NESTING = 200


class Rendered(NamedTuple):
    """What stood in the markup.

    Attributes:
        content: the text, without the names of people who are mentioned.
        mentioned: the full names of those people.
    """

    content: str
    mentioned: tuple[str, ...] = ()


class _Element(NamedTuple):
    name: str
    begin: int  # of its text among the pieces
    kind: str  # what happens at its end: "" for nothing, a closing mark, or one of the names below
    detail: str = ""


_MENTION, _LINK, _QUOTE, _LEFT_OUT = "mention", "link", "quote", "left out"


def read_markup(markup: Iterable[Tag | str], name: str) -> Rendered:
    """Take the tokens behind the start tag of an element up to its end tag, and put the text together.

    Bold type and the like get their marks back; where there are two ways to mark one thing, the more usual.
    """
    text = _Text()
    for token in markup:
        if isinstance(token, str):
            text.pieces.append(token)
        elif not token.is_end:
            text.start(token)
        elif not text.end(token.name) and token.name == name:
            break
    return Rendered("".join(text.pieces).strip(), tuple(text.mentioned))


class _Text:
    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.mentioned: list[str] = []
        self._open: list[_Element] = []

    def start(self, tag: Tag) -> None:
        if tag.name == "li" and self._open and self._open[-1].name == "li":
            self._finish(self._open.pop())  # its end tag is left out in minified pages
        if tag.name in VOID:
            self.pieces.append(_void(tag))
        elif len(self._open) < _MAX_NESTING:
            opening, kind, detail = _meaning(tag)
            self.pieces.append(opening)
            self._open.append(_Element(tag.name, len(self.pieces), kind, detail))

    def end(self, name: str) -> bool:
        """End the innermost element of a name; False if none is open."""
        if all(element.name != name for element in self._open):
            return False
        while (element := self._open.pop()).name != name:
            self._finish(element)
        self._finish(element)
        return True

    def _finish(self, element: _Element) -> None:
        inside = "".join(self.pieces[element.begin :])
        if element.kind == _MENTION:
            inside = self._mention(inside, element.detail)
        elif element.kind == _LINK:
            inside = f"[{inside}]({element.detail})" if element.detail and not _URL.match(inside) else inside
        elif element.kind == _QUOTE:
            inside = "> " + inside.removesuffix("\n").replace("\n", "\n> ") + inside[len(inside.removesuffix("\n")) :]
        elif element.kind == _LEFT_OUT:
            inside = ""
        else:
            inside += element.kind
        self.pieces[element.begin :] = [inside]

    def _mention(self, inside: str, full_name: str) -> str:
        """Of a person nothing is left; roles and channels are called what they are called."""
        if not inside.startswith("@") or not (full_name or inside[1:] in UNRESOLVED_MENTIONS):
            return inside
        if full_name:
            self.mentioned.append(full_name)
        return " "


def _void(tag: Tag) -> str:
    if tag.name == "br":
        return "\n"
    given = attributes(tag.attributes)
    if tag.name != "img" or not {"emoji", "chatlog__emoji"} & {*given.get("class", "").split()}:
        return ""
    name = given.get("alt", "")
    return f":{name}:" if _EMOJI_NAME.fullmatch(name) else name


def _meaning(tag: Tag) -> tuple[str, str, str]:
    """What a tag puts before what it holds, what happens at its end, and with what."""
    if mark := _MARKS.get(tag.name):
        return mark, mark, ""
    if start := _LINE_STARTS.get(tag.name):
        return start, "\n", ""
    if not tag.attributes:
        return "", "", ""
    given = attributes(tag.attributes)
    kinds = {name.removeprefix("chatlog__markdown-") for name in given.get("class", "").split()}
    if tag.name == "a":
        return "", _LINK, given.get("href", "")
    if "mention" in kinds:
        return "", _MENTION, given.get("title", "")
    if "pre--inline" in kinds:
        return "`", "`", ""
    if "pre--multiline" in kinds:
        language = next((kind.removeprefix("language-") for kind in kinds if kind.startswith("language-")), "")
        return f"```{language}\n" if language else "```", "```", ""
    if kinds & {"spoiler", "spoiler-text", "spoiler--hidden"}:
        return "||", "||", ""
    if "quote" in kinds:
        return "", _QUOTE, ""
    return "", _LEFT_OUT if "chatlog__edited-timestamp" in kinds else "", ""
