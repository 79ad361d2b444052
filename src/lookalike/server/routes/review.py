"""Routes for going through a library: failures, duplicates, decisions."""

from __future__ import annotations

import io
import os
from collections.abc import Hashable, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from lookalike.errors import FAILED, Outcome
from lookalike.server.app_state import Here, Server
from lookalike.server.errors import Json
from lookalike.server.library_paths import Named, remembered
from lookalike.server.openapi import TEXT, body, described
from lookalike.server.routes.images import Id64, Many, Offset, one
from lookalike.server.routes.library import must_write
from lookalike.stores.interface import Decision, Snapshot
from lookalike.wire import documents, schemas

router = APIRouter(tags=["review"])

PATIENCE = 5.0
"""Seconds that a request waits for what takes long; then it is told to come again."""

LINES = "application/x-ndjson"
Places = Annotated[list[Named] | None, Query(max_length=100)]


class Decided(BaseModel):
    """Somebody's decision on an image and others. `keep` may stand alone."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["not-duplicate", "keep", "relevant", "not-relevant"]
    image: Id64
    others: list[Id64] = Field([], max_length=1000)
    who: str = Field("", max_length=200)


@router.get("/api/failures", **described(schemas.Failures))
async def failures(
    server: Here,
    outcome: Annotated[list[Outcome] | None, Query()] = None,
    below: Annotated[Named | None, Query()] = None,
    offset: Offset = 0,
    k: Many = 100,
) -> Response:
    """Files that could not be indexed, and why; `below`: only this file, or those of this folder."""

    def work() -> dict[str, Any]:
        with server.library.snapshot() as snapshot:
            counts = snapshot.counts()
            places: list[Path | None] = [*remembered(snapshot, [below or "."])]
        listed = (
            server.library.files(outcome or FAILED, below=place) for place in places or [None]
        )
        found = list(islice(chain.from_iterable(listed), offset, offset + k + 1))
        return {
            "counts": {str(kind): count for kind, count in sorted(counts.items())},
            "failures": [documents.failure(image) for image in found[:k]],
            "next_offset": offset + k if len(found) > k else None,
        }

    return Json(await server.lanes.quick.run(work))


@router.get("/api/duplicates", **described(schemas.Duplicates, slow=True))
async def duplicates(
    server: Here,
    kind: Literal["exact", "copies", "near"] = "copies",
    thorough: bool | None = None,
    path: Places = None,
    offset: Offset = 0,
    k: Annotated[int, Query(ge=1, le=200)] = 20,
) -> Response:
    """Pictures that are there more than once, in groups; `path` (repeat): of these files and folders
    alone. A large library takes minutes the first time: until it is done, the answer is 202 with
    `"running": true`: ask again."""
    words = {"kind": kind, "thorough": thorough}
    return await grouped(server, "duplicates", words, path, offset, k)


@router.get("/api/similar-groups", **described(schemas.Duplicates, slow=True))
async def similar_groups(
    server: Here,
    extractor: str | None = None,
    min_relevance: Literal["plausible", "strong", "near-copy"] = "strong",
    min_similarity: Annotated[float | None, Query(ge=-1e9, le=1)] = None,
    path: Places = None,
    offset: Offset = 0,
    k: Annotated[int, Query(ge=1, le=200)] = 20,
) -> Response:
    """Pictures that look alike, copies or not, in groups: bursts, one scene. `path`, and the time
    it takes, as for /api/duplicates."""
    words = {
        "extractor": extractor,
        "min_relevance": min_relevance,
        "min_similarity": min_similarity,
    }
    return await grouped(server, "similar groups", words, path, offset, k)


async def grouped(
    server: Server,
    what: str,
    words: Mapping[str, Any],
    paths: list[str] | None,
    offset: int,
    k: int,
) -> Response:
    """A page of the groups that a process of its own finds."""

    def state() -> tuple[tuple[str, ...], Hashable, Hashable]:
        with server.library.snapshot() as snapshot:
            places = [os.fspath(place) for place in remembered(snapshot, paths or ())]
            return tuple(places), snapshot.version, tuple(snapshot.decisions())

    places, version, decisions = await server.lanes.quick.run(state)
    found = await server.remembered.get(
        (what, *words.items(), places, version, decisions),
        lambda: server.apart.run(what, {**words, "paths": places}),
        patience=PATIENCE,
    )
    if found is None:
        return Json(documents.still_running(), 202, {"Retry-After": "2"})
    return Json(documents.duplicates(found, offset=offset, k=k))


@router.get("/api/decisions", **described(schemas.Decisions))
async def decisions(server: Here) -> Response:
    """What people decided, with the images that it is about."""

    def work() -> dict[str, Any]:
        with server.library.snapshot() as snapshot:
            return {"decisions": [decision(snapshot, one) for one in snapshot.decisions()]}

    return Json(await server.lanes.quick.run(work))


@router.get("/api/decisions/lines", **described(LINES))
async def decision_lines(server: Here) -> Response:
    """The decisions as JSON, one a line, for this address of another server or `lookalike decisions
    import`: they name pictures by their content."""

    def work() -> bytes:
        return "".join(f"{line}\n" for line in server.library.feedback.export_lines()).encode()

    return Response(await server.lanes.quick.run(work), media_type=LINES)


@router.post(
    "/api/decisions/lines", openapi_extra=body({"text/plain": TEXT}), **described(schemas.Taken)
)
async def take_over_decisions(server: Here, request: Request) -> Response:
    """Take over decisions that another library gave as lines. A line that is none is named, and then
    nothing is taken over."""
    must_write(server)
    lines = io.BytesIO(await request.body())

    def work() -> int:
        with io.TextIOWrapper(lines, encoding="utf-8", errors="replace") as text:
            return server.library.feedback.import_lines(text)

    return Json({"new": await server.lanes.writing.run(work)})


@router.post("/api/decisions", **described(schemas.Decisions))
async def decide(server: Here, decided: Decided) -> Response:
    """Decide. Nothing is deleted by it, ever."""
    must_write(server)
    made = await server.lanes.writing.run(
        lambda: server.library.feedback.add(decided.kind, *files(server, decided), who=decided.who)
    )

    def work() -> dict[str, Any]:
        with server.library.snapshot() as snapshot:
            return {"decisions": [decision(snapshot, one) for one in made]}

    return Json(await server.lanes.quick.run(work))


@router.delete("/api/decisions", **described(schemas.Forgotten))
async def undecide(server: Here, decided: Decided) -> Response:
    """Take a decision back."""
    must_write(server)
    count = await server.lanes.writing.run(
        lambda: server.library.feedback.remove(decided.kind, *files(server, decided))
    )
    return Json({"forgotten": count})


def files(server: Server, decided: Decided) -> list[Path]:
    with server.library.snapshot() as snapshot:
        found = [one(snapshot, id) for id in (decided.image, *decided.others)]
    return [root / image.path for image, root in found]


def decision(snapshot: Snapshot, decision: Decision) -> dict[str, Any]:
    """A decision, and the images of the contents that it is about; none where the library has them no
    longer."""
    first = snapshot.by_hash(decision.first)
    second = snapshot.by_hash(decision.second) if decision.second else []
    return {
        "kind": decision.kind,
        "images": [image.id for image in first],
        "others": [image.id for image in second],
        "first": decision.first.hex(),
        "second": decision.second.hex() if decision.second else None,
        "paths": [image.path for image in first],
        "other_paths": [image.path for image in second],
        "who": decision.who,
        "when": decision.when,
    }
