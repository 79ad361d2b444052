"""Routes for the ANN indexes of large spaces. /api/info says of each space what its index is."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from lookalike.server.app_state import State
from lookalike.server.openapi import responses
from lookalike.server.responses import JSONResponse
from lookalike.server.routes.jobs import check_writable, submit
from lookalike.wire import encode
from lookalike.wire.http import CheckHistory, IndexesRemoved, JobState

router = APIRouter(tags=["ann"])

ExtractorName = Annotated[str, Field(min_length=1, max_length=200)]


class BuildRequest(BaseModel):
    """How to build an ANN index; without `extractor`, for all spaces that have one or are large."""

    model_config = ConfigDict(extra="forbid")

    extractor: ExtractorName | None = None
    target: float = Field(0.98, gt=0, le=1, description="Recall@10 to reach.")
    memory: int | None = Field(None, ge=1, le=2**50, description="Bytes beside the vectors.")


class CheckRequest(BaseModel):
    """How to measure ANN indexes; without `extractor`, all of them."""

    model_config = ConfigDict(extra="forbid")

    extractor: ExtractorName | None = None
    queries: int = Field(500, ge=1, le=100_000, description="Stored vectors used as queries.")
    rebuild: bool = Field(True, description="Rebuild those that are not good enough.")


class RemoveRequest(BaseModel):
    """Which ANN index to remove; without `extractor`, all of them."""

    model_config = ConfigDict(extra="forbid")

    extractor: ExtractorName | None = None


@router.post("/api/ann", **responses(JobState, status=202))
async def build(state: State, request: BuildRequest) -> Response:
    """Build ANN indexes. The job's `result` has an index for each space, by name. Searches use the previous
    one meanwhile."""
    check_writable(state)
    return await submit(state, "build-ann", request.model_dump())


@router.post("/api/ann/check", **responses(JobState, status=202))
async def check(state: State, request: CheckRequest) -> Response:
    """Measure ANN indexes against exact search, store the measurements, and rebuild the indexes that are not
    good enough. The job's `result` has `results`, one for each space."""
    check_writable(state)
    return await submit(state, "check-ann", request.model_dump())


@router.get("/api/ann/history", **responses(CheckHistory))
async def history(state: State, extractor: Annotated[ExtractorName, Query()]) -> Response:
    """All measurements of an ANN index, oldest first."""
    found = await state.executors.quick.run(lambda: state.library.ann.history(extractor))
    return JSONResponse(encode(CheckHistory(tuple(found))))


@router.delete("/api/ann", **responses(IndexesRemoved))
async def remove(state: State, request: RemoveRequest) -> Response:
    """Search exactly from now on. The next indexing builds an index again if the space is large, unless it is
    told not to."""
    check_writable(state)
    names = await state.executors.write.run(lambda: state.library.ann.remove(request.extractor))
    return JSONResponse(encode(IndexesRemoved(tuple(names))))
