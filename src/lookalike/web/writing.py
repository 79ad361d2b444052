"""Routes that change the library: pictures added and removed, and how indexing goes."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import UploadFile
from starlette.responses import Response, StreamingResponse

from lookalike.web import schemas
from lookalike.web.asking import MOST_FILES, parsed
from lookalike.web.describing import ADDING, described
from lookalike.web.looking import Id, one
from lookalike.web.places import Named, below_roots
from lookalike.web.refusals import Json, Refusal, as_json
from lookalike.web.server import Here, Server

router = APIRouter(tags=["changes"])

NEW_PICTURES = "Uploads"
"""The folder below the first root that gets pictures which are sent."""

ENDINGS = {"jpeg": ".jpg", "png": ".png", "gif": ".gif", "bmp": ".bmp", "webp": ".webp"} | {
    "tiff": ".tif", "avif": ".avif", "heic": ".heic",
}  # fmt: skip


class Folders(BaseModel):
    """What to index: folders and files below the library's roots; none: all of them."""

    model_config = ConfigDict(extra="forbid")

    paths: list[Named] = Field([], max_length=1000)


def must_write(server: Server) -> None:
    """`Refusal` 403 where the server only reads."""
    if not server.settings.writable or server.library.read_only:
        raise Refusal(403, "this server only reads: start it with --writable to change the library")


@router.post("/api/images", openapi_extra=ADDING, **described(schemas.Indexing, status=202))
async def add(server: Here, request: Request) -> Response:
    """Index again (`{"paths": […]}`, or nothing for all folders of the library), or add pictures that are
    sent as files named `picture`, which are kept in the folder Uploads of the library. The answer comes
    at once; GET /api/indexing tells how it goes."""
    must_write(server)
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        async with request.form(max_files=MOST_FILES, max_fields=0) as form:
            sent = [
                (part.filename or "", await part.read())
                for name, part in form.multi_items()
                if name == "picture" and isinstance(part, UploadFile)
            ]
        if not sent:
            raise Refusal(422, "send pictures as files named `picture`")
        paths = [await server.lanes.pictures.run(lambda s=s: store(server, *s)) for s in sent]  # type: ignore[misc]
        paths = [path.parent for path in paths]
    else:
        body = (await request.body()).decode("utf-8", "replace")
        folders = Folders.model_validate(parsed(body or "{}"))
        paths = await server.lanes.quick.run(lambda: below_roots(server, folders.paths))
    state = await server.lanes.quick.run(lambda: server.indexing.ask(paths))
    return Json(asdict(state), 202)


@router.get("/api/indexing", **described(schemas.Indexing))
async def indexing(server: Here, accept: Annotated[str, Header()] = "") -> Response:
    """How indexing goes. With `Accept: text/event-stream`, as events until it ends."""
    if "text/event-stream" in accept:
        return StreamingResponse(events(server), media_type="text/event-stream")
    return Json(asdict(await server.lanes.quick.run(server.indexing.state)))


@router.delete("/api/images/{id}", **described(schemas.Forgotten))
async def remove(server: Here, id: Id) -> Response:
    """Forget an image. Its file stays where it is; indexing its folder again finds it again."""
    must_write(server)

    def work() -> int:
        with server.library.view() as view:
            image, root = one(view, id)
        return server.library.remove([root / image.path])

    return Json({"forgotten": await server.lanes.writing.run(work)})


async def events(server: Server) -> AsyncIterator[bytes]:
    before: dict[str, Any] = {}
    while True:
        state = asdict(await server.lanes.quick.run(server.indexing.state))
        if state != before:
            yield b"data: " + as_json(state) + b"\n\n"
        if not state["running"]:
            return
        before = state
        await asyncio.sleep(0.5)


def store(server: Server, name: str, data: bytes) -> Path:
    """Keep a picture as a file below the first root; `ImageError` where it is none."""
    upload = server.uploads.add(data)
    home = below_roots(server, [])[0] / NEW_PICTURES
    stem = (
        re.sub(r"[^\w -]+", "-", Path(name.replace("\\", "/")).stem).strip(" -_")[:80] or "picture"
    )
    try:
        home.mkdir(exist_ok=True)
        if home.is_symlink():
            raise Refusal(403, f"the folder {NEW_PICTURES} is a link: it may lead anywhere")
        for number in range(1, 10_000):
            counted = stem if number == 1 else f"{stem} {number}"
            file = home / (counted + ENDINGS[upload.format])
            if written(file, data):
                return file
    except OSError as error:
        raise Refusal(
            507, f"the picture cannot be kept: {(error.strerror or '').lower()}"
        ) from None
    raise Refusal(409, f"there are too many pictures called {stem} already")


def written(file: Path, data: bytes) -> bool:
    """True if the file now holds these bytes and no others; it is never overwritten."""
    try:
        with file.open("xb") as out:
            out.write(data)
            os.fsync(out.fileno())
    except FileExistsError:
        return file.is_file() and file.stat().st_size == len(data) and file.read_bytes() == data
    except OSError:
        file.unlink(missing_ok=True)
        raise
    return True
