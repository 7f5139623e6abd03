"""What DiscordChatExporter writes of one made-up channel, in each of its formats and layouts."""

import html
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

CHANNEL = "700000000000000001"
_DISCORD_EPOCH_MS = 1_420_070_400_000
_RULE = "=" * 62
_GROUP = timedelta(minutes=7)


@dataclass(frozen=True)
class User:
    """Somebody on the server; `full_name` is as the exporter prints it."""

    id: str
    full_name: str
    display_name: str
    is_bot: bool = False


ANN = User("100000000000000001", "ann#1234", "Annie 🌸")
BOB = User("100000000000000002", "bob", "bob")
ROBOT = User("100000000000000003", "robot#0007", "robot", is_bot=True)
GONE_ONE = User("100000000000000004", "Deleted User#0000", "Deleted User")
GONE_TWO = User("100000000000000005", "Deleted User#0000", "Deleted User")
USERS = {user.id: user for user in (ANN, BOB, ROBOT, GONE_ONE, GONE_TWO)}


@dataclass(frozen=True)
class Said:
    """A message as it was typed, with Discord's marks in it."""

    minute: float
    author: User
    typed: str
    kind: str = "Default"
    reply_to: str | None = None  # "" if it was deleted
    has_extras: bool = False  # an attachment, an embed, a sticker and reactions
    forwards: str | None = None

    @property
    def time(self) -> datetime:
        return datetime(2024, 1, 13, 21, 7, 3, 250_000, UTC) + timedelta(minutes=self.minute)

    @property
    def id(self) -> str:
        return str((round(self.time.timestamp() * 1000) - _DISCORD_EPOCH_MS) << 22)

    @property
    def plain(self) -> str:
        """As in JSON, CSV and text."""
        text = re.sub(r"<@(\d+)>", lambda match: f"@{_display_name(match[1])}", self.typed)
        return re.sub(r"<a?(:\w+:)\d+>", r"\1", text).replace(f"<#{CHANNEL}>", "#general")


FIRST = Said(0, ANN, "hey, anyone **here**?\nlook:\n\nx < y && y > z")
MESSAGES = (
    FIRST,
    Said(0.5, ANN, "and *another* one, ~~not~~ __quickly__ ||secret||"),
    Said(1, BOB, f"<@{ANN.id}> yes `a <b> c` <:lul:1234> 🔥 and <@{ANN.id}>", has_extras=True),
    Said(2, BOB, "see https://example.org/a?b=1&c=2 in <#700000000000000001>", "Reply", FIRST.id),
    Said(3, BOB, "of whom?", "Reply", ""),
    Said(4, GONE_ONE, "Joined the server.", "GuildMemberJoin"),
    Said(5, ROBOT, "beep", has_extras=True),
    Said(6, ANN, "", has_extras=True),
    Said(20, GONE_ONE, "who <@999999999999999999> was"),
    Said(21, GONE_TWO, 'he said "no; never", then left'),
    Said(22, BOB, "", forwards="words of somebody else"),
    Said(23, ANN, "```py\nprint('&')\n```"),
    Said(24, BOB, "> a quote\n> of two lines\nand {Reactions} [1/13/2024 9:07 PM] bob\n{Embed}"),
)


def _display_name(id_: str) -> str:
    return USERS[id_].display_name if id_ in USERS else "Unknown"


def _user(user: User) -> dict[str, Any]:
    name, _, discriminator = user.full_name.partition("#")
    return {
        "id": user.id,
        "name": name,
        "discriminator": discriminator or "0000",
        "nickname": user.display_name,
        "color": None,
        "isBot": user.is_bot,
        "roles": [{"id": "7", "name": "Mod", "color": None, "position": 9}],
        "avatarUrl": "https://example.org/a.png",
    }


def _record(said: Said) -> dict[str, Any]:
    mentioned = [USERS[id_] for id_ in re.findall(r"<@(\d+)>", said.typed) if id_ in USERS]
    target = next((other.author for other in MESSAGES if other.id == said.reply_to), None)
    record: dict[str, Any] = {
        "id": said.id,
        "type": said.kind,
        "timestamp": said.time.isoformat(timespec="milliseconds"),
        "timestampEdited": None,
        "callEndedTimestamp": None,
        "isPinned": False,
        "content": said.plain,
        "author": _user(said.author),
        "attachments": [{"id": "8", "url": "https://example.org/b.png", "fileName": "b.png"}] * said.has_extras,
        "embeds": [{"title": "Embedded", "description": "an embed's words", "fields": []}] * said.has_extras,
        "stickers": [],
        "reactions": [{"emoji": {"id": "", "name": "👍", "code": "thumbsup"}, "count": 2}] * said.has_extras,
        "mentions": [_user(user) for user in ([target] if target else []) + mentioned],
    }
    if said.reply_to is not None:
        record["reference"] = {"messageId": said.reply_to or None, "channelId": CHANNEL, "guildId": "300"}
    if said.forwards:
        record["reference"] = {"type": "Forward", "messageId": "5", "channelId": "6", "guildId": "300"}
        record["forwardedMessage"] = {"timestamp": "2024-01-01T00:00:00+00:00", "content": said.forwards}
    return record


