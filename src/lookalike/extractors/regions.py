"""Parts of pictures: the vectors of another extractor for the whole and for thirteen tiles, so that a
small thing in a large picture is found, and where it is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.extractors.interface import (
    BOXES,
    Extractor,
    FittedExtractor,
    Place,
    Vectors,
    lanes_of,
)
from lookalike.extractors.registry import REGIONS
from lookalike.images.pixel_spec import Needs, Pixels
from lookalike.vectors.similarity import Similarity, normalise

GRIDS = ((1, 1.0), (2, 0.6), (3, 0.4))
"""Tiles a side, and their share of the side. Neighbours overlap by a third or a quarter, so that what
is cut by the edge of one lies inside another."""

TOGETHER = 32
"""Tiles that the other extractor gets at once."""

LARGEST_SIDE = 1200
"""What the shorter side of a picture needs at most, whatever the tiles would like."""


def grid() -> NDArray[np.float64]:
    """(14, 4): x, y, width, height of every part as fractions of the picture; the first is the whole."""
    boxes = []
    for count, share in GRIDS:
        step = (1 - share) / max(count - 1, 1)
        boxes += [(x * step, y * step, share, share) for y in range(count) for x in range(count)]
    return np.array(boxes)


class Regions:
    """An extractor of parts. Its vectors stand side by side in one row: (n, parts · dim)."""

    def __init__(self, whole: Extractor, boxes: NDArray[np.generic] | None = None) -> None:
        if isinstance(whole, FittedExtractor):
            raise UsageError(
                f"{whole.name} cannot be asked for parts of pictures; color, shape and networks can"
            )
        self.whole = whole
        self._boxes = grid() if boxes is None else np.asarray(boxes, np.float64)

    @property
    def name(self) -> str:
        return self.whole.name + REGIONS

    @property
    def revision(self) -> str:
        return f"{self.whole.revision}+1"  # of the grid

    @property
    def dim(self) -> int:
        return self.whole.dim * len(self._boxes)

    @property
    def similarity(self) -> Similarity:
        return self.whole.similarity

    @property
    def place(self) -> Place:
        return self.whole.place

    @property
    def needs(self) -> Needs:
        """Pixels that leave the smallest tile as large as the other extractor wants it."""
        needs = self.whole.needs
        side = max(needs.height, needs.width, needs.shortest_edge, needs.max_side, needs.min_side)
        smallest = min(share for _, share in GRIDS)
        return Needs(fit="any", min_side=min(math.ceil(side / smallest), LARGEST_SIDE))

    @property
    def fitted(self) -> Mapping[str, NDArray[np.generic]]:
        """Where the parts lie; kept with the space, so that a hit can say where it matched."""
        return {BOXES: self._boxes}

    def fit(self, images: Sequence[Pixels]) -> Extractor:
        """Nothing has to be learned."""
        return self

    def with_fitted(self, fitted: Mapping[str, NDArray[np.generic]]) -> Extractor:
        return Regions(self.whole, fitted[BOXES])

    def lanes(self) -> tuple[int, int] | None:
        """See `Concurrent`."""
        return lanes_of(self.whole)

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        """(n, parts · dim); parts that are compared by the cosine have length 1 each."""
        from lookalike.images.resize import fit  # in the workers, mostly

        tiles = (fit(tile(image, box), self.whole.needs) for image in images for box in self._boxes)
        made = []
        while some := list(islice(tiles, TOGETHER)):
            made.append(self.whole.extract(some))
        if not made:
            return np.empty((0, self.dim), np.float32)
        vectors = np.concatenate(made)
        if self.similarity == "cosine":
            vectors = normalise(vectors)
        return np.ascontiguousarray(vectors, np.float32).reshape(len(images), self.dim)


def tile(image: Pixels, box: NDArray[np.float64]) -> Pixels:
    """A part of a picture, at least a pixel of it."""
    tall, wide = image.shape[:2]
    x, y, width, height = (float(edge) for edge in box)
    left, top = min(round(x * wide), wide - 1), min(round(y * tall), tall - 1)
    right = max(round((x + width) * wide), left + 1)
    bottom = max(round((y + height) * tall), top + 1)
    return np.ascontiguousarray(image[top:bottom, left:right])
