"""Bodies of requests that a route reads itself: JSON, and forms with files."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from fastapi import Request
from starlette.datastructures import FormData, UploadFile

from lookalike.server.executors import BoundedExecutor
from lookalike.server.responses import HTTPError
from lookalike.server.security.limits import media_type

T = TypeVar("T")

# Keys of one JSON object, and fields of a form.
MAX_KEYS = 100

# Values of one JSON document, as far as the commas between them tell: a megabyte of empty lists takes a
# hundred times as long as a megabyte of text, and no other thread runs meanwhile.
MAX_COMMAS = 50_000

# Bytes of a field of a form that is not a file.
MAX_FIELD_BYTES = 1 << 20


def media_type_of(request: Request) -> str:
    """Return the media type of a request's body, in lower case and without parameters."""
    return media_type(request.headers.get("content-type", ""))


def is_form(request: Request) -> bool:
    """Return whether the body is a form with files."""
    return media_type_of(request) == "multipart/form-data"


async def is_json(request: Request) -> bool:
    """Return whether the body is JSON, whatever its media type: curl calls JSON an urlencoded form."""
    if media_type_of(request) == "application/x-www-form-urlencoded":
        return (await request.body()).lstrip()[:1] == b"{"
    return not is_form(request)


async def read_json(request: Request, executor: BoundedExecutor, check: Callable[[Any], T]) -> T:
    """Return what `check` makes of the JSON document of a body; of no body, of the one without keys.

    It is parsed and checked in a thread of `executor`. `HTTPError` 422 for text that is not JSON, 413 for too
    many values; `ValidationError` and `HTTPError` of `check`.
    """
    body = await request.body()
    return await executor.run(lambda: check(parse_json(body or b"{}")))


def parse_json(sent: str | bytes) -> Any:
    """Return the JSON of a request. An object with too many keys is refused before each key is found to be
    wrong, which takes a hundred times as long as reading it."""
    try:
        text = sent if isinstance(sent, str) else sent.decode()  # to replace bad bytes takes long
        if text.count(",") > MAX_COMMAS:
            raise HTTPError(413, f"too large: JSON has at most {MAX_COMMAS:,} values here")
        return json.loads(text, object_pairs_hook=limited_object)
    except (ValueError, RecursionError):
        raise HTTPError(422, "the request is not valid JSON") from None


def limited_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build a JSON object while parsing; `HTTPError` 413 for too many keys."""
    if len(pairs) > MAX_KEYS:
        raise HTTPError(413, f"{len(pairs)} keys in one object; there are at most {MAX_KEYS}")
    return dict(pairs)


@asynccontextmanager
async def read_form(
    request: Request, *, files: Collection[str], fields: Collection[str] = (), max_files: int
) -> AsyncIterator[FormData]:
    """Yield the form of a request. `HTTPError` 422 for a field or a file of another name."""
    async with request.form(
        max_files=max_files, max_fields=MAX_KEYS, max_part_size=MAX_FIELD_BYTES
    ) as form:
        for name, value in form.multi_items():
            known = files if isinstance(value, UploadFile) else fields
            if name not in known:
                raise HTTPError(422, _unknown(name, value, files, fields))
        yield form


def _unknown(
    name: str, value: UploadFile | str, files: Collection[str], fields: Collection[str]
) -> str:
    if isinstance(value, UploadFile):
        return f"there is no file {name[:40]!r}: send it as `{min(files)}`"
    if name in files:
        return f"`{name}` is a file: send one (with curl: -F {name}=@FILE)"
    if fields:
        field = min(fields)
        return f"there is no field {name[:40]!r}: write it into the JSON of the field `{field}`"
    return f"there is no field {name[:40]!r}; /api/openapi.json lists what this address takes"
