"""The route that exports chosen images: as a table, as paths, or with their files."""

from __future__ import annotations

import asyncio
import csv
import io
import threading
import zipfile
from collections.abc import AsyncIterator, Generator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from lookalike.object_storage import is_url
from lookalike.server.app_state import AppState, State
from lookalike.server.bodies import read_json
from lookalike.server.jobs.results import ExportResponse
from lookalike.server.openapi import json_body, responses
from lookalike.server.query_params import KNOWN_PARAMETERS, OneOrMore
from lookalike.server.responses import HTTPError, to_json, too_many
from lookalike.server.routes.images import (
    ALL_INDEXED,
    ImageId,
    file_in_root,
    first_bytes,
    media_type_of,
)
from lookalike.stores.interface import Image
from lookalike.wire import encode

router = APIRouter(tags=["selection"], dependencies=[KNOWN_PARAMETERS])

Format = Literal["csv", "json", "paths", "zip"]

MEDIA_TYPES: dict[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "paths": "text/plain; charset=utf-8",
    "zip": "application/zip",
}

# Images of one export, and exports of files of one server process at once.
MAX_IMAGES, MAX_ZIPS = 100_000, 2

# Bytes of a file that are read at a time.
CHUNK_BYTES = 1 << 20

# Columns of a table before those of the metadata.
COLUMNS = (
    "id", "path", "width", "height", "format", "size", "taken", "camera", "latitude", "longitude",
)  # fmt: skip

zips = threading.BoundedSemaphore(MAX_ZIPS)


class ExportRequest(BaseModel, extra="forbid"):
    """Which images to export, and how."""

    ids: Annotated[list[ImageId], OneOrMore] = Field([], max_length=50_000)
    where: str | None = Field(None, description="Instead of ids: all images that a filter selects.")
    format: Format = "csv"


@router.post(
    "/api/images/export",
    openapi_extra=json_body(ExportRequest),
    **responses(tuple(kind.partition(";")[0] for kind in MEDIA_TYPES.values())),
)
async def export(state: State, request: Request) -> Response:
    """Images as a table (`csv`), with everything known of them (`json`), as a list of `paths` below the
    library's folders, or with their files (`zip`). `ids` in the order given, or all of `where`."""
    wanted = await read_json(request, state.executors.quick, ExportRequest.model_validate)
    if bool(wanted.ids) == (wanted.where is not None):
        raise HTTPError(422, "say which images: ids, or where")
    images, names, roots = await state.executors.quick.run(lambda: chosen(state, wanted))
    headers = {"Content-Disposition": f'attachment; filename="images.{suffix(wanted.format)}"'}
    if wanted.format == "zip":
        return zip_response(state, images, names, roots, headers)
    data = await asyncio.to_thread(document, wanted.format, images, names)
    return Response(data, media_type=MEDIA_TYPES[wanted.format], headers=headers)


def suffix(format: Format) -> str:
    """Return the ending of the name of an exported file."""
    return "txt" if format == "paths" else format


def chosen(
    state: AppState, wanted: ExportRequest
) -> tuple[list[Image], list[str], dict[int, Path]]:
    """Return the images of an export, their paths (with the name of the root if there are several), and the
    roots. `HTTPError` 404 for an unknown id."""
    state.check_roots()
    with state.library.snapshot() as snapshot:
        ids = wanted.ids
        if wanted.where is not None:
            ids = snapshot.select(wanted.where or ALL_INDEXED)[:MAX_IMAGES].tolist()
        found = snapshot.images(ids)
        roots = {root.id: root.path for root in snapshot.roots()}
    unknown = next((id for id in ids if id not in found), None)
    if unknown is not None:
        raise HTTPError(404, f"the library has no image with the id {unknown}")
    images = [found[id] for id in dict.fromkeys(ids)]
    if len(roots) == 1:
        return images, [image.path for image in images], roots
    return images, [f"{roots[image.root].name}/{image.path}" for image in images], roots


def document(format: Format, images: Sequence[Image], names: Sequence[str]) -> bytes:
    """Return images as a file of text."""
    if format == "paths":
        return "".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape")
    if format == "json":
        rows = [
            {**encode(image), "facts": dict(image.facts), "path": name}
            for image, name in zip(images, names, strict=True)
        ]
        return to_json({"images": rows})
    fields = sorted({name for image in images for name in image.metadata} - {*COLUMNS})
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow([*COLUMNS, *fields])
    for image, name in zip(images, names, strict=True):
        values = {**image.facts, **image.metadata}
        own = {"id": image.id, "path": name, "width": image.width, "height": image.height}
        own |= {"format": image.format, "size": image.size}
        table.writerow(
            [cell(own.get(column, values.get(column))) for column in (*COLUMNS, *fields)]
        )
    return out.getvalue().encode("utf-8", "surrogateescape")


def cell(value: Any) -> str:
    """Return a value as a cell of a table; several values are divided by semicolons."""
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return "; ".join(map(cell, value))
    return to_json(value).decode() if isinstance(value, dict) else str(value)


def zip_response(
    state: AppState,
    images: Sequence[Image],
    names: Sequence[str],
    roots: dict[int, Path],
    headers: dict[str, str],
) -> Response:
    """Return the response that streams the files of images. `HTTPError` 429 if too many are streamed."""
    if not zips.acquire(blocking=False):
        raise too_many("too many exports are running: try again in a moment")
    begun = zipped(images, names, roots)

    async def chunks() -> AsyncIterator[bytes]:
        while chunk := await state.executors.export.run(lambda: next(begun, b"")):
            yield chunk

    def close() -> None:
        begun.close()
        zips.release()

    seconds = state.settings.export_seconds
    return ExportResponse(chunks(), close, MEDIA_TYPES["zip"], headers, seconds=seconds)


class Written:
    """A write-only file in memory that cannot seek; what was written is taken out piece by piece."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Add bytes."""
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Do nothing: a file has this method."""

    def close(self) -> None:
        """Do nothing."""

    def take(self) -> bytes:
        """Return what was written since the last call."""
        data = b"".join(self._parts)
        self._parts.clear()
        return data


def zipped(
    images: Sequence[Image], names: Sequence[str], roots: dict[int, Path]
) -> Generator[bytes, None, None]:
    """Yield a ZIP archive of image files, not compressed again; missing.txt lists those that are gone."""
    out, missing = Written(), []
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for image, name in zip(images, names, strict=True):
            try:
                path = file_in_root(image, roots[image.root])
                if not is_url(path):
                    media_type_of(path.name, first_bytes(path))  # whatever a library calls an image
                file = path.open("rb")
            except (HTTPError, OSError):
                missing.append(name)
                continue
            plain = name.encode("utf-8", "backslashreplace").decode()
            with file, archive.open(plain, "w", force_zip64=True) as entry:
                while chunk := file.read(CHUNK_BYTES):
                    entry.write(chunk)
                    if data := out.take():
                        yield data
        if missing:
            archive.writestr("missing.txt", "\n".join(missing).encode("utf-8", "backslashreplace"))
    yield out.take()
