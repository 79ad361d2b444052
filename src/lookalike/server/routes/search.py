"""Routes for searches, batches and uploads."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.datastructures import UploadFile
from starlette.responses import Response

from lookalike.errors import LookalikeError, Outcome, UsageError
from lookalike.images.fetch import FetchLimits
from lookalike.images.fetch import fetch_url as fetch_image
from lookalike.query import SIMILARITY, Hits, Query, Term
from lookalike.server.app_state import AppState, State, app_state
from lookalike.server.bodies import (
    is_form,
    is_json,
    media_type_of,
    parse_json,
    read_form,
    read_json,
)
from lookalike.server.micro_batcher import only_compares
from lookalike.server.openapi import JPEG, UPLOAD_BODY, json_body, query_parameters, responses
from lookalike.server.query_params import (
    KNOWN_PARAMETERS,
    MAX_UPLOADS,
    SearchParams,
    read_params,
    split_weight,
    to_query,
)
from lookalike.server.responses import HTTPError, JSONResponse, not_modified, to_json
from lookalike.stores.interface import Image, Snapshot
from lookalike.wire import encode
from lookalike.wire.http import BatchResponse, SearchResponse, Upload, failed_hits

router = APIRouter(tags=["search"])

# Queries with images of a batch that are answered at a time: for eight the library starts workers on all
# cores, which suits a process that has nothing else to do.
BATCH_SLICE = 7

# Parameters of queries that may do more than compare stored vectors; see `only_compares`.
NOT_ONLY_COMPARED = frozenset(
    {"upload", "not_upload", "text", "not_text", "vector", "not_vector", "region"}
    | {"any_orientation", "verify"}
)

UploadData = dict[str, bytes]
"""The bytes of uploads that a request has read, by name: once in memory, however often it names them."""


class PlainRoute(APIRoute):
    """A route whose function gets the request alone: what FastAPI does before takes a tenth of a search."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        return self.endpoint


async def search(request: Request) -> Response:
    """Images that look like the query. Lists are given by repeating a parameter."""
    return await search_response(await app_state(request), read_params(request), [])


router.add_api_route(
    "/api/search",
    search,
    route_class_override=PlainRoute,
    openapi_extra=query_parameters(SearchParams),
    **responses(SearchResponse),
)


@router.post(
    "/api/search",
    openapi_extra=json_body(SearchParams),
    dependencies=[KNOWN_PARAMETERS],
    **responses(SearchResponse),
)
async def search_post(state: State, request: Request) -> Response:
    """Search with the parameters as JSON. Images of your own are sent to /api/uploads first; or with the
    query, in a form, as files named `image` beside a field `query`: they are stored as uploads, and `query`
    in the response names them, so that the search can be repeated."""
    if await is_json(request):
        quick = state.executors.quick
        params = await read_json(request, quick, SearchParams.model_validate)
        return await search_response(state, params, [])
    async with read_form(request, files=["image"], fields=["query"], max_files=MAX_UPLOADS) as form:
        query = str(form.get("query", "{}"))
        params = await state.executors.quick.run(
            lambda: SearchParams.model_validate(parse_json(query))
        )
        sent = [await part.read() for part in form.getlist("image") if isinstance(part, UploadFile)]
    data = {hashlib.sha256(one).hexdigest(): one for one in sent}
    params = params.model_copy(update={"upload": [*data, *params.upload]})
    # At the same time: both decode the image, in different processes.
    checks = asyncio.gather(
        *(state.executors.decode.run(partial(state.uploads.add, one)) for one in data.values())
    )
    try:
        response, _ = await asyncio.gather(search_response(state, params, list(data), data), checks)
    except Exception:
        await checks  # whichever fails first: a check says best what is wrong with an image
        raise
    return response


class BatchRequest(BaseModel, extra="forbid"):
    """Several queries, each with the parameters of a search."""

    queries: list[SearchParams] = Field(min_length=1)


@router.post(
    "/api/batch",
    openapi_extra=json_body(BatchRequest),
    dependencies=[KNOWN_PARAMETERS],
    **responses(BatchResponse),
)
async def search_batch(state: State, request: Request) -> Response:
    """Several queries at once, as JSON: `{"queries": [{…}, …]}`. The results are in their order; a query that
    cannot be answered has a `failure` instead of hits."""

    def check(document: Any) -> list[SearchParams]:
        queries = document.get("queries") if isinstance(document, dict) else None
        if not isinstance(queries, list) or not queries:
            raise HTTPError(422, 'the body is JSON: {"queries": [{"text": ["red shoe"]}, …]}')
        limit = state.settings.max_batch
        if len(queries) > limit:
            raise HTTPError(413, f"{len(queries)} queries; one batch has at most {limit}")
        return BatchRequest.model_validate(document).queries

    several = await read_json(request, state.executors.quick, check)
    found = await state.executors.slow.run(lambda: answer_batch(state, several))
    return JSONResponse(encode(BatchResponse(tuple(found))))


