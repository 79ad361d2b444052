"""Comparison of recipes on the vectors of one space; each index is built in memory and discarded."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lookalike.ann import faiss_index, index_factory, tuning
from lookalike.ann.faiss_index import Progress
from lookalike.errors import UsageError
from lookalike.stores.ann_index import RecipeResult
from lookalike.stores.local.database import SpaceRow
from lookalike.stores.local.vector_file import MappedVectors
from lookalike.vectors.similarity import top_k

# The name of exact search among the results.
EXACT = "exact"

# Held-out queries for each point of a curve; a quarter of them are timed one by one.
QUERIES = 200

# Smallest space on which indexes are compared.
MIN_VECTORS = 100

# Candidates for the exact comparison.
CANDIDATES = 100


def compare(
    row: SpaceRow, matrix: MappedVectors, recipes: Sequence[str], threads: int, progress: Progress
) -> list[RecipeResult]:
    """Build an index with each recipe and measure it; see `Indexes.compare`."""
    count = len(matrix.ids)
    if count - len(matrix.deleted) < MIN_VECTORS:
        raise UsageError(f"{row.name} has too few vectors to compare indexes: index more images")
    progress("ask", 0, 1)
    held_out = tuning.hold_out_queries(
        matrix.vectors,
        similarity=row.similarity,
        normalised=bool(row.normalised),
        exclude=matrix.deleted,
        count=QUERIES,
    )
    exact = RecipeResult(EXACT, points=((count, 1.0, _exact_milliseconds(row, matrix, held_out)),))
    return [exact] + [
        _measure(row, matrix, recipe, held_out, threads, progress)
        for recipe in recipes or usual_recipes(count, row.dim)
    ]


def usual_recipes(count: int, dim: int) -> list[str]:
    """Return what `ann build` would try, and the usual recipes of the field."""
    nlist = index_factory.list_count(count)
    pieces = next((size for size in (dim // 8, dim // 4) if size and dim % size == 0), None)
    usual = ["HNSW16", f"IVF{nlist},Flat", *([f"IVF{nlist},PQ{pieces}"] if pieces else [])]
    return [*index_factory.candidate_recipes(count, dim), *usual]


def _exact_milliseconds(
    row: SpaceRow, matrix: MappedVectors, held_out: tuning.HeldOutQueries
) -> float:
    times = []
    for vector in held_out.vectors[:10]:
        started = time.perf_counter()
        top_k(
            matrix.vectors,
            vector[None],
            tuning.K,
            similarity=row.similarity,
            exclude=matrix.deleted,
            normalised=bool(row.normalised),
        )
        times.append(time.perf_counter() - started)
    return float(np.median(times)) * 1e3


def _measure(
    row: SpaceRow,
    matrix: MappedVectors,
    recipe: str,
    held_out: tuning.HeldOutQueries,
    threads: int,
    progress: Progress,
) -> RecipeResult:
    started = time.monotonic()
    try:
        progress("train", 0, 1)
        index = faiss_index.train(
            matrix.vectors, recipe, similarity=row.similarity, threads=threads
        )
    except UsageError as error:
        return RecipeResult(recipe, failure=str(error))
    faiss_index.fill(index, matrix.vectors, threads=threads, progress=progress)
    seconds = time.monotonic() - started
    with tempfile.TemporaryDirectory() as folder:
        index.save(Path(folder) / "index")
        size = (Path(folder) / "index").stat().st_size
    candidates = min(CANDIDATES, index.count)
    points = tuning.recall_curve(index, matrix.vectors, held_out, candidates=candidates)
    return RecipeResult(
        recipe,
        seconds,
        size,
        tuple((point.params.nprobe, point.recall, point.milliseconds) for point in points),
    )
