"""Routes that explain: why two images match, and the library as a map."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from fastapi import Query as QueryParam
from starlette.responses import Response

from lookalike.query import QueryImage
from lookalike.server.app_state import AppState, State
from lookalike.server.openapi import responses
from lookalike.server.query_params import KNOWN_PARAMETERS
from lookalike.server.responses import HTTPError, JSONResponse
from lookalike.server.routes.images import ImageId, file_of
from lookalike.server.routes.jobs import pending
from lookalike.server.routes.search import library_term, upload_term
from lookalike.server.uploads import HASH
from lookalike.wire.http import Explanation, JobState, Map

router = APIRouter(tags=["explanations"], dependencies=[KNOWN_PARAMETERS])


@router.get("/api/explain", **responses(Explanation))
async def explain(
    state: State,
    hit: Annotated[ImageId, QueryParam()],
    query: Annotated[str | None, QueryParam(max_length=4096)] = None,
    text: Annotated[str | None, QueryParam(max_length=1000)] = None,
    extractor: str | None = None,
) -> Response:
    """What caused the similarity of a query (an image's id or path, or the hash of an upload; or `text`, for
    an extractor that understands text) and a hit: which regions of both, which parts of the vector, which
    colours."""
    if (query is None) == (text is None):
        raise HTTPError(
            422, "say what the hit is compared with: query=ID, query=HASH of an upload, or text="
        )
    found = await state.executors.explain.run(
        lambda: explanation(state, query, text, hit, extractor)
    )
    return JSONResponse(found)


def explanation(
    state: AppState, query: str | None, text: str | None, hit: int, extractor: str | None
) -> dict[str, Any]:
    """Return the document of an explanation."""
    file_of(state, hit)
    check_indexed_with(state, extractor)
    explainer = state.explainer()
    if text is not None:
        return explainer.match_text(text, hit, extractor=extractor).as_dict()
    return explainer.match(query_image(state, query or ""), hit, extractor=extractor).as_dict()


def check_indexed_with(state: AppState, extractor: str | None) -> None:
    """Raise `HTTPError` for an extractor that the library was not indexed with: a visitor must not choose
    which model this machine downloads or reads from its disk."""
    with state.library.snapshot() as snapshot:
        names = [space.name for space in snapshot.spaces() if space.current]
    if extractor is not None and extractor not in names:
        there = ", ".join(names) or "none"
        raise HTTPError(
            400, f"the library has no vectors of {extractor[:80]} to explain; there are: {there}"
        )


def query_image(state: AppState, query: str) -> QueryImage | int:
    """Return the image of a query. `HTTPError` if it is not known, or not in the library's folders."""
    uploaded = HASH.fullmatch(query)
    term = upload_term(state, {}, query, 1.0) if uploaded else library_term(state, query, 1.0)
    if term.id is not None:
        file_of(state, term.id)
        return term.id
    assert term.image is not None
    return term.image


@router.get("/api/map", **responses(Map, pending=JobState))
async def draw_map(
    state: State,
    extractor: str | None = None,
    method: Literal["tsne", "pca", "umap"] | None = None,
    color: Annotated[str, QueryParam(max_length=200)] = "cluster",
    where: str = "",
) -> Response:
    """The images laid out so that similar ones are close together: `ids`, `x` and `y` (0 to 1, y down) and
    `groups` (positions in `names`, -1 for none), parallel arrays; of more than 100,000 images an evenly
    spread sample. While it is computed, the response is 202 with the state of the job: ask again."""

    def version() -> object:
        with state.library.snapshot() as snapshot:
            return snapshot.version

    key = ("map", extractor, method, color, where, await state.executors.quick.run(version))
    arguments = {"extractor": extractor, "method": method, "color": color, "where": where}
    found = await state.job_results.get(
        key, lambda: state.jobs.run("map", arguments), wait=state.settings.job_wait
    )
    return pending(state, "map") if found is None else JSONResponse(found)
