"""Routes for searches, batches and uploads."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi import Query as QueryParam
from starlette.datastructures import UploadFile
from starlette.responses import Response

from lookalike.errors import Outcome, UsageError
from lookalike.images.fetch import FetchLimits
from lookalike.images.fetch import fetch_url as fetch_image
from lookalike.query import Hits, Query, Term
from lookalike.server.app_state import AppState, State
from lookalike.server.micro_batcher import only_compares
from lookalike.server.openapi import BATCH_BODY, JPEG, SEARCH_BODY, UPLOAD_BODY, responses
from lookalike.server.query_params import MAX_UPLOADS, SearchParams, split_weight, to_query
from lookalike.server.responses import HTTPError, JSONResponse
from lookalike.server.routes.images import found_image
from lookalike.wire import encode
from lookalike.wire.http import BatchResponse, SearchResponse, Upload, failed_hits

router = APIRouter(tags=["search"])

# Images of one request.
MAX_FILES = MAX_UPLOADS

# Keys of one JSON object in a request.
MAX_KEYS = 100

# Queries with images of a batch that are answered at a time: for eight the library starts workers on all
# cores, which suits a process that has nothing else to do.
BATCH_SLICE = 7

UploadData = dict[str, bytes]
"""The bytes of uploads that a request has read, by name: once in memory, however often it names them."""


@router.get("/api/search", **responses(SearchResponse))
async def search(state: State, params: Annotated[SearchParams, QueryParam()]) -> Response:
    """Images that look like the query. Lists are given by repeating a parameter."""
    return await search_response(state, params, [])


@router.post("/api/search", openapi_extra=SEARCH_BODY, **responses(SearchResponse))
async def search_with_images(state: State, request: Request) -> Response:
    """Search with images in the body. They are stored as uploads; `query` in the response names them, so
    that the search can be repeated with GET."""
    async with request.form(max_files=MAX_FILES, max_fields=1, max_part_size=1 << 20) as form:
        query = form.get("query", "{}")
        if not isinstance(query, str):
            raise HTTPError(422, "the field `query` has the parameters of the query as JSON")
        params = SearchParams.model_validate(parse_json(query))
        sent = [
            await part.read()
            for name, part in form.multi_items()
            if name == "image" and isinstance(part, UploadFile)
        ]
    uploads = [
        (await state.executors.decode.run(lambda data=data: state.uploads.add(data))).upload  # type: ignore[misc]
        for data in sent
    ]
    params = params.model_copy(update={"upload": [*uploads, *params.upload]})
    return await search_response(state, params, uploads)


@router.post("/api/batch", openapi_extra=BATCH_BODY, **responses(BatchResponse))
async def batch(state: State, request: Request) -> Response:
    """Several queries at once, as JSON: `{"queries": [{…}, …]}`. The results are in their order; a query that
    cannot be answered has a `failure` instead of hits."""
    document = parse_json((await request.body()).decode("utf-8", "replace"))
    queries = document.get("queries") if isinstance(document, dict) else None
    if not isinstance(queries, list) or not queries:
        raise HTTPError(422, 'the body is JSON: {"queries": [{"text": ["red shoe"]}, …]}')
    limit = state.settings.max_batch
    if len(queries) > limit:
        raise HTTPError(413, f"{len(queries)} queries; one batch has at most {limit}")
    several = [SearchParams.model_validate(query) for query in queries]
    found = await state.executors.slow.run(lambda: search_batch(state, several))
    return JSONResponse(encode(BatchResponse(tuple(found))))


@router.post("/api/uploads", openapi_extra=UPLOAD_BODY, **responses(Upload))
async def upload(state: State, request: Request) -> Response:
    """Send one image (`image` in a form, or the bytes as the body) to search with; or name one on the public
    internet as JSON, `{"url": "https://…"}`, if the server allows it."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "application/json":
        data = await fetch_url(state, parse_json((await request.body()).decode("utf-8", "replace")))
    else:
        data = await image_of(request)
    added = await state.executors.decode.run(lambda: state.uploads.add(data))
    return JSONResponse(encode(added))


@router.get("/api/uploads/{hash}", **responses(JPEG))
async def show_upload(state: State, hash: str) -> Response:
    """The image that was sent, as a JPEG of at most 1,024 pixels."""
    data = await state.executors.quick.run(lambda: state.uploads.preview(hash))
    headers = {"Cache-Control": "private, max-age=600"}
    return Response(data, media_type=JPEG, headers=headers)


