"""JSON values at given places, one by one, out of whole and ruined documents."""

import io
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.exports import json_values as module
from training.exports.json_values import JsonError, JsonValue, json_values

KEYS = st.sampled_from(["a", "b", "list", "x y", 'q"', "é"]) | st.text(max_size=3)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ['"', "\\", '\\"', "}{", "][", ',"a":', "\n    {", "🔥"]
)
DOCUMENTS = st.recursive(
    SCALARS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)
PLACES = st.sampled_from(["a", "[]", "a.[]", "list.[].a", "a.b", "[].[]", "[].list.[]", ""])
INDENTS = st.sampled_from([None, 0, 1, 2, 4, "\t"])
WAITING = {"id": 1, "text": "hello", "more": [1, {"b": "}"}]}


def find(stream: bytes, *places: str) -> tuple[list[JsonValue], list[int], JsonError | None]:
    """The values, the bytes of garbled elements, and the error that ended it."""
    values: list[JsonValue] = []
    garbled: list[int] = []
    try:
        for value in json_values(io.BytesIO(stream), places, lambda byte, why: garbled.append(byte)):
            values.append(value)
    except JsonError as error:
        return values, garbled, error
    return values, garbled, None


def loaded(values: list[JsonValue]) -> list[Any]:
    return [json.loads(value.text) for value in values]


def at(place: str, document: Any) -> Iterator[Any]:
    """What the standard library finds at a place."""
    if not place:
        yield document
        return
    step, _, rest = place.partition(".")
    if step == "[]" and isinstance(document, list):
        for element in document:
            yield from at(rest, element)
    elif step != "[]" and isinstance(document, dict) and step in document:
        yield from at(rest, document[step])


def set_block(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(module, "_BLOCK_BYTES", size)


@settings(max_examples=200)
@given(DOCUMENTS, PLACES, INDENTS, st.booleans(), st.sampled_from([1, 2, 7, 64, 1 << 18]))
def test_values_are_those_of_the_standard_library(
    document: Any, place: str, indent: Any, is_ascii: bool, block: int
) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=is_ascii).encode()
    with pytest.MonkeyPatch.context() as monkeypatch:
        set_block(monkeypatch, block)
        values, garbled, error = find(text, place)
    assert loaded(values) == list(at(place, document))
    assert (garbled, error) == ([], None)
    for value in values:
        assert value.place == place
        assert text[value.byte : value.byte + len(value.text)] == value.text


def test_several_places_come_in_the_order_of_the_document() -> None:
    document = {"head": {"id": 1}, "skipped": [[{"id": 2}]], "list": [{"id": 3}, 4], "end": None}
    values, _, error = find(json.dumps(document).encode(), "list.[]", "head.id", "end", "absent.id")
    assert [(value.place, json.loads(value.text)) for value in values] == [
        ("head.id", 1),
        ("list.[]", {"id": 3}),
        ("list.[]", 4),
        ("end", None),
    ]
    assert error is None


def array(count: int, indent: int | None = None) -> bytes:
    return json.dumps([WAITING | {"id": number} for number in range(count)], indent=indent).encode()


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("block", [5, 1 << 18])
def test_cut_at_any_byte_the_whole_elements_come(
    monkeypatch: pytest.MonkeyPatch, indent: int | None, block: int
) -> None:
    set_block(monkeypatch, block)
    text = array(3, indent)
    ends = [value.byte + len(value.text) for value in find(text, "[]")[0]]
    for cut in range(len(text)):
        values, garbled, error = find(text[:cut], "[]")
        assert len(values) == sum(end <= cut for end in ends), cut
        assert garbled == []
        assert error is not None
        assert error.byte <= cut


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    "damage", [b'"', b"{", b"[", b"]", b"\\", b"\xff\xfe", b"\x01", b'": "', b'{"', b"}}}", b"nul"]
)
def test_damage_inside_an_element_costs_only_that_element(indent: int | None, damage: bytes) -> None:
    text = array(5, indent)
    begin = text.index(b'{"id": 2' if indent is None else b'{\n    "id": 2')
    ruined = text.replace(b'"id": 2', b'"id": 2' + damage)
    values, garbled, error = find(ruined, "[]")
    assert [value["id"] for value in loaded(values)] == [0, 1, 3, 4]
    assert garbled == [begin]
    assert error is None


