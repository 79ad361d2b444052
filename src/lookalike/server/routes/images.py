"""Routes that show: facts of the library and its images, the pictures themselves, their neighbours."""

from __future__ import annotations

import asyncio
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from pydantic import Field
from starlette.responses import FileResponse, Response

from lookalike import __version__
from lookalike.errors import Outcome
from lookalike.images.sniff import HEAD_BYTES, READABLE, sniff
from lookalike.query import Hits, Term
from lookalike.query import Query as Question
from lookalike.server.app_state import Here, Server
from lookalike.server.errors import Json, Refusal
from lookalike.server.openapi import JPEG, described
from lookalike.stores.interface import Ids, Image, Snapshot
from lookalike.wire import documents, schemas

router = APIRouter(tags=["library"])

Id64 = Annotated[int, Field(ge=1, le=2**63 - 1)]
Id = Annotated[int, InPath(ge=1, le=2**63 - 1)]
Offset = Annotated[int, Query(ge=0, le=2**53)]
Many = Annotated[int, Query(ge=1, le=1000)]

INDEXED = "outcome = 'indexed'"
GOLDEN = 0.6180339887498949
FRESH_SECONDS = 120
"""A browser shows a thumbnail again without asking for so long; then it asks whether it has changed."""


@router.get("/api/info", **described(schemas.Info))
async def info(server: Here) -> Response:
    """What the library holds and what this server allows."""
    return Json(await server.lanes.quick.run(lambda: info_of(server)))


@router.get("/api/fields", **described(schemas.Fields))
async def fields(server: Here) -> Response:
    """What can be filtered, and what the library has in it."""

    def work() -> dict[str, Any]:
        with server.library.snapshot() as snapshot:
            found = [documents.of_field(name, facts) for name, facts in snapshot.fields().items()]
        return {"fields": found}

    return Json(await server.lanes.quick.run(work))


@router.get("/api/images", **described(schemas.Images))
async def images(
    server: Here,
    where: str | None = None,
    offset: Offset = 0,
    k: Many = 60,
    order: Literal["oldest", "newest", "spread"] = "oldest",
) -> Response:
    """Images without a question. `spread` goes evenly over the whole library, which shows more of it at
    first sight than its first folder does."""
    return Json(await server.lanes.quick.run(lambda: browsed(server, where, offset, k, order)))


@router.get("/api/images/{id}", **described(schemas.Whole))
async def image(server: Here, id: Id) -> Response:
    """Everything known of one image."""

    def work() -> dict[str, Any]:
        with server.library.snapshot() as snapshot:
            found, root = one(snapshot, id)
        return documents.whole(found, root, private=server.settings.private)

    return Json(await server.lanes.quick.run(work))


@router.get("/api/images/{id}/neighbours", **described(schemas.Answer))
async def neighbours(
    server: Here, id: Id, k: Many = 12, extractor: Annotated[list[str] | None, Query()] = None
) -> Response:
    """The images most like this one, without itself."""
    question = Question((Term(id=id),), k=k + 1, extractors=tuple(extractor or ()))

    def known() -> None:
        with server.library.snapshot() as snapshot:
            one(snapshot, id)

    await server.lanes.quick.run(known)
    hits = await asyncio.wrap_future(server.gathering.submit(question))
    return Json(await server.lanes.quick.run(lambda: near(server, id, k, hits)))


@router.get("/api/images/{id}/thumbnail", **described(JPEG))
async def thumbnail(
    server: Here, request: Request, id: Id, size: Annotated[int, Query(ge=1, le=4096)] = 256
) -> Response:
    """A JPEG of at most `size` pixels (rounded up to 64, 128, 256, 512 or 1,024), upright."""
    thumbnails = server.library.thumbnails
    wanted = request.headers.get("if-none-match", "")

    def known() -> str:
        checked(server, id)
        return thumbnails.etag(id, size)

    tag = await server.lanes.quick.run(known)
    headers = {"ETag": tag, "Cache-Control": f"private, max-age={FRESH_SECONDS}"}
    if tag in [one.strip() for one in wanted.split(",")]:
        return Response(status_code=304, headers=headers)
    made = await server.lanes.pictures.run(lambda: thumbnails.get(id, size))
    return Response(made.data, media_type=made.media_type, headers={**headers, "ETag": made.etag})


