"""Images drawn for the tests of `images`."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from lookalike.images.pixel_spec import Pixels


def motif(width: int = 120, height: int = 80) -> Pixels:
    """Draw an image that no rotation or mirroring maps onto itself.

    Red at the top left, blue to the right, green to the bottom; smooth enough for lossy formats.
    """
    x = np.linspace(0, 1, width)[None, :]
    y = np.linspace(0, 1, height)[:, None]
    red = 220 * np.clip(1 - 2 * np.hypot(x, y), 0, 1)
    green = 200 * y + 0 * x
    blue = 230 * x + 0 * y
    image: Pixels = np.rint(np.stack([red, green, blue], axis=2)).astype(np.uint8)
    return image


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Return the bytes of an image file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def encode_motif(kind: str, **options: Any) -> bytes:
    """Return the motif in a format of Pillow's, or "HEIF"."""
    if kind == "HEIF":
        import pillow_heif

        file = io.BytesIO()
        heif = pillow_heif.from_pillow(Image.fromarray(motif()))
        heif.save(file, quality=95, **options)
        return file.getvalue()
    return encode(Image.fromarray(motif()), kind, **options)
