"""Augmentation of the student's images; the teacher's features stay those of the clean image.

Hue is hardly shifted: fine-grained objects (apples, shoes) differ by little else.
"""

import cv2
import numpy as np

from lookalike.images.pixel_spec import Pixels


def augment(image: Pixels, rng: np.random.Generator, *, size: int) -> Pixels:
    """Return a random edit of an image, (size, size, 3): a view (see `random_view`), and other edits in a
    few of a hundred cases."""
    view = random_view(image, rng, size=size)
    chance = rng.random(8)
    if chance[0] < 0.35:
        view = change_light(view, rng)
    if chance[1] < 0.15:
        grey = cv2.cvtColor(view, cv2.COLOR_RGB2GRAY)
        view = np.repeat(grey[..., None], 3, axis=2)
    if chance[2] < 0.08:
        view = cv2.GaussianBlur(view, (0, 0), rng.uniform(0.3, 1.3) * size / 96)
    if chance[3] < 0.04:
        view = add_text(view, rng)
    if chance[4] < 0.06:
        view = add_frame(view, rng)
    if chance[5] < 0.08:
        coded = cv2.imencode(".jpg", view, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 80))])[1]
        view = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), dtype=np.uint8)
    if chance[6] < 0.05:
        view = np.clip(view + rng.normal(0, rng.uniform(2, 15), view.shape), 0, 255).astype(
            np.uint8
        )
    return np.asarray(view, dtype=np.uint8)


def random_view(image: Pixels, rng: np.random.Generator, *, size: int) -> Pixels:
    """Return nearly the whole image, or a crop of 55 to 100 % of it, in one resampling; sometimes tilted by
    a few degrees, and mirrored half of the time."""
    side = image.shape[0]
    whole = rng.random() < 0.4
    share = rng.uniform(0.95, 1) if whole else np.sqrt(rng.uniform(0.55, 1.0))
    aspect = 1.0 if whole else np.exp(rng.uniform(-0.15, 0.15))
    wide, high = min(share * aspect, 1.0) * side, min(share / aspect, 1.0) * side
    left, top = rng.uniform(0, side - wide), rng.uniform(0, side - high)
    angle = np.deg2rad(rng.normal(0, 6)) if rng.random() < 0.2 else 0.0
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    cos, sin = np.cos(angle), np.sin(angle)
    # From a position in the view (-0.5 … 0.5) to one in the image; cv2 takes pixel centres.
    turn = np.array([[mirror * wide * cos, -high * sin], [mirror * wide * sin, high * cos]]) / size
    middle = np.array([left + wide / 2, top + high / 2]) - 0.5 - turn @ np.full(2, (size - 1) / 2)
    if wide > 1.2 * size:
        image = cv2.GaussianBlur(image, (0, 0), 0.35 * wide / size)
    matrix = np.concatenate([turn, middle[:, None]], axis=1)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(image, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    )


def change_light(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Change brightness, contrast and gamma, and the white balance by a few per cent, by a lookup
    table."""
    level = np.arange(256) / 255
    gain = np.exp(rng.normal(0, 0.2)) * np.exp(rng.normal(0, 0.03, 3))
    curve = level ** np.exp(rng.normal(0, 0.2))
    flat = rng.uniform(0.75, 1.15)
    table = ((curve[:, None] * gain - 0.5) * flat + 0.5) * 255
    return np.asarray(cv2.LUT(image, np.clip(table, 0, 255).astype(np.uint8)[:, None, :]))


def add_text(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Write a line of capitals across the image, like a watermark or caption."""
    size = image.shape[0]
    text = "".join(chr(c) for c in rng.integers(65, 91, int(rng.integers(4, 12))))
    position = (int(rng.integers(-2, size // 3)), int(rng.integers(size // 5, size)))
    shade = (255, 255, 255) if rng.random() < 0.6 else tuple(map(int, rng.integers(0, 256, 3)))
    scale = size / 64 * rng.uniform(0.25, 0.6)
    return np.asarray(
        cv2.putText(
            image.copy(), text, position, cv2.FONT_HERSHEY_SIMPLEX, scale, shade, 1, cv2.LINE_AA
        )
    )


def add_frame(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Shrink the image inside a border of one colour, often white or black."""
    size = image.shape[0]
    wide, high = (max(1, int(size * rng.uniform(0.02, 0.15))) for _ in range(2))
    shade = rng.choice([np.full(3, 255), np.zeros(3), rng.integers(0, 256, 3)]).astype(np.uint8)
    out = np.empty_like(image)
    out[:] = shade
    inner = cv2.resize(image, (size - 2 * wide, size - 2 * high), interpolation=cv2.INTER_LINEAR)
    out[high : size - high, wide : size - wide] = inner
    return out
