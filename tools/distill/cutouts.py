"""Drawn images that look like product photos: one silhouette with a texture on a plain background.

Tiny ImageNet and holiday photos have hardly any single object on white, which is what shops show. The
teacher has features of any image, so these need no labels: its features of a silhouette are what the
student must learn about outlines.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from tools.distill.sources import TEACHER_SIZE, random_crop, stretch

from lookalike.images.pixel_spec import Pixels

Mask = NDArray[np.uint8]
# Masks are drawn this many times larger and averaged down, so that outlines are smooth.
OVERSAMPLING = 2


def cutout(texture: Pixels, rng: np.random.Generator) -> Pixels:
    """Draw a product (224, 224, 3). A crop of `texture`, any photo, may fill the silhouette."""
    size = TEACHER_SIZE
    mask = silhouette(rng, size * OVERSAMPLING)
    alpha = (stretch(mask, size).astype(np.float32) / 255)[..., None]
    surface = draw_texture(texture, rng, size)
    shade = 1 + rng.uniform(0, 0.3) * shading(rng, size)
    shadow = cv2.GaussianBlur(np.roll(alpha[..., 0], rng.integers(0, 10, 2), (0, 1)), (0, 0), 6)[
        ..., None
    ]
    ground = background(rng, size) * (1 - rng.uniform(0, 0.35) * shadow)
    image = alpha * surface * shade + (1 - alpha) * ground
    return np.asarray(np.clip(image, 0, 255), dtype=np.uint8)


def silhouette(rng: np.random.Generator, size: int) -> Mask:
    """Draw a filled outline: a symmetric profile (bottle, dress, shirt with sleeves, trousers), a box, a
    blob or a ring."""
    mask = np.zeros((size, size), np.uint8)
    kind = rng.choice(
        ["profile", "garment", "side", "box", "blob", "ring"], p=[0.25, 0.3, 0.15, 0.1, 0.15, 0.05]
    )
    if kind in ("profile", "garment"):
        outline, top, bottom = profile(rng)
        fill(mask, outline)
        if kind == "garment":
            add_sleeves_or_legs(mask, rng, outline, top, bottom)
    elif kind == "side":
        outline, _, _ = profile(rng)
        fill(mask, outline[:, ::-1] * [1, -1] + [0, 1])
        cut = rng.uniform(0.55, 0.8)
        mask[int(cut * size) :] = 0
    elif kind == "box":
        wide, high = rng.uniform(0.15, 0.42, 2)
        skew = rng.uniform(-0.08, 0.08)
        fill(
            mask,
            0.5
            + np.array([[-wide + skew, -high], [wide + skew, -high], [wide, high], [-wide, high]]),
        )
    elif kind == "blob":
        fill(mask, blob(rng))
    else:
        center = (size // 2, size // 2)
        axes = (int(size * rng.uniform(0.2, 0.4)), int(size * rng.uniform(0.2, 0.4)))
        cv2.ellipse(
            mask,
            center,
            axes,
            rng.uniform(0, 180),
            0,
            360,
            255,
            int(size * rng.uniform(0.03, 0.15)),
        )
    angle = rng.normal(0, 6) if rng.random() < 0.8 else rng.uniform(-90, 90)
    turn = cv2.getRotationMatrix2D((size / 2, size / 2), angle, rng.uniform(0.75, 1.05))
    return np.asarray(cv2.warpAffine(mask, turn, (size, size)), dtype=np.uint8)


def fill(mask: Mask, outline: NDArray[np.float64]) -> None:
    """Fill an outline whose coordinates are shares of the image's side."""
    cv2.fillPoly(mask, [np.round(outline * mask.shape[0]).astype(np.int32)], 255)


def profile(rng: np.random.Generator) -> tuple[NDArray[np.float64], float, float]:
    """Return an outline symmetric about the vertical axis, given by its half-width at three to eight
    heights, and its top and bottom."""
    top, bottom = rng.uniform(0.05, 0.2), rng.uniform(0.8, 0.95)
    heights = np.sort(rng.uniform(top, bottom, rng.integers(3, 9)))
    heights[0], heights[-1] = top, bottom
    halves = rng.uniform(0.06, rng.uniform(0.15, 0.4), len(heights))
    if rng.random() < 0.5:
        halves = np.sort(halves)
    right = np.stack([0.5 + halves, heights], 1)
    left = np.stack([0.5 - halves, heights], 1)[::-1]
    return np.concatenate([right, left]), float(top), float(bottom)


