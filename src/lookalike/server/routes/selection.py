"""Routes for what is done with chosen images: metadata and tags, removal, the trash and the way back."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi import Path as PathParam
from pydantic import AfterValidator, BaseModel, Field
from starlette.responses import Response

from lookalike.duplicates.move_record import MOVED, read_record
from lookalike.errors import PARSE_ERRORS, UsageError
from lookalike.server.app_state import AppState, State
from lookalike.server.bodies import read_json
from lookalike.server.openapi import json_body, responses
from lookalike.server.query_params import KNOWN_PARAMETERS, OneOrMore
from lookalike.server.responses import HTTPError, JSONResponse
from lookalike.server.routes.images import ImageId
from lookalike.server.routes.jobs import check_writable, submit
from lookalike.stores.interface import Snapshot
from lookalike.wire import encode
from lookalike.wire.http import (
    Changed,
    JobState,
    Removed,
    SavedSearch,
    SavedSearches,
    TrashRecord,
    TrashRecords,
)

router = APIRouter(tags=["selection"], dependencies=[KNOWN_PARAMETERS])

# Images of one request.
MAX_IDS = 50_000

# Records that are listed.
MAX_RECORDS = 100

Ids = Annotated[list[ImageId], OneOrMore, Field(min_length=1, max_length=MAX_IDS)]


def plain_tag(tag: str) -> str:
    """Return a tag without blanks around it; `ValueError` for none."""
    if not tag.strip():
        raise ValueError("a tag has at least one character")
    return tag.strip()


Tag = Annotated[str, Field(max_length=200), AfterValidator(plain_tag)]
Tags = Annotated[list[Tag], OneOrMore, Field(max_length=100)]


class ChosenImages(BaseModel, extra="forbid"):
    """Images by id."""

    ids: Ids


class MetadataRequest(BaseModel, extra="forbid"):
    """Changes of the metadata of images."""

    ids: Ids
    metadata: dict[str, Any] = Field({}, description="Values by name; null removes what was set.")
    add_tags: Tags = Field([], description="Added to the field `tags`.")
    remove_tags: Tags = Field([], description="Removed from it.")


class UndoRequest(BaseModel, extra="forbid"):
    """Which files to put back."""

    record: str = Field(max_length=100, description="As the job that moved them returned it.")


class SearchToSave(BaseModel, extra="forbid"):
    """A search to save."""

    query: str = Field(max_length=8192, description="Parameters of the page's address.")


@router.patch("/api/images", openapi_extra=json_body(MetadataRequest), **responses(Changed))
async def set_metadata(state: State, request: Request) -> Response:
    """Set metadata and tags of images. They are kept by content, and filters and exports have them."""
    check_writable(state)
    wanted = await read_json(request, state.executors.quick, MetadataRequest.model_validate)
    if not (wanted.metadata or wanted.add_tags or wanted.remove_tags):
        raise HTTPError(422, "nothing to change: give metadata, add_tags or remove_tags")

    def work() -> int:
        return state.library.set_metadata(
            chosen(state, wanted.ids),
            wanted.metadata,
            add_tags=wanted.add_tags,
            remove_tags=wanted.remove_tags,
        )

    return JSONResponse(encode(Changed(await state.executors.write.run(work))))


@router.delete("/api/images", openapi_extra=json_body(ChosenImages), **responses(Removed))
async def remove_images(state: State, request: Request) -> Response:
    """Remove images from the library. Their files stay; indexing their folders adds them again."""
    check_writable(state)
    wanted = await read_json(request, state.executors.quick, ChosenImages.model_validate)

    def work() -> int:
        return state.library.remove(chosen(state, wanted.ids))

    return JSONResponse(encode(Removed(await state.executors.write.run(work))))


@router.post(
    "/api/images/trash", openapi_extra=json_body(ChosenImages), **responses(JobState, status=202)
)
async def trash_images(state: State, request: Request) -> Response:
    """Move the files of images, with their sidecars, to the trash of the server's system, and remove them
    from the library: a job, whose result names the record to undo it."""
    check_writable(state)
    wanted = await read_json(request, state.executors.quick, ChosenImages.model_validate)
    await state.executors.quick.run(lambda: chosen(state, wanted.ids))
    return await submit(state, "trash", {"ids": list(dict.fromkeys(wanted.ids))})


@router.get("/api/trash", **responses(TrashRecords))
async def trash_records(state: State) -> Response:
    """List the files in the trash that can be put back, the newest first."""
    return JSONResponse(encode(await state.executors.quick.run(lambda: records(state))))


@router.post(
    "/api/trash/undo", openapi_extra=json_body(UndoRequest), **responses(JobState, status=202)
)
async def undo_trash(state: State, request: Request) -> Response:
    """Put the files of a record back where they were, and index them again: a job. Nothing is overwritten."""
    check_writable(state)
    wanted = await read_json(request, state.executors.quick, UndoRequest.model_validate)

    def check() -> None:
        name = wanted.record
        if not re.fullmatch(r"[\w-]+", name) or not record_file(state, name).is_file():
            raise HTTPError(404, f"there is no record {name[:40]!r}; GET /api/trash lists them")

    await state.executors.quick.run(check)
    return await submit(state, "undo-trash", {"record": wanted.record})


@router.get("/api/searches", **responses(SavedSearches))
async def saved_searches(state: State) -> Response:
    """Saved searches, by name."""
    found = await state.executors.quick.run(state.saved.searches)
    return JSONResponse(encode(SavedSearches(found)))


SearchName = Annotated[str, PathParam(min_length=1, max_length=200)]


@router.put("/api/searches/{name}", openapi_extra=json_body(SearchToSave), **responses(SavedSearch))
async def save_search(state: State, name: SearchName, request: Request) -> Response:
    """Save a search under a name; it replaces the one of that name."""
    check_writable(state)
    wanted = await read_json(request, state.executors.quick, SearchToSave.model_validate)
    await state.executors.write.run(lambda: state.saved.save_search(name, wanted.query))
    return JSONResponse(encode(SavedSearch(name, wanted.query)))


@router.delete("/api/searches/{name}", **responses(Removed))
async def delete_search(state: State, name: SearchName) -> Response:
    """Delete a saved search."""
    check_writable(state)
    removed = await state.executors.write.run(lambda: state.saved.delete_search(name))
    if not removed:
        raise HTTPError(404, f"there is no saved search {name[:80]!r}")
    return JSONResponse(encode(Removed(1)))


def chosen(state: AppState, ids: list[int]) -> list[Path]:
    """Return images by id as the library names them; `HTTPError` 404 for an unknown one."""
    with state.library.snapshot() as snapshot:
        check_known(snapshot, ids)
    return [Path(f"id:{id}") for id in dict.fromkeys(ids)]


def check_known(snapshot: Snapshot, ids: list[int]) -> None:
    """Raise `HTTPError` 404 for an id that no image has."""
    known = snapshot.images(ids)
    unknown = next((id for id in ids if id not in known), None)
    if unknown is not None:
        raise HTTPError(404, f"the library has no image with the id {unknown}")


def record_file(state: AppState, name: str) -> Path:
    """Return the file of a record."""
    return state.library.folder / MOVED / f"{name}.jsonl"


def records(state: AppState) -> TrashRecords:
    """Return the records of the library whose files can be put back, at least some of them."""
    folder = state.library.folder / MOVED
    files = sorted(folder.glob("*.jsonl"), reverse=True) if folder.is_dir() else []
    found = []
    for file in files[:MAX_RECORDS]:
        try:
            steps = [step for step in read_record(file) if step.action == "move"]
            with file.open("rb") as lines:
                when = str(json.loads(lines.readline()).get("created", ""))
        except (UsageError, OSError, *PARSE_ERRORS):
            continue
        if steps:
            found.append(TrashRecord(file.stem, when, len(steps)))
    return TrashRecords(tuple(found))
