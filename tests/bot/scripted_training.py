"""Stands in for `chinwag-train retrain`: a process that tells its progress as it is told to, step by step.

    python scripted_training.py FOLDER MODELS STEP...

Steps: `work` tells that it is half done; `wait` waits until there is a file `go` in the folder; `publish` and `keep`
make a model and tell so; `fail` tells why it failed; `die` and `break` end without a word, of want of memory and of
another fault; `killed` is killed; `full` does nothing.
"""

import json
import os
import sys
import time
from pathlib import Path

from model.bundle import make_live, report_of
from model.lock import locked

PUBLISHED = {"state": "done", "published": True, "bits_per_byte": 1.5, "replies": 1000, "rival": 1.625}


def main() -> None:
    folder, models, *steps = sys.argv[1:]
    progress, started = Path(folder) / "progress.json", time.time()

    def tell(**facts: object) -> None:
        progress.with_suffix(".new").write_text(json.dumps({"at": time.time(), **facts}), encoding="utf-8")
        progress.with_suffix(".new").replace(progress)

    with locked(Path(folder)):
        for step in steps:
            if step == "work":
                done = {"done": 50, "first": 0, "total": 100, "unit": "tok", "loss": "3.141"}
                tell(state="working", stage="Training", started=started - 60, **done)
            elif step == "wait":
                while not (Path(folder) / "go").exists():
                    time.sleep(0.01)
            elif step in ("publish", "keep"):
                name = make_bundle(Path(models))
                if step == "publish":
                    make_live(Path(models), name)
                    tell(**PUBLISHED, bundle=name, rejection=None)
                else:
                    tell(**{**PUBLISHED, "published": False}, bundle=name, rejection="The live model is better.")
            elif step == "fail":
                tell(state="failed", error="The export is empty.")
            elif step == "die":
                print("a traceback\nMemoryError", file=sys.stderr)
                sys.exit(1)
            elif step == "break":
                sys.exit("ImportError: nothing")
            elif step == "killed":
                os.kill(os.getpid(), 9)


def make_bundle(models: Path) -> str:
    """A copy of the shipped one: the bot is to answer with it."""
    import shutil

    from model.bundle import PRETRAINED

    models.mkdir(parents=True, exist_ok=True)
    number = 1 + sum(path.is_dir() for path in models.glob("2026*"))
    target = models / f"20260101-00000{number}"
    shutil.copytree(PRETRAINED, target)
    report_of(target).write_text("<p>all about it</p>", encoding="utf-8")
    return target.name


if __name__ == "__main__":
    main()
