"""Routes that explain: why two pictures match, and the library as a map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from lookalike.query import QueryImage
from lookalike.server.app_state import Here, Server
from lookalike.server.errors import Json, Refusal
from lookalike.server.openapi import described
from lookalike.server.routes.images import Id64, checked
from lookalike.server.routes.search import of_library, uploaded
from lookalike.server.uploads import HASH
from lookalike.wire import schemas

if TYPE_CHECKING:
    from lookalike.embedding_map.build import Atlas

router = APIRouter(tags=["explanations"])

PATIENCE = 5.0
"""Seconds that a request waits for a map; then it is told to come again."""


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
    indexed(server, by)
    explainer = server.explainer()
    if text is not None:
        return explainer.words(text, hit, by=by).as_dict()
    return explainer.match(asked(server, query or ""), hit, by=by).as_dict()


def indexed(server: Server, by: str | None) -> None:
    """`Refusal` for what the library was not indexed with: whoever asks must not choose the model that this
    machine fetches or reads from its disk."""
    with server.library.snapshot() as snapshot:
        names = [space.name for space in snapshot.spaces() if space.current]
    if by is not None and by not in names:
        there = ", ".join(names) or "none"
        raise Refusal(
            400, f"the library has no {by[:80]} vectors to explain by; there are: {there}"
        )


def asked(server: Server, query: str) -> QueryImage | int:
    """The picture of a question; `Refusal` where it is not here, or not to be shown."""
    term = uploaded(server, {}, query) if HASH.fullmatch(query) else of_library(server, query)
    if term.id is not None:
        checked(server, term.id)
        return term.id
    assert term.image is not None
    return term.image


@router.get("/api/map", **described(schemas.Map, slow=True))
async def map_of(
    server: Here,
    by: str | None = None,
    method: Literal["tsne", "pca", "umap"] | None = None,
    color: Annotated[str, Query(max_length=200)] = "cluster",
    where: str = "",
) -> Response:
    """The pictures laid out so that those that look alike lie near each other: `ids`, `x` and `y` (0 to 1,
    y down) and `groups` (places in `names`, -1 for none) beside each other; of more than 100,000 pictures
    an evenly spread sample. While it is worked out, the answer is 202 with `"running": true`: ask again."""

    def version() -> object:
        with server.library.snapshot() as snapshot:
            return snapshot.version

    words = {"by": by, "method": method, "color": color, "where": where}
    key = ("map", by, method, color, where, await server.lanes.quick.run(version))
    found = await server.remembered.get(
        key, lambda: server.apart.run("map", words), patience=PATIENCE
    )
    if found is None:
        return Json(not_yet(by, method, color), 202, {"Retry-After": "2"})
    return Json(await server.lanes.quick.run(lambda: map_document(found)))


def map_document(atlas: Atlas) -> dict[str, Any]:
    whole = atlas.as_dict()
    del whole["paths"], whole["seed"]
    x, y = zip(*whole.pop("places"), strict=True)
    return {**whole, "running": False, "x": x, "y": y}


def not_yet(by: str | None, method: str | None, color: str) -> dict[str, Any]:
    """In place of a map that is not drawn up yet."""
    nothing = dict.fromkeys(("ids", "x", "y", "groups", "level", "names"), ())
    asked = {"by": by, "method": method, "color": color}
    return {**asked, **nothing, "running": True, "total": 0, "kept": None}
