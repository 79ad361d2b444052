"""Extracts the vectors of files in worker processes, as a search does."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lookalike.errors import ImageError
from lookalike.extractors.extraction import Extraction, ExtractionResult, Task, Vector, extract_each
from lookalike.extractors.interface import Extractor, space_key
from lookalike.search.encode import MANY
from lookalike.vectors.similarity import normalise
from lookalike.workers.pool import Pool


def file_vectors(extractor: Extractor, files: Sequence[Path], *, unit: bool) -> list[Vector | None]:
    """Return the vector of every file, scaled to length 1 if `unit`; None where it cannot be read."""
    tasks = [Task(path=os.fspath(file)) for file in files]
    workers = None if len(files) >= MANY else 1
    with Pool(
        Extraction.of([extractor]), workers=workers, on_failure=ExtractionResult.failed
    ) as pool:
        loaded = list(pool.map(tasks))
    return vectors_of(extractor, loaded, unit=unit)


def vectors_of(
    extractor: Extractor, loaded: Sequence[ExtractionResult], *, unit: bool = True
) -> list[Vector | None]:
    """Return the vectors of worker results, scaled to length 1 if `unit`; None where there is none.

    Extractors that run in the main process are run here on the decoded pixels.
    """
    key = space_key(extractor)
    found: dict[int, Vector | ImageError] = {
        at: one.vectors[key] for at, one in enumerate(loaded) if key in one.vectors
    }
    ready = {
        at: one.pixels[key]
        for at, one in enumerate(loaded)
        if key in one.pixels and at not in found
    }
    found.update(zip(ready, extract_each(extractor, list(ready.values())), strict=True))
    vectors = [found.get(at) for at in range(len(loaded))]
    valid = [v if isinstance(v, np.ndarray) else None for v in vectors]
    return [normalise(v) if unit and v is not None else v for v in valid]
