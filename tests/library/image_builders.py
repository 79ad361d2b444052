"""Draws small, distinct images for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def draw(file: Path, number: int, *, size: int = 48) -> Path:
    """Draw an image of one main colour with a few blocks; the same number gives the same bytes."""
    rng = np.random.default_rng(number)
    pixels = np.empty((size, size, 3), np.uint8)
    pixels[:] = rng.integers(0, 256, 3)
    for _ in range(4):
        y, x = rng.integers(0, size // 2, 2)
        pixels[y : y + size // 3, x : x + size // 3] = rng.integers(0, 256, 3)
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file, quality=90) if file.suffix == ".jpg" else Image.fromarray(
        pixels
    ).save(file)
    return file


def album(folder: Path, count: int) -> Path:
    """Draw a folder of `count` JPEGs, the odd ones in a subfolder."""
    for number in range(count):
        below = "odd" if number % 2 else "."
        draw(folder / below / f"{number:03d}.jpg", number)
    return folder
