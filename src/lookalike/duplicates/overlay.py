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
# Share of the differing pixels that must have the drawn colors in one image, and may have only in the other.
MIN_DRAWN, MAX_DRAWN = 0.6, 0.15
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

# An article before a plain ground: share of the image that has one color, side (pixels) of the squares that
# fit into the article and not into letters, and share of the image that such squares cover. What else there
# is may take SPECKS of the image: a page of a catalogue, or a chat, has other texts.
MIN_GROUND, SOLID, MIN_SOLID, SPECKS = 0.4, 9, 0.02, 0.002
# A caption of it: smallest number of letters, share that must lie on the ground beside the article (letters
# that are printed on it do not), width of the whole in heights, and size of the larger quarter of them
# relative to the smaller one: the beads of a necklace are of one size.
MIN_LETTERS, MIN_BESIDE, MIN_WIDTH, MIN_SPREAD = 8, 0.1, 2.0, 1.4


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
    differing = near & covered & (np.abs(one.astype(np.int16) - other).max(axis=2) > DRAWN)
    if not differing.any():
        return False
    width = cv2.distanceTransform(differing.astype(np.uint8), cv2.DIST_L2, 3)
    stroke = float(np.quantile(width[differing], 0.9))
    if (
        stroke > MAX_STROKE * min(max(a.shape), 1.5 * min(a.shape))
        or differing.sum() < MIN_STROKE_LENGTH * (2 * stroke) ** 2
    ):
        return False
    count, _, parts, _ = cv2.connectedComponentsWithStats(
        differing.astype(np.uint8), connectivity=8
    )
    *_, wide, high, largest = parts[1 + parts[1:, cv2.CC_STAT_AREA].argmax()].tolist()
    if largest > MAX_PART * differing.sum() and largest > MAX_FILLED * wide * high:
        return False
    same = covered & ~near
    if (
        min(levels(a, same), levels(b, same)) >= MIN_LEVELS
        and differing.sum() >= MIN_OVERLAY * covered.sum()
    ):
        x, y = one[differing].astype(np.int16), other[differing].astype(np.int16)
        if _drawn_over(x, y, one[same]) or _drawn_over(y, x, other[same]):
            return True
    low, high = np.quantile(parts[1:, cv2.CC_STAT_AREA], (0.25, 0.75))
    if count <= MIN_LETTERS or high < MIN_SPREAD * low:
        return False
    return _is_caption(one, other, b, differing, covered) or _is_caption(
        other, one, a, differing, covered
    )


def _is_caption(drawn: Pixels, bare: Pixels, grey: Plane, differing: Mask, covered: Mask) -> bool:
    """Return whether `drawn` is `bare`, an article before a plain ground, with a caption.

    The letters lie beside the article, or over it and beside it, and nothing is there in the other image.

    grey  grey values (h, w) of `bare`
    """
    import cv2

    pixels = bare[covered].astype(np.int16)
    color, has = next(main_colors(pixels, 1, SAME_COLOR))
    if has.mean() < MIN_GROUND:
        return False
    article = covered & (np.abs(bare.astype(np.int16) - color).max(axis=2) > SAME_COLOR)
    square = np.ones((SOLID, SOLID), np.uint8)
    solid = cv2.erode(article.astype(np.uint8), square) > 0
    if solid.sum() < MIN_SOLID * covered.sum() or levels(grey, solid) < MIN_LEVELS:
        return False
    _, parts = cv2.connectedComponents(article.astype(np.uint8), connectivity=8)
    whole = np.isin(parts, np.unique(parts[solid]))
    if (article & ~whole).sum() > SPECKS * covered.sum():
        return False
    high, wide = np.ptp(np.quantile(np.nonzero(differing), (0.02, 0.98), axis=1), axis=0)
    if wide < MIN_WIDTH * high:
        return False
    hull = np.zeros(article.shape, np.uint8)
    points = np.argwhere(whole)[:, ::-1].astype(np.int32)
    cv2.fillConvexPoly(hull, cv2.convexHull(points), 1)
    beside = differing & (hull == 0)
    if beside.sum() < MIN_BESIDE * differing.sum() or (beside & article).any():
        return False
    over = differing & (hull > 0)
    x, y = drawn[over].astype(np.int16), bare[over].astype(np.int16)
    return over.sum() < MIN_COLOR_SHARE * differing.sum() or _drawn_over(x, y, bare[:0])


def _drawn_over(drawn: NDArray[np.int16], ground: NDArray[np.int16], same: Pixels) -> bool:
    """Return whether these differing pixels (n, 3) have a few colors that the other image has not there.

    same  the pixels (m, 3) that do not differ: colors that many of them have are not drawn
    """
    covered = 0.0
    shared = np.zeros(len(ground), bool)
    for color, has in main_colors(drawn, MAX_COLORS, SAME_COLOR):
        covered += float(has.mean())
        if has.mean() >= MIN_COLOR_SHARE:
            if len(same) and (np.abs(same - color).max(axis=1) <= SAME_COLOR).mean() > MAX_GROUND:
                return False
            shared |= (np.abs(ground - color).max(axis=1) <= SAME_COLOR) & ~has
    return bool(covered >= MIN_DRAWN and shared.mean() <= MAX_DRAWN)
