"""Training as a process of its own: one at a time, in the background, through restarts of the bot."""

import asyncio
import importlib.util
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from model import ChinwagError
from model.bundle import SCRATCH
from model.consent import FILE_NAME as CONSENT
from model.library import FolderLibrary, Library
from model.lock import is_locked
from model.replacing import replace

logger = logging.getLogger(__name__)

FOLDER = ".jobs"
"""In the models folder: a folder for each job."""

KEPT_MODELS, KEPT_JOBS = 5, 20
"""How many of a server's models, and of all jobs, are kept besides what is live or at work."""

QUEUED, WORKING, DONE, FAILED = "queued", "working", "done", "failed"

CANCELLED = "It was cancelled."
OUT_OF_MEMORY = (
    "It was ended from outside, most likely because memory ran out: have the operator make 2 GB free where I run, or "
    "train elsewhere (`chinwag-train retrain`) and copy the models folder. Asked again with the same chat logs, I go "
    "on where it was."
)
DISK_FULL = "The disk is full: have the operator make room where my models are, and ask again with the same chat logs."

_JOB, _PROGRESS, _LOG, _EXPORTS, _PID = "job.json", "progress.json", "log.txt", "exports", "pid"
_LAST_LINE = 300  # characters of the log that a person is shown
_FAULT = re.compile(r"[\w.]*(?:Error|Exception|Exit|Interrupt)\b")
_NICE = 10
_FIRST_TO_GO = "1000"  # of all processes, where Linux runs out of memory: better the training than the bot
_KILLED = (-9, -6, None)  # the status of a process that was killed, gave up itself, or was started by a bot before
_FULL = 1 << 20  # bytes free on a disk, or fewer
_ABANDONED = 3600.0  # seconds after which a folder is no job that is still being made
_PATIENCE = 60.0  # seconds for a process to end after it has told that it is over

Command = Callable[["Job"], Sequence[str]]


