"""DiscordChatExporter's HTML: what is peculiar to it (see also the tests of agreement and of damage)."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.training.discord_chat_exporter import (
    ANN,
    BOB,
    MESSAGES,
    Said,
    html_export,
    minified_html_export,
    old_html_export,
)
from training.exports import GONE, Channel, Message, ReadNotes, discord_chat_exporter_html
from training.exports.file import ExportFile

Export = Callable[[Iterable[Said]], str]

LAYOUTS: list[Export] = [html_export, minified_html_export, old_html_export]


def read(folder: Path, content: str, name: str = "export.html") -> tuple[list[Message], ReadNotes]:
    path = folder / name
    path.write_text(content)
    notes = ReadNotes()
    return list(discord_chat_exporter_html.read(ExportFile(path, notes))), notes


def read_markup(folder: Path, markup: str) -> Message:
    """The one message whose content has some markup."""
    page = html_export([Said(0, ANN, "the text")])
    (message,), _ = read(folder, page.replace("the text", markup))
    return message


@pytest.mark.parametrize("export", LAYOUTS)
def test_every_message_of_a_group_has_its_author(tmp_path: Path, export: Export) -> None:
    said = [Said(0, ANN, "one"), Said(1, ANN, "two"), Said(2, BOB, "three"), Said(3, ANN, "four")]
    messages, _ = read(tmp_path, export(said))
    assert [(message.author, message.name, message.content) for message in messages] == [
        (ANN.id, "Annie 🌸", "one"),
        (ANN.id, "Annie 🌸", "two"),
        (BOB.id, "bob", "three"),
        (ANN.id, "Annie 🌸", "four"),
    ]


@pytest.mark.parametrize("export", LAYOUTS)
def test_the_target_of_a_reply_is_what_a_click_scrolls_to(tmp_path: Path, export: Export) -> None:
    said = [Said(0, ANN, "one"), Said(1, BOB, "two", "Reply", MESSAGES[0].id), Said(2, BOB, "three", "Reply", "")]
    messages, _ = read(tmp_path, export(said))
    assert [message.reply_to for message in messages] == [None, MESSAGES[0].id, GONE]


def test_a_slash_command_is_no_reply(tmp_path: Path) -> None:
    page = html_export([Said(0, ANN, "one", "Reply", "5")])
    command = page.replace(
        '<span class="chatlog__reply-link" onclick="scrollToMessage(event, \'5\')">', "used /ping<span>"
    )
    assert read(tmp_path, command)[0][0].reply_to is None


@pytest.mark.parametrize(
    ("markup", "content"),
    [
        ("a &lt;b&gt; &amp;amp; &#39;c&#39;", "a <b> &amp; 'c'"),
        ("<strong>a</strong> <em>b</em> <u>c</u> <s>d</s>", "**a** *b* __c__ ~~d~~"),
        ("<strong><em>a</em></strong>", "***a***"),
        ("one<br>two\nthree", "one\ntwo\nthree"),
        ('<code class="chatlog__markdown-pre chatlog__markdown-pre--inline">x &lt; y</code>', "`x < y`"),
        (
            '<code class="chatlog__markdown-pre chatlog__markdown-pre--multiline language-c">x;\ny;</code>',
            "```c\nx;\ny;```",
        ),
        ('<code class="chatlog__markdown-pre chatlog__markdown-pre--multiline nohighlight">x</code>', "```x```"),
        ('<span class="chatlog__markdown-spoiler chatlog__markdown-spoiler--hidden">boo</span>', "||boo||"),
        (
            '<a href="https://example.org/?a=1&amp;b=2">https://example.org/?a=1&amp;b=2</a>',
            "https://example.org/?a=1&b=2",
        ),
        ('<a href="https://example.org/">here</a>', "[here](https://example.org/)"),
        ("<h2>title</h2>text", "## title\ntext"),
        ("<ul><li>a</li><li>b</li></ul>", "- a\n- b"),
        ("<ul><li>a<li>b</ul>", "- a\n- b"),
        ('<span class="chatlog__markdown-mention">#general</span>', "#general"),
        ('<span class="chatlog__markdown-mention" style="color: red">@Mods</span>', "@Mods"),
        ('<span class="chatlog__markdown-mention">@everyone</span>', "@everyone"),
        ('hi <span class="chatlog__markdown-mention" title="bob">@Bob &lt;3</span>!', "hi  !"),
        ('hi <span class="chatlog__markdown-mention" title="Unknown">@Unknown</span>', "hi"),
        ('<span class="chatlog__markdown-mention" style="">@deleted-role</span> hi', "hi"),
        ('<span class="chatlog__markdown-timestamp" title="long">1/5/2024</span>', "1/5/2024"),
        ('<img class="chatlog__emoji chatlog__emoji--large" alt="🔥" title="fire" src="f.svg">', "🔥"),
        ('<img class="chatlog__emoji" alt="lul" title="lul" src="l.png">', ":lul:"),
        ('<img class=picture alt="a picture" src="l.png">', ""),
        ("1 < 2 and <3, <@123> <:lul:5>", "1 < 2 and <3, <@123> <:lul:5>"),
        ("<strong>never closed", "**never closed**"),
        ("</em>closed", "closed"),
    ],
)
def test_markup_becomes_what_was_typed(tmp_path: Path, markup: str, content: str) -> None:
    assert read_markup(tmp_path, markup).content == content


def test_quotes_keep_their_marks(tmp_path: Path) -> None:
    quote = (
        '<div class="chatlog__markdown-quote"><div class="chatlog__markdown-quote-border"></div>'
        '<div class="chatlog__markdown-quote-content">one\ntwo\n</div></div>three'
    )
    assert read_markup(tmp_path, quote).content == "> one\n> two\nthree"


def test_mentions_of_accounts_that_wrote_before_have_their_ids(tmp_path: Path) -> None:
    said = [Said(0, BOB, "one"), Said(1, ANN, f"<@{BOB.id}> two"), Said(2, BOB, f"<@{ANN.id}> <@999999999999999999>")]
    messages, _ = read(tmp_path, html_export(said))
    assert [message.mentions for message in messages] == [(), (BOB.id,), (ANN.id,)]


def test_only_the_message_itself_is_content(tmp_path: Path) -> None:
    said = Said(0, ANN, "the text", "Reply", "5", has_extras=True, forwards="somebody else's words")
    for export in LAYOUTS:
        (message,), _ = read(tmp_path, export([said]))
        assert message.content == "the text"


@pytest.mark.parametrize(
    ("name", "channel"),
    [
        ("Teahouse - Rooms - general [700000000000000001].html", "700000000000000001"),
        ("Teahouse - Rooms - general [700000000000000001] (after 2024-01-01) [part 2].html", "700000000000000001"),
        ("1.html", "Teahouse / Rooms / general"),
    ],
)
def test_partitions_have_one_channel(tmp_path: Path, name: str, channel: str) -> None:
    messages, notes = read(tmp_path, html_export(MESSAGES), name)
    assert {message.channel for message in messages} == {channel}
    assert notes.channels == {channel: Channel(channel, "general")}


@pytest.mark.parametrize(
    ("guild", "name", "is_private", "is_nsfw"),
    [("Direct Messages", "ann", True, False), ("S", "adult-chat", False, True), ("S", "NSFW / cats", False, True)],
)
def test_private_and_unsafe_channels_are_told(
    tmp_path: Path, guild: str, name: str, is_private: bool, is_nsfw: bool
) -> None:
    page = html_export(MESSAGES[:1]).replace(">Teahouse<", f">{guild}<").replace(">Rooms / general<", f">{name}<")
    (channel,) = read(tmp_path, page)[1].channels.values()
    assert (channel.is_private, channel.is_nsfw) == (is_private, is_nsfw)


@pytest.mark.parametrize("block", [1, 50, 3000])
@pytest.mark.parametrize("export", LAYOUTS)
def test_groups_are_found_across_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, export: Export, block: int
) -> None:
    page = export(MESSAGES)
    whole = read(tmp_path, page)[0]
    monkeypatch.setattr(discord_chat_exporter_html, "_BLOCK_BYTES", block)
    assert read(tmp_path, page)[0] == whole


def test_a_group_without_author_is_noted(tmp_path: Path) -> None:
    page = html_export([Said(0, ANN, "one"), Said(60, BOB, "two"), Said(120, ANN, "three")])
    second = page.index("chatlog__author", page.index("one"))
    messages, notes = read(tmp_path, page[:second] + "x" + page[second + 1 :])
    assert [message.content for message in messages] == ["one", "three"]
    assert notes.garbled_records == 1
    assert notes.warnings[0].startswith("record 2 at byte ")


@pytest.mark.parametrize("content", ["", "<html>", "<!doctype html><p>chat</p>", "chatlog__message-group"])
def test_other_pages_are_not_recognised(tmp_path: Path, content: str) -> None:
    path = tmp_path / "page"
    path.write_text(content)
    assert not discord_chat_exporter_html.recognises(ExportFile(path, ReadNotes()))
