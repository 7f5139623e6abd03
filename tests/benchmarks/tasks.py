"""How well text-to-text tasks other than chat are learned by the commands: `python tests/benchmarks/tasks.py`.

    python tests/benchmarks/tasks.py [TASK ...] [--time-limit 5m] [--preset NAME] [--pairs 8000] [--folder DIR]

Makes up pairs of each task, none of whose sources occurs twice, and runs `chinwag-train retrain` on them; then has
`chinwag apply` write the targets of the held-out sources, and counts those that are right to the letter. The minutes
are of processor time, all of `retrain` included. Without `--preset` the network is `small`, with a vocabulary that
suits the task: parts of words for numbers, whole words and names for the others.

- translation: numbers below a million, in words, from English to German, where the ones stand before the tens.
- summary: a report of a football match to its headline, which names the winner first.
- story: the sentence that ends a story, and tells where who looks for a thing, and whether it is found.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from training.dataset import Dataset  # noqa: E402
from training.presets import PRESETS  # noqa: E402

PRESET = replace(PRESETS["small"], training=replace(PRESETS["small"].training, context_dropout=0.0))
TOKENS = {"translation": 400, "summary": 1500, "story": 1500}

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}

Pair = tuple[str, str]

ENGLISH = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
nineteen twenty thirty forty fifty sixty seventy eighty ninety
"""
GERMAN = """
null ein zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn achtzehn
neunzehn zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig
"""
TEAMS = """
Rovers Wanderers United Albion Rangers Athletic Borough Harriers Villa Orient Argyle Corinthians Swifts Pilgrims
Saddlers Millers Potters Hatters Glovers Cobblers Shrimpers Seagulls Magpies Canaries
"""
PEOPLE = "Ann Bob Cat Dan Eve Finn Gus Hal Ida Jon Kim Lea Max Nell Otto Pip Quin Rose Sam Tess Una Vic Wim Yve"
THINGS = "kettle lamp book key hat violin letter map coin cake ladder clock barrel teapot bicycle lantern"
PLACES = """
in the attic, on the shelf, under the bed, in the shed, behind the door, on the roof, in the cellar, by the well,
in the drawer, under the stairs, on the piano, in the oven
"""
GROUNDS = "Mill Lane, Canal Road, the Old Quarry, Station Park, Church Meadow, the Tannery, Weir Street"
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"
WEATHER = "It rained all day. The sun was out. The wind was cold. There was fog. It was a mild evening."


