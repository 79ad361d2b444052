"""Tells whether one image is the other with letters or lines drawn over it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lookalike.duplicates.tone import MIN_LEVELS, Mask, Plane, levels, main_colors
from lookalike.images.pixel_spec import Pixels

# Share of the image that letters and lines over it may take, with the gaps between them; and share of the
# pixels that must differ: a stroke makes an 8 of a 3.
MAX_OVERLAY, MIN_OVERLAY = 0.4, 0.01
# Width of the square around a changed pixel in which pixels may belong to what was drawn.
MARGIN = 8
# Difference of grey values from which a pixel belongs to what was drawn.
DRAWN = 24
# Colors within that distance (of 255, in each channel) are one; at most so many are drawn.
SAME_COLOR, MAX_COLORS = 28, 3
# Share of the differing pixels that must have the drawn colors in one image, and may have in the other.
MIN_DRAWN, MAX_DRAWN = 0.6, 0.3
# Share of them from which a color is one that was drawn, not one of the soft edges of letters.
MIN_COLOR_SHARE = 0.15
# Share of what does not differ from which a color is the ground: white between the articles of a shop is not
# drawn over them.
MAX_GROUND = 0.2
# Largest half width of nine tenths of letters and lines, relative to the longer side of at most 3:2 (those of
# a panorama are as wide as those of a photo of its height); and smallest length of all strokes, in widths of
# a stroke: a word of five letters has about 60, a standing person 4.
MAX_STROKE, MIN_STROKE_LENGTH = 0.03, 25.0
# Share of the differing pixels that hang together from which they are not several letters, and of the box
# around these pixels from which they are not a line or a frame either, but another part of a scene.
MAX_PART, MAX_FILLED = 0.5, 0.25


def is_overlay(
    one: Pixels, other: Pixels, a: Plane, b: Plane, changed: Mask, covered: Mask
) -> bool:
    """Return whether one image is the other, a photo, with letters or lines drawn over it.

    one, other  aligned RGB images (h, w, 3)
    a, b        their grey values (h, w)
    changed     pixels (h, w) of windows that differ
    covered     pixels (h, w) that both images have

    Then wherever they differ one image has a few flat colors, and the other one has not: if each has
    something of its own there, they are other texts over one photo. On drawn grounds (forms, chats, charts)
    something added is another content.
    """
    import cv2

    if changed.mean() > MAX_OVERLAY:
        return False
    near = cv2.dilate(changed.astype(np.uint8), np.ones((MARGIN, MARGIN), np.uint8)) > 0
    if min(levels(a, covered & ~near), levels(b, covered & ~near)) < MIN_LEVELS:
        return False
    differing = near & covered & (np.abs(one.astype(np.int16) - other).max(axis=2) > DRAWN)
    if differing.sum() < MIN_OVERLAY * covered.sum():
        return False
    width = cv2.distanceTransform(differing.astype(np.uint8), cv2.DIST_L2, 3)
    stroke = float(np.quantile(width[differing], 0.9))
    if (
        stroke > MAX_STROKE * min(max(a.shape), 1.5 * min(a.shape))
        or differing.sum() < MIN_STROKE_LENGTH * (2 * stroke) ** 2
    ):
        return False
    *_, parts, _ = cv2.connectedComponentsWithStats(differing.astype(np.uint8), connectivity=8)
    *_, wide, high, largest = parts[1 + parts[1:, cv2.CC_STAT_AREA].argmax()].tolist()
    if largest > MAX_PART * differing.sum() and largest > MAX_FILLED * wide * high:
        return False
    x, y = one[differing].astype(np.int16), other[differing].astype(np.int16)
    same = covered & ~near
    return _drawn_over(x, y, one[same]) or _drawn_over(y, x, other[same])


def _drawn_over(drawn: NDArray[np.int16], ground: NDArray[np.int16], same: Pixels) -> bool:
    """Return whether these differing pixels (n, 3) have a few colors that the other image has not there.

    same  the pixels (m, 3) that do not differ: colors that many of them have are not drawn
    """
    covered = 0.0
    shared = np.zeros(len(ground), bool)
    for color, has in main_colors(drawn, MAX_COLORS, SAME_COLOR):
        covered += float(has.mean())
        if has.mean() >= MIN_COLOR_SHARE:
            if (np.abs(same - color).max(axis=1) <= SAME_COLOR).mean() > MAX_GROUND:
                return False
            shared |= np.abs(ground - color).max(axis=1) <= SAME_COLOR
    return bool(covered >= MIN_DRAWN and shared.mean() <= MAX_DRAWN)
