"""What Ray costs on one machine, and what many machines would take.

    python tests/benchmarks/cluster.py [--size 0.3] [--rounds 3] [--steps 200] [--folder DIR]

Prepares a made-up export of so many GB with processes of this machine and with a Ray of 1, 2 and 4 processors, in turns
of new processes each; prints the medians: the time, the processor time of the process that was asked (its work is done
by no other) and of all others, and the most memory that a worker had. Of how much more that is than for a tenth of the
export it computes what 1 TB would take with 1, 10 and 100 machines of 16 processors. Then it trains the preset `small`
for so many steps in one process, in two that TF_CONFIG names, and in two of a Ray, in turns, and prints the target
tokens a second. Linux; extras `train` and `cluster`.
"""

import argparse
import contextlib
import itertools
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}

from tests.benchmarks.prepare import family, write_export  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
PROCESSORS = 16  # of a machine, where many are computed
TERABYTE = 1e6  # MB
WORKERS = (b"ray::_do", b"multiprocessing.spawn", b"spawn_main")


@dataclass
class Run:
    """What a process and its family took.

    Attributes:
        seconds: by the clock.
        asked, others: processor seconds of itself, and of all others.
        memory: the most that one of its workers had resident, in MiB.
    """

    seconds: float = 0.0
    asked: float = 0.0
    others: float = 0.0
    memory: float = 0.0
    _spent: dict[int, float] = field(default_factory=dict)

    @classmethod
    def of(cls, command: list[str]) -> "Run":
        run, begin, over = cls(), time.perf_counter(), threading.Event()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT)

        def watch() -> None:
            while not over.wait(0.05):
                for pid in family(process.pid):
                    with contextlib.suppress(OSError, ValueError, IndexError):
                        run._look_at(pid)

        thread = threading.Thread(target=watch)
        thread.start()
        code = process.wait()
        run.seconds = time.perf_counter() - begin
        over.set()
        thread.join()
        assert code == 0, command
        run.asked = run._spent.pop(process.pid)
        run.others = sum(run._spent.values())
        return run

    def _look_at(self, pid: int) -> None:
        times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        self._spent[pid] = (int(times[11]) + int(times[12])) / TICKS
        if any(name in Path(f"/proc/{pid}/cmdline").read_bytes() for name in WORKERS):
            resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
            self.memory = max(self.memory, resident)


def compare_preparing(folder: Path, size: float, rounds: int) -> None:
    exports = [folder / f"{each:g}GB.json" for each in (size / 10, size)]
    for export, each in zip(exports, (size / 10, size), strict=True):
        if not export.exists():
            write_export(export, int(each * 1e9))
    ways = {f"{count} process{'es' * (count > 1)}": ["--workers", str(count)] for count in (1, 2)}
    ways |= {f"Ray of {count}": ["--workers", str(count), "--ray", "local"] for count in (1, 2, 4)}
    runs: dict[tuple[str, Path], list[Run]] = {(way, export): [] for way in ways for export in exports}
    for _ in range(rounds):
        for way, export in runs:  # the large one last: its dataset is trained on
            shutil.rmtree(folder / "data", ignore_errors=True)
            command = [sys.executable, "-m", "training", "prepare", str(export), "--out", str(folder / "data")]
            runs[way, export].append(Run.of([*command, "--preset", "small", *ways[way]]))
    small, large = (export.stat().st_size / 1e6 for export in exports)
    print(
        f"{f'{large:,.0f} MB, {rounds} rounds':<24} {'time':>9} {'MB/s':>6} {'asked':>8} {'others':>8}   largest worker"
    )
    for way in ways:
        some = runs[way, exports[1]]
        seconds, asked, others, memory = (median(some, name) for name in ("seconds", "asked", "others", "memory"))
        print(
            f"{way:<24} {seconds:7.1f} s {large / seconds:6.1f} {asked:6.1f} s {others:6.1f} s {memory:10.0f} MiB",
            flush=True,
        )
    for way in ("2 processes", "Ray of 2"):
        asked, others = (
            (median(runs[way, exports[1]], name) - median(runs[way, exports[0]], name)) / (large - small) * TERABYTE
            for name in ("asked", "others")
        )
        for machines in (1, 10, 100):
            hours = (asked + others / (machines * PROCESSORS)) / 3600
            print(
                f"computed for 1 TB, by {way}: {machines} x {PROCESSORS} processors {hours:.1f} h at most, of which "
                f"{asked / 3600:.1f} h are those of the process that was asked"
            )


