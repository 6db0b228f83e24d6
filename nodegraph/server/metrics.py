"""`/metrics`: what the server counts, for Prometheus. Needs the extra `metrics`; counting goes on without it."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from nodegraph.server.errors import ApiError
from nodegraph.server.keys import HUB, QUEUE, STORE
from nodegraph.server.records import State
from nodegraph.server.security.principal import require_admin

if TYPE_CHECKING:
    from prometheus_client.core import Metric

BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
STATES: Final = ("starting", "idle", "busy", "paused", "restarting", "dead")


@dataclass
class Meter:
    """Counts requests by method, route and status, and how long they took by route."""

    requests: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    began: float = field(default_factory=time.monotonic)
    buckets: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0] * (len(BUCKETS) + 1)))

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request; `route` is a path as it was registered, of which there are few. Status 0: nobody waited."""
        known = method if method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} else "other"
        self.requests[known, route, str(status)] += 1
        self.seconds[route] += seconds
        self.buckets[route][bisect_left(BUCKETS, seconds)] += 1


METER: Final = web.AppKey("METER", Meter)


async def metrics(request: web.Request) -> web.Response:
    """Answer what is counted, in the text format; to admins only."""
    require_admin(request)
    if find_spec("prometheus_client") is None:
        raise ApiError(404, "no_metrics", "metrics need prometheus-client: pip install 'nodegraph[metrics]'")
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest

    counts = await request.app[STORE].counts()
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    registry.register(_Collector(request.app, {state: counts.get(state, 0) for state in State}))
    return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


class _Collector:
    """What there is to tell at the moment."""

    def __init__(self, app: web.Application, counts: dict[State, int]) -> None:
        self._app, self._counts = app, counts

    def describe(self) -> list[Any]:
        """Say nothing before it is collected."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        jobs = GaugeMetricFamily("nodegraph_jobs", "Jobs in the store, by state.", labels=["state"])
        for state, number in self._counts.items():
            jobs.add_metric([state.value], number)
        yield jobs
        devices = self._app[QUEUE].devices()
        workers = GaugeMetricFamily("nodegraph_workers", "Workers, by what they are at.", labels=["state"])
        for word in STATES:
            workers.add_metric([word], sum(device.state == word for device in devices))
        yield workers
        memory = GaugeMetricFamily("nodegraph_worker_memory_bytes", "What a worker holds in RAM.", labels=["worker"])
        restarts = CounterMetricFamily("nodegraph_worker_restarts", "How often it was started anew.", labels=["worker"])
        for device in devices:
            memory.add_metric([device.id], device.memory)
            restarts.add_metric([device.id], device.restarts)
        yield from (memory, restarts)
        yield GaugeMetricFamily("nodegraph_event_streams", "Open event streams.", value=self._app[HUB].streams)
        yield from self._requests()

    def _requests(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

        meter = self._app[METER]
        requests = CounterMetricFamily("nodegraph_requests", "Requests.", labels=["method", "route", "status"])
        for labels, number in meter.requests.items():
            requests.add_metric(list(labels), number)
        yield requests
        seconds = HistogramMetricFamily("nodegraph_request_seconds", "How long requests took.", labels=["route"])
        for route, numbers in meter.buckets.items():
            sums = [sum(numbers[: index + 1]) for index in range(len(numbers))]
            bounds = [*(str(bound) for bound in BUCKETS), "+Inf"]
            seconds.add_metric([route], list(zip(bounds, sums, strict=True)), meter.seconds[route])
        yield seconds
