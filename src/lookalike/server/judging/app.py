"""The judging page as an application of its own: small, for this machine, behind the server's guard."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi import Path as InPath
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from lookalike.errors import LookalikeError
from lookalike.evaluation.relevance_judgements import JudgementFile
from lookalike.library import Library
from lookalike.server.errors import Json, Refusal, answer_refusal
from lookalike.server.security.middleware import Guard
from lookalike.server.security.rate_limit import Rates
from lookalike.server.settings import Settings
from lookalike.server.static_files import KINDS

PAGE = Path(__file__).parent / "page"
SIDE = 512
"""Pixels of the pictures that are shown, at most."""

router = APIRouter()


@dataclass(frozen=True, eq=False)
class Desk:
    """One judge's place: `ids` are those of the library by the names in the judgements."""

    library: Library
    judging: JudgementFile
    judge: str
    ids: Mapping[str, int]


class Judgement(BaseModel):
    """One key press. `relevant`: null takes back what was said."""

    model_config = ConfigDict(extra="forbid")
    query: Annotated[str, Field(max_length=4096)]
    image: Annotated[str, Field(max_length=4096)]
    relevant: bool | None


def desk_of(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


Here = Annotated[Desk, Depends(desk_of)]


def create_judging_app(desk: Desk, settings: Settings) -> FastAPI:
    """An ASGI application; library and judgements stay the caller's. The same checks of Host, origin and
    token, and the same policy, as the server's."""
    errors: tuple[int | type[Exception], ...] = (
        Refusal, LookalikeError, RequestValidationError, HTTPException,
    )  # fmt: skip
    app = FastAPI(
        title="Judging",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        exception_handlers=dict.fromkeys(errors, answer_refusal),
    )
    app.state.desk = desk
    app.include_router(router)
    app.add_middleware(Guard, settings=settings, rates=Rates(settings.rate))
    return app


@router.get("/")
def index(request: Request) -> Response:
    return _sent(request, "index.html")


@router.get("/page/{name}")
def file(request: Request, name: str) -> Response:
    return _sent(request, name)


def _sent(request: Request, name: str) -> Response:
    if name not in {file.name for file in PAGE.iterdir()}:
        raise Refusal(404, "the page has no such file")
    file = PAGE / name
    data = file.read_bytes()
    tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=KINDS[file.suffix], headers=headers)


@router.get("/api/judging/query")
def next_query(desk: Here) -> Response:
    """Return the next query of this judge."""
    number = desk.judging.next(desk.judge)
    return Json(_done(desk) if number is None else _shown(desk, number))


@router.get("/api/judging/queries/{number}")
def query(desk: Here, number: Annotated[int, InPath(ge=0)]) -> Response:
    """Return a query by its number, to look at it again."""
    if number >= len(desk.judging.pools):
        raise Refusal(404, "there is no such query")
    return Json(_shown(desk, number))


@router.post("/api/judging/judgements")
def judge(desk: Here, said: Judgement) -> Response:
    """Remember it."""
    desk.judging.add(desk.judge, said.query, said.image, said.relevant)
    return Json({"kept": True})


@router.post("/api/judging/undo")
def undo(desk: Here) -> Response:
    """Take back the last judgement, and show its question."""
    number = desk.judging.undo(desk.judge)
    if number is None:
        raise Refusal(409, "there is no judgement to take back")
    return Json(_shown(desk, number))


@router.get("/api/judging/images/{id}")
def image(desk: Here, id: Annotated[int, InPath(ge=1, le=2**63 - 1)]) -> Response:
    """A picture of the library, small."""
    if id not in set(desk.ids.values()):
        raise Refusal(404, "that image is not judged here")
    thumbnail = desk.library.thumbnails.get(id, SIDE)
    headers = {"ETag": thumbnail.etag, "Cache-Control": "private, max-age=3600"}
    return Response(thumbnail.data, media_type=thumbnail.media_type, headers=headers)


def _shown(desk: Desk, number: int) -> dict[str, Any]:
    """Pictures are named by id alone: a folder's name would tell what to say."""
    pool = desk.judging.pools[number]
    said = desk.judging.judgements(desk.judge, number)
    return {
        "number": number,
        "total": len(desk.judging.pools),
        "judge": desk.judge,
        "query": {"name": pool.query, "id": desk.ids.get(pool.query)},
        "images": [
            {"name": name, "id": desk.ids.get(name), "relevant": said.get(name)}
            for name in pool.images
        ],
    }


def _done(desk: Desk) -> dict[str, Any]:
    qrels, agreed, counts = desk.judging.results()
    relevant = sum(grade > 0 for grades in qrels.values() for grade in grades.values())
    return {
        "number": None,
        "total": len(desk.judging.pools),
        "judge": desk.judge,
        "judgements": counts,
        "images": sum(map(len, qrels.values())),
        "relevant": relevant,
        "agreement": [
            {
                "judges": [a.first, a.second],
                "images": a.images,
                "share": a.share,
                "kappa": a.kappa,
            }
            for a in agreed
        ],
    }
