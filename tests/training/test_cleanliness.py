"""What nothing is learned from, and what was said before."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.blocklist import Blocklist
from training.cleanliness import SIGNATURE_BYTES, LanguageError, NearCopies, reason, signature

PASTA = (
    "what did you just say about my sandwich you little goose i will have you know that i graduated top of my class in "
    "the bakery and have been involved in numerous secret picnics by the old canal near the town hall"
)


@pytest.mark.parametrize(
    "text",
    [
        "!play never gonna",
        "/roll 2d6",
        ".help",
        "?rank",
        "$buy 3",
        "t!daily",
        "pls beg",
        ">bal",
        "!!skip",
        "owo hunt",
        "-play x",
    ],
)
def test_bot_commands(text: str) -> None:
    assert reason(text) == "command"


@pytest.mark.parametrize(
    "text",
    [
        *(
            "!!!",
            "?",
            "...",
            "$5",
            "/s",
            ":)",
            ":3",
            "-_-",
            "...well",
            "?!",
            "!",
            ".5",
            "$20 for that",
            "-5 degrees",
            "> ok",
        ),
        *(
            "pls help me",
            "yes!and no",
            "lol",
            "😂",
            "😂😂😂",
            "wow!!!!",
            "haha :joy: :joy:",
            "^^",
            "nooooooo",
            "hahahahaha",
        ),
        *(
            "hmmmmm",
            "brrrr",
            "strengths",
            "qwerty keyboards are fine",
            "no no no no",
            "i said no, no, no",
            "ok\nsure\nfine\nbye",
        ),
        *("what??!! no way!!", "(╯°□°)╯", "привет, как дела", "สวัสดีครับ ทำอะไรอยู่", "नमस्ते आप कैसे हैं", "你好吗"),
    ],
)
def test_ordinary_messages_are_learned(text: str) -> None:
    assert reason(text) is None


@pytest.mark.parametrize(
    "text", ["😂" * 8, "<:kek:123456789012345678>" * 9, "!?!?!?!?!?", "=-=-=-=-=-=-", "👨‍👩‍👧" * 8]
)
def test_walls_of_emoji_or_signs(text: str) -> None:
    assert reason(text) == "symbols"


@pytest.mark.parametrize(
    "text",
    [
        "look ```py\nprint(1)\n```",
        "int main() {\n  int x = 1;\n  return x;\n}",
        'Traceback (most recent call last):\n  File "a.py", line 1\n  File "b.py", line 2\nValueError: no',
        "[12:30:01] INFO start\n[12:30:02] WARN slow\n[12:30:03] ERROR stop\n[12:30:04] INFO bye",
        "hash 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "eA1" * 20,
    ],
)
def test_code_logs_and_blobs(text: str) -> None:
    assert reason(text) == "code"


@pytest.mark.parametrize(
    "text",
    ["asdf", "asdasdjkasld", "sdkfjhsdkjfh", "dfkjghdfkjg lkjsdf", "a" * 30, "hahaha" * 12, "no " * 30, "h̷̡̛e̷̡̛l̷̡̛p̷̡̛ m̷̡̛e̷̡̛"],
)
def test_noise(text: str) -> None:
    assert reason(text) == "noise"


def test_blocked_words() -> None:
    assert reason("oh h3ck", blocklist=Blocklist(["heck"])) == "blocked"


@pytest.mark.parametrize(
    "text", ["привет как дела", "qui veut jouer ce soir ?", "kannst du mir bitte helfen", "こんにちは元気ですか"]
)
def test_other_languages_are_left_out_when_asked(text: str) -> None:
    assert reason(text, languages=("en",)) == "language"
    assert reason(text) is None


@pytest.mark.parametrize(
    "text", ["lol same", "brb", "si", "nah im good thanks", "anyone want to play later tonight?", "42 😂"]
)
def test_what_is_in_the_language_or_cannot_be_told_stays(text: str) -> None:
    assert reason(text, languages=("en",)) is None


def test_an_unknown_language_is_an_error() -> None:
    with pytest.raises(LanguageError, match="klingon"):
        reason("hello there", languages=("klingon",))


@given(st.text(max_size=200))
def test_any_text_has_a_reason_or_none(text: str) -> None:
    assert reason(text) in (None, "command", "code", "symbols", "noise")


def test_short_messages_have_no_signature() -> None:
    assert signature("see you at the mall") is None
    assert signature("a b c d e f g h i") is None
    assert signature("pneumonoultramicroscopicsilicovolcanoconiosis indeed") is None


def test_a_signature_is_the_same_in_another_process() -> None:
    script = f"from training.cleanliness import signature; print(signature({PASTA!r}).hex())"
    root = Path(__file__).parents[2]
    other = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    own = signature(PASTA)
    assert own is not None
    assert len(own) == SIGNATURE_BYTES
    assert own.hex() == other.stdout.strip()


def seen(*texts: str) -> list[bool]:
    copies = NearCopies()
    return [copies.seen_before(key) for key in map(signature, texts) if key is not None]


def test_a_copy_and_a_near_copy_are_seen_again() -> None:
    assert seen(PASTA, PASTA.upper() + "!!!", PASTA + " lol") == [False, True, True]


def test_of_unrelated_messages_none_was_seen() -> None:
    rng = random.Random(0)
    words = PASTA.split()
    assert not any(seen(*(" ".join(rng.sample(words, 12)) for _ in range(2000))))


def test_memory_does_not_grow() -> None:
    copies = NearCopies()
    rng = random.Random(0)
    assert not any(copies.seen_before(rng.randbytes(SIGNATURE_BYTES)) for _ in range(50_000))
    assert copies._slots.nbytes == 2**24
