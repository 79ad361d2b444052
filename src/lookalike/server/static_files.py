"""The page: files of the folder `page`, as they are."""

from __future__ import annotations

import hashlib
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from lookalike.server.errors import Refusal

router = APIRouter(include_in_schema=False)

FOLDER = Path(__file__).parent / "page"

KINDS = {
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
"""Fixed, because a system's own table may call JavaScript plain text, which no browser then runs."""


@router.get("/")
async def index(request: Request) -> Response:
    return sent(request, FOLDER / "index.html")


@router.get("/page/{path:path}")
async def file(request: Request, path: str) -> Response:
    return sent(request, FOLDER / path)


@router.get("/favicon.ico")
async def icon(request: Request) -> Response:
    return sent(request, FOLDER / "icon.svg")


def sent(request: Request, file: Path) -> Response:
    """A file of the page, with an ETag of its content; `Refusal` 404. A few kilobytes that the system
    keeps in memory: reading them takes less time than handing the work to a thread."""
    kind = KINDS.get(file.suffix)
    try:
        resolved = file.resolve(strict=True)
        if kind is None or not resolved.is_relative_to(FOLDER.resolve()):
            raise OSError
        data = resolved.read_bytes()
    except (OSError, ValueError):
        raise Refusal(404, "the page has no such file") from None
    tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=kind, headers=headers)