def json_export(messages: Iterable[Said], indent: int | None = 2) -> str:
    """JSON as of 2026."""
    records = [_record(said) for said in messages]
    return json.dumps(
        {
            "guild": {"id": "300", "name": "Teahouse", "iconUrl": "https://example.org/i.png"},
            "channel": {"id": CHANNEL, "type": "GuildTextChat", "category": "Rooms", "name": "general", "topic": None},
            "dateRange": {"after": None, "before": None},
            "exportedAt": "2026-01-01T00:00:00+00:00",
            "messages": records,
            "messageCount": len(records),
        },
        indent=indent,
        ensure_ascii=False,
    )


def csv_export(messages: Iterable[Said]) -> str:
    """CSV since 2023."""
    lines = ["AuthorID,Author,Date,Content,Attachments,Reactions"]
    for said in messages:
        date = said.time.strftime("%Y-%m-%dT%H:%M:%S.%f0+00:00")
        extras = ("https://example.org/b.png", "👍 (2)") if said.has_extras else ("", "")
        lines.append(_row(",", said.author.id, said.author.full_name, date, said.plain, *extras))
    return "\n".join(lines) + "\n"


def old_csv_export(messages: Iterable[Said]) -> str:
    """CSV before 2021: semicolons, one more at the end, local dates."""
    lines = ["AuthorID;Author;Date;Content;Attachments;Reactions;"]
    for said in messages:
        lines.append(_row(";", said.author.id, said.author.full_name, _old_date(said), said.plain, "", "") + ";")
    return "\r\n".join(lines) + "\r\n"


def _row(delimiter: str, *fields: str) -> str:
    return delimiter.join('"' + field.replace('"', '""') + '"' for field in fields)


def _old_date(said: Said) -> str:
    return said.time.strftime("%d-%b-%y %I:%M %p")


def _new_date(said: Said) -> str:
    return f"{said.time.month}/{said.time.day}/{said.time.year} {said.time.strftime('%I:%M %p').lstrip('0')}"


def text_export(messages: Iterable[Said]) -> str:
    """Plain text as of 2026."""
    head = [_RULE, "Guild: Teahouse", "Channel: Rooms / general", "Topic: tea: and more", _RULE, ""]
    lines = head + [line for said in messages for line in _text(said, _new_date(said))]
    return "\n".join([*lines, _RULE, f"Exported {len(list(messages))} message(s)", _RULE, ""])


def old_text_export(messages: Iterable[Said]) -> str:
    """Plain text before 2020: it says at the beginning how many messages there are, and nothing at the end."""
    count = len(list(messages))
    head = [
        _RULE,
        "Guild: Teahouse",
        "Channel: general",
        f"Messages: {count}",
        "Range: before 05-Feb-24 12:00 AM",
        _RULE,
    ]
    return "\r\n".join([*head, "", *(line for said in messages for line in _text(said, _old_date(said)))])


def _text(said: Said, date: str) -> list[str]:
    lines = [f"[{date}] {said.author.full_name}{' (pinned)' * said.has_extras}", *said.plain.split("\n"), ""]
    if said.forwards:
        lines += ["{Forwarded Message}", said.forwards, "Originally sent: 1/1/2024 12:00 AM", ""]
    if said.has_extras:
        lines += ["{Attachments}", "https://example.org/b.png", "", "{Embed}", "Embedded", "an embed's words", ""]
        lines += ["{Stickers}", "https://example.org/s.png", "", "{Reactions}", "👍 (2)"]
    return [*lines, ""]


def groups(messages: Iterable[Said]) -> list[list[Said]]:
    """The messages as HTML shows them together."""
    found: list[list[Said]] = []
    for said in messages:
        last = found[-1][-1] if found else None
        is_alike = last and last.author == said.author and said.time - last.time < _GROUP
        if is_alike and said.reply_to is None and {said.kind, last.kind if last else ""} <= {"Default", "Reply"}:
            found[-1].append(said)
        else:
            found.append([said])
    return found


