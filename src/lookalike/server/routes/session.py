"""The route by which the page exchanges the token for a cookie."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from lookalike.server.app_state import State
from lookalike.server.errors import HTTPError
from lookalike.server.openapi import responses
from lookalike.server.responses import JSONResponse
from lookalike.server.security import auth
from lookalike.wire import encode
from lookalike.wire.http import Session

router = APIRouter(tags=["operation"])


class Credentials(BaseModel):
    """The token."""

    model_config = ConfigDict(extra="forbid")

    token: str = Field(max_length=1000)


@router.post("/api/session", **responses(Session))
async def create(state: State, request: Request, sent: Credentials) -> Response:
    """Send the token; the response sets the cookie that every later request needs."""
    token = state.settings.token
    if token is None:
        return JSONResponse(encode(Session(authenticated=True)))
    valid = auth.tokens_equal(sent.token, token)
    client = request.client.host if request.client else ""
    request.app.state.rate_limiter.check_token(client, state.settings, valid=valid)
    if not valid:
        raise HTTPError(401, "the token is wrong: it was shown when the server started")
    port = (request.scope.get("server") or ("", 0))[1] or 0
    secure = request.url.scheme == "https"
    headers = {"Set-Cookie": auth.cookie(token, port, secure=secure)}
    return JSONResponse(encode(Session(authenticated=True)), headers=headers)
