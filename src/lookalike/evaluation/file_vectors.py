"""Vectors of files, made as a search makes them: in the guarded workers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from lookalike.evaluation.invariance import vectors_of
from lookalike.extractors.extraction import Extraction, ExtractionResult, Task, Vector
from lookalike.extractors.interface import Extractor
from lookalike.search.encode import MANY
from lookalike.workers.pool import Pool


def file_vectors(extractor: Extractor, files: Sequence[Path], *, unit: bool) -> list[Vector | None]:
    """The vector of every file, at length 1 if `unit`; None where it cannot be read."""
    tasks = [Task(path=os.fspath(file)) for file in files]
    workers = None if len(files) >= MANY else 1
    with Pool(
        Extraction.of([extractor]), workers=workers, on_failure=ExtractionResult.failed
    ) as pool:
        loaded = list(pool.map(tasks))
    return vectors_of(extractor, loaded, unit=unit)
