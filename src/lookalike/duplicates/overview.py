"""Tells from small versions whether one image may show a part of the other: crops, frames, tilted copies.

The middle of one image is searched for in the other at several scales, and where it fits, the position is
refined by the pixels. That takes a millisecond and saves the 40 of keypoints.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.images.pixel_spec import Pixels

# Pixels along the longer side of a small version, and how well the middle of one image must fit some part of
# the other before and after the refinement. Of copies that are cropped to 64 % or framed all have .92 and
# .96, of those tilted by 5° all have .86 and .99, with letters or another light in addition .85 and .95; of
# neighbouring photos of groceries 15 % have the first and 4 % both.
SIDE, MIN_CORRELATION, MIN_REFINED = 48, 0.8, 0.94

# Scales at which the middle is searched for, ascending. None is above 1: of a crop and its original, the
# middle of the crop is found.
SCALES = (0.64, 0.72, 0.8, 0.9, 1.0)

# Correlation at the scale in the middle from which the others are tried. Copies have .65 and more there,
# three of four pairs of neighbouring photos of groceries less.
MIDDLE, MIN_PROBE = 2, 0.6


@dataclass(frozen=True, slots=True, eq=False)
class Overview:
    """A small version of a whole image, slightly blurred, and its middle half at all scales."""

    whole: NDArray[np.float32]
    centres: tuple[NDArray[np.float32], ...]

    @classmethod
    def of(cls, grey: Pixels) -> Overview:
        """Return the small version of an image."""
        import cv2

        height, width = grey.shape
        scale = SIDE / max(height, width)
        size = (max(16, round(width * scale)), max(16, round(height * scale)))
        small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        whole = np.asarray(cv2.GaussianBlur(small, (0, 0), 0.8), np.float32)
        height, width = whole.shape
        middle = whole[height // 4 : height - height // 4, width // 4 : width - width // 4]
        sizes = [(round(middle.shape[1] * s), round(middle.shape[0] * s)) for s in SCALES]
        return cls(whole, tuple(np.asarray(cv2.resize(middle, size)) for size in sizes))

    def find_middle_of(self, other: Overview, scales: Iterable[int]) -> Place:
        """Return where the middle of another image, or of its mirror image, fits best in this.

        scales  positions in `SCALES`
        """
        import cv2

        best = Place(-1.0, NOWHERE, mirrored=False)
        height, width = self.whole.shape
        for scale in scales:
            centre = other.centres[scale]
            if centre.shape[0] > height or centre.shape[1] > width:
                continue
            for mirrored in (False, True):
                template = np.ascontiguousarray(centre[:, ::-1]) if mirrored else centre
                fits = cv2.matchTemplate(self.whole, template, cv2.TM_CCOEFF_NORMED)
                _, highest, _, (x, y) = cv2.minMaxLoc(fits)
                if highest > best.correlation:
                    best = Place(highest, (x, y, *centre.shape[::-1]), mirrored)
        return best

    def refine(self, other: Overview, place: Place) -> tuple[float, NDArray[np.float64]]:
        """Return the correlation at the best affine map, and the map (3, 3) from the other to this.

        By enhanced correlation (ECC; Evangelidis and Psarakis, PAMI 2008). The map starts from the mirrored
        other one where the place is mirrored. The correlation is -1 where none is found.
        """
        import cv2

        middle = other.centres[-1]
        top, left = (side // 4 for side in other.whole.shape)
        if place.mirrored:
            middle = np.ascontiguousarray(middle[:, ::-1])
            left = other.whole.shape[1] - left - middle.shape[1]
        x, y, width, height = place.box
        zoom = np.array([width / middle.shape[1], height / middle.shape[0]])
        start = np.column_stack([np.diag(zoom), [x, y]]).astype(np.float32)
        stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-3)
        try:
            correlation, found = cv2.findTransformECC(
                middle, self.whole, start, cv2.MOTION_AFFINE, stop, None, 1
            )
        except cv2.error:  # no convergence where the images differ
            return -1.0, np.eye(3)
        to_middle = np.array([[1.0, 0, -left], [0, 1, -top], [0, 0, 1]])
        return float(correlation), np.vstack([found, [0, 0, 1]]) @ to_middle


NOWHERE = (0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Place:
    """The place in one small version at which the middle of another fits best.

    correlation  how well, -1 to 1
    box          x, y, width, height in pixels of the first one
    mirrored     whether the middle is mirrored
    """

    correlation: float
    box: tuple[int, int, int, int]
    mirrored: bool


@dataclass(frozen=True, slots=True, eq=False)
class Overlap:
    """How one of two images may show a part of the other.

    swapped    the second image shows more, not the first
    transform  (3, 3): pixels of the small version that shows less → pixels of the other
    mirrored   the transform starts from the mirrored version
    """

    swapped: bool
    transform: NDArray[np.float64]
    mirrored: bool


def find_overlap(one: Overview, other: Overview) -> Overlap | None:
    """Return how one of two images may show a part of the other, or None if neither does."""
    ours, theirs = one.find_middle_of(other, [MIDDLE]), other.find_middle_of(one, [MIDDLE])
    if max(ours.correlation, theirs.correlation) < MIN_PROBE:
        return None
    others = [scale for scale in range(len(SCALES)) if scale != MIDDLE]
    ours = max(ours, one.find_middle_of(other, others), key=lambda place: place.correlation)
    theirs = max(theirs, other.find_middle_of(one, others), key=lambda place: place.correlation)
    swapped = theirs.correlation > ours.correlation
    place = theirs if swapped else ours
    if place.correlation < MIN_CORRELATION:
        return None
    more, less = (other, one) if swapped else (one, other)
    correlation, transform = more.refine(less, place)
    return Overlap(swapped, transform, place.mirrored) if correlation >= MIN_REFINED else None
