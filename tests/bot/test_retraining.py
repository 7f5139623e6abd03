"""Jobs are worked off by processes: watched, found again, cancelled, and cleaned up after."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bot.retraining import (
    CANCELLED,
    DISK_FULL,
    DONE,
    FAILED,
    OUT_OF_MEMORY,
    QUEUED,
    WORKING,
    Job,
    Progress,
    Trainer,
    command,
)
from model.bundle import PRETRAINED, SCRATCH, bundles, live_bundle
from model.lock import is_locked
from tests.bot import scripted_training

Steps = dict[int, list[str]]


class Shop:
    """Trainers over one folder; the steps of a job's process are those of its server."""

    def __init__(self, models: Path, steps: Steps) -> None:
        self.models, self.steps = models, steps
        self.told: list[tuple[int, Progress]] = []
        self.started: list[int] = []
        self.trainers: list[Trainer] = []

    def open(self) -> Trainer:
        async def on_progress(job: Job, progress: Progress) -> None:
            self.told.append((job.guild, progress))

        def train(job: Job) -> list[str]:
            self.started.append(job.guild)
            script = Path(scripted_training.__file__)
            return [sys.executable, str(script), str(job.folder), str(job.models), *self.steps[job.guild]]

        self.trainers.append(Trainer(self.models, on_progress, command=train, interval=0.02))
        return self.trainers[-1]

    def submit(self, trainer: Trainer, guild: int) -> Job:
        models = self.models / "guilds" / str(guild)
        job = Job(trainer.new_folder(), guild, channel=1, message=2, member=3, models=models, common=self.models)
        (job.exports / "log.txt").write_text("hello", encoding="utf-8")
        trainer.submit(job)
        return job

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110 - it is about files too
                await asyncio.sleep(0.01)

    async def over(self, job: Job) -> Progress:
        await self.until(lambda: self.told and self.told[-1][0] == job.guild and self.told[-1][1].over)
        return self.told[-1][1]


@pytest.fixture
async def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    shop = Shop(tmp_path / "models", {})
    yield shop
    for trainer in shop.trainers:
        for job in trainer.unfinished():
            await trainer.cancel(job.folder.name)
        await trainer.close()


async def test_a_job_is_watched_to_its_end(shop: Shop) -> None:
    shop.steps[1] = ["work", "wait", "publish"]
    job = shop.submit(shop.open(), 1)
    await shop.until(lambda: shop.told and shop.told[-1][1].share == 0.5)
    progress = shop.told[-1][1]
    assert (progress.state, progress.facts["stage"], progress.facts["loss"]) == (WORKING, "Training", "3.141")
    assert progress.seconds_left == pytest.approx(60, abs=20)
    (job.folder / "go").touch()
    progress = await shop.over(job)
    assert (progress.state, progress.facts["bits_per_byte"]) == (DONE, 1.5)
    await shop.until(lambda: not job.exports.exists())  # what people said is kept no longer than it is needed
    assert live_bundle(job.models).parent == job.models


async def test_jobs_wait_for_each_other(shop: Shop) -> None:
    shop.steps |= {1: ["work", "wait", "publish"], 2: ["keep"]}
    trainer = shop.open()
    first, second = shop.submit(trainer, 1), shop.submit(trainer, 2)
    await shop.until(lambda: (2, Progress(QUEUED, ahead=1)) in shop.told)
    assert shop.started == [1]
    assert [job.guild for job in trainer.unfinished()] == [1, 2]
    (first.folder / "go").touch()
    progress = await shop.over(second)
    assert not progress.facts["published"]
    assert shop.started == [1, 2]
    assert live_bundle(second.models) == PRETRAINED


async def test_a_process_is_found_again_after_a_restart(shop: Shop) -> None:
    shop.steps[1] = ["work", "wait", "publish"]
    trainer = shop.open()
    job = shop.submit(trainer, 1)
    await shop.until(lambda: shop.told and shop.told[-1][1].share == 0.5)
    await trainer.close()
    shop.told.clear()
    shop.open().start()
    await shop.until(lambda: shop.told)
    (job.folder / "go").touch()
    assert (await shop.over(job)).state == DONE
    assert shop.started == [1]


