"""The blocklist: whole words in any disguise, and nothing that only holds them."""

# ruff: noqa: RUF001 - look-alike letters are part of the tests

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.blocklist import Blocklist, BlocklistError

BLOCKLIST = Blocklist(["badword", "hell no", "Fall", "スパム", "слово"])


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("what a BadWord!", "badword"),
        ("'badword'", "badword"),
        ("b a d w o r d", "badword"),
        ("b.a.d.w.o.r.d", "badword"),
        ("oh b4dw0rd.", "badword"),
        ("b@dword", "badword"),
        ("b*dword", "badword"),
        ("baaaadword", "badword"),
        ("ｂａｄｗｏｒｄ", "badword"),
        ("bádwörd", "badword"),
        ("b\u0430dw\u043erd", "badword"),
        ("bad\u200bword", "badword"),
        ("well, hell, NO", "hell no"),
        ("fa11", "Fall"),
        ("これはスパムです", "スパム"),
        ("СЛОВО не воробей", "слово"),
    ],
)
def test_a_blocked_word_is_found_in_disguise(text: str, entry: str) -> None:
    assert BLOCKLIST.finds(text) == entry


@pytest.mark.parametrize(
    "text",
    ["", "badwords", "abadword", "bad word", "shell no", "hell yes, no", "fail", "fell", "a b c d", "***", "1 2 3"],
)
def test_what_only_resembles_a_blocked_word_passes(text: str) -> None:
    assert BLOCKLIST.finds(text) is None


@given(st.text(max_size=80))
def test_an_empty_blocklist_finds_nothing(text: str) -> None:
    assert Blocklist().finds(text) is None


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_blocked_word_between_spaces_is_always_found(before: str, after: str) -> None:
    assert BLOCKLIST.finds(f"{before} badword {after}") is not None


def test_a_file_holds_entries_comments_and_empty_lines(tmp_path: Path) -> None:
    path = tmp_path / "blocklist.txt"
    path.write_text("\ufeff# mine\n\n  badword  \nhell no\n", encoding="utf-8")
    blocklist = Blocklist.load(path)
    assert [blocklist.finds(text) for text in ("badword", "hell no", "mine")] == ["badword", "hell no", None]


@pytest.mark.parametrize(
    ("content", "message"), [(b"good\n!!!\n", r"Line 2 .*'!!!'"), (b"\xff\xfe", "not UTF-8"), (None, "cannot be read")]
)
def test_a_file_that_cannot_be_used_is_an_error(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "blocklist.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BlocklistError, match=message):
        Blocklist.load(path)
