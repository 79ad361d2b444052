"""Invariance of an extractor: cosines between images and edited copies of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ImageError
from lookalike.evaluation.edits import EDITS, Edit
from lookalike.evaluation.file_vectors import vectors_of
from lookalike.extractors.extraction import Extraction, ExtractionResult, Task
from lookalike.extractors.interface import Extractor, space_key
from lookalike.images.decode import decode
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.images.reading import read
from lookalike.images.resize import fit
from lookalike.workers.limits import Failure, Limits
from lookalike.workers.pool import Pool

# The edits of `evaluation.edits` that are measured.
MEASURED_EDITS = ("tilted-5", "turned-90", "brighter", "crop-10", "jpeg-30", "mirrored")

# Images are edited at this size at most: editing a camera's 20 megapixels would take seconds, and every
# extractor scales the result down anyway.
EDIT_PIXELS = PixelSpec(fit="inside", max_side=1024)

# Processor time for which an extractor is run on each image in a worker.
TIMED_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class EditedImage:
    """Extraction results for one image (if requested) and all edits of it.

    The first result also holds the pixels that the extractor received. `seconds` is the processor time of
    one extraction, if it ran in the worker.
    """

    results: list[ExtractionResult]
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class EditWorker:
    """Runs in a worker process: extracts vectors of an image (unless `original` is False) and its edits.

    All of them are made from the same decoded pixels, so that nothing but the edit differs.
    """

    extraction: Extraction
    edits: tuple[Edit, ...]
    original: bool = True

    def __call__(self, path: str) -> EditedImage:
        try:
            limits = self.extraction.limits
            decoded = decode(read(path), specs=[EDIT_PIXELS], limits=limits, name=path)
        except ImageError as error:
            return EditedImage([ExtractionResult(None, error.outcome, error.reason)])
        whole = fit(decoded.pixels, EDIT_PIXELS)
        edited = [self.extraction(Task(pixels=pixels)) for pixels in self._edit(whole)]
        if not self.original:
            return EditedImage(edited)
        wanted = {space_key(e): e.pixels for e in self.extraction.in_worker}
        extraction = replace(self.extraction, in_main={**self.extraction.in_main, **wanted})
        original = extraction(Task(pixels=whole))
        return EditedImage([original, *edited], self._seconds(original))

    def _seconds(self, original: ExtractionResult) -> float | None:
        """Time one extraction where indexing runs it.

        In a worker the libraries use one thread each; elsewhere, threads that wait would count as work.
        """
        for extractor in self.extraction.in_worker:
            pixels = original.pixels.get(space_key(extractor))
            if pixels is not None:
                return mean_seconds(lambda: extractor.extract([pixels]))  # noqa: B023
        return None

    def _edit(self, whole: Pixels) -> list[Pixels]:
        """Return the edited pixels.

        JPEG edits are decoded from their bytes; the others are not saved in between, or the loss of saving
        would count, too.
        """
        edited = []
        for edit in self.edits:
            if edit.quality < 90:
                edited.append(decode(edit.saved(whole), specs=[], limits=Limits()).pixels)
            else:
                edited.append(edit.change(whole))
        return edited

    @staticmethod
    def failed(failure: Failure) -> EditedImage:
        """Return the result for a file whose worker was lost."""
        return EditedImage([ExtractionResult.failed(failure)])


@dataclass(frozen=True, slots=True)
class Invariance:
    """The measured invariance of an extractor on a sample of images.

    cosines  edit → mean cosine between the vectors of an image and the edited image; NaN where no file
             could be read. Compare with `mean_cosine` of unrelated images
    pixels   of the images, as the extractor receives them
    seconds  processor time of one extraction in a worker, per image; empty if the extractor runs in the
             main process
    """

    cosines: dict[str, float]
    pixels: list[Pixels]
    seconds: list[float]


def measure_invariance(
    extractor: Extractor, paths: Sequence[str], *, workers: int | None = None
) -> Invariance:
    """Edit images and compare their vectors. Unreadable files are skipped.

    `extractor` must be fitted if it needs fitting.
    """
    edits = tuple(edit for name in MEASURED_EDITS for edit in EDITS if edit.name == name)
    work = EditWorker(Extraction.of([extractor]), edits)
    key = space_key(extractor)
    cosines: dict[str, list[float]] = {edit.name: [] for edit in edits}
    pixels: list[Pixels] = []
    seconds: list[float] = []
    # A file takes seven extractions instead of one.
    limits = Limits(timeout=8 * Limits().timeout)
    with Pool(work, workers=workers, limits=limits, on_failure=EditWorker.failed) as pool:
        for image in pool.map(paths):
            original, *edited = vectors_of(extractor, image.results)
            if original is None:
                continue
            pixels.append(image.results[0].pixels[key])
            if image.seconds is not None:
                seconds.append(image.seconds)
            for edit, vector in zip(edits, edited, strict=True):
                if vector is not None:
                    cosines[edit.name].append(float(original @ vector))
    means = {name: float(np.mean(found)) if found else np.nan for name, found in cosines.items()}
    return Invariance(means, pixels, seconds)


def mean_seconds(work: Callable[[], object]) -> float:
    """Return the processor seconds of one call, averaged over `TIMED_SECONDS` and at least one call."""
    calls, spent, started = 0, 0.0, time.process_time()
    while spent < TIMED_SECONDS:
        work()
        calls += 1
        spent = time.process_time() - started
    return spent / calls


def mean_cosine(vectors: NDArray[np.float32]) -> float:
    """Return the mean cosine between two different rows of (n, dim) unit vectors; NaN if n < 2.

    The sum over all pairs is the squared length of the sum of all vectors, minus each with itself.
    """
    count = len(vectors)
    if count < 2:
        return float("nan")
    wide = vectors.astype(np.float64)
    total = wide.sum(axis=0)
    return float((total @ total - (wide * wide).sum()) / (count * (count - 1)))
