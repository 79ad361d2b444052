"""Routes for duplicates and similar groups: found by a job, reviewed on a sheet, moved to the trash."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Hashable, Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from lookalike.duplicates.report import KINDS, Kind, Scope
from lookalike.server.app_state import AppState, State
from lookalike.server.bodies import read_json
from lookalike.server.duplicate_sheets import LibraryState, Sheet, trash_request
from lookalike.server.openapi import json_body, responses
from lookalike.server.query_params import KNOWN_PARAMETERS, OneOrMore
from lookalike.server.responses import HTTPError, JSONResponse
from lookalike.server.routes.images import Offset
from lookalike.server.routes.jobs import check_writable, pending, submit
from lookalike.server.routes.library import LibraryPath, stored_paths
from lookalike.stores.interface import Snapshot
from lookalike.wire import encode
from lookalike.wire.http import DuplicatePage, GroupsDone, JobState

router = APIRouter(tags=["duplicates"], dependencies=[KNOWN_PARAMETERS])

LibraryPaths = Annotated[list[LibraryPath] | None, Query(max_length=100)]
GroupPageSize = Annotated[int, Query(ge=1, le=200)]
GroupId = Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
Show = Literal["all", "open", "done"]

UNKNOWN_GROUP = "no group {} was found lately: ask GET /api/duplicates first"


class GroupsRequest(BaseModel, extra="forbid"):
    """Groups of duplicates, as GET /api/duplicates returned them."""

    groups: Annotated[list[GroupId], OneOrMore] = Field([], max_length=50_000)
    kind: Kind | None = Field(
        None,
        description="All open groups of the same sheet whose spare files are of this kind: `exact`, or "
        "`copy`, where some are copies and none is looser.",
    )


class DoneRequest(BaseModel, extra="forbid"):
    """Groups of duplicates that somebody is done with, or not."""

    groups: Annotated[list[GroupId], OneOrMore, Field(min_length=1, max_length=50_000)]
    done: bool = True


@router.get("/api/duplicates", **responses(DuplicatePage, pending=JobState))
async def duplicates(
    state: State,
    kind: Scope = "copies",
    thorough: bool | None = None,
    path: LibraryPaths = None,
    against: LibraryPaths = None,
    prefer: LibraryPaths = None,
    edits: bool = False,
    rotated: bool = True,
    exposure: bool = True,
    show: Show = "all",
    offset: Offset = 0,
    k: GroupPageSize = 20,
) -> Response:
    """Images that exist more than once, in groups; `path` (repeat): only among these files and folders;
    `against`: compared with these, which are never spare; `prefer`: folders whose files are kept. A large
    library takes minutes the first time: until then the response is 202 with the state of the job: ask
    again. After feedback, or when images went, only the groups concerned are looked for again. `show`: only
    groups that people are done with, or not."""
    arguments = {
        "kind": kind,
        "thorough": thorough,
        "edits": edits,
        "rotated": rotated,
        "exposure": exposure,
    }
    paths = {"paths": path, "against": against, "prefer": prefer}
    return await grouped(state, "duplicates", arguments, paths, show, offset, k)


@router.get("/api/similar-groups", **responses(DuplicatePage, pending=JobState))
async def similar_groups(
    state: State,
    extractor: str | None = None,
    min_relevance: Literal["plausible", "strong", "near-copy"] = "strong",
    min_similarity: Annotated[float | None, Query(ge=-1e9, le=1)] = None,
    path: LibraryPaths = None,
    show: Show = "all",
    offset: Offset = 0,
    k: GroupPageSize = 20,
) -> Response:
    """Images that look alike, copies or not, in groups: bursts, one scene. `path`, and the time it takes, as
    for /api/duplicates."""
    arguments = {
        "extractor": state.stored_name(extractor),
        "min_relevance": min_relevance,
        "min_similarity": min_similarity,
    }
    return await grouped(state, "similar-groups", arguments, {"paths": path}, show, offset, k)


async def grouped(
    state: AppState,
    kind: str,
    arguments: Mapping[str, Any],
    paths: Mapping[str, list[str] | None],
    show: Show,
    offset: int,
    k: int,
) -> Response:
    """Return a page of the groups that a job finds, or 202 while it runs.

    paths  arguments that are paths in the library, by name
    """

    def read(snapshot: Snapshot) -> tuple[dict[str, tuple[str, ...]], Hashable]:
        places = {
            name: tuple(os.fspath(place) for place in stored_paths(snapshot, some or ()))
            for name, some in paths.items()
        }
        return places, snapshot.version

    places, version = await state.read(read)
    sheet = await state.sheets.get(
        kind,
        {**arguments, **places},
        version,
        lambda: state.read(LibraryState.of),
        wait=state.settings.job_wait,
    )
    if sheet is None:
        return pending(state, kind)
    done = await state.executors.quick.run(state.saved.done)
    return JSONResponse(page_of(sheet, done, show, offset, k))


def page_of(sheet: Sheet, done: frozenset[str], show: Show, offset: int, k: int) -> dict[str, Any]:
    """Return the document of a page of groups."""
    still_open = [group for group in sheet.groups if group["id"] not in done]
    ended = [group for group in sheet.groups if group["id"] in done]
    groups = {"all": sheet.groups, "open": still_open, "done": ended}[show]
    end = offset + k
    return {
        **sheet.document,
        "groups": groups[offset:end],
        "total": len(groups),
        "next_offset": end if end < len(groups) else None,
        "done": [group["id"] for group in groups[offset:end] if group["id"] in done],
        "done_count": len(ended),
        "acceptable": Counter(kind for group in still_open if (kind := spare_kind(group))),
        "reclaimable": sum(group["reclaimable_bytes"] for group in still_open),
    }


def spare_kind(group: Mapping[str, Any]) -> Kind | None:
    """Return the loosest kind of the spare files of a group; None if it has none."""
    kinds = (member["kind"] for member in group["members"] if member["spare"])
    return max(kinds, key=KINDS.index, default=None)


@router.post(
    "/api/duplicates/trash",
    openapi_extra=json_body(GroupsRequest),
    **responses(JobState, status=202),
)
async def trash_spare(state: State, request: Request) -> Response:
    """Move the spare files of groups to the trash of the server's system, and remove them from the library: a
    job, whose result names the record to undo it. Each file is compared again right before."""
    check_writable(state)
    wanted = await read_json(request, state.executors.quick, GroupsRequest.model_validate)
    groups = list(dict.fromkeys(wanted.groups))
    if not groups and wanted.kind is None:
        raise HTTPError(422, "say which groups: groups, or kind")
    sheet = state.sheets.latest() if not groups else state.sheets.sheet_with(groups[0])
    if sheet is None or sheet.kind != "duplicates":
        raise HTTPError(409, UNKNOWN_GROUP.format(groups[0] if groups else ""))
    known = {group["id"]: spare_kind(group) for group in sheet.groups}
    unknown = [group for group in groups if group not in known]
    if unknown:
        raise HTTPError(409, UNKNOWN_GROUP.format(unknown[0]))
    done = await state.executors.quick.run(state.saved.done)
    if wanted.kind is not None:
        groups += [id for id, kind in known.items() if kind == wanted.kind and id not in done]
    return await submit(state, "trash-spare", trash_request(sheet, groups))


@router.post("/api/duplicates/done", openapi_extra=json_body(DoneRequest), **responses(GroupsDone))
async def mark_done(state: State, request: Request) -> Response:
    """Note that somebody is done with groups: their files stay as they are."""
    check_writable(state)
    wanted = await read_json(request, state.executors.quick, DoneRequest.model_validate)

    def work() -> int:
        state.saved.mark_done(wanted.groups, done=wanted.done)
        return len(state.saved.done())

    return JSONResponse(encode(GroupsDone(await state.executors.write.run(work))))
