"""Extractors that must see the library's own pictures before they can work."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from lookalike.errors import Outcome, UsageError
from lookalike.extractors.extraction import Extraction, Loaded, Task
from lookalike.extractors.interface import Extractor, FittedExtractor
from lookalike.images.pixel_spec import Pixels
from lookalike.images.walk import find
from lookalike.indexing.report import IndexOptions
from lookalike.stores.interface import Space
from lookalike.workers.pool import Pool


def ensure_fitted(
    extractor: Extractor, spaces: Sequence[Space], sources: Sequence[Path], options: IndexOptions
) -> Extractor:
    """The extractor, fitted: with the arrays of its space if there is one, in use or still being built
    (a run that was interrupted goes on with it), else on a sample of the sources. Extractors that need
    no fitting come back as they are."""
    if not isinstance(extractor, FittedExtractor):
        return extractor
    for space in sorted(spaces, key=lambda space: not space.current):
        if space.name == extractor.name and space.fitted is not None:
            fitted = extractor.with_fitted(space.fitted)
            if fitted.revision == space.revision:
                return fitted
    if extractor.fitted is not None:
        return extractor
    sample = list(pictures(extractor, sources, options, extractor.sample_size))
    if not sample:
        raise UsageError(f"{extractor.name} learns from the pictures first, and none could be read")
    return extractor.fit(sample)


def pictures(
    extractor: Extractor, sources: Sequence[Path], options: IndexOptions, size: int
) -> Iterator[Pixels]:
    """Pixels of a sample of the pictures, the same for the same files."""
    found = find(sources, include=options.include, exclude=options.exclude)
    paths = reservoir((file.path for file in found), size)
    work = Extraction.of([extractor], limits=options.limits, pixels_only=True)
    with Pool(
        work, workers=options.workers, limits=options.limits, on_failure=Loaded.failed
    ) as pool:
        for loaded in pool.map(Task(path=path) for path in paths):
            if loaded.outcome is Outcome.INDEXED:
                yield from loaded.pixels.values()


def reservoir(items: Iterator[str], size: int) -> list[str]:
    """A uniform sample of a stream of unknown length, in the order of the stream (Vitter 1985, R)."""
    chosen: list[tuple[int, str]] = []
    draw = random.Random(0)
    for number, item in enumerate(items):
        if number < size:
            chosen.append((number, item))
        elif (place := draw.randrange(number + 1)) < size:
            chosen[place] = (number, item)
    return [item for _, item in sorted(chosen)]
