"""DiscordChatExporter's HTML in its layouts since 2019: before 2022, since then, and minified.

A file is cut where groups of messages (of one author, within minutes) begin, so that memory is bounded.
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from training.exports.discord_channel import describe_channel
from training.exports.discord_markup import Rendered, read_markup
from training.exports.discord_message import is_notice, mentioned_ids, snowflake_time
from training.exports.file import ExportFile
from training.exports.html_markup import Markup, Tag, attributes, class_names
from training.exports.json_values import MAX_VALUE_BYTES
from training.exports.message import GONE, Message

NAME = "DiscordChatExporter's HTML"

_HTML = re.compile(rb"(?:\xef\xbb\xbf)?[\s\0]*<(?:!doctype html|html)\b", re.IGNORECASE)
_CLASSES = re.compile(rb"chatlog__|preamble__entry|info__guild-name")
_GROUP = re.compile(rb"<div [^<>]{0,200}?class=\"?chatlog__message-group\b")
_GROUP_BYTES = 256  # at least as long as its tag
_NAME_IN_HEAD = re.compile(r"class=\"?(?:preamble__entry|info__(?:guild|channel)-name)\"?\s*>([^<]*)<")
_TITLE = re.compile(r"<title>([^<]*)</title>")
_BLOCK_BYTES = 1 << 18
_FILE_ENDS = (b"postamble", b"</html>")

_AUTHOR = frozenset({"chatlog__author", "chatlog__author-name", "chatlog__system-notification-author"})
_TAGS = frozenset({"chatlog__author-tag", "chatlog__bot-tag"})
_LINK = frozenset({"chatlog__reply-link", "chatlog__reference-link"})
_NO_TARGET = frozenset({"chatlog__reply-unknown", "chatlog__reference-unknown"})
_PLAIN = re.compile(  # most messages: read_markup would do the same
    r"\s*+<span class=\"?(?:chatlog__markdown-preserve|markdown|preserve-whitespace)\"?>([^<]*+)</span>\s*+</div>"
)
_MARK = re.compile(
    r"data-message-id|chatlog__(?:author(?:-name|-tag)?|bot-tag|system-notification-(?:author|content)|content"
    r"|(?:reply|reference)-(?:link|unknown))(?![\w-])"
)
_SCROLLS_TO = re.compile(r"scrollToMessage\(event,\s*['\"](\d+)")


def recognises(export: ExportFile) -> bool:
    """Whether it is a page with the exporter's names for its elements."""
    return bool(_HTML.match(export.head) and _CLASSES.search(export.head))


class _Piece(NamedTuple):
    """A group of messages, or what comes before the first one; the last one holds the end of the file."""

    byte: int
    text: bytes
    is_last: bool

    @property
    def is_cut(self) -> bool:
        """Whether the file breaks off in or behind it."""
        return self.is_last and not any(end in self.text for end in _FILE_ENDS)


@dataclass(slots=True)
class _Author:
    id: str
    name: str
    is_bot: bool = False


@dataclass(slots=True)
class _Draft:
    """A message as far as its markup is read."""

    id: str
    tag: Tag  # with which its element begins
    content: str = ""
    mentioned: tuple[str, ...] = ()
    reply_to: str | None = None
    is_system: bool = False


def read(export: ExportFile) -> Iterator[Message]:
    """Yield the messages in file order; what is garbled and a missing end are noted."""
    count = 0
    channel = ""
    ids: dict[str, str] = {}  # of accounts, by full name
    with export.open() as stream:
        for piece in _pieces(stream):
            if piece.byte == 0:
                channel = _channel(export, piece.text)
            elif len(piece.text) > MAX_VALUE_BYTES:
                count += 1
                export.garbled(count, piece.byte, f"a group of messages of more than {MAX_VALUE_BYTES >> 20} MiB")
            else:
                group = _Group(piece.text.decode("utf-8", "replace").replace("\0", ""), ids)
                for draft in group.drafts():
                    if piece.is_cut and not group.is_whole(draft):
                        break
                    count += 1
                    if group.author:
                        yield _to_message(channel, draft, group.author, ids)
                    else:
                        export.garbled(count, piece.byte, "it does not say who wrote it")
            if piece.is_cut:
                export.cut(count, piece.byte + len(piece.text), "no end of the page")


