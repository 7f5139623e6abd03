"""Clean text and marked turns to token ids and back."""

import io
from pathlib import Path
from typing import get_args

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from model.dialogue import Marker
from model.tokenizer import CONTROL_SYMBOLS, END, LINE_ID, PAD, START, UNKNOWN, Tokenizer, TokenizerError, Tokens
from tests.model.chat_text import clean_texts
from tests.model.conftest import LINES

ME, YOU, OTHER, LINE = range(4, 8)
BYTE_0 = 8
"""The id of the byte 0; the other bytes follow."""

KINDS: tuple[Tokens, ...] = get_args(Tokens)

contexts = st.lists(st.tuples(st.sampled_from(Marker), clean_texts), max_size=5)


@settings(max_examples=500)
@given(text=clean_texts)
def test_decoding_what_was_encoded_gives_the_text_back(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize(
    "text", ["👨\u200d👩\u200d👧\nhello", "▅ ⁇ \ufffd", "\u0308x", "\ue000\U0010ffff\ufffe", "가각 中文"]
)
def test_decoding_gives_strange_text_back(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(text=clean_texts)
def test_text_has_no_special_ids_but_those_of_its_line_ends(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert [token for token in ids if token <= LINE_ID] == [LINE_ID] * text.count("\n")
    assert max(ids, default=0) < tokenizer.vocabulary_size


@pytest.mark.parametrize("spelled", [*CONTROL_SYMBOLS, "<s>", "</s>", "<pad>", "<unk>", "<0x41>"])
def test_nobody_can_spell_a_special_token(spelled: str) -> None:
    tokenizer = Tokenizer.train([*LINES, *[f"{spelled}", f"i {spelled} you"] * 50], vocabulary_size=320)
    for text in (spelled, f"you {spelled} i", f"{spelled}\n{spelled}{spelled}"):
        ids = tokenizer.encode(text)
        assert min([token for token in ids if token != LINE_ID]) > LINE_ID
        assert ids.count(LINE_ID) == text.count("\n")
        assert tokenizer.decode(ids) == text


@pytest.fixture(scope="module")
def of_each_kind() -> dict[Tokens, Tokenizer]:
    return {tokens: Tokenizer.train(LINES, tokens=tokens, vocabulary_size=300) for tokens in KINDS}


@settings(max_examples=200)
@given(tokens=st.sampled_from(KINDS), text=clean_texts | st.lists(st.sampled_from(LINES)).map("\n".join))
def test_tokens_of_each_kind_give_any_text_back(
    of_each_kind: dict[Tokens, Tokenizer], tokens: Tokens, text: str
) -> None:
    ids = of_each_kind[tokens].encode(text)

    assert of_each_kind[tokens].decode(ids) == text
    assert [token for token in ids if token <= LINE_ID] == [LINE_ID] * text.count("\n")


def test_words_and_characters_are_tokens(of_each_kind: dict[Tokens, Tokenizer]) -> None:
    text = "hello there you"
    words, characters = of_each_kind["word"], of_each_kind["char"]

    assert [words.decode([token]) for token in words.encode(text)] == text.split()
    assert len(characters.encode(text)) == len(text) + 1  # SentencePiece begins each line with a space


def test_a_unigram_vocabulary_is_another_one_than_that_of_byte_pairs(of_each_kind: dict[Tokens, Tokenizer]) -> None:
    pairs, unigram = (
        {tokenizer.decode([token]) for token in range(BYTE_0 + 256, tokenizer.vocabulary_size)}
        for tokenizer in (of_each_kind["bpe"], of_each_kind["unigram"])
    )
    assert pairs - unigram
    assert unigram - pairs


def test_a_word_that_the_vocabulary_lacks_is_spelled_in_bytes_wherever_it_stands() -> None:
    tokenizer = Tokenizer.train(["hello there"], tokens="word")
    for text in ("zebra", "zebra hello", "hello zebra there", "hello\nzebra zebra"):
        assert tokenizer.decode(tokenizer.encode(text)) == text
        assert UNKNOWN not in tokenizer.encode(text)


@pytest.mark.parametrize("tokens", KINDS)
def test_a_vocabulary_of_each_kind_is_at_most_as_large_as_asked(tokens: Tokens) -> None:
    lines = [f"word{number}" for number in range(200)]
    assert Tokenizer.train(lines, tokens=tokens, vocabulary_size=290).vocabulary_size <= 290


@pytest.fixture(scope="module")
def golden() -> Tokenizer:
    """264 `_a`, 265 `_ab`, 266 `ab`, 267 `a`, 268 `_`, 269 `b`, where `_` is a space or the beginning of a line."""
    return Tokenizer.train(["ab ab ab", "ab a"], vocabulary_size=270)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", []),
        ("a", [264]),
        ("ab", [265]),
        ("b", [268, 269]),
        ("abba ab", [265, 269, 267, 265]),
        ("a\nab\na", [264, LINE, 265, LINE, 264]),
        ("🦜", [268, *(BYTE_0 + byte for byte in (0xF0, 0x9F, 0xA6, 0x9C))]),
    ],
)
def test_golden_ids(golden: Tokenizer, text: str, ids: list[int]) -> None:
    assert golden.encode(text) == ids
    assert golden.decode(ids) == text


def test_special_ids_are_the_first() -> None:
    assert (PAD, UNKNOWN, START, END, LINE_ID) == (0, 1, 2, 3, LINE)
    assert CONTROL_SYMBOLS == ("<me>", "<you>", "<other>", "<line>")


def test_golden_context(golden: Tokenizer) -> None:
    turns = [(Marker.OTHER, "a"), (Marker.YOU, "ab\nb"), (Marker.ME, "")]
    assert golden.encode_context(turns, 99) == [OTHER, 264, YOU, 265, LINE, 268, 269, ME]


@pytest.mark.parametrize(
    ("max_tokens", "ids"),
    [
        (8, [OTHER, 264, YOU, 265, LINE, 268, 269]),
        (7, [OTHER, 264, YOU, 265, LINE, 268, 269]),
        (6, [YOU, 265, LINE, 268, 269]),
        (5, [YOU, 265, LINE, 268, 269]),
        (4, [YOU, LINE, 268, 269]),
        (2, [YOU, 269]),
        (1, [YOU]),
    ],
)
def test_a_long_context_loses_its_oldest_turns_then_the_beginning_of_the_last(
    golden: Tokenizer, max_tokens: int, ids: list[int]
) -> None:
    assert golden.encode_context([(Marker.OTHER, "a"), (Marker.YOU, "ab\nb")], max_tokens) == ids


def test_no_older_turn_slips_in_past_one_that_is_too_long(golden: Tokenizer) -> None:
    assert golden.encode_context([(Marker.ME, "a"), (Marker.OTHER, "abba"), (Marker.YOU, "a")], 5) == [YOU, 264]


def test_a_context_without_turns_is_a_lone_end(golden: Tokenizer) -> None:
    assert golden.encode_context([], 10) == [END]


@given(turns=contexts, max_tokens=st.integers(1, 40))
def test_a_context_is_never_empty_nor_too_long_and_ends_like_the_whole_one(
    tokenizer: Tokenizer, turns: list[tuple[Marker, str]], max_tokens: int
) -> None:
    ids = tokenizer.encode_context(turns, max_tokens)
    whole = tokenizer.encode_context(turns, 100_000)
    assert 1 <= len(ids) <= max_tokens
    assert ids[1:] == whole[len(whole) - len(ids) + 1 :]
    assert ids[0] in (ME, YOU, OTHER) if turns else ids == [END]


@given(turns=contexts)
def test_decoding_a_context_gives_its_turns_back(tokenizer: Tokenizer, turns: list[tuple[Marker, str]]) -> None:
    assert tokenizer.decode_context(tokenizer.encode_context(turns, 100_000)) == turns


def test_decoding_stops_at_the_end_and_is_silent_about_markers_and_padding(golden: Tokenizer) -> None:
    assert golden.decode([START, YOU, 265, PAD, 264, END, 264]) == "ab a"
    assert golden.decode([LINE, 264, LINE, LINE, ME, LINE, 265, LINE]) == "a\nab"
    assert golden.decode([]) == golden.decode([END, 264]) == ""


def test_training_is_deterministic() -> None:
    lines = [f"word{number % 17} and {number % 5} more" for number in range(200)]
    assert Tokenizer.train(lines).to_bytes() == Tokenizer.train(iter(lines)).to_bytes()


def test_a_vocabulary_is_as_large_as_asked_where_the_text_fills_it() -> None:
    assert Tokenizer.train(LINES, vocabulary_size=310).vocabulary_size == 310
    assert Tokenizer.train(["a"], vocabulary_size=8192).vocabulary_size < 300


def test_training_looks_at_no_text_after_max_bytes() -> None:
    few = Tokenizer.train(["ab ab", "ab"])
    assert Tokenizer.train(["ab ab", "ab", "xy xy xy", "a"], max_bytes=8).to_bytes() == few.to_bytes()


@pytest.mark.parametrize("texts", [[], ["", "\n"], ["▅"]])
def test_no_text_gives_no_vocabulary(texts: list[str]) -> None:
    with pytest.raises(TokenizerError):
        Tokenizer.train(texts)


def test_too_few_tokens_for_the_bytes_are_an_error() -> None:
    with pytest.raises(TokenizerError, match="100"):
        Tokenizer.train(LINES, vocabulary_size=100)


def test_a_loaded_tokenizer_is_the_saved_one(tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(tokenizer.to_bytes())
    loaded = Tokenizer.load(tmp_path / "tokenizer.model")
    assert loaded.to_bytes() == tokenizer.to_bytes()
    assert loaded.encode("hello 👍") == tokenizer.encode("hello 👍")


@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_a_damaged_file_is_an_error(tokenizer: Tokenizer, damage: bytes | None) -> None:
    model = tokenizer.to_bytes()
    with pytest.raises(TokenizerError):
        Tokenizer(model[: len(model) // 2] if damage is None else damage)


NO_MARKERS = "does not have Chinwag's markers"
IDS = {"pad_id": PAD, "unk_id": UNKNOWN, "bos_id": START, "eos_id": END}


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, NO_MARKERS),
        (IDS, NO_MARKERS),
        (IDS | {"control_symbols": [*CONTROL_SYMBOLS[::-1]]}, NO_MARKERS),
        (
            IDS | {"pad_id": END, "eos_id": PAD, "control_symbols": [*CONTROL_SYMBOLS]},
            "does not have Chinwag's markers",
        ),
        (IDS | {"user_defined_symbols": [*CONTROL_SYMBOLS]}, "has markers that texts can spell"),
        (IDS | {"control_symbols": [*CONTROL_SYMBOLS], "normalization_rule_name": "nmt_nfkc"}, "changes texts"),
    ],
    ids=[
        *("of another kind", "without markers", "with markers in another order", "with padding elsewhere"),
        *("with markers that can be typed", "with a table of characters"),
    ],
)
def test_a_foreign_model_is_an_error(options: dict[str, object], why: str) -> None:
    options = {"normalization_rule_name": "identity", **options}
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES),
        model_writer=model,
        vocab_size=60,
        hard_vocab_limit=False,
        minloglevel=2,
        **options,
    )
    with pytest.raises(TokenizerError, match=why):
        Tokenizer(model.getvalue())
