"""The corpus of the shipped model, in the normal form: BYU's Chit-Chat Dataset, from the PyPI package that holds it."""

import importlib.util
import json
from pathlib import Path

from training.exports import ExportError


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
