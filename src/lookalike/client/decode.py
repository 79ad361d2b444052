"""The documents of a server as the library's own data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from lookalike.duplicates.report import Duplicates, Group, Member
from lookalike.errors import Outcome
from lookalike.feedback.judgements import Judgement
from lookalike.indexing.report import IndexReport
from lookalike.query import Hit, Hits
from lookalike.stores.ann_index import Index, IndexCheck
from lookalike.stores.filters import FieldStats
from lookalike.stores.records import Decision, Image, Space


@dataclass(frozen=True, slots=True)
class ServedSpace:
    """One kind of vector: `words`, it understands words; `parts`, it compares parts of pictures; `index`,
    what makes it quick to search, None where every vector is looked at."""

    name: str
    dim: int
    similarity: str
    count: int
    words: bool
    parts: bool
    index: Index | None


@dataclass(frozen=True, slots=True)
class Served:
    """Facts of a served library: as `Info`, but for what a server does not tell (where it lies, and what
    it takes on disk). `roots` are the names of its folders."""

    name: str
    version: str
    roots: tuple[str, ...]
    images: int
    outcomes: Mapping[Outcome, int]
    spaces: tuple[ServedSpace, ...]
    captions: bool
    writable: bool


def served(document: Mapping[str, Any]) -> Served:
    return Served(
        name=document["name"],
        version=document["version"],
        roots=tuple(document["roots"]),
        images=document["images"],
        outcomes={Outcome(name): count for name, count in document["outcomes"].items()},
        spaces=tuple(
            ServedSpace(**{**one, "index": one["index"] and index(one["index"])})
            for one in document["spaces"]
        ),
        captions=document["captions"],
        writable=document["writable"],
    )


def answer(document: Mapping[str, Any]) -> Hits:
    """The hits of an answer."""
    found = tuple(
        Hit(
            rank=hit["rank"],
            id=hit["id"],
            path=hit["path"],
            root=Path(),
            similarity=hit["similarity"],
            relevance=hit["relevance"],
            metadata=hit["metadata"],
            scores_by_space=hit["scores_by_space"],
            copies=hit["copies"],
            orientation=hit["orientation"],
            box=None if hit["box"] is None else tuple(hit["box"]),
            inliers=hit["inliers"],
        )
        for hit in document["hits"]
    )
    return Hits(
        hits=found,
        ranked_by=document["ranked_by"],
        similarity=document["similarity"],
        exact=document["exact"],
        searched_count=document["searched_count"],
        seconds=document["seconds"],
        failure=document.get("failure") or "",
        top_relevance=document["top_relevance"],
    )


def refusal(reason: str) -> Hits:
    return Hits(
        (), ranked_by="", similarity=None, exact=True, searched_count=0, seconds={}, failure=reason
    )


def image(document: Mapping[str, Any]) -> Image:
    """An image as far as the document tells of it."""
    changed, hash = document.get("mtime"), document.get("hash")
    return Image(
        id=document["id"],
        root=0,
        path=document["path"],
        size=document["size"],
        mtime_ns=round(datetime.fromisoformat(changed).timestamp()) * 10**9 if changed else 0,
        hash=bytes.fromhex(hash) if hash else None,
        outcome=Outcome(document.get("outcome", Outcome.INDEXED)),
        reason=document.get("reason", ""),
        width=document.get("width"),
        height=document.get("height"),
        format=document.get("format"),
        metadata=document.get("metadata", {}),
        facts=document.get("facts", {}),
    )


def field(document: Mapping[str, Any]) -> FieldStats:
    return FieldStats(
        kind=document["type"],
        images=document["images"],
        low=document["low"],
        high=document["high"],
        examples=tuple(document["values"]),
    )


def duplicates(document: Mapping[str, Any], groups: list[Mapping[str, Any]]) -> Duplicates:
    """What was found, with the groups of all its pages."""
    return Duplicates(
        groups=tuple(group(one) for one in groups),
        searched=document["searched"],
        compared=document["compared"],
        unreadable=document["unreadable"],
        hidden=document["hidden"],
        missing=document["missing"],
        seconds=document["seconds"],
    )


def group(document: Mapping[str, Any]) -> Group:
    members = tuple(
        Member(
            image=image(member),
            file=Path(member["path"]),
            kind=member["kind"],
            similarity=member["similarity"],
            evidence=member["evidence"],
            keep=member["keep"],
        )
        for member in document["members"]
    )
    return Group(document["kind"], members)


def judgement(document: Mapping[str, Any]) -> Judgement:
    first, second = document["first"], document["second"]
    return Judgement(
        Decision(
            document["kind"],
            bytes.fromhex(first),
            bytes.fromhex(second) if second else None,
            document["who"],
            document["when"],
        ),
        tuple(map(Path, document["paths"])),
        tuple(map(Path, document["other_paths"])),
    )


def added(document: Mapping[str, Any]) -> IndexReport:
    pairs = {
        name: tuple((one, other) for one, other in document[name])
        for name in ("unreadable", "broken_examples")
    }
    failed = {Outcome(name): count for name, count in document["failed"].items()}
    return IndexReport(
        **{**document, **pairs, "failed": failed, "spaces": tuple(document["spaces"])}
    )


def index(document: Mapping[str, Any]) -> Index:
    return Index(**document)


def index_check(document: Mapping[str, Any]) -> IndexCheck:
    return IndexCheck(**document)


def space(document: Mapping[str, Any]) -> Space:
    """A space but for what its extractor learnt, which a server keeps to itself."""
    return Space(**{**document, "index": document["index"] and index(document["index"])})
