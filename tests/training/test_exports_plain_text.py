"""Plain text: sentences and paragraphs as exchanges."""

import json
import time
from pathlib import Path

import pytest

from training.exports import GONE, Message, ReadNotes, plain_text
from training.exports.file import ExportFile
from training.exports.sentences import split_sentences

WRAPPED = """\
The kettle was old. Nobody knew how long
it had stood in the attic.

"Who put it there?" asked the badger.
"""

BOOK = f"""\
The Project Gutenberg eBook of A Kettle, by A. Badger

This text is free. It may be given to anybody.

*** START OF THE PROJECT GUTENBERG EBOOK A KETTLE ***

Produced by two badgers and an owl.

A KETTLE

CHAPTER I. In which it boils

{WRAPPED}
* * *

[Illustration: A kettle.]

It boiled at _noon_.

The End of the Tale

*** END OF THE PROJECT GUTENBERG EBOOK A KETTLE ***

Updated editions will replace the previous one. All is well.
"""


def opened(folder: Path, content: str | bytes) -> ExportFile:
    path = folder / "text.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return ExportFile(path, ReadNotes())


def read(folder: Path, content: str | bytes) -> list[Message]:
    return list(plain_text.read(opened(folder, content)))


def scenes(messages: list[Message]) -> list[list[str]]:
    """The turns between one beginning and the next, each checked to answer the one before it."""
    found: list[list[str]] = []
    for previous, message in zip([None, *messages], messages, strict=False):
        if message.reply_to == GONE:
            found.append([])
            assert message.author == "a"
        else:
            assert previous is not None
            assert message.reply_to == previous.id
            assert {message.author, previous.author} == {"a", "b"}
        found[-1].append(message.content)
    return found


def test_short_paragraphs_are_turns_that_answer_each_other(tmp_path: Path) -> None:
    messages = read(tmp_path, WRAPPED)
    assert [(message.author, message.content) for message in messages] == [
        ("a", "The kettle was old. Nobody knew how long it had stood in the attic."),
        ("b", '"Who put it there?" asked the badger.'),
    ]
    assert [message.reply_to for message in messages] == [GONE, messages[0].id]
    assert {message.channel for message in messages} == {opened(tmp_path, WRAPPED).channel}


def test_long_paragraphs_are_split_in_sentences(tmp_path: Path) -> None:
    sentences = [f"This is sentence number {number} of a paragraph without an end." for number in range(20)]
    assert scenes(read(tmp_path, "\n".join(sentences))) == [sentences]
    assert scenes(read(tmp_path, " ".join(sentences))) == [sentences]


def test_a_book_is_read_without_its_head_and_tail_in_scenes(tmp_path: Path) -> None:
    for content in (BOOK, BOOK.replace("\n", "\r\n"), "\ufeff" + BOOK):
        assert scenes(read(tmp_path, content)) == [
            [
                "The kettle was old. Nobody knew how long it had stood in the attic.",
                '"Who put it there?" asked the badger.',
            ],
            ["It boiled at noon."],
        ]


@pytest.mark.parametrize(
    "mark",
    ["Chapter 2", "CHAPTER TWO: THE OWL", "IV.", "12", "* * *", "***", "---", "# The owl", "The Owl at Night",
     "THE OWL!", "The owl\n=======", "I. One   3\nII. Two   9", "Kapitel 4"],
)  # fmt: skip
def test_a_heading_begins_something_new_and_is_no_turn(tmp_path: Path, mark: str) -> None:
    assert scenes(read(tmp_path, f"It boiled.\n\nIt whistled.\n\n{mark}\n\nIt was night.\n")) == [
        ["It boiled.", "It whistled."],
        ["It was night."],
    ]


def test_a_paragraph_a_line_needs_no_blank_lines(tmp_path: Path) -> None:
    assert scenes(read(tmp_path, "It boiled.\nIt whistled.\nIt was night.\n")) == [
        ["It boiled.", "It whistled.", "It was night."]
    ]


def test_a_blank_line_between_groups_of_lines_begins_something_new(tmp_path: Path) -> None:
    article = "It boiled.\nIt whistled.\nIt was night.\n"
    assert len(scenes(read(tmp_path, f"{article}\n{article}\n{article}"))) == 3
    assert len(scenes(read(tmp_path, article.replace("\n", "\n\n")))) == 1


