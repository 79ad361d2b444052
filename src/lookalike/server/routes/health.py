"""Routes for monitoring: health and metrics."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from lookalike import __version__
from lookalike.errors import Outcome
from lookalike.server.app_state import State
from lookalike.server.metrics import MEDIA_TYPE, Metrics
from lookalike.server.openapi import responses
from lookalike.server.responses import JSONResponse
from lookalike.wire import encode
from lookalike.wire.http import Health

router = APIRouter(tags=["operation"])


@router.get("/health", **responses(Health))
async def health(state: State) -> Response:
    """200 while the library can be read. Needs no token and tells nothing of the library."""

    def read() -> None:
        with state.library.snapshot() as snapshot:
            snapshot.roots()

    await state.executors.quick.run(read)
    return JSONResponse(encode(Health("ok", __version__)))


@router.get("/metrics", **responses("text/plain"))
async def metrics(state: State, request: Request) -> Response:
    """Metrics for Prometheus."""

    def text() -> bytes:
        found: Metrics = request.app.state.metrics
        with state.library.snapshot() as snapshot:
            images = snapshot.counts().get(Outcome.INDEXED, 0)
        return found.text(state, images)

    return Response(await state.executors.quick.run(text), media_type=MEDIA_TYPE)
