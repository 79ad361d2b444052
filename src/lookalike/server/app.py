"""The application: routes, guards and the one way in which errors are told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from lookalike import __version__
from lookalike.errors import LookalikeError
from lookalike.library import Library
from lookalike.server import static_files
from lookalike.server.app_state import Server
from lookalike.server.errors import Refusal, answer_refusal
from lookalike.server.metrics import Figures
from lookalike.server.routes import ann, explain, health, images, review, search, session, vectors
from lookalike.server.routes import library as library_routes
from lookalike.server.security.middleware import Guard
from lookalike.server.security.rate_limit import Rates
from lookalike.server.settings import Settings

ABOUT = "Find images that look alike. Explained in docs/http.md."
ERRORS = (
    Refusal, LookalikeError, RequestValidationError, ValidationError, HTTPException, ClientDisconnect,
)  # fmt: skip


def create_app(library: Library, settings: Settings | None = None) -> FastAPI:
    """The server of an open library as an ASGI application; any ASGI server can run it.

    The library stays the caller's: it is not closed when the application ends.
    """
    settings = settings or Settings()
    server = Server.of(library, settings)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        server.lanes.search.submit(server.warm_up)
        try:
            yield
        finally:
            server.close()

    app = FastAPI(
        title="Lookalike",
        version=__version__,
        description=ABOUT,
        openapi_url="/api/openapi.json",
        docs_url=None,  # its scripts would come from the internet
        redoc_url=None,
        lifespan=life,
        exception_handlers=dict.fromkeys(ERRORS, answer_refusal),
    )
    app.state.server = server
    for routes in (
        search, images, explain, review, library_routes, vectors, ann, session,
        health, static_files,
    ):  # fmt: skip
        app.include_router(routes.router)
    app.state.rates = Rates(settings.rate)
    app.state.figures = Figures()
    app.add_middleware(
        Guard, settings=settings, rates=app.state.rates, watch=app.state.figures.answered
    )
    return app