def test_a_text_without_headings_begins_something_new_now_and_then(tmp_path: Path) -> None:
    found = scenes(read(tmp_path, "It boiled and boiled.\n\n" * 1000))
    assert max(map(len, found)) == 100
    assert sum(map(len, found)) == 1000


@pytest.mark.parametrize(
    ("paragraph", "sentences"),
    [
        ("It boiled. It whistled! Did it? Yes… It did.", ["It boiled.", "It whistled!", "Did it?", "Yes…", "It did."]),
        ("Mr. Badger met Dr. A. B. Owl, i.e. the owl.", ["Mr. Badger met Dr. A. B. Owl, i.e. the owl."]),
        ("See No. 5 on Feb. 3. No. Never.", ["See No. 5 on Feb. 3.", "No.", "Never."]),
        ('"Who?" he said. "I." She left.', ['"Who?" he said.', '"I."', "She left."]),
        ("It costs 3.50 at example.org today.", ["It costs 3.50 at example.org today."]),
        ("(It boiled.) [Later.] Then", ["(It boiled.)", "[Later.]", "Then"]),
        ("Wait ... what? Well... Fine.", ["Wait ... what?", "Well...", "Fine."]),
        ("水が沸いた。夜だった！「誰？」と聞いた。", ["水が沸いた。", "夜だった！", "「誰？」", "と聞いた。"]),  # noqa: RUF001
        ("¿Quién? Él. Ärger. Да. Нет.", ["¿Quién?", "Él.", "Ärger.", "Да.", "Нет."]),
        ("no end", ["no end"]),
        ("", []),
    ],
)
def test_sentences_end_where_people_end_them(paragraph: str, sentences: list[str]) -> None:
    assert split_sentences(paragraph) == sentences


def test_long_runs_of_stops_do_not_take_for_ever(tmp_path: Path) -> None:
    begin = time.process_time()
    for paragraph in ("." * 50_000 + "x", "A. " * 20_000, "?! " * 20_000, '."' * 30_000, "_a" * 30_000):
        assert "".join("".join(split_sentences(paragraph)).split()) == paragraph.replace(" ", "")
        list(plain_text.read(opened(tmp_path, paragraph * 3)))
        plain_text.recognises(opened(tmp_path, paragraph * 3))
    assert time.process_time() - begin < 10


@pytest.mark.parametrize(
    "text",
    [WRAPPED, BOOK, WRAPPED.replace("old", "öld") * 5000, "Das Wasser kochte. Es war Nacht.", "水が沸いた。夜だった。"],
)
def test_prose_is_recognised(tmp_path: Path, text: str) -> None:
    assert plain_text.recognises(opened(tmp_path, text))
    assert plain_text.recognises(opened(tmp_path, text.encode("utf-16")))


def test_prose_of_an_old_computer_is_recognised(tmp_path: Path) -> None:
    content = "“Café,” she said. It was naïve.".encode("cp1252")
    assert plain_text.recognises(opened(tmp_path, content))
    assert [message.content for message in read(tmp_path, content)] == ["“Café,” she said. It was naïve."]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n\n",
        "one two three four",
        WRAPPED.replace("old", "o\x01d"),
        "\x89PNG\r\n\x1a\n" + "It boiled. " * 100,
        json.dumps([{"text": WRAPPED}] * 9),
        "<html><body><p>The kettle was old. It boiled.</p>\n<p>It whistled. It was night.</p></body></html>",
        "def boil(kettle):\n    # It boils. It whistles.\n    return kettle.boil(100)\n\n\nboil(Kettle());\n" * 9,
        "id,text,label\n" + "".join(f"{n},It boiled. It was night.,yes\n" for n in range(9)),
        "".join(f"2024-01-05 21:0{n}:00 INFO The kettle boiled. It was night.\n" for n in range(9)),
        "".join(f"[21:0{n}] ann: The kettle boiled. It was night.\n" for n in range(9)),
        "ann: The kettle boiled. It did.\nbob: It was night. It was.\n" * 9,
        "word\n" * 500,
        "".join(f"The kettle boiled {n}.\tDer Kessel kochte.\n" for n in range(9)),
    ],
)
def test_what_is_no_prose_is_refused(tmp_path: Path, text: str) -> None:
    assert not plain_text.recognises(opened(tmp_path, text))
