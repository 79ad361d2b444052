"""Render a product in a scene: camera, light, background, occluder.

A `View` holds all parameters and no pixels; `render_view` makes an image of a sprite and a view.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from lookalike.catalogue.palette import COLOURS, lighter
from lookalike.catalogue.products import generator, kind_of
from lookalike.catalogue.relief_canvas import Pixels, Rgb
from lookalike.catalogue.shapes import Sprite
from lookalike.catalogue.surroundings import (
    LYING,
    OCCLUDERS,
    STANDING,
    apply_gain,
    backdrop,
    composite,
    occlude,
)

# Height of the foot of a standing product, as a fraction of the image's height.
_FLOOR_HEIGHT = 0.86
# Kinds that cannot stand and are photographed from above.
_FLAT_KINDS = frozenset({"shirt", "watch"})
_WALLS = ("cream", "sky blue", "mint", "lilac", "pink", "tan", "grey", "teal", "navy", "olive")
_WOODS: tuple[Rgb, ...] = (
    (0.8, 0.62, 0.43),
    (0.56, 0.38, 0.26),
    (0.92, 0.86, 0.78),
    (0.36, 0.27, 0.22),
)


@dataclass(frozen=True, slots=True)
class View:
    """Parameters of one image. Angles in degrees, lengths as fractions of the image's side.

    `yaw`, `pitch` and `roll` rotate the product; `scale` is the fraction of the image that its longer
    side fills; `light` points to the lamp (x right, y down, z to the camera; a unit vector); `warmth`
    shifts the colour of the light (-1 blue to 1 yellow); `exposure` multiplies it; a product that
    does not stand is seen from above; `crop` and `flip` select the part of the background; `noise` is
    the sensor's deviation in 8-bit steps; `blur` a Gaussian sigma in 1/256 of the side; `quality` is
    JPEG's.
    """

    number: int
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    mirror: bool = False
    scale: float = 0.8
    shift: tuple[float, float] = (0.0, 0.0)
    light: tuple[float, float, float] = (-0.42, -0.58, 0.698)
    ambient: float = 0.44
    warmth: float = 0.0
    exposure: float = 1.0
    background: str = "studio"
    stands: bool = True
    tint: Rgb = (0.95, 0.95, 0.96)
    crop: tuple[float, float] = (0.5, 0.5)
    flip: bool = False
    occluder: str = "none"
    occluder_at: tuple[float, float] = (0.5, 0.5)
    noise: float = 0.0
    noise_offset: tuple[float, float] = (0.0, 0.0)
    blur: float = 0.0
    quality: int = 92


def make_view(product: int, view: int, *, seed: int = 0) -> View:
    """Return view number `view` of a product. View 0 is a clean studio image from the front.

    Any number is allowed: a view that the catalogue does not contain makes a query for it.
    """
    if view < 0:
        raise ValueError(f"a view number is 0 or more, not {view}")
    if view == 0:
        return View(0, stands=kind_of(product) not in _FLAT_KINDS)
    rng = generator(seed, product, view)
    flat = kind_of(product) in _FLAT_KINDS
    lying = bool(rng.random() < (0.8 if flat else 0.4))
    background = str(rng.choice(LYING if lying else ("studio", "gradient") if flat else STANDING))
    colour = COLOURS[str(rng.choice(_WALLS))]
    wood = _WOODS[int(rng.integers(len(_WOODS)))]
    around = rng.uniform(-180, 180)
    tilt = np.radians(rng.uniform(36, 60))
    # Lamps are above the product: left, right or in front, never below.
    side = np.radians(-90 + 0.42 * around)
    sun = (np.cos(side) * np.cos(tilt), np.sin(side) * np.cos(tilt), np.sin(tilt))
    return View(
        number=view,
        yaw=float(rng.uniform(-34, 34)),
        pitch=float(rng.uniform(-16, 16)),
        roll=float(rng.normal(0, 24) if lying else rng.normal(0, 1.5)),
        mirror=bool(rng.random() < 0.12),
        scale=float(rng.uniform(0.52, 0.9)),
        shift=(float(rng.uniform(-0.09, 0.09)), float(rng.uniform(-0.06, 0.06))),
        light=(float(sun[0]), float(sun[1]), float(sun[2])),
        ambient=float(rng.uniform(0.32, 0.5)),
        warmth=float(np.clip(rng.normal(0.1, 0.4), -1, 1)),
        exposure=float(rng.uniform(0.82, 1.12)),
        background=background,
        stands=not (lying or flat),
        tint=wood if background in ("wood", "shelf", "room") else lighter(colour, 0.35),
        crop=(float(rng.random()), float(rng.random())),
        flip=bool(rng.random() < 0.5),
        occluder=str(rng.choice(OCCLUDERS)) if rng.random() < 0.34 else "none",
        occluder_at=(float(rng.random()), float(rng.random())),
        noise=float(rng.uniform(0, 7) if rng.random() < 0.6 else 0.0),
        noise_offset=(float(rng.random()), float(rng.random())),
        blur=float(rng.uniform(0.4, 1.3) if rng.random() < 0.3 else 0.0),
        quality=int(rng.integers(48, 95)),
    )


def render_view(sprite: Sprite, view: View, *, size: int = 256) -> Pixels:
    """Return the image before JPEG compression, `(size, size, 3)` uint8 RGB."""
    place = _homography(sprite, view, size)
    seen = cv2.warpPerspective(_shaded(sprite, view), place, (size, size), flags=cv2.INTER_LINEAR)
    scene = backdrop(
        view.background,
        size,
        tint=view.tint,
        floor=_FLOOR_HEIGHT - 0.06,
        crop=view.crop,
        flip=view.flip,
    )
    scene = composite(scene, seen, _shadow(cv2.extractChannel(seen, 3), view))
    if view.occluder != "none":
        scene = occlude(scene, view.occluder, at=view.occluder_at, size=size)
    return _apply_camera(scene, view, size)


def encode_jpeg(pixels: Pixels, quality: int) -> bytes:
    """Return a JPEG file of this quality (1 to 100), without metadata."""
    encoded, data = cv2.imencode(
        ".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    if not encoded:
        raise ValueError(f"cannot encode pixels of shape {pixels.shape} as JPEG")
    return bytes(data)


def _shaded(sprite: Sprite, view: View) -> Pixels:
    """Return the sprite in the view's light, `(h, w, 4)` uint8, premultiplied with alpha.

    Lambert's cosine for the body of the colour and Blinn's half vector for the highlight.
    """
    lx, ly, lz = view.light
    if view.mirror:
        lx = -lx
    half = np.array((lx, ly, lz + 1)) / np.linalg.norm((lx, ly, lz + 1))
    body, shine = (
        sum(np.float32(v) * plane for v, plane in zip(towards, sprite.normal, strict=True))
        for towards in ((lx, ly, lz), half)
    )
    np.maximum(body, 0, out=body)
    np.maximum(shine, 0, out=shine)
    for _ in range(5):  # to the 32nd power: a highlight as wide as on glazed china
        np.multiply(shine, shine, out=shine)
    shine *= sprite.gloss
    shine *= np.float32(0.55)
    body *= np.float32((1.06 - view.ambient) / max(lz, 0.3) * 0.86)
    # Edges that turn away catch less of the room's light.
    body += np.float32(view.ambient * 0.25) * sprite.normal[2]
    body += np.float32(view.ambient * 0.75)
    planes = [cv2.convertScaleAbs(plane * body + shine, alpha=255) for plane in sprite.colour]
    planes.append(cv2.convertScaleAbs(sprite.alpha, alpha=255))
    return np.asarray(cv2.merge(planes), np.uint8)


def _homography(sprite: Sprite, view: View, size: int) -> npt.NDArray[np.float64]:
    """Return the homography `(3, 3)` from sprite to image pixels: a plane rotated in space."""
    high, wide = sprite.alpha.shape
    # Long thin products may be longer, so that a bottle and a sofa cover similar areas.
    longer, area = max(high, wide), np.sqrt(high * wide)
    unit = view.scale * size / (0.72 * longer + 0.28 * min(longer, 1.35 * area))
    unit = min(unit, 0.96 * size / longer)
    to_centre = np.array([[1, 0, -wide / 2], [0, 1, -high / 2], [0, 0, 1]])
    flip = -1.0 if view.mirror else 1.0
    yaw, pitch, roll = np.radians((view.yaw, view.pitch, view.roll))
    c, s = np.cos(roll), np.sin(roll)
    turn_z = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    c, s = np.cos(pitch), np.sin(pitch)
    turn_x = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    c, s = np.cos(yaw), np.sin(yaw)
    turn_y = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    turn = turn_z @ turn_x @ turn_y
    away = 2.6 * size  # the camera's distance: strong enough to see lines converge
    plane = np.stack([turn[:, 0] * unit * flip, turn[:, 1] * unit, (0.0, 0.0, away)], axis=1)
    camera = np.array([[away, 0, size / 2], [0, away, size / 2], [0, 0, 1]])
    place = camera @ plane @ to_centre
    corners = np.array([[0, wide, wide, 0], [0, 0, high, high], [1, 1, 1, 1]])
    seen = place @ corners
    seen = seen[:2] / seen[2]
    dx = view.shift[0] * size + size / 2 - (seen[0].min() + seen[0].max()) / 2
    dy = view.shift[1] * size + size / 2 - (seen[1].min() + seen[1].max()) / 2
    if view.stands:
        dy = (_FLOOR_HEIGHT + 0.35 * view.shift[1]) * size - seen[1].max()
        dy = max(dy, 0.02 * size - seen[1].min())
    shifted: npt.NDArray[np.float64] = np.array([[1, 0, dx], [0, 1, dy], [0, 0, 1]]) @ place
    return shifted


def _shadow(alpha: Pixels, view: View) -> Pixels:
    """Return the light that reaches the ground, `(size, size)` uint8, 255 in full light."""
    size = alpha.shape[0]
    # Soft shadows need few pixels: a quarter of the side is enough and 16 times cheaper.
    small = cv2.resize(alpha, (max(8, size // 4),) * 2, interpolation=cv2.INTER_AREA)
    small = small * np.float32(1 / 255)
    n = len(small)
    lx, ly, lz = view.light
    if view.stands:
        rows = np.flatnonzero(small.max(1) > 0.4)
        base = float(rows[-1] + 1) if len(rows) else n * _FLOOR_HEIGHT
        # A shadow on the floor: heights are reduced to a quarter and lean away from the lamp.
        lean = -lx / max(lz, 0.3) * 0.6
        cast = np.array([[1, -lean, lean * base], [0, 0.24, base * 0.76 - 0.3]])
        shade = cv2.GaussianBlur(cv2.warpAffine(small, cast, (n, n)), (0, 0), n * 0.022)
        touch = np.zeros_like(small)
        top = max(0, int(base) - max(2, n // 24))
        low = small[top : int(base)].max(0) if int(base) > top else small[-1]
        touch[min(n - 1, int(base) - 1) : min(n, int(base) + 1)] = low
        touch = cv2.GaussianBlur(touch, (0, 0), n * 0.014)
        shade = 0.42 * shade + 0.75 * touch
    else:
        reach = 0.045 * n
        drop = np.array([[1, 0, -lx * reach / lz], [0, 1, -ly * reach / lz]])
        near = np.array([[1, 0, -lx * reach * 0.3], [0, 1, -ly * reach * 0.3]])
        wide = cv2.GaussianBlur(cv2.warpAffine(small, drop, (n, n)), (0, 0), n * 0.03)
        tight = cv2.GaussianBlur(cv2.warpAffine(small, near, (n, n)), (0, 0), n * 0.009)
        shade = 0.42 * wide + 0.34 * tight
    light = (255 - 255 * np.minimum(shade, 0.8)).astype(np.uint8)
    return np.asarray(cv2.resize(light, (size, size), interpolation=cv2.INTER_LINEAR))


def _apply_camera(scene: Pixels, view: View, size: int) -> Pixels:
    """Apply the camera: colour of the light, exposure, focus, noise."""
    gain = (1 + 0.09 * view.warmth, 1 + 0.01 * view.warmth, 1 - 0.11 * view.warmth)
    if view.warmth or view.exposure != 1:
        red, green, blue = (view.exposure * g for g in gain)
        scene = apply_gain(scene, (red, green, blue))
    if view.blur:
        scene = cv2.GaussianBlur(scene, (0, 0), view.blur * size / 256)
    if view.noise:
        y, x = (int(fraction * size) for fraction in view.noise_offset)
        grain = _sensor_noise(size)[y : y + size, x : x + size]
        share = view.noise / _NOISE_DEVIATION
        scene = cv2.addWeighted(scene, 1, grain, share, -128 * share)
    return np.asarray(scene)


_NOISE_DEVIATION = 24


@lru_cache(maxsize=4)
def _sensor_noise(size: int) -> Pixels:
    """Return noise around 128 to crop from, `(2 size, 2 size, 3)`.

    New random numbers for every image would cost more than drawing it.
    """
    rng = np.random.Generator(np.random.PCG64(7))
    grain = rng.standard_normal((2 * size, 2 * size, 3), np.float32)
    grain = grain * np.float32(_NOISE_DEVIATION) + np.float32(128.5)
    return np.asarray(np.clip(grain, 0, 255), np.uint8)
