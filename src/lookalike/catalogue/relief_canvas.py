"""Canvas that stores colour, surface slope and gloss per pixel, so that products can be lit later.

A part is drawn without light and shade. Each view then lights the same product from another side.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from lookalike.catalogue.outlines import Outline

Plane = npt.NDArray[np.float32]
Mask = npt.NDArray[np.uint8]
Pixels = npt.NDArray[np.uint8]
Rgb = tuple[float, float, float]

_SHIFT = 4  # sub-pixel bits of fillPoly: corners are placed to 1/16 of a pixel
_SUBPIXEL = 1 << _SHIFT


class Form(Enum):
    """The shape of a part's surface."""

    FLAT = "flat"  # a sheet that faces the viewer
    BEVEL = "bevel"  # a slab with a rounded edge
    DOME = "dome"  # a cushion that rises from the edge to the middle
    BARREL = "barrel"  # rotationally symmetric about an upright axis: mugs, bottles, lamp shades


class Print(NamedTuple):
    """A pattern to print on parts: `mask` (side, side) is 0 for the main colour, 1 for the accent."""

    mask: Plane
    accent: Rgb


class ReliefCanvas:
    """A square canvas that parts are drawn on.

    All planes are `(side, side)` float32 and premultiplied: at the edge of the product they fade to 0
    together with alpha.
    """

    def __init__(self, side: int) -> None:
        self.side = side
        self.planes: Plane = np.zeros((7, side, side), np.float32)
        self.red, self.green, self.blue, self.slope_x, self.slope_y, self.gloss, self.alpha = (
            self.planes
        )

    def fill(
        self,
        outline: Outline | list[Outline],
        colour: Rgb,
        form: Form = Form.DOME,
        *,
        bevel: float | None = None,
        gloss: float = 0.2,
        printed: Print | None = None,
        contact: float = 0.35,
    ) -> None:
        """Draw a part over the others. Several outlines cut holes into each other (even-odd).

        `bevel` is the width of the rounded edge in canvas units (DOME: None bends all the way);
        `contact` darkens the surface below around the part's edge.
        """
        outlines = outline if isinstance(outline, list) else [outline]
        corners = [_grid(one, self.side) for one in outlines]
        self._add_part(corners, None, colour, form, bevel, gloss, printed, contact)

    def stroke(
        self,
        line: Outline,
        width: float,
        colour: Rgb,
        *,
        closed: bool = False,
        gloss: float = 0.2,
        printed: Print | None = None,
        contact: float = 0.3,
    ) -> None:
        """Draw a tube or a strip of the given width (canvas units) along a line."""
        thick = max(1, round(width * self.side))
        self._add_part(
            [_grid(line, self.side)],
            (thick, closed),
            colour,
            Form.DOME,
            None,
            gloss,
            printed,
            contact,
        )

    def paint(
        self, outline: Outline | list[Outline], colour: Rgb, opacity: float = 1.0, soft: float = 0.0
    ) -> None:
        """Colour the surface inside the outline without changing form and gloss. `soft` blurs the edge."""
        outlines = outline if isinstance(outline, list) else [outline]
        self._paint([_grid(one, self.side) for one in outlines], None, colour, opacity, soft)

    def line(
        self,
        line: Outline,
        width: float,
        colour: Rgb,
        opacity: float = 1.0,
        *,
        closed: bool = False,
    ) -> None:
        """Draw a line on the surface, such as a seam or a string."""
        thick = max(1, round(width * self.side))
        self._paint([_grid(line, self.side)], (thick, closed), colour, opacity, 0.0)

    def _paint(
        self,
        corners: list[npt.NDArray[np.int32]],
        stroke: tuple[int, bool] | None,
        colour: Rgb,
        opacity: float,
        soft: float,
    ) -> None:
        pad = 2 + int(2.5 * soft * self.side) + (stroke[0] if stroke else 0)
        found = _mask(corners, stroke, self.side, pad)
        if found is None:
            return
        mask, here = found
        weight = mask.astype(np.float32) * (opacity / 255)
        if soft:
            weight = cv2.GaussianBlur(weight, (0, 0), soft * self.side)
        for plane, value in zip((self.red, self.green, self.blue), colour, strict=True):
            plane[here] += weight * (value * self.alpha[here] - plane[here])

    def _add_part(
        self,
        corners: list[npt.NDArray[np.int32]],
        stroke: tuple[int, bool] | None,
        colour: Rgb,
        form: Form,
        bevel: float | None,
        gloss: float,
        printed: Print | None,
        contact: float,
    ) -> None:
        reach = int(self.side * 0.04) | 1
        found = _mask(corners, stroke, self.side, reach + 3 + (stroke[0] if stroke else 0))
        if found is None:
            return
        mask, here = found
        coverage = mask * np.float32(1 / 255)
        keep = 1 - coverage
        # Two passes per plane (keep, then add) dominate the cost of drawing, so they share what they can.
        keep_colour = keep
        if contact:
            shade = cv2.blur(mask, (reach, reach)) * np.float32(-contact * 1.6 / 255)
            shade += 1
            keep_colour = np.multiply(shade, keep, out=shade)
        slope_x, slope_y = _slopes(mask, form, None if bevel is None else bevel * self.side)
        accent = None
        if printed is not None:
            pattern = printed.mask
            accent = (
                _wrapped(pattern, slope_x, here) if form is Form.BARREL else pattern[here]
            ) * coverage
        for k, plane in enumerate((self.red, self.green, self.blue)):
            window = plane[here]
            window *= keep_colour
            window += coverage * np.float32(colour[k])
            if printed is not None and accent is not None:
                window += accent * np.float32(printed.accent[k] - colour[k])
        for plane, slope in ((self.slope_x, slope_x), (self.slope_y, slope_y)):
            window = plane[here]
            window *= keep
            if not isinstance(slope, float):
                window += np.multiply(slope, coverage, out=slope)
        self.gloss[here] *= keep
        self.gloss[here] += coverage * np.float32(gloss)
        self.alpha[here] *= keep
        self.alpha[here] += coverage


