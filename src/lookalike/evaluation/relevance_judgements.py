"""Relevance judgements by people: pooled hits of several systems, judgements, and inter-judge agreement.

Everything is stored in one append-only JSON Lines file: first the queries and their pooled images, then one
line per judgement. A kill loses nothing, judging can be resumed, and several judges can use one file, one
after the other or at the same time.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from lookalike.errors import PARSE_ERRORS, UsageError
from lookalike.evaluation.collection import (
    Collection,
    EvalLibrary,
    collect,
    content_codes,
    select_spaces,
)
from lookalike.evaluation.trec import Qrels
from lookalike.stores.interface import Snapshot, Space

FORMAT = 2
QUERIES, TOP = 100, 5

Judgements: TypeAlias = dict[str, dict[tuple[str, str], bool]]
"""Judge → (query, image) → relevant."""


@dataclass(frozen=True, slots=True)
class QueryPool:
    """A query and the images to judge: the first hits of all systems in random order.

    Both are names of images of the library.
    """

    query: str
    images: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of two judges on the images that both judged.

    share  of equal judgements
    kappa  Cohen's kappa: agreement beyond chance, 1 for full agreement, 0 for none; None where chance
           alone would agree fully (both judges always gave the same answer)
    """

    first: str
    second: str
    images: int
    share: float
    kappa: float | None


def draw_pools(
    opened: EvalLibrary,
    *,
    extractors: Sequence[str] = (),
    queries: int = QUERIES,
    top: int = TOP,
    seed: int = 0,
) -> tuple[tuple[str, ...], list[QueryPool]]:
    """Return the names of the systems, and random queries with the first `top` hits of each system.

    Neither the query nor an equal file is among the hits. Raises UsageError if the library has fewer than
    two images.
    """
    with opened.library.snapshot() as snapshot:
        spaces = [s for s in select_spaces(snapshot, extractors) if s.boxes is None]
        if not spaces:
            raise UsageError(
                "spaces of image parts cannot be judged: name other ones with --extractor"
            )
        collection, _ = collect(snapshot, spaces, folder=opened.folder)
        rng = np.random.default_rng(seed)
        rows = rng.choice(len(collection), min(queries, len(collection)), replace=False)
        content = content_codes(snapshot, collection)
        pools = []
        for row in rows.tolist():
            found: list[int] = []
            for space in spaces:
                found += _first_hits(snapshot, space, collection, content, row, top)
            shuffled = rng.permutation(np.unique(np.array(found, np.int64)))
            names = tuple(collection.names[at] for at in shuffled.tolist())
            pools.append(QueryPool(collection.names[row], names))
    return tuple(space.name for space in spaces), pools


def _first_hits(
    snapshot: Snapshot,
    space: Space,
    collection: Collection,
    content: np.ndarray,
    row: int,
    top: int,
) -> list[int]:
    among = None if len(collection) == space.count else collection.ids
    copies = int((content[:-2] == content[row]).sum())
    query = snapshot.vectors(space.key, collection.ids[row : row + 1])
    found = snapshot.search(space.key, query, min(top + copies, len(collection)), among=among)
    rows = collection.rows(found.ids[0][found.ids[0] >= 0])
    return [at for at in rows.tolist() if at >= 0 and content[at] != content[row]][:top]


