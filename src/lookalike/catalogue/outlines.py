"""Outlines as arrays of points: the geometry of drawn products.

An outline is `(k, 2)` float64, x to the right and y down, in units of the canvas (0 to 1). Pixels and
colours play no role here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Outline = npt.NDArray[np.float64]
Points = Sequence[tuple[float, float]]


def points(*corners: tuple[float, float]) -> Outline:
    """Return the corners as an array `(k, 2)`."""
    return np.asarray(corners, dtype=np.float64)


def smooth(corners: Points | Outline, *, closed: bool = True) -> Outline:
    """Return a Catmull-Rom curve through the corners, eight points per segment.

    Repeat a corner to make the curve sharp there.
    """
    p = np.asarray(corners, dtype=np.float64)
    if closed:
        before, after, last = np.roll(p, 1, 0), np.roll(p, -1, 0), np.roll(p, -2, 0)
    else:
        padded = np.concatenate([p[:1], p, p[-1:]])
        before, p, after, last = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    t = (np.arange(8) / 8)[None, :, None]
    a, b, c, d = (q[:, None, :] for q in (before, p, after, last))
    curve = 0.5 * (
        2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    )
    # Between the two halves of a sharp corner the curve would swing out and back: a spike.
    sharp = np.all(p == after, axis=1)
    curve[sharp] = p[sharp, None]
    flat: Outline = curve.reshape(-1, 2)
    return flat if closed else np.concatenate([flat, last[-1:]])


def ellipse(
    x: float, y: float, rx: float, ry: float, start: float = 0, end: float = 360, count: int = 48
) -> Outline:
    """An ellipse, or the arc from `start` to `end` degrees (0 right, 90 down)."""
    outline: Outline = _circle(start, end, count) * (rx, ry) + (x, y)
    return outline


@lru_cache(maxsize=256)
def _circle(start: float, end: float, count: int) -> Outline:
    """Return the unit circle or an arc of it; cached, because most parts use the same few."""
    whole = abs(end - start) >= 360
    angle = np.radians(np.linspace(start, end, count, endpoint=not whole))
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def box(x0: float, y0: float, x1: float, y1: float, radius: float = 0.0) -> Outline:
    """Return a rectangle with round corners of the given radius."""
    r = max(0.0, min(radius, abs(x1 - x0) / 2, abs(y1 - y0) / 2))
    if r == 0:
        return points((x0, y0), (x1, y0), (x1, y1), (x0, y1))
    corners = (
        (x1 - r, y0 + r, -90),
        (x1 - r, y1 - r, 0),
        (x0 + r, y1 - r, 90),
        (x0 + r, y0 + r, 180),
    )
    return np.concatenate([ellipse(x, y, r, r, a, a + 90, 7) for x, y, a in corners])


def trapezoid(y0: float, half0: float, y1: float, half1: float, x: float = 0.5) -> Outline:
    """Return a symmetric trapezoid around `x`, from the half widths of its upper and lower edge."""
    return points((x - half0, y0), (x + half0, y0), (x + half1, y1), (x - half1, y1))


def lathe(profile: Points, *, x: float = 0.5, sag: float = 0.0) -> Outline:
    """Return a rotationally symmetric body (vase, bottle); `profile` lists (y, half width) from the top.

    `sag` rounds the bottom edge downwards as seen from a little above, in canvas units.
    """
    side = smooth([(half, y) for y, half in profile], closed=False)
    side[:, 0] = np.maximum(side[:, 0], 0.002)
    right = side * (1, 1) + (x, 0)
    left = (side * (-1, 1) + (x, 0))[::-1]
    if sag == 0:
        return np.concatenate([right, left])
    y, half = profile[-1]
    return np.concatenate([right, ellipse(x, y, half, sag, 0, 180, 20), left])


def transformed(
    outline: Outline,
    dx: float = 0.0,
    dy: float = 0.0,
    *,
    turn: float = 0.0,
    scale: float | tuple[float, float] = 1.0,
    about: tuple[float, float] = (0.5, 0.5),
) -> Outline:
    """Return the outline scaled, rotated clockwise by `turn` degrees about a point, then shifted."""
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    centre = np.asarray(about)
    matrix = np.array([[c, s], [-s, c]])
    shifted: Outline = (outline - centre) * scale @ matrix + centre + (dx, dy)
    return shifted


def mirrored(outline: Outline) -> Outline:
    """Return the mirror image about the vertical line through the middle."""
    return (outline * (-1, 1) + (1, 0))[::-1]


def symmetric(right: Points | Outline) -> Outline:
    """Return a closed outline from its right half, listed from the top down."""
    half = np.asarray(right, dtype=np.float64)
    return np.concatenate([half, mirrored(half)])


def star(x: float, y: float, radius: float, spikes: int = 5, inner: float = 0.42) -> Outline:
    """Return a star whose first spike points up."""
    angle = np.radians(np.arange(2 * spikes) * 180 / spikes - 90)
    r = np.where(np.arange(2 * spikes) % 2, radius * inner, radius)
    return np.stack([x + r * np.cos(angle), y + r * np.sin(angle)], axis=1)
