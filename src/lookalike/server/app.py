"""The application: routes, middleware and error handlers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from lookalike import __version__
from lookalike.errors import LookalikeError
from lookalike.library import Library
from lookalike.server import static_files
from lookalike.server.app_state import AppState
from lookalike.server.compression import CompressionMiddleware
from lookalike.server.openapi import openapi_document
from lookalike.server.responses import HTTPError, handle_error
from lookalike.server.routes import (
    duplicates,
    embed,
    explain,
    export,
    images,
    jobs,
    operation,
    review,
    search,
    selection,
    vectors,
)
from lookalike.server.routes import library as library_routes
from lookalike.server.routes.operation import Metrics
from lookalike.server.security.limits import RateLimiter
from lookalike.server.security.middleware import SecurityMiddleware
from lookalike.server.security.redaction import RedactingMiddleware
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
    library.slow_query_seconds = settings.slow_query

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await state.executors.search.run(state.warm_up)
        # FastAPI prepares routes when it first compares an address with them.
        for route in app.routes:
            route.matches({"type": "http", "method": "GET", "path": "/", "root_path": ""})
        try:
            yield
        finally:
            app.state.server.close()

    app = FastAPI(
        title="Lookalike",
        version=__version__,
        description=DESCRIPTION,
        openapi_url="/api/openapi.json",
        # With the extra `otel`, requests are traced where the environment names a collector.
        telemetry={
            "auto_configure": True,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
        },
        docs_url=None,  # its scripts would come from the internet
        redoc_url=None,
        lifespan=lifespan,
        exception_handlers=dict.fromkeys(HANDLED_ERRORS, handle_error),
    )
    app.state.server = state
    app.openapi = lambda: openapi_document(app)  # type: ignore[method-assign]
    routers = [
        module.router
        for module in (
            search, images, export, explain, duplicates, review, library_routes, selection, vectors, embed,
            jobs, operation, static_files,
        )
    ]  # fmt: skip
    for router in routers:
        for route in router.routes:
            if isinstance(route, APIRoute):
                route.unique_id = route.name
                methods = route.methods or set()
                if "GET" in methods:
                    methods.add("HEAD")  # RFC 9110, 9.3.2; servers send no body in response to it
        # Not `include_router`, which prepares a copy of every route for every application.
        app.router.routes.extend(router.routes)
    app.state.rate_limiter = RateLimiter(settings.rate)
    app.state.metrics = Metrics()
    if settings.hide_paths:  # the innermost: others may compress what it reads
        app.add_middleware(RedactingMiddleware, redactor=state.redactor)
    app.add_middleware(CompressionMiddleware)
    app.add_middleware(
        SecurityMiddleware,
        settings=settings,
        rate_limiter=app.state.rate_limiter,
        observe=app.state.metrics.observe,
    )
    return app
