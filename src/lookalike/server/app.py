"""The application: routes, middleware and error handlers."""

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
from lookalike.server.app_state import AppState
from lookalike.server.responses import HTTPError, handle_error
from lookalike.server.routes import (
    explain,
    images,
    jobs,
    operation,
    review,
    search,
    vectors,
)
from lookalike.server.routes import library as library_routes
from lookalike.server.routes.operation import Metrics
from lookalike.server.security.limits import RateLimiter
from lookalike.server.security.middleware import SecurityMiddleware
from lookalike.server.settings import Settings

DESCRIPTION = "Find images that look alike. Explained in docs/http.md."
HANDLED_ERRORS = (
    HTTPError, LookalikeError, RequestValidationError, ValidationError, HTTPException, ClientDisconnect,
)  # fmt: skip


def create_app(library: Library, settings: Settings | None = None) -> FastAPI:
    """Return the server of an open library as an ASGI application, for any ASGI server.

    The library belongs to the caller: it is not closed when the application ends.
    """
    settings = settings or Settings()
    state = AppState.of(library, settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        state.executors.search.submit(state.warm_up)
        try:
            yield
        finally:
            state.close()

    app = FastAPI(
        title="Lookalike",
        version=__version__,
        description=DESCRIPTION,
        openapi_url="/api/openapi.json",
        docs_url=None,  # its scripts would come from the internet
        redoc_url=None,
        lifespan=lifespan,
        exception_handlers=dict.fromkeys(HANDLED_ERRORS, handle_error),
    )
    app.state.server = state
    for routes in (
        search, images, explain, review, library_routes, vectors, jobs, operation, static_files,
    ):  # fmt: skip
        app.include_router(routes.router)
    app.state.rate_limiter = RateLimiter(settings.rate)
    app.state.metrics = Metrics()
    app.add_middleware(
        SecurityMiddleware,
        settings=settings,
        rate_limiter=app.state.rate_limiter,
        observe=app.state.metrics.observe,
    )
    return app
