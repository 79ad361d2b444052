"""The route that turns images and texts into vectors, for other programs."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.datastructures import UploadFile
from starlette.responses import Response

from lookalike.server.app_state import AppState, State
from lookalike.server.bodies import is_json, parse_json, read_form, read_json
from lookalike.server.openapi import json_body, responses
from lookalike.server.query_params import KNOWN_PARAMETERS
from lookalike.server.responses import HTTPError, JSONResponse
from lookalike.wire import encode
from lookalike.wire.http import EmbedResponse

router = APIRouter(tags=["vectors"])

MAX_FILES = 1000
"""Files of a form that are read; `Settings.max_batch` is the limit that is told."""


class EmbedRequest(BaseModel, extra="forbid"):
    """Images (base64, also as data: URLs) and texts; `extractor` is one of the library's."""

    images: list[str] = Field(default_factory=list)
    texts: list[str] = Field(default_factory=list)
    extractor: str | None = Field(default=None, max_length=200)


@router.post(
    "/api/embed",
    openapi_extra=json_body(EmbedRequest),
    dependencies=[KNOWN_PARAMETERS],
    **responses(EmbedResponse),
)
async def embed(state: State, request: Request) -> Response:
    """Vectors of images and texts, as an extractor of the library makes them; nothing is stored. As JSON, or
    as a form: files named `image`, and the rest as JSON in the field `query`."""
    sent: list[bytes] = []
    quick = state.executors.quick
    if await is_json(request):
        wanted = await read_json(request, quick, lambda document: check(state, document))
    else:
        form = read_form(request, files=["image"], fields=["query"], max_files=MAX_FILES)
        async with form as parts:
            text = str(parts.get("query", "{}"))
            files = [one for one in parts.getlist("image") if isinstance(one, UploadFile)]
            wanted = await quick.run(lambda: check(state, parse_json(text), len(files)))
            sent = [await one.read() for one in files]
    answer = await state.executors.slow.run(lambda: answer_of(state, wanted, sent))
    return JSONResponse(encode(answer))


def check(state: AppState, document: Any, files: int = 0) -> EmbedRequest:
    """Return the request. `HTTPError` 413 for too many images and texts, 422 for none."""
    if not isinstance(document, dict):
        raise HTTPError(422, 'the body is JSON: {"images": ["<base64>"], "texts": ["a boat"]}')
    lists = [document.get(name) for name in ("images", "texts")]
    count = files + sum(len(one) for one in lists if isinstance(one, list))
    limit = state.settings.max_batch
    if count > limit:
        raise HTTPError(413, f"{count} images and texts; one request has at most {limit}")
    if not count:
        raise HTTPError(422, "nothing to embed: send `images` (base64), `texts`, or files `image`")
    return EmbedRequest.model_validate(document)


def answer_of(state: AppState, wanted: EmbedRequest, sent: Sequence[bytes]) -> EmbedResponse:
    """Return the vectors; blocks. `HTTPError` 422 for what is not base64."""
    images = [*sent, *(bytes_of(n, one) for n, one in enumerate(wanted.images, start=1))]
    made = state.library.embed(
        images, text=wanted.texts, extractor=state.stored_name(wanted.extractor)
    )
    return EmbedResponse(
        extractor=made.extractor,
        revision=made.revision,
        similarity=made.similarity,
        dim=made.images.shape[1],
        images=tuple(map(tuple, np.asarray(made.images, float).tolist())),
        texts=tuple(map(tuple, np.asarray(made.texts, float).tolist())),
    )


def bytes_of(number: int, text: str) -> bytes:
    """Return the bytes of an image in base64, or in a data: URL."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode("".join(text.split()), validate=True)  # `base64` writes lines
    except (binascii.Error, ValueError):
        raise HTTPError(
            422, f"image {number} is not base64: encode the bytes of its file"
        ) from None