def test_damage_behind_which_nothing_is_like_before_ends_the_document() -> None:
    values, _, error = find(array(2)[:-1] + b', {{{"other": [[', "[]")
    assert len(values) == 2
    assert error is not None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'\xef\xbb\xbf["a"]', ["a"]),
        (b'\0[\0"a\0b"\0]\0', ["ab"]),
        (b'["\xe9t\xe9"]', ["\ufffdt\ufffd"]),
        (b'["x\\ud83d y", "\\ud83d\\udd25", "\\\\ud83d"]', ["x\ufffd y", "🔥", "\\ud83d"]),
        (b'["\\udd25\\ud83d"]', ["\ufffd\ufffd"]),
    ],
)
def test_bytes_that_json_does_not_allow_are_tolerated(text: bytes, expected: list[str]) -> None:
    values, garbled, error = find(text, "[]")
    assert loaded(values) == expected
    assert (garbled, error) == ([], None)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":['])
def test_depth_is_no_danger(opening: bytes) -> None:
    text = b'[{"id": 1, "deep": ' + opening * 200_000 + b'}, {"id": 2, "deep": 0}, {"id": 3, "deep": 0}]'
    values, _, _ = find(text, "[]")
    assert [value["id"] for value in loaded(values)][-1:] in ([3], [])
    assert find(opening * 200_000, "[].[].[].[].a")[2] is not None


def traced(text: bytes, *places: str) -> tuple[list[JsonValue], list[int], int]:
    stream = io.BytesIO(text)
    garbled: list[int] = []
    tracemalloc.start()
    try:
        values = list(json_values(stream, places, lambda byte, why: garbled.append(byte)))
        return values, garbled, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("filling", ["x", '"', "\\", "é", "}", "{"])
@pytest.mark.parametrize("place", ["[]", "[].id"])
def test_a_string_of_any_length_does_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch, filling: str, place: str
) -> None:
    monkeypatch.setattr(module, "MAX_VALUE_BYTES", 20_000)
    set_block(monkeypatch, 5000)
    text = json.dumps([{"id": 1}, {"id": 2, "text": filling * 700_000}, {"id": 3}], ensure_ascii=False).encode()
    values, garbled, peak = traced(text, place)
    assert peak < 200_000
    if place == "[].id":
        assert loaded(values) == [1, 2, 3]
        assert garbled == []
    else:
        assert loaded(values) == [{"id": 1}, {"id": 3}]
        assert garbled == [text.index(b'{"id": 2')]


def test_many_values_need_no_more_memory_than_few(monkeypatch: pytest.MonkeyPatch) -> None:
    set_block(monkeypatch, 5000)
    stream = io.BytesIO(array(20_000))
    tracemalloc.start()
    try:
        count = sum(1 for _ in json_values(stream, ["[]"], lambda byte, why: None))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 20_000
    assert peak < 100_000


@settings(max_examples=200)
@given(st.data(), st.binary(max_size=40), PLACES, INDENTS, st.sampled_from([1, 16, 1 << 18]))
def test_nothing_but_a_json_error_is_ever_raised(
    data: st.DataObject, garbage: bytes, place: str, indent: Any, block: int
) -> None:
    text = json.dumps({"a": [WAITING] * 3, "list": [{"a": WAITING}]}, indent=indent).encode()
    begin = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(begin, len(text)))
    with pytest.MonkeyPatch.context() as monkeypatch:
        set_block(monkeypatch, block)
        values, _, _ = find(text[:begin] + garbage + text[end:], place)
    loaded(values)


@settings(max_examples=200)
@given(st.binary(max_size=100) | st.text('{}[]",:\\ 1a\n').map(str.encode), PLACES)
def test_no_bytes_raise_anything_else(text: bytes, place: str) -> None:
    loaded(find(text, place)[0])