async def test_a_process_that_is_gone_is_started_again_after_a_restart(shop: Shop) -> None:
    shop.steps[1] = ["work", "wait"]
    trainer = shop.open()
    job = shop.submit(trainer, 1)
    await shop.until(lambda: shop.told and shop.told[-1][1].share == 0.5)
    await trainer.close()
    pid = int((job.folder / "pid").read_text(encoding="ascii"))
    os.kill(pid, 9)
    os.waitpid(pid, 0)  # noqa: ASYNC222 - it has been killed
    shop.steps[1] = ["publish"]
    shop.open().start()
    assert (await shop.over(job)).state == DONE
    assert shop.started == [1, 1]


@pytest.mark.parametrize(
    ("step", "error"),
    [
        ("fail", "The export is empty."),
        ("break", "It ended without a word. ImportError"),
        ("die", OUT_OF_MEMORY),
        ("killed", OUT_OF_MEMORY),
    ],
)
async def test_a_failure_is_told_and_the_next_job_is_begun(shop: Shop, step: str, error: str) -> None:
    shop.steps |= {1: [step], 2: ["publish"]}
    trainer = shop.open()
    first, second = shop.submit(trainer, 1), shop.submit(trainer, 2)
    assert (await shop.over(second)).state == DONE
    assert first.progress().state == FAILED
    assert first.progress().facts["error"] == error


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets one say what it is to kill first")
async def test_where_memory_runs_out_the_training_goes_before_the_bot(shop: Shop) -> None:
    shop.steps[1] = ["work", "wait"]
    job = shop.submit(shop.open(), 1)
    await shop.until(lambda: shop.told and shop.told[-1][1].share == 0.5)
    pid = (job.folder / "pid").read_text(encoding="ascii")
    assert how_soon_it_goes("self") < how_soon_it_goes(pid) == 1000


def how_soon_it_goes(process: str) -> int:
    return int(Path(f"/proc/{process}/oom_score_adj").read_text(encoding="ascii"))


async def test_a_process_that_was_killed_before_the_bot_looked_for_it_again_is_told_of(shop: Shop) -> None:
    shop.steps[1] = ["work", "wait"]
    trainer = shop.open()
    job = shop.submit(trainer, 1)
    await shop.until(lambda: shop.told and shop.told[-1][1].share == 0.5)
    await trainer.close()
    shop.told.clear()
    shop.open().start()
    await shop.until(lambda: shop.told)
    os.kill(int((job.folder / "pid").read_text(encoding="ascii")), 9)
    assert (await shop.over(job)).facts["error"] == OUT_OF_MEMORY
    assert shop.started == [1]