class UrlRequest(BaseModel, extra="forbid"):
    """An image on the public internet."""

    url: str


@router.post(
    "/api/uploads",
    openapi_extra=UPLOAD_BODY,
    dependencies=[KNOWN_PARAMETERS],
    **responses(Upload),
)
async def upload(state: State, request: Request) -> Response:
    """Send one image (`image` in a form, or the bytes as the body) to search with; or name one on the public
    internet as JSON, `{"url": "https://…"}`, if the server allows it."""
    if media_type_of(request) == "application/json":
        named = await read_json(request, state.executors.quick, UrlRequest.model_validate)
        data = await fetch_url(state, named.url)
    else:
        data = await image_of(request)
    added = await state.executors.decode.run(lambda: state.uploads.add(data))
    return JSONResponse(encode(added))


@router.get("/api/uploads/{hash}", **responses(JPEG))
async def show_upload(state: State, request: Request, hash: str) -> Response:
    """The image that was sent, as a JPEG of at most 1,024 pixels."""
    data = await state.executors.quick.run(lambda: state.uploads.preview(hash))
    headers = {"Cache-Control": "private, max-age=600", "ETag": f'"{hash}"'}
    if not_modified(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=JPEG, headers=headers)


async def fetch_url(state: AppState, url: str) -> bytes:
    """Return the image at a URL."""
    if not state.settings.allow_url:
        raise HTTPError(
            403, "this server fetches no URLs: start it with --allow-url, or send the image"
        )
    limits = FetchLimits(max_bytes=state.settings.max_upload_bytes)
    return await state.executors.slow.run(lambda: fetch_image(url, limits))


async def image_of(request: Request) -> bytes:
    """Return the one image of a request's body."""
    if is_form(request):
        async with read_form(request, files=["image"], max_files=1) as form:
            part = form.get("image")
            data = await part.read() if isinstance(part, UploadFile) else b""
    else:
        data = await request.body()
    if not data:
        raise HTTPError(422, "send an image: as the file `image` of a form, or as the body itself")
    return data


async def search_response(
    state: AppState, params: SearchParams, uploads: Sequence[str], data: UploadData | None = None
) -> Response:
    """Answer a query in the executor that suits its cost. `data`: what the request has sent itself."""
    sent = dict(data or {})

    def answer(query: Query, hits: Hits) -> bytes:
        return to_json(encode(page_of(params, query, hits, uploads)))

    quick = state.executors.quick
    try:
        if names_images_only(params):  # all steps in the thread of the batcher
            make = partial(query_of_params, state, params, sent)
            content = await asyncio.wrap_future(state.batcher.submit_work(make, answer))
        else:
            query = await quick.run(lambda: query_of_params(state, params, sent))
            if only_compares(query):
                work = state.batcher.submit_work(lambda: query, answer)
                content = await asyncio.wrap_future(work)
            else:
                executor = state.executors.slow if query.verify else state.executors.search
                hits = await executor.run(lambda: state.library.search(query))
                content = await quick.run(lambda: answer(query, hits))
    except LookalikeError:
        await quick.run(lambda: check_ids(state, params))
        raise
    return Response(content, media_type=JSONResponse.media_type)


def names_images_only(params: SearchParams) -> bool:
    """Whether a query names images of the library and nothing else, so that it only compares vectors."""
    return bool(params.image) and params.model_fields_set.isdisjoint(NOT_ONLY_COMPARED)


def answer_batch(state: AppState, several: Sequence[SearchParams]) -> list[SearchResponse]:
    """Answer many queries; blocks. Those that only compare vectors let the queries of others go first; the
    rest are answered a few at a time, for the same reason."""
    data: UploadData = {}
    queries = [query_or_reason(state, params, data) for params in several]
    light = {
        place: state.batcher.submit(query, low_priority=True)
        for place, query in enumerate(queries)
        if isinstance(query, Query) and only_compares(query)
    }
    heavy = [
        (place, query)
        for place, query in enumerate(queries)
        if isinstance(query, Query) and place not in light
    ]
    found: dict[int, Hits] = {}
    for start in range(0, len(heavy), BATCH_SLICE):
        some = heavy[start : start + BATCH_SLICE]
        hits = state.library.search_batch([query for _, query in some])
        found |= {place: one for (place, _), one in zip(some, hits, strict=True)}
    for place, future in light.items():
        try:
            found[place] = future.result()
        except UsageError as error:
            found[place] = failed_hits(str(error))
    pages = []
    for place, (params, query) in enumerate(zip(several, queries, strict=True)):
        if isinstance(query, str):
            pages.append(failed_page(params, failed_hits(query)))
        elif found[place].failure:
            pages.append(failed_page(params, found[place]))
        else:
            pages.append(page_of(params, query, found[place]))
    return pages


