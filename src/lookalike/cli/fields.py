"""The fields of a library, for `lookalike info --fields`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lookalike.cli import format, output

if TYPE_CHECKING:
    from lookalike.library import Library
    from lookalike.stores.filters import FieldStats, Value
    from lookalike.stores.interface import Snapshot

_SAMPLE = 50
"""Images whose metadata tells whether 0 and 1 are truth values."""

_TYPES = {"mixed": "number and text", "none": ""}


def put_fields(library: Library, format_: str) -> None:
    """Print name, type, count and examples of every field that a filter can use."""
    with library.snapshot() as snapshot:
        records = [_record(snapshot, *one) for one in snapshot.fields().items()]
    if format_ == "json":
        output.put(output.as_json({"fields": records}))
        return
    rows = [
        (
            record["name"],
            _TYPES.get(record["type"], record["type"]),
            format.number(record["images"]),
            ", ".join(map(_shown, record["examples"])),
        )
        for record in records
    ]
    output.table(("field", "type", "images", "examples"), rows, right="llrl", prose=-1)


def _record(snapshot: Snapshot, name: str, facts: FieldStats) -> dict[str, Any]:
    from lookalike.stores.filters import quote_field

    kind: str = facts.kind
    examples: list[Any] = [_plain(value) for value in facts.examples]
    if kind == "number" and {*examples} <= {0, 1} and _is_boolean(snapshot, name):
        kind, examples = "boolean", [value == 1 for value in examples]
    return {
        "name": quote_field(name),
        "type": kind,
        "images": facts.images,
        "low": _plain(facts.low),
        "high": _plain(facts.high),
        "examples": examples,
    }


def _plain(value: Value | None) -> Value | None:
    """Return 3.0 as 3."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _is_boolean(snapshot: Snapshot, name: str) -> bool:
    """Return whether metadata has true and false under this name, not 1 and 0."""
    from lookalike.stores.filters import quote_field

    ids = snapshot.select(f"{quote_field(name)} is not null")[:_SAMPLE].tolist()
    values = [_value(image.metadata, name) for image in snapshot.images(ids).values()]
    return bool(values) and all(isinstance(value, bool) for value in values)


def _value(metadata: Mapping[str, Any], name: str) -> Any:
    """Return the value under a name, which may lead through objects: "size.width"."""
    if name in metadata or "." not in name:
        return metadata.get(name)
    first, _, rest = name.partition(".")
    inner = metadata.get(first)
    return _value(inner, rest) if isinstance(inner, dict) else None


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{output.shorten(value, 30, end=True)}'" if isinstance(value, str) else str(value)
