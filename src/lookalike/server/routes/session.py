"""The route by which a page shows the token once and is known from then on."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from lookalike.server.app_state import Here
from lookalike.server.errors import Json, Refusal
from lookalike.server.openapi import described
from lookalike.server.security import auth
from lookalike.wire import schemas

router = APIRouter(tags=["operation"])


class HitFields(BaseModel):
    model_config = ConfigDict(extra="forbid")

    token: str = Field(max_length=1000)


@router.post("/api/session", **described(schemas.Session))
async def enter(server: Here, request: Request, shown: HitFields) -> Response:
    """Show the token; the answer sets the cookie that every later request needs."""
    token = server.settings.token
    if token is None:
        return Json({"entered": True})
    right = auth.same(shown.token, token)
    client = request.client.host if request.client else ""
    if refusal := request.app.state.rates.shown(client, server.settings, right=right):
        raise refusal
    if not right:
        raise Refusal(401, "the token is wrong: it was shown when the server started")
    port = (request.scope.get("server") or ("", 0))[1] or 0
    secure = request.url.scheme == "https"
    return Json({"entered": True}, headers={"Set-Cookie": auth.cookie(token, port, secure=secure)})
