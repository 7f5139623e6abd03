"""The text contract of training and serving."""
# ruff: noqa: RUF001 - letters that look like others are what it is about

import itertools
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.dialogue import ME, Marker, Turn, clean_text, merge_bursts, render_context
from tests.model.chat_text import raw_texts

GOLDEN = {
    "plain text stays": ("Hello, world! ~ {x} 100%", "Hello, world! ~ {x} 100%"),
    "a user mention goes": ("hi <@123> there", "hi there"),
    "an old nickname mention goes": ("hi <@!123>", "hi"),
    "a role mention goes": ("<@&123> wake up", "wake up"),
    "a channel mention goes": ("see <#123>!", "see !"),
    "a timestamp goes": ("at <t:1618953630>", "at"),
    "a styled timestamp goes": ("at <t:-1:R> sharp", "at sharp"),
    "a slash command goes": ("try </airhorn play:816437322781949972> now", "try now"),
    "a guild navigation link goes": ("read <id:customize> or <id:guide>", "read or"),
    "a token within a token leaves none": ("</a<@1>b:1>", "/a b:1>"),
    "a token between words keeps them apart": ("one<@1>two", "one two"),
    "a mention without a number stays": ("<@ann> <#general> a < b > c", "<@ann> <#general> a < b > c"),
    "everyone stays a word": ("@everyone @here", "@everyone @here"),
    "custom emoji become their name": ("nice <:pog:1>", "nice :pog:"),
    "animated emoji become their name": ("<a:party_1:2><:b:3>", ":party_1: :b:"),
    "a link goes": ("look https://example.org/a?b=c#d here", "look here"),
    "a link goes in capitals too": ("HTTPS://EXAMPLE.ORG", ""),
    "a link without a preview goes": ("<https://example.org> ok", "ok"),
    "a link's host alone stays": ("example.org is httpsy", "example.org is httpsy"),
    "wide letters become plain": ("Ｈｅｌｌｏ　①", "Hello 1"),
    "a ligature becomes letters": ("ﬁne", "fine"),
    "letter and accent become one": ("cafe\u0301", "café"),
    "fancy letters become plain": ("𝓱𝓮𝔂", "hey"),
    "a wide token goes too": ("hi ＜@１２３＞", "hi"),
    "spaces become one": ("  a \t b\u00a0\u2003c  ", "a b c"),
    "zero-width characters go": ("z\u200be\u200cr\ufeffo\u2060\u00ad", "zero"),
    "a zero-width space splits no token": ("<@\u200b1>", ""),
    "an emoji family stays together": ("👨\u200d👩\u200d👧 ❤\ufe0f", "👨\u200d👩\u200d👧 ❤\ufe0f"),
    "skin tones and flags stay": ("👍🏽 🇩🇪", "👍🏽 🇩🇪"),
    "lines stay": ("one\ntwo", "one\ntwo"),
    "every line end is a newline": ("a\r\nb\rc\x0bd\x0ce\x85f\u2028g\u2029h", "a\nb\nc\nd\ne\nf\ng\nh"),
    "empty lines go": ("\n\na\n \n\u200b\n<@1>\nb\n", "a\nb"),
    "a paragraph of an emptied message is empty": ("<@1> \n https://x.y", ""),
    "SentencePiece's space becomes an underline": ("a\u2581b", "a_b"),
    "control characters become a space": ("a\x00b\x1b[31mc\x7fd\x9fe", "a b [31mc d e"),
    "lone surrogates go": ("a\ud83db\udc00", "ab"),
    "right-to-left text stays": ("שלום עולם", "שלום עולם"),
    "bidirectional controls go": ("\u202eevil\u202c \u2066x\u2069\u200f\u061c", "evil x"),
    "zalgo stays": ("z\u0321\u0335a\u034a\u0334l\u0337go\u0338", "z\u0335\u0321a\u0334\u034al\u0337go\u0338"),
    "private-use and unassigned characters stay": ("\ue000 \U000e0fff", "\ue000 \U000e0fff"),
    "markers are plain text": ("<me> <you> <other> <line> <s>", "<me> <you> <other> <line> <s>"),
    "nothing stays nothing": ("", ""),
}