def add_sleeves_or_legs(
    mask: Mask, rng: np.random.Generator, outline: NDArray[np.float64], top: float, bottom: float
) -> None:
    """Add what garments have: two sleeves, a gap between two legs, or a neckline."""
    wide = float(outline[0, 0]) - 0.5
    if rng.random() < 0.6:
        reach, drop, thick = rng.uniform(0.08, 0.3), rng.uniform(0.0, 0.5), rng.uniform(0.06, 0.18)
        shoulder, hand = [wide * 0.7, top], [wide + reach, top + drop]
        cuff, armpit = [wide + reach * 0.8, top + drop + thick], [wide * 0.5, top + thick * 1.5]
        arm, middle = np.array([shoulder, hand, cuff, armpit]), np.array([0.5, 0])
        fill(mask, arm + middle)
        fill(mask, arm * [-1, 1] + middle)
    if rng.random() < 0.35:
        crotch, gap = rng.uniform(0.3, 0.7), rng.uniform(0.01, 0.1)
        cut = np.array([[0.5, crotch], [0.5 + gap, bottom + 0.05], [0.5 - gap, bottom + 0.05]])
        cv2.fillPoly(mask, [np.round(cut * mask.shape[0]).astype(np.int32)], 0)
    if rng.random() < 0.4:
        neck = (mask.shape[0] // 2, int(top * mask.shape[0]))
        cv2.ellipse(mask, neck, (int(mask.shape[0] * wide * 0.6),) * 2, 0, 0, 360, 0, -1)


def blob(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a round outline whose radius is a short random Fourier series of the angle."""
    angle = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    radius = np.full_like(angle, rng.uniform(0.2, 0.33))
    for wave in range(1, 6):
        radius += rng.normal(0, 0.05 / wave) * np.cos(wave * angle + rng.uniform(0, 2 * np.pi))
    stretch = rng.uniform(0.6, 1.3)
    return 0.5 + np.stack([radius * np.cos(angle) * stretch, radius * np.sin(angle)], 1)


def draw_texture(texture: Pixels, rng: np.random.Generator, size: int) -> NDArray[np.float32]:
    """Return the texture of the silhouette: a crop of the photo, one colour, stripes, checks, or a colour
    with a printed crop."""
    kind = rng.choice(
        ["photo", "plain", "stripes", "checks", "printed"], p=[0.3, 0.3, 0.12, 0.08, 0.2]
    )
    piece = stretch(
        np.ascontiguousarray(random_crop(texture, rng, smallest=0.05, largest=0.8)), size
    )
    first, second = color(rng), color(rng)
    plain = np.broadcast_to(first, (size, size, 3)).astype(np.float32)
    if kind == "photo":
        return piece.astype(np.float32)
    if kind == "plain":
        return plain + rng.normal(0, rng.uniform(0, 6), (size, size, 1)).astype(np.float32)
    row, column = np.mgrid[:size, :size].astype(np.float32)
    width, angle = rng.uniform(6, 40), rng.choice([0, np.pi / 2, rng.uniform(0, np.pi)])
    across = np.floor((row * np.cos(angle) + column * np.sin(angle)) / width)
    along = np.floor((column * np.cos(angle) - row * np.sin(angle)) / width)
    if kind == "stripes":
        return np.where((across % 2 == 0)[..., None], plain, second).astype(np.float32)
    if kind == "checks":
        return np.where(((across + along) % 2 == 0)[..., None], plain, second).astype(np.float32)
    printed = plain.copy()
    high, low = sorted(rng.integers(size // 5, size * 4 // 5, 2))
    left = size // 3 if rng.random() < 0.5 else 0
    printed[high : low + 12, left : size - left] = piece[high : low + 12, left : size - left]
    return printed


def background(rng: np.random.Generator, size: int) -> NDArray[np.float32]:
    """Return the background: mostly white or pale, sometimes black, a colour, or a gradient."""
    kind = rng.random()
    if kind < 0.5:
        near, far = np.full(3, rng.uniform(235, 255)), np.full(3, 255.0)
    elif kind < 0.65:
        near = far = np.full(3, rng.uniform(0, 40))
    elif kind < 0.85:
        near, far = np.full(3, rng.uniform(60, 255)), np.full(3, rng.uniform(60, 255))
    else:
        near, far = color(rng), color(rng)
    slope = np.linspace(0, 1, size, dtype=np.float32)[:, None, None]
    return np.broadcast_to(near * slope + far * (1 - slope), (size, size, 3)).astype(np.float32)


def shading(rng: np.random.Generator, size: int) -> NDArray[np.float32]:
    """Return smooth light and shade from -1 to 1: a few waves across the image."""
    row, column = np.mgrid[:size, :size].astype(np.float32) / size
    total = np.zeros((size, size), np.float32)
    for _ in range(3):
        x, y = rng.normal(0, 6, 2)
        total += np.cos(x * column + y * row + rng.uniform(0, 2 * np.pi)) / 3
    return total[..., None]


def color(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a random colour, uniform in HSV: saturated ones are as frequent as greys and pale ones."""
    hsv = np.array([[[rng.uniform(0, 180), rng.uniform(0, 255), rng.uniform(30, 255)]]], np.float32)
    return np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)[0, 0], dtype=np.float64)
