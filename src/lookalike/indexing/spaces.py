"""Preparation of extractors and their spaces for a run, and the switch to a new revision after it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from lookalike.errors import Outcome, UsageError
from lookalike.extractors.extraction import Extraction, ExtractionResult, Task
from lookalike.extractors.interface import BOXES, Extractor, FittedExtractor, space_key
from lookalike.images.pixel_spec import Pixels
from lookalike.images.walk import find_files
from lookalike.indexing.report import IndexOptions
from lookalike.stores.interface import Space, Store, Writer
from lookalike.workers.pool import Pool


def ensure_fitted(
    extractor: Extractor, spaces: Sequence[Space], sources: Sequence[Path], options: IndexOptions
) -> Extractor:
    """Return the extractor fitted, either with the arrays of its space or on a sample of the sources.

    A space that an interrupted run left unfinished counts, too. Extractors that need no fitting are
    returned unchanged.
    """
    if not isinstance(extractor, FittedExtractor):
        return extractor
    for space in sorted(spaces, key=lambda space: not space.current):
        if space.name == extractor.name and space.fitted is not None:
            fitted = extractor.with_fitted(space.fitted)
            if fitted.revision == space.revision:
                return fitted
    if extractor.fitted is not None:
        return extractor
    sample = list(sample_pixels(extractor, sources, options, extractor.sample_size))
    if not sample:
        raise UsageError(f"{extractor.name} is fitted to the images first, and none could be read")
    return extractor.fit(sample)


def sample_pixels(
    extractor: Extractor, sources: Sequence[Path], options: IndexOptions, size: int
) -> Iterator[Pixels]:
    """Yield the pixels of a sample of the images, the same sample for the same files."""
    found = find_files(sources, include=options.include, exclude=options.exclude)
    paths = reservoir_sample((file.path for file in found), size)
    work = Extraction.of([extractor], limits=options.limits, pixels_only=True)
    with Pool(
        work, workers=options.workers, limits=options.limits, on_failure=ExtractionResult.failed
    ) as pool:
        for loaded in pool.map(Task(path=path) for path in paths):
            if loaded.outcome is Outcome.INDEXED:
                yield from loaded.pixels.values()


def reservoir_sample(items: Iterator[str], size: int) -> list[str]:
    """Return a uniform sample of a stream of unknown length, in its order (Vitter 1985, algorithm R)."""
    chosen: list[tuple[int, str]] = []
    rng = random.Random(0)
    for number, item in enumerate(items):
        if number < size:
            chosen.append((number, item))
        elif (slot := rng.randrange(number + 1)) < size:
            chosen[slot] = (number, item)
    return [item for _, item in sorted(chosen)]


def space_to_add(extractor: Extractor, spaces: Sequence[Space], *, normalise: bool) -> Space:
    """Return the space for the extractor's vectors.

    Raises UsageError where `normalise` is False and the existing space holds normalised vectors.
    """
    space = space_of(extractor)
    existing = next((other for other in spaces if other.key == space.key), None)
    if not normalise and existing is not None and existing.normalised:
        raise UsageError(
            f"the {space.name} vectors of this library have length 1 already: index with "
            "--no-normalise into another library (--library DIR)"
        )
    return replace(space, normalised=space.normalised and normalise)


def space_of(extractor: Extractor) -> Space:
    """Return the space that describes this extractor's vectors."""
    fitted = extractor.fitted if isinstance(extractor, FittedExtractor) else None
    # A row with the vectors of several regions is not one vector: each of them has length 1.
    single = fitted is None or BOXES not in fitted
    return Space(
        key=space_key(extractor),
        name=extractor.name,
        revision=extractor.revision,
        dim=extractor.dim,
        similarity=extractor.similarity,
        normalised=extractor.similarity == "cosine" and single,
        fitted=fitted,
    )


def promote(store: Store, writer: Writer, extractors: Sequence[Extractor]) -> None:
    """Make a new revision current once every indexed image has a vector of it."""
    with store.snapshot() as snapshot:
        images = snapshot.counts().get(Outcome.INDEXED, 0)
        spaces = {space.key: space for space in snapshot.spaces()}
    for key in map(space_key, extractors):
        if not spaces[key].current and spaces[key].count >= images:
            writer.promote(key)
