"""Routes that ask: searches, batches, uploads."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.datastructures import UploadFile
from starlette.responses import Response

from lookalike.errors import Outcome, UsageError
from lookalike.images.fetch import FetchLimits, fetch_url
from lookalike.query import Hits, Term
from lookalike.query import Query as Question
from lookalike.server.app_state import Here, Server
from lookalike.server.errors import Json, Refusal
from lookalike.server.micro_batcher import is_light
from lookalike.server.openapi import (
    JPEG,
    ONE_PICTURE,
    PICTURES,
    WORDS_BATCH,
    described,
)
from lookalike.server.query_params import MAX_UPLOADS, SearchParams, split_weight, to_query
from lookalike.wire import documents, schemas

router = APIRouter(tags=["search"])

MOST_FILES = MAX_UPLOADS
"""Pictures of one request."""

MOST_NAMES = 100
"""Of one object in the words of a request."""

Read = dict[str, bytes]
"""Pictures that were sent and that a request has read again, by name: in memory once, however often the
request names them."""

FEW = 7
"""Questions with pictures of a batch that are answered at a time: for eight the library starts workers on
all cores, which is for a process that has nothing else to do."""


@router.get("/api/search", **described(schemas.Answer))
async def search(server: Here, words: Annotated[SearchParams, Query()]) -> Response:
    """What looks like this? Everything repeated may be given several times."""
    return await answered(server, words, [])


@router.post("/api/search", openapi_extra=PICTURES, **described(schemas.Answer))
async def search_with_pictures(server: Here, request: Request) -> Response:
    """The same with pictures in the body. They are kept as uploads; the answer's `query` names them, so
    it can be asked again with GET."""
    async with request.form(max_files=MOST_FILES, max_fields=1, max_part_size=1 << 20) as form:
        query = form.get("query", "{}")
        if not isinstance(query, str):
            raise Refusal(422, "the field `query` holds the words of the question as JSON")
        words = SearchParams.model_validate(parsed(query))
        sent = [
            await part.read()
            for name, part in form.multi_items()
            if name == "picture" and isinstance(part, UploadFile)
        ]
    uploads = [
        (await server.lanes.pictures.run(lambda data=data: server.uploads.add(data))).upload  # type: ignore[misc]
        for data in sent
    ]
    words = words.model_copy(update={"upload": [*uploads, *words.upload]})
    return await answered(server, words, uploads)


@router.post("/api/batch", openapi_extra=WORDS_BATCH, **described(schemas.Answers))
async def batch(server: Here, request: Request) -> Response:
    """Several questions at once, as JSON: `{"queries": [{…}, …]}`. Answers come in their order; a question
    that cannot be answered has a `failure` in place of hits."""
    document = parsed((await request.body()).decode("utf-8", "replace"))
    queries = document.get("queries") if isinstance(document, dict) else None
    if not isinstance(queries, list) or not queries:
        raise Refusal(422, 'the body is JSON: {"queries": [{"text": ["red shoe"]}, …]}')
    most = server.settings.max_batch
    if len(queries) > most:
        raise Refusal(413, f"{len(queries)} questions; one batch holds at most {most}")
    several = [SearchParams.model_validate(query) for query in queries]
    return Json({"answers": await server.lanes.slow.run(lambda: answer_all(server, several))})


@router.post("/api/uploads", openapi_extra=ONE_PICTURE, **described(schemas.Upload))
async def upload(server: Here, request: Request) -> Response:
    """Send one picture (`picture` in a form, or the bare bytes as the body) to search with; or name one in
    the public internet as JSON, `{"url": "https://…"}`, where the server allows it."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        data = await fetched(server, parsed((await request.body()).decode("utf-8", "replace")))
    else:
        data = await picture_of(request)
    added = await server.lanes.pictures.run(lambda: server.uploads.add(data))
    return Json(documents.upload(added))


@router.get("/api/uploads/{hash}", **described(JPEG))
async def show_upload(server: Here, hash: str) -> Response:
    """The picture that was sent, as a JPEG of at most 1,024 pixels."""
    data = await server.lanes.quick.run(lambda: server.uploads.shown(hash))
    return Response(
        data, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=600"}
    )


async def fetched(server: Server, document: Any) -> bytes:
    """The picture that the document names by its address."""
    url = document.get("url") if isinstance(document, dict) else None
    if not isinstance(url, str):
        raise Refusal(422, 'name a picture: {"url": "https://…"}')
    if not server.settings.allow_url:
        raise Refusal(
            403, "this server fetches nothing: start it with --allow-url, or send the picture"
        )
    limits = FetchLimits(max_bytes=server.settings.max_upload_bytes)
    return await server.lanes.slow.run(lambda: fetch_url(url, limits))


