"""Hits on stdout: as a table for people, as JSON, CSV and paths for programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.cli import format, open_library, output

if TYPE_CHECKING:
    from lookalike.query import Hit, Hits, Query, Term

_FIELDS = ("rank", "path", "similarity", "relevance", "metadata")
_EXTRA = ("copies", "orientation", "box", "inliers", "scores_by_space")
"""Fields of a hit that are written only where they say something."""


def write_hits(hits: Hits, format_: str, *, query: Query, null: bool = False) -> None:
    """The hits on stdout in one of the formats."""
    if format_ == "json":
        output.put(output.as_json(document(hits, query)))
    elif format_ == "jsonl":
        for hit in hits.hits:
            output.put(output.as_json(record(hit), indent=None))
    elif format_ == "csv":
        records = [record(hit) for hit in hits.hits]
        fields = [*_FIELDS, *(name for name in _EXTRA if any(name in r for r in records))]
        output.put(output.csv_line(fields))
        for one in records:
            row = {name: one.get(name) for name in fields}
            row["path"] = open_library.unambiguous(one["path"])
            output.put(output.csv_line(output.flatten(row)))
    elif format_ == "paths":
        for hit in hits.hits:
            output.put_path(open_library.display_path(hit.file), null=null)
    elif hits.hits:
        _table(hits)


def document(hits: Hits, query: Query) -> dict[str, Any]:
    """What --format json writes; its keys are a promise to scripts."""
    return {
        "query": asked(query),
        "ranked_by": hits.ranked_by,
        "exact": hits.exact,
        "seconds": {stage: round(seconds, 6) for stage, seconds in hits.seconds.items()},
        "hits": [record(hit) for hit in hits.hits],
    }


def asked(query: Query) -> dict[str, Any]:
    """The question: what hits should be like ("images", "text"), what not, and the filter."""
    found: dict[str, Any] = {}
    for term in query.terms:
        name = "not" if term.weight < 0 else "images" if term.text is None else "text"
        found.setdefault(name, []).append(_named(term))
    if query.where:
        found["where"] = query.where
    return found


def _named(term: Term) -> str:
    weight = "" if abs(term.weight) == 1 else f"{abs(term.weight):g}:"
    if term.text is not None:
        return weight + term.text
    if term.id is not None:
        return f"{weight}id:{term.id}"
    if term.vector is not None:
        return f"{weight}vector"
    return weight + (str(term.image) if isinstance(term.image, Path) else "-")


def record(hit: Hit) -> dict[str, Any]:
    """One hit of --format json, jsonl and csv."""
    extra = {
        "copies": hit.copies,
        "orientation": hit.orientation,
        "inliers": hit.inliers,
        "box": None if hit.box is None else [round(edge, 4) for edge in hit.box],
        "scores_by_space": {name: round(score, 6) for name, score in hit.scores_by_space.items()},
    }
    return {
        "rank": hit.rank,
        "path": hit.path,
        "similarity": round(hit.similarity, 6) + 0.0,
        "relevance": hit.relevance,
        "metadata": dict(hit.metadata),
        **{name: value for name, value in extra.items() if value},
    }


def _table(hits: Hits) -> None:
    columns: list[tuple[str, list[str]]] = [
        ("rank", [str(hit.rank) for hit in hits.hits]),
        ("similarity", [format.similarity(hit.similarity) for hit in hits.hits]),
        ("relevance", [hit.relevance or "" for hit in hits.hits]),
        ("copies", [str(hit.copies or "") for hit in hits.hits]),
        ("orientation", [hit.orientation or "" for hit in hits.hits]),
        ("keypoints", [str(hit.inliers or "") for hit in hits.hits]),
        ("path", [open_library.display_path(hit.file) for hit in hits.hits]),
    ]
    columns = [(title, cells) for title, cells in columns if any(cells)]
    rows = [list(row) for row in zip(*(cells for _, cells in columns), strict=True)]
    right = "".join(
        "r" if t in ("rank", "similarity", "copies", "keypoints") else "l" for t, _ in columns
    )
    output.table([title for title, _ in columns], rows, right=right, stretch=-1)
    among = format.counted(hits.searched_count, "picture")
    took = format.duration(hits.seconds.get("total", 0.0))
    how = f" ({hits.similarity})" if hits.similarity else ""
    output.aside(f"{among} compared by {hits.ranked_by}{how} in {took}")
