"""What Prometheus reads at ``/metrics``: numbers with the platform and a state as labels, never a name or a text.

What happened is counted since this process began, as is usual; what there is now is asked of the database, and the
answer is kept for a while, so that nobody who asks often makes work.
"""

from __future__ import annotations

import asyncio
import hmac
import itertools
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from core.counts import Counts, Happening, Outcome, Spread
from core.ports import Clock
from core.records import Stock, Waits
from core.types import Platform
from storage.database import Readers
from storage.writer import Writer
from stormo.config import Web
from stormo.health import Health

#: An answer of the database is kept for so many seconds, and for so many times as long as it took.
_KEPT_SECONDS: Final = 5.0
_KEPT_TIMES: Final = 20
#: Refusals and doubts are shown for so long.
_OF_LATE: Final = timedelta(days=1)
#: What a lane calls what it does, by rank.
_CLASSES: Final = ("answer", "first", "edit", "tally")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
#: What a server in front says of whom it asks for.
_FORWARDED: Final = ("Forwarded", "X-Forwarded-For", "X-Real-IP")


class Metrics:
    """One process's page. ``health``: by platform, as it comes to be."""

    def __init__(
        self,
        *,
        health: Mapping[Platform, Health],
        counts: Counts,
        writer: Writer,
        readers: Readers,
        clock: Clock,
    ) -> None:
        self._health = health
        self._counts = counts
        self._writer = writer
        self._readers = readers
        self._clock = clock
        self._process = ProcessCollector(registry=None)
        self._asking = asyncio.Lock()
        self._stock: Stock | None = None
        self._until = 0.0

    async def page(self) -> bytes:
        """In Prometheus's text format."""
        return generate_latest(_Now((*self._process.collect(), *self._counted(), *await self._there_is())))

    async def _there_is(self) -> list[Metric]:
        stock = await self._look()
        up = GaugeMetricFamily("stormo_database_up", "Whether the database answered when it was asked last")
        up.add_metric([], float(stock is not None))
        return [up] if stock is None else [up, *_stocked(stock, self._clock.now().timestamp())]

    async def _look(self) -> Stock | None:
        async with self._asking:
            began = self._clock.monotonic()
            if began < self._until:
                return self._stock
            now = self._clock.now()
            try:
                self._stock = await self._readers.read(lambda unit: unit.sight.stock(now, now - _OF_LATE))
            except Exception:  # noqa: BLE001
                self._stock = None
            ended = self._clock.monotonic()
            self._until = ended + max(_KEPT_SECONDS, _KEPT_TIMES * (ended - began))
            return self._stock

    def _counted(self) -> Iterator[Metric]:
        """What this process knows without asking anybody."""
        yield from _platforms(self._health)
        yield from _happened(self._counts, sorted(self._health))
        depth = GaugeMetricFamily("stormo_writer_queue_jobs", "Jobs that wait for the writer")
        depth.add_metric([], self._writer.waiting)
        yield depth
        yield _histogram("stormo_writer_batch_jobs", "Jobs in one transaction", self._counts.batches)
        yield _histogram("stormo_writer_commit_seconds", "Seconds that a COMMIT took", self._counts.commits)


class _Now(Collector):
    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _platforms(health: Mapping[Platform, Health]) -> Iterator[Metric]:
    doing = GaugeMetricFamily(
        "stormo_platform_state", "1 for how the platform fares", labels=["platform", "state"]
    )
    alive = _gauge("stormo_platform_alive_age_seconds", "Seconds since the last proof of life")
    event = _gauge("stormo_platform_event_age_seconds", "Seconds since the last event")
    lag = _gauge("stormo_platform_lag_seconds", "Seconds between the last event and the act that it tells of")
    events = CounterMetricFamily("stormo_events", "Events that came", labels=["platform"])
    vain = _gauge("stormo_calls_in_vain_lately", "Calls of late that bring the bot nearer to being shut out")
    for platform, one in health.items():
        doing.add_metric([platform, one.doing], 1)
        events.add_metric([platform], one.events)
        for gauge, value in ((alive, one.alive_age), (event, one.event_age), (lag, one.lag)):
            if value is not None:
                gauge.add_metric([platform], value)
        if one.in_vain is not None:
            vain.add_metric([platform], one.in_vain())
    yield from (doing, alive, event, lag, events, vain)


_HAPPENED: Final = {
    Happening.DUPLICATE: ("stormo_inbox_duplicates", "Events that were seen before"),
    Happening.BURIED: ("stormo_events_buried", "Events that could not be handled"),
    Happening.MISSED: ("stormo_missed", "Times that an absence could not be read back wholly"),
    Happening.EXPIRED: ("stormo_parked_expired", "Events whose message never became known"),
    Happening.DOUBT: ("stormo_doubts", "Sends of which nobody knows whether they happened"),
}


