"""Routes that explain: why two pictures match, and the library as a map."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from lookalike.query import Picture
from lookalike.web import schemas
from lookalike.web.asking import of_library, uploaded
from lookalike.web.looking import Id64, checked
from lookalike.web.refusals import Json, Refusal
from lookalike.web.schemas import described
from lookalike.web.server import Here, Server
from lookalike.web.uploads import HASH

router = APIRouter(tags=["explanations"])


@router.get("/api/explain", **described(schemas.Explanation))
async def explain(
    server: Here,
    hit: Annotated[Id64, Query()],
    query: Annotated[str | None, Query(max_length=64)] = None,
    text: Annotated[str | None, Query(max_length=1000)] = None,
    by: str | None = None,
) -> Response:
    """What drove the similarity of a question (an image's id, or the hash of an upload; or `text`, in a
    space that knows words) and a hit: which places of both, which parts of the vector, which colours."""
    if (query is None) == (text is None):
        raise Refusal(
            422, "say what the hit is compared with: query=ID, query=HASH of an upload, or text="
        )
    return Json(await server.lanes.explain.run(lambda: explained(server, query, text, hit, by)))


def explained(
    server: Server, query: str | None, text: str | None, hit: int, by: str | None
) -> dict[str, Any]:
    checked(server, hit)
    explainer = server.explainer()
    if text is not None:
        return explainer.words(text, hit, by=by).as_dict()
    return explainer.match(asked(server, query or ""), hit, by=by).as_dict()


def asked(server: Server, query: str) -> Picture | int:
    """The picture of a question; `Refusal` where it is not here, or not to be shown."""
    term = uploaded(server, query) if HASH.fullmatch(query) else of_library(server, query)
    if term.image is not None:
        checked(server, term.image)
        return term.image
    assert term.picture is not None
    return term.picture
