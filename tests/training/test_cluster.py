"""Work spread over machines: of these tests, processes of one Ray on this machine."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason="needs the extra: pip install -e '.[train,cluster,test]'", exc_type=ImportError)

from tests.training.conftest import dataset_files, write_corpus, write_talk
from training import cluster, reading
from training import prepare as module
from training.cluster import Cluster, ClusterError
from training.exports import file
from training.prepare import prepare

TASKS = list(range(20))


def square(number: int) -> int:
    time.sleep(0.002 * (number % 3))  # the later ones are often done first
    return number * number


def fail_at_seven(number: int) -> int:
    if number == 7:
        raise OSError(28, "No space left on device")
    return number


def die(task: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(mark: Path) -> str:
    """End the process the first time, whichever it is."""
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return mark.name
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def read_at_the_second_try(task: Any) -> Any:
    """Read a piece; the first process that does dies when it is done, and leaves its rows behind."""
    result = reading_of(task)
    die_once(task.folder.parent / "died")
    return result


reading_of = reading._read


class TestCluster:
    @pytest.fixture
    def two(self, ray: str) -> Iterator[Cluster]:
        with Cluster(ray) as joined:
            yield joined

    def test_results_come_in_the_order_of_the_tasks(self, two: Cluster) -> None:
        assert list(two.map(square, TASKS)) == [number * number for number in TASKS]

    def test_an_error_of_a_task_comes_through_as_it_is_and_the_work_goes_on(self, two: Cluster) -> None:
        with pytest.raises(OSError, match="No space left on device") as caught:
            list(two.map(fail_at_seven, TASKS))
        assert caught.value.errno == 28
        assert list(two.map(square, [3])) == [9]

    def test_only_a_few_tasks_are_taken_ahead(self, two: Cluster) -> None:
        taken = []

        def tasks() -> Iterator[int]:
            for number in TASKS:
                taken.append(number)
                yield number

        results = two.map(square, tasks())
        next(results)
        assert len(taken) <= 5
        results.close()  # type: ignore[attr-defined]

    def test_a_task_whose_process_is_killed_is_begun_again(self, two: Cluster, tmp_path: Path) -> None:
        marks = [tmp_path / name for name in "abc"]
        assert list(two.map(die_once, marks)) == ["a", "b", "c"]

    def test_one_that_kills_each_process_is_one_plain_sentence(
        self, two: Cluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cluster, "_MOST_TRIES", 1)
        with pytest.raises(ClusterError, match=r"in 2 tries .*memory ran out: free some, or name fewer"):
            list(two.map(die, TASKS))


class TestPreparing:
    @pytest.fixture(autouse=True)
    def _small_pieces(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reading, "_PART_FROM_BYTES", 30_000)
        monkeypatch.setattr(file, "PART_BYTES", 30_000)
        monkeypatch.setattr(module, "write_report", lambda path, *facts: path.write_text(repr(facts)))
        monkeypatch.setattr(module, "_PIECE_MESSAGES", 300)
        monkeypatch.setattr(module, "_PIECE_EXAMPLES", 200)

    @pytest.fixture
    def exports(self, tmp_path: Path) -> list[Path]:
        return [write_talk(tmp_path / "big.jsonl", 2000), write_corpus(tmp_path / "small.jsonl", 200)]

    @pytest.fixture
    def expected(self, exports: list[Path], tmp_path: Path) -> dict[str, bytes]:
        parts = [part for export in module.find_exports(exports, module.ReadNotes()) for part in reading._parts(export)]
        assert len(parts) > 10
        prepare(exports, tmp_path / "expected", vocabulary_size=400, workers=0)
        return dataset_files(tmp_path / "expected")

    @pytest.mark.parametrize("workers", [1, 2, 4])
    def test_the_dataset_has_the_bytes_of_one_made_by_one_machine(
        self, ray: str, exports: list[Path], expected: dict[str, bytes], tmp_path: Path, workers: int
    ) -> None:
        prepare(exports, tmp_path / "data", vocabulary_size=400, workers=workers, ray=ray)
        assert dataset_files(tmp_path / "data") == expected

    def test_a_process_that_is_killed_changes_nothing(
        self,
        ray: str,
        exports: list[Path],
        expected: dict[str, bytes],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(reading, "_read", read_at_the_second_try)
        prepare(exports, tmp_path / "data", vocabulary_size=400, ray=ray)
        (tmp_path / "data" / "died").unlink()
        assert dataset_files(tmp_path / "data") == expected

    def test_paths_mean_on_each_machine_what_they_mean_here(
        self, ray: str, exports: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(exports[0].parent)
        prepare([Path("small.jsonl")], Path("data"), vocabulary_size=320, ray=ray)
        prepare([Path("small.jsonl")], Path("alone"), vocabulary_size=320)
        assert dataset_files(Path("data")) == dataset_files(Path("alone"))


class TestJoining:
    def test_a_machine_that_does_not_see_a_file_is_named(self, ray: str, tmp_path: Path) -> None:
        here = socket.gethostname()
        with pytest.raises(ClusterError, match=rf"{here} does not see {tmp_path}/gone: .* all machines see"):
            Cluster(ray, needed=[tmp_path, tmp_path / "gone"]).__enter__()

    def test_a_machine_with_another_version_is_named(self, ray: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cluster, "_code", lambda: "another")
        with pytest.raises(ClusterError, match=rf"{socket.gethostname()} has another version of Chinwag: install"):
            Cluster(ray).__enter__()

    @pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:x", "nonsense"])
    def test_where_no_ray_is_a_plain_sentence_says_how_to_start_one(self, address: str) -> None:
        with pytest.raises(ClusterError, match=rf"There is no Ray to join at {address} .*`ray start --head`"):
            Cluster(address).__enter__()