def _happened(counts: Counts, platforms: Sequence[Platform]) -> Iterator[Metric]:
    """Every platform's from the start on: a first one would be seen by nobody otherwise."""
    for what, (name, words) in _HAPPENED.items():
        counter = CounterMetricFamily(name, words, labels=["platform"])
        for platform in platforms:
            counter.add_metric([platform], counts.happened[platform, what])
        yield counter
    calls = CounterMetricFamily("stormo_calls", "Calls by what came of them", labels=["platform", "outcome"])
    retries = CounterMetricFamily("stormo_retries", "Calls that are made once more", labels=["platform"])
    for platform in platforms:
        for outcome in Outcome:
            calls.add_metric([platform, outcome], counts.outcomes[platform, outcome])
        retries.add_metric([platform], sum(counts.outcomes[platform, o] for o in Outcome if o.again))
    yield from (calls, retries)
    seconds = HistogramMetricFamily(
        "stormo_call_seconds", "Seconds that a call to the platform took", labels=["platform"]
    )
    for platform, spread in sorted(counts.calls.items()):
        seconds.add_metric([platform], _buckets(spread), spread.total)
    yield seconds


def _stocked(stock: Stock, now: float) -> Iterator[Metric]:
    labels = ["platform", "class", "waits"]
    rows = GaugeMetricFamily("stormo_outbox_rows", "What waits to be sent", labels=labels)
    oldest = GaugeMetricFamily(
        "stormo_oldest_unsent_seconds",
        "Seconds since the oldest of it could have been sent, where room and community are open",
        labels=["platform", "class"],
    )
    since: dict[tuple[str, str], float] = {}
    for one in stock.backlog:
        kind = _CLASSES[min(one.rank, len(_CLASSES) - 1)]
        rows.add_metric([one.platform, kind, one.waits], one.rows)
        if one.waits in (Waits.TURN, Waits.TIME):
            began = one.since.timestamp()
            since[one.platform, kind] = min(began, since.get((one.platform, kind), began))
    for (platform, kind), began in since.items():
        oldest.add_metric([platform, kind], max(now - began, 0))
    yield from (rows, oldest)
    for name, words, found in (
        ("stormo_open_tries", "Calls whose outcome is not written down yet", stock.tries),
        ("stormo_parked_events", "Events that wait for a message to become known", stock.parked),
        ("stormo_refused_lately", "Copies queued in the last 24 hours and refused for good", stock.refused),
        ("stormo_doubts_lately", "Sends of the last 24 hours that are in doubt", stock.doubts),
    ):
        gauge = _gauge(name, words)
        for platform, many in found.items():
            gauge.add_metric([platform], many)
        yield gauge
    rooms = GaugeMetricFamily("stormo_rooms", "Rooms of communities", labels=["platform", "state"])
    for (platform, state), many in stock.rooms.items():
        rooms.add_metric([platform, state], many)
    letters = GaugeMetricFamily("stormo_dead_letters", "Dead letters that wait for somebody to read them")
    letters.add_metric([], stock.letters)
    yield from (rooms, letters)


def _gauge(name: str, words: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, words, labels=["platform"])


def _buckets(spread: Spread) -> list[tuple[str, float]]:
    names = (*map(str, spread.bounds), "+Inf")
    return list(zip(names, map(float, itertools.accumulate(spread.counts)), strict=True))


def _histogram(name: str, words: str, spread: Spread) -> Metric:
    return HistogramMetricFamily(name, words, buckets=_buckets(spread), sum_value=spread.total)


# -- who may read --------------------------------------------------------------------------------------------------


def _refused(where: Web, request: web.Request) -> web.Response | None:
    """The answer to who may not read the metrics: they tell how much is going on, which is not for everybody.

    With a token in the config whoever sends it may, and nobody else. Without one only this machine may, and only as
    long as the pages are not meant for others: a server in front makes everybody look like this machine.
    """
    if where.metrics_token:
        kind, _, sent = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "bearer" and hmac.compare_digest(sent.encode(), where.metrics_token.encode()):
            return None
        return web.Response(
            status=HTTPStatus.UNAUTHORIZED,
            headers={"WWW-Authenticate": "Bearer"},
            text="A token is needed.\n",
        )
    asked = urlsplit(f"//{request.host}").hostname
    forwarded = any(header in request.headers for header in _FORWARDED)
    if not where.public_url and {where.host, asked} <= _LOOPBACK and not forwarded:
        return None
    return web.Response(
        status=HTTPStatus.FORBIDDEN, text="Set metrics_token in [web], and send it as a bearer token.\n"
    )


def metrics_page(where: Web, metrics: Metrics) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        no = _refused(where, request)
        if no is not None:
            return no
        return web.Response(body=await metrics.page(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return answer
