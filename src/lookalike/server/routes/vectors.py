"""Routes for vectors: import, export, and their ANN indexes."""

from __future__ import annotations

import os
import secrets
import shutil
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel, Field
from starlette.datastructures import UploadFile
from starlette.responses import Response

from lookalike.errors import UsageError
from lookalike.indexing.import_space import check_plain_name
from lookalike.indexing.vector_import import open_rows
from lookalike.server.app_state import AppState, State
from lookalike.server.bodies import is_form, read_form
from lookalike.server.jobs.process import PATHS_FILE, VECTORS_FILE
from lookalike.server.jobs.results import ExportResponse, start_export
from lookalike.server.openapi import VECTORS_BODY, responses
from lookalike.server.query_params import KNOWN_PARAMETERS
from lookalike.server.responses import HTTPError, JSONResponse, storage_error, too_many
from lookalike.server.routes.jobs import check_writable, submit
from lookalike.stores.records import IMPORTED
from lookalike.wire import encode
from lookalike.wire.http import CheckHistory, IndexesRemoved, JobState, SpaceDropped

router = APIRouter(tags=["vectors"], dependencies=[KNOWN_PARAMETERS])

MEDIA_TYPES = {
    "npy": "application/octet-stream",
    "parquet": "application/vnd.apache.parquet",
    "paths": "text/plain",
}

# Rows of one import: each becomes an image in the catalogue, about 500 bytes, however short its vector is.
MAX_ROWS = 200_000

# Length of a vector. Maps and indexes rotate vectors by a matrix of its square, 512 MB of float64 at 8,192,
# and learning one takes minutes.
MAX_DIM, MAX_DIM_PCA = 8192, 4096

# Imports whose files are on the disk at a time, including those that are still arriving.
MAX_IMPORTS = 8

SpaceName = Annotated[str, Field(min_length=1, max_length=200)]

ExtractorName = Annotated[
    str, Query(min_length=1, max_length=200, description="Name of the space.")
]


@router.post("/api/vectors", openapi_extra=VECTORS_BODY, **responses(JobState, status=202))
async def import_vectors(
    state: State,
    request: Request,
    extractor: ExtractorName,
    similarity: Literal["cosine", "euclidean"] | None = None,
    dtype: Literal["f32", "f16"] | None = None,
    pca: Annotated[int | None, Query(ge=1, le=MAX_DIM)] = None,
    ann: bool = True,
) -> Response:
    """Import vectors made elsewhere into the space of that name: `vectors`, an NPY file (n, dim), as the body
    or in a form together with `paths`, a text file with the path of each row below the library's folders, one
    a line. The job's `result` has the `space`, how many `images` there were, and how many of them have
    `files` here."""
    check_writable(state)
    await state.executors.quick.run(lambda: check_new_name(state, extractor))
    scratch = await state.executors.quick.run(lambda: new_folder(state))
    try:
        await receive(state, request, scratch)
        await state.executors.slow.run(lambda: check_vectors(scratch / VECTORS_FILE, pca))
        arguments = {
            "folder": os.fspath(scratch),
            "name": extractor,
            "similarity": similarity,
            "dtype": dtype,
            "pca": pca,
            "ann": ann,
        }
        return await submit(state, "import-vectors", arguments, scratch=scratch)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def check_new_name(state: AppState, name: str) -> None:
    """Raise `UsageError` for the name of a new space that visitors must not choose."""
    with state.library.snapshot() as snapshot:
        known = {space.name for space in snapshot.spaces() if space.revision == IMPORTED}
    if name not in known:
        check_plain_name(name)


async def receive(state: AppState, request: Request, folder: Path) -> None:
    """Write the files of a request to the disk as they arrive."""
    try:
        if is_form(request):
            async with read_form(request, files=["vectors", "paths"], max_files=2) as form:
                for name, file in (("vectors", VECTORS_FILE), ("paths", PATHS_FILE)):
                    part = form.get(name)
                    if isinstance(part, UploadFile):
                        await state.executors.slow.run(partial(save, part, folder / file))
        else:
            with (folder / VECTORS_FILE).open("wb") as out:
                async for chunk in request.stream():
                    out.write(chunk)
    except OSError as error:
        raise storage_error("the vectors", error) from None
    if not (folder / VECTORS_FILE).is_file():
        raise HTTPError(
            422, "send the vectors as the file `vectors` of a form, or as the body itself"
        )


def save(part: UploadFile, file: Path) -> None:
    """Write an uploaded NPY file to a temporary file."""
    with file.open("wb") as out:
        shutil.copyfileobj(part.file, out)


def new_folder(state: AppState) -> Path:
    """Return a new folder for the files of one import. `HTTPError` 429 if there are too many."""
    folder = state.folder / "imports" / secrets.token_hex(8)
    try:
        folder.mkdir(parents=True)
        if len(list(folder.parent.iterdir())) > MAX_IMPORTS:
            folder.rmdir()
            raise too_many("too many vectors are being imported: try again later")
    except OSError as error:
        raise storage_error("the vectors", error) from None
    return folder


