"""Routes for reviewing a library: failures, feedback."""

from __future__ import annotations

import io
from collections.abc import Iterable
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from lookalike.errors import FAILED, Outcome
from lookalike.server.app_state import AppState, State
from lookalike.server.openapi import FILE, body, responses
from lookalike.server.query_params import KNOWN_PARAMETERS, OneOrMore
from lookalike.server.responses import JSONResponse
from lookalike.server.routes.images import ImageId, Offset, PageSize, find_image
from lookalike.server.routes.jobs import check_writable
from lookalike.server.routes.library import LibraryPath, stored_paths
from lookalike.stores.interface import Decision, Snapshot
from lookalike.wire import encode
from lookalike.wire.http import FailurePage, FeedbackAdded, FeedbackList, FeedbackRecord, Removed

router = APIRouter(tags=["review"], dependencies=[KNOWN_PARAMETERS])

JSON_LINES = "application/x-ndjson"


class FeedbackRequest(BaseModel, extra="forbid"):
    """Feedback on an image and others. `keep` needs no others."""

    kind: Literal["not-duplicate", "keep", "relevant", "not-relevant"]
    image: ImageId
    others: Annotated[list[ImageId], OneOrMore] = Field([], max_length=1000)
    who: str = Field("", max_length=200)


@router.get("/api/failures", **responses(FailurePage))
async def failures(
    state: State,
    outcome: Annotated[list[Outcome] | None, Query()] = None,
    below: Annotated[LibraryPath | None, Query()] = None,
    offset: Offset = 0,
    k: PageSize = 100,
) -> Response:
    """Files that could not be indexed, and why. `below`: only this file, or those in this folder."""

    def read() -> FailurePage:
        with state.library.snapshot() as snapshot:
            counts = snapshot.counts()
            places: list[Path | None] = [*stored_paths(snapshot, [below or "."])]
        listed = (state.library.files(outcome or FAILED, below=place) for place in places or [None])
        found = list(islice(chain.from_iterable(listed), offset, offset + k + 1))
        return FailurePage(
            counts=dict(sorted(counts.items())),
            failures=tuple(found[:k]),
            next_offset=offset + k if len(found) > k else None,
        )

    return JSONResponse(encode(await state.executors.quick.run(read)))


@router.get("/api/feedback", **responses(FeedbackList))
async def feedback(state: State) -> Response:
    """The feedback that people gave, with the images that it is about."""
    return JSONResponse(encode(await state.read(lambda now: records(now, now.decisions()))))


@router.get("/api/feedback/lines", **responses(JSON_LINES))
async def export_feedback(state: State) -> Response:
    """The feedback as JSON, one record a line, for this address of another server or `lookalike feedback
    import`: images are named by their content."""

    def read() -> bytes:
        return "".join(f"{line}\n" for line in state.library.feedback.export_lines()).encode()

    return Response(await state.executors.quick.run(read), media_type=JSON_LINES)


@router.post(
    "/api/feedback/lines",
    openapi_extra=body("application/octet-stream", FILE),
    **responses(FeedbackAdded),
)
async def import_feedback(state: State, request: Request) -> Response:
    """Add feedback that another library exported as lines. If a line is not valid, the error names it, and
    nothing is added."""
    check_writable(state)
    lines = io.BytesIO(await request.body())

    def load() -> int:
        with io.TextIOWrapper(lines, encoding="utf-8", errors="replace") as text:
            return state.library.feedback.import_lines(text)

    return JSONResponse(encode(FeedbackAdded(await state.executors.write.run(load))))


@router.post("/api/feedback", **responses(FeedbackList))
async def add_feedback(state: State, request: FeedbackRequest) -> Response:
    """Store feedback. No image is ever deleted because of it."""
    check_writable(state)
    made = await state.executors.write.run(
        lambda: state.library.feedback.add(
            request.kind, *image_files(state, request), who=request.who
        )
    )
    return JSONResponse(encode(await state.read(lambda now: records(now, made))))


@router.delete("/api/feedback", **responses(Removed))
async def remove_feedback(state: State, request: FeedbackRequest) -> Response:
    """Remove feedback."""
    check_writable(state)
    count = await state.executors.write.run(
        lambda: state.library.feedback.remove(request.kind, *image_files(state, request))
    )
    return JSONResponse(encode(Removed(count)))


def image_files(state: AppState, request: FeedbackRequest) -> list[Path]:
    """Return the files of the images that a judgement is about; `HTTPError` 404 for an unknown id."""
    with state.library.snapshot() as snapshot:
        found = [find_image(snapshot, id) for id in (request.image, *request.others)]
    return [root / image.path for image, root in found]


def records(snapshot: Snapshot, decisions: Iterable[Decision]) -> FeedbackList:
    """Return the document of decisions."""
    return FeedbackList(tuple(record(snapshot, one) for one in decisions))


def record(snapshot: Snapshot, decision: Decision) -> FeedbackRecord:
    """Return a decision with the images that have the contents it is about; none if the library does not
    have them any more."""
    first = snapshot.by_hash(decision.first)
    second = snapshot.by_hash(decision.second) if decision.second else []
    return FeedbackRecord(
        kind=decision.kind,
        images=tuple(image.id for image in first),
        others=tuple(image.id for image in second),
        first=decision.first.hex(),
        second=decision.second.hex() if decision.second else None,
        paths=tuple(image.path for image in first),
        other_paths=tuple(image.path for image in second),
        who=decision.who,
        when=decision.when,
    )