@dataclass(frozen=True)
class Progress:
    """How far a job is.

    Attributes:
        state: `QUEUED`, `WORKING`, `DONE` or `FAILED`.
        facts: what the process told last; see `training.progress.told`.
        ahead: jobs before this one, of one that is queued.
    """

    state: str
    facts: dict[str, Any] = field(default_factory=dict)
    ahead: int = 0

    @property
    def over(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in (DONE, FAILED)

    @property
    def share(self) -> float | None:
        """How much of the stage is done, from 0 to 1."""
        total = self.facts.get("total")
        return min(1.0, self.facts["done"] / total) if total else None

    @property
    def seconds_left(self) -> float | None:
        """Of the stage, at the rate so far."""
        facts = self.facts
        if self.state != WORKING or not facts.get("total"):
            return None
        gained = facts["done"] - facts["first"]
        return (facts["at"] - facts["started"]) * (facts["total"] - facts["done"]) / gained if gained > 0 else None


@dataclass(frozen=True)
class Job:
    """A training that somebody asked for.

    Attributes:
        folder: where all that belongs to it is; its name orders jobs.
        guild: whose model it is to be.
        channel, message: where its progress is shown.
        member: who asked.
        models: the models folder of the server.
        common: the models folder of the bot.
        sources: files and folders of chat logs, besides what is in the job's own `exports`.
        shared: whether models and opt-outs are in a database.
    """

    folder: Path
    guild: int
    channel: int
    message: int
    member: int
    models: Path
    common: Path
    sources: tuple[str, ...] = ()
    shared: bool = False

    @property
    def exports(self) -> Path:
        """The chat logs that came with it."""
        return self.folder / _EXPORTS

    @classmethod
    def load(cls, folder: Path) -> "Job":
        """Read what `save` wrote."""
        stored = json.loads((folder / _JOB).read_text(encoding="utf-8"))
        paths = {name: Path(stored[name]) for name in ("models", "common")}
        return cls(**stored | paths | {"folder": folder, "sources": tuple(stored["sources"])})

    def save(self) -> None:
        """Write it to its folder, all at once: from then on it is a job."""
        stored = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(self).items()}
        _write(self.folder / _JOB, {**stored, "folder": ""})

    def progress(self) -> Progress:
        """How far it is."""
        try:
            facts = json.loads((self.folder / _PROGRESS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return Progress(QUEUED)
        return Progress(facts.get("state", WORKING), facts)

    def end(self, error: str) -> None:
        """Note that it has failed."""
        _write(self.folder / _PROGRESS, {"state": FAILED, "error": error, "at": time.time()})


def command(job: Job) -> list[str]:
    """What trains: `chinwag-train retrain` of the same installation."""
    sources = [*job.sources, *([str(job.exports)] if any(job.exports.iterdir()) else [])]
    given: dict[str, Path | int] = {"--models": job.models, "--progress": job.folder / _PROGRESS}
    given |= {"--server": job.guild} if job.shared else {"--consent": job.common / CONSENT}
    options = [str(each) for pair in given.items() for each in pair]
    return [sys.executable, "-m", "training", "retrain", *sources, *options]


def can_train() -> bool:
    """Whether the extra `train` is installed."""
    return importlib.util.find_spec("tensorflow") is not None


class Trainer:
    """Works jobs off, one after the other; the process of one goes on when the bot ends, and is found again."""

    def __init__(
        self,
        models: Path,
        on_progress: Callable[[Job, Progress], Awaitable[None]],
        *,
        command: Command = command,
        interval: float = 3.0,
        library: Callable[[int], Library] | None = None,
    ) -> None:
        """Start nothing yet.

        Args:
            models: the models folder of the bot.
            on_progress: told of each job how far it is, about every `interval` seconds, and of its end once.
            command: what trains.
            interval: seconds.
            library: gives the models of a server; by default those in the folder of its jobs.
        """
        self._folder, self._on_progress, self._command, self._interval = models / FOLDER, on_progress, command, interval
        self._models, self._library = models, library
        self._wanted = False
        self._ended: dict[Path, Progress] = {}  # jobs whose end could not be written down
        self._at_work: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Go on with what is not over."""
        self._wanted = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())

    async def close(self) -> None:
        """Leave the process alone that is at work, and look after it no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._process is not None and self._process.poll() is None:
            self._process.returncode = 0  # it is no child to wait for any more

    def new_folder(self) -> Path:
        """A folder for a job, with its `exports`; it is none before `Job.save`."""
        for number in range(1000):
            folder = self._folder / f"{time.time_ns() // 1_000_000:015}-{number}"
            with suppress(FileExistsError):
                (folder / _EXPORTS).mkdir(parents=True)
                return folder
        raise OSError("no folder for a job can be made")

    def submit(self, job: Job) -> None:
        """Put a job behind the others, from the thread of the event loop."""
        job.save()
        self.start()

    def jobs(self) -> list[Job]:
        """All that are known, the oldest first."""
        found = []
        for folder in sorted(self._folder.glob(f"*/{_JOB}")):
            try:
                found.append(Job.load(folder.parent))
            except (OSError, ValueError, KeyError, TypeError):
                logger.warning("The job in %s cannot be read.", folder.parent)
        return found

    def unfinished(self) -> list[Job]:
        """Those at work or queued, the one at work first."""
        return [job for job in self.jobs() if not self._progress(job).over]

    async def cancel(self, name: str) -> bool:
        """End a job, if it is not over; what is live stays live.

        Args:
            name: of its folder.
        """
        jobs = await asyncio.to_thread(self.unfinished)
        job = next((job for job in jobs if job.folder.name == name), None)
        if job is None:
            return False
        pid = await asyncio.to_thread(self._pid, job)
        self._fail(job, CANCELLED)
        if pid is not None:
            await asyncio.to_thread(_kill, pid)
        self._fail(job, CANCELLED)  # in case that the process told something in between
        if job.folder != self._at_work:
            await self._close(job)
        return True

    async def _work(self) -> None:
        while self._wanted:
            self._wanted = False  # until somebody submits another one
            while jobs := await asyncio.to_thread(self.unfinished):
                await self._finish(jobs[0])

    async def _finish(self, job: Job) -> None:
        self._at_work = job.folder
        try:
            await self._run(job)
        except Exception as error:
            logger.exception("The job %s failed.", job.folder.name)
            full = isinstance(error, OSError) and _is_full(job.folder)
            self._fail(
                job, DISK_FULL if full else f"It could not be started ({type(error).__name__}): my log says why."
            )
        self._at_work = None
        await self._close(job)

    async def _close(self, job: Job) -> None:
        await self._tell(job, await asyncio.to_thread(self._progress, job))
        try:
            await asyncio.to_thread(self._tidy, job)
        except (OSError, ChinwagError):
            logger.exception("Not all that is no longer needed after job %s could be deleted.", job.folder.name)

    def _progress(self, job: Job) -> Progress:
        return self._ended.get(job.folder) or job.progress()

    def _fail(self, job: Job, error: str) -> None:
        """Note that a job has failed, if only in memory."""
        try:
            job.end(error)
        except OSError as trouble:
            logger.warning("The end of job %s cannot be written down: %s.", job.folder.name, trouble)
            self._ended[job.folder] = Progress(FAILED, {"error": error})

    async def _run(self, job: Job) -> None:
        """Start a job, or find its process again, and tell how far it is until it is over."""
        if not await asyncio.to_thread(is_locked, job.folder):
            self._process = await asyncio.to_thread(self._start, job)
        while not (progress := await asyncio.to_thread(self._progress, job)).over:
            if not await asyncio.to_thread(self._is_alive, job):
                progress = await asyncio.to_thread(job.progress)  # it may have told in its last moment
                if not progress.over:
                    status = None if self._process is None else self._process.returncode
                    self._fail(job, await asyncio.to_thread(_reason, job, status))
                break
            await self._tell(job, progress if progress.state == WORKING else Progress(WORKING))
            for number, waiting in enumerate((await asyncio.to_thread(self.unfinished))[1:], 1):
                await self._tell(waiting, Progress(QUEUED, ahead=number))
            await asyncio.sleep(self._interval)
        if self._process is not None:
            await asyncio.to_thread(_end, self._process)
            self._process = None

    async def _tell(self, job: Job, progress: Progress) -> None:
        try:
            await self._on_progress(job, progress)
        except Exception:
            logger.exception("The progress of job %s cannot be shown.", job.folder.name)

    def _start(self, job: Job) -> "subprocess.Popen[bytes]":
        options: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            options = {"creationflags": subprocess.BELOW_NORMAL_PRIORITY_CLASS | subprocess.CREATE_NEW_PROCESS_GROUP}
        with (job.folder / _LOG).open("ab") as log:
            streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            process = subprocess.Popen(self._command(job), **streams, **options)
        if sys.platform != "win32":
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, process.pid, _NICE)
        if sys.platform == "linux":
            with suppress(OSError):
                Path(f"/proc/{process.pid}/oom_score_adj").write_text(_FIRST_TO_GO, encoding="ascii")
        try:
            (job.folder / _PID).write_text(str(process.pid), encoding="ascii")
        except OSError:
            _kill(process.pid)  # nobody could find it again
            raise
        return process

    def _is_alive(self, job: Job) -> bool:
        if self._process is not None and self._process.poll() is None:
            return True
        # One that was started before the bot was, and had not locked the folder yet when that looked.
        return is_locked(job.folder)

    def _pid(self, job: Job) -> int | None:
        """The process of a job, as it says itself or else as it was started; None if there is none."""
        try:
            pid = int(job.progress().facts.get("pid") or (job.folder / _PID).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None  # it has not begun
        mine = self._process is not None and self._process.pid == pid
        return pid if mine or is_locked(job.folder) else None  # the number may be another process' by now

    def _tidy(self, job: Job) -> None:
        """Delete the chat logs of a job that is over, old jobs, and the oldest models of its server."""
        shutil.rmtree(job.exports, ignore_errors=True)
        left = job.models / SCRATCH
        if self._progress(job).facts.get("error") == CANCELLED and not is_locked(left):
            shutil.rmtree(left, ignore_errors=True)
        for folder in self._folder.iterdir():
            if not (folder / _JOB).exists() and folder.stat().st_mtime < time.time() - _ABANDONED:
                shutil.rmtree(folder, ignore_errors=True)  # the bot was killed while it took the files
        over = [each for each in self.jobs() if self._progress(each).over]
        for each in over[:-KEPT_JOBS]:
            shutil.rmtree(each.folder, ignore_errors=True)
        library = FolderLibrary(job.models) if self._library is None else self._library(job.guild)
        live = library.live()
        old = [name for name in library.names() if name != live]
        for name in old[:-KEPT_MODELS]:
            library.remove(name)


def _write(path: Path, facts: dict[str, Any]) -> None:
    """Replace a file of JSON in one step."""
    temporary = path.with_name(f".{path.name}.of-the-bot")  # the process has one of its own
    temporary.write_text(json.dumps(facts), encoding="utf-8")
    replace(temporary, path)


def _kill(pid: int) -> None:
    """End a process, and those that it has started."""
    with suppress(OSError):
        if sys.platform == "win32":
            subprocess.run(["taskkill", "/F", "/T", "/PID", str(pid)], capture_output=True, check=False)
        else:
            os.killpg(pid, signal.SIGTERM)


def _reason(job: Job, status: int | None) -> str:
    """Why a process may have ended without a word, and what to do.

    Args:
        job: whose.
        status: that it ended with, negative for a signal; None if it is not known.
    """
    line = _last_line(job)
    if _is_full(job.folder):
        return DISK_FULL
    if status in _KILLED or any(each in line for each in ("MemoryError", "bad_alloc")):
        return OUT_OF_MEMORY
    return f"It ended without a word. {line}".strip()


def _is_full(folder: Path) -> bool:
    return shutil.disk_usage(folder).free < _FULL


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Wait for a process that has nothing left to do."""
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_line(job: Job) -> str:
    """The end of what the process wrote, for who has to find out why."""
    try:
        lines = (job.folder / _LOG).read_text(encoding="utf-8", errors="replace").replace("\r", "\n").splitlines()
    except OSError:
        return ""
    last = next((line.strip()[-_LAST_LINE:] for line in reversed(lines) if line.strip()), "")
    fault = _FAULT.match(last)  # what it says may quote what somebody wrote
    return fault[0] if fault else last