def english(number: int) -> str:
    names = ENGLISH.split()
    if number >= 1000:
        return f"{english(number // 1000)} thousand {english(number % 1000) if number % 1000 else ''}".strip()
    if number >= 100:
        return f"{names[number // 100]} hundred{f' and {english(number % 100)}' if number % 100 else ''}"
    if number < 20:
        return names[number]
    return names[18 + number // 10] + (f"-{names[number % 10]}" if number % 10 else "")


def german(number: int, last: bool = True) -> str:
    """Args: last: nothing follows, so that one is `eins` and not `ein`."""
    names = GERMAN.split()
    if number >= 1000:
        return f"{german(number // 1000, False)}tausend{german(number % 1000) if number % 1000 else ''}"
    if number >= 100:
        return f"{names[number // 100]}hundert{german(number % 100, last) if number % 100 else ''}"
    if number < 20:
        return f"{names[number]}{'s' if number == 1 and last else ''}"
    return f"{names[number % 10]}und{names[18 + number // 10]}" if number % 10 else names[18 + number // 10]


def translation(rng: random.Random) -> Pair:
    number = rng.randrange(10 ** rng.randint(3, 6))
    return english(number), german(number)


def summary(rng: random.Random) -> Pair:
    home, away = rng.sample(TEAMS.split(), 2)
    scorers = rng.sample(PEOPLE.split(), 2)
    goals = rng.randrange(5), rng.randrange(5)
    facts = [
        f"{rng.choice(DAYS.split())} saw {home} meet {away} at {rng.choice(GROUNDS.split(', '))}.",
        f"{rng.randrange(2, 90) * 100} people came to watch.",
        rng.choice(WEATHER.split(". ")).rstrip(".") + ".",
        f"{scorers[0]} of {rng.choice((home, away))} hit the post in minute {rng.randrange(1, 91)}.",
        f"The referee sent {scorers[1]} off.",
    ]
    told = [facts[0], *rng.sample(facts[1:], rng.randrange(2, 5))]
    told.insert(rng.randrange(1, len(told) + 1), f"The hosts scored {goals[0]}, the guests {goals[1]}.")
    if goals[0] == goals[1]:
        return " ".join(told), f"{home} and {away} draw {goals[0]}-{goals[1]}"
    winner, loser = (home, away) if goals[0] > goals[1] else (away, home)
    return " ".join(told), f"{winner} beat {loser} {max(goals)}-{min(goals)}"


def story(rng: random.Random) -> Pair:
    (owner, other, third), (thing, decoy) = rng.sample(PEOPLE.split(), 3), rng.sample(THINGS.split(), 2)
    first, second, elsewhere = rng.sample(PLACES.strip().replace("\n", " ").split(", "), 3)
    told = [f"{owner} put the {thing} {first}."]
    moved = rng.random() < 0.6
    if moved:
        told.append(f"{other} moved the {thing} and left it {second}.")
    told.insert(rng.randrange(len(told) + 1), f"{third} saw a {decoy} {elsewhere}.")
    told.append(f"Later {owner} wanted the {thing}.")
    if moved:
        return " ".join(told), f"{owner} looked {first}, but the {thing} was {second}."
    return " ".join(told), f"{owner} looked {first}, and there the {thing} was."


TASKS: dict[str, Callable[[random.Random], Pair]] = {"translation": translation, "summary": summary, "story": story}


def write_pairs(path: Path, task: Callable[[random.Random], Pair], count: int) -> None:
    rng, pairs = random.Random(0), dict[str, str]()
    while len(pairs) < count:
        source, target = task(rng)
        pairs.setdefault(source, target)
    with path.open("w", encoding="utf-8") as file:
        for source, target in pairs.items():
            file.write(json.dumps({"source": source, "target": target}, ensure_ascii=False) + "\n")


def run(module: str, *arguments: object, stdin: str = "") -> str:
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(command, env=ENVIRONMENT, input=stdin, stdout=subprocess.PIPE, text=True, check=True).stdout


def held_out(dataset: Dataset) -> list[Pair]:
    split, tokenizer = dataset.validation, dataset.tokenizer
    contexts = (tokenizer.decode_context(split.contexts[row].tolist()) for row in range(len(split)))
    return [(context[-1][1], tokenizer.decode(split.replies[row].tolist())) for row, context in enumerate(contexts)]


def learn(task: str, folder: Path, options: argparse.Namespace) -> str:
    """Learn a task in a folder; returns its row of the table."""
    write_pairs(folder / "pairs.jsonl", TASKS[task], options.pairs)
    replace(PRESET, vocabulary_size=TOKENS[task]).save(folder / "preset.json")
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    run(
        *("training", "retrain", folder / "pairs.jsonl", "--data", folder / "data", "--models", folder / "models"),
        *("--preset", options.preset or folder / "preset.json", "--verbatim", "--max-context", 128),
        *("--epochs", 100, "--time-limit", options.time_limit),
    )
    minutes = (resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before) / 60
    dataset = Dataset.open(folder / "data")
    pairs = held_out(dataset)
    answers = run("bot", "apply", "--models", folder / "models", stdin="".join(f"{source}\n" for source, _ in pairs))
    right = sum(answer == target for answer, (_, target) in zip(answers.splitlines(), pairs, strict=True))
    (folder / "answers.txt").write_text(answers, encoding="utf-8")
    return f"{task:<14}{len(dataset.train):>12,}{minutes:>9.1f}{len(pairs):>10,}{right / len(pairs):>8.1%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", choices=[*TASKS, []], metavar="TASK")
    parser.add_argument("--time-limit", default="5m")
    parser.add_argument("--preset")
    parser.add_argument("--pairs", type=int, default=8000)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        print(f"{'task':<14}{'trained on':>12}{'minutes':>9}{'held out':>10}{'right':>8}")
        for task in options.tasks or TASKS:
            folder = (options.folder or Path(temporary)) / task
            folder.mkdir(parents=True, exist_ok=True)
            print(learn(task, folder, options), flush=True)


if __name__ == "__main__":
    main()