async def test_a_process_that_had_not_locked_its_folder_yet_is_left_alone(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bot was killed right after it had started the training, and starts another one, which ends at once."""
    shop.steps[1] = ["work", "wait", "publish"]
    trainer = shop.open()
    job = shop.submit(trainer, 1)
    await shop.until(lambda: shop.told and shop.told[-1][1].share == 0.5)
    await trainer.close()
    shop.told.clear()
    looks = iter([False])
    monkeypatch.setattr("bot.retraining.is_locked", lambda folder: next(looks, None) is None and is_locked(folder))
    trainer = shop.open()
    trainer.start()
    await shop.until(lambda: trainer._process is not None and trainer._process.poll() is not None)
    shop.told.clear()
    await shop.until(lambda: shop.told)
    (job.folder / "go").touch()
    assert (await shop.over(job)).state == DONE
    assert {progress.state for _, progress in shop.told} == {WORKING, DONE}


async def test_a_full_disk_is_told_and_the_next_job_is_begun(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.steps |= {1: ["full"], 2: ["publish"]}
    usage = shutil.disk_usage(shop.models.parent)
    free = iter([0])
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=next(free, usage.free)))
    end = Job.end

    def no_room(job: Job, error: str) -> None:
        if job.guild == 1:
            raise OSError(28, "No space left on device")
        end(job, error)

    monkeypatch.setattr(Job, "end", no_room)
    trainer = shop.open()
    shop.submit(trainer, 1)
    second = shop.submit(trainer, 2)
    assert (await shop.over(second)).state == DONE
    (told,) = [progress for guild, progress in shop.told if guild == 1 and progress.over]
    assert told.facts["error"] == DISK_FULL
    assert trainer.unfinished() == []


async def test_what_cannot_be_deleted_ends_no_work(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(self: Trainer, job: Job) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Trainer, "_tidy", read_only)
    shop.steps |= {1: ["fail"], 2: ["publish"]}
    trainer = shop.open()
    shop.submit(trainer, 1)
    assert (await shop.over(shop.submit(trainer, 2))).state == DONE


async def test_what_cannot_be_started_is_a_failure(shop: Shop) -> None:
    job = shop.submit(shop.open(), 1)  # there are no steps for it
    assert "It could not be started (KeyError)" in (await shop.over(job)).facts["error"]


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_job_is_cancelled(shop: Shop, restarted: bool) -> None:
    shop.steps |= {1: ["work", "wait"], 2: ["publish"]}
    trainer = shop.open()
    job, waiting = shop.submit(trainer, 1), shop.submit(trainer, 2)
    await shop.until(lambda: any(progress.share == 0.5 for _, progress in shop.told))
    (job.models / SCRATCH).mkdir(parents=True)
    (job.models / SCRATCH / "messages.sqlite").write_text("what people said")
    if restarted:
        await trainer.close()
        trainer = shop.open()
        trainer.start()
    assert await trainer.cancel(waiting.folder.name)
    assert await trainer.cancel(job.folder.name)
    await shop.until(lambda: {1, 2} <= {guild for guild, progress in shop.told if progress.over})
    assert [each.progress().facts["error"] for each in (job, waiting)] == [CANCELLED] * 2
    await shop.until(lambda: not (job.models / SCRATCH).exists())
    assert not await trainer.cancel(job.folder.name)
    assert not await trainer.cancel("nothing")
    assert shop.started == [1]


async def test_disk_use_is_bounded(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.retraining.KEPT_MODELS", 1)
    monkeypatch.setattr("bot.retraining.KEPT_JOBS", 2)
    shop.steps[1] = ["publish"]
    trainer = shop.open()
    abandoned, fresh = trainer.new_folder(), trainer.new_folder()
    os.utime(abandoned, (0, 0))
    for number in range(3):
        job = shop.submit(trainer, 1)
        await shop.over(job)
        await shop.until(lambda number=number, job=job: len(shop.told) and not job.exports.exists())
        shop.told.clear()
    await shop.until(lambda: len(trainer.jobs()) == 2 and len(bundles(job.models)) == 2)
    assert [path.name[-1] for path in bundles(job.models)] == ["2", "3"]
    assert live_bundle(job.models).name[-1] == "3"
    assert (abandoned.exists(), fresh.exists()) == (False, True)


def test_the_command_names_all_that_the_process_needs(tmp_path: Path) -> None:
    job = Job(tmp_path / "job", 1, 2, 3, 4, models=tmp_path / "guilds" / "1", common=tmp_path, sources=("/logs/1",))
    job.exports.mkdir(parents=True)
    assert command(job)[1:5] == ["-m", "training", "retrain", "/logs/1"]
    assert str(job.exports) not in command(job)
    (job.exports / "0.json").touch()
    options = dict(zip(command(job)[-6::2], command(job)[-5::2], strict=True))
    assert options == {
        "--models": str(tmp_path / "guilds" / "1"),
        "--progress": str(tmp_path / "job" / "progress.json"),
        "--consent": str(tmp_path / "consent.sqlite"),
    }
    assert str(job.exports) in command(job)
    shared = command(replace(job, shared=True))  # where a database has models and opt-outs
    assert shared[-2:] == ["--server", "1"]
    assert "--consent" not in shared
