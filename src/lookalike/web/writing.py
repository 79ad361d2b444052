"""Routes that change the library: pictures added and removed."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from lookalike.web import schemas
from lookalike.web.looking import Id, one
from lookalike.web.refusals import Json, Refusal
from lookalike.web.schemas import described
from lookalike.web.server import Here, Server

router = APIRouter(tags=["changes"])


def must_write(server: Server) -> None:
    """`Refusal` 403 where the server only reads."""
    if not server.settings.writable:
        raise Refusal(403, "this server only reads: start it with --writable to change the library")


@router.delete("/api/images/{id}", **described(schemas.Forgotten))
async def remove(server: Here, id: Id) -> Response:
    """Forget an image. Its file stays where it is; indexing its folder again finds it again."""
    must_write(server)

    def work() -> int:
        with server.library.view() as view:
            image, root = one(view, id)
        return server.library.remove([root / image.path])

    return Json({"forgotten": await server.lanes.writing.run(work)})
