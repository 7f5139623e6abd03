"""What answers before anything has been trained: the program and its model, as installed."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from model.bundle import FILES, HEAD, PRETRAINED, Bundle
from model.chatbot import ChatBot
from model.dialogue import Turn

ROOT = Path(__file__).parents[2]


def chat(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bot", "chat", "--seed", "1"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", "PYTHONUTF8": "1"}
    return subprocess.run(
        command, cwd=folder, env=environment, input=text, capture_output=True, encoding="utf-8", check=True, timeout=60
    )


def test_piped_lines_get_a_reply_each_and_nothing_else(tmp_path: Path) -> None:
    result = chat(tmp_path, "hello!\n\n🦡 \u202eיום טוב\n" + "x" * 10_000 + "\n")  # noqa: RUF001
    assert len(result.stdout.splitlines()) == 4
    assert all(result.stdout.splitlines())
    assert result.stderr == ""
    assert chat(tmp_path, "hello!\n").stdout == result.stdout.splitlines(keepends=True)[0]  # the seed decides


def test_a_reply_needs_no_tensorflow(tmp_path: Path) -> None:
    program = (
        "import sys, io; sys.stdin = io.StringIO('hello\\n'); sys.argv = ['chinwag', 'chat']\n"
        "from bot.__main__ import app; app(standalone_mode=False)\n"
        "print(sorted({'tensorflow', 'keras', 'onnx', 'training'} & set(sys.modules)), file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert result.stderr.strip() == "[]"
    assert result.stdout.strip()


def test_it_is_small_and_says_how_good_it_is() -> None:
    assert sum((PRETRAINED / name).stat().st_size for name in (HEAD, *FILES)) < 12e6
    assert sum(path.stat().st_size for path in PRETRAINED.iterdir()) < 20e6
    facts = Bundle.open(PRETRAINED).facts
    assert facts.preset == "base"
    assert facts.training["figures"]["perplexity"] < 500


@pytest.mark.parametrize("question", ["hello! how are you today?", "what are you studying?"])
def test_its_replies_depend_on_the_question_and_differ(question: str) -> None:
    chatbot = ChatBot.load(PRETRAINED)

    def replies(text: str) -> list[str]:
        return [chatbot.reply([Turn("you", text)], np.random.default_rng(seed)) for seed in range(8)]

    assert len(set(replies(question))) > 2
    assert replies(question) != replies("do you like dogs?")
