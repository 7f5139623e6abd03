"""Figures and health over real sockets, in the format that Prometheus reads, parsed as strictly as it is specified."""

import math
import re
import socket
from collections.abc import Iterator

import aiohttp
import pytest

from bot.client import ChinwagClient
from bot.config import Address
from bot.metrics import Metric, MetricsError, MetricsServer, Sample, exposition, trouble
from bot.status import OUTCOMES
from tests.bot.conftest import Connect, MakeCog
from tests.bot.scripted_model import ScriptedModel
from tests.discord_server import DiscordServer

NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (NaN|[+-]Inf|[+-]?\d+(?:\.\d+)?(?:e[+-]\d+)?)")
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}
ANYWHERE = Address("127.0.0.1", 0)

Labels = frozenset[tuple[str, str]]
Parsed = dict[str, dict[Labels, float]]


def unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: {"n": "\n"}.get(found[1], found[1]), text)


def parsed(text: str) -> Parsed:
    """The samples of an exposition by name and labels; fails on whatever the format does not allow."""
    assert text.endswith("\n")
    kinds: dict[str, str] = {}
    found: Parsed = {}
    lines = iter(text[:-1].split("\n"))
    current = ""
    for line in lines:
        if line.startswith("# HELP "):
            help_line = re.fullmatch(rf"# HELP ({NAME}) ((?:[^\\]|\\[\\n])+)", line)
            assert help_line, line
            current = help_line[1]
            assert current not in kinds  # all lines of a metric are one group
            type_line = re.fullmatch(rf"# TYPE {current} (counter|gauge|histogram)", next(lines))
            assert type_line, line
            kinds[current] = type_line[1]
            continue
        sample = SAMPLE.fullmatch(line)
        assert sample, line
        assert sample[1] in {current + suffix for suffix in SUFFIXES[kinds[current]]}, line
        pairs = [(name, unescaped(value)) for name, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', sample[2] or "")]
        labels, samples = frozenset(pairs), found.setdefault(sample[1], {})
        assert len(labels) == len(pairs)
        assert labels not in samples
        samples[labels] = float(sample[3])
    for name in (name for name, kind in kinds.items() if kind == "histogram"):
        check_histogram(found, name)
    return found


def check_histogram(found: Parsed, name: str) -> None:
    buckets = sorted((float(dict(labels)["le"]), count) for labels, count in found[f"{name}_bucket"].items())
    counts = [count for _, count in buckets]
    assert counts == sorted(counts)
    assert buckets[-1] == (math.inf, found[f"{name}_count"][frozenset()])


def of(found: Parsed, name: str, **labels: str) -> float:
    return found[name][frozenset(labels.items())]


async def get(url: str) -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text(), response.headers["Content-Type"]


async def figures(metrics: MetricsServer) -> Parsed:
    status, text, kind = await get(metrics.url + "/metrics")
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return parsed(text)


async def health(metrics: MetricsServer) -> tuple[int, str | None]:
    async with aiohttp.ClientSession() as session, session.get(metrics.url + "/healthz") as response:
        body = await response.json()
        assert body["healthy"] is (response.status == 200)
        return response.status, body["reason"]


@pytest.fixture
def idle(make_cog: MakeCog) -> ChinwagClient:
    """A client that has not been started."""
    return ChinwagClient(make_cog())


class TestTheFormat:
    @pytest.mark.parametrize("value", ["plain", 'a "quoted" name', "back\\slash", "two\nlines", "\\n", "🦡,}= #"])
    def test_label_values_come_through(self, value: str) -> None:
        metric = Metric("m", "gauge", "A\\B\nC", (Sample(1, {"it": value, "other": "x"}),))
        assert of(parsed(exposition([metric])), "m", it=value, other="x") == 1

    @pytest.mark.parametrize("value", [0, 3, 0.1, 1e-9, 1.5e300, -2, math.inf, -math.inf])
    def test_numbers_come_through(self, value: float) -> None:
        assert of(parsed(exposition([Metric("m", "gauge", "Help.", (Sample(value),))])), "m") == value

    def test_what_is_not_known_is_not_a_number(self) -> None:
        assert exposition([Metric("m", "gauge", "Help.", (Sample(math.nan),))]).endswith("m NaN\n")


class TestTheFigures:
    async def test_are_those_of_the_bot(
        self, server: DiscordServer, client: ChinwagClient, model: ScriptedModel
    ) -> None:
        alice = server.user("alice")
        async with MetricsServer(client, ANYWHERE) as metrics:
            await server.say(alice, f"{server.mention} my secret")
            await server.until(lambda: server.replies)
            model.answer = RuntimeError("the net is torn")
            await server.say(alice, f"{server.mention} hello")
            await server.until(lambda: len(server.replies) == 2)
            found = await figures(metrics)
            _, text, _ = await get(metrics.url + "/metrics")
        outcomes = {outcome: of(found, "chinwag_messages_total", outcome=outcome) for outcome in OUTCOMES}
        assert outcomes == {**dict.fromkeys(OUTCOMES, 0), "answered": 1, "failed": 1}
        assert of(found, "chinwag_drafts_rejected_total", reason="blocked word") == 2
        assert of(found, "chinwag_questions_waiting") == 0
        assert of(found, "chinwag_answer_seconds_count") == 1
        assert 0 < of(found, "chinwag_answer_seconds_sum") < 5
        assert of(found, "chinwag_model_info", model="scripted", preset="tiny") == 1
        assert of(found, "chinwag_connected") == of(found, "chinwag_servers") == 1
        assert of(found, "chinwag_gateway_latency_seconds") >= 0
        assert of(found, "process_resident_memory_bytes") > 1e6
        assert "my secret" not in text
        assert server.token not in text

    async def test_count_what_waits(self, server: DiscordServer, client: ChinwagClient, model: ScriptedModel) -> None:
        async with MetricsServer(client, ANYWHERE) as metrics:
            model.free.clear()
            for number in range(5):
                await server.say(server.user(f"member {number}"), f"{server.mention} hello")
                await server.until(lambda number=number: model.busy == min(number + 1, 2))  # of two workers
            await server.until(lambda: client.get_cog("Chinwag").waiting == 3)
            assert of(await figures(metrics), "chinwag_questions_waiting") == 3
            model.free.set()

    async def test_are_few_before_the_login(self, idle: ChinwagClient) -> None:
        async with MetricsServer(idle, ANYWHERE) as metrics:
            found = await figures(metrics)
        assert of(found, "chinwag_connected") == 0
        assert math.isnan(of(found, "chinwag_gateway_latency_seconds"))
        assert "chinwag_messages_total" not in found


class TestHealth:
    async def test_is_bad_until_ready_and_after_the_end(
        self, server: DiscordServer, connect: Connect, idle: ChinwagClient
    ) -> None:
        async with MetricsServer(idle, ANYWHERE) as metrics:
            assert await health(metrics) == (503, "The bot is not connected to Discord yet.")
        async with connect() as client, MetricsServer(client, ANYWHERE) as metrics:
            assert await health(metrics) == (200, None)
            await client.close()
            assert await health(metrics) == (503, "The bot is stopping.")

    async def test_is_bad_while_the_gateway_is_gone(self, server: DiscordServer, client: ChinwagClient) -> None:
        async with MetricsServer(client, ANYWHERE) as metrics:
            server.gateway.down = True
            server.gateway.cut()
            await server.until(lambda: trouble(client))
            status, reason = await health(metrics)
            assert (status, reason) == (503, "The connection to Discord is lost; the bot tries to have it back.")
            assert of(await figures(metrics), "chinwag_connected") == 0
            server.gateway.down = False
            await server.until(lambda: trouble(client) is None, patience=10)
            assert await health(metrics) == (200, None)


class TestTheServer:
    async def test_has_nothing_else(self, idle: ChinwagClient) -> None:
        async with MetricsServer(idle, ANYWHERE) as metrics:
            assert (await get(metrics.url + "/"))[0] == 404
            async with aiohttp.ClientSession() as session, session.post(metrics.url + "/metrics") as response:
                assert response.status == 405

    async def test_ends_with_its_block(self, idle: ChinwagClient) -> None:
        async with MetricsServer(idle, ANYWHERE) as metrics:
            url = metrics.url
        with pytest.raises(aiohttp.ClientConnectorError):
            await get(url + "/healthz")

    async def test_explains_a_port_that_is_taken(self, idle: ChinwagClient, taken: int) -> None:
        with pytest.raises(MetricsError, match=rf"CHINWAG_METRICS says 127\.0\.0\.1:{taken}, where .*another port\."):
            async with MetricsServer(idle, Address("127.0.0.1", taken)):
                pass


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that something else listens at."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]
