"""The surroundings of a product in a scene: a backdrop behind it and an occluder in front.

Backdrops are studio paper, wood, cloth, stone, a shelf, a room out of focus; occluders a hand, a sticker, a
label, the edge of a box.
"""

from __future__ import annotations

import itertools
from functools import lru_cache

import cv2
import numpy as np

from lookalike.catalogue.outlines import box, ellipse, points, smooth, star, transformed
from lookalike.catalogue.relief_canvas import Form, Pixels, Plane, ReliefCanvas, Rgb

# Backdrops on which a product stands (seen from the side) and on which it lies (seen from above).
STANDING = ("studio", "gradient", "shelf", "room")
LYING = ("wood", "cloth", "stone")

# Surfaces are made once per size, then cropped, flipped and tinted for each view. Their grain has its own
# seed, so it does not depend on the catalogue's.
_GRAIN_SEED = 20240


def backdrop(
    name: str, size: int, *, tint: Rgb, floor: float, crop: tuple[float, float], flip: bool
) -> Pixels:
    """Return a background image, `(size, size, 3)` uint8 RGB.

    `tint` colours it, `floor` is the height of the floor line (fraction of the image), `crop` (two
    numbers from 0 to 1) selects the visible part of the surface.
    """
    if name in ("studio", "gradient"):
        white = (0.99, 0.99, 0.995) if name == "studio" else tint
        return apply_gain(_studio(size, floor), white, gain=1.02)
    if name in LYING:
        return apply_gain(_cropped(_surface(name, size), size, crop, flip), tint)
    top = int(size * floor)
    if name == "shelf":
        wall = apply_gain(_alcove(size, top), tint, lift=0.1)
    else:
        wall = apply_gain(_cropped(_room(size), size, crop, flip), (1, 1, 1), lift=0.06 * tint[0])
    boards = _cropped(_surface("wood", size), size, crop, flip)[: size // 2]
    boards = cv2.resize(boards, (size, size - top), interpolation=cv2.INTER_AREA)
    table = apply_gain(
        cv2.multiply(boards, _table_depth(size, top), scale=1 / 255), tint, gain=1.05
    )
    wall[top:] = table
    wall[top - 2 : top + 2] = cv2.blur(wall[top - 2 : top + 2], (1, 3))
    return np.asarray(wall)


def apply_gain(image: Pixels, colour: Rgb, *, gain: float = 1.0, lift: float = 0.0) -> Pixels:
    """Return each channel times colour and gain, plus the lift (0 to 1), as a new uint8 image."""
    steps = np.arange(256, dtype=np.float32)[:, None]
    table = steps * (np.asarray(colour, np.float32) * np.float32(gain)) + np.float32(255 * lift)
    table = np.clip(table + np.float32(0.5), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table[None]))


def composite(scene: Pixels, layer: Pixels, light: Pixels) -> Pixels:
    """Return a premultiplied layer `(n, n, 4)` over a scene `(n, n, 3)` dimmed by `light` `(n, n)`."""
    through = cv2.multiply(light, cv2.bitwise_not(cv2.extractChannel(layer, 3)), scale=1 / 255)
    ground = cv2.multiply(scene, cv2.merge((through, through, through)), scale=1 / 255)
    return np.asarray(cv2.add(ground, cv2.cvtColor(layer, cv2.COLOR_RGBA2RGB)))


def _grey_image(light: Plane, size: int) -> Pixels:
    """Return light `(h, 1)` or `(h, size)` as a grey image `(h, size, 3)` uint8, to be tinted."""
    whole = np.broadcast_to(np.clip(light * 255 + 0.5, 0, 255), (len(light), size))
    return np.repeat(whole.astype(np.uint8)[..., None], 3, axis=2)


@lru_cache(maxsize=4)
def _studio(size: int, floor: float) -> Pixels:
    """Return paper that curves from wall to floor, brighter below and darker in the corners."""
    y = np.linspace(0, 1, size, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, size, dtype=np.float32)[None]
    bend = 1 / (1 + np.exp(-(y - floor + 0.12) * 14))
    return _grey_image((0.93 + 0.07 * bend) * (1 - 0.05 * x * x - 0.045 * (1 - y) ** 2), size)


