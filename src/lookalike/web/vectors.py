"""Routes for vectors on their way in and out of the library."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query
from starlette.responses import Response

from lookalike.web.describing import described
from lookalike.web.exporting import Poured
from lookalike.web.refusals import Refusal
from lookalike.web.server import Here

router = APIRouter(tags=["vectors"])

MEDIA_TYPES = {
    "npy": "application/octet-stream",
    "parquet": "application/vnd.apache.parquet",
    "paths": "text/plain",
}

Name = Annotated[str, Query(min_length=1, max_length=200, description="The extractor.")]


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
    begun = await exports.begin({"by": by, "form": format, "where": where})
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
