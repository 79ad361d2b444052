"""Convert any Pillow image to 8-bit RGB, as a viewer shows it."""

from __future__ import annotations

import numpy as np
from PIL import Image

from lookalike.images.color_profile import cicp_of, convert_cmyk, convert_to_srgb, gamma_profile
from lookalike.images.numbers import to_8_bits
from lookalike.images.pixel_spec import Pixels

GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F"})

FAINT = 40
"""Contrast with the ground, in levels of 255, that the eye and extractors miss."""

_SAMPLE_SIDE = 512  # pixels per side of the sample on which the ground is chosen


def to_pixels(image: Image.Image) -> Pixels:
    """Return (h, w, 3) uint8 sRGB of an image in any mode, with its color profile applied."""
    is_grey = is_grey_mode(image.mode)
    return convert_to_srgb(np.asarray(to_rgb(image)), profile_of(image), grey=is_grey)


def is_grey_mode(mode: str) -> bool:
    """Return whether images of this mode of Pillow's have no color."""
    return mode in GREY_MODES or mode.startswith("I;")


def profile_of(image: Image.Image, data: bytes = b"") -> bytes:
    """Return an ICC profile for the color space that an image states; b"" for sRGB.

    data  the file, which may state it by code points: in PNG these precede a profile, elsewhere they follow
    """
    info = image.info
    profile = info.get("icc_profile") or b""
    if image.format == "PNG" or not profile:
        profile = cicp_of(data) or profile
    if profile:
        return bytes(profile)
    gamma = info.get("gamma")
    if image.format == "PNG" and isinstance(gamma, float) and "srgb" not in info:
        return gamma_profile(gamma, info.get("chromaticity"))
    return b""


def to_rgb(image: Image.Image) -> Image.Image:
    """Return 8-bit RGB for any mode: palette, alpha, 16 bits, floating point, CMYK, LAB.

    Profiles of RGB and grey are left to `color_profile.convert_to_srgb`, which takes less time once an image
    has been reduced. A CMYK profile is used here, because the plain formula gives neon colors.
    """
    mode = image.mode
    if mode.startswith("I") or mode == "F":
        return Image.fromarray(to_8_bits(np.asarray(image))).convert("RGB")
    if mode == "CMYK":
        converted = convert_cmyk(image, image.info.get("icc_profile") or b"")
        return image.convert("RGB") if converted is None else converted
    if mode == "LAB":
        return _from_lab(image)
    if image.has_transparency_data:
        return on_ground(image.convert("RGBA"))
    return image if mode == "RGB" else image.convert("RGB")


def on_ground(layered: Image.Image) -> Image.Image:
    """Composite an RGBA image on white, or on black if its content shows there and vanishes on white.

    An image whose alpha is zero everywhere is opaque: programs that know no alpha leave it empty.
    """
    alpha = layered.getchannel("A")
    least, most = alpha.getextrema()
    if most == 0 or least == 255:
        return layered.convert("RGB")
    ground = Image.new("RGB", layered.size, _ground(layered))
    ground.paste(layered, mask=alpha)
    return ground


def _ground(layered: Image.Image) -> tuple[int, int, int]:
    step = max(1, min(layered.size) // _SAMPLE_SIDE)
    sample = np.asarray(layered)[::step, ::step].astype(np.float32)
    visible = sample[sample[:, :, 3] > 0]
    if not len(visible):
        return 255, 255, 255
    colors, opacity = visible[:, :3], visible[:, 3] / 255
    on_white = np.percentile((255 - colors.min(axis=1)) * opacity, 99)
    on_black = np.percentile(colors.max(axis=1) * opacity, 99)
    return (0, 0, 0) if on_white <= FAINT and on_black > on_white else (255, 255, 255)


def _from_lab(image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    transform = ImageCms.buildTransform(
        ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB"
    )
    converted = ImageCms.applyTransform(image, transform)
    if converted is None:
        raise ValueError("cannot convert CIELAB")
    return converted
