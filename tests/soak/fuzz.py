"""Inputs that nobody means well: `python tests/soak/fuzz.py [--minutes 60] [--target bundle text ...]` (Linux).

Each target gets its share of the time in a process of its own, so that a crash or a hang is a finding too. What fails
is written to a folder (`--failures`) and printed; `--target bundle --replay FILE` runs one again. The same `--seed`
makes the same inputs.

`text`, `sampler` and `interactions` are made up by Hypothesis. `readers`, `packing` and `bundle` are bytes: guided by
what they reach in the code where atheris is installed (`pip install atheris`), else the tests' samples with damage.
"""

import argparse
import asyncio
import hashlib
import json
import logging
import math
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

SECONDS = 5.0
"""What one input may take."""

_ADDRESS_SPACE = 8 << 30
_LONGEST_INPUT = 1 << 16
_ROUND = 200  # examples of Hypothesis at a time


class Bytes(NamedTuple):
    """A target that takes bytes.

    Attributes:
        check: raises what is a finding.
        samples: of what it takes when all is well.
    """

    check: Callable[[bytes], None]
    samples: Sequence[bytes]


class Made(NamedTuple):
    """A target of which Hypothesis makes the inputs; `check` raises what is a finding."""

    check: Callable[[Any], None]
    strategy: Any


def _scratch() -> Path:
    return Path(tempfile.mkdtemp(prefix="fuzz-"))


# The targets. Imports are inside them: coverage is measured of what is imported after atheris.


def readers() -> Bytes:
    """Files of chat exports, in any format."""
    from tests.training.test_exports_fuzz import SAMPLES, check, garbage

    path = _scratch() / "export"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        check(path)

    samples = [content.encode() for files in SAMPLES.values() for content in files.values()]
    return Bytes(read, [*samples, *(each[:2000] for each in garbage(random.Random(0)))])


def packing() -> Bytes:
    """Archives and gzip files of exports."""
    from tests.training.test_exports_fuzz import pack, sample

    read = readers().check
    samples = []
    for name in ("slack", "telegram", "irc"):
        for kind in ("zip", "gzip"):
            path, _ = pack(_scratch(), sample(name), kind)
            samples.append(path.read_bytes())
    return Bytes(read, samples)


def bundle() -> Bytes:
    """Files of a bundle whose head vouches for them, as a stranger's does: the first byte says which it is."""
    import numpy as np

    from model.bundle import FILES, HEAD, ModelFormatError
    from model.chatbot import ChatBot
    from model.dialogue import Turn

    folder = _scratch()
    making = (
        "import sys; from pathlib import Path; from tests.soak.fuzz import make_bundle; make_bundle(Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", making, str(folder)], check=True, cwd=ROOT, capture_output=True)
    (whole,) = folder.glob("[0-9]*/")
    names = (HEAD, *FILES)
    originals = {name: (whole / name).read_bytes() for name in names}

    def load(data: bytes) -> None:
        if not data:
            return
        name = names[data[0] % len(names)]
        begin = time.process_time()
        try:
            (whole / name).write_bytes(data[1:])
            if name != HEAD:
                head = json.loads(originals[HEAD])
                head["files"][name] = {"bytes": len(data) - 1, "sha256": hashlib.sha256(data[1:]).hexdigest()}
                (whole / HEAD).write_text(json.dumps(head), encoding="utf-8")
            with suppress(ModelFormatError):
                chatbot = ChatBot.load(whole)
                chatbot.describe()
                reply = chatbot.reply([Turn("ann", "hello there")], np.random.default_rng(0))
                assert len(reply) < 1 << 20
        finally:
            for each in {name, HEAD}:
                (whole / each).write_bytes(originals[each])
        assert time.process_time() - begin < SECONDS

    return Bytes(load, [bytes([place]) + originals[name] for place, name in enumerate(names)])


def make_bundle(folder: Path) -> None:
    """Publish a bundle of a few kilobytes; it takes TensorFlow, which is not to be in the process that is fuzzed."""
    from model.tokenizer import Tokenizer
    from tests.model.conftest import LINES
    from tests.model.tiny_network import publish_bundle

    publish_bundle(folder, Tokenizer.train(LINES, vocabulary_size=300))


