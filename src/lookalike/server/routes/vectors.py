"""Routes for vectors on their way in and out of the library."""

from __future__ import annotations

import os
import secrets
import shutil
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request
from starlette.datastructures import UploadFile
from starlette.responses import Response

from lookalike.errors import UsageError
from lookalike.indexing.vector_import import open_rows
from lookalike.server.app_state import Here, Server
from lookalike.server.errors import Refusal
from lookalike.server.jobs.change_process import PATHS, VECTORS
from lookalike.server.jobs.exports import Poured
from lookalike.server.openapi import VECTORS_IN, described
from lookalike.server.routes.library import asked, must_write
from lookalike.wire import schemas

router = APIRouter(tags=["vectors"])

MEDIA_TYPES = {
    "npy": "application/octet-stream",
    "parquet": "application/vnd.apache.parquet",
    "paths": "text/plain",
}

MOST_ROWS = 200_000
"""Of one import: each is an image of the catalogue, some 500 bytes there, however short its vector is."""

MOST_DIM, MOST_DIM_PCA = 8192, 4096
"""Numbers of a vector. Maps and indexes turn vectors by a matrix of their square, 512 MB of float64 here, and
learning it takes minutes."""

MOST_FOLDERS = 8
"""Imports whose files lie here at a time, those included that are still arriving."""

Name = Annotated[str, Query(min_length=1, max_length=200, description="The extractor.")]


@router.post("/api/vectors", openapi_extra=VECTORS_IN, **described(schemas.Change, status=202))
async def import_vectors(
    server: Here,
    request: Request,
    by: Name,
    similarity: Literal["cosine", "euclidean"] = "cosine",
    dtype: Literal["f32", "f16"] = "f32",
    pca: Annotated[int | None, Query(ge=1, le=MOST_DIM)] = None,
    ann: bool = True,
) -> Response:
    """Put vectors that others made into the space of that name: `vectors`, an NPY file (n, dim), as it is
    or in a form together with `paths`, a text file with the path of each row below the library's folders,
    one a line. GET /api/indexing?ticket= tells how it goes; its `result` has the `space`, how many
    `images` there were, and how many of them have `files` here."""
    must_write(server)
    scratch = await server.lanes.quick.run(lambda: new_folder(server))
    try:
        await receive(server, request, scratch)
        await server.lanes.slow.run(lambda: refuse_odd(scratch / VECTORS, pca))
        words = {
            "folder": os.fspath(scratch),
            "name": by,
            "similarity": similarity,
            "dtype": dtype,
            "pca": pca,
            "ann": ann,
        }
        return await asked(server, "import", words, scratch=scratch)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


async def receive(server: Server, request: Request, folder: Path) -> None:
    """Keep the files of a request, piece by piece as they come."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "multipart/form-data":
            async with request.form(max_files=2, max_fields=0) as form:
                for name, file in (("vectors", VECTORS), ("paths", PATHS)):
                    part = form.get(name)
                    if isinstance(part, UploadFile):
                        await server.lanes.slow.run(partial(keep, part, folder / file))
        else:
            with (folder / VECTORS).open("wb") as out:
                async for piece in request.stream():
                    out.write(piece)
    except OSError as error:
        raise Refusal(507, f"the vectors cannot be kept: {error.strerror}") from None
    if not (folder / VECTORS).is_file():
        raise Refusal(
            422, "send the vectors as the file `vectors` of a form, or as the body itself"
        )


def keep(part: UploadFile, file: Path) -> None:
    with file.open("wb") as out:
        shutil.copyfileobj(part.file, out)


def new_folder(server: Server) -> Path:
    folder = server.folder / "imports" / secrets.token_hex(8)
    try:
        folder.mkdir(parents=True)
        if len(list(folder.parent.iterdir())) > MOST_FOLDERS:
            folder.rmdir()
            raise Refusal(
                429, "vectors of others are arriving: try again later", {"Retry-After": "10"}
            )
    except OSError as error:
        raise Refusal(507, f"the vectors cannot be kept: {error.strerror}") from None
    return folder


def refuse_odd(file: Path, pca: int | None) -> None:
    """`UsageError` for what are no vectors, and `Refusal` 413 for numbers of them, or in them, whose cost
    does not show in the bytes that were sent."""
    try:
        rows, dim = open_rows(file).shape
    except UsageError as error:
        raise UsageError(str(error).replace(f"{file.parent}{os.sep}", "")) from None
    if rows > MOST_ROWS:
        raise Refusal(413, f"{rows:,} vectors; one request brings at most {MOST_ROWS:,}")
    most = MOST_DIM if pca is None else MOST_DIM_PCA
    if dim > most:
        raise Refusal(413, f"vectors of {dim:,} numbers; over HTTP they have at most {most:,}")


@router.get("/api/vectors", **described(tuple(MEDIA_TYPES.values())))
async def export(
    server: Here,
    by: Name,
    format: Literal["npy", "parquet", "paths"] = "npy",
    where: Annotated[str | None, Query(max_length=10_000)] = None,
    if_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The vectors of a space as they are stored, by rising id: an NPY of float32, a Parquet table with
    `id`, `path`, `vector` and `metadata`, or the path of each row in a line. `X-Lookalike-Rows` says how
    many there are. With the `ETag` of one answer as `If-Match` another gives the same rows, or 412 where
    the library has changed since."""
    exports = server.exports
    begun = await exports.begin({"extractor": by, "format": format, "where": where})
    outline = begun.outline
    tag = f'"{outline.state}"'
    if if_match is not None and if_match not in (tag, "*"):
        exports.end(begun)
        raise Refusal(412, "the library has changed meanwhile: export again")
    headers = {
        "ETag": tag,
        "X-Lookalike-Rows": str(outline.rows),
        "Content-Disposition": f"attachment; filename=vectors.{'txt' if format == 'paths' else format}",
    }
    if outline.bytes is not None:
        headers["Content-Length"] = str(outline.bytes)
    return Poured(exports, begun, MEDIA_TYPES[format], headers)
