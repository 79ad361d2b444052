"""Figures of the running server, as Prometheus reads them (text format 0.0.4).

With several processes the figures of all of them are added up, in files of the folder that they share.
"""

from __future__ import annotations

import os
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from lookalike.server.app_state import Server

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""prometheus-client reads it when it is imported; `serving` sets it for its processes."""

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15, 60)

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Figures:
    """The counts of one process."""

    def __init__(self) -> None:
        self._own = CollectorRegistry()
        self._requests = Counter(
            "lookalike_requests",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self._own,
        )
        self._seconds = Histogram(
            "lookalike_request_seconds", "Time to an answer.", ["route"], buckets=SECONDS,
            registry=self._own,
        )  # fmt: skip
        self._waiting = Gauge(
            "lookalike_working", "Requests worked on or waiting, by lane.", ["lane"],
            registry=self._own, multiprocess_mode="livesum",
        )  # fmt: skip
        self._images = Gauge(
            "lookalike_images", "Pictures that can be found.", registry=self._own,
            multiprocess_mode="mostrecent",
        )  # fmt: skip

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answer. `route` is the pattern of the address, so that no visitor can make the
        figures grow by asking for ever new ones."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self, server: Server, images: int) -> bytes:
        """All figures, those of other processes too."""
        for lane in server.lanes.all():
            self._waiting.labels(lane.name).set(lane.taken)
        self._images.set(images)
        shared = os.environ.get(SHARED)
        if shared and Path(shared).is_dir():
            together = CollectorRegistry()
            MultiProcessCollector(together)  # type: ignore[no-untyped-call]
            return generate_latest(together)
        return generate_latest(self._own)