class JudgementFile:
    """An open file of judgements. Thread-safe."""

    def __init__(
        self,
        file: Path,
        systems: tuple[str, ...],
        pools: list[QueryPool],
        judgements: Judgements,
    ) -> None:
        self.file, self.systems, self.pools = file, systems, pools
        self._judgements = judgements
        # The judgements of each judge in the order in which they were made, for undo.
        self._order: dict[str, list[tuple[str, str]]] = {j: list(o) for j, o in judgements.items()}
        self._pooled = {pool.query: frozenset(pool.images) for pool in pools}
        self._lock = threading.Lock()

    @classmethod
    def create(cls, file: Path, systems: tuple[str, ...], pools: list[QueryPool]) -> JudgementFile:
        """Create a file. Raises UsageError if it exists or cannot be written."""
        head = {
            "lookalike-judging": FORMAT,
            "systems": list(systems),
            "queries": [{"query": p.query, "images": list(p.images)} for p in pools],
        }
        try:
            with file.open("x", encoding="utf-8", errors="surrogateescape") as out:
                out.write(json.dumps(head, ensure_ascii=False) + "\n")
        except OSError as error:
            raise UsageError(f"cannot write {file}: {error.strerror or error}") from error
        return cls(file, systems, pools, {})

    @classmethod
    def open(cls, file: Path) -> JudgementFile:
        """Open a file with its judgements. A last line that was cut off by a kill is ignored.

        Raises UsageError if it is not a file of judgements.
        """
        try:
            text = file.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            raise UsageError(f"cannot read {file}: {error.strerror or error}") from error
        lines = text.split("\n")[:-1]
        try:
            head = json.loads(lines[0])
            if head["lookalike-judging"] != FORMAT:
                raise UsageError(f"{file} was written by another version of lookalike")
            pools = [QueryPool(q["query"], tuple(q["images"])) for q in head["queries"]]
            judgements: Judgements = {}
            for line in filter(None, lines[1:]):
                _apply(judgements, json.loads(line))
            return cls(file, tuple(head["systems"]), pools, judgements)
        except PARSE_ERRORS as error:
            raise UsageError(f"{file} is not a file of judgements: name another") from error

    def next(self, judge: str) -> int | None:
        """Return the number of the first query that this judge has not finished; None if all are."""
        with self._lock:
            own = self._judgements.get(judge, {})
            for number, pool in enumerate(self.pools):
                if any((pool.query, image) not in own for image in pool.images):
                    return number
        return None

    def judgements(self, judge: str, number: int) -> dict[str, bool]:
        """Return this judge's judgements of the images of a query."""
        pool = self.pools[number]
        with self._lock:
            own = self._judgements.get(judge, {})
            keys = ((image, (pool.query, image)) for image in pool.images)
            return {image: own[key] for image, key in keys if key in own}

    def add(self, judge: str, query: str, image: str, relevant: bool | None) -> None:
        """Store a judgement; a later one replaces it, and None withdraws it.

        Raises UsageError for an image that is not in the query's pool.
        """
        if image not in self._pooled.get(query, ()):
            raise UsageError(f"{image} is not to be judged for {query}")
        record = {
            "judge": judge,
            "query": query,
            "image": image,
            "relevant": relevant,
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        with self._lock:
            try:
                with self.file.open("a", encoding="utf-8", errors="surrogateescape") as out:
                    out.write(json.dumps(record, ensure_ascii=False) + "\n")
            except OSError as error:
                raise UsageError(f"cannot write {self.file}: {error.strerror or error}") from error
            _apply(self._judgements, record)
            order = self._order.setdefault(judge, [])
            if (query, image) in order:
                order.remove((query, image))
            if relevant is not None:
                order.append((query, image))

    def undo(self, judge: str) -> int | None:
        """Withdraw this judge's last judgement and return the number of its query; None if there is none."""
        with self._lock:
            order = self._order.get(judge, [])
            last = order[-1] if order else None
        if last is None:
            return None
        self.add(judge, *last, None)
        return next(at for at, pool in enumerate(self.pools) if pool.query == last[0])

    def results(self) -> tuple[Qrels, list[Agreement], dict[str, int]]:
        """Return the majority as qrels, the agreement of each two judges, and judgements by judge."""
        with self._lock:
            found = {judge: dict(own) for judge, own in self._judgements.items() if own}
        return majority(found), agreements(found), {judge: len(own) for judge, own in found.items()}


def _apply(judgements: Judgements, record: Mapping[str, Any]) -> None:
    own = judgements.setdefault(str(record["judge"]), {})
    key = (str(record["query"]), str(record["image"]))
    own.pop(key, None)  # keeps the last judgement last in order
    if record["relevant"] is not None:
        own[key] = bool(record["relevant"])


def majority(judgements: Judgements) -> Qrels:
    """Return one grade for each judged image: that of the majority, 0 on a tie."""
    votes: dict[tuple[str, str], list[bool]] = {}
    for own in judgements.values():
        for key, relevant in own.items():
            votes.setdefault(key, []).append(relevant)
    found: Qrels = {}
    for (query, image), each in sorted(votes.items()):
        found.setdefault(query, {})[image] = int(sum(each) * 2 > len(each))
    return found


def agreements(judgements: Judgements) -> list[Agreement]:
    """Return the agreement of each two judges who judged an image in common."""
    found = []
    for first, second in combinations(sorted(judgements), 2):
        both = sorted(judgements[first].keys() & judgements[second].keys())
        if both:
            pairs = [(judgements[first][key], judgements[second][key]) for key in both]
            share = sum(a == b for a, b in pairs) / len(pairs)
            found.append(Agreement(first, second, len(pairs), share, cohens_kappa(pairs)))
    return found


def cohens_kappa(pairs: Sequence[tuple[bool, bool]]) -> float | None:
    """Return (observed − expected) / (1 − expected) agreement; None if the expected agreement is 1.

    (Cohen: A Coefficient of Agreement for Nominal Scales, 1960.)
    """
    count = len(pairs)
    observed = sum(a == b for a, b in pairs) / count
    yes = (sum(a for a, _ in pairs) / count, sum(b for _, b in pairs) / count)
    expected = yes[0] * yes[1] + (1 - yes[0]) * (1 - yes[1])
    return None if expected == 1 else (observed - expected) / (1 - expected)
