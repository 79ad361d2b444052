"""Any Pillow image → 8-bit RGB, as a viewer on a white page would show it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def to_rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB on white, whatever the mode: palette, alpha, 16 bits, floating point, CMYK, LAB.

    Colour profiles of RGB pictures are ignored. Display P3, which phones write, differs from sRGB
    by a few percent in strong colours, far below what any extractor tells apart, and a conversion
    would cost more than the scaled decoding of a small JPEG. CMYK is different: the plain formula
    gives neon colours, so an embedded profile is used there.
    """
    mode = image.mode
    if mode.startswith("I") or mode == "F":
        return Image.fromarray(_to_eight_bits(image)).convert("RGB")
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


def _to_eight_bits(image: Image.Image) -> NDArray[np.uint8]:
    """Grey of 16 or 32 bits or floating point → 0 to 255.

    PNG and most TIFF use all of 16 bits. TIFF from instruments often holds 10 or 12 bits in 16:
    read as 16 they are nearly black, so where nothing is brighter than 12 bits can be, the range is
    the least number of bits that holds the brightest value. Floating point is 0 to 1 or 0 to 255 if
    the values say so; any other range is stretched from its least to its greatest value.
    """
    values = np.asarray(image)
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:  # of either byte order
        top = 65535
        brightest = int(values.max())
        if image.format == "TIFF" and brightest < 4096:
            top = (1 << max(8, brightest.bit_length())) - 1
        return _spread(values, 0.0, top)
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
    return _spread(np.nan_to_num(values, nan=low, posinf=high, neginf=low), low, high)


def _spread(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    if high <= low:
        return np.zeros(values.shape, np.uint8)
    scaled = (values.astype(np.float32) - low) * np.float32(255.0 / (high - low))
    eight: NDArray[np.uint8] = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return eight


def _from_cmyk(image: Image.Image) -> Image.Image:
    """Pillow has already undone Adobe's inversion and YCCK."""
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
            pass  # a damaged profile costs the colours, not the picture
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
