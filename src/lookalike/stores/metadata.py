"""Metadata of an image, merged from three sources, and what filters and text search see of it.

facts     what the file says about itself (`images.metadata`), stored with the content
sidecar   files beside the image
metadata  a table that the user gave

Where several name the same field, the later one in this list wins: a table is written on purpose and last,
the file's own text often by a camera. A null has no effect, so it hides nothing.

Every store keeps the three as JSON text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from lookalike.errors import Outcome, UsageError
from lookalike.files import compose
from lookalike.images.metadata.facts import OCR_FIELDS, Facts
from lookalike.stores.filter_semantics import comparable
from lookalike.stores.filters import Value, exact_number
from lookalike.stores.records import Image, MetadataSources
from lookalike.stores.text_analysis import tokens

if TYPE_CHECKING:
    from lookalike.stores.filters import Value

CAPTION_NAMES = ("caption", "description", "text")
"""Metadata fields that hold the caption; the first one with a text wins."""

MAX_DEPTH = 8
"""Nesting of objects and lists in metadata. What is deeper is stored and shown, but not searched."""

FACT_FIELDS = (
    *("taken", "camera", "lens", "latitude", "longitude", "caption", "keywords", "frames", "note"),
    *("rating", "color_label", "people", "hierarchical_keywords", "exposure"),
    *OCR_FIELDS,
)
"""The fields that hold facts of a file. `frames` is stored where there is more than one."""

_fact_values = attrgetter(*FACT_FIELDS)


def facts_json(facts: Facts) -> str | None:
    """Return as JSON what a file says beyond its size and format; None if it says nothing."""
    values = zip(FACT_FIELDS, _fact_values(facts), strict=True)
    found = {name: value for name, value in values if value is not None and value != ()}
    if facts.frames == 1:
        del found["frames"]
    return json.dumps(found) if found else None


def metadata_json(values: Mapping[str, Any]) -> str:
    """Return metadata as ASCII JSON, which SQLite can read and which holds any Python string.

    Raises `UsageError` for values that are not JSON, and for NaN and infinity.
    """
    try:
        return json.dumps(dict(values), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"metadata must be JSON values without NaN or infinity: {error}"
        ) from error


def update_json(before: str | None, values: Mapping[str, Any]) -> str:
    """Return metadata as JSON, with what it was before (JSON) under names that it lacks or has as None."""
    new = metadata_json(values)
    return json.dumps(merge(before, new)) if before else new


def metadata_sources(mark: str | None, sidecar: str | None, table: str | None) -> MetadataSources:
    """Return the sources of an image's metadata, from JSON."""
    return MetadataSources(
        mark or "", json.loads(sidecar) if sidecar else {}, json.loads(table) if table else {}
    )


def merge(sidecar: str | None, metadata: str | None) -> dict[str, Any]:
    """Return the metadata of an image as it is shown, from the JSON of a sidecar and of a table."""
    below: dict[str, Any] = json.loads(sidecar) if sidecar else {}
    if not metadata:
        return below
    above = json.loads(metadata)
    return below | {k: v for k, v in above.items() if v is not None or k not in below}


def field_values(facts: str | None, metadata: Mapping[str, Any]) -> dict[str, list[Value]]:
    """Return all values of all fields, from facts (JSON) and merged metadata.

    Objects become names with dots, lists several values; true and false become 1 and 0. Names and texts are
    as filters compare them (`filter_semantics.comparable`).
    """
    found: dict[str, list[Value]] = {}
    for key, value in metadata.items():
        name = compose(plain_text(key))
        if type(value) is str and name not in found:  # the usual case; this is a hot loop
            found[name] = [comparable(value)]
            continue
        for path, plain in _flatten(name, value, 0):
            found.setdefault(path, []).append(plain)
    for name, value in (json.loads(facts) if facts else {}).items():
        if name not in found:
            several = value if isinstance(value, list) else [value]
            found[name] = [comparable(one) if isinstance(one, str) else one for one in several]
    caption = _caption(metadata)
    if caption:
        found["caption"] = [compose(caption)]
    return found


def plain_text(text: str) -> str:
    """Return text that any database can hold: lone surrogates (from file names) become escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _caption(metadata: Mapping[str, Any]) -> str:
    texts = (metadata.get(name) for name in CAPTION_NAMES)
    return next((text for text in texts if isinstance(text, str) and text.strip()), "")


def _flatten(name: str, value: Any, depth: int) -> Iterator[tuple[str, Value]]:
    if depth > MAX_DEPTH:
        return
    if isinstance(value, bool):
        yield name, float(value)
    elif isinstance(value, str):
        yield name, comparable(value)
    elif isinstance(value, (int, float)):
        yield name, _number(value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _flatten(compose(plain_text(f"{name}.{key}")), inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _flatten(name, inner, depth + 1)


def _number(value: int | float) -> Value:
    try:
        return exact_number(value)
    except OverflowError:  # JSON may hold an integer of any length
        return str(value)


WEIGHTS = (4.0, 4.0, 2.0, 1.0)
"""Weights of what `searchable_texts` returns: caption, keywords, other texts, and the path."""

_NOT_OTHER_TEXT = frozenset(
    {"caption", "keywords", "taken", "camera", "lens", "exposure", "note", "color_label"}
    | {"ocr_outcome"}
)
"""Fields that are not "other texts": they have weights of their own, or cameras or this program write them,
for filters."""


def searchable_texts(
    path: str, facts: str | None, metadata: Mapping[str, Any]
) -> tuple[str, str, str, str] | None:
    """Return the tokens, divided by blanks, of caption, keywords, other texts and path of an image.

    None if only the path has words.

    facts     JSON
    metadata  merged (`stores.metadata.merge`)
    """
    values = field_values(facts, metadata)
    captions = values.get("caption", ())
    caption = _join(captions)
    keywords = _join(values.get("keywords", ()))
    others = _join(
        value
        for name, several in values.items()
        for value in several
        if name not in _NOT_OTHER_TEXT and value not in captions
    )
    if not (caption or keywords or others):
        return None
    return caption, keywords, others, " ".join(tokens(path))


def _join(values: Iterable[Value]) -> str:
    return " ".join(tokens(" ".join([v for v in values if isinstance(v, str)])))


OUTCOMES = {outcome.value: outcome for outcome in Outcome}
"""Takes a third of the time of Enum's own look-up, which every image that is read would need."""


def image_of(
    file: Sequence[Any],
    path: str,
    reason: str,
    color: str | None,
    facts: str | None,
    sidecar: str | None,
    table: str | None,
) -> Image:
    """Return an image from stored values.

    file          id, root, path, size, mtime_ns, hash, outcome, reason, width, height and format
    path, reason  the same two, decoded
    """
    id, root, _, size, mtime_ns, hash, outcome, _, width, height, form = file
    return Image(
        *(id, root, path, size, mtime_ns, hash, OUTCOMES[outcome], reason, width, height, form),
        merge(sidecar, table),
        {} if facts is None else json.loads(facts),
        color,
    )
