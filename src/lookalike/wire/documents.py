"""JSON documents that differ from the dataclass that they represent.

All other dataclasses (`IndexReport`, `IndexEstimate`, `Index` …) are written field by field.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lookalike.duplicates.report import Duplicates, Group, Member
from lookalike.query import Hit, Hits
from lookalike.stores.records import Image, Space
from lookalike.wire.codec import Document


def modified(image: Image) -> str | None:
    """Return when a file was changed last, ISO 8601 in UTC; None for a date outside the calendar."""
    try:
        seconds = image.mtime_ns / 1e9
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return None


def mtime_ns(document: Mapping[str, Any]) -> int:
    """Return the time of `modified` in nanoseconds, 0 where it is not known."""
    text = document.get("mtime")
    return round(datetime.fromisoformat(text).timestamp()) * 10**9 if text else 0


# Clients do not learn the folder of a root: a hit and an image have their path below it.
HIT = Document(Hit, omit={"root": lambda _: Path()})
HITS = Document(Hits)
RESPONSE_HEAD = Document(Hits, omit={"hits": lambda _: ()})

IMAGE = Document(
    Image,
    omit={"root": lambda _: 0, "hash": lambda _: None, "facts": lambda _: {}, "mtime_ns": mtime_ns},
    computed={"mtime": (str | None, modified)},
)
WHOLE_IMAGE = Document(
    Image,
    name="WholeImage",
    omit={"root": lambda _: 0, "mtime_ns": mtime_ns},
    computed={"mtime": (str | None, modified)},
)

MEMBER = Document(
    Member,
    omit={
        "file": lambda document: Path(document["path"]),
        "links": lambda document: (Path(document["path"]),) if document.get("spare") else (),
    },
    digits={"similarity": 6},
    flatten={"image": IMAGE},
)
GROUP = Document(
    Group, computed={"reclaimable_bytes": (int, lambda group: group.reclaimable_bytes)}
)
DUPLICATES = Document(Duplicates, digits={"seconds": 6})

# Arrays fitted on the library's images stay on the server.
SPACE = Document(Space, omit={"fitted": lambda _: None})
