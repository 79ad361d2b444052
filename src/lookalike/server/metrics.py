"""Metrics of the running server for Prometheus (text format 0.0.4).

With several processes, the metrics of all of them are added up, in files of a folder that they share.
"""

from __future__ import annotations

import os
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from lookalike.server.app_state import AppState

# prometheus-client reads this variable when it is imported; `run` sets it for its processes.
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"

SECONDS_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15, 60)

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The metrics of one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "lookalike_requests",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "lookalike_request_seconds", "Time to the response.", ["route"], buckets=SECONDS_BUCKETS,
            registry=self._registry,
        )  # fmt: skip
        self._active = Gauge(
            "lookalike_active", "Calls that run or wait, by executor.", ["executor"],
            registry=self._registry, multiprocess_mode="livesum",
        )  # fmt: skip
        self._images = Gauge(
            "lookalike_images", "Indexed images.", registry=self._registry,
            multiprocess_mode="mostrecent",
        )  # fmt: skip

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a response. `route` is the pattern of the address, so that no client can grow the metrics by
        requesting ever new addresses."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self, state: AppState, images: int) -> bytes:
        """Return all metrics, those of other processes of the server included."""
        for executor in state.executors.all():
            self._active.labels(executor.name).set(executor.active)
        self._images.set(images)
        shared = os.environ.get(SHARED_FOLDER)
        if shared and Path(shared).is_dir():
            together = CollectorRegistry()
            MultiProcessCollector(together)  # type: ignore[no-untyped-call]
            return generate_latest(together)
        return generate_latest(self._registry)
