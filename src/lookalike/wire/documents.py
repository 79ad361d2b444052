"""What the library says, as JSON documents. Their keys are a promise: docs/http.md explains them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lookalike.duplicates.report import Duplicates, Group, Member
from lookalike.query import Hit, Hits
from lookalike.server.query_params import SearchParams
from lookalike.server.uploads import Upload
from lookalike.stores.filters import FieldStats
from lookalike.stores.interface import Image


def answer(
    words: SearchParams, hits: Hits, images: Mapping[int, Image], *, total: int
) -> dict[str, Any]:
    """The answer to a question: the page of its hits that the words ask for. `total`: how many hits
    were asked for, of which `hits` may hold fewer."""
    start, end = words.offset, words.offset + words.k
    more = len(hits.hits) > end or (len(hits.hits) == end == total)
    return {
        "query": words.model_dump(exclude_defaults=True),
        **outline(hits),
        "hits": [hit(one, images.get(one.id)) for one in hits.hits[start:end]],
        "next_offset": end if more else None,
    }


def hit(hit: Hit, image: Image | None) -> dict[str, Any]:
    return {
        "rank": hit.rank,
        "id": hit.id,
        "path": hit.path,
        "similarity": round(hit.similarity, 6) + 0.0,
        "relevance": hit.relevance,
        "metadata": dict(hit.metadata),
        "box": None if hit.box is None else [round(edge, 4) for edge in hit.box],
        "orientation": hit.orientation,
        "copies": hit.copies,
        "inliers": hit.inliers,
        "scores_by_space": {name: round(score, 6) for name, score in hit.scores_by_space.items()},
        "width": None if image is None else image.width,
        "height": None if image is None else image.height,
    }


def brief(image: Image) -> dict[str, Any]:
    """An image in a list."""
    return {
        "id": image.id,
        "path": image.path,
        "width": image.width,
        "height": image.height,
        "format": image.format,
        "size": image.size,
        "metadata": dict(image.metadata),
    }


def whole(image: Image, root: Path, *, private: bool) -> dict[str, Any]:
    """Everything known of one image. `private`: without where it lies on this machine."""
    return {
        **brief(image),
        "root": root.name,
        "file": None if private else str(root / image.path),
        "mtime": time_of(image),
        "hash": None if image.hash is None else image.hash.hex(),
        "outcome": str(image.outcome),
        "reason": image.reason,
        "facts": dict(image.facts),
    }


def failure(image: Image) -> dict[str, Any]:
    return {
        "id": image.id,
        "path": image.path,
        "outcome": str(image.outcome),
        "reason": image.reason,
        "size": image.size,
        "mtime": time_of(image),
    }


def time_of(image: Image) -> str | None:
    """When the file was changed last, ISO 8601 in UTC."""
    try:
        seconds = image.mtime_ns / 1e9
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):  # a date that no calendar knows
        return None


def of_field(name: str, facts: FieldStats) -> dict[str, Any]:
    return {
        "name": name,
        "type": facts.kind,
        "images": facts.images,
        "low": facts.low,
        "high": facts.high,
        "values": list(facts.examples),
    }


def duplicates(found: Duplicates, *, offset: int, k: int) -> dict[str, Any]:
    groups = found.groups[offset : offset + k]
    end = offset + len(groups)
    return {
        "running": False,
        "total": len(found.groups),
        "searched": found.searched,
        "compared": found.compared,
        "unreadable": found.unreadable,
        "hidden": found.hidden,
        "missing": found.missing,
        "seconds": {stage: round(seconds, 6) for stage, seconds in found.seconds.items()},
        "groups": [group(one) for one in groups],
        "next_offset": end if end < len(found.groups) else None,
    }


def still_running() -> dict[str, Any]:
    """In place of duplicates that are not found yet."""
    nothing = Duplicates((), 0, 0, 0, 0, "", {})
    return {**duplicates(nothing, offset=0, k=1), "running": True}


def group(group: Group) -> dict[str, Any]:
    return {
        "kind": group.kind,
        "reclaimable_bytes": group.reclaimable_bytes,
        "members": [member(one) for one in group.members],
    }


def member(member: Member) -> dict[str, Any]:
    return {
        **brief(member.image),
        "kind": member.kind,
        "similarity": round(member.similarity, 6),
        "evidence": member.evidence,
        "keep": member.keep,
        "mtime": time_of(member.image),
    }


def upload(upload: Upload) -> dict[str, Any]:
    return asdict(upload)


def unanswered(words: SearchParams, failure: str) -> dict[str, Any]:
    """In a batch, in place of an answer: why there is none."""
    return {
        "query": words.model_dump(exclude_defaults=True),
        "ranked_by": "",
        "similarity": None,
        "exact": True,
        "searched_count": 0,
        "top_relevance": None,
        "seconds": {},
        "hits": [],
        "next_offset": None,
        "failure": failure,
    }


def outline(hits: Hits) -> dict[str, Any]:
    """An answer but for its question and its hits."""
    return {
        "ranked_by": hits.ranked_by,
        "similarity": hits.similarity,
        "exact": hits.exact,
        "searched_count": hits.searched_count,
        "top_relevance": hits.top_relevance,
        "seconds": {stage: round(seconds, 6) for stage, seconds in hits.seconds.items()},
    }
