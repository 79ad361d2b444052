"""JSON responses."""

from __future__ import annotations

import json
import math
from typing import Any

from starlette.responses import Response


class JSONResponse(Response):
    """A JSON document. Any value that a library can hold becomes valid JSON: file names that are not valid
    Unicode, and numbers that JSON does not have."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return to_json(content)


def to_json(content: Any) -> bytes:
    """Return JSON as pure ASCII: lone surrogates, which stand for undecodable bytes in file names, cannot be
    encoded in UTF-8."""
    try:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")
    except ValueError:
        content = replace_non_finite(content)
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


def replace_non_finite(value: Any) -> Any:
    """Return the value with null in place of NaN and infinity."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: replace_non_finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [replace_non_finite(part) for part in value]
    return value
