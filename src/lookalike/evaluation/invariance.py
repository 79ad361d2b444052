"""What an extractor takes for the same picture: cosines between pictures and edits of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ImageError
from lookalike.evaluation.edits import EDITS, Edit
from lookalike.extractors.extraction import Extraction, ExtractionResult, Task, Vector, extract_each
from lookalike.extractors.interface import Extractor, space_key
from lookalike.images.decode import decode
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.images.reading import read
from lookalike.images.resize import fit
from lookalike.vectors.similarity import normalise
from lookalike.workers.limits import Failure, Limits
from lookalike.workers.pool import Pool

MEASURED = ("tilted-5", "turned-90", "brighter", "crop-10", "jpeg-30", "mirrored")
"""The edits of `datasets.edits` that are measured here."""

SIDE = PixelSpec(fit="inside", max_side=1024)
"""Pictures are edited at this size at most: a camera's 20 megapixels would be edited for seconds and
then scaled down by every extractor."""


TIMED_SECONDS = 0.01
"""Of processor time, that an extractor in the worker is run for on each picture."""


@dataclass(frozen=True, slots=True)
class Versions:
    """One picture: the results for it (if wanted) and for every edit of it. The first also holds the
    pixels that the extractor got. seconds: processor time of one extraction, where it happened in the
    worker."""

    results: list[ExtractionResult]
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """The work on one file: what the extractors make of it (unless it is not wanted), and of every edit
    of it.

    Both take the same way from the same pixels, so that nothing but the edit differs.
    """

    extraction: Extraction
    edits: tuple[Edit, ...]
    original: bool = True

    def __call__(self, path: str) -> Versions:
        try:
            limits = self.extraction.limits
            decoded = decode(read(path).data, specs=[SIDE], limits=limits, name=path)
        except ImageError as error:
            return Versions([ExtractionResult(None, error.outcome, error.reason)])
        whole = fit(decoded.pixels, SIDE)
        edited = [self.extraction(Task(pixels=pixels)) for pixels in self._edited(whole)]
        if not self.original:
            return Versions(edited)
        wanted = {space_key(e): e.pixels for e in self.extraction.in_worker}
        also = replace(self.extraction, in_main={**self.extraction.in_main, **wanted})
        original = also(Task(pixels=whole))
        return Versions([original, *edited], self._seconds(original))

    def _seconds(self, original: ExtractionResult) -> float | None:
        """Timed here, where indexing extracts too: in a worker the libraries have one thread each, and
        threads that wait for work would count as work elsewhere."""
        for extractor in self.extraction.in_worker:
            pixels = original.pixels.get(space_key(extractor))
            if pixels is not None:
                return timed(lambda: extractor.extract([pixels]))  # noqa: B023
        return None

    def _edited(self, whole: Pixels) -> list[Pixels]:
        """JPEG comes back from its bytes; what only the pixels are changed in is not saved between,
        or its own losses would count too."""
        edited = []
        for edit in self.edits:
            if edit.quality < 90:
                edited.append(decode(edit.saved(whole), specs=[], limits=Limits()).pixels)
            else:
                edited.append(edit.change(whole))
        return edited

    @staticmethod
    def failed(failure: Failure) -> Versions:
        """Return the result for a file whose worker was lost."""
        return Versions([ExtractionResult.failed(failure)])


@dataclass(frozen=True, slots=True)
class Inspected:
    """What came of a sample of pictures.

    cosines  name of the edit → mean cosine between the vector of a picture and that of the edited
             picture; NaN where no file could be read. Compare with `background`: 0.9 is much only
             where strangers have less
    pixels   of the pictures themselves, as the extractor gets them
    seconds  processor time of one extraction in a worker, a number a picture; none where it is done in
             the parent
    """

    cosines: dict[str, float]
    pixels: list[Pixels]
    seconds: list[float]


def inspect(extractor: Extractor, paths: Sequence[str], *, workers: int | None = None) -> Inspected:
    """Edit pictures and compare; files that cannot be read are passed over. `extractor` is fitted, if
    it must be."""
    edits = tuple(edit for name in MEASURED for edit in EDITS if edit.name == name)
    work = Changed(Extraction.of([extractor]), edits)
    key = space_key(extractor)
    pairs: dict[str, list[float]] = {edit.name: [] for edit in edits}
    pixels: list[Pixels] = []
    seconds: list[float] = []
    # A file costs seven extractions here instead of one.
    limits = Limits(timeout=8 * Limits().timeout)
    with Pool(work, workers=workers, limits=limits, on_failure=Changed.failed) as pool:
        for versions in pool.map(paths):
            original, *changed = vectors_of(extractor, versions.results)
            if original is None:
                continue
            pixels.append(versions.results[0].pixels[key])
            if versions.seconds is not None:
                seconds.append(versions.seconds)
            for edit, vector in zip(edits, changed, strict=True):
                if vector is not None:
                    pairs[edit.name].append(float(original @ vector))
    means = {name: float(np.mean(found)) if found else np.nan for name, found in pairs.items()}
    return Inspected(means, pixels, seconds)


def timed(work: Callable[[], object]) -> float:
    """Processor seconds of one call, the mean of as many as fit into `TIMED_SECONDS`, at least one."""
    calls, spent, started = 0, 0.0, time.process_time()
    while spent < TIMED_SECONDS:
        work()
        calls += 1
        spent = time.process_time() - started
    return spent / calls


def vectors_of(
    extractor: Extractor, loaded: Sequence[ExtractionResult], *, unit: bool = True
) -> list[Vector | None]:
    """The vectors of what came back from a worker, made here where the extractor's place is here, at
    length 1 if `unit`; None where there is none."""
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
    some = [v if isinstance(v, np.ndarray) else None for v in vectors]
    return [normalise(v) if unit and v is not None else v for v in some]


def background(vectors: NDArray[np.float32]) -> float:
    """Mean cosine between two different rows of (n, dim) unit vectors; NaN for fewer than two.

    The sum over all pairs is the squared length of the sum of all vectors, less each with itself.
    """
    count = len(vectors)
    if count < 2:
        return float("nan")
    wide = vectors.astype(np.float64)
    total = wide.sum(axis=0)
    return float((total @ total - (wide * wide).sum()) / (count * (count - 1)))