@lru_cache(maxsize=4)
def _alcove(size: int, top: int) -> Pixels:
    """Return the wall behind a shelf, darker where the board meets it."""
    light = np.linspace(0.72, 0.9, size, dtype=np.float32)[:, None]
    reach = max(2, size // 14)
    light[top - reach : top, 0] *= np.linspace(1.0, 0.72, reach, dtype=np.float32)
    return _grey_image(light, size)


@lru_cache(maxsize=4)
def _table_depth(size: int, top: int) -> Pixels:
    """Return the light on a board from its far to its near edge, `(size - top, size, 3)` uint8."""
    light = np.linspace(0.74, 0.99, size - top, dtype=np.float32)[:, None]
    return _grey_image(light, size)


def _cropped(surface: Pixels, size: int, crop: tuple[float, float], flip: bool) -> Pixels:
    y, x = (int(share * (side - size)) for share, side in zip(crop, surface.shape[:2], strict=True))
    piece = surface[y : y + size, x : x + size]
    return np.asarray(cv2.flip(piece, 1)) if flip else piece


def _noise(rng: np.random.Generator, shape: tuple[int, int], cells: tuple[int, int]) -> Plane:
    """Return smooth noise (mean 0, deviation about 1): `cells` random values enlarged to `shape`."""
    coarse = rng.standard_normal(cells).astype(np.float32)
    grown: Plane = cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return grown


@lru_cache(maxsize=8)
def _surface(name: str, size: int) -> Pixels:
    """Return a bright surface seen from above, `(2 size, 2 size, 3)` uint8, to be tinted."""
    side = 2 * size
    rng = np.random.Generator(np.random.PCG64(_GRAIN_SEED + len(name)))
    if name == "wood":
        tone = np.empty((side, side), np.float32)
        planks = 7
        edges = np.linspace(0, side, planks + 1).astype(int)
        for top, bottom in itertools.pairwise(edges):
            tall = bottom - top
            grain = 0.035 * _noise(rng, (tall, side), (18, 7)) + 0.02 * _noise(
                rng, (tall, side), (40, 16)
            )
            tone[top:bottom] = 0.86 + 0.05 * rng.standard_normal() + grain
            tone[top : top + max(1, size // 128)] *= 0.62
        warm = np.array((1.0, 0.97, 0.93), np.float32)
        boards: Plane = tone[..., None] * warm
        return np.clip(boards * 255, 40, 255).astype(np.uint8)
    if name == "cloth":
        y, x = np.mgrid[0:side, 0:side].astype(np.float32) * np.float32(256 / size)
        weave = 0.035 * np.sin(x * 1.9) * np.sin(y * 1.9) + 0.02 * np.sin(x * 0.95) * np.cos(
            y * 0.95
        )
        folds = 0.055 * _noise(rng, (side, side), (5, 6)) + 0.03 * _noise(
            rng, (side, side), (9, 11)
        )
        tone = 0.88 + weave.astype(np.float32) + folds
        return _grey_image(tone, side)
    speckle = 0.02 * rng.standard_normal((side, side)).astype(np.float32)
    clouds = 0.04 * _noise(rng, (side, side), (7, 7)) + 0.02 * _noise(rng, (side, side), (33, 33))
    veins = np.exp(
        -np.abs(_noise(rng, (side, side), (6, 6)) + 0.3 * _noise(rng, (side, side), (30, 30))) * 22
    )
    tone = 0.9 + speckle + clouds - 0.14 * veins
    return _grey_image(tone, side)


@lru_cache(maxsize=4)
def _room(size: int) -> Pixels:
    """Return a room out of focus with windows, shelves, lamps, plants: `(1.5 size, 2 size, 3)` uint8."""
    rng = np.random.Generator(np.random.PCG64(_GRAIN_SEED))
    # Drawn small, since everything is blurred anyway.
    tall, wide = 150, 200
    room = np.empty((tall, wide, 3), np.float32)
    room[:] = (0.74, 0.7, 0.65)
    for x in range(6, wide, 48):
        colour = (0.92, 0.95, 1.0) if x % 96 < 48 else tuple(rng.uniform(0.35, 0.7, 3))
        cv2.rectangle(room, (x, 12), (x + int(rng.integers(20, 34)), 78), colour, -1)
    for _ in range(46):
        x, y = int(rng.integers(wide)), int(rng.integers(50, tall))
        colour = tuple(float(v) for v in rng.uniform(0.2, 0.85, 3))
        cv2.rectangle(
            room, (x, y), (x + int(rng.integers(3, 14)), y + int(rng.integers(8, 34))), colour, -1
        )
    for _ in range(9):
        centre = (int(rng.integers(wide)), int(rng.integers(20, tall)))
        cv2.circle(room, centre, int(rng.integers(4, 10)), (0.35, 0.5, 0.32), -1)
    for _ in range(8):
        centre = (int(rng.integers(wide)), int(rng.integers(10, 70)))
        cv2.circle(room, centre, int(rng.integers(2, 5)), (1.25, 1.12, 0.85), -1)
    room = cv2.GaussianBlur(room, (0, 0), 5)
    grown: Plane = cv2.resize(room, (2 * size, size * 3 // 2), interpolation=cv2.INTER_CUBIC)
    return np.clip(grown * 255, 0, 255).astype(np.uint8)


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
