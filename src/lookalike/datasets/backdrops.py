"""What is behind and beneath a product: studio paper, wood, cloth, a shelf, a room out of focus."""

from __future__ import annotations

import itertools
from functools import lru_cache

import cv2
import numpy as np

from lookalike.datasets.clay import Plane, Rgb

# Backdrops on which a product stands (seen from the side) and on which it lies (seen from above).
STANDING = ("studio", "gradient", "shelf", "room")
LYING = ("wood", "cloth", "stone")

# Surfaces are made once a size and cut, flipped and tinted for each view. Their grain comes from
# a seed of its own, so it does not depend on the catalogue.
_GRAIN = 20240


def backdrop(
    name: str, size: int, *, tint: Rgb, floor: float, cut: tuple[float, float], flip: bool
) -> Plane:
    """A background picture: `(size, size, 3)` float32 RGB, 0 to 1.

    `tint` colours it, `floor` is the height of the floor line (share of the picture), `cut` (two
    numbers from 0 to 1) says which part of the surface is seen.
    """
    if name == "studio":
        return _studio(size, (0.985, 0.985, 0.99), floor)
    if name == "gradient":
        return _studio(size, tint, floor)
    if name in LYING:
        return _piece(_surface(name, size), size, cut, flip) * _row(tint)
    table = _piece(_surface("wood", size), size, cut, flip) * _row(tint)
    wall: Plane
    if name == "shelf":
        wall = np.empty((size, size, 3), np.float32)
        wall[:] = 0.45 + 0.5 * _row(tint)
        wall *= np.linspace(0.82, 1.02, size, dtype=np.float32)[:, None, None]
    else:
        wall = _piece(_room(size), size, cut, flip).copy()
        wall += 0.12 * (_row(tint) - 0.5)
    top = int(size * floor)
    table = cv2.resize(table[: size // 2], (size, max(2, size - top)), interpolation=cv2.INTER_AREA)
    depth = np.linspace(0.78, 1.04, len(table), dtype=np.float32)[:, None, None]
    wall[top:] = (table * depth)[: size - top]
    # Things stand a little behind the front edge; where board and wall meet it is darker.
    reach = max(2, size // 14)
    fade = np.linspace(1.0, 0.72, reach, dtype=np.float32)[:, None, None]
    wall[max(0, top - reach) : top] *= fade[-min(top, reach) :] if name == "shelf" else 1.0
    edge = wall[max(0, top - 2) : top + 2]
    wall[max(0, top - 2) : top + 2] = cv2.blur(edge, (1, 3))
    return wall


def _row(colour: Rgb) -> Plane:
    return np.asarray(colour, np.float32)


@lru_cache(maxsize=8)
def _studio_light(size: int, floor: float) -> Plane:
    """Paper that curves from wall to floor: brighter below, falling off to the corners."""
    y = np.linspace(0, 1, size, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, size, dtype=np.float32)[None]
    bend = 1 / (1 + np.exp(-(y - floor + 0.12) * 14))
    light: Plane = (0.93 + 0.075 * bend) * (1 - 0.055 * x * x - 0.05 * (1 - y) ** 2)
    return light[..., None]


def _studio(size: int, tint: Rgb, floor: float) -> Plane:
    # Rounded so that a few lights serve all views.
    paper: Plane = _studio_light(size, round(floor * 20) / 20) * (_row(tint) * np.float32(1.02))
    return np.minimum(paper, np.float32(1), out=paper)


def _piece(surface: Plane, size: int, cut: tuple[float, float], flip: bool) -> Plane:
    room_y, room_x = surface.shape[0] - size, surface.shape[1] - size
    y, x = int(cut[0] * room_y), int(cut[1] * room_x)
    piece = surface[y : y + size, x : x + size]
    return piece[:, ::-1] if flip else piece


def _noise(rng: np.random.Generator, shape: tuple[int, int], cells: tuple[int, int]) -> Plane:
    """Smooth noise of mean 0 and deviation about 1: `cells` random values blown up to `shape`."""
    coarse = rng.standard_normal(cells).astype(np.float32)
    grown: Plane = cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return grown


@lru_cache(maxsize=8)
def _surface(name: str, size: int) -> Plane:
    """A surface seen from above: `(2 size, 2 size, 3)` float32, middling bright, to be tinted."""
    side = 2 * size
    rng = np.random.Generator(np.random.PCG64(_GRAIN + len(name)))
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
        return np.clip(boards, 0.2, 1.1)
    if name == "cloth":
        y, x = np.mgrid[0:side, 0:side].astype(np.float32) * np.float32(256 / size)
        weave = 0.035 * np.sin(x * 1.9) * np.sin(y * 1.9) + 0.02 * np.sin(x * 0.95) * np.cos(
            y * 0.95
        )
        folds = 0.055 * _noise(rng, (side, side), (5, 6)) + 0.03 * _noise(
            rng, (side, side), (9, 11)
        )
        tone = 0.88 + weave.astype(np.float32) + folds
        return np.repeat(np.clip(tone, 0.3, 1.1)[..., None], 3, axis=2)
    speckle = 0.02 * rng.standard_normal((side, side)).astype(np.float32)
    clouds = 0.04 * _noise(rng, (side, side), (7, 7)) + 0.02 * _noise(rng, (side, side), (33, 33))
    veins = np.exp(
        -np.abs(_noise(rng, (side, side), (6, 6)) + 0.3 * _noise(rng, (side, side), (30, 30))) * 22
    )
    tone = 0.9 + speckle + clouds - 0.14 * veins
    return np.repeat(np.clip(tone, 0.2, 1.1)[..., None], 3, axis=2)


@lru_cache(maxsize=4)
def _room(size: int) -> Plane:
    """A room far out of focus: `(1.5 size, 2 size, 3)` float32. Windows, shelves, lamps, plants."""
    rng = np.random.Generator(np.random.PCG64(_GRAIN))
    # Painted small: everything is blurred anyway.
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
    np.clip(grown, 0, 1, out=grown)
    return grown