def _pieces(stream: BinaryIO) -> Iterator[_Piece]:
    """Cut a file where groups begin. Of one that is too long only the beginning comes."""
    rest, byte, skipped = b"", 0, 0
    while block := stream.read(max(_BLOCK_BYTES, len(rest))):
        searched = max(len(rest) - _GROUP_BYTES, 1)
        rest += block
        start = 0
        for match in _GROUP.finditer(rest, searched):
            yield _Piece(byte, rest[start : match.start()], is_last=False)
            byte += match.start() - start + skipped
            start, skipped = match.start(), 0
        rest = rest[start:]
        if len(rest) > 2 * MAX_VALUE_BYTES:
            kept = MAX_VALUE_BYTES + 1
            skipped += len(rest) - kept - _GROUP_BYTES
            rest = rest[:kept] + rest[-_GROUP_BYTES:]
    yield _Piece(byte, rest, is_last=True)


def _channel(export: ExportFile, text: bytes) -> str:
    """Describe the channel, and return its id."""
    page = text.decode("utf-8", "replace").replace("\0", "")
    names = _NAME_IN_HEAD.findall(page)[:2] or [
        name for title in _TITLE.findall(page)[:1] for name in title.split(" - ")
    ]
    guild, *path = (html.unescape(name).strip() for name in names) if names else ("",)
    return describe_channel(export, guild, " / ".join(path))


def _to_message(channel: str, draft: _Draft, author: _Author, ids: dict[str, str]) -> Message:
    mentioned = (ids[name] for name in draft.mentioned if name in ids)
    return Message(
        channel=channel,
        id=draft.id,
        author=author.id,
        timestamp=snowflake_time(draft.id),
        content=draft.content,
        reply_to=draft.reply_to,
        is_bot=author.is_bot,
        is_system=draft.is_system,
        name=author.name,
        mentions=tuple(dict.fromkeys((*mentioned, *mentioned_ids(draft.content)))),
    )


class _Group:
    """Reads the messages of one author.

    Attributes:
        author: None as long as it has not been named.
    """

    def __init__(self, text: str, ids: dict[str, str]) -> None:
        """Args: the markup, and the ids of accounts by full name, to which the author is added."""
        self.author: _Author | None = None
        self._markup = Markup(text)
        self._ids = ids
        self._draft: _Draft | None = None
        self._reply_to: str | None = None  # of the first message: before 2022 it came before that
        self._has_unmarked_notices = False  # before 2022

    def drafts(self) -> Iterator[_Draft]:
        """Yield each message when all that belongs to it has been read."""
        while tag := self._markup.seek(_MARK):
            if id_ := attributes(tag.attributes).get("data-message-id"):
                if self._draft:
                    yield self._draft
                self._draft = _Draft(id_, tag, reply_to=self._reply_to)
                self._reply_to = None
            else:
                self._read(tag)
        if self._draft:
            yield self._draft

    def is_whole(self, draft: _Draft) -> bool:
        """Whether the last message of a file that breaks off is all there."""
        return draft is not self._draft or self._markup.is_balanced_from(draft.tag)

    def _read(self, tag: Tag) -> None:
        kinds = class_names(tag.attributes)
        if kinds & _AUTHOR:
            self._read_author(tag)
            self._has_unmarked_notices = "chatlog__author-name" in kinds
        elif kinds & _TAGS and self.author:
            self.author.is_bot = True
        elif kinds & _LINK:
            if target := _SCROLLS_TO.search(attributes(tag.attributes).get("onclick", "")):
                self._answers(target[1])
        elif kinds & _NO_TARGET:
            self._answers(GONE)
        elif self._draft and "chatlog__system-notification-content" in kinds:
            self._draft.is_system = True
            self._draft.content = " ".join(read_markup(self._markup, tag.name).content.split())
        elif self._draft and "chatlog__content" in kinds:
            plain = self._markup.take(_PLAIN)
            rendered = Rendered(html.unescape(plain[1]).strip()) if plain else read_markup(self._markup, tag.name)
            self._draft.content = rendered.content
            self._draft.is_system = self._has_unmarked_notices and is_notice(rendered.content)
            self._draft.mentioned = rendered.mentioned

    def _read_author(self, tag: Tag) -> None:
        given = attributes(tag.attributes)
        name = read_markup(self._markup, tag.name).content
        full_name = given.get("title") or name
        id_ = given.get("data-user-id") or full_name
        self._ids[full_name] = id_
        if self.author is None:
            self.author = _Author(id_, name)

    def _answers(self, target: str) -> None:
        if self._draft:
            self._draft.reply_to = target
        else:
            self._reply_to = target
