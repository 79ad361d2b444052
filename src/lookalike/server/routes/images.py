"""Routes that show the library: its facts, its images, their files and neighbours."""

from __future__ import annotations

import asyncio
import os
from email.utils import formatdate
from pathlib import Path, PurePath, PurePosixPath
from typing import Annotated, Literal
from urllib.parse import quote

import numpy as np
from fastapi import APIRouter, Request
from fastapi import Path as PathParam
from fastapi import Query as QueryParam
from pydantic import Field
from starlette.responses import FileResponse, Response

from lookalike import __version__
from lookalike.duplicates.companions import FolderListings
from lookalike.errors import ImageError, Outcome
from lookalike.images import pages
from lookalike.images.formats import FORMATS, RAW_SUFFIXES, VIDEO_SUFFIXES, is_readable, still_of
from lookalike.images.reading import open_original, read
from lookalike.images.sniff import HEAD_BYTES, kind_of
from lookalike.object_storage import is_url, shown
from lookalike.query import Hits, Query, Term
from lookalike.server.app_state import AppState, State
from lookalike.server.browse import browse
from lookalike.server.facets import facet
from lookalike.server.openapi import JPEG, responses
from lookalike.server.query_params import KNOWN_PARAMETERS
from lookalike.server.responses import HTTPError, JSONResponse, not_modified, too_busy
from lookalike.stores.interface import Ids, Image, Snapshot
from lookalike.thumbnails import Thumbnail, etag_of
from lookalike.wire import encode
from lookalike.wire.http import (
    Facet,
    FieldList,
    ImageDetails,
    ImageGroups,
    ImagePage,
    NamedField,
    SearchResponse,
    ServedInfo,
    ServedSpace,
)

router = APIRouter(tags=["library"], dependencies=[KNOWN_PARAMETERS])

ImageId = Annotated[int, Field(ge=1, le=2**63 - 1)]
ImageIdParam = Annotated[int, PathParam(ge=1, le=2**63 - 1)]
Offset = Annotated[int, QueryParam(ge=0, le=2**53)]
PageSize = Annotated[int, QueryParam(ge=1, le=1000)]

BINARY = "application/octet-stream"
FILE_TYPES = (BINARY, *sorted({one.media_type for one in FORMATS.values() if one.media_type}))
ALL_INDEXED = "outcome = 'indexed'"
GOLDEN_RATIO = 0.6180339887498949

# Seconds for which a browser shows a thumbnail again without asking whether it has changed.
THUMBNAIL_MAX_AGE = 120


@router.get("/api/info", **responses(ServedInfo))
async def info(state: State) -> Response:
    """Return facts about the library and what this server allows."""
    return JSONResponse(encode(await state.executors.quick.run(lambda: served_info(state))))


@router.get("/api/fields", **responses(FieldList))
async def fields(state: State) -> Response:
    """Return the fields that can be filtered, with their values."""
    found = await state.read(lambda snapshot: snapshot.fields().items())
    return JSONResponse(encode(FieldList(tuple(NamedField(*one) for one in found))))


@router.get("/api/facets", **responses(Facet))
async def field_facet(
    state: State,
    field: Annotated[str, QueryParam(max_length=200)],
    where: Annotated[str, QueryParam(max_length=10_000)] = "",
    contains: Annotated[str, QueryParam(max_length=200)] = "",
) -> Response:
    """How many of the images that pass a filter have each value of a field (the most frequent ones, or those
    that contain a text), or lie in each range of its numbers or dates."""

    def count() -> Facet:
        with state.library.snapshot() as snapshot:
            return facet(snapshot, field, where, contains)

    return JSONResponse(encode(await state.executors.search.run(count)))


@router.get("/api/images", **responses(ImagePage))
async def images(
    state: State,
    where: str | None = None,
    offset: Offset = 0,
    k: PageSize = 60,
    order: Literal["oldest", "newest", "spread"] = "oldest",
    sort: Annotated[str | None, QueryParam(max_length=200)] = None,
) -> Response:
    """Images without a query. `spread` goes evenly over the whole library, which shows more of it at first
    sight than its first folder does. `sort`: by this field instead of by when they were indexed, `newest`
    then means falling."""
    page = await state.executors.quick.run(lambda: image_page(state, where, offset, k, order, sort))
    return JSONResponse(encode(page))