def _grid(outline: Outline, side: int) -> npt.NDArray[np.int32]:
    """Convert canvas units to fillPoly's sub-pixel integers; pixel centres are whole numbers."""
    return np.rint((outline * side - 0.5) * _SUBPIXEL).astype(np.int32)


def _mask(
    corners: list[npt.NDArray[np.int32]], stroke: tuple[int, bool] | None, side: int, pad: int
) -> tuple[Mask, tuple[slice, slice]] | None:
    """Return the antialiased mask of a part and the window of the canvas that it covers."""
    every = corners[0] if len(corners) == 1 else np.concatenate(corners)
    low, high = every.min(0).tolist(), every.max(0).tolist()
    x0, y0 = (max(0, v // _SUBPIXEL - pad) for v in low)
    x1, y1 = (min(side, v // _SUBPIXEL + pad + 1) for v in high)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return None
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    start = np.array((x0 * _SUBPIXEL, y0 * _SUBPIXEL), np.int32)
    here = [c - start for c in corners]
    if stroke is None:
        cv2.fillPoly(mask, here, 255, cv2.LINE_AA, _SHIFT)
    else:
        cv2.polylines(mask, here, stroke[1], 255, stroke[0], cv2.LINE_AA, _SHIFT)
    return mask, (slice(y0, y1), slice(x0, x1))


def _slopes(mask: Mask, form: Form, bevel: float | None) -> tuple[Plane | float, Plane | float]:
    """Return the x and y components of the unit normals, `(h, w)` each, or 0.0 for a flat part."""
    if form is Form.FLAT:
        return 0.0, 0.0
    if form is Form.BARREL:
        return _barrel(mask)
    height, width = mask.shape
    # Half the resolution makes no visible difference on large parts and is four times cheaper.
    half = min(height, width) > 72
    if half:
        mask = cv2.resize(mask, ((width + 1) // 2, (height + 1) // 2), interpolation=cv2.INTER_AREA)
        bevel = None if bevel is None else bevel / 2
    solid = cv2.threshold(mask, 127, 1, cv2.THRESH_BINARY)[1]
    distance = cv2.distanceTransform(solid, cv2.DIST_L2, 3)
    depth = float(distance.max())
    if form is Form.BEVEL and bevel is None:
        bevel = 0.35 * depth
    edge = max(1.5, min(depth, bevel) if bevel is not None else depth)
    # The distance has ridges where edges meet; unblurred they would show as creases.
    blur = max(3, int(edge * 0.7) | 1)
    hill = cv2.blur(distance, (blur, blur))
    # A circular edge: at the fraction t of its width the normal leans outwards by 1 - t.
    lean = distance
    lean *= np.float32(0.92 / edge)
    np.subtract(np.float32(0.92), lean, out=lean)
    np.maximum(lean, 0, out=lean)
    small = max(3, int(edge * 0.25) | 1)
    slopes = []
    for x, y in ((1, 0), (0, 1)):
        slope = cv2.Sobel(hill, cv2.CV_32F, x, y, ksize=3, scale=-0.125)
        slope *= lean
        slope = cv2.blur(slope, (small, small))
        slopes.append(cv2.resize(slope, (width, height)) if half else slope)
    return slopes[0], slopes[1]


def _barrel(mask: Mask) -> tuple[Plane, Plane]:
    """Return the normals of a rotationally symmetric body from the left and right edge of each row."""
    inside = mask > 127
    height, width = inside.shape
    left = inside.argmax(1).astype(np.float32)
    right = width - 1 - inside[:, ::-1].argmax(1).astype(np.float32)
    empty = ~inside.any(1)
    half = np.maximum((right - left) / 2, 1.0)
    half[empty] = 1.0
    centre = (left + right) / 2
    u = (np.arange(width, dtype=np.float32)[None] - centre[:, None]) / half[:, None]
    u = np.clip(u, -1, 1)
    # A body that widens downwards has a surface that faces up, which is lit more.
    # Edges are whole pixels; without smoothing each step would show as a ring.
    tall = max(9, height // 10) | 1
    smoothed = cv2.blur(cv2.blur(half[:, None], (1, tall)), (1, tall))[:, 0]
    widening = np.clip(np.gradient(smoothed), -1.2, 1.2).astype(np.float32)
    widening[empty] = 0
    fall = -widening / np.sqrt(1 + widening**2)
    slope_y = (fall[:, None] * np.sqrt(1 - 0.9 * u * u)).astype(np.float32)
    slope_x = (0.94 * u * np.sqrt(1 - fall[:, None] ** 2)).astype(np.float32)
    return slope_x, slope_y


def _wrapped(pattern: Plane, slope_x: Plane | float, here: tuple[slice, slice]) -> Plane:
    """Return a pattern wrapped around a barrel: denser at the sides, rows sagging in the middle."""
    window: Plane = pattern[here]
    if isinstance(slope_x, float):
        return window
    height, width = window.shape
    lean = np.clip(slope_x, -0.94, 0.94)
    stretch = np.arcsin(lean) - lean
    x = np.arange(width, dtype=np.float32)[None] + here[1].start + stretch * (width * 0.5)
    sag = np.sqrt(1 - lean * lean) * np.float32(0.09 * width)
    y = np.arange(height, dtype=np.float32)[:, None] + here[0].start - sag
    wrapped: Plane = cv2.remap(pattern, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return wrapped
