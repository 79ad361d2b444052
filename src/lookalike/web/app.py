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
from lookalike.web import (
    asking,
    entering,
    explaining,
    indexes,
    looking,
    page_files,
    reviewing,
    vectors,
    watching,
    writing,
)
from lookalike.web.guard import Guard
from lookalike.web.measuring import Figures
from lookalike.web.rates import Rates
from lookalike.web.refusals import Refusal, answer_refusal
from lookalike.web.server import Server
from lookalike.web.settings import Settings

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
        asking, looking, explaining, reviewing, writing, vectors, indexes, entering,
        watching, page_files,
    ):  # fmt: skip
        app.include_router(routes.router)
    app.state.rates = Rates(settings.rate)
    app.state.figures = Figures()
    app.add_middleware(
        Guard, settings=settings, rates=app.state.rates, watch=app.state.figures.answered
    )
    return app
