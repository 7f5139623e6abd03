"""What is taken out of a message before anything of it is stored, and what is not."""

# ruff: noqa: RUF001 - look-alike letters are part of the tests

import json
import re
import time
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.privacy import MAX_CHARACTERS, redact

PLANTED = [
    json.loads(line)
    for line in (Path(__file__).parent / "planted_secrets.jsonl").read_text(encoding="utf-8").splitlines()
]
SECRETS = [planted for planted in PLANTED if planted["kind"] != "none"]
HARMLESS = [planted["text"] for planted in PLANTED if planted["kind"] == "none"]


def text_of(planted: dict[str, Any]) -> str:
    """The message; what a scanner would take for a real token is kept in pieces."""
    return "".join(planted["text"])


def secrets_of(planted: dict[str, Any]) -> list[str]:
    secret = planted["secret"]
    return [secret] if isinstance(secret, str) else ["".join(part) for part in secret]


def telling_words(text: str) -> set[str]:
    return set(re.findall(r"\w*\d\w*|\w{4,}", text))


def is_taken_out(planted: dict[str, Any]) -> bool:
    """Whether neither a secret nor a part of it that says something is left."""
    text, left = text_of(planted), redact(text_of(planted))[0]
    around = text
    for secret in secrets_of(planted):
        around = around.replace(secret, " ")
    leaked = telling_words(left) - telling_words(unicodedata.normalize("NFKC", around))
    return not leaked and not any(secret in left for secret in secrets_of(planted))


def test_of_the_planted_secrets_hardly_any_stays() -> None:
    missed = [text_of(planted) for planted in SECRETS if not is_taken_out(planted)]
    assert len(SECRETS) > 1500
    assert len(missed) <= 0.01 * len(SECRETS), missed


def test_what_only_looks_like_a_secret_stays_as_it_is() -> None:
    changed = [text for text in HARMLESS if redact(text) != (text, {})]
    assert len(HARMLESS) > 400
    assert not changed


@pytest.mark.parametrize("planted", SECRETS, ids=lambda planted: planted["kind"])
def test_redacting_again_changes_nothing(planted: dict[str, Any]) -> None:
    once, counts = redact(text_of(planted))
    again, more = redact(once)
    assert (again, more.total()) == (once, 0)
    assert counts.total() > 0 or once == text_of(planted)


@pytest.mark.parametrize(
    ("text", "left", "kinds"),
    [
        ("mail ann@example.com, ok?", "mail , ok?", {"email": 1}),
        ("ann@example.com bob@example.com", "", {"email": 2}),
        ("call 07700 900123 or see https://example.com/x y", "call or see y", {"phone": 1, "link": 1}),
        ("my password is hunter2, honest", "my password is , honest", {"password": 1}),
        ("live at 12 Elm Street, Springfield, IL 62704 now", "live at now", {"address": 1}),
        ("the card 4242 4242 4242 4242 works", "the card works", {"card": 1}),
        ("<@1234567890> hi", "hi", {"mention": 1}),
        ("join discord.gg/abc", "join", {"invite": 1}),
        ("hey\n@ann\nbye", "hey\nbye", {"handle": 1}),
    ],
)
def test_words_around_a_detail_stay_apart_and_kinds_are_counted(text: str, left: str, kinds: dict[str, int]) -> None:
    assert redact(text) == (left, kinds)


@pytest.mark.parametrize(
    ("number", "kind"),
    [("4242424242424242", "card"), ("378282246310005", "card"), ("DE89 3704 0044 0532 0130 00", "iban")],
)
def test_the_checksum_tells_cards_and_accounts(number: str, kind: str) -> None:
    assert kind in redact(f"it says {number} there")[1]
    for digit in "0123456789".replace(number[-1], ""):
        assert kind not in redact(f"it says {number[:-1]}{digit} there")[1]


@pytest.mark.parametrize(
    "text",
    ["ａｎｎ＠ｅｘａｍｐｌｅ．ｃｏｍ", "ann\u200b@exam\u00adple.com", "ann@example\u2060.com", "call 5️⃣5️⃣5️⃣-0️⃣1️⃣0️⃣-4️⃣4️⃣7️⃣7️⃣"],
)
def test_look_alikes_and_invisible_characters_hide_nothing(text: str) -> None:
    left, counts = redact(text)
    assert counts.total() == 1
    assert left in ("", "call")


def test_what_is_brought_together_is_found_as_well() -> None:
    assert redact("ann@<@123456789012345678>example.com")[0] == ""


def test_an_emoji_of_a_server_keeps_its_name_beside_a_detail() -> None:
    assert redact("<:kek:123456789012345678> @ann") == (":kek:", {"handle": 1})


def test_a_text_that_is_no_chat_message_goes_as_a_whole() -> None:
    assert redact("a" * (MAX_CHARACTERS + 1)) == ("", {"overlong": 1})


@given(st.text(alphabet=st.sampled_from("aA1. @-_:/#<>()+\n'é5️⃣"), max_size=60))
def test_any_text_settles(text: str) -> None:
    once, _ = redact(text)
    assert redact(once)[0] == once


@given(
    st.lists(
        st.sampled_from(sorted({word for text in HARMLESS for word in text.split()} | {"@ann", "07700", "900123"}))
    )
)
def test_no_words_are_glued(words: list[str]) -> None:
    left, _ = redact(" ".join(words))
    assert not re.search(r"\w{60}", left)
    assert redact(left)[0] == left


@pytest.mark.parametrize(
    "seed", ["1", "1 ", "a@", "<@", "\\", "/home/", "12 elm ", "a1B", "password is ", "one ", "°", "+1"]
)
def test_time_is_bounded_whatever_the_text(seed: str) -> None:
    text = (seed * MAX_CHARACTERS)[:MAX_CHARACTERS]
    start = time.process_time()
    redact(text)
    assert time.process_time() - start < 5