@pytest.mark.parametrize(("raw", "clean"), GOLDEN.values(), ids=GOLDEN.keys())
def test_clean_text(raw: str, clean: str) -> None:
    assert clean_text(raw) == clean


@settings(max_examples=500)
@given(raw_texts)
def test_cleaning_clean_text_changes_nothing(raw: str) -> None:
    assert clean_text(clean_text(raw)) == clean_text(raw)


@given(raw_texts)
def test_clean_text_has_no_stray_white_space_and_nothing_invisible_but_the_joiner_of_emoji(raw: str) -> None:
    clean = clean_text(raw)
    for line in clean.split("\n") if clean else []:
        assert line == " ".join(line.split()) != ""
        assert {unicodedata.category(character) for character in line}.isdisjoint({"Cc", "Cs", "Zl", "Zp"})
        assert {character for character in line if unicodedata.category(character) == "Cf"} <= {"\u200d"}
        assert "\u2581" not in line
        assert unicodedata.is_normalized("NFKC", line)


@given(st.text(st.characters(max_codepoint=0x7E, categories=["L", "N", "P", "S", "Zs"])) | raw_texts)
def test_plain_ascii_is_cleaned_as_any_other_text(raw: str) -> None:
    """A zero-width space, which is removed, takes a line off the short way through that ASCII has."""
    assert clean_text(raw) == clean_text("\n".join(f"{line}\u200b" for line in raw.split("\n")))


def test_long_nests_of_tokens_are_cleaned_in_no_time() -> None:
    depth = 20_000
    assert "<" not in clean_text("</a" * depth + ":1>" * depth)


def test_a_burst_becomes_one_turn_with_a_line_a_message() -> None:
    turns = [Turn("ann", "hi"), Turn("ann", "there\nyou"), Turn("bob", "hey"), Turn("ann", "again")]
    assert merge_bursts(turns) == [Turn("ann", "hi\nthere\nyou"), Turn("bob", "hey"), Turn("ann", "again")]


def test_turns_without_text_do_not_part_a_burst() -> None:
    turns = [Turn("bob", ""), Turn("ann", "one"), Turn("bob", ""), Turn("ann", "two"), Turn("ann", "")]
    assert merge_bursts(turns) == [Turn("ann", "one\ntwo")]
    assert merge_bursts([]) == merge_bursts([Turn("ann", "")]) == []


@given(st.lists(st.builds(Turn, st.sampled_from("abc"), st.sampled_from(["", "x", "y"]))))
def test_merged_bursts_keep_the_words_and_alternate(turns: list[Turn]) -> None:
    merged = merge_bursts(turns)
    assert [line for turn in merged for line in turn.text.split("\n")] == [turn.text for turn in turns if turn.text]
    assert all(a.speaker != b.speaker for a, b in itertools.pairwise(merged))
    assert merge_bursts(merged) == merged


@pytest.mark.parametrize(
    ("speakers", "markers"),
    [
        ([], []),
        (["ann"], [Marker.YOU]),
        ([ME], [Marker.ME]),
        (["ann", ME, "ann"], [Marker.YOU, Marker.ME, Marker.YOU]),
        (["ann", "bob"], [Marker.OTHER, Marker.YOU]),
        (["ann", "bob", ME], [Marker.OTHER, Marker.YOU, Marker.ME]),
        (["cat", "ann", ME, "bob", "ann"], [Marker.OTHER, Marker.YOU, Marker.ME, Marker.OTHER, Marker.YOU]),
    ],
)
def test_you_are_the_last_speaker_who_is_not_me(speakers: list[str], markers: list[Marker]) -> None:
    turns = [Turn(speaker, f"text {number}") for number, speaker in enumerate(speakers)]
    texts = [turn.text for turn in turns]
    assert render_context(turns) == list(zip(markers, texts, strict=True))


def test_an_account_can_be_the_one_who_replies() -> None:
    turns = [Turn("7", "a"), Turn("8", "b"), Turn(ME, "c")]
    assert render_context(turns, me="8") == [(Marker.OTHER, "a"), (Marker.ME, "b"), (Marker.YOU, "c")]