def text() -> Made:
    """The text contract, and all that judges texts."""
    from hypothesis import strategies as st

    from model.blocklist import Blocklist
    from model.copies import CopyIndex
    from model.dialogue import Marker, Turn, clean_text, merge_bursts, render_context
    from model.guards import rejection
    from model.tokenizer import LINE_ID, Tokenizer
    from tests.model.chat_text import raw_texts
    from tests.model.conftest import LINES
    from training.cleanliness import reason, signature
    from training.names import Names
    from training.privacy import redact

    tokenizer = Tokenizer.train(LINES, vocabulary_size=300)
    blocklist, copies = Blocklist(["slur", "dash it", "вот", "猫"]), CopyIndex.build(lambda: [("cats or dogs", 1)])
    pieces = st.sampled_from(
        ["a", ".", "@", "-", "/", "<", ":", "1", " ", "\n", "\u0338", "\ufdfa", "http://", "a.", "1 "]
    )
    long = st.tuples(st.lists(pieces, min_size=1, max_size=3).map("".join), st.integers(1, 2000)).map(
        lambda p: (p[0] * p[1])[:4000]
    )

    def check(said: tuple[list[tuple[str, str]], str]) -> None:
        begin = time.process_time()
        raw, reply = said
        for _, each in raw:
            clean = clean_text(each)
            assert clean_text(clean) == clean
            ids = tokenizer.encode(clean)
            assert tokenizer.decode(ids) == clean
            assert all(token > LINE_ID or token == LINE_ID for token in ids)
            reason(each, blocklist=blocklist)
            signature(clean)
            left, _ = redact(each)
            assert redact(left)[0] == left
            Names().resolve("ann", "ann", each, ("1",))
            blocklist.finds(each)
        turns = merge_bursts(Turn(who, clean_text(each)) for who, each in raw)
        context = tokenizer.encode_context(render_context(turns), 48)
        assert 0 < len(context) <= 48
        for marker, _ in tokenizer.decode_context(context):
            assert isinstance(marker, Marker)
        rejection(clean_text(reply), turns, copies, blocklist)
        assert time.process_time() - begin < SECONDS

    texts = raw_texts | long
    return Made(check, st.tuples(st.lists(st.tuples(st.sampled_from("abm"), texts), max_size=4), texts))


def sampler() -> Made:
    """Logits and settings of any kind."""
    import numpy as np
    from hypothesis import strategies as st
    from hypothesis.extra import numpy as arrays

    from model.sampling import DRAWS, SamplingConfig, guide, log_softmax, restrain, sample

    numbers = st.floats(width=32) | st.sampled_from([-math.inf, 0.0, -0.0, 1e-45, 3e38, -3e38, math.nan])
    scores = arrays.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(4, 200)), elements=numbers)
    settings = st.fixed_dictionaries(
        {},
        optional={
            "temperature": st.floats(0, 10) | st.sampled_from([0.0, 5e-324, 1e-40]),
            "top_k": st.integers(0, 300),
            "top_p": st.floats(0, 1, exclude_min=True),
            "min_p": st.floats(0, 1),
            "repetition_penalty": st.floats(1, 10),
            "no_repeat_ngram": st.integers(0, 5),
            "banned": st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=3).map(tuple), max_size=3).map(tuple),
        },
    )

    def check(given: tuple[Any, dict[str, Any], list[int], int]) -> None:
        logits, options, said, seed = given
        config, rng = SamplingConfig(**options), np.random.default_rng(seed)
        before = logits.copy()
        past = [[token % logits.shape[1] for token in said]] * len(logits)
        with np.errstate(all="ignore"):
            held = restrain(logits, past, config)
        sound = bool(np.isfinite(held.max(axis=-1)).all())
        try:
            with np.errstate(all="ignore"):
                tokens = sample(held, config, rng.random((len(logits), DRAWS)))
        except ValueError:
            assert not sound, "refused though there was something to draw"
            return
        assert sound
        assert ((tokens >= 0) & (tokens < logits.shape[1])).all()
        assert np.isfinite(held[np.arange(len(held)), tokens]).all(), "drew what is impossible"
        np.testing.assert_array_equal(logits, before)
        with np.errstate(all="ignore"):
            assert guide(log_softmax(logits), log_softmax(logits), 0.5).shape == logits.shape

    return Made(check, st.tuples(scores, settings, st.lists(st.integers(0, 199), max_size=12), st.integers(0, 99)))


