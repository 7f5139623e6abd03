"""What ways to find a reply are worth: `python tests/benchmarks/replies.py DATA` (a prepared dataset).

    python tests/benchmarks/replies.py DATA [--bundle DIR] [--contexts 500] [--weights]

Answers held-out contexts in each way and prints the figures of `chinwag-train evaluate` beside the human replies, with
the share of replies that were rejected and the processor time of one reply, one context at a time. With `--weights` it
prints instead what the ranking's weights do to the same candidates.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from model.bundle import PRETRAINED  # noqa: E402
from model.chatbot import SPEECHLESS, ChatBot  # noqa: E402
from model.decoding import search  # noqa: E402
from model.inference import Inference  # noqa: E402
from model.ranking import Weights  # noqa: E402
from model.reply import Question, Ranked, Reply, ReplyConfig  # noqa: E402
from model.sampling import SamplingConfig  # noqa: E402
from training.dataset import Dataset  # noqa: E402
from training.generation import turns_of  # noqa: E402
from training.held_out import EvaluationConfig, HeldOut  # noqa: E402
from training.metrics import Row, table  # noqa: E402

GREEDY, PLAIN = SamplingConfig(temperature=0), SamplingConfig()
WAYS = {
    "greedy": ReplyConfig(sampling=GREEDY, candidates=1, guarded=False),
    "sampled": ReplyConfig(candidates=1, guarded=False),
    "sampled, likeliest of 8": ReplyConfig(weights=Weights(), guarded=False),
    "sampled, MMI of 8": ReplyConfig(guarded=False),
    "guided, MMI of 8": ReplyConfig(sampling=replace(PLAIN, guidance=0.5), guarded=False),
    "the bot": ReplyConfig(),
}
SHOWN = ("f1", "bleu", "distinct_1", "distinct_2", "reply_words", "dullness", "copy_rate")


class Asked:
    """Held-out contexts, and the bundle that answers them."""

    def __init__(self, data: Path, bundle: Path, contexts: int) -> None:
        self.dataset, self.bundle = Dataset.open(data), bundle
        self.chatbot = ChatBot.load(bundle)
        self.held_out = HeldOut(self.dataset, EvaluationConfig(foretold=1, ranked=0, sampled=contexts))
        split = self.dataset.validation
        self.contexts = [split.contexts[row].tolist() for row in self.held_out.sampled]
        self.conversations = [turns_of(self.chatbot, context) for context in self.contexts]

    def replies(self, config: ReplyConfig) -> list[Reply]:
        generators = np.random.default_rng(0).spawn(len(self.contexts))
        pairs = zip(self.conversations, generators, strict=True)
        return [self.chatbot.replies([Question(turns, rng, config)])[0] for turns, rng in pairs]

    def beam(self) -> list[str]:
        inference, most = Inference(self.bundle), self.chatbot.facts.max_reply_tokens
        found = (search(inference, context, GREEDY, width=8, max_tokens=most)[0] for context in self.contexts)
        return [self.dataset.tokenizer.decode(list(each.ids)) for each in found]

    def row(self, name: str, texts: Sequence[str]) -> Row:
        figures = self.held_out.sayings(texts)
        return Row(name, {key: figures[key] for key in SHOWN if name != "human" or key not in ("f1", "bleu")})


def timed(answer: Callable[[], Sequence[str]]) -> tuple[Sequence[str], float]:
    start = time.process_time()
    return answer(), time.process_time() - start


def compare(asked: Asked) -> None:
    rows, notes = [], []
    answers: dict[str, Callable[[], Sequence[str]]] = {"beam of 8": asked.beam}
    for name, config in WAYS.items():
        answers[name] = lambda config=config: [reply.text for reply in asked.replies(config)]  # type: ignore[misc]
    for name, answer in answers.items():
        texts, seconds = timed(answer)
        rows.append(asked.row(name, texts))
        speechless = sum(text == SPEECHLESS for text in texts) / len(texts)
        notes.append(f"{name:<26}{1000 * seconds / len(texts):>8.1f} ms{100 * speechless:>8.1f} % speechless")
    counts = sum(asked.chatbot.rejections.values())
    notes += [f"rejected: {name} {count / counts:.0%}" for name, count in asked.chatbot.rejections.most_common()]
    rows.append(asked.row("human", asked.held_out.human))
    for start in range(0, len(rows), 4):
        print(table(rows[start : start + 4]), end="\n\n")
    print("\n".join(notes))


def weigh(asked: Asked) -> None:
    """Figures of the best of the same candidates, by different weights."""
    replies = asked.replies(ReplyConfig())
    print(f"{'prior':>6}{'length':>8}" + "".join(f"{key:>13}" for key in SHOWN))
    for prior, length in itertools.product((0.5, 0.6, 0.7, 0.8), (0.6, 0.8, 1.0, 1.2)):
        weights = Weights(prior=prior, length=length)

        def worth(each: Ranked, weights: Weights = weights) -> tuple[bool, bool, float]:
            found = each.candidate
            score = weights.score(found.likelihood, found.prior, float(found.tokens))
            return each.rejection is None, found.ended, score

        figures = asked.row("", [max(reply.candidates, key=worth).text for reply in replies]).figures
        print(f"{prior:>6}{length:>8}" + "".join(f"{figures[key].value:>13.4f}" for key in SHOWN), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--bundle", type=Path, default=PRETRAINED)
    parser.add_argument("--contexts", type=int, default=500)
    parser.add_argument("--weights", action="store_true")
    options = parser.parse_args()
    asked = Asked(options.data, options.bundle, options.contexts)
    (weigh if options.weights else compare)(asked)


if __name__ == "__main__":
    main()
