"""Facts about extractors, measured on a folder of pictures: speed, size, invariance, ranking."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.evaluation.invariance import Inspected, background, inspect, vectors_of
from lookalike.evaluation.labelled_folder import read_folders, read_manifest
from lookalike.evaluation.leave_one_out import leave_one_out
from lookalike.extractors import load
from lookalike.extractors.extraction import Extraction, ExtractionResult, Task, Vector
from lookalike.extractors.interface import Extractor
from lookalike.extractors.registry import EXTRACTORS
from lookalike.images.walk import find_files
from lookalike.indexing.report import IndexOptions
from lookalike.indexing.spaces import ensure_fitted, reservoir_sample
from lookalike.workers.pool import Pool

BATCH = 32  # pictures that an extractor in the parent gets at once, as when indexing
SAMPLE = 100  # pictures whose edits are measured, and whose pixels are timed
TIMED_SECONDS = 1.0  # of processor time, at least; shorter runs scatter

Advance: TypeAlias = Callable[[int, int], None]
"""Called with the pictures done and their number."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """What is measured on: files, and the label of each (None: no labels are known)."""

    paths: tuple[str, ...]
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ExtractorFacts:
    """What was measured of one extractor.

    bytes         of one stored vector (float32)
    pictures      that have a vector; unreadable: those that have none
    extracting    images a second of processor time, extraction alone on ready pixels
    core          images a second of processor time from file to vector, everything counted but the
                  start of the processes
    together      images a second by the clock, all workers at once: what indexing can reach here, and
                  what depends on whatever else the machine does
    invariance    name of the edit → mean cosine to the original
    background    mean cosine between two different pictures, to compare it with
    quality       "mAP", "MRR", "P@1" …, leave-one-out; empty without labels
    """

    name: str
    revision: str
    dim: int
    bytes: int
    pictures: int
    unreadable: int
    extracting: float
    core: float
    together: float
    invariance: Mapping[str, float]
    background: float
    quality: Mapping[str, float] = field(default_factory=dict)


def model_free() -> list[str]:
    """The names of the extractors that need no model to be named or downloaded."""
    return [name for name, offer in EXTRACTORS.items() if not offer.needs_argument and offer.dim]


def pictures(folder: Path, *, labels: str | None = None, limit: int | None = None) -> Pictures:
    """The pictures to measure on.

    labels  "folders": the folder's subfolders are the labels; else the path of a table with the
            columns path and label, looked for here and then in the folder
    limit   only so many of them, drawn evenly, always the same
    """
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}")
    if labels is None:
        found = (file.path for file in find_files([folder]))
        paths = reservoir_sample(found, limit) if limit else list(found)
        return Pictures(tuple(paths))
    if labels == "folders":
        rows = list(read_folders(folder))
    else:
        table = Path(labels)
        rows = list(read_manifest(table if table.is_file() else folder / labels))
    names = {str(row.path): row.label for row in rows}
    paths = reservoir_sample(iter(names), limit) if limit else list(names)
    return Pictures(tuple(paths), tuple(names[path] for path in paths))


def measure(
    name: str | Extractor,
    pictures: Pictures,
    *,
    workers: int | None = None,
    advance: Advance | None = None,
) -> ExtractorFacts:
    """All facts of one extractor. Takes about as long as indexing the pictures with it, and a few
    seconds; an extractor that must be fitted is fitted to these pictures first.

    Raises UsageError where the extractor cannot be had, or no picture can be read.
    """
    plain = load(name) if isinstance(name, str) else name
    options = IndexOptions(workers=workers)
    extractor = ensure_fitted(plain, (), [Path(path) for path in pictures.paths], options)
    passed = _pass(extractor, pictures.paths, workers, advance)
    has = [at for at, vector in enumerate(passed.vectors) if vector is not None]
    if not has:
        raise UsageError("none of these files is a picture that can be read")
    vectors = np.stack([v for v in passed.vectors if v is not None])
    sample = [pictures.paths[at] for at in has[:: max(1, len(has) // SAMPLE)][:SAMPLE]]
    inspected = inspect(extractor, sample, workers=workers)
    quality = {}
    if pictures.labels is not None:
        quality = _quality(vectors, [pictures.labels[at] for at in has])
    return ExtractorFacts(
        name=extractor.name,
        revision=extractor.revision,
        dim=extractor.dim,
        bytes=4 * extractor.dim,
        pictures=len(has),
        unreadable=len(pictures.paths) - len(has),
        extracting=_extracting(extractor, inspected),
        core=passed.core,
        together=passed.together,
        invariance=inspected.cosines,
        background=background(vectors),
        quality=quality,
    )


def _quality(vectors: NDArray[np.float32], labels: Sequence[str]) -> dict[str, float]:
    means = leave_one_out(vectors, labels, cutoffs=(1, 10)).means()
    return {"mAP": means["AP"], "MRR": means["RR"], "P@1": means["P@1"], "P@10": means["P@10"]}


@dataclass(frozen=True, slots=True)
class Clocked:
    """The work of indexing on one file, and the processor time that it took."""

    extraction: Extraction

    def __call__(self, task: Task) -> tuple[ExtractionResult, float]:
        started = time.process_time()
        return self.extraction(task), time.process_time() - started


@dataclass(frozen=True, slots=True)
class Passed:
    """The vectors of all files, and how fast they came (see `ExtractorFacts`)."""

    vectors: list[Vector | None]
    together: float
    core: float


def _pass(
    extractor: Extractor, paths: Sequence[str], workers: int | None, advance: Advance | None
) -> Passed:
    """Every file through the workers, as indexing does it but for the store."""
    work = Clocked(Extraction.of([extractor]))
    vectors: list[Vector | None] = []
    marks = [(0, time.perf_counter())]
    spent, started = 0.0, time.process_time()
    with Pool(
        work, workers=workers, on_failure=lambda f: (ExtractionResult.failed(f), 0.0)
    ) as pool:
        results = pool.map(Task(path=path) for path in paths)
        while batch := list(islice(results, BATCH)):
            vectors += vectors_of(extractor, [loaded for loaded, _ in batch])
            spent += sum(seconds for _, seconds in batch)
            marks.append((len(vectors), time.perf_counter()))
            if advance is not None:
                advance(len(vectors), len(paths))
        spent += time.process_time() - started
    # The first quarter pays for the start of the workers.
    done, then = marks[len(marks) // 4 if len(marks) > 4 else 0]
    return Passed(vectors, (len(vectors) - done) / (marks[-1][1] - then), len(paths) / spent)


def _extracting(extractor: Extractor, inspected: Inspected) -> float:
    """Images a second of processor time on pixels that are ready, where indexing extracts: each alone
    in a worker, or in batches here."""
    if inspected.seconds:
        return 1 / float(np.mean(inspected.seconds))
    images = inspected.pixels
    batches = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
    extractor.extract(batches[0])  # what is made on first use is made now
    started = time.process_time()
    done = 0
    while time.process_time() - started < TIMED_SECONDS:
        for batch in batches:
            extractor.extract(batch)
            done += len(batch)
    return done / (time.process_time() - started)