def interactions() -> Made:
    """Events that Discord does not send: commands, buttons, menus, forms, votes, messages, over sockets."""
    from hypothesis import strategies as st

    life = _Life()
    junk: Any = st.recursive(
        st.none() | st.booleans() | st.integers(-(1 << 65), 1 << 65) | st.text(max_size=20) | st.just("9" * 5000),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=6,
    )
    places = st.lists(st.integers(0, 9), min_size=1, max_size=6)
    event = st.tuples(st.integers(0, len(life.kinds) - 1), st.lists(st.tuples(places, junk), max_size=4))
    return Made(life.live, st.lists(event, min_size=1, max_size=6))


class _Life:
    """A bot in a loopback Discord that hears made-up events, and a thread in which it lives."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._errors: list[str] = []
        handler = logging.Handler(logging.WARNING)
        handler.emit = self._note  # type: ignore[method-assign]
        logging.getLogger().addHandler(handler)
        self.kinds = self._run(self._begin())

    def live(self, events: list[tuple[int, list[tuple[list[int], Any]]]]) -> None:
        """Send events with some fields replaced; the bot must go on answering."""
        self._errors.clear()
        self._run(self._send(events))
        assert not self._errors, self._errors[0]

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def _note(self, record: logging.LogRecord) -> None:
        """What our code raised and only the library or the loop caught; what they make of bad events is theirs."""
        text = logging.Formatter().format(record)
        trace, file = record.exc_info[2] if record.exc_info else None, ""
        while trace is not None:
            file, trace = trace.tb_frame.f_code.co_filename, trace.tb_next
        if record.name.startswith(("discord", "asyncio")) and Path(file).is_relative_to(ROOT):
            self._errors.append(text)
        if self._server.token in text:
            self._errors.append(f"the token is in the log: {text}")

    async def _begin(self) -> list[str]:
        import discord
        import yarl

        from bot.cog import Chinwag
        from bot.stores import Stores
        from tests.bot.conftest import Alone, PromptClient
        from tests.bot.scripted_model import ScriptedModel
        from tests.discord_server import DiscordServer

        folder = _scratch()
        self._server = server = await DiscordServer(token=f"token-{random.random()}").__aenter__()
        discord.http.Route.BASE = server.base
        discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(server.gateway_url)
        model, stores = ScriptedModel(), Stores.open(folder / "models")
        models = Alone(model, stores.folder)
        make = lambda bot: Chinwag(bot, models, stores, exports=folder / "exports", workers=1)  # noqa: E731
        self._client = PromptClient(make, guild_ready_timeout=0.05)
        self._running = asyncio.create_task(self._client.start(server.token))
        await server.until(self._client.is_ready, patience=30)
        stores.settings.change(int(server.guild_id), feedback=True)
        self._stores, self._alice = stores, server.user("alice")
        self._said = await server.say(self._alice, f"{server.mention} hello")
        await server.until(lambda: server.replies)
        self._answer = next(each for each in server.messages.values() if each["author"] is server.bot)
        token = await server.command(self._alice, "chinwag-admin", "settings")
        await server.until(lambda: token in server.answers)
        self._panel = server.answers[token][0]["data"]["components"]
        return ["command", "set", "block", "menu", "component", "select", "modal", "message", "reaction", "delete"]

    def _event(self, kind: str) -> tuple[str, dict[str, Any]]:
        server = self._server
        if kind == "message":
            name = "MESSAGE_CREATE"
            message = server.post(self._alice, f"{server.mention} how are you?", reply_to=self._answer)
            data = {**server._shown(message, readable=True), "guild_id": server.guild_id, "member": {"roles": []}}
        elif kind in ("reaction", "delete"):
            name = "MESSAGE_REACTION_ADD" if kind == "reaction" else "MESSAGE_DELETE"
            data = {"channel_id": server.channel_id, "guild_id": server.guild_id, "user_id": self._alice["id"]}
            data |= {"message_id": self._answer["id"], "emoji": {"id": None, "name": "👍"}, "type": 0, "burst": False}
            data["id"] = self._said["id"]
        else:
            name, data = "INTERACTION_CREATE", self._interaction(kind)
        return name, json.loads(json.dumps(data))

    def _interaction(self, kind: str) -> dict[str, Any]:
        server = self._server
        group, sub = {"set": ("chinwag-admin", "set"), "block": ("chinwag-admin", "block")}.get(
            kind, ("chinwag", "privacy")
        )
        options = {"set": {"setting": "chance", "value": "5 %"}, "block": {"phrase": "dash it"}}.get(kind, {})
        data: dict[str, Any] = {"id": "1", "name": group, "type": 1, "resolved": {}}
        data["options"] = [
            {"name": sub, "type": 1, "options": [{"name": n, "type": 3, "value": v} for n, v in options.items()]}
        ]
        if kind == "menu":
            shown = server._shown(self._answer, readable=True)
            data = {"id": "1", "name": "Why this reply?", "type": 3, "target_id": self._answer["id"]}
            data["resolved"] = {"messages": {self._answer["id"]: shown}}
        elif kind in ("component", "select"):
            items = [item for row in self._panel for item in row["components"]]
            item = next(each for each in items if (each["type"] == 8) is (kind == "select"))
            data = {"custom_id": item["custom_id"], "component_type": item["type"], "values": [server.channel_id]}
            data["resolved"] = {
                "channels": {server.channel_id: {**server.channels[server.channel_id], "permissions": "0"}}
            }
        elif kind == "modal":
            data = {
                "custom_id": "chinwag:cancel:1-1",
                "components": [{"type": 1, "components": [{"type": 4, "custom_id": "chance", "value": "5"}]}],
            }
        number = {"menu": 2, "component": 3, "select": 3, "modal": 5}.get(kind, 2)
        interaction: dict[str, Any] = {"id": self._said["id"], "application_id": server.bot["id"], "type": number}
        interaction |= {
            "token": f"t{time.time_ns()}",
            "version": 1,
            "attachment_size_limit": 0,
            "data": data,
            "locale": "en",
        }
        interaction |= {"entitlements": [], "guild_id": server.guild_id, "channel_id": server.channel_id, "context": 0}
        interaction |= {"app_permissions": "0", "authorizing_integration_owners": {}}
        interaction["channel"] = server.channels[server.channel_id]
        member = {"user": self._alice, "roles": [], "joined_at": "2024-01-01T00:00:00+00:00", "flags": 0}
        interaction["member"] = {**member, "permissions": "32", "deaf": False, "mute": False}
        if number in (3, 5):
            interaction["message"] = server._shown(self._answer, readable=True)
        return interaction

    async def _send(self, events: list[tuple[int, list[tuple[list[int], Any]]]]) -> None:
        from model.reply import ReplyConfig

        server = self._server
        for number, changes in events:
            name, data = self._event(self.kinds[number])
            for path, value in changes:
                _replace(data, path, value)
            await server.gateway.dispatch(name, data)
        count = len(server.replies)
        member = server.user(f"member {time.time_ns()}")
        await server.say(member, f"{server.mention} still there?", channel=server.dm(member))
        async with asyncio.timeout(SECONDS):
            while len(server.replies_since(count)) < 1:
                assert not self._running.done(), "the bot has ended"
                await asyncio.sleep(0.001)
        self._stores.settings.of(int(server.guild_id)).replies(ReplyConfig())
        server.requests.clear()
        server.messages = {key: server.messages[key] for key in (self._answer["id"], self._said["id"])}
        server.users = {key: server.users[key] for key in (server.bot["id"], self._alice["id"])}
        for session in server.gateway.sessions.values():
            session.events.clear()


def _replace(data: Any, path: Sequence[int], value: Any) -> None:
    """Put a value somewhere into nested lists and dictionaries, or take what is there away."""
    for place in path[:-1]:
        keys = list(data) if isinstance(data, dict) else list(range(len(data)))
        if not keys:
            return
        inner = data[keys[place % len(keys)]]
        if not isinstance(inner, dict | list) or not inner:
            break
        data = inner
    keys = list(data) if isinstance(data, dict) else list(range(len(data)))
    if keys:
        key = keys[path[-1] % len(keys)]
        if value is None:
            del data[key]
        else:
            data[key] = value


TARGETS: dict[str, Callable[[], Bytes | Made]] = {
    each.__name__: each for each in (readers, packing, bundle, text, sampler, interactions)
}


# One target in this process.


def work(name: str, seconds: float, seed: int, failures: Path) -> None:
    """Fuzz a target; the last line printed says how often and what was found."""
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    atheris = _atheris() if name in ("readers", "packing", "bundle") else None
    if atheris is not None:
        with atheris.instrument_imports(include=["training", "model"], enable_loader_override=False):
            target = TARGETS[name]()
    else:
        target = TARGETS[name]()
    if isinstance(target, Made):
        _made(target, seconds, seed, failures / name)
    elif atheris is None:
        _damaged(target, seconds, seed, failures / name)
    else:
        _guided(atheris, target, seconds, seed, failures / name)


def _atheris() -> Any:
    try:
        import atheris
    except ImportError:
        return None
    return atheris


def _guided(atheris: Any, target: Bytes, seconds: float, seed: int, failures: Path) -> None:
    corpus = _scratch()
    for number, sample in enumerate(target.samples):
        (corpus / f"{number}").write_bytes(sample)
    options = {
        "seed": seed or 1,
        "max_total_time": max(1, round(seconds)),
        "max_len": _LONGEST_INPUT,
        "timeout": 30,
        "rss_limit_mb": 3072,
        "artifact_prefix": f"{failures}-",
        "print_final_stats": 1,
        "verbosity": 1,
    }
    atheris.Setup([sys.argv[0], *(f"-{key}={value}" for key, value in options.items()), str(corpus)], target.check)
    atheris.Fuzz()


def _damaged(target: Bytes, seconds: float, seed: int, failures: Path) -> None:
    from tests.training.test_exports_fuzz import damage

    rng, end, count, found = random.Random(seed), time.monotonic() + seconds, 0, _Findings(failures)
    while time.monotonic() < end:
        data = damage(rng, rng.choice(target.samples))
        count += 1
        try:
            target.check(data)
        except Exception as error:
            found.add(error, data)
    print(json.dumps({"executions": count, "findings": len(found.seen)}))


def _made(target: Made, seconds: float, seed: int, failures: Path) -> None:
    import hypothesis

    count, end, found, last = 0, time.monotonic() + seconds, _Findings(failures), list[Any]()

    def check(given: Any) -> None:
        nonlocal count
        count += 1
        last[:] = [given]
        try:
            target.check(given)
        except Exception as error:
            if not found.known(error):  # else go on looking for others
                raise

    settings = hypothesis.settings(
        max_examples=_ROUND, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    while time.monotonic() < end:
        try:
            hypothesis.seed(seed)(settings(hypothesis.given(target.strategy)(check)))()
        except BaseExceptionGroup as several:  # not the same again, or several in a round
            for each in several.exceptions:
                found.add(each, repr(last[-1]).encode("utf-8", "replace"))
        except Exception as error:
            found.add(error, repr(last[-1]).encode("utf-8", "replace"))
        seed += 1
    print(json.dumps({"executions": count, "findings": len(found.seen)}))


class _Findings:
    """What failed, each place of the code once."""

    def __init__(self, prefix: Path) -> None:
        self.seen: set[str] = set()
        self._prefix = prefix

    def known(self, error: BaseException) -> bool:
        return self._place(error) in self.seen

    def add(self, error: BaseException, data: bytes) -> None:
        place = self._place(error)
        if place not in self.seen:
            self.seen.add(place)
            name = f"{self._prefix}-{hashlib.sha256(data).hexdigest()[:12]}"
            Path(name).write_bytes(data)
            Path(f"{name}.txt").write_text(f"{type(error).__name__}: {error}", encoding="utf-8", errors="replace")
            shown = " / ".join(str(error).splitlines()[-3:])[-500:]
            print(f"found: {type(error).__name__}: {shown} ({name})", flush=True)

    @staticmethod
    def _place(error: BaseException) -> str:
        trace, place = error.__traceback__, ""
        while trace is not None:
            code = trace.tb_frame.f_code
            place = f"{code.co_filename}:{trace.tb_lineno}"
            trace = trace.tb_next
        return f"{type(error).__name__} {place} {str(error)[-200:] if isinstance(error, AssertionError) else ''}"


# All of them, one process after the other.


def fuzz(names: Sequence[str], minutes: float, seed: int, failures: Path) -> int:
    """Print what came of each target; the number of findings."""
    failures.mkdir(parents=True, exist_ok=True)
    print(f"seed {seed}, {minutes:g} minutes, failures go to {failures}", flush=True)
    total = 0
    for name in names:
        executions, findings = 0, 0
        begin, seconds = time.monotonic(), 60 * minutes / len(names)
        while (left := begin + seconds - time.monotonic()) > 5:
            count, found, said = _run(name, left, seed + findings, failures)
            executions, findings = executions + count, findings + found
            for line in said:
                print(f"  {line}", flush=True)
            if findings >= 20:
                break
        total += findings
        spent = time.monotonic() - begin
        print(f"{name}: {executions:,} executions in {spent:,.0f} s, {findings} findings", flush=True)
    return total


def _run(name: str, seconds: float, seed: int, failures: Path) -> tuple[int, int, list[str]]:
    """Run a target until its time is over or something is found; executions, findings, and what it said of them."""
    options = ["--work", name, "--seconds", str(seconds), "--seed", str(seed), "--failures", str(failures)]
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as scratch:
        process = subprocess.run(
            [sys.executable, __file__, *options],
            env={**os.environ, "TMPDIR": scratch},
            capture_output=True,
            text=True,
            errors="replace",
            cwd=ROOT,
            check=False,
        )
    output = process.stdout + process.stderr
    told = re.findall(r'^\{"executions": (\d+), "findings": (\d+)\}$', output, re.MULTILINE)
    said = [line for line in output.splitlines() if line.startswith("found: ")]
    if told:
        return int(told[-1][0]), int(told[-1][1]), said
    count = [int(each) for each in re.findall(r"^(?:stat::number_of_executed_units: |#)(\d+)", output, re.MULTILINE)]
    if process.returncode == 0:
        return max(count, default=0), 0, said
    tail = [line for line in output.splitlines() if line.strip()][-40:]
    (failures / f"{name}-{seed}.log").write_text(output[-50_000:], encoding="utf-8")
    error = next(
        (line for line in reversed(tail) if re.match(r"\w*(Error|Exception|assert)|SUMMARY|ALARM", line.strip())), ""
    )
    return (
        max(count, default=0),
        1,
        [*said, f"found: exit code {process.returncode}: {error.strip()[:300]} ({name}-{seed}.log)"],
    )


def replay(name: str, path: Path) -> None:
    """Run one input again, for its traceback."""
    target = TARGETS[name]()
    target.check(path.read_bytes() if isinstance(target, Bytes) else eval(path.read_text(encoding="utf-8")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--target", nargs="+", choices=TARGETS, default=[*TARGETS])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--failures", type=Path, default=Path(tempfile.gettempdir()) / "chinwag-fuzz")
    parser.add_argument("--replay", type=Path)
    parser.add_argument("--work", choices=TARGETS, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=60, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work, options.seconds, options.seed, options.failures)
    elif options.replay:
        replay(options.target[0], options.replay)
    else:
        sys.exit(bool(fuzz(options.target, options.minutes, options.seed, options.failures.absolute())))


if __name__ == "__main__":
    main()