def _markup(typed: str, emoji: str, mention: str, code: str, block: str, spoiler: str) -> str:
    """Render what was typed; the other arguments are the names of classes."""
    text = html.escape(typed)
    for mark, tag in ((r"\*\*", "strong"), (r"\*", "em"), ("__", "u"), ("~~", "s")):
        text = re.sub(rf"{mark}(.+?){mark}", rf"<{tag}>\1</{tag}>", text)
    text = re.sub(r"```(\w+)\n(.*?)```", rf'<div class="{block} language-\1">\2</div>', text, flags=re.DOTALL)
    text = re.sub(r"`([^`]+)`", rf'<span class="{code}">\1</span>', text)
    text = re.sub(r"\|\|(.+?)\|\|", rf'<span class="{spoiler}">\1</span>', text)
    text = re.sub(r"^((?:&gt; .*\n?)+)", lambda match: _quote(match[1]), text, flags=re.MULTILINE)
    text = re.sub(r"(https://\S+)", r'<a href="\1">\1</a>', text)
    text = re.sub(
        r"&lt;@(\d+)&gt;",
        lambda match: f'<span class="{mention}" title="{_full_name(match[1])}">@{_display_name(match[1])}</span>',
        text,
    )
    text = re.sub(r"&lt;#\d+&gt;", f'<span class="{mention}">#general</span>', text)
    text = re.sub(r"&lt;a?:(\w+):\d+&gt;", rf'<img class="{emoji}" alt="\1" title="\1" src="e/1.png">', text)
    text = text.replace("🔥", f'<img class="{emoji}" alt="🔥" title="fire" src="e/fire.svg">')
    return text.replace("\n", "<br>")


def _quote(quoted: str) -> str:
    inside = quoted.replace("&gt; ", "")
    return f'<div class="chatlog__markdown-quote"><div class="chatlog__markdown-quote-content">{inside}</div></div>'


def _full_name(id_: str) -> str:
    return USERS[id_].full_name if id_ in USERS else "Unknown"


def old_html_export(messages: Iterable[Said]) -> str:
    """HTML before 2022."""
    body = "".join(map(_old_group, groups(messages)))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<title>Teahouse - general</title>\n'
        "<style>.chatlog__message-group { margin: 0; }</style>\n</head>\n<body>\n"
        '<div class="info">\n<div class="info__guild-name">Teahouse</div>\n'
        '<div class="info__channel-name">general</div>\n</div>\n'
        f'<div class="chatlog">\n{body}</div>\n</body>\n</html>\n'
    )


def _old_group(group: list[Said]) -> str:
    author = group[0].author
    tag = '<span class="chatlog__bot-tag">BOT</span>' if author.is_bot else ""
    return (
        f'        <div class="chatlog__message-group">\n{_reply(group[0], "chatlog__reference")}'
        f'            <div class="chatlog__messages">\n                <span class="chatlog__author-name" '
        f'title="{author.full_name}" data-user-id="{author.id}">{author.display_name}</span>\n{tag}\n'
        f'                <span class="chatlog__timestamp">{_old_date(group[0])}</span>\n'
        f"{''.join(map(_old_message, group))}            </div>\n        </div>\n"
    )


def _old_message(said: Said) -> str:
    text = _markup(said.typed, "emoji", "mention", "pre pre--inline", "pre pre--multiline", "spoiler")
    content = (
        f'                        <div class="chatlog__content">\n                            '
        f'<span class="markdown">{text}</span>\n'
        f'<span class="chatlog__edited-timestamp" title="{_old_date(said)}">(edited)</span>\n</div>\n'
    )
    return (
        f'                    <div class="chatlog__message " data-message-id="{said.id}" id="message-{said.id}">\n'
        f"{content if said.typed else ''}{_extras(said)}                    </div>\n"
    )


def html_export(messages: Iterable[Said]) -> str:
    """HTML since 2022."""
    count = len(list(messages))
    body = "\n".join(map(_group, groups(messages)))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<title>Teahouse - general</title>\n'
        "<style>.chatlog__message-group { margin: 0 }</style>\n</head>\n<body>\n"
        '<div class="preamble">\n<div class="preamble__entries-container">\n'
        '<div class="preamble__entry">Teahouse</div>\n'
        '<div class="preamble__entry">Rooms / general</div>\n'
        '<div class="preamble__entry preamble__entry--small">tea</div>\n</div>\n</div>\n'
        f'<div class="chatlog">\n{body}\n</div>\n<div class="postamble">\n'
        f'<div class="postamble__entry">Exported {count} message(s)</div>\n</div>\n</body>\n</html>\n'
    )


