"""Backgrounds of a product: studio paper, wood, cloth, stone, a shelf, a room out of focus."""

from __future__ import annotations

import itertools
from functools import lru_cache

import cv2
import numpy as np

from lookalike.catalogue.relief_canvas import Pixels, Plane, Rgb

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
