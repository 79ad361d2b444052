"""Routes that explain: why two images match, and the library as a map."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter
from fastapi import Query as QueryParam
from numpy.typing import NDArray
from starlette.responses import Response

from lookalike.query import QueryImage
from lookalike.server.app_state import AppState, State
from lookalike.server.openapi import responses
from lookalike.server.query_params import KNOWN_PARAMETERS
from lookalike.server.responses import HTTPError, JSONResponse, storage_error, too_busy
from lookalike.server.routes.images import ImageId, file_of
from lookalike.server.routes.jobs import pending
from lookalike.server.routes.search import library_term, upload_term
from lookalike.server.uploads import HASH
from lookalike.wire import encode
from lookalike.wire.http import Explanation, JobState, Map, MapGroups

if TYPE_CHECKING:
    from lookalike.embedding_map.stored_layout import Layout

Method = Literal["tsne", "pca", "umap"]

router = APIRouter(tags=["explanations"], dependencies=[KNOWN_PARAMETERS])


@router.get("/api/explain", **responses(Explanation))
async def explain(
    state: State,
    hit: Annotated[ImageId, QueryParam()],
    query: Annotated[str | None, QueryParam(max_length=4096)] = None,
    text: Annotated[str | None, QueryParam(max_length=1000)] = None,
    extractor: str | None = None,
) -> Response:
    """Explain the similarity of a query (an image's id or path, or the hash of an upload; or `text`, for
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
    extractor = state.stored_name(extractor)
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
    method: Method | None = None,
    where: str = "",
) -> Response:
    """The images laid out so that similar ones are close together: `ids`, `x` and `y` (0 to 1, y down) are
    parallel arrays; of more than 100,000 images an evenly spread sample. With `where` only some of them are
    returned, at the same places. The layout is computed once and stored: until then the response is 202 with
    the state of the job: ask again. GET /api/map/groups has the colors."""
    layout = await map_layout(state, extractor, method)
    if layout is None:
        return pending(state, "map")
    return JSONResponse(
        await state.executors.quick.run(lambda: encode(map_document(state, layout, where)))
    )


@router.get("/api/map/groups", **responses(MapGroups, pending=JobState))
async def map_groups(
    state: State,
    extractor: str | None = None,
    method: Method | None = None,
    color: Annotated[str, QueryParam(max_length=200)] = "cluster",
    where: str = "",
) -> Response:
    """The groups by which the images of GET /api/map are colored, with the same `extractor`, `method` and
    `where`: `groups` (positions in `names`, -1 for none) in the order of its `ids`. `color`: "cluster" (named
    by frequent words), "folder", or a field."""
    layout = await map_layout(state, extractor, method)
    if layout is None:
        return pending(state, "map")
    version = await state.read(lambda snapshot: snapshot.version)
    key = ("map-groups", id(layout), color, where, version)
    found = await state.browsing.get(
        key,
        lambda: (layout, encode(groups_document(state, layout, color, where))),
        wait=state.settings.queue_timeout,
    )
    if found is None:
        raise too_busy()
    return JSONResponse(found[1])


async def map_layout(
    state: AppState, extractor: str | None, method: Method | None
) -> Layout | None:
    """Return the layout of the library; None while it is computed."""

    own = state.library.folder / "maps"
    folder = state.folder / "maps" if state.library.read_only else own
    extractor = state.stored_name(extractor)
    arguments = {"extractor": extractor, "method": method, "folder": os.fspath(folder)}

    def work() -> Layout:
        from lookalike.embedding_map.stored_layout import Layout  # it imports much

        file = Path(state.jobs.run("map", arguments)["file"])
        layout = Layout.load(file)
        if layout is None:
            raise storage_error("the map", OSError(f"{file.name} is not there"))
        return layout

    version = await state.read(lambda snapshot: snapshot.version)
    key = ("map", extractor, method, version)
    return await state.job_results.get(key, work, wait=state.settings.job_wait)


def shown(state: AppState, layout: Layout, where: str) -> NDArray[np.bool_]:
    """Return which images of a layout satisfy a filter."""
    if not where:
        return np.ones(len(layout), bool)
    with state.library.snapshot() as snapshot:
        return np.isin(layout.ids, snapshot.select(where))


def map_document(state: AppState, layout: Layout, where: str) -> Map:
    """Return the document of a layout."""
    kept = shown(state, layout, where)
    x, y = np.round(layout.positions[kept].astype(float), 5).T.tolist() if kept.any() else ([], [])
    return Map(
        extractor=layout.extractor,
        method=layout.method,
        ids=tuple(layout.ids[kept].tolist()),
        x=tuple(x),
        y=tuple(y),
        levels=tuple(layout.levels[kept].tolist()),
        total=layout.total,
        preservation=asdict(layout.preservation),
    )


def groups_document(state: AppState, layout: Layout, color: str, where: str) -> MapGroups:
    """Return the document of the colors of a layout."""
    from lookalike.embedding_map.groups import groups_of  # it imports much

    kept = shown(state, layout, where)
    with state.library.snapshot() as snapshot:
        found = groups_of(snapshot, layout, color)
    return MapGroups(
        color=color,
        names=found.names,
        groups=tuple(found.groups[kept].tolist()),
        typical=found.typical,
    )