def check_vectors(file: Path, pca: int | None) -> None:
    """Raise `UsageError` for a file that is not an array of vectors, and `HTTPError` 413 for sizes whose cost
    does not show in the number of bytes."""
    try:
        rows, dim = open_rows(file).shape
    except UsageError as error:
        raise UsageError(str(error).replace(f"{file.parent}{os.sep}", "")) from None
    if rows > MAX_ROWS:
        raise HTTPError(413, f"{rows:,} vectors; one request imports at most {MAX_ROWS:,}")
    limit = MAX_DIM if pca is None else MAX_DIM_PCA
    if dim > limit:
        raise HTTPError(
            413, f"vectors of {dim:,} dimensions; over HTTP they have at most {limit:,}"
        )


@router.get("/api/vectors", **responses(tuple(MEDIA_TYPES.values())))
async def export_vectors(
    state: State,
    request: Request,
    extractor: ExtractorName,
    format: Literal["npy", "parquet", "paths"] = "npy",
    where: Annotated[str | None, Query(max_length=10_000)] = None,
    if_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The vectors of a space as they are stored, by rising id: an NPY file of float32, a Parquet table with
    `id`, `path`, `vector` and `metadata`, or the path of each row in a line. `X-Lookalike-Rows` is their
    number. With the `ETag` of one response as `If-Match`, another has the same rows, or is 412 if the library
    has changed since."""
    name = state.stored_name(extractor)
    arguments = {"extractor": name, "format": format, "where": where}
    begun = await start_export(state.jobs, state.executors.export, arguments)
    header = begun.header
    tag = f'"{header.state}"'
    if if_match is not None and if_match not in (tag, "*"):
        begun.close()
        raise HTTPError(412, "the library has changed meanwhile: export again")
    suffix = "txt" if format == "paths" else format
    headers = {
        "ETag": tag,
        "X-Lookalike-Rows": str(header.rows),
        "Content-Disposition": f"attachment; filename=vectors.{suffix}",
    }
    if header.bytes is not None:
        headers["Content-Length"] = str(header.bytes)
    if request.method == "HEAD":
        begun.close()
        return Response(media_type=MEDIA_TYPES[format], headers=headers)
    seconds = state.settings.export_seconds
    chunks = begun.chunks()
    return ExportResponse(chunks, begun.close, MEDIA_TYPES[format], headers, seconds=seconds)


@router.delete("/api/vectors", **responses(SpaceDropped))
async def drop(state: State, extractor: ExtractorName) -> Response:
    """Delete all vectors of an extractor, and the images known by name only that have no others. All other
    images, and all files, stay."""
    check_writable(state)
    name = state.redactor.stored_name(extractor)
    images = await state.executors.write.run(lambda: state.library.vectors.drop(name))
    return JSONResponse(encode(SpaceDropped(images)))


class BuildRequest(BaseModel, extra="forbid"):
    """How to build an ANN index; without `extractor`, for all spaces that have one or are large."""

    extractor: SpaceName | None = None
    target: float = Field(0.98, gt=0, le=1, description="Recall@10 to reach.")
    memory: int | None = Field(None, ge=1, le=2**50, description="Bytes beside the vectors.")


class CheckRequest(BaseModel, extra="forbid"):
    """How to measure ANN indexes; without `extractor`, all of them."""

    extractor: SpaceName | None = None
    queries: int = Field(500, ge=1, le=100_000, description="Stored vectors used as queries.")
    rebuild: bool = Field(True, description="Rebuild those that are not good enough.")


class RemoveRequest(BaseModel, extra="forbid"):
    """Which ANN index to remove; without `extractor`, all of them."""

    extractor: SpaceName | None = None


@router.post("/api/ann", **responses(JobState, status=202))
async def build_index(state: State, request: BuildRequest) -> Response:
    """Build ANN indexes. The job's `result` has an index for each space, by name. Searches use the previous
    one meanwhile."""
    check_writable(state)
    named = {"extractor": state.stored_name(request.extractor)}
    return await submit(state, "build-ann", request.model_dump() | named)


@router.post("/api/ann/check", **responses(JobState, status=202))
async def check_index(state: State, request: CheckRequest) -> Response:
    """Measure ANN indexes against exact search, store the measurements, and rebuild the indexes that are not
    good enough. The job's `result` has `results`, one for each space."""
    check_writable(state)
    named = {"extractor": state.stored_name(request.extractor)}
    return await submit(state, "check-ann", request.model_dump() | named)


@router.get("/api/ann/history", **responses(CheckHistory))
async def index_history(state: State, extractor: ExtractorName) -> Response:
    """All measurements of an ANN index, oldest first."""
    name = state.redactor.stored_name(extractor)
    found = await state.executors.quick.run(lambda: state.library.ann.history(name))
    return JSONResponse(encode(CheckHistory(tuple(found))))


@router.delete("/api/ann", **responses(IndexesRemoved))
async def remove_index(state: State, request: RemoveRequest) -> Response:
    """Search exactly from now on. The next indexing builds an index again if the space is large, unless it is
    told not to."""
    check_writable(state)
    extractor = state.stored_name(request.extractor)
    names = await state.executors.write.run(lambda: state.library.ann.remove(extractor))
    return JSONResponse(encode(IndexesRemoved(tuple(names))))
