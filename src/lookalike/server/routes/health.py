"""Routes for those who watch over the server: is it well, and how much does it do?"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from lookalike import __version__
from lookalike.errors import Outcome
from lookalike.server.app_state import Here
from lookalike.server.errors import Json
from lookalike.server.metrics import MEDIA_TYPE, Figures
from lookalike.server.openapi import described
from lookalike.wire import schemas

router = APIRouter(tags=["operation"])


@router.get("/health", **described(schemas.Health))
async def health(server: Here) -> Response:
    """200 while the library can be read. Needs no token and tells nothing of the library."""

    def work() -> dict[str, Any]:
        with server.library.snapshot() as snapshot:
            snapshot.roots()
        return {"status": "well", "version": __version__}

    return Json(await server.lanes.quick.run(work))


@router.get("/metrics", **described("text/plain"))
async def metrics(server: Here, request: Request) -> Response:
    """Figures for Prometheus."""

    def work() -> bytes:
        figures: Figures = request.app.state.figures
        with server.library.snapshot() as snapshot:
            images = snapshot.counts().get(Outcome.INDEXED, 0)
        return figures.text(server, images)

    return Response(await server.lanes.quick.run(work), media_type=MEDIA_TYPE)
