"""Vectors of image regions: another extractor applied to the whole image and to thirteen tiles.

Images beyond 3:1 have windows along their longer side instead of tiles (`region_boxes`).

A small object in a large image is found this way, together with its position.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.extractors.interface import (
    BOXES,
    REGIONS,
    Extractor,
    FittedExtractor,
    RunsIn,
    Vectors,
    concurrency_of,
)
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.images.resize import MAX_ASPECT_RATIO, crop_box
from lookalike.vectors.similarity import Similarity, normalise

# Tiles per side, and the side of a tile as a fraction of the image's. Neighbours overlap by a quarter
# to a third, so that an object cut by the edge of one tile lies inside another.
GRIDS = ((1, 1.0), (2, 0.6), (3, 0.4))

# Tiles that the base extractor gets per call.
BATCH = 32

# Upper limit for the shorter side of the image in pixels, whatever size the tiles would need.
MAX_MIN_SIDE = 1200


def grid() -> NDArray[np.float64]:
    """Return (14, 4): x, y, width, height of every region as fractions; the first is the whole image."""
    boxes = []
    for count, share in GRIDS:
        step = (1 - share) / max(count - 1, 1)
        boxes += [(x * step, y * step, share, share) for y in range(count) for x in range(count)]
    return np.array(boxes)


def region_boxes(boxes: NDArray[np.generic], width: int, height: int) -> NDArray[np.float64]:
    """Return (regions, 4): the regions of an image of this size, as fractions of it.

    boxes  the regions of images up to 3:1, the first of which is the whole image

    Of a longer image the first region is the centre, as everywhere, and the others are windows along its
    longer side.
    """
    if max(width, height) <= MAX_ASPECT_RATIO * min(width, height):
        return np.asarray(boxes, np.float64)
    left, top, wide, high = crop_box(width, height)
    found = [(left / width, top / height, wide / width, high / height)]
    for start, share in windows(len(boxes) - 1, max(width, height) / min(width, height)):
        found.append((start, 0, share, 1) if width > height else (0, start, 1, share))
    return np.array(found)


def windows(count: int, aspect: float) -> list[tuple[float, float]]:
    """Return start and length of `count` windows along a side that is `aspect` times the other.

    The side is cut into equal parts no longer than 3:1, then into one more, and so on, while there are
    windows left; what remains lies across the cuts.
    """
    fewest = min(math.ceil(aspect / MAX_ASPECT_RATIO), max(count, 1))
    found: list[tuple[float, float]] = []
    parts = fewest
    while len(found) + parts <= count:
        found += [(part / parts, 1 / parts) for part in range(parts)]
        parts += 1
    across = [
        ((part + 0.5) / cut, 1 / cut) for cut in range(fewest, parts) for part in range(cut - 1)
    ]
    found += across[: count - len(found)]
    return found + [(0.0, 1.0)] * (count - len(found))


class RegionExtractor:
    """The base extractor's vectors for every region, side by side in one row: (n, regions · dim)."""

    sample_size = 0  # the grid is fixed: there is nothing to fit

    def __init__(self, base: Extractor, boxes: NDArray[np.generic] | None = None) -> None:
        if isinstance(base, FittedExtractor):
            raise UsageError(
                f"{base.name} cannot be applied to regions; color, shape and networks can"
            )
        self.base = base
        self._boxes = grid() if boxes is None else np.asarray(boxes, np.float64)
        self.name = base.name + REGIONS
        self.revision = f"{base.revision}+2"  # of the grid
        self.dim = base.dim * len(self._boxes)
        self.similarity: Similarity = base.similarity
        self.runs_in: RunsIn = base.runs_in
        # Large enough that the smallest tile has the size that the base extractor takes.
        one = base.pixels
        side = max(one.height, one.width, one.shortest_edge, one.max_side, one.min_side)
        wanted = math.ceil(side / min(share for _, share in GRIDS))
        self.pixels = PixelSpec(fit="any", min_side=min(wanted, MAX_MIN_SIDE), whole=True)

    @property
    def fitted(self) -> Mapping[str, NDArray[np.generic]]:
        """The boxes of the regions, stored with the space so that a hit can tell where it matched (see
        `region_boxes`)."""
        return {BOXES: self._boxes}

    def fit(self, images: Sequence[Pixels]) -> RegionExtractor:
        """Return the extractor itself: nothing has to be learned."""
        return self

    def with_fitted(self, fitted: Mapping[str, NDArray[np.generic]]) -> RegionExtractor:
        """Return a copy with the boxes stored with a space."""
        return RegionExtractor(self.base, fitted[BOXES])

    def concurrency(self) -> tuple[int, int] | None:
        """See `ConcurrentExtractor`."""
        return concurrency_of(self.base)

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        """Return (n, regions · dim); regions compared by cosine have length 1 each."""
        from lookalike.images.resize import fit  # used in the workers, mostly

        tiles = (
            fit(tile(image, box), self.base.pixels)
            for image in images
            for box in region_boxes(self._boxes, image.shape[1], image.shape[0])
        )
        extracted = []
        while batch := list(islice(tiles, BATCH)):
            extracted.append(self.base.extract(batch))
        if not extracted:
            return np.empty((0, self.dim), np.float32)
        vectors = np.concatenate(extracted)
        if self.similarity == "cosine":
            vectors = normalise(vectors)
        return np.ascontiguousarray(vectors, np.float32).reshape(len(images), self.dim)


def tile(image: Pixels, box: NDArray[np.float64]) -> Pixels:
    """Return the part of an image inside a box of fractions, at least one pixel of it."""
    image_height, image_width = image.shape[:2]
    x, y, width, height = (float(edge) for edge in box)
    left = min(round(x * image_width), image_width - 1)
    top = min(round(y * image_height), image_height - 1)
    right = max(round((x + width) * image_width), left + 1)
    bottom = max(round((y + height) * image_height), top + 1)
    return np.ascontiguousarray(image[top:bottom, left:right])