def median(runs: list[Run], name: str) -> float:
    return statistics.median(getattr(run, name) for run in runs)


def learn(data: Path, steps: int, ray: bool, checkpoint: Path) -> float | None:
    """Train in this process, in those that TF_CONFIG names, or in two of a Ray; target tokens a second of the chief."""
    from training.loading import load_tensorflow

    load_tensorflow()
    import keras

    from model.seq2seq import build
    from training.crew import Crew
    from training.dataset import Dataset
    from training.distribution import devices
    from training.plan import Plan
    from training.presets import Start
    from training.train import train

    dataset, start = Dataset.open(data), Start(preset="small")
    epochs = steps / Plan.of(dataset.train, start.config(epochs=1)).epoch_steps
    keras.utils.set_random_seed(0)
    with devices():
        network = build(start.settings.shape(dataset.tokenizer.vocabulary_size))
        run = Crew("local", 2, data).train if ray else train
        evaluations = run(network, dataset, start.config(epochs=epochs), checkpoint=checkpoint).evaluations
    if not evaluations:
        return None
    later = evaluations[len(evaluations) // 2 - 1 :]  # the first steps of each shape are slow to compile
    return statistics.median(
        (two.tokens - one.tokens) / (two.seconds - one.seconds) for one, two in itertools.pairwise(later)
    )


def compare_training(data: Path, steps: int, rounds: int) -> None:
    rates: dict[str, list[float]] = {"1 process": [], "2 by TF_CONFIG": [], "2 of a Ray": []}
    for _ in range(rounds):
        rates["1 process"].append(rate_of(data, steps))
        rates["2 by TF_CONFIG"].append(rate_of(data, steps, count=2))
        rates["2 of a Ray"].append(rate_of(data, steps, "--ray"))
    for way, some in rates.items():
        print(f"{way:<24} {statistics.median(some):8,.0f} target tokens a second", flush=True)


def rate_of(data: Path, steps: int, *options: str, count: int = 1) -> float:
    workers = [f"127.0.0.1:{port}" for port in free_ports(count)]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--learn", str(data), "--steps", str(steps), "--folder", folder, *options]
        environments = [ENVIRONMENT]
        if count > 1:
            configs = [{"cluster": {"worker": workers}, "task": {"type": "worker", "index": i}} for i in range(count)]
            environments = [ENVIRONMENT | {"TF_CONFIG": json.dumps(config)} for config in configs]
        piped = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
        processes = [subprocess.Popen(command, env=each, **piped) for each in environments]  # type: ignore[call-overload]
        printed = [process.communicate()[0] for process in processes]
        if processes[0].returncode:
            raise SystemExit("A training gave no rate: it was evaluated less than twice, name more --steps.")
        return float(printed[0].splitlines()[-1])


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=float, default=0.3, help="in GB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--folder", type=Path, help="where the export goes, and stays for the next time")
    parser.add_argument("--learn", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--ray", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.learn:
        checkpoint = options.folder / str(os.getpid())
        checkpoint.mkdir()
        print(learn(options.learn, options.steps, options.ray, checkpoint))
        return
    with contextlib.ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        compare_preparing(folder, options.size, options.rounds)
        compare_training(folder / "data", options.steps, options.rounds)


if __name__ == "__main__":
    main()