async def picture_of(request: Request) -> bytes:
    """The one picture of a request's body."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        async with request.form(max_files=1, max_fields=0) as form:
            part = form.get("picture")
            data = await part.read() if isinstance(part, UploadFile) else b""
    else:
        data = await request.body()
    if not data:
        raise Refusal(422, "send a picture: as the file `picture` of a form, or as the body itself")
    return data


def parsed(text: str) -> Any:
    """The words of a request. An object with too many names is refused before each is found wrong, which
    takes a hundred times as long as reading it."""
    try:
        return json.loads(text, object_pairs_hook=few)
    except (ValueError, RecursionError):
        raise Refusal(422, "the words of the question are no JSON") from None


def few(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MOST_NAMES:
        raise Refusal(413, f"{len(pairs)} names in one object; there are at most {MOST_NAMES}")
    return dict(pairs)


async def answered(server: Server, words: SearchParams, fresh: Sequence[str]) -> Response:
    """The answer, from where its cost belongs."""
    question = await server.lanes.quick.run(lambda: question_of(server, words, {}))
    if is_light(question):
        hits = await asyncio.wrap_future(server.gathering.submit(question))
    else:
        lane = server.lanes.slow if question.verify else server.lanes.search
        hits = await lane.run(lambda: server.library.search(question))
    documents = await server.lanes.quick.run(lambda: shown(server, words, question, [hits]))
    return Json({**documents[0], "uploads": list(fresh)})


def answer_all(server: Server, several: Sequence[SearchParams]) -> list[dict[str, Any]]:
    """Many questions; blocks. Those that only compare vectors let the questions of others go before; the
    rest are answered a few at a time, for the same reason."""
    read: Read = {}
    questions = [question_or_why(server, words, read) for words in several]
    light = {
        place: server.gathering.submit(question, patient=True)
        for place, question in enumerate(questions)
        if isinstance(question, Question) and is_light(question)
    }
    rest = [
        place
        for place, question in enumerate(questions)
        if isinstance(question, Question) and place not in light
    ]
    found: dict[int, Hits | str] = {}
    for start in range(0, len(rest), FEW):
        some = rest[start : start + FEW]
        asked = [question for place in some if isinstance(question := questions[place], Question)]
        hits = server.library.search_batch(asked)
        found |= {
            place: one if not one.failure else one.failure
            for place, one in zip(some, hits, strict=True)
        }
    for place, future in light.items():
        try:
            found[place] = future.result()
        except UsageError as error:
            found[place] = str(error)
    answers: list[dict[str, Any]] = []
    for place, (words, question) in enumerate(zip(several, questions, strict=True)):
        hit_or_why = found.get(place, "")
        if isinstance(question, str) or isinstance(hit_or_why, str):
            why = question if isinstance(question, str) else str(hit_or_why)
            answers.append(documents.unanswered(words, why))
        else:
            answers += shown(server, words, question, [hit_or_why])
    return answers


def question_or_why(server: Server, words: SearchParams, read: Read) -> Question | str:
    """A question, or why it is none."""
    try:
        return question_of(server, words, read)
    except (UsageError, Refusal) as error:
        return str(error)


def shown(
    server: Server, words: SearchParams, question: Question, found: Sequence[Hits]
) -> list[dict[str, Any]]:
    """Answers as documents, with what only the images themselves know."""
    page = slice(words.offset, words.offset + words.k)
    with server.library.snapshot() as snapshot:
        images = snapshot.images({hit.id for hits in found for hit in hits.hits[page]})
    return [documents.answer(words, hits, images, total=question.k) for hits in found]


def question_of(server: Server, words: SearchParams, read: Read) -> Question:
    """What the words ask; `Refusal` where they ask for too much, or for what is not there."""
    settings = server.settings
    if words.k > settings.max_k:
        raise Refusal(400, f"k is {words.k}; one answer holds at most {settings.max_k} hits")
    if words.offset + words.k > settings.deepest:
        raise Refusal(
            400, f"answers go down to hit {settings.deepest}: filter with `where` instead"
        )
    sent, known = partial(uploaded, server, read), partial(of_library, server)
    pictures = [
        *terms(words.upload, 1.0, sent),
        *terms(words.image, 1.0, known),
        *terms(words.not_upload, -1.0, sent),
        *terms(words.not_image, -1.0, known),
    ]
    return to_query(words, pictures)


def terms(
    words: Sequence[str], sign: float, make: Callable[[str], Term]
) -> list[tuple[Term, float]]:
    found = []
    for word in words:
        weight, name = split_weight(word)
        found.append((make(name), sign * weight))
    return found


def uploaded(server: Server, read: Read, name: str) -> Term:
    """An upload; where the library has the same bytes, that image, whose vectors are there."""
    server.uploads.get(name)
    with server.library.snapshot() as snapshot:
        same = [i for i in snapshot.by_hash(bytes.fromhex(name)) if i.outcome is Outcome.INDEXED]
    if same:
        return Term(id=same[0].id)
    if name not in read:
        read[name] = server.uploads.data(name)
    return Term(image=read[name])


def of_library(server: Server, name: str) -> Term:
    if not name.isascii() or not name.isdigit() or len(name) > 18:
        raise Refusal(422, f"image={name[:40]!r}: an image is named by its id, a whole number")
    with server.library.snapshot() as snapshot:
        if int(name) not in snapshot.images([int(name)]):
            raise Refusal(404, f"the library has no image with the id {name}")
    return Term(id=int(name))
