"""Patterns and logos printed on products."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from lookalike.catalogue.outlines import Outline, ellipse, points, smooth, star, transformed
from lookalike.catalogue.relief_canvas import Mask, Plane

_SHIFT = 4

# How captions name each pattern; {colours} is "red" for a plain product, else "red and white".
PATTERNS: dict[str, str] = {
    "plain": "{colours}",
    "stripes": "{colours} striped",
    "pinstripes": "{colours} pinstriped",
    "diagonals": "{colours} diagonally striped",
    "dots": "{colours} dotted",
    "checks": "{colours} chequered",
    "plaid": "{colours} plaid",
    "zigzag": "{colours} zigzag",
    "waves": "{colours} wavy",
    "flowers": "{colours} flowered",
    "confetti": "{colours} speckled",
    "diamonds": "{colours} argyle",
    "two-tone": "two-tone {colours}",
    "gradient": "{colours} gradient",
}


def pattern_mask(pattern: str, side: int, *, pitch: float, phase: float, turn: float) -> Plane:
    """Return the fraction of the accent colour at each pixel, `(side, side)` float32, 0 to 1.

    `pitch` is the repeat in canvas units, `phase` (0 to 1) shifts it, `turn` is in degrees.
    """
    if pattern == "plain":
        return np.zeros((side, side), np.float32)
    if pattern == "gradient":
        ramp = np.clip((np.linspace(0, 1, side, dtype=np.float32) - 0.2) / 0.6, 0, 1)
        ramp = ramp if phase < 0.5 else ramp[::-1]
        return np.repeat(ramp.astype(np.float32)[:, None], side, axis=1)
    mask = np.zeros((side, side), np.uint8)
    if pattern == "two-tone":
        split = 0.5 + 0.14 * (phase - 0.5)
        _paint(mask, points((-0.1, split), (1.1, split), (1.1, 1.1), (-0.1, 1.1)))
        return mask.astype(np.float32) * np.float32(1 / 255)
    if pattern == "plaid":
        return _plaid(side, pitch * 1.6, phase)
    # Drawn larger than the canvas, so that rotation leaves no empty corners.
    count = int(1.5 / pitch) + 2
    spots: Outline = (np.arange(count, dtype=np.float64) + phase) * pitch - 0.25
    _DRAW[pattern](mask, spots, pitch)
    if turn:
        matrix = cv2.getRotationMatrix2D((side / 2, side / 2), -turn, 1.0)
        mask = cv2.warpAffine(
            mask, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        )
    fractions: Plane = mask.astype(np.float32)
    fractions *= np.float32(1 / 255)
    return fractions


def _paint(mask: Mask, *shapes: Outline) -> None:
    """Fill shapes that do not overlap; each is one outline `(k, 2)` or a stack of them `(n, k, 2)`."""
    side = mask.shape[0]
    corners: list[Outline] = []
    for shape in shapes:
        grid = np.rint((shape * side - 0.5) * (1 << _SHIFT)).astype(np.int32)
        corners.extend(grid if grid.ndim == 3 else [grid])
    cv2.fillPoly(mask, corners, 255, cv2.LINE_AA, _SHIFT)


def _repeated(motif: Outline, x: Outline, y: Outline) -> Outline:
    """Return the motif at every (x, y), `(n, k, 2)`."""
    return motif[None] + np.stack([x.ravel(), y.ravel()], axis=1)[:, None]


def _staggered(motif: Outline, spots: Outline, step: float, tall: float = 1.0) -> Outline:
    """Return the motif in rows, every second row shifted by `step`, `(n, k, 2)`."""
    shift = np.where(np.arange(len(spots)) % 2, step, 0.0)
    x = spots[None, :] + shift[:, None]
    return _repeated(motif, x, np.broadcast_to((spots * tall)[:, None], x.shape))


def _stripes(mask: Mask, spots: Outline, pitch: float) -> None:
    band = points((-0.3, 0), (1.3, 0), (1.3, pitch * 0.5), (-0.3, pitch * 0.5))
    _paint(mask, _repeated(band, 0 * spots, spots))


def _pinstripes(mask: Mask, spots: Outline, pitch: float) -> None:
    w = max(pitch * 0.14, 0.006)
    line = points((0, -0.3), (w, -0.3), (w, 1.3), (0, 1.3))
    both = np.concatenate([spots, spots + pitch / 2])
    _paint(mask, _repeated(line, both, 0 * both))


def _diagonals(mask: Mask, spots: Outline, pitch: float) -> None:
    w = pitch * 0.55
    band = points((0, -0.1), (w, -0.1), (w + 1.2, 1.1), (1.2, 1.1))
    both = np.concatenate([spots - 1.5, spots]) * 1.1
    _paint(mask, _repeated(band, both, 0 * both))


def _dots(mask: Mask, spots: Outline, pitch: float) -> None:
    dot = ellipse(0, 0, pitch * 0.27, pitch * 0.27, count=20)
    _paint(mask, _staggered(dot, spots, pitch / 2, 0.87))


def _flowers(mask: Mask, spots: Outline, pitch: float) -> None:
    angle = np.radians(np.arange(0, 360, 9))
    r = pitch * 0.36 * (0.62 + 0.38 * np.cos(5 * angle))
    petals = np.stack([np.cos(angle) * r, np.sin(angle) * r], axis=1)
    eye = ellipse(0, 0, pitch * 0.09, pitch * 0.09, count=12)
    _paint(mask, *(_staggered(part, spots, pitch / 2, 0.87) for part in (petals, eye)))


def _checks(mask: Mask, spots: Outline, pitch: float) -> None:
    half = pitch / 2
    square = points((0, 0), (half, 0), (half, half), (0, half))
    x, y = np.meshgrid(spots, spots)
    _paint(mask, _repeated(square, x, y))
    _paint(mask, _repeated(square, x + half, y + half))


def _zigzag(mask: Mask, spots: Outline, pitch: float) -> None:
    xs = np.arange(-0.3, 1.4, pitch / 2)
    teeth = np.where(np.arange(len(xs)) % 2, pitch * 0.22, -pitch * 0.22)
    _ribbons(mask, np.stack([xs, teeth], axis=1), spots, pitch * 0.42)


def _waves(mask: Mask, spots: Outline, pitch: float) -> None:
    xs = np.linspace(-0.3, 1.3, 90)
    swell = np.sin(xs * 2 * np.pi / (pitch * 1.6)) * pitch * 0.2
    _ribbons(mask, np.stack([xs, swell], axis=1), spots, pitch * 0.4)


def _ribbons(mask: Mask, top: Outline, spots: Outline, wide: float) -> None:
    ribbon = np.concatenate([top, transformed(top, dy=wide)[::-1]])
    _paint(mask, _repeated(ribbon, 0 * spots, spots))


def _confetti(mask: Mask, spots: Outline, pitch: float) -> None:
    # A low-discrepancy walk scatters evenly without random numbers, so a pattern depends on its
    # three numbers only.
    k = np.arange(int(min(220, 0.75 / pitch**2)))
    x, y = (k * 0.7548776662 + spots[0]) % 1, (k * 0.5698402910 + spots[0]) % 1
    radius = pitch * (0.12 + 0.16 * ((k * 0.618034) % 1))
    dot = ellipse(0, 0, 1, 0.8, count=9)
    _paint(mask, dot[None] * radius[:, None, None] + np.stack([x, y], axis=1)[:, None])


def _diamonds(mask: Mask, spots: Outline, pitch: float) -> None:
    w, h = pitch * 0.5, pitch * 0.62
    _paint(mask, _staggered(points((0, -h), (w, 0), (0, h), (-w, 0)), spots, w, 1.24))


def _plaid(side: int, pitch: float, phase: float) -> Plane:
    t = (np.arange(side, dtype=np.float32) / side / pitch + phase) % 1
    band = (t < 0.45).astype(np.float32) * 0.5
    thin = (np.abs(t - 0.72) < 0.035).astype(np.float32) * 0.5
    band = cv2.blur((band + thin)[:, None], (1, 3))[:, 0]
    weave: Plane = band[:, None] + band[None, :]
    return weave


_DRAW: dict[str, Callable[[Mask, Outline, float], None]] = {
    "stripes": _stripes,
    "pinstripes": _pinstripes,
    "diagonals": _diagonals,
    "dots": _dots,
    "checks": _checks,
    "zigzag": _zigzag,
    "waves": _waves,
    "flowers": _flowers,
    "confetti": _confetti,
    "diamonds": _diamonds,
}


def logo_outlines(logo: str, x: float, y: float, radius: float) -> list[Outline]:
    """Return the outlines of a logo (filled by the even-odd rule) that fits a circle around (x, y)."""
    drawn = _LOGOS[logo]()
    return [one * radius + (x, y) for one in drawn]


def _heart() -> list[Outline]:
    t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    x = np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) / 17
    return [np.stack([x, y], axis=1)]


def _moon() -> list[Outline]:
    outer = ellipse(0, 0, 1, 1, 40, 320, 40)
    return [np.concatenate([outer, ellipse(0.42, 0, 0.74, 0.72, 285, 75, 30)])]


def _leaf() -> list[Outline]:
    blade = smooth(
        [
            (0.9, -0.9),
            (0.9, -0.9),
            (0.75, 0.35),
            (-0.1, 0.75),
            (-0.9, 0.9),
            (-0.9, 0.9),
            (-0.75, -0.1),
            (0, -0.7),
        ]
    )
    vein = points((-0.7, 0.75), (0.5, -0.58), (0.58, -0.5), (-0.62, 0.8))
    return [blade, vein]


def _fish() -> list[Outline]:
    body = smooth([(-1, 0), (-0.45, -0.45), (0.2, -0.4), (0.55, 0), (0.2, 0.4), (-0.45, 0.45)])
    return [
        body,
        points((0.45, 0.0), (1.0, -0.5), (0.85, 0), (1.0, 0.5)),
        ellipse(-0.55, -0.1, 0.09, 0.09),
    ]


def _bolt() -> list[Outline]:
    upper = points((0.2, -1), (-0.6, 0.15), (-0.08, 0.15))
    return [np.concatenate([upper, points((-0.25, 1), (0.6, -0.25), (0.1, -0.25))])]


def _cross() -> list[Outline]:
    arm = points((-0.3, -0.9), (0.3, -0.9), (0.3, -0.3))
    return [
        np.concatenate([transformed(arm, turn=turn, about=(0, 0)) for turn in (0, 90, 180, 270)])
    ]


_LOGOS: dict[str, Callable[[], list[Outline]]] = {
    "star": lambda: [star(0, 0, 1)],
    "heart": _heart,
    "moon": _moon,
    "ring": lambda: [ellipse(0, 0, 0.95, 0.95), ellipse(0, 0, 0.55, 0.55)],
    "diamond": lambda: [points((0, -1), (0.75, 0), (0, 1), (-0.75, 0))],
    "bolt": _bolt,
    "leaf": _leaf,
    "fish": _fish,
    "cross": _cross,
    "mountain": lambda: [points((-1, 0.7), (-0.35, -0.6), (0, 0.05), (0.3, -0.35), (1, 0.7))],
    "sun": lambda: [star(0, 0, 1, 12, 0.68), ellipse(0, 0, 0.4, 0.4)],
    "target": lambda: [ellipse(0, 0, 1, 1), ellipse(0, 0, 0.7, 0.7), ellipse(0, 0, 0.4, 0.4)],
}
LOGOS: tuple[str, ...] = tuple(_LOGOS)
