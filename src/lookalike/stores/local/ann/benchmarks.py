"""Recipes side by side on the vectors of one space, each built in memory and thrown away."""

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

EXACT = "exact"

QUERIES = 200
"""Of which each point of a curve takes as many searches, and a quarter of them alone."""

WIDTH = 100
"""Candidates whose similarity is computed exactly: of our recipes this many rows are proposed."""


def compare(
    row: SpaceRow, matrix: MappedVectors, wanted: Sequence[str], threads: int, progress: Progress
) -> list[RecipeResult]:
    """See `Indexes.compare`."""
    count = len(matrix.ids)
    if count - len(matrix.deleted) < 100:
        raise UsageError(
            f"{row.name} has too few vectors to compare indexes on: index more pictures"
        )
    progress("ask", 0, 1)
    asked = tuning.questions(
        matrix.vectors,
        similarity=row.similarity,
        normalised=bool(row.normalised),
        exclude=matrix.deleted,
        count=QUERIES,
    )
    found = [RecipeResult(EXACT, points=((count, 1.0, _exact(row, matrix, asked)),))]
    found += [
        _tried(row, matrix, recipe, asked, threads, progress)
        for recipe in wanted or usual(count, row.dim)
    ]
    return found


def usual(count: int, dim: int) -> list[str]:
    """What is used in the field, and what `ann build` would try."""
    cells = index_factory.lists(count)
    pieces = next((size for size in (dim // 8, dim // 4) if size and dim % size == 0), None)
    field = ["HNSW16", f"IVF{cells},Flat", *([f"IVF{cells},PQ{pieces}"] if pieces else [])]
    return [*index_factory.ladder(count, dim), *field]


def _exact(row: SpaceRow, matrix: MappedVectors, asked: tuning.Questions) -> float:
    times = []
    for vector in asked.vectors[:10]:
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


def _tried(
    row: SpaceRow,
    matrix: MappedVectors,
    recipe: str,
    asked: tuning.Questions,
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
    width = min(WIDTH, index.count)
    points = tuning.curve(index, matrix.vectors, asked, width=width)
    return RecipeResult(
        recipe,
        seconds,
        size,
        tuple((point.effort.probe, point.recall, point.milliseconds) for point in points),
    )
