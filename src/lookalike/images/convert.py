"""Convert any Pillow image to 8-bit RGB, as a viewer shows it on a white page."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def to_rgb(image: Image.Image) -> Image.Image:
    """Return 8-bit RGB on white for any mode: palette, alpha, 16 bits, floating point, CMYK, LAB.

    Colour profiles of RGB images are ignored. Display P3, which phones write, differs from sRGB by
    a few percent in saturated colours, less than extractors notice, and a conversion would cost more
    than the scaled decoding of a small JPEG. For CMYK an embedded profile is used, because the plain
    formula gives neon colours.
    """
    mode = image.mode
    if mode.startswith("I") or mode == "F":
        return Image.fromarray(_to_8_bits(image)).convert("RGB")
    if mode == "CMYK":
        return _from_cmyk(image)
    if mode == "LAB":
        return _from_lab(image)
    if image.has_transparency_data:
        return _on_white(image)
    return image if mode == "RGB" else image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    layered = image.convert("RGBA")
    white = Image.new("RGB", image.size, (255, 255, 255))
    white.paste(layered, mask=layered.getchannel("A"))
    return white


def _to_8_bits(image: Image.Image) -> NDArray[np.uint8]:
    """Convert grey of 16 or 32 bits or floating point to 0 … 255.

    PNG and most TIFF use all of 16 bits. TIFF from instruments often holds 10 or 12 bits in 16 and
    would look nearly black, so if no value exceeds 12 bits, the range is the smallest number of bits
    that holds the largest value. Floating point is taken as 0 to 1 or 0 to 255 if the values fit;
    any other range is stretched from its minimum to its maximum.
    """
    values = np.asarray(image)
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:  # of either byte order
        top = 65535
        brightest = int(values.max())
        if image.format == "TIFF" and brightest < 4096:
            top = (1 << max(8, brightest.bit_length())) - 1
        return _stretch(values, 0.0, top)
    finite: NDArray[Any] = values[np.isfinite(values)]
    if not finite.size:
        return np.zeros(values.shape, np.uint8)
    low, high = float(finite.min()), float(finite.max())
    if low >= 0.0:
        low = 0.0
        if values.dtype.kind == "f" and high <= 1.0:
            high = 1.0
        elif high <= 255.0:
            high = 255.0
        elif high <= 65535.0:
            high = 65535.0
    return _stretch(np.nan_to_num(values, nan=low, posinf=high, neginf=low), low, high)


def _stretch(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    if high <= low:
        return np.zeros(values.shape, np.uint8)
    scaled = (values.astype(np.float32) - low) * np.float32(255.0 / (high - low))
    result: NDArray[np.uint8] = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return result


def _from_cmyk(image: Image.Image) -> Image.Image:
    """Convert CMYK. Pillow has already undone Adobe's inversion and YCCK."""
    from PIL import ImageCms

    profile = image.info.get("icc_profile")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(
                image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # a damaged profile costs exact colours, not the image
    return image.convert("RGB")


def _from_lab(image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    transform = ImageCms.buildTransform(
        ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB"
    )
    converted = ImageCms.applyTransform(image, transform)
    if converted is None:
        raise ValueError("cannot convert CIELAB")
    return converted
