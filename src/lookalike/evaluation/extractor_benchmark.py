"""Benchmark of extractors on a folder of images: speed, size, invariance, ranking."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.evaluation.file_vectors import vectors_of
from lookalike.evaluation.invariance import Invariance, mean_cosine, measure_invariance
from lookalike.evaluation.labels import read_folders, read_manifest
from lookalike.evaluation.rankings import Progress, leave_one_out
from lookalike.extractors import load
from lookalike.extractors.extraction import Extraction, ExtractionResult, Task, Vector
from lookalike.extractors.interface import Extractor
from lookalike.extractors.registry import EXTRACTORS
from lookalike.images.walk import find_files
from lookalike.indexing.report import IndexOptions
from lookalike.indexing.spaces import ensure_fitted, reservoir_sample
from lookalike.workers.pool import Pool

# Images that an extractor in the main process receives at once, as when indexing.
BATCH = 32

# Images whose edits are measured and whose extraction is timed.
SAMPLE_SIZE = 100

# Minimum processor time of a timed run; shorter ones are noisy.
TIMED_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class BenchmarkImages:
    """The files to measure on, and the label of each (None: no labels are known)."""

    paths: tuple[str, ...]
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ExtractorBenchmark:
    """The measurements of one extractor.

    bytes            size of one stored vector (float32)
    images           number of images with a vector; `unreadable`: without
    extraction_rate  images per second of processor time, extraction only, from decoded pixels
    core_rate        images per second of processor time from file to vector, without the start of the
                     worker processes
    parallel_rate    images per second of wall-clock time with all workers: what indexing reaches here
                     under the current load of the machine
    invariance       edit → mean cosine to the original
    mean_cosine      mean cosine between two different images, for comparison
    quality          "mAP", "MRR", "P@1" …, leave-one-out; empty without labels
    """

    name: str
    revision: str
    dim: int
    bytes: int
    images: int
    unreadable: int
    extraction_rate: float
    core_rate: float
    parallel_rate: float
    invariance: Mapping[str, float]
    mean_cosine: float
    quality: Mapping[str, float] = field(default_factory=dict)


def model_free() -> list[str]:
    """Return the names of the extractors that need no model to be named or downloaded."""
    return [name for name, offer in EXTRACTORS.items() if not offer.needs_argument and offer.dim]


def benchmark_images(
    folder: Path, *, labels: str | None = None, limit: int | None = None
) -> BenchmarkImages:
    """Return the images to measure on.

    labels  "folders": the subfolders are the labels; else the path of a table with the columns path and
            label, looked up here and then in the folder
    limit   largest number of images, sampled evenly; always the same ones
    """
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}")
    if labels is None:
        found = (file.path for file in find_files([folder]))
        paths = reservoir_sample(found, limit) if limit else list(found)
        return BenchmarkImages(tuple(paths))
    if labels == "folders":
        rows = list(read_folders(folder))
    else:
        table = Path(labels)
        rows = list(read_manifest(table if table.is_file() else folder / labels))
    names = {str(row.path): row.label for row in rows}
    paths = reservoir_sample(iter(names), limit) if limit else list(names)
    return BenchmarkImages(tuple(paths), tuple(names[path] for path in paths))


def benchmark_extractor(
    name: str | Extractor,
    images: BenchmarkImages,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ExtractorBenchmark:
    """Measure one extractor. Takes about as long as indexing the images with it, and a few seconds.

    An extractor that needs fitting is fitted to these images first. Raises UsageError if the extractor is
    not available or no image can be read.
    """
    plain = load(name) if isinstance(name, str) else name
    options = IndexOptions(workers=workers)
    extractor = ensure_fitted(plain, (), [Path(path) for path in images.paths], options)
    extracted = _extract_all(extractor, images.paths, workers, progress)
    has = [at for at, vector in enumerate(extracted.vectors) if vector is not None]
    if not has:
        raise UsageError("none of these files is an image that can be read")
    vectors = np.stack([v for v in extracted.vectors if v is not None])
    step = max(1, len(has) // SAMPLE_SIZE)
    sample = [images.paths[at] for at in has[::step]][:SAMPLE_SIZE]
    invariance = measure_invariance(extractor, sample, workers=workers)
    quality = {}
    if images.labels is not None:
        quality = _quality(vectors, [images.labels[at] for at in has])
    return ExtractorBenchmark(
        name=extractor.name,
        revision=extractor.revision,
        dim=extractor.dim,
        bytes=4 * extractor.dim,
        images=len(has),
        unreadable=len(images.paths) - len(has),
        extraction_rate=_extraction_rate(extractor, invariance),
        core_rate=extracted.core_rate,
        parallel_rate=extracted.parallel_rate,
        invariance=invariance.cosines,
        mean_cosine=mean_cosine(vectors),
        quality=quality,
    )


def _quality(vectors: NDArray[np.float32], labels: Sequence[str]) -> dict[str, float]:
    means = leave_one_out(vectors, labels, cutoffs=(1, 10)).means()
    return {"mAP": means["AP"], "MRR": means["RR"], "P@1": means["P@1"], "P@10": means["P@10"]}


@dataclass(frozen=True, slots=True)
class TimedExtraction:
    """Runs in a worker process: extracts from one file and measures the processor time."""

    extraction: Extraction

    def __call__(self, task: Task) -> tuple[ExtractionResult, float]:
        started = time.process_time()
        return self.extraction(task), time.process_time() - started


@dataclass(frozen=True, slots=True)
class _Extracted:
    """The vectors of all files, and the rates of `ExtractorBenchmark`."""

    vectors: list[Vector | None]
    parallel_rate: float
    core_rate: float


def _extract_all(
    extractor: Extractor, paths: Sequence[str], workers: int | None, progress: Progress | None
) -> _Extracted:
    """Extract from every file as indexing does, but without a store."""
    work = TimedExtraction(Extraction.of([extractor]))
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
            if progress is not None:
                progress(len(vectors), len(paths))
        spent += time.process_time() - started
    # The first quarter includes the start of the workers and is not counted.
    done, then = marks[len(marks) // 4 if len(marks) > 4 else 0]
    parallel_rate = (len(vectors) - done) / (marks[-1][1] - then)
    return _Extracted(vectors, parallel_rate, len(paths) / spent)


def _extraction_rate(extractor: Extractor, sample: Invariance) -> float:
    """Return the images per second of processor time from decoded pixels.

    Extraction runs where indexing runs it: one image at a time in a worker, or in batches here.
    """
    if sample.seconds:
        return 1 / float(np.mean(sample.seconds))
    images = sample.pixels
    batches = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
    extractor.extract(batches[0])  # warm up
    started = time.process_time()
    done = 0
    while time.process_time() - started < TIMED_SECONDS:
        for batch in batches:
            extractor.extract(batch)
            done += len(batch)
    return done / (time.process_time() - started)
