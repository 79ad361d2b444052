"""Questions and answers, as data. `Library.search` takes a `Query` and returns `Hits`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from lookalike.images.needs import Pixels
from lookalike.vectors.similarity import Similarity

Picture: TypeAlias = Path | bytes | Pixels
"""A picture in a question: a file, the bytes of one, or ready upright RGB pixels (h, w, 3) uint8."""

Relevance: TypeAlias = Literal["near-copy", "strong", "plausible", "weak"]


@dataclass(frozen=True, slots=True)
class Query:
    """One question.

    pictures    what to look for; several are averaged
    k           how many hits, at least 1
    by          extractor whose space answers; None: the library's first
    similarity  None: the space's own
    exact       compare with every vector even where an approximate index could answer
    """

    pictures: tuple[Picture, ...]
    k: int = 10
    by: str | None = None
    similarity: Similarity | None = None
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    """One result. `path` is relative to the root it lies under; `file` is where that is now.
    `relevance` is None while the library has no background to judge the similarity against."""

    rank: int
    id: int
    path: str
    file: Path
    similarity: float
    relevance: Relevance | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hits:
    """The answer to one question, best hit first.

    by       name of the extractor whose space answered
    exact    every stored vector was compared
    seconds  by stage: "extract" (query picture → vector), "search", "total"
    """

    hits: tuple[Hit, ...]
    by: str
    similarity: Similarity
    exact: bool
    searched: int
    seconds: Mapping[str, float]

    def __len__(self) -> int:
        return len(self.hits)
