"""What is known of a picture in words and numbers, from three sources.

facts     what the file says of itself (see `images.facts`), kept by the content
sidecar   files beside the picture
metadata  a table that the user gave

Where several name the same thing, the later in this list goes first: a table was written on purpose
and last, a file's own words often by a camera. A null says nothing, so it hides nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from lookalike.errors import UsageError
from lookalike.images.metadata.facts import Facts
from lookalike.stores.local.path_encoding import plain_text

if TYPE_CHECKING:
    from lookalike.stores.filters import Value

CAPTION_NAMES = ("caption", "description", "text")
"""Names of metadata that hold the caption, the first that has a text."""

MAX_DEPTH = 8
"""Of objects and lists in metadata. What lies deeper is kept and shown, not searched."""

DETAILS = ("taken", "camera", "lens", "latitude", "longitude", "caption", "keywords")
_DETAILS = attrgetter(*DETAILS)


def details(facts: Facts) -> str | None:
    """JSON of what a file says beyond its size and format; None if nothing."""
    values = zip(DETAILS, _DETAILS(facts), strict=True)
    found = {name: value for name, value in values if value is not None and value != ()}
    return json.dumps(found) if found else None


def json_of(values: Mapping[str, Any]) -> str:
    """ASCII JSON: SQLite reads its escapes, and it can hold any str that Python can. `UsageError`."""
    try:
        return json.dumps(dict(values), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"metadata must be JSON values without NaN or infinity: {error}"
        ) from error


def merged(sidecar: str | None, metadata: str | None) -> dict[str, Any]:
    """The metadata of a picture as it is shown, of the JSON of both sources."""
    below: dict[str, Any] = json.loads(sidecar) if sidecar else {}
    if not metadata:
        return below
    above = json.loads(metadata)
    return below | {k: v for k, v in above.items() if v is not None or k not in below}


def fields(facts: str | None, given: Mapping[str, Any]) -> dict[str, list[Value]]:
    """Every value of every field: objects become names with dots, lists several values."""
    found: dict[str, list[Value]] = {}
    for key, value in given.items():
        name = plain_text(key)
        if type(value) is str and name not in found:  # nearly all of them; this runs a lot
            found[name] = [value]
            continue
        for path, plain in _plain(name, value, 0):
            found.setdefault(path, []).append(plain)
    for name, value in (json.loads(facts) if facts else {}).items():
        if name not in found:
            found[name] = value if isinstance(value, list) else [value]
    caption = caption_of(given)
    if caption:
        found["caption"] = [caption]
    return found


def caption_of(given: Mapping[str, Any]) -> str:
    """The caption that metadata holds, "" if none."""
    texts = (given.get(name) for name in CAPTION_NAMES)
    return next((text for text in texts if isinstance(text, str) and text.strip()), "")


def _plain(name: str, value: Any, depth: int) -> Iterator[tuple[str, Value]]:
    if depth > MAX_DEPTH:
        return
    if isinstance(value, bool):
        yield name, float(value)
    elif isinstance(value, str):
        yield name, value
    elif isinstance(value, (int, float)):
        yield name, _number(value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _plain(plain_text(f"{name}.{key}"), inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _plain(name, inner, depth + 1)


def _number(value: int | float) -> Value:
    try:
        return float(value)
    except OverflowError:  # JSON may hold an int of any length
        return str(value)
