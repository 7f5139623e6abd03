"""The disk is full, and then it is not: `python tests/soak/full_disk.py` (Linux, as root: it mounts a small tmpfs).

A bot over a full disk answers, and says in a sentence what it cannot do; with room again it does it. `chinwag-train`
meets disks with ever more room, up to enough: where that runs out it ends with one sentence and the status 1, the live
model stays live, nothing but what the next run goes on with is left, and with room the same command publishes.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from model.bundle import PRETRAINED, Bundle, bundles, live_bundle, make_live  # noqa: E402
from tests.discord_server import DiscordServer  # noqa: E402
from tests.soak.kills import PRESET  # noqa: E402
from tests.training.conftest import write_corpus  # noqa: E402

SIZE = 96 << 20
ROOM = [kibibytes << 10 for kibibytes in (0, 64, 256, 384, 448, 512, 576, 640)]
OLD = "20260101-000000"


def fill(disk: Path, room: int) -> None:
    """Leave so many bytes free."""
    filler = disk / "filler"
    filler.unlink(missing_ok=True)
    free = shutil.disk_usage(disk).free - room
    subprocess.run(["fallocate", "-l", str(free), str(filler)], check=True)


async def answer(server: DiscordServer, count: int, *path: str, **options: str) -> str:
    """What the bot says at last to a command; it answers so many times."""
    token = await server.command(server.user("carol"), *path, **options)
    await server.until(lambda: len(server.answers.get(token, [])) >= count, patience=60)
    last = server.answers[token][-1]
    return str(last.get("content") or last["data"]["content"])


async def bot_on(disk: Path, models: Path) -> None:
    """Talk to a bot whose disk is full at first."""
    async with DiscordServer() as server:
        exports = disk.parent / "exports" / server.guild_id
        exports.mkdir(parents=True)
        write_corpus(exports / "chat.jsonl", 20)
        environment = {"DISCORD_TOKEN": server.token, "CHINWAG_API_BASE": server.base, "PYTHONPATH": str(ROOT)}
        environment |= {"CHINWAG_MODELS": str(models), "CHINWAG_EXPORTS": str(exports.parent)}
        fill(disk, 0)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot", "run"),
            env={**os.environ, **environment},
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout
        assert await asyncio.wait_for(process.stdout.readline(), 120), "the bot did not start"
        for room in (False, True):
            if room:
                (disk / "filler").unlink()
            count = len(server.replies)
            await server.say(server.user("alice"), f"{server.mention} how are you?")
            await server.until(lambda count=count: len(server.replies) > count, patience=60)
            told = [
                await answer(server, 1, "chinwag-admin", "set", setting="chance", value="5 %"),
                await answer(server, 2, "chinwag", "optout"),
                *([] if room else [await answer(server, 2, "chinwag-admin", "retrain")]),
            ]
            for each in told:
                print(f"  {'room' if room else 'full'}: {each.splitlines()[0][:300]}")
                assert ("nothing has changed" in each) != room
        assert process.returncode is None
        process.kill()
        await process.wait()


def trained(*command: str) -> tuple[int, str]:
    """The exit code of `chinwag-train`, and the last line that it says."""
    done = subprocess.run(
        [sys.executable, "-m", "training", *command],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    lines = (done.stdout if done.returncode == 0 else done.stderr).replace("\r", "\n").splitlines()
    return done.returncode, next(line for line in reversed(lines) if line.strip())


def trainer_on(disk: Path, models: Path) -> None:
    """Prepare and train with ever more room."""
    chat, preset = write_corpus(disk.parent / "chat.jsonl", 120), disk.parent / "preset.json"
    preset.write_text(json.dumps(PRESET), encoding="utf-8")
    options = ["--models", str(models), "--preset", str(preset)]
    commands = {
        "prepare": ["prepare", str(chat), "--out", str(disk / "data"), *options],
        "retrain": ["retrain", str(chat), *options, "--force"],
    }
    for name, command in commands.items():
        for room in (*ROOM, None):
            (disk / "filler").unlink(missing_ok=True)
            if room is not None:
                fill(disk, room)
            status, said = trained(*command)
            print(f"  {name}, {'room' if room is None else f'{room >> 10} KiB'}: {status} {said[:300]}", flush=True)
            assert status == 0 if room is None else (status == 0 or said.endswith("."))
            Bundle.open(live_bundle(models))
            left = {path.name for path in models.glob(".*")} - {".bot", ".jobs"}
            assert left <= {".retrain"}, left
            if status:
                assert [each.name for each in bundles(models)] == [OLD], "there is a model that was not finished"
            elif room is not None:
                break
    assert live_bundle(models).name != OLD


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        disk = Path(folder) / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(disk)], check=True)
        try:
            models = disk / "models"
            shutil.copytree(PRETRAINED, models / OLD)
            make_live(models, OLD)
            asyncio.run(bot_on(disk, models))
            trainer_on(disk, models)
        finally:
            subprocess.run(["umount", str(disk)], check=True)


if __name__ == "__main__":
    main()