def failed_page(params: SearchParams, hits: Hits) -> SearchResponse:
    """Return the page of a query that could not be answered."""
    return SearchResponse(hits, params.model_dump(exclude_defaults=True), (), None)


def query_or_reason(state: AppState, params: SearchParams, data: UploadData) -> Query | str:
    """Return a query, or why there is none."""
    try:
        return query_of_params(state, params, data)
    except (UsageError, HTTPError) as error:
        return str(error)


def page_of(
    params: SearchParams, query: Query, hits: Hits, uploads: Sequence[str] = ()
) -> SearchResponse:
    """Return the page of the hits that the parameters ask for."""
    start, end = params.offset, params.offset + params.k
    one_page = bool(query.terms) and (query.reverse or query.sort not in (None, SIMILARITY))
    more = not one_page and (len(hits.hits) > end or (len(hits.hits) == end == query.k))
    return SearchResponse(
        answer=hits,
        query=params.model_dump(exclude_defaults=True),
        hits=hits.hits[start:end],
        next_offset=end if more else None,
        uploads=tuple(uploads),
    )


def query_of_params(state: AppState, params: SearchParams, data: UploadData) -> Query:
    """Return the query that the parameters describe. `HTTPError` if it asks for too much, or names images
    that are not known."""
    settings = state.settings
    if params.k > settings.max_k:
        raise HTTPError(400, f"k is {params.k}; one response has at most {settings.max_k} hits")
    if params.offset + params.k > settings.max_depth:
        raise HTTPError(400, f"hits end at {settings.max_depth}: filter with `where` instead")
    of_upload, of_library = partial(upload_term, state, data), partial(library_term, state)
    terms = [
        *signed_terms(params.upload, 1.0, of_upload),
        *signed_terms(params.image, 1.0, of_library),
        *signed_terms(params.not_upload, -1.0, of_upload),
        *signed_terms(params.not_image, -1.0, of_library),
    ]
    query = to_query(params, terms)
    if query.verify:
        state.check_roots()
    if query.extractors:
        names = tuple(map(state.redactor.stored_name, query.extractors))
        query = replace(query, extractors=names)
    if params.offset and query.terms and (query.reverse or query.sort not in (None, SIMILARITY)):
        raise HTTPError(400, "hits of a query in another order come in one page: raise k instead")
    return query


def signed_terms(
    values: Sequence[str], sign: float, make: Callable[[str, float], Term]
) -> list[Term]:
    """Return terms with their weights, negative if `sign` is -1."""
    found = []
    for value in values:
        weight, name = split_weight(value)
        found.append(make(name, sign * weight))
    return found


def upload_term(state: AppState, data: UploadData, name: str, weight: float) -> Term:
    """Return the term of an upload; of the library's image with the same bytes, whose vectors are stored, if
    there is one."""
    if name not in data:
        state.uploads.get(name)
    with state.library.snapshot() as snapshot:
        same = [i for i in snapshot.by_hash(bytes.fromhex(name)) if i.outcome is Outcome.INDEXED]
    if same:
        return Term(id=same[0].id, weight=weight)
    if name not in data:
        data[name] = state.uploads.data(name)
    return Term(image=data[name], weight=weight)


def library_term(state: AppState, name: str, weight: float) -> Term:
    """Return the term of an image of the library, named by its id or its path. `HTTPError` 404 for a path;
    whether an id is known shows when the query is answered: see `check_ids`."""
    id = id_of(name)
    if id is None:
        with state.library.snapshot() as snapshot:
            found = named_image(snapshot, name)
        if found is None:
            raise no_image(name)
        id = found.id
    return Term(id=id, weight=weight)


def check_ids(state: AppState, params: SearchParams) -> None:
    """Raise `HTTPError` 404 if the query failed because the library does not have an image that it names."""
    names = [split_weight(value)[1] for value in (*params.image, *params.not_image)]
    with state.library.snapshot() as snapshot:
        for name in names:
            if named_image(snapshot, name) is None:
                raise no_image(name)


def no_image(name: str) -> HTTPError:
    """Return the error for an image that the library does not have."""
    number = name.removeprefix("id:")
    if number.isdigit():
        return HTTPError(404, f"the library has no image with the id {number}")
    return HTTPError(404, f"the library has no image at {name[:200]!r}: name one by id or path")


def id_of(name: str) -> int | None:
    """Return the id that names an image (17, id:17); None for a path."""
    number = name.removeprefix("id:")
    return int(number) if number.isascii() and number.isdigit() and len(number) <= 18 else None


def named_image(snapshot: Snapshot, name: str) -> Image | None:
    """Return the image with an id, or with a path below one of the library's folders."""
    id = id_of(name)
    if id is not None:
        return snapshot.images([id]).get(id)
    for root in snapshot.roots():
        inside = Path(os.path.normpath(root.path / name))
        if inside != root.path and inside.is_relative_to(root.path):
            image = snapshot.lookup(root.id, inside.relative_to(root.path).as_posix())
            if image is not None:
                return image
    return None
