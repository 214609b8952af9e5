"""What Prometheus reads: requests, seconds, what waits, what the processes take. GET /metrics."""

from __future__ import annotations

import os
from collections.abc import Iterator
from time import perf_counter

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import ossa
from ossa.apps.serve.service import Service, service_of

router = APIRouter(tags=["state"])

#: Upper edges of the histogram of seconds: a picture takes about one.
EDGES = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0)


def add(service: Service) -> None:
    """Mount the route and count every request from now on."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_State(service))
    service.state.metrics = registry
    service.add_middleware(Counted, registry=registry)
    service.include_router(router)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(request: Request) -> Response:
    """Counters and gauges in Prometheus' text format."""
    return Response(generate_latest(service_of(request).state.metrics), media_type=CONTENT_TYPE_LATEST)


class Counted:
    """ASGI middleware: counts requests and their seconds by the route's pattern, never by a path with names in it."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self.app = app
        labels = ("method", "route")
        self.requests = Counter("ossa_requests", "Requests.", (*labels, "status"), registry=registry)
        self.seconds = Histogram(
            "ossa_request_seconds", "Seconds to the end of an answer.", labels, registry=registry, buckets=EDGES
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status, begin = 500, perf_counter()

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, sending)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in ("GET", "POST", "PUT", "DELETE", "HEAD") else "other"
            self.requests.labels(method, route, str(status)).inc()
            self.seconds.labels(method, route).observe(perf_counter() - begin)


class _State(Collector):
    """What is asked when somebody looks."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def collect(self) -> Iterator[Metric]:
        """The state of the worker and of the jobs."""
        worker = self.service.worker
        info = GaugeMetricFamily("ossa_info", "The version of ossa.", labels=["version"])
        info.add_metric([ossa.__version__], 1)
        yield info
        yield GaugeMetricFamily("ossa_ready", "Whether the model is loaded.", value=float(worker.problem is None))
        yield GaugeMetricFamily("ossa_waiting", "Requests that wait for the model.", value=worker.length)
        yield GaugeMetricFamily("ossa_busy", "Whether the model looks at a picture.", value=float(worker.busy))
        yield CounterMetricFamily("ossa_pictures", "Pictures that were looked at.", value=worker.answered)
        yield CounterMetricFamily("ossa_predictor_restarts", "Processes lost over a picture.", value=worker.restarts)
        memory = resident_bytes(worker.process)
        if memory is not None:
            yield GaugeMetricFamily("ossa_predictor_resident_memory_bytes", "Of the predictor's process.", value=memory)
        store = getattr(self.service.state, "store", None)
        if store is not None:
            items = GaugeMetricFamily("ossa_job_items", "Pictures of batch jobs by state.", labels=["state"])
            for state, count in store.states().items():
                items.add_metric([state], count)
            yield items


def resident_bytes(process: int | None) -> int | None:
    """Resident memory of a process; None where nobody tells."""
    if process is None:
        return None
    try:
        with open(f"/proc/{process}/statm", encoding="ascii") as stream:
            return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return None
