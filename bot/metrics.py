"""What the bot does, over HTTP: figures in Prometheus's text format, and whether it is connected to Discord."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from aiohttp import web
from discord.ext import commands

from bot.cog import AnyBot, Chinwag
from bot.config import Address
from bot.status import OUTCOMES, Histogram, resident_memory
from model import ChinwagError

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_LABEL_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})


class MetricsError(ChinwagError):
    """Nothing can be served where CHINWAG_METRICS says; the message says why and what to do."""


@dataclass(frozen=True)
class Sample:
    """A figure, with the labels that tell it from others of its metric, and what its name ends with."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    suffix: str = ""


@dataclass(frozen=True)
class Metric:
    """A metric and its samples; `kind` is one of Prometheus's types."""

    name: str
    kind: str
    help: str
    samples: tuple[Sample, ...]


class MetricsServer:
    """Serves `/metrics` and `/healthz` for the length of an `async with`."""

    def __init__(self, bot: AnyBot, address: Address) -> None:
        """Serve nothing yet.

        Args:
            bot: what it is about; it need not have its cog yet.
            address: where to listen.
        """
        self._bot, self._address = bot, address
        app = web.Application()
        app.add_routes([web.get("/metrics", self._get_metrics), web.get("/healthz", self._get_health)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, *self._address).start()
        except OSError as error:
            await self._runner.cleanup()
            host, port = self._address
            raise MetricsError(
                f"CHINWAG_METRICS says {host}:{port}, where nothing can be served ({error.strerror or error}); "
                "choose another port."
            ) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        host, port = self._runner.addresses[0][:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def _get_metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=exposition(measure(self._bot)).encode(), headers={"Content-Type": CONTENT_TYPE})

    async def _get_health(self, request: web.Request) -> web.Response:
        reason = trouble(self._bot)
        return web.json_response({"healthy": reason is None, "reason": reason}, status=503 if reason else 200)


def trouble(bot: AnyBot) -> str | None:
    """Why the bot hears nothing from Discord, or None if it is connected."""
    if bot.is_closed():
        return "The bot is stopping."
    if not bot.is_ready():
        return "The bot is not connected to Discord yet."
    if isinstance(bot, commands.AutoShardedBot):
        lost = any(shard.is_closed() for shard in bot.shards.values())
    else:
        lost = not bot.ws.open
    if lost:
        return "The connection to Discord is lost; the bot tries to have it back."
    return None


def measure(bot: AnyBot) -> Iterator[Metric]:
    """The figures of now; before the bot has logged in there are few."""
    yield _gauge("chinwag_connected", "Whether the bot is connected to Discord.", float(trouble(bot) is None))
    yield _gauge("chinwag_servers", "Servers that the bot is in.", len(bot.guilds))
    yield _gauge(
        "chinwag_gateway_latency_seconds",
        "How long Discord takes to answer a heartbeat; NaN if not known.",
        bot.latency,
    )
    if (memory := resident_memory()) is not None:
        yield _gauge("process_resident_memory_bytes", "Memory that the process has.", memory * 2**20)
    cog = bot.get_cog(Chinwag.__cog_name__)
    if isinstance(cog, Chinwag):
        yield from _answering(cog)


def exposition(metrics: Iterable[Metric]) -> str:
    """Metrics in Prometheus's text format, version 0.0.4."""
    lines = []
    for metric in metrics:
        lines.append(f"# HELP {metric.name} {metric.help.translate(_HELP_ESCAPES)}")
        lines.append(f"# TYPE {metric.name} {metric.kind}")
        for sample in metric.samples:
            lines.append(f"{metric.name}{sample.suffix}{_labels(sample.labels)} {_number(sample.value)}")
    return "".join(f"{line}\n" for line in lines)


def _answering(cog: Chinwag) -> Iterator[Metric]:
    outcomes, told = cog.status.outcomes, cog.model.describe()
    yield _counter(
        "chinwag_messages_total",
        "Messages that were for the bot, by what became of them; what was not sent is counted as answered too.",
        "outcome",
        {outcome: outcomes[outcome] for outcome in OUTCOMES},
    )
    yield _counter(
        "chinwag_drafts_rejected_total",
        "Drafts that were not said, by reason; starts again with a new model.",
        "reason",
        cog.model.rejected(),
    )
    yield _gauge("chinwag_questions_waiting", "Questions that wait for an answer.", cog.waiting)
    yield _histogram("chinwag_answer_seconds", "How long answers took, waiting included.", cog.status.seconds)
    labels = {"model": told.get("Model", ""), "preset": told.get("Preset", "")}
    yield Metric("chinwag_model_info", "gauge", "The model that is live.", (Sample(1, labels),))


def _gauge(name: str, text: str, value: float) -> Metric:
    return Metric(name, "gauge", text, (Sample(value),))


def _counter(name: str, text: str, label: str, counts: Mapping[str, int]) -> Metric:
    return Metric(name, "counter", text, tuple(Sample(count, {label: each}) for each, count in counts.items()))


def _histogram(name: str, text: str, histogram: Histogram) -> Metric:
    buckets = histogram.cumulative()
    samples = [Sample(count, {"le": _number(bound)}, "_bucket") for bound, count in buckets]
    samples += [Sample(histogram.sum, suffix="_sum"), Sample(buckets[-1][1], suffix="_count")]
    return Metric(name, "histogram", text, tuple(samples))


def _labels(labels: Mapping[str, str]) -> str:
    pairs = ",".join(f'{name}="{value.translate(_LABEL_ESCAPES)}"' for name, value in labels.items())
    return f"{{{pairs}}}" if pairs else ""


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)
