"""Routes that change the library: images added and removed, and what adding would cost."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import AfterValidator, BaseModel, Field
from starlette.datastructures import UploadFile
from starlette.responses import Response

from lookalike.images.formats import FORMATS, RAW_SUFFIXES
from lookalike.indexing.report import IndexEstimate
from lookalike.server.app_state import AppState, State
from lookalike.server.bodies import is_form, read_form, read_json
from lookalike.server.openapi import FILES, form, json_body, responses
from lookalike.server.query_params import KNOWN_PARAMETERS, MAX_UPLOADS, OneOrMore
from lookalike.server.responses import HTTPError, JSONResponse, storage_error
from lookalike.server.routes.images import ImageIdParam, find_image
from lookalike.server.routes.jobs import check_writable, pending, submit
from lookalike.stores.interface import Snapshot
from lookalike.stores.paths import named_by_id
from lookalike.wire import encode
from lookalike.wire.http import JobState, Removed

router = APIRouter(tags=["changes"], dependencies=[KNOWN_PARAMETERS])

# Images of one request.
MAX_FILES = MAX_UPLOADS

LibraryPath = Annotated[
    str, Field(max_length=4096, description="Below one of the library's folders.")
]
"""A file or a folder; "." is everything."""


def existing_paths(state: AppState, paths: Sequence[str]) -> list[Path]:
    """Return the absolute paths of files and folders that exist; without any, of all roots. `HTTPError` if
    one lies outside the roots, however it is written."""
    with state.library.snapshot() as snapshot:
        roots = [root.path for root in snapshot.roots() if not root.imported]
    if not roots:
        raise HTTPError(
            409, "the library has no folder yet: index one with `lookalike index FOLDER`"
        )
    if not paths:
        return roots
    return [below_roots(roots, path) for path in paths]


def below_roots(roots: list[Path], path: str) -> Path:
    """Return a path as an absolute one below one of the roots; `HTTPError` if it lies elsewhere."""
    for root in roots:
        try:
            home = root.resolve(strict=True)
            full = (home / path).resolve(strict=True)
        except (OSError, ValueError, RuntimeError):
            continue
        if full.is_relative_to(home) and not is_hidden(full.relative_to(home)):
            return full
    raise HTTPError(
        403,
        f"{path[:80]!r} is not in the folders of this library; `lookalike index` adds others",
    )


def is_hidden(path: Path) -> bool:
    """Whether a part of the path begins with a dot: such folders are skipped when a root is walked, and
    nobody should have them indexed by naming them."""
    return any(part.startswith(".") for part in path.parts)


def stored_paths(snapshot: Snapshot, paths: Iterable[str]) -> list[Path]:
    """Return the absolute paths under which the library has stored files or folders, whether or not they
    still exist: no file is touched. Empty if "." is among them, for everything. `HTTPError` 404 for what
    the library does not have."""
    roots = snapshot.roots()
    found = []
    for path in paths:
        plain = os.path.normpath(path).replace(os.sep, "/")
        if plain == ".":
            return []
        if PurePosixPath(plain).is_absolute() or plain.split("/")[0] == "..":
            places = []
        elif plain.startswith("id:") and (image := named_by_id(snapshot, Path(plain))):
            places = [next(root.path for root in roots if root.id == image.root) / image.path]
        else:
            places = [root.path / plain for root in roots if snapshot.images_below(root.id, plain)]
        if not places:
            raise HTTPError(404, f"the library has no image at {path[:80]}")
        found += places
    return found


# The folder below the first root in which uploaded images are stored.
UPLOAD_FOLDER = "Uploads"

# Names of devices: no file is called so, whatever its suffix, since a library may move to Windows.
RESERVED_ON_WINDOWS = re.compile(r"con|prn|aux|nul|com\d|lpt\d", re.IGNORECASE)

# Stars of a glob: each matches any part of a name, so the combinations to try multiply.
MAX_STARS = 4


def check_glob(glob: str) -> str:
    """Return a glob that is matched quickly; `ValueError` for others."""
    if len(re.findall(r"\*+", glob)) > MAX_STARS:
        raise ValueError(f"a pattern has at most {MAX_STARS} stars")
    return glob


Glob = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(check_glob)]
Globs = Annotated[list[Glob], OneOrMore, Field(max_length=100)]


class IndexRequest(BaseModel, extra="forbid"):
    """The files and folders to index, below the library's roots (default: all roots), and the options, as in
    `IndexOptions`."""

    paths: Annotated[list[LibraryPath], OneOrMore] = Field([], max_length=1000)
    include: Globs = Field([], description="Only files that match.")
    exclude: Globs = Field([], description="Skip files that match, now and in later runs.")
    no_exclude: Globs = Field([], description="Index again what `exclude` left out.")
    prune: bool = Field(
        False,
        description="Forget images whose files are gone, even more than a tenth of the library.",
    )
    retry_failed: bool = Field(False, description="Try files again that failed before.")
    sidecars: bool = Field(True, description="Read sidecar files beside the images.")
    ann: bool = Field(True, description="Build an ANN index for large spaces.")
    pages: bool = Field(
        False, description="Pages of TIFF files and chosen frames of animations become images."
    )
    pairs: bool = Field(
        True, description="Raw files and videos of live photos belong to the image of their name."
    )

    def arguments(self, paths: Sequence[Path]) -> dict[str, Any]:
        """Return the arguments of the job."""
        unique = list(dict.fromkeys(map(os.fspath, paths)))
        return {"paths": unique, "options": self.model_dump(exclude={"paths"})}


class EstimateRequest(BaseModel, extra="forbid"):
    """Sources and options of an estimate."""

    path: Annotated[list[LibraryPath], OneOrMore] = Field([], max_length=100)
    include: Globs = Field([], description="Only files that match.")
    exclude: Globs = Field([], description="Skip files that match.")
    retry_failed: bool = Field(False, description="Try files again that failed before.")
    sample: int = Field(128, ge=1, le=1000, description="Images that are tried.")


@router.post(
    "/api/images",
    openapi_extra=json_body(IndexRequest, required=False),
    **responses(JobState, status=202),
)
async def index_images(state: State, request: Request) -> Response:
    """Index again (`{"paths": […]}`, or nothing for all folders of the library). The response comes at once;
    GET /api/jobs/ID tells how the job goes. A form with images is taken as by /api/images/files."""
    if is_form(request):
        return await add_images(state, request)
    check_writable(state)
    wanted = await read_json(request, state.executors.quick, IndexRequest.model_validate)
    paths = await state.executors.quick.run(lambda: existing_paths(state, wanted.paths))
    return await submit(state, "index", wanted.arguments(paths))


@router.post(
    "/api/images/files",
    openapi_extra=form("image", image=FILES),
    **responses(JobState, status=202),
)
async def add_images(state: State, request: Request) -> Response:
    """Add images: files named `image` in a form. They are stored in the folder Uploads of the library, and
    indexed by a job."""
    check_writable(state)
    async with read_form(request, files=["image"], max_files=MAX_FILES) as sent:
        images = [
            (part.filename or "", await part.read())
            for part in sent.getlist("image")
            if isinstance(part, UploadFile)
        ]
    if not images:
        raise HTTPError(422, "send images as files named `image`")
    files = [
        await state.executors.decode.run(lambda one=one: store_image(state, *one))  # type: ignore[misc]
        for one in images
    ]
    wanted = IndexRequest.model_validate({})
    return await submit(state, "index", wanted.arguments([file.parent for file in files]))


@router.get("/api/estimate", **responses(IndexEstimate, pending=JobState))
async def estimate(state: State, wanted: Annotated[EstimateRequest, Query()]) -> Response:
    """What POST /api/images would cost, from a timed sample; nothing is written. It takes seconds to minutes:
    until then the response is 202 with the state of the job: ask again. Only on a writable server: it reads
    folders that visitors of a read-only library have no business in."""
    check_writable(state)
    paths = await state.executors.quick.run(lambda: existing_paths(state, wanted.path))
    arguments = {
        "paths": [os.fspath(path) for path in paths],
        "options": wanted.model_dump(exclude={"path", "sample"}),
        "sample": wanted.sample,
    }
    found = await state.job_results.get(
        ("estimate", json.dumps(arguments)),
        lambda: state.jobs.run("estimate", arguments),
        wait=state.settings.job_wait,
        ttl=state.settings.estimate_ttl,
    )
    return pending(state, "estimate") if found is None else JSONResponse(found)


@router.delete("/api/images/{id}", **responses(Removed))
async def remove_image(state: State, id: ImageIdParam) -> Response:
    """Remove an image from the library. Its file stays; indexing its folder adds it again."""
    check_writable(state)

    def work() -> int:
        with state.library.snapshot() as snapshot:
            image, root = find_image(snapshot, id)
        return state.library.remove([root / image.path])

    return JSONResponse(encode(Removed(await state.executors.write.run(work))))


def store_image(state: AppState, name: str, data: bytes) -> Path:
    """Store an image as a file below the first root. `ImageError` if it is not an image."""
    upload = state.uploads.add(data)
    folder = existing_paths(state, [])[0] / UPLOAD_FOLDER
    stem = re.sub(r"[^\w -]+", "-", Path(name.replace("\\", "/")).stem).strip(" -_")[:80] or "image"
    if RESERVED_ON_WINDOWS.fullmatch(stem):
        stem = f"image {stem}"
    try:
        folder.mkdir(exist_ok=True)
        if folder.is_symlink():
            raise HTTPError(403, f"the folder {UPLOAD_FOLDER} is a link: it may lead anywhere")
        for number in range(1, 10_000):
            numbered = stem if number == 1 else f"{stem} {number}"
            own = Path(name).suffix.lower()
            suffix = own if own in RAW_SUFFIXES else FORMATS[upload.format].suffixes[0]
            file = folder / (numbered + suffix)
            if write_new(file, data):
                return file
    except OSError as error:
        raise storage_error("the image", error) from None
    raise HTTPError(409, f"there are too many images called {stem} already")


def write_new(file: Path, data: bytes) -> bool:
    """Write a new file; return whether it has these bytes now. An existing file is never overwritten."""
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