def minified_html_export(messages: Iterable[Said]) -> str:
    """HTML since the end of June 2022: one group a line, no needless quotes, end tags or spaces."""
    page = re.sub(r'="([^\s"\'`=<>]+)"', r"=\1", html_export(messages))
    page = re.sub(r">\n\s*<", "><", page).replace("</body></html>\n", "")
    return page.replace("<div class=chatlog__message-group>", "\n<div class=chatlog__message-group>")


def _group(group: list[Said]) -> str:
    first = group[0]
    return f'<div class="chatlog__message-group">\n{"".join(_message(said, said is first) for said in group)}</div>'


def _message(said: Said, is_first: bool) -> str:
    start = (
        f'<div id="chatlog__message-container-{said.id}" class="chatlog__message-container " '
        f'data-message-id="{said.id}">\n<div class="chatlog__message">\n'
    )
    user = f'title="{said.author.full_name}" data-user-id="{said.author.id}"'
    name = said.author.display_name
    if said.kind == "GuildMemberJoin":
        return (
            f'{start}<div class="chatlog__message-primary">\n'
            f'<span class="chatlog__system-notification-author" {user}>{name}</span>\n<span> </span>\n'
            '<span class="chatlog__system-notification-content">\n<span>joined the server.</span>\n</span>\n'
            "</div>\n</div>\n</div>\n"
        )
    tag = '<span class="chatlog__author-tag">BOT</span>\n' if said.author.is_bot else ""
    header = (
        f'{_reply(said, "chatlog__reply")}<div class="chatlog__header">\n<span class="chatlog__author" {user}>{name}'
        f'</span>\n{tag}<span class="chatlog__timestamp" title="x"><a href="#x">{_new_date(said)}</a></span>\n</div>\n'
    )
    text = _markup(
        said.typed,
        "chatlog__emoji ",
        "chatlog__markdown-mention",
        "chatlog__markdown-pre chatlog__markdown-pre--inline",
        "chatlog__markdown-pre chatlog__markdown-pre--multiline",
        "chatlog__markdown-spoiler chatlog__markdown-spoiler--hidden",
    )
    content = (
        f'<div class="chatlog__content chatlog__markdown">\n<span class="chatlog__markdown-preserve">{text}</span>\n'
        f'<span class="chatlog__edited-timestamp" title="x">(edited)</span>\n</div>\n'
    )
    return (
        f'{start}<div class="chatlog__message-aside">\n<img class="chatlog__avatar" src="a.png" alt="Avatar">\n</div>\n'
        f'<div class="chatlog__message-primary">\n{header if is_first else ""}{content if said.typed else ""}'
        f"{_extras(said)}</div>\n</div>\n</div>\n"
    )


def _reply(said: Said, name: str) -> str:
    if said.reply_to is None:
        return ""
    if not said.reply_to:
        return f'<div class="{name}">\n<div class="{name}-unknown">Original message was deleted.</div>\n</div>\n'
    return (
        f'<div class="{name}">\n<div class="{name}-author" title="ann#1234">Annie</div>\n<div class="{name}-content">\n'
        f'<span class="{name}-link" onclick="scrollToMessage(event, \'{said.reply_to}\')">\nquoted words\n</span>\n'
        "</div>\n</div>\n"
    )


def _extras(said: Said) -> str:
    forwarded = (
        '<div class="chatlog__forwarded">\n<div class="chatlog__forwarded-content chatlog__markdown">\n'
        f'<span class="chatlog__markdown-preserve">{said.forwards}</span>\n</div>\n</div>\n'
    )
    extras = (
        '<div class="chatlog__attachment">\n<a href="b.png"><img class="chatlog__attachment-media" src="b.png"></a>\n'
        '</div>\n<div class="chatlog__embed">\n<div class="chatlog__embed-title"><span class="markdown">Embedded</span>'
        '</div>\n</div>\n<div class="chatlog__reactions">\n<div class="chatlog__reaction" title="thumbsup">'
        '<img class="chatlog__emoji chatlog__emoji--small" alt="👍" src="t.svg"> 2</div>\n</div>\n'
    )
    return (forwarded if said.forwards else "") + (extras if said.has_extras else "")


EXPORTS: dict[str, Callable[[Iterable[Said]], str]] = {
    "JSON": json_export,
    "HTML": html_export,
    "HTML, minified": minified_html_export,
    "HTML before 2022": old_html_export,
    "CSV": csv_export,
    "CSV before 2021": old_csv_export,
    "text": text_export,
    "text before 2020": old_text_export,
}
"""Every format and layout."""
