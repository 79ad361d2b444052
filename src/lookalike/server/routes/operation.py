"""Routes for operating a server: sign in, health, and metrics for Prometheus."""

from __future__ import annotations

import os
from pathlib import Path

from fastapi import APIRouter, Request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from pydantic import BaseModel, Field
from starlette.responses import Response

from lookalike import __version__
from lookalike.errors import Outcome
from lookalike.server.app_state import AppState, State
from lookalike.server.openapi import responses
from lookalike.server.responses import HTTPError, JSONResponse
from lookalike.server.security import auth
from lookalike.wire import encode
from lookalike.wire.http import Health, Session

router = APIRouter(tags=["operation"])

# prometheus-client reads this variable when it is imported; `run` sets it for its processes.
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"

SECONDS_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15, 60)

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The metrics of one process, for Prometheus (text format 0.0.4). With several processes, the metrics of
    all are added up, in files of a folder that they share."""

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


class Credentials(BaseModel, extra="forbid"):
    """The token."""

    token: str = Field(max_length=1000)


@router.post("/api/session", **responses(Session))
async def sign_in(state: State, request: Request, sent: Credentials) -> Response:
    """Send the token; the response sets the cookie that every later request needs."""
    token = state.settings.token
    if token is None:
        return JSONResponse(encode(Session(authenticated=True)))
    valid = auth.tokens_equal(sent.token, token)
    client = request.client.host if request.client else ""
    request.app.state.rate_limiter.check_token(client, valid=valid)
    if not valid:
        raise HTTPError(401, "the token is wrong: it was shown when the server started")
    port = (request.scope.get("server") or ("", 0))[1] or 0
    headers = {"Set-Cookie": auth.session_cookie(port, state.settings)}
    return JSONResponse(encode(Session(authenticated=True)), headers=headers)


@router.get("/health", **responses(Health))
async def health(state: State) -> Response:
    """200 while the library can be read, else 503, and what is reachable. Needs no token and tells nothing of
    the library."""

    reachable = await state.executors.quick.run(state.library.reachable)
    readable = all(reachable.values())
    found = Health("ok" if readable else "unavailable", __version__, reachable)
    return JSONResponse(encode(found), status_code=200 if readable else 503)


@router.get("/metrics", **responses("text/plain"))
async def metrics(state: State, request: Request) -> Response:
    """Metrics for Prometheus."""

    def text() -> bytes:
        found: Metrics = request.app.state.metrics
        with state.library.snapshot() as snapshot:
            images = snapshot.counts().get(Outcome.INDEXED, 0)
        return found.text(state, images)

    return Response(await state.executors.quick.run(text), media_type=MEDIA_TYPE)
