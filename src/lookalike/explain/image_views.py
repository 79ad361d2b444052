"""Loads the images to explain, as people see them and as the extractor sees them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from lookalike.errors import ImageError, UsageError
from lookalike.images.decode import decode
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.images.reading import read
from lookalike.images.resize import cover_scale, fit
from lookalike.query import Box, QueryImage
from lookalike.workers.limits import Failure, Limits
from lookalike.workers.pool import Pool

# Large enough to draw on.
DISPLAY_PIXELS = PixelSpec(fit="inside", max_side=640)


@dataclass(frozen=True, slots=True, eq=False)
class ImageView:
    """One image.

    display  (h, w, 3) uint8 RGB, upright, at most 640 pixels a side
    input    the pixels that the extractor receives
    frame    the part of `display` that these cover: x, y, width, height as fractions
    """

    display: Pixels
    input: Pixels
    frame: Box


@dataclass(frozen=True, slots=True, eq=False)
class ViewRequest:
    """An image, and the pixels that the extractor needs."""

    image: str | bytes | Pixels
    pixels: PixelSpec


@dataclass(frozen=True, slots=True)
class ViewWorker:
    """Runs in a worker process: decodes one image."""

    limits: Limits

    def __call__(self, request: ViewRequest) -> ImageView | Failure:
        image, spec = request.image, request.pixels
        try:
            if isinstance(image, np.ndarray):
                display = seen = image
            else:
                name = image if isinstance(image, str) else ""
                data = read(image) if isinstance(image, str) else image
                # Decoded twice: the extractor must see what it sees when indexing, and the size at which an
                # image is decoded changes its pixels a little.
                display, seen = (
                    decode(data, specs=[each], limits=self.limits, name=name).pixels
                    for each in (DISPLAY_PIXELS, spec)
                )
        except ImageError as error:
            return Failure(error.outcome, error.reason)
        height, width = display.shape[:2]
        return ImageView(
            fit(display, DISPLAY_PIXELS), fit(seen, spec), visible_frame(width, height, spec)
        )


def visible_frame(width: int, height: int, spec: PixelSpec) -> Box:
    """Return the part of an image of this size that `fit` keeps: all of it, unless the centre is cropped."""
    if spec.fit != "cover":
        return 0.0, 0.0, 1.0, 1.0
    scale = cover_scale(width, height, spec)
    wide = min(1.0, spec.width / (width * scale))
    high = min(1.0, spec.height / (height * scale))
    return (1 - wide) / 2, (1 - high) / 2, wide, high


class ViewLoader:
    """Reads images in a worker process. Close it; the next image starts a worker again."""

    def __init__(self, limits: Limits | None = None) -> None:
        limits = limits or Limits()
        self._pool: Pool[ViewRequest, ImageView | Failure] = Pool(
            ViewWorker(limits), workers=1, limits=limits
        )

    def load(self, images: Sequence[QueryImage], spec: PixelSpec) -> list[ImageView]:
        """Return one view per image. Raises UsageError that names an image that cannot be read."""
        requests = [ViewRequest(_portable(image), spec) for image in images]
        found = []
        for image, view in zip(images, self._pool.map(requests), strict=True):
            if not isinstance(view, ImageView):
                name = str(image) if isinstance(image, Path) else "the given image"
                raise UsageError(f"cannot explain {name}: {view.reason}")
            found.append(view)
        return found

    def close(self) -> None:
        """Stop the worker."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _portable(image: QueryImage) -> str | bytes | Pixels:
    return os.fspath(image) if isinstance(image, Path) else image
