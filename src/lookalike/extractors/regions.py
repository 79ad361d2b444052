"""Vectors of image regions: another extractor applied to the whole image and to thirteen tiles.

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

    @property
    def name(self) -> str:
        return self.base.name + REGIONS

    @property
    def revision(self) -> str:
        return f"{self.base.revision}+1"  # of the grid

    @property
    def dim(self) -> int:
        return self.base.dim * len(self._boxes)

    @property
    def similarity(self) -> Similarity:
        return self.base.similarity

    @property
    def runs_in(self) -> RunsIn:
        return self.base.runs_in

    @property
    def pixels(self) -> PixelSpec:
        """Pixels large enough that the smallest tile has the size the base extractor takes."""
        base = self.base.pixels
        side = max(base.height, base.width, base.shortest_edge, base.max_side, base.min_side)
        smallest = min(share for _, share in GRIDS)
        return PixelSpec(fit="any", min_side=min(math.ceil(side / smallest), MAX_MIN_SIDE))

    @property
    def fitted(self) -> Mapping[str, NDArray[np.generic]]:
        """The boxes of the regions, stored with the space so that a hit can tell where it matched."""
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

        tiles = (fit(tile(image, box), self.base.pixels) for image in images for box in self._boxes)
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
