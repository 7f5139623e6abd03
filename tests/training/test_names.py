"""Who is spoken to, and what is left of the text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.names import _MAX_NAMES, Names

ANN, BOB, CY, EVE = "1", "2", "3", "4"


@pytest.fixture
def names() -> Names:
    """A channel where Ann Lee, bob_3, Calc^ and Usual were heard."""
    heard = Names()
    for author, name in ((ANN, "Ann Lee"), (BOB, "bob_3"), (CY, "Calc^"), (EVE, "Usual")):
        heard.resolve(author, name, "hello", ())
    return heard


@pytest.mark.parametrize(
    ("content", "left", "mentions"),
    [
        ("<@1> and <@!2>, look", "and , look", (ANN, BOB)),
        ("<@77> look", "look", ("77",)),
        ("hi @Ann Lee!", "hi !", (ANN,)),
        ("hi @ann lee", "hi", (ANN,)),
        ("@calc^ hi", "hi", (CY,)),
        ("@Annabel hi", "hi", ()),
        ("bob_3: hi", "hi", (BOB,)),
        ("BOB_3, hi", "hi", (BOB,)),
        ("bob_3 - hi", "hi", (BOB,)),
        ("bob_3:hi", "hi", (BOB,)),
        ("calc^, bob_3: hi", "hi", (CY, BOB)),
        ("usual: hi", "hi", (EVE,)),
        ("well: hi", "well: hi", ()),
        ("http://a.b: hi", "http://a.b: hi", ()),
        ("so bob_3, hi", "so , hi", (BOB,)),
        ("calc^ see that", "calc^ see that", (CY,)),
        ("ask calc^ then", "ask calc^ then", (CY,)),
        ("write to ann@bob_3.org", "write to ann@bob_3.org", ()),
        ("write to x@calc^", "write to x@calc^", ()),
        ("it is 12:30 - late", "it is 12:30 - late", ()),
    ],
)
def test_handles_go_and_the_ids_of_those_spoken_to_come(
    names: Names, content: str, left: str, mentions: tuple[str, ...]
) -> None:
    text, found = names.resolve("9", "Zed", content, ())
    assert (" ".join(text.split()), found) == (left, mentions)


def test_a_name_counts_only_once_it_was_heard() -> None:
    names = Names()
    assert names.resolve(ANN, "ann", "bob_3: hi", ()) == ("bob_3: hi", ())
    names.resolve(BOB, "bob_3", "here", ())
    assert names.resolve(ANN, "ann", "bob_3: hi", ()) == ("hi", (BOB,))


def test_without_a_name_the_id_is_the_name() -> None:
    names = Names()
    names.resolve("nick", None, "hello", ())
    assert names.resolve("other", None, "nick: hello", ()) == ("hello", ("nick",))


def test_what_a_client_appends_to_a_nick_makes_no_difference() -> None:
    names = Names()
    names.resolve("calc__", None, "hello", ())
    assert names.resolve("other", None, "calc: hello", ())[1] == ("calc__",)


def test_the_longest_of_several_names_is_meant() -> None:
    names = Names()
    for author, name in ((ANN, "Ann"), (BOB, "Ann Lee"), (CY, "Ann Lee Smith")):
        names.resolve(author, name, "hello", ())
    assert names.resolve(EVE, "Eve", "@Ann Lee hello", ())[1] == (BOB,)
    assert names.resolve(EVE, "Eve", "@Ann  lee smith", ())[1] == (CY,)


def test_nobody_speaks_to_oneself(names: Names) -> None:
    assert names.resolve(BOB, "bob_3", "I am bob_3", ())[1] == ()


def test_listed_mentions_count_only_if_the_text_shows_one(names: Names) -> None:
    assert names.resolve(ANN, "Ann Lee", "I think so", (CY,))[1] == ()
    assert names.resolve(ANN, "Ann Lee", "@everyone look", (CY,))[1] == ()
    assert names.resolve(ANN, "Ann Lee", "@bob_3 look", (CY,))[1] == (BOB,)
    assert names.resolve(ANN, "Ann Lee", "@Newcomer look", ("8",))[1] == ("8",)


def test_a_name_that_is_used_like_a_word_stops_being_one(names: Names) -> None:
    names.resolve(ANN, "Ann Lee", "the usual way", ())
    assert names.resolve(ANN, "Ann Lee", "late as usual", ()) == ("late as usual", ())
    assert names.resolve(ANN, "Ann Lee", "usual: you there?", ()) == ("you there?", (EVE,))


def test_memory_is_bounded() -> None:
    names = Names()
    for number in range(_MAX_NAMES + 10):
        names.resolve(str(number), f"person {number}", "hello", ())
    assert len(names._ids) == _MAX_NAMES
    assert names._lengths == {"person": {2: _MAX_NAMES}}
    assert names.resolve("x", "x", "@person 3 hi", ())[1] == ()
    assert names.resolve("x", "x", f"@person {_MAX_NAMES} hi", ())[1] == (str(_MAX_NAMES),)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.text(max_size=8), st.text("ab@_:,<>!1- \n"), st.just(("9",)))))
def test_any_channel_can_be_read(messages: list[tuple[str, str, str, tuple[str, ...]]]) -> None:
    names = Names()
    for author, name, content, mentions in messages:
        text, found = names.resolve(author, name, content, mentions)
        assert author not in found
        assert len(set(found)) == len(found)
        assert len(text) <= len(content) + 2 * content.count("@")


@settings(max_examples=40)
@given(st.text().filter(lambda text: "@" not in text and "<" not in text))
def test_a_text_without_known_names_is_left_alone(text: str) -> None:
    assert Names().resolve("someone-with-a-name-nobody-types", None, text, ()) == (text, ())
