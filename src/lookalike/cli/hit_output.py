"""Hits on standard output: as a table for people, as JSON, CSV and paths for programs.

All formats are made from the fields of `Hit`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.cli import format, open_library, output
from lookalike.query import Hit, Hits

if TYPE_CHECKING:
    from lookalike.query import Query, Stage, Term

_ALWAYS = ("rank", "path", "score", "similarity", "relevance", "metadata")
_HIDDEN = ("id", "root", "width", "height", "dominant_color")
_FIELDS = [field for field in fields(Hit) if field.name not in _HIDDEN]
"""Fields in the output; those that are not in `_ALWAYS` are left out where they are empty."""

_TITLES = {"inliers": "keypoints", "matched_in": "found in"}
_NOT_IN_TABLE = ("path", "metadata", "box", "scores_by_space")


def write_hits(hits: Hits, format_: str, *, query: Query, null: bool = False) -> None:
    """Write hits to standard output in one of the formats."""
    if format_ == "json":
        output.put(output.as_json(hits_document(hits, query)))
    elif format_ == "jsonl":
        output.put_jsonl(map(hit_record, hits))
    elif format_ == "csv":
        _write_csv(hits)
    elif format_ == "paths":
        for hit in hits:
            output.put_path(open_library.display_path(hit.file), null=null)
    elif hits:
        _write_table(hits)


def write_plan(stages: Sequence[Stage]) -> None:
    """Write what each stage of a search did to stderr."""
    from lookalike.search.stages import details_text

    for one in stages:
        name = "  " * one.name.count("/") + one.name.rpartition("/")[2]
        output.note(f"{1000 * one.seconds:9.1f} ms  {name:<14}  {details_text(one)}".rstrip())


def hits_document(hits: Hits, query: Query) -> dict[str, Any]:
    """Return what --format json writes; its keys are stable."""
    from lookalike.wire.documents import RESPONSE_HEAD

    document = RESPONSE_HEAD.encode(hits)
    del document["failure"]
    if not hits.plan:
        del document["plan"]
    records = [hit_record(hit) for hit in hits]
    return {"query": query_document(query), **document, "hits": records}


def query_document(query: Query) -> dict[str, Any]:
    """Return what hits should be like ("images", "text"), what not, and the filter."""
    document: dict[str, Any] = {}
    for term in query.terms:
        name = "not" if term.weight < 0 else "images" if term.text is None else "text"
        document.setdefault(name, []).append(_term_name(term))
    if query.where:
        document["where"] = query.where
    return document


def hit_record(hit: Hit) -> dict[str, Any]:
    """Return one hit of --format json, jsonl and csv."""
    from lookalike.wire.documents import HIT

    return {
        name: value
        for name, value in HIT.encode(hit).items()
        if name in _ALWAYS or (value and name not in _HIDDEN)
    }


def _term_name(term: Term) -> str:
    weight = "" if abs(term.weight) == 1 else f"{abs(term.weight):g}:"
    if term.text is not None:
        return weight + term.text
    if term.id is not None:
        return f"{weight}id:{term.id}"
    if term.vector is not None:
        return f"{weight}vector"
    return weight + (str(term.image) if isinstance(term.image, Path) else "-")


def _write_csv(hits: Hits) -> None:
    records = [hit_record(hit) for hit in hits]
    names = [
        field.name
        for field in _FIELDS
        if field.name in _ALWAYS or any(field.name in record for record in records)
    ]
    output.put_csv(
        names,
        (
            {name: record.get(name) for name in names}
            | {"path": open_library.unambiguous(record["path"])}
            for record in records
        ),
    )


def _write_table(hits: Hits) -> None:
    columns: dict[str, list[str]] = {}
    right = ""
    for field in _FIELDS:
        values = [getattr(hit, field.name) for hit in hits]
        if field.name == ("score" if hits.similarity else "similarity"):
            continue  # the score is the similarity, or there is none
        empty = all(value is None for value in values) or not (
            field.name in ("rank", "score", "similarity") or any(values)
        )
        if field.name in _NOT_IN_TABLE or empty:
            continue
        columns[_TITLES.get(field.name, field.name)] = [_cell(value) for value in values]
        right += "r" if isinstance(values[0], int | float) else "l"
    columns["path"] = [open_library.display_path(hit.file) for hit in hits]
    rows = [list(row) for row in zip(*columns.values(), strict=True)]
    output.table(list(columns), rows, right=f"{right}l", stretch=-1)
    searched = format.counted(hits.searched_count, "image")
    if all(hit.score is None for hit in hits):
        output.aside(f"{format.number(len(hits))} of {searched}, by {hits.ranked_by}")
        return
    took = format.duration(hits.seconds.get("total", 0.0))
    how = f" ({hits.similarity})" if hits.similarity else ""
    judged = (
        f"; relevance of {hits.judged_by}" if hits.judged_by not in ("", hits.ranked_by) else ""
    )
    output.aside(f"{searched} compared by {hits.ranked_by}{how} in {took}{judged}")


def _cell(value: Any) -> str:
    if isinstance(value, float):  # a rank by words can be tiny and yet no zero
        return "<0.001" if 0 < value < 0.0005 else format.similarity(value)
    if isinstance(value, tuple):
        return ", ".join("text in the image" if name == "ocr_text" else name for name in value)
    return str(value or "")