async def fetch_url(state: AppState, document: Any) -> bytes:
    """Return the image that a document names by its URL."""
    url = document.get("url") if isinstance(document, dict) else None
    if not isinstance(url, str):
        raise HTTPError(422, 'name an image: {"url": "https://…"}')
    if not state.settings.allow_url:
        raise HTTPError(
            403, "this server fetches no URLs: start it with --allow-url, or send the image"
        )
    limits = FetchLimits(max_bytes=state.settings.max_upload_bytes)
    return await state.executors.slow.run(lambda: fetch_image(url, limits))


async def image_of(request: Request) -> bytes:
    """Return the one image of a request's body."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        async with request.form(max_files=1, max_fields=0) as form:
            part = form.get("image")
            data = await part.read() if isinstance(part, UploadFile) else b""
    else:
        data = await request.body()
    if not data:
        raise HTTPError(422, "send an image: as the file `image` of a form, or as the body itself")
    return data


def parse_json(text: str) -> Any:
    """Return the JSON of a request. An object with too many keys is refused before each key is found to be
    wrong, which takes a hundred times as long as reading it."""
    try:
        return json.loads(text, object_pairs_hook=limited_object)
    except (ValueError, RecursionError):
        raise HTTPError(422, "the request is not valid JSON") from None


def limited_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build a JSON object while parsing; `HTTPError` 413 for too many keys."""
    if len(pairs) > MAX_KEYS:
        raise HTTPError(413, f"{len(pairs)} keys in one object; there are at most {MAX_KEYS}")
    return dict(pairs)


async def search_response(
    state: AppState, params: SearchParams, uploads: Sequence[str]
) -> Response:
    """Answer a query in the executor that suits its cost."""
    quick = state.executors.quick
    query = await quick.run(lambda: query_of_params(state, params, {}))
    if only_compares(query):
        hits = await asyncio.wrap_future(state.batcher.submit(query))
    else:
        executor = state.executors.slow if query.verify else state.executors.search
        hits = await executor.run(lambda: state.library.search(query))
    return JSONResponse(
        await quick.run(lambda: encode(page_of(state, params, query, hits, uploads)))
    )


def search_batch(state: AppState, several: Sequence[SearchParams]) -> list[SearchResponse]:
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
            pages.append(page_of(state, params, query, found[place]))
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
    state: AppState, params: SearchParams, query: Query, hits: Hits, uploads: Sequence[str] = ()
) -> SearchResponse:
    """Return the page of the hits that the parameters ask for, with the sizes of their images."""
    start, end = params.offset, params.offset + params.k
    page = hits.hits[start:end]
    with state.library.snapshot() as snapshot:
        images = snapshot.images({hit.id for hit in page})
    more = len(hits.hits) > end or (len(hits.hits) == end == query.k)
    return SearchResponse(
        answer=hits,
        query=params.model_dump(exclude_defaults=True),
        hits=tuple(found_image(hit, images.get(hit.id)) for hit in page),
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
    return to_query(params, terms)


def signed_terms(
    values: Sequence[str], sign: float, make: Callable[[str], Term]
) -> list[tuple[Term, float]]:
    """Return terms with their weights, negative if `sign` is -1."""
    found = []
    for value in values:
        weight, name = split_weight(value)
        found.append((make(name), sign * weight))
    return found


def upload_term(state: AppState, data: UploadData, name: str) -> Term:
    """Return the term of an upload; of the library's image with the same bytes, whose vectors are stored, if
    there is one."""
    state.uploads.get(name)
    with state.library.snapshot() as snapshot:
        same = [i for i in snapshot.by_hash(bytes.fromhex(name)) if i.outcome is Outcome.INDEXED]
    if same:
        return Term(id=same[0].id)
    if name not in data:
        data[name] = state.uploads.data(name)
    return Term(image=data[name])


def library_term(state: AppState, name: str) -> Term:
    """Return the term of an image of the library. `HTTPError` 404."""
    if not name.isascii() or not name.isdigit() or len(name) > 18:
        raise HTTPError(422, f"image={name[:40]!r}: an image is named by its id, a whole number")
    with state.library.snapshot() as snapshot:
        if int(name) not in snapshot.images([int(name)]):
            raise HTTPError(404, f"the library has no image with the id {name}")
    return Term(id=int(name))
