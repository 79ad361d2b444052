"""The work on one file in a worker process: read, hash, decode once, extract.

An `Extraction` is pickled to every worker once; it turns each `Task` into an `ExtractionResult`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ImageError, LookalikeError, Outcome
from lookalike.extractors.interface import Extractor, Vectors, space_key
from lookalike.images.formats import LIVE_OF, RAW_OF
from lookalike.images.metadata.facts import Facts
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.workers.limits import Failure, Limits

if TYPE_CHECKING:
    from lookalike.images.pixel_spec import Decoded
    from lookalike.images.reading import Content

# Part of the wanted side that a thumbnail has at least, unless the image is smaller.
MIN_THUMBNAIL = 0.6

Vector: TypeAlias = NDArray[np.float32]
Region: TypeAlias = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Task:
    """One image: a file (`path`), the bytes of one (`data`), or decoded pixels (upright RGB).

    With both `path` and `data`, these are the content of the file, which was read before.

    same_content  hashes of stored images with the same size in bytes; a file whose hash is among them is
                  not decoded
    failure       outcome and reason of a file whose content could not be fetched
    region        (left, top, width, height) of the upright image to use; fractions of its width and height
                  if all four are at most 1, else pixels
    orientation   EXIF orientation applied first; 1 leaves the image as it is
    still         path of an image of the same name, to which a raw file or a video may belong; with `data`,
                  the content of the image is `still_data`
    """

    path: str | None = None
    data: bytes | None = None
    pixels: Pixels | None = None
    same_content: tuple[bytes, ...] = ()
    failure: tuple[Outcome, str] | None = None
    region: Region | None = None
    orientation: int = 1
    still: str | None = None
    still_data: bytes | None = None


@dataclass(frozen=True, slots=True)
class ExtractionResult:
    """Result of a task.

    hash     SHA-256 of the content, 32 bytes; None if it could not be read, or for pixels
    reason   why it failed, or what is wrong with a file that could be used all the same
    known    the hash is in the task's `same_content`: nothing else was done
    vectors  by space key, (dim,) float32; empty unless the outcome is `indexed`
    pixels   by space key, prepared for the extractors that run in the main process
    thumbnail  JPEG; b"" unless the work makes thumbnails
    pages      further pages of the file that are images of their own (`images.pages`)
    """

    hash: bytes | None
    outcome: Outcome
    reason: str = ""
    facts: Facts | None = None
    known: bool = False
    vectors: Mapping[str, Vector] = field(default_factory=dict)
    pixels: Mapping[str, Pixels] = field(default_factory=dict)
    thumbnail: bytes = b""
    pages: tuple[str, ...] = ()

    @classmethod
    def failed(cls, failure: Failure) -> Self:
        """Return the result of a task whose worker was lost."""
        return cls(None, failure.outcome, failure.reason)


@dataclass(frozen=True, slots=True)
class Extraction:
    """Turns tasks into results; created with `Extraction.of`.

    in_worker  extractors that run in the worker process
    in_main    pixels to send back, by space key, for the extractors that run in the main process
    skip_drawings  skip files that carry the mark of what this program draws
    thumbnail_side longest side of the thumbnails to make, in pixels; 0: none
    """

    in_worker: tuple[Extractor, ...]
    in_main: Mapping[str, PixelSpec]
    limits: Limits
    skip_drawings: bool = False
    thumbnail_side: int = 0

    @classmethod
    def of(
        cls,
        extractors: Sequence[Extractor],
        *,
        limits: Limits | None = None,
        pixels_only: bool = False,
        skip_drawings: bool = False,
        thumbnail_side: int = 0,
    ) -> Self:
        """Return the work for these extractors.

        pixels_only  send back the pixels for every extractor and extract nothing, to fit the extractors
        """
        in_worker = [e for e in extractors if e.runs_in == "worker" and not pixels_only]
        in_main = {space_key(e): e.pixels for e in extractors if e not in in_worker}
        return cls(tuple(in_worker), in_main, limits or Limits(), skip_drawings, thumbnail_side)

    def __call__(self, task: Task) -> ExtractionResult:
        # Imported on use: the main process does not decode and should not wait for these imports.
        from lookalike.images.decode import decode, upright
        from lookalike.images.dominant_color import dominant_color
        from lookalike.images.drawing_mark import DRAWING, is_drawing, is_marked_file
        from lookalike.images.reading import content_of, read

        digest: bytes | None = None
        facts: Facts | None = None
        if task.failure is not None:
            return ExtractionResult(None, *task.failure)
        try:
            data: bytes | Content | None = task.data
            if task.path is not None:
                content = read(task.path) if task.data is None else content_of(task.path, task.data)
                data, digest = content, content.digest
                if digest in task.same_content:
                    return ExtractionResult(digest, Outcome.INDEXED, known=True)
                if self.skip_drawings and is_drawing(content.data):
                    return ExtractionResult(digest, Outcome.SKIPPED, DRAWING)
            if data is not None:
                specs = [e.pixels for e in self.in_worker] + list(self.in_main.values())
                # With a region, the scale at which to decode is not known before it is cut out.
                whole = task.region is not None
                specs = [] if whole else specs
                decoded = decode(
                    data, specs=specs, limits=self.limits, name=task.path or "", whole=whole
                )
                pixels = decoded.pixels
                facts = replace(decoded.facts, dominant_color=dominant_color(pixels))
                if task.still and (reason := self._belongs(decoded, task.still, task.still_data)):
                    return ExtractionResult(digest, Outcome.SKIPPED, reason, facts)
            else:
                pixels = _check_pixels(task.pixels)
            if task.region is not None:
                pixels = _crop(pixels, task.region)
            if task.orientation != 1:
                pixels = np.ascontiguousarray(upright(pixels, task.orientation))
            vectors, prepared = self._extract(pixels)
            thumbnail = b""
            if self.thumbnail_side and data is not None:
                thumbnail = self._thumbnail(data, decoded, task.path or "")
        except ImageError as error:
            drawn = self.skip_drawings and error.outcome is Outcome.UNSUPPORTED and task.path
            if drawn and is_marked_file(drawn):
                return ExtractionResult(digest, Outcome.SKIPPED, DRAWING)
            return ExtractionResult(digest, error.outcome, error.reason, facts)
        note = (facts and facts.note) or ""
        pages = decoded.pages if data is not None else ()
        return ExtractionResult(
            digest, Outcome.INDEXED, note, facts, False, vectors, prepared, thumbnail, pages
        )

    def _belongs(self, decoded: Decoded, still: str, data: bytes | None) -> str:
        """Return the reason why a raw file, or a video, is no image of its own beside one of the same name: a
        raw file of the same moment, the video of a live photo. "" if it is one, or the still is broken."""
        from lookalike.images.decode import decode
        from lookalike.images.metadata.moment import is_same_moment
        from lookalike.images.reading import content_of, read

        try:
            tiny = PixelSpec(fit="inside", max_side=64)
            content = read(still) if data is None else content_of(still, data)
            other = decode(content, specs=[tiny], limits=self.limits, name=still).facts
        except ImageError:
            return ""
        name = PurePath(still).name
        if decoded.facts.format == "raw":
            same = is_same_moment(decoded.facts.taken, other.taken)
            return f"{RAW_OF}{name}" if same else ""
        return f"{LIVE_OF}{name}" if decoded.is_short else ""

    def _thumbnail(self, data: bytes | Content, decoded: Decoded, name: str) -> bytes:
        """Return the thumbnail of a decoded image, decoded again where too little of it is left.

        The scale at which the extractors' pixels are decoded must not depend on whether there are thumbnails:
        their vectors would. Decoding twice takes twice as long, so a somewhat smaller thumbnail will do.
        """
        from lookalike.images.decode import decode
        from lookalike.images.jpeg import encode_jpeg
        from lookalike.images.resize import MAX_ASPECT_RATIO, fit

        spec = PixelSpec(fit="inside", max_side=self.thumbnail_side)
        pixels, facts = decoded.pixels, decoded.facts
        shorter, longer = sorted((facts.width, facts.height))
        too_small = max(pixels.shape[:2]) < min(MIN_THUMBNAIL * self.thumbnail_side, longer)
        if too_small or longer > MAX_ASPECT_RATIO * shorter:
            pixels = decode(data, specs=[spec], limits=self.limits, name=name, whole=True).pixels
        return encode_jpeg(fit(pixels, spec))

    def _extract(self, pixels: Pixels) -> tuple[dict[str, Vector], dict[str, Pixels]]:
        from lookalike.images.resize import fit, limit_aspect

        prepared: dict[PixelSpec, Pixels] = {}

        def prepare(spec: PixelSpec) -> Pixels:
            if spec not in prepared:
                prepared[spec] = fit(pixels if spec.whole else limit_aspect(pixels), spec)
            return prepared[spec]

        vectors: dict[str, Vector] = {}
        for extractor in self.in_worker:
            (vector,) = extract_each(extractor, [prepare(extractor.pixels)])
            if isinstance(vector, ImageError):
                raise vector
            vectors[space_key(extractor)] = vector
        return vectors, {key: prepare(spec) for key, spec in self.in_main.items()}


def extract_each(extractor: Extractor, images: Sequence[Pixels]) -> list[Vector | ImageError]:
    """Return a vector (dim,) for every image, or the error that explains why there is none.

    When an extractor fails on a batch, the images are tried one by one, so that a bad one affects only
    itself. Errors not caused by an image (LookalikeError, MemoryError) are raised.
    """
    if not images:
        return []
    try:
        return _rows(extractor, extractor.extract(images), len(images))
    except ImageError as error:
        failure = error
    except (LookalikeError, MemoryError):
        raise
    except Exception as error:
        lines = str(error).strip().splitlines()
        cause = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
        failure = ImageError(
            Outcome.UNREADABLE,
            f"{extractor.name} fails on it: {cause}; use another --extractor for it",
        )
    if len(images) == 1:
        return [failure]
    return [extract_each(extractor, [image])[0] for image in images]


def _rows(extractor: Extractor, vectors: Vectors, count: int) -> list[Vector | ImageError]:
    """Return the rows of an extractor's result; ValueError where its shape is not (count, dim)."""
    if vectors.shape != (count, extractor.dim):
        raise ValueError(f"it returned shape {vectors.shape}, not {(count, extractor.dim)}")
    vectors = np.ascontiguousarray(vectors, np.float32)
    if np.isfinite(vectors).all():
        return list(vectors)
    wrong = ImageError(
        Outcome.UNREADABLE,
        f"{extractor.name} returns NaN or infinity for it; use another --extractor for it",
    )
    return [row if np.isfinite(row).all() else wrong for row in vectors]


def _check_pixels(pixels: Pixels | None) -> Pixels:
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


def _crop(pixels: Pixels, region: Region) -> Pixels:
    """Return a region (left, top, width, height) of an image; ImageError if it lies outside."""
    height, width = pixels.shape[:2]
    if max(region) <= 1:
        region = (region[0] * width, region[1] * height, region[2] * width, region[3] * height)
    left, top, right, bottom = (
        round(edge) for edge in (region[0], region[1], region[0] + region[2], region[1] + region[3])
    )
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise ImageError(
            Outcome.UNREADABLE,
            f"the region {right - left}×{bottom - top} at ({left}, {top}) does not lie inside its"
            f" {width}×{height} pixels (counted after rotating it upright)",
        )
    return pixels[top:bottom, left:right]