@router.get("/api/images/groups", **responses(ImageGroups))
async def image_groups(
    state: State,
    by: Annotated[str, QueryParam(max_length=200)] = "taken",
    where: str | None = None,
) -> Response:
    """Images in groups, to look around. `by`: "folder", "place" (where they were taken, half a degree wide),
    or a field; dates are grouped by month. Each group has the filter that selects it and some images."""

    def read() -> ImageGroups:
        with state.library.snapshot() as snapshot:
            return browse(snapshot, by, where or ALL_INDEXED)

    key = (by, where, await state.read(lambda snapshot: snapshot.version))
    found = await state.browsing.get(key, read, wait=state.settings.queue_timeout)
    if found is None:
        raise too_busy()
    return JSONResponse(encode(found))


@router.get("/api/images/{id}", **responses(ImageDetails))
async def image(state: State, id: ImageIdParam) -> Response:
    """Everything known of one image."""

    def read(snapshot: Snapshot) -> ImageDetails:
        found, root = find_image(snapshot, id)
        file = None if state.settings.hide_paths else shown(root / found.path)
        return ImageDetails(found, root.name, file, stored_companions(snapshot, found, root))

    return JSONResponse(encode(await state.read(read)))


@router.get("/api/images/{id}/neighbours", **responses(SearchResponse))
async def neighbours(
    state: State,
    id: ImageIdParam,
    k: PageSize = 12,
    extractor: Annotated[list[str] | None, QueryParam()] = None,
) -> Response:
    """The images most similar to this one, without itself."""
    names = tuple(map(state.redactor.stored_name, extractor or ()))
    query = Query((Term(id=id),), k=k + 1, extractors=names)
    await state.read(lambda snapshot: find_image(snapshot, id))
    hits = await asyncio.wrap_future(state.batcher.submit(query))
    found = await state.executors.quick.run(lambda: without_itself(state, id, k, hits))
    return JSONResponse(encode(found))


@router.get("/api/images/{id}/thumbnail", **responses(JPEG))
async def thumbnail(
    state: State,
    request: Request,
    id: ImageIdParam,
    size: Annotated[int, QueryParam(ge=1, le=4096)] = 256,
) -> Response:
    """A JPEG of at most `size` pixels (rounded up to 64, 128, 256, 512 or 1,024), upright."""
    thumbnails = state.library.thumbnails

    def find() -> tuple[dict[str, str], Thumbnail | None, bool]:
        state.check_roots()
        with state.library.snapshot() as snapshot:
            found, root = find_image(snapshot, id)
        tag, modified = etag_of(found, size), found.mtime_ns / 1e9
        if not is_url(root):
            modified = file_in_root(found, root).stat().st_mtime
        headers = {
            "ETag": tag,
            "Last-Modified": formatdate(modified, usegmt=True),
            "Cache-Control": f"private, max-age={THUMBNAIL_MAX_AGE}",
        }
        known = not_modified(request, tag, modified)
        return headers, None if known else thumbnails.cached(found, size), known

    headers, made, known = await state.executors.quick.run(find)
    if known:
        return Response(status_code=304, headers=headers)
    # What must be made waits elsewhere, so that thumbnails that exist do not wait for it.
    if made is None:
        made = await state.executors.decode.run(lambda: thumbnails.get(id, size))
    return Response(made.data, media_type=made.media_type, headers={**headers, "ETag": made.etag})


