"""Routes for the indexes that make large libraries quick to search. What they are and how good, /api/info
says of each space."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from lookalike.server.app_state import Here
from lookalike.server.errors import Json
from lookalike.server.openapi import described
from lookalike.server.routes.library import asked, must_write
from lookalike.wire import schemas

router = APIRouter(tags=["indexes"])

Named = Annotated[str, Field(min_length=1, max_length=200)]


class Wish(BaseModel):
    """How an index is to be built; `by`: of which extractor, none for all that have one or are large."""

    model_config = ConfigDict(extra="forbid")

    by: Named | None = None
    target: float = Field(
        0.98, gt=0, le=1, description="Of the true ten nearest, the share to find."
    )
    memory: int | None = Field(None, ge=1, le=2**50, description="Bytes beside the vectors.")


class Checking(BaseModel):
    model_config = ConfigDict(extra="forbid")

    by: Named | None = None
    queries: int = Field(500, ge=1, le=100_000, description="Pictures that are asked for.")
    rebuild: bool = Field(True, description="Build those anew that are not good enough.")


class Which(BaseModel):
    model_config = ConfigDict(extra="forbid")

    by: Named | None = None


@router.post("/api/ann", **described(schemas.Change, status=202))
async def build(server: Here, wish: Wish) -> Response:
    """Build indexes. GET /api/indexing?ticket= tells how it goes, and what came of it as `result`: an
    index by the name of each space. Searches go on with the older one meanwhile."""
    must_write(server)
    return await asked(server, "index", wish.model_dump())


@router.post("/api/ann/check", **described(schemas.Change, status=202))
async def check(server: Here, checking: Checking) -> Response:
    """Measure indexes against exact search, keep what was found, and build those anew that are not good
    enough. The `result` has `verdicts`."""
    must_write(server)
    return await asked(server, "check", checking.model_dump())


@router.get("/api/ann/history", **described(schemas.Checks))
async def history(server: Here, by: Annotated[Named, Query()]) -> Response:
    """All checks of an index, oldest first."""

    def work() -> dict[str, Any]:
        return {"checks": [asdict(one) for one in server.library.ann.history(by)]}

    return Json(await server.lanes.quick.run(work))


@router.delete("/api/ann", **described(schemas.Removed))
async def remove(server: Here, which: Which) -> Response:
    """Search exactly from now on: in the space `by`, or in all. The next indexing builds one again where
    that is worth it, unless it is told not to."""
    must_write(server)
    names = await server.lanes.writing.run(lambda: server.library.ann.remove(which.by))
    return Json({"removed": names})
