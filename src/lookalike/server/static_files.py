"""Static files of the web page, from the folder `page`."""

from __future__ import annotations

import hashlib
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from lookalike.server.responses import HTTPError, not_modified

router = APIRouter(include_in_schema=False)

PAGE = Path(__file__).parent / "page"

# Modules that draw maps, shared with the map that `lookalike map` exports.
MAP_MODULES = Path(__file__).parents[1] / "viz" / "map_page"

# Fixed, because a system's own table may declare JavaScript plain text, which no browser then runs.
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
}


@router.get("/")
async def index(request: Request) -> Response:
    """Return the page."""
    request.app.state.server.expect_visitor()
    return static_file(request, PAGE, "index.html")


@router.get("/page/map/{name}")
async def map_module(request: Request, name: str) -> Response:
    """Return a JavaScript module of the map renderer."""
    return static_file(request, MAP_MODULES, name)


@router.get("/page/{path:path}")
async def file(request: Request, path: str) -> Response:
    """Return a file of the page."""
    return static_file(request, PAGE, path)


@router.get("/favicon.ico")
async def favicon(request: Request) -> Response:
    """Return the icon of the page."""
    return static_file(request, PAGE, "icon.svg")


def static_file(request: Request, folder: Path, path: str) -> Response:
    """Return a file of a folder, with an ETag of its content. `HTTPError` 404.

    It is read on the event loop: a few kilobytes from the page cache take less time than a thread."""
    file = folder / path
    media_type = MEDIA_TYPES.get(file.suffix)
    try:
        resolved = file.resolve(strict=True)
        if media_type is None or not resolved.is_relative_to(folder.resolve()):
            raise OSError
        data = resolved.read_bytes()
    except (OSError, ValueError):
        raise HTTPError(404, "the page has no such file") from None
    tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if not_modified(request, tag):
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=media_type, headers=headers)