@router.get("/api/images/{id}/tile", **responses(JPEG))
async def tile(
    state: State,
    request: Request,
    id: ImageIdParam,
    level: Annotated[int, QueryParam(ge=0, le=16)] = 0,
    column: Annotated[int, QueryParam(ge=0, le=10_000)] = 0,
    row: Annotated[int, QueryParam(ge=0, le=10_000)] = 0,
) -> Response:
    """A part of an image as a JPEG, upright, of 512 × 512 pixels or, at the right and the bottom, less. The
    image is cut at full size (`level` 0), at half of it (1), at a quarter (2), ...; the longer side
    of each is rounded up."""

    def find() -> tuple[Path, str, int]:
        state.check_roots()
        with state.library.snapshot() as snapshot:
            found, root = find_image(snapshot, id)
        if found.outcome is not Outcome.INDEXED or not found.width or not found.height:
            raise HTTPError(404, f"image {id} has no pixels")
        path, stored = file_in_root(found, root), (found.hash or b"").hex()[:32]
        if not is_url(root):
            stat = path.stat()
            stored += f"-{stat.st_mtime_ns:x}-{stat.st_size:x}"
        return path, stored, -(-max(found.width, found.height) // 2**level)

    path, version, side = await state.executors.quick.run(find)
    tag = f'"{version}-{level}-{column}-{row}"'
    headers = {"ETag": tag, "Cache-Control": f"private, max-age={THUMBNAIL_MAX_AGE}"}
    if not_modified(request, tag):
        return Response(status_code=304, headers=headers)
    tiles = state.tiles.cached(path, version, side)
    if tiles is None:
        tiles = await state.executors.slow.run(lambda: state.tiles.level(path, version, side))
    if (column, row) not in tiles:
        raise HTTPError(404, f"level {level} of image {id} has no tile {column}, {row}")
    return Response(tiles[column, row], media_type=JPEG, headers=headers)


@router.get("/api/images/{id}/file", **responses(FILE_TYPES))
async def image_file(state: State, request: Request, id: ImageIdParam) -> Response:
    """The image file as it is."""

    def find_root() -> tuple[Image, Path]:
        state.check_roots()
        with state.library.snapshot() as snapshot:
            return find_image(snapshot, id)

    image, root = await state.executors.quick.run(find_root)
    if is_url(root):
        return await remote_file(state, request, image, root)

    def find() -> tuple[Path, str, os.stat_result]:
        path = file_in_root(image, root)
        return path, media_type_of(path.name, first_bytes(path)), path.stat()

    path, media_type, stat = await state.executors.quick.run(find)
    name = quote(path.name.encode("utf-8", "replace").decode())
    shown_as = "attachment" if media_type == BINARY else "inline"
    headers = {
        "Content-Disposition": f"{shown_as}; filename*=UTF-8''{name}",
        "Cache-Control": "private, no-cache",
        # The time of the last change of the inode, too: a copy may keep the old time and size.
        "ETag": f'"{stat.st_mtime_ns:x}-{stat.st_ctime_ns:x}-{stat.st_size:x}"',
    }
    if not_modified(request, headers["ETag"], stat.st_mtime):
        headers["Last-Modified"] = formatdate(stat.st_mtime, usegmt=True)
        return Response(status_code=304, headers=headers)
    return FileResponse(path, media_type=media_type, stat_result=stat, headers=headers)


async def remote_file(state: AppState, request: Request, image: Image, root: Path) -> Response:
    """Return the content of an image that is at a URL. `HTTPError` 404 or 415."""
    content = (image.hash or b"").hex()
    headers = {
        "Content-Disposition": f"inline; filename*=UTF-8''{quote(Path(image.path).name)}",
        "Cache-Control": "private, no-cache",
        "ETag": f'"{content}"',
    }
    if not_modified(request, headers["ETag"], image.mtime_ns / 1e9):
        return Response(status_code=304, headers=headers)

    def fetch() -> tuple[bytes, str]:
        try:
            found = read(root / image.path)
        except ImageError as error:
            raise HTTPError(404, f"image {image.id} cannot be fetched: {error.reason}") from None
        media_type = media_type_of(Path(image.path).name, found.data[:HEAD_BYTES])
        headers["ETag"] = f'"{found.digest.hex()}"'
        return found.data, media_type

    data, media_type = await state.executors.decode.run(fetch)
    return Response(data, media_type=media_type, headers=headers)


def served_info(state: AppState) -> ServedInfo:
    """Return what /api/info tells."""
    library, settings = state.library, state.settings
    with library.snapshot() as snapshot:
        counts, spaces, captions = snapshot.counts(), snapshot.spaces(), snapshot.has_text()
        spaces = [space for space in spaces if space.current]
        reads_text = {space.key: library.encodes_text(space) for space in spaces}
        roots = [root.path.name for root in snapshot.roots()]
    return ServedInfo(
        name=library.home.name,
        version=__version__,
        images=counts.get(Outcome.INDEXED, 0),
        outcomes=dict(sorted(counts.items())),
        roots=tuple(roots),
        spaces=tuple(
            ServedSpace(
                name=space.name,
                dim=space.width,
                similarity=space.similarity,
                count=space.count,
                text=reads_text[space.key],
                multi_vector=space.boxes is not None,
                index=space.index,
            )
            for space in spaces
        ),
        captions=captions,
        text=captions or any(reads_text.values()),
        writable=settings.writable and not library.read_only,
        allow_url=settings.allow_url,
        max_upload_bytes=settings.max_upload_bytes,
        max_k=settings.max_k,
    )


def image_page(
    state: AppState, where: str | None, offset: int, k: int, order: str, sort: str | None
) -> ImagePage:
    """Return one page of the images that a filter selects."""
    with state.library.snapshot() as snapshot:
        ids = snapshot.select(where or ALL_INDEXED)
        if sort is not None:
            ids, order = snapshot.sort(ids, sort, reverse=order == "newest"), "oldest"
        page = [int(id) for id in ids_of_page(ids, offset, k, order)]
        found = snapshot.images(page)
    end = offset + len(page)
    return ImagePage(
        images=tuple(found[id] for id in page if id in found),
        total=len(ids),
        next_offset=end if page and end < len(ids) else None,
    )


def ids_of_page(ids: Ids, offset: int, k: int, order: str) -> Ids:
    """Return a page of rising ids: in their order, backwards, or spread evenly over all of them."""
    if order == "newest":
        ids = ids[::-1]
    if order != "spread":
        return ids[offset : offset + k]
    places = np.arange(offset, min(offset + k, len(ids)))
    return ids[(places * stride(len(ids))) % max(len(ids), 1)]


def stride(count: int) -> int:
    """Return a step coprime to `count`, about its golden ratio: it visits every place once, evenly."""
    step = max(1, round(count * GOLDEN_RATIO))
    while np.gcd(step, count) != 1:
        step += 1
    return step


def without_itself(state: AppState, id: int, k: int, hits: Hits) -> SearchResponse:
    """Return the hits without the image that was the query."""
    others = [hit for hit in hits.hits if hit.id != id][:k]
    return SearchResponse(
        answer=hits,
        query={"image": [str(id)], "k": k},
        hits=tuple(others),
        next_offset=None,
    )


def find_image(snapshot: Snapshot, id: int) -> tuple[Image, Path]:
    """Return an image and the folder of its root. `HTTPError` 404."""
    image = snapshot.images([id]).get(id)
    if image is None:
        raise HTTPError(404, f"the library has no image with the id {id}")
    return image, next(root.path for root in snapshot.roots() if root.id == image.root)


def stored_companions(snapshot: Snapshot, image: Image, root: Path) -> tuple[str, ...]:
    """Return the names of the raw files and videos that belong to an image."""
    path = PurePosixPath(image.path)
    if is_url(root):
        suffixes = sorted(RAW_SUFFIXES | VIDEO_SUFFIXES)
        beside = [path.stem + end for one in suffixes for end in (one, one.upper())]
    else:
        found = FolderListings().companions(root / path)
        beside = [file.name for file in (*found.raw, *found.videos)]
    states = snapshot.file_states(image.root, [str(path.with_name(name)) for name in beside])
    stored = ((PurePosixPath(file).name, state) for file, state in states.items())
    return tuple(sorted(name for name, state in stored if still_of(state.reason) == path.name))


def file_of(state: AppState, id: int) -> Path:
    """Return the path of an image's file. `HTTPError` 404 if there is no such image or file, or if it lies
    outside the library."""
    state.check_roots()
    with state.library.snapshot() as snapshot:
        image, root = find_image(snapshot, id)
    file = file_in_root(image, root)
    page = pages.split_page(image.path)
    return (
        file
        if is_url(root) or page is None or not pages.is_page(root / image.path)
        else Path(f"{file}#{page[1]}")
    )


def file_in_root(image: Image, root: Path) -> Path:
    """Return the real path of an image's file. `HTTPError` 404 if it is gone or lies outside its root: a link
    in a folder of images must not open the rest of the disk."""
    if is_url(root):  # there are no links, and reading it says whether it is there
        return root / image.path
    try:
        if ".." in PurePath(image.path).parts:  # nothing that was indexed has such a name
            raise ValueError(image.path)
        home = root.resolve(strict=True)
        path = Path(pages.file_of(home / image.path)).resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        raise HTTPError(
            404, f"the file of image {image.id} is gone: index its folder again"
        ) from None
    if not path.is_relative_to(home) or not path.is_file():
        raise HTTPError(404, f"the file of image {image.id} is not in the library's folder")
    return path


def media_type_of(name: str, head: bytes) -> str:
    """Return the media type of a file by its content. `HTTPError` 415 unless it is an image format that is
    read: HTML is never sent, whatever its name, and SVG, which may have scripts, not as such."""
    kind = kind_of(name, head)
    if kind is None or not is_readable(kind):
        raise HTTPError(415, f"{name} is not an image (any more)")
    return FORMATS[kind].media_type or BINARY


def first_bytes(path: Path) -> bytes:
    """Return the bytes of a file by which its format is recognised."""
    with os.fdopen(open_original(path), "rb") as file:
        return file.read(HEAD_BYTES)
