"""Things in front of a product: a hand, a sticker, a label, the edge of a box."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from lookalike.catalogue.backdrops import composite
from lookalike.catalogue.outlines import box, ellipse, points, smooth, star, transformed
from lookalike.catalogue.relief_canvas import Form, Pixels, ReliefCanvas, Rgb

OCCLUDERS = ("hand", "sticker", "label", "edge")

_SKINS: tuple[Rgb, ...] = (
    (0.93, 0.74, 0.62),
    (0.8, 0.58, 0.44),
    (0.56, 0.38, 0.28),
    (0.36, 0.24, 0.18),
)


def occlude(scene: Pixels, kind: str, *, at: tuple[float, float], size: int) -> Pixels:
    """Return the scene with an occluder in front, `(size, size, 3)` uint8.

    `at` (two numbers from 0 to 1) decides its position and which of four variants it is.
    """
    variant = int(at[0] * 977) % 4
    layer = _layer(kind, variant, min(size, 256))
    if kind == "hand":
        # From below or from the side, at a slant, reaching a third of the way in.
        scale, turn = 0.62 + 0.1 * at[1], (at[0] - 0.5) * 90
        x, y = 0.2 + 0.6 * at[0], 1.14 - 0.12 * at[1]
    elif kind == "edge":
        scale, turn = 0.9, (at[1] - 0.5) * 24
        x, y = (-0.2 if at[0] < 0.5 else 1.2), 0.62 + 0.3 * at[1]
    else:
        scale, turn = 0.24 + 0.08 * at[1], (at[1] - 0.5) * 60
        x, y = 0.3 + 0.4 * at[0], 0.34 + 0.34 * at[1]
    side = layer.shape[0]
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), turn, scale * size / side)
    matrix[:, 2] += (x * size - side / 2, y * size - side / 2)
    placed = cv2.warpAffine(layer, matrix, (size, size), flags=cv2.INTER_LINEAR)
    soft = cv2.blur(cv2.extractChannel(placed, 3), (max(3, size // 24) | 1,) * 2)
    return composite(scene, placed, cv2.convertScaleAbs(soft, alpha=-0.35, beta=255))


@lru_cache(maxsize=32)
def _layer(kind: str, variant: int, side: int) -> Pixels:
    """Return an occluder lit from the upper left, `(side, side, 4)` uint8 RGBA."""
    canvas = ReliefCanvas(max(side, 128))
    if kind == "hand":
        _hand(canvas, _SKINS[variant])
    elif kind == "edge":
        _box_edge(
            canvas,
            ((0.72, 0.6, 0.45), (0.35, 0.45, 0.6), (0.75, 0.3, 0.28), (0.85, 0.84, 0.8))[variant],
        )
    elif kind == "label":
        canvas.fill(box(0.1, 0.3, 0.9, 0.7, 0.04), (0.97, 0.96, 0.92), Form.FLAT)
        for x in np.cumsum(
            (0.2, 0.03, 0.05, 0.03, 0.07, 0.03, 0.04, 0.06, 0.03, 0.06, 0.04, 0.05, 0.03, 0.06)
        ):
            canvas.line(
                points((x, 0.37), (x, 0.55)), 0.012 + 0.012 * ((x * 100) % 2), (0.1, 0.1, 0.1)
            )
        canvas.line(points((0.22, 0.62), (0.6, 0.62)), 0.03, (0.3, 0.3, 0.3))
    else:
        colour = ((0.86, 0.16, 0.16), (0.96, 0.78, 0.1), (0.15, 0.55, 0.3), (0.95, 0.45, 0.1))[
            variant
        ]
        outline = (
            star(0.5, 0.5, 0.48, 14, 0.86) if variant % 2 == 0 else ellipse(0.5, 0.5, 0.46, 0.46)
        )
        canvas.fill(outline, colour, Form.BEVEL, bevel=0.02)
        for x, y in ((0.38, 0.4), (0.62, 0.6)):  # a per cent sign
            canvas.line(ellipse(x, y, 0.08, 0.09), 0.045, (1, 1, 1), closed=True)
        canvas.line(points((0.34, 0.68), (0.66, 0.32)), 0.05, (1, 1, 1))
    light = np.array((-0.45, -0.55, 0.7))
    nz = np.sqrt(np.maximum(0, 1 - canvas.slope_x**2 - canvas.slope_y**2))
    body = 0.5 + 0.75 * np.maximum(
        0, canvas.slope_x * light[0] + canvas.slope_y * light[1] + nz * light[2]
    )
    planes = [plane * body for plane in (canvas.red, canvas.green, canvas.blue)]
    lit = [cv2.convertScaleAbs(plane, alpha=255) for plane in (*planes, canvas.alpha)]
    return np.asarray(cv2.merge(lit))


def _hand(canvas: ReliefCanvas, skin: Rgb) -> None:
    """Draw the back of a hand from below, four fingers and a thumb slightly spread."""
    nail = tuple(min(1.0, v * 1.12 + 0.04) for v in skin)
    sleeve = (0.25, 0.32, 0.45)
    for x, tip, length in ((0.3, -13, 0.36), (0.42, -4, 0.43), (0.54, 4, 0.41), (0.655, 13, 0.33)):
        line = transformed(points((x, 0.62), (x, 0.55 - length)), turn=-tip, about=(x, 0.6))
        canvas.stroke(line, 0.115, skin, gloss=0.1)
        end = line[-1]
        canvas.fill(
            ellipse(float(end[0]), float(end[1]) - 0.005, 0.033, 0.043),
            (nail[0], nail[1], nail[2]),
            Form.BEVEL,
        )
        for share in (0.35, 0.62):
            joint = line[0] + (line[1] - line[0]) * share
            canvas.paint(
                ellipse(float(joint[0]), float(joint[1]), 0.04, 0.01),
                (skin[0] * 0.7, skin[1] * 0.6, skin[2] * 0.6),
                0.6,
                soft=0.006,
            )
    canvas.stroke(points((0.3, 0.78), (0.12, 0.5)), 0.12, skin)
    palm = smooth(
        [(0.25, 0.58), (0.5, 0.5), (0.72, 0.58), (0.73, 0.8), (0.65, 1.0), (0.35, 1.0), (0.25, 0.8)]
    )
    canvas.fill(palm, skin, Form.BEVEL, bevel=0.1, contact=0.15)
    canvas.fill(box(0.3, 0.93, 0.7, 1.1, 0.02), sleeve)


def _box_edge(canvas: ReliefCanvas, colour: Rgb) -> None:
    """Draw a cardboard box that is half in the image."""
    canvas.fill(box(0.05, 0.05, 0.95, 0.95, 0.02), colour, Form.BEVEL, bevel=0.03, gloss=0.1)
    canvas.paint(box(0.44, 0.05, 0.56, 0.95), (0.85, 0.8, 0.65), 0.8)
    canvas.paint(box(0.62, 0.6, 0.88, 0.82), (0.96, 0.95, 0.92))
    for y in (0.66, 0.71, 0.76):
        canvas.line(points((0.65, y), (0.84, y)), 0.014, (0.3, 0.3, 0.3))
