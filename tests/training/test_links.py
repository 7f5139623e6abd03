"""What is known of links, how many are found, and that they can be learned."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.training.made_up_chat import chat
from training.exports import ExportError
from training.linking.linker import NEW, Linker
from training.linking.network import LinkTraining, learn
from training.linking.score import UNKNOWN, read_links, score


def write(path: Path, lines: list[dict[str, object]]) -> Path:
    """Write messages in the normal form."""
    base = {"conversation": "c", "timestamp": None, "reply_to": None}
    numbered = [base | {"id": str(number)} | line for number, line in enumerate(lines)]
    path.write_text("".join(json.dumps(line) + "\n" for line in numbered))
    return path


def write_chat(path: Path, length: int = 600, seed: int = 0) -> Path:
    """Write the made-up chat, addresses as IRC has them."""
    utterances, links = chat(length, seed)
    lines: list[dict[str, object]] = []
    for utterance, link in zip(utterances, links, strict=True):
        content = "".join(f"{name}: " for name in utterance.mentions) + utterance.text
        lines.append({"author": utterance.author, "content": content, "reply_to": None if link == NEW else str(link)})
    return write(path, lines)


SPOKEN = [
    {"author": "ann", "content": "hello"},
    {"author": "bob", "content": "anyone here?"},
    {"author": "ann", "content": "bob: yes", "reply_to": "1"},
    {"author": "cy", "content": "good evening"},
]


def test_starts_count_from_the_first_link_on_where_most_messages_have_one(tmp_path: Path) -> None:
    answers = [
        {"author": "bob", "content": "so", "reply_to": "3"},
        {"author": "ann", "content": "and", "reply_to": "4"},
    ]
    (channel,) = read_links([write(tmp_path / "annotated", SPOKEN + answers)])
    assert channel.links.tolist() == [UNKNOWN, UNKNOWN, 1, NEW, 3, 4]


def test_starts_are_unknown_where_few_messages_have_a_link(tmp_path: Path) -> None:
    (channel,) = read_links([write(tmp_path / "some", SPOKEN)])
    assert channel.links.tolist() == [UNKNOWN, UNKNOWN, 1, UNKNOWN]
    found = score([write(tmp_path / "some", SPOKEN)])
    assert (found.messages, found.links, found.starts) == (4, 1, 0)
    assert np.isnan(found.f1())
    assert "no F1" in found.table()


def test_addresses_are_taken_out_and_noted(tmp_path: Path) -> None:
    (channel,) = read_links([write(tmp_path / "some", SPOKEN)])
    assert channel.utterances[2].text == "yes"
    assert channel.utterances[2].mentions == ("bob",)


def test_a_link_to_what_is_left_out_is_unknown(tmp_path: Path) -> None:
    lines = [
        *SPOKEN,
        {"author": "x", "content": "beep", "is_bot": True},
        {"author": "cy", "content": "!", "reply_to": "4"},
    ]
    (channel,) = read_links([write(tmp_path / "bot", lines)])
    assert len(channel.utterances) == 5
    assert channel.links.tolist()[-1] == UNKNOWN


def test_rules_are_scored_on_the_same_messages(tmp_path: Path) -> None:
    lines: list[dict[str, object]] = [
        {"author": "ann", "content": "one"},
        {"author": "bob", "content": "two", "reply_to": "0"},
        {"author": "bob", "content": "three", "reply_to": "1"},
        {"author": "bob", "content": "four", "reply_to": "0"},
        {"author": "cy", "content": "ann: five", "reply_to": "0"},
        {"author": "dee", "content": "six"},
    ]
    found = score([write(tmp_path / "rules", lines)])
    assert (found.links, found.starts) == (4, 1)
    assert found.right["previous message"] == 2
    assert found.right["last other speaker"] == 2
    assert found.right["addressee"] == 3
    assert found.f1("addressee") == pytest.approx(3 / 5)
    assert found.top_1("addressee") == pytest.approx(3 / 4)


def test_the_shipped_linker_beats_the_rules(tmp_path: Path) -> None:
    found = score([write_chat(tmp_path / "chat")])
    assert found.f1() > found.f1("previous message") + 0.2
    assert found.top_1() > found.top_1("last other speaker") + 0.2


def test_without_any_link_there_is_nothing_to_score(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="which one it answers"):
        score([write(tmp_path / "none", SPOKEN[:2])])


def test_links_can_be_learned_and_the_same_seed_gives_the_same_file(tmp_path: Path) -> None:
    corpus = write_chat(tmp_path / "learn", length=320)
    config = LinkTraining(
        units=16, new_units=8, embedding_dim=4, epochs=5, batch_blocks=1, learning_rate=2e-2, dropout=0.0
    )
    losses: list[float] = []
    learn([corpus], tmp_path / "one.npz", config, lambda epoch, loss: losses.append(loss))
    learn([corpus], tmp_path / "two.npz", config)
    assert losses[-1] < losses[0] / 1.5
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    other = write_chat(tmp_path / "other", length=300, seed=1)
    found = score([other], Linker.load(tmp_path / "one.npz"))
    assert found.f1() > max(found.f1("previous message"), found.f1("addressee"))
