"""The work on one file, as the workers do it: read, hash, decode once, extract.

An `Extraction` is pickled to every worker once; then `Task`s go out and `Loaded`s come back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ImageError, LookalikeError, Outcome
from lookalike.extractors.interface import Extractor, Vectors, space_key
from lookalike.images.metadata.facts import Facts
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.images.scale import crop_box
from lookalike.workers.limits import Failure, Limits

Vector: TypeAlias = NDArray[np.float32]
Region: TypeAlias = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Task:
    """One picture: a file (`path`), the bytes of one (`data`), or ready pixels, upright RGB.

    twins   hashes of known pictures of the same size in bytes: if the content is one of them, it
            is not decoded
    region  (left, top, width, height) of the upright picture: only that part counts; fractions of its
            width and height if all four are at most 1, else pixels
    orientation  how the picture is turned first, by EXIF's number; 1: not at all
    """

    path: str | None = None
    data: bytes | None = None
    pixels: Pixels | None = None
    same_content: tuple[bytes, ...] = ()
    region: Region | None = None
    orientation: int = 1


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of a task.

    hash     SHA-256 of the content, 32 bytes; None if it could not be read, or for pixels
    known    the hash is among the task's twins: nothing else was done
    vectors  by space key, (dim,) float32; empty unless the outcome is `indexed`
    pixels   by space key, what the extractors of place "parent" need, fitted
    """

    hash: bytes | None
    outcome: Outcome
    reason: str = ""
    facts: Facts | None = None
    known: bool = False
    vectors: Mapping[str, Vector] = field(default_factory=dict)
    pixels: Mapping[str, Pixels] = field(default_factory=dict)

    @classmethod
    def failed(cls, failure: Failure) -> Self:
        """Return the result of a task whose worker was lost."""
        return cls(None, failure.outcome, failure.reason)


@dataclass(frozen=True, slots=True)
class Extraction:
    """Turns tasks into vectors. Made by `of`.

    workers   extractors that run here, in the worker
    prepared  pixels to send back, by space key, for those that run in the parent
    """

    workers: tuple[Extractor, ...]
    prepared: Mapping[str, PixelSpec]
    limits: Limits

    @classmethod
    def of(
        cls,
        extractors: Sequence[Extractor],
        *,
        limits: Limits | None = None,
        pixels_only: bool = False,
    ) -> Self:
        """The work for these extractors. `pixels_only`: send every one's pixels back and extract
        nothing, for extractors that are to be fitted."""
        here = [e for e in extractors if e.runs_in == "worker" and not pixels_only]
        there = {space_key(e): e.pixels for e in extractors if e not in here}
        return cls(tuple(here), there, limits or Limits())

    def __call__(self, task: Task) -> Loaded:
        # Imported on use: the parent of the workers decodes nothing, and need not wait for it.
        from lookalike.images.decode import decode, upright
        from lookalike.images.reading import read

        digest: bytes | None = None
        facts: Facts | None = None
        try:
            data = task.data
            if task.path is not None:
                content = read(task.path)
                data, digest = content.data, content.digest
                if digest in task.same_content:
                    return Loaded(digest, Outcome.INDEXED, known=True)
            if data is not None:
                needs = [e.pixels for e in self.workers] + list(self.prepared.values())
                # How far a picture may shrink is not known before the region is cut out.
                asked = needs if task.region is None else ()
                decoded = decode(data, specs=asked, limits=self.limits, name=task.path or "")
                pixels, facts = decoded.pixels, decoded.facts
            else:
                pixels = _ready(task.pixels)
            if task.region is not None:
                pixels = _part(pixels, task.region)
            if task.region is not None or data is None:
                pixels = _within_3_to_1(pixels)
            if task.orientation != 1:
                pixels = np.ascontiguousarray(upright(pixels, task.orientation))
            vectors, prepared = self._extract(pixels)
        except ImageError as error:
            return Loaded(digest, error.outcome, error.reason, facts)
        return Loaded(digest, Outcome.INDEXED, "", facts, False, vectors, prepared)

    def _extract(self, pixels: Pixels) -> tuple[dict[str, Vector], dict[str, Pixels]]:
        from lookalike.images.resize import fit

        fitted: dict[PixelSpec, Pixels] = {}

        def fitting(needs: PixelSpec) -> Pixels:
            if needs not in fitted:
                fitted[needs] = fit(pixels, needs)
            return fitted[needs]

        vectors: dict[str, Vector] = {}
        for extractor in self.workers:
            (made,) = extract_each(extractor, [fitting(extractor.pixels)])
            if isinstance(made, ImageError):
                raise made
            vectors[space_key(extractor)] = made
        return vectors, {key: fitting(needs) for key, needs in self.prepared.items()}


def extract_each(extractor: Extractor, pictures: Sequence[Pixels]) -> list[Vector | ImageError]:
    """A vector (dim,) for every picture, or why there is none.

    When an extractor fails on a batch, the pictures are tried one by one, so that one of them costs
    only itself. Errors that no picture is to blame for (LookalikeError, MemoryError) are raised.
    """
    if not pictures:
        return []
    try:
        return _rows(extractor, extractor.extract(pictures), len(pictures))
    except ImageError as error:
        failure = error
    except (LookalikeError, MemoryError):
        raise
    except Exception as error:
        said = str(error).strip().splitlines()
        what = f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
        failure = ImageError(Outcome.UNREADABLE, f"{extractor.name} fails on it: {what}")
    if len(pictures) == 1:
        return [failure]
    return [extract_each(extractor, [picture])[0] for picture in pictures]


def _rows(extractor: Extractor, vectors: Vectors, count: int) -> list[Vector | ImageError]:
    """The rows of what an extractor gave, if that is what its contract promises."""
    if vectors.shape != (count, extractor.dim):
        raise ValueError(f"it gave shape {vectors.shape}, not {(count, extractor.dim)}")
    vectors = np.ascontiguousarray(vectors, np.float32)
    if np.isfinite(vectors).all():
        return list(vectors)
    wrong = ImageError(Outcome.UNREADABLE, f"{extractor.name} gives NaN or infinity for it")
    return [row if np.isfinite(row).all() else wrong for row in vectors]


def _ready(pixels: Pixels | None) -> Pixels:
    if (
        pixels is None
        or pixels.ndim != 3
        or pixels.shape[2] != 3
        or pixels.dtype != np.uint8
        or not pixels.size
    ):
        raise ImageError(
            Outcome.UNREADABLE, "pixels must be an array (height, width, 3) of uint8, upright RGB"
        )
    return pixels


def _part(pixels: Pixels, region: Region) -> Pixels:
    """A region (left, top, width, height) of a picture. Raises ImageError if it lies outside."""
    tall, wide = pixels.shape[:2]
    if max(region) <= 1:
        region = (region[0] * wide, region[1] * tall, region[2] * wide, region[3] * tall)
    left, top, right, bottom = (
        round(edge) for edge in (region[0], region[1], region[0] + region[2], region[1] + region[3])
    )
    if not (0 <= left < right <= wide and 0 <= top < bottom <= tall):
        raise ImageError(
            Outcome.UNREADABLE,
            f"the region {right - left}×{bottom - top} at ({left}, {top}) does not lie inside its"
            f" {wide}×{tall} pixels (counted after turning it upright and cutting it to 3:1)",
        )
    return pixels[top:bottom, left:right]


def _within_3_to_1(pixels: Pixels) -> Pixels:
    """What decoding does to a whole picture, for parts and for ready pixels."""
    left, top, width, height = crop_box(pixels.shape[1], pixels.shape[0])
    return np.ascontiguousarray(pixels[top : top + height, left : left + width])
