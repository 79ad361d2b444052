"""Synthetic scenes with enough texture to be recognised after an edit."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from lookalike.images.pixel_spec import Pixels


def scene(number: int, *, width: int = 240, height: int = 180) -> Pixels:
    """Draw overlapping shapes of many sizes and colours on a gradient; equal numbers draw equal images."""
    rng = np.random.default_rng(number)
    ramp = np.linspace(0, 1, width)[None, :, None] * np.ones((height, 1, 1))
    pixels = (ramp * rng.integers(0, 256, 3) + (1 - ramp) * rng.integers(0, 256, 3)).astype(
        np.uint8
    )
    pixels = np.ascontiguousarray(pixels)
    for _ in range(60):
        x, y = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        size = int(rng.integers(4, 40))
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        shape = rng.integers(0, 3)
        if shape == 0:
            cv2.circle(pixels, (x, y), size // 2, colour, -1, cv2.LINE_AA)
        elif shape == 1:
            cv2.rectangle(pixels, (x, y), (x + size, y + size // 2), colour, -1)
        else:
            angle = int(rng.integers(0, 180))
            cv2.ellipse(pixels, (x, y), (size, size // 3), angle, 0, 360, colour, -1, cv2.LINE_AA)
    return pixels


def photo() -> Image.Image:
    """Draw an image with detail of all sizes, in the octaves in which photos have it."""
    rng = np.random.default_rng(7)
    height, width = 300, 400
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    noise = (
        np.fft.rfft2(rng.normal(size=(3, height, width))) / np.maximum(radius, 1 / width) ** 1.45
    )
    pixels = np.fft.irfft2(noise, s=(height, width)).transpose(1, 2, 0)
    scaled = (pixels - pixels.mean()) / pixels.std() * 45 + np.array([120, 110, 130])
    return Image.fromarray(scaled.clip(0, 255).astype(np.uint8))


def save(file: Path, pixels: Pixels, *, quality: int = 92) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    image.save(file) if file.suffix == ".png" else image.save(file, quality=quality)
    return file