@router.get("/api/images/{id}/file", **described("application/octet-stream"))
async def file(server: Here, id: Id) -> Response:
    """The picture file as it is."""

    def work() -> tuple[Path, str, os.stat_result]:
        with server.library.snapshot() as snapshot:
            found, root = one(snapshot, id)
        path = within(found, root)
        return path, kind_of(path), path.stat()

    path, kind, stat = await server.lanes.quick.run(work)
    name = quote(path.name.encode("utf-8", "replace").decode())
    headers = {
        "Content-Disposition": f"inline; filename*=UTF-8''{name}",
        "Cache-Control": "private, no-cache",
    }
    return FileResponse(path, media_type=kind, stat_result=stat, headers=headers)


def info_of(server: Server) -> dict[str, Any]:
    library, settings = server.library, server.settings
    with library.snapshot() as snapshot:
        counts, spaces, captions = snapshot.counts(), snapshot.spaces(), snapshot.has_text()
        reads = {space.key: library.encodes_text(space) for space in spaces if space.current}
        roots = [root.path.name for root in snapshot.roots()]
    return {
        "name": library.folder.parent.name
        if library.folder.name == ".lookalike"
        else library.folder.name,
        "version": __version__,
        "images": counts.get(Outcome.INDEXED, 0),
        "outcomes": {str(outcome): count for outcome, count in sorted(counts.items())},
        "roots": roots,
        "spaces": [
            {
                "name": space.name,
                "dim": space.width,
                "similarity": space.similarity,
                "count": space.count,
                "words": reads[space.key],
                "parts": space.boxes is not None,
                "index": space.index and asdict(space.index),
            }
            for space in spaces
            if space.current
        ],
        "captions": captions,
        "words": captions or any(reads.values()),
        "writable": settings.writable and not library.read_only,
        "allow_url": settings.allow_url,
        "max_upload_bytes": settings.max_upload_bytes,
        "max_k": settings.max_k,
    }


def browsed(server: Server, where: str | None, offset: int, k: int, order: str) -> dict[str, Any]:
    with server.library.snapshot() as snapshot:
        ids = snapshot.select(where or INDEXED)
        page = [int(id) for id in page_of(ids, offset, k, order)]
        found = snapshot.images(page)
    end = offset + len(page)
    return {
        "images": [documents.brief(found[id]) for id in page if id in found],
        "total": len(ids),
        "next_offset": end if page and end < len(ids) else None,
    }


def page_of(ids: Ids, offset: int, k: int, order: str) -> Ids:
    """A page of rising ids, in their order, backwards, or spread evenly over all of them."""
    if order == "newest":
        ids = ids[::-1]
    if order != "spread":
        return ids[offset : offset + k]
    places = np.arange(offset, min(offset + k, len(ids)))
    return ids[(places * stride(len(ids))) % max(len(ids), 1)]


def stride(count: int) -> int:
    """A step that visits all of `count` places, about a golden ratio of the whole apart."""
    step = max(1, round(count * GOLDEN))
    while np.gcd(step, count) != 1:
        step += 1
    return step


def near(server: Server, id: int, k: int, hits: Hits) -> dict[str, Any]:
    others = [hit for hit in hits.hits if hit.id != id][:k]
    with server.library.snapshot() as snapshot:
        images = snapshot.images([hit.id for hit in others])
    return {
        **documents.outline(hits),
        "query": {"image": [str(id)], "k": k},
        "hits": [documents.hit(hit, images.get(hit.id)) for hit in others],
        "next_offset": None,
    }


def one(snapshot: Snapshot, id: int) -> tuple[Image, Path]:
    """An image and the folder of its root; `Refusal` 404."""
    image = snapshot.images([id]).get(id)
    if image is None:
        raise Refusal(404, f"the library has no image with the id {id}")
    return image, next(root.path for root in snapshot.roots() if root.id == image.root)


def checked(server: Server, id: int) -> None:
    """`Refusal` 404 where there is no such image, or where its file is not the library's to show."""
    with server.library.snapshot() as snapshot:
        image, root = one(snapshot, id)
    within(image, root)


def within(image: Image, root: Path) -> Path:
    """Where the file of an image really lies; `Refusal` 404 where that is nowhere, or outside its root:
    a link in a folder of pictures must not open the rest of the disk."""
    try:
        home = root.resolve(strict=True)
        path = (home / image.path).resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        raise Refusal(
            404, f"the file of image {image.id} is gone: index its folder again"
        ) from None
    if not path.is_relative_to(home) or not path.is_file():
        raise Refusal(404, f"the file of image {image.id} does not lie in the library's folder")
    return path


def kind_of(path: Path) -> str:
    """The media type that the content has; `Refusal` where it is none of the formats that are read: a
    page or a drawing with scripts is never sent, whatever its name."""
    with path.open("rb") as file:
        kind = sniff(file.read(HEAD_BYTES))
    if kind not in READABLE:
        raise Refusal(415, f"{path.name} is no picture (any more)")
    return f"image/{kind}"
