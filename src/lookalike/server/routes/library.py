"""Routes that change the library: pictures added and removed, what that would cost, and how it goes."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.datastructures import UploadFile
from starlette.responses import Response, StreamingResponse

from lookalike.server.app_state import Here, Server
from lookalike.server.errors import Json, Refusal, as_json
from lookalike.server.jobs.changes import Kind, State
from lookalike.server.library_paths import Named, below_roots
from lookalike.server.openapi import ADDING, described
from lookalike.server.routes.images import Id, one
from lookalike.server.routes.search import MOST_FILES, parsed
from lookalike.server.security.redact import without_places
from lookalike.wire import schemas

router = APIRouter(tags=["changes"])

NEW_PICTURES = "Uploads"
"""The folder below the first root that gets pictures which are sent."""

PATIENCE = 5.0
"""Seconds that a request waits for a promise; then it is told to come again."""

FRESH_SECONDS = 30.0
"""That a promise holds: whoever was told to come again does so within two; then files may have changed."""

MOST_LISTENING = 100
"""Visitors of one process who are told as events how a change goes."""

MOST_STARS = 4
"""Of a pattern: each may stand for any part of a name, so the ways to try multiply with them."""


def bearable(glob: str) -> str:
    """A pattern that is soon compared with a name."""
    if len(re.findall(r"\*+", glob)) > MOST_STARS:
        raise ValueError(f"a pattern has at most {MOST_STARS} stars")
    return glob


Glob = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(bearable)]

ENDINGS = {"jpeg": ".jpg", "png": ".png", "gif": ".gif", "bmp": ".bmp", "webp": ".webp"} | {
    "tiff": ".tif", "avif": ".avif", "heic": ".heic",
}  # fmt: skip


class Folders(BaseModel):
    """What to index: folders and files below the library's roots, none for all of them; and how, in the
    words of `IndexOptions`."""

    model_config = ConfigDict(extra="forbid")

    paths: list[Named] = Field([], max_length=1000)
    include: list[Glob] = Field([], max_length=100, description="Only files that match.")
    exclude: list[Glob] = Field([], max_length=100, description="Leave out files that match.")
    retry_failed: bool = Field(False, description="Try files again that failed before.")
    sidecars: bool = Field(True, description="Read files beside the pictures.")
    ann: bool = Field(True, description="Build an index where a space is large.")

    def words(self, places: Sequence[Path]) -> dict[str, Any]:
        """What the process is told that does it."""
        paths = list(dict.fromkeys(map(os.fspath, places)))
        return {"paths": paths, "options": self.model_dump(exclude={"paths"})}


class Cost(BaseModel):
    """Of what indexing the cost is asked for."""

    model_config = ConfigDict(extra="forbid")

    path: list[Named] = Field([], max_length=100)
    include: list[Glob] = Field([], max_length=100, description="Only files that match.")
    exclude: list[Glob] = Field([], max_length=100, description="Leave out files that match.")
    retry_failed: bool = Field(False, description="Try files again that failed before.")
    sample: int = Field(128, ge=1, le=1000, description="Pictures that are tried.")


def must_write(server: Server) -> None:
    """`Refusal` 403 where the server only reads."""
    if not server.settings.writable or server.library.read_only:
        raise Refusal(403, "this server only reads: start it with --writable to change the library")


@router.post("/api/images", openapi_extra=ADDING, **described(schemas.Change, status=202))
async def add(server: Here, request: Request) -> Response:
    """Index again (`{"paths": […]}`, or nothing for all folders of the library), or add pictures that are
    sent as files named `picture`, which are kept in the folder Uploads of the library. The answer comes
    at once; GET /api/indexing tells how it goes, of this run alone with the `ticket` of the answer."""
    must_write(server)
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        async with request.form(max_files=MOST_FILES, max_fields=0) as form:
            sent = [
                (part.filename or "", await part.read())
                for name, part in form.multi_items()
                if name == "picture" and isinstance(part, UploadFile)
            ]
        if not sent:
            raise Refusal(422, "send pictures as files named `picture`")
        paths = [await server.lanes.pictures.run(lambda s=s: store(server, *s)) for s in sent]  # type: ignore[misc]
        folders, places = Folders.model_validate({}), [path.parent for path in paths]
    else:
        body = (await request.body()).decode("utf-8", "replace")
        folders = Folders.model_validate(parsed(body or "{}"))
        places = await server.lanes.quick.run(lambda: below_roots(server, folders.paths))
    return await asked(server, "indexing", folders.words(places))


@router.get("/api/promise", **described(schemas.IndexEstimate, slow=True))
async def estimate(server: Here, cost: Annotated[Cost, Query()]) -> Response:
    """What POST /api/images would cost, from a timed sample; nothing is written. It takes some seconds to
    minutes: until it is done, the answer is 202 with `"running": true`: ask again. Only where pictures
    may be added: it reads folders that a visitor of a library that is only read has no business in."""
    must_write(server)
    places = await server.lanes.quick.run(lambda: below_roots(server, cost.path))
    words = {
        "paths": [os.fspath(place) for place in places],
        "options": cost.model_dump(exclude={"path", "sample"}),
        "sample": cost.sample,
    }
    found = await server.remembered.get(
        ("promise", json.dumps(words)),
        lambda: server.apart.run("promise", words),
        patience=PATIENCE,
        fresh=FRESH_SECONDS,
    )
    if found is None:
        nothing = dict.fromkeys(schemas.IndexEstimate.model_fields, 0)
        return Json({**nothing, "running": True}, 202, {"Retry-After": "2"})
    return Json({**asdict(found), "running": False})


@router.get("/api/indexing", **described(schemas.Change))
async def indexing(
    server: Here,
    ticket: Annotated[str, Query(max_length=64)] = "",
    accept: Annotated[str, Header()] = "",
) -> Response:
    """How the last change goes that takes long (pictures that are indexed, vectors that come in, indexes),
    or the one that `ticket` was given for. With `Accept: text/event-stream`, as events until it ends."""
    state = await server.lanes.quick.run(lambda: told(server, server.changes.state(ticket)))
    if "text/event-stream" in accept:
        return StreamingResponse(events(server, ticket), media_type="text/event-stream")
    return Json(state)


@router.delete("/api/images/{id}", **described(schemas.Forgotten))
async def remove(server: Here, id: Id) -> Response:
    """Forget an image. Its file stays where it is; indexing its folder again finds it again."""
    must_write(server)

    def work() -> int:
        with server.library.snapshot() as snapshot:
            image, root = one(snapshot, id)
        return server.library.remove([root / image.path])

    return Json({"forgotten": await server.lanes.writing.run(work)})


async def asked(
    server: Server, kind: Kind, words: Mapping[str, Any], *, scratch: Path | None = None
) -> Response:
    """The answer to a change that is asked for and takes long."""
    state = await server.lanes.quick.run(
        lambda: told(server, server.changes.ask(kind, words, scratch=scratch))
    )
    return Json(state, 202)


def told(server: Server, state: State) -> dict[str, Any]:
    document = asdict(state)
    if server.settings.private:
        document = without_places(server.library, document)
    return document


async def events(server: Server, ticket: str) -> AsyncIterator[bytes]:
    """What is told until the change ends; once where many listen already: browsers come again by
    themselves, and connections are few."""
    many = server.listening.count >= MOST_LISTENING
    before: dict[str, Any] = {}
    server.listening.count += 1
    try:
        while True:
            state = await server.lanes.quick.run(lambda: told(server, server.changes.state(ticket)))
            if state != before:
                yield b"data: " + as_json(state) + b"\n\n"
            if many or not state["running"]:
                return
            before = state
            await asyncio.sleep(0.5)
    finally:
        server.listening.count -= 1


def store(server: Server, name: str, data: bytes) -> Path:
    """Keep a picture as a file below the first root; `ImageError` where it is none."""
    upload = server.uploads.add(data)
    home = below_roots(server, [])[0] / NEW_PICTURES
    stem = (
        re.sub(r"[^\w -]+", "-", Path(name.replace("\\", "/")).stem).strip(" -_")[:80] or "picture"
    )
    try:
        home.mkdir(exist_ok=True)
        if home.is_symlink():
            raise Refusal(403, f"the folder {NEW_PICTURES} is a link: it may lead anywhere")
        for number in range(1, 10_000):
            counted = stem if number == 1 else f"{stem} {number}"
            file = home / (counted + ENDINGS[upload.format])
            if written(file, data):
                return file
    except OSError as error:
        raise Refusal(
            507, f"the picture cannot be kept: {(error.strerror or '').lower()}"
        ) from None
    raise Refusal(409, f"there are too many pictures called {stem} already")


def written(file: Path, data: bytes) -> bool:
    """True if the file now holds these bytes and no others; it is never overwritten."""
    try:
        with file.open("xb") as out:
            out.write(data)
            os.fsync(out.fileno())
    except FileExistsError:
        return file.is_file() and file.stat().st_size == len(data) and file.read_bytes() == data
    except OSError:
        file.unlink(missing_ok=True)
        raise
    return True
