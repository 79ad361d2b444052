"""The judging page as an application of its own, for this machine only, with the security of the server."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi import Path as PathParam
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from lookalike.errors import LookalikeError, Outcome
from lookalike.evaluation.relevance_judgements import JudgementFile
from lookalike.library import Library
from lookalike.server.responses import HTTPError, JSONResponse, handle_error
from lookalike.server.run import run_app
from lookalike.server.security.limits import RateLimiter
from lookalike.server.security.middleware import SecurityMiddleware
from lookalike.server.settings import Settings
from lookalike.server.static_files import static_file
from lookalike.wire.evaluation import judgements_document

PAGE = Path(__file__).parent / "page"

# Longer side of the images that are shown, in pixels.
IMAGE_SIDE = 512

router = APIRouter()


@dataclass(frozen=True, eq=False)
class JudgingSession:
    """The judgements of one judge. `ids`: of the library's images, by their names in the judgements."""

    library: Library
    judging: JudgementFile
    judge: str
    ids: Mapping[str, int]

    @classmethod
    def of(cls, library: Library, judging: JudgementFile, judge: str) -> JudgingSession:
        """Return the session of a judge. Images that the library does not have any more cannot be judged; the
        page says so."""
        with library.snapshot() as snapshot:
            roots = {root.id: root.path for root in snapshot.roots()}
            ids: dict[str, int] = {}
            for image in snapshot.iter_files(outcomes={Outcome.INDEXED}):
                ids.setdefault(image.path, image.id)
                # Its name if two roots have the same path.
                ids[os.fspath(roots[image.root] / image.path)] = image.id
        names = {name for pool in judging.pools for name in (pool.query, *pool.images)}
        return cls(library, judging, judge, {name: ids[name] for name in names if name in ids})


class Judgement(BaseModel, extra="forbid"):
    """One judgement. `relevant`: null removes it."""

    query: Annotated[str, Field(max_length=4096)]
    image: Annotated[str, Field(max_length=4096)]
    relevant: bool | None


def session_of(request: Request) -> JudgingSession:
    """Return the judging session of the application."""
    session: JudgingSession = request.app.state.session
    return session


Session = Annotated[JudgingSession, Depends(session_of)]


def create_judging_app(session: JudgingSession, settings: Settings) -> FastAPI:
    """Return an ASGI application; library and judgements belong to the caller."""
    errors: tuple[int | type[Exception], ...] = (
        HTTPError, LookalikeError, RequestValidationError, HTTPException,
    )  # fmt: skip
    app = FastAPI(
        title="Judging",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        exception_handlers=dict.fromkeys(errors, handle_error),
    )
    app.state.session = session
    app.include_router(router)
    app.add_middleware(
        SecurityMiddleware, settings=settings, rate_limiter=RateLimiter(settings.rate)
    )
    return app


def serve(
    session: JudgingSession, sock: socket.socket, settings: Settings, *, ready: Callable[[], None]
) -> None:
    """Answer requests on the socket until a signal. `ready` is called once connections are accepted."""
    run_app(create_judging_app(session, settings), sock, ready)


@router.get("/")
def index(request: Request) -> Response:
    """Return the judging page."""
    return static_file(request, PAGE, "index.html")


@router.get("/page/{name}")
def file(request: Request, name: str) -> Response:
    """Return a file of the judging page."""
    return static_file(request, PAGE, name)


@router.get("/api/judging/next")
def next_query(session: Session) -> Response:
    """The next query that this judge has not finished, or the results."""
    number = session.judging.next(session.judge)
    return JSONResponse(results(session) if number is None else query_state(session, number))


@router.get("/api/judging/queries/{number}")
def query(session: Session, number: Annotated[int, PathParam(ge=0)]) -> Response:
    """A query by its number."""
    if number >= len(session.judging.pools):
        raise HTTPError(404, "there is no such query")
    return JSONResponse(query_state(session, number))


@router.post("/api/judging/judgements")
def judge(session: Session, sent: Judgement) -> Response:
    """Store a judgement."""
    session.judging.add(session.judge, sent.query, sent.image, sent.relevant)
    return JSONResponse({"stored": True})


@router.post("/api/judging/undo")
def undo(session: Session) -> Response:
    """Remove the last judgement and return its query."""
    number = session.judging.undo(session.judge)
    if number is None:
        raise HTTPError(409, "there is no judgement to undo")
    return JSONResponse(query_state(session, number))


@router.get("/api/judging/images/{id}")
def image(session: Session, id: Annotated[int, PathParam(ge=1, le=2**63 - 1)]) -> Response:
    """A thumbnail of an image."""
    if id not in set(session.ids.values()):
        raise HTTPError(404, "that image is not judged here")
    thumbnail = session.library.thumbnails.get(id, IMAGE_SIDE)
    headers = {"ETag": thumbnail.etag, "Cache-Control": "private, max-age=3600"}
    return Response(thumbnail.data, media_type=thumbnail.media_type, headers=headers)


def query_state(session: JudgingSession, number: int) -> dict[str, Any]:
    """Return a query and its images. The page shows no names: a folder's name would give the answer away."""
    pool = session.judging.pools[number]
    said = session.judging.judgements(session.judge, number)
    return {
        "number": number,
        "total": len(session.judging.pools),
        "judge": session.judge,
        "query": {"name": pool.query, "id": session.ids.get(pool.query)},
        "images": [
            {"name": name, "id": session.ids.get(name), "relevant": said.get(name)}
            for name in pool.images
        ],
    }


def results(session: JudgingSession) -> dict[str, Any]:
    """Return what was judged, and how far the judges agree."""
    return {
        **judgements_document(session.judging),
        "number": None,
        "total": len(session.judging.pools),
        "judge": session.judge,
    }
