"""Convert pixels from the color space that a file states to sRGB.

A file states it as an ICC profile, as code points of ITU-T H.273 (CICP: in PNG, AVIF and HEIC), as gamma and
primaries (PNG), or by the letters R03 in EXIF (Adobe RGB without a profile, as cameras write it). All of them
become an ICC profile, which LittleCMS converts.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.images.pixel_spec import Pixels

if TYPE_CHECKING:
    from PIL import Image, ImageCms

Point: TypeAlias = tuple[float, float]
"""Chromaticity x, y."""

MAX_PROFILE_BYTES = 8 << 20
"""Printers' profiles have up to 3 MB."""

TOLERANCE = 3.0
"""Mean difference from sRGB, in levels of 255, below which a profile is ignored: profiles that are called
sRGB differ by less than 1, plain gamma 2.2 by 1.5, Display P3 by 8, Adobe RGB by 12."""

MIN_CONTRAST = 64
"""Levels between black and white, and between the colors, that a usable profile leaves."""

_WHITE: Point = (0.3127, 0.329)  # D65
_BT709 = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
_PRIMARIES: dict[int, tuple[Point, Point, Point]] = {
    1: _BT709,
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
    6: ((0.63, 0.34), (0.31, 0.595), (0.155, 0.07)),
    9: ((0.708, 0.292), (0.17, 0.797), (0.131, 0.046)),
    12: ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)),
}
"""Primaries by code point (ITU-T H.273, table 2); others are taken for those of sRGB."""

_ADOBE_RGB = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))

_SDR_WHITE = 203 / 10_000
"""White of ordinary images in HDR with PQ (ITU-R BT.2408): 203 of 10,000 candela per square metre."""


def convert_to_srgb(pixels: Pixels, profile: bytes, *, grey: bool = False) -> Pixels:
    """Return (h, w, 3) uint8 in sRGB from pixels in the color space of an ICC profile.

    grey  the image is grey: red, green and blue are equal

    A profile that is damaged, made for other channels, or that leaves nearly no contrast is ignored, and so
    is one that differs from sRGB by less than `TOLERANCE`: then the pixels themselves are returned.
    """
    from PIL import Image

    mode = _mode_of(profile)
    if mode is None or (mode == "L" and not grey):
        return pixels
    transform = _transform(profile, mode)
    if transform is None:
        return pixels
    source = Image.fromarray(np.ascontiguousarray(pixels[:, :, 0]) if mode == "L" else pixels)
    return np.asarray(_apply(transform, source))


def convert_cmyk(image: Image.Image, profile: bytes) -> Image.Image | None:
    """Return a CMYK image in sRGB; None without a usable profile."""
    transform = _transform(profile, "CMYK") if profile[16:20] == b"CMYK" else None
    return None if transform is None else _apply(transform, image)


def _mode_of(profile: bytes) -> str | None:
    if not 128 < len(profile) <= MAX_PROFILE_BYTES:
        return None
    return {b"RGB ": "RGB", b"GRAY": "L"}.get(profile[16:20])


def _apply(transform: ImageCms.ImageCmsTransform, image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None  # only in place there is no result
    return converted


@lru_cache(maxsize=64)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the conversion to sRGB, or None where there should be none."""
    from PIL import ImageCms

    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        return transform if _is_useful(transform, mode) else None
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None  # a damaged profile costs exact colors, not the image


def _is_useful(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Return whether a conversion changes colors, but does not destroy them."""
    patches = _patches(mode)
    result = np.asarray(_apply(transform, patches), np.float64)[0]
    ends = result[[0, -1]].mean(axis=1)
    dark, light = (ends[1], ends[0]) if mode == "CMYK" else (ends[0], ends[1])
    if light - dark < MIN_CONTRAST or np.ptp(result, axis=0).min() < MIN_CONTRAST:
        return False
    if mode == "CMYK":
        return True
    before = np.asarray(patches.convert("RGB"), np.float64)[0]
    return bool(np.abs(result - before).mean() >= TOLERANCE)


def _patches(mode: str) -> Image.Image:
    """Return colors on a grid as an image of one row, from all channels 0 to all channels 255."""
    from PIL import Image

    steps = np.linspace(0, 255, 5 if mode != "L" else 17).astype(np.uint8)
    channels = {"L": 1, "RGB": 3, "CMYK": 4}[mode]
    grid = np.stack(np.meshgrid(*[steps] * channels, indexing="ij"), axis=-1).reshape(
        1, -1, channels
    )
    return Image.fromarray(grid[:, :, 0] if mode == "L" else grid, mode if mode == "CMYK" else None)


# Profiles for what is stated in other ways

_NCLX_BYTES = 1 << 16
"""Beginning of an AVIF or HEIC file that is searched for the color box, which precedes the pixels."""


def cicp_of(data: bytes) -> bytes:
    """Return a profile for the code points that a PNG, AVIF or HEIC file states; b"" if it states none."""
    if data[:4] == b"\x89PNG":
        at = data.find(b"cICP", 8, max(data.find(b"IDAT"), 0))
        return cicp_profile(data[at + 4], data[at + 5]) if at > 0 else b""
    at = data.find(b"colrnclx", 0, _NCLX_BYTES) if data[4:8] == b"ftyp" else -1
    if at < 0 or at + 12 > len(data):
        return b""
    return cicp_profile(*struct.unpack_from(">HH", data, at + 8))


@lru_cache(maxsize=1)
def adobe_rgb() -> bytes:
    """Return a profile for Adobe RGB (1998)."""
    return rgb_profile(_ADOBE_RGB, _WHITE, lambda x: x ** (563 / 256))


@lru_cache(maxsize=64)
def cicp_profile(primaries: int, transfer: int) -> bytes:
    """Return a profile for code points of ITU-T H.273; b"" for sRGB and what comes close to it.

    HDR (PQ, HLG) is clipped at the white of ordinary images.
    """
    curve = _CURVES.get(transfer)
    if curve is None and primaries in (1, 2):
        return b""
    return rgb_profile(_PRIMARIES.get(primaries, _BT709), _WHITE, curve or _srgb)


@lru_cache(maxsize=64)
def gamma_profile(gamma: float, chromaticity: tuple[float, ...] | None) -> bytes:
    """Return a profile for gamma (of the encoding: 1/2.2) and white, red, green, blue as x, y of a PNG.

    b"" for values that no color space has.
    """
    if not 0.1 <= gamma <= 1.5:
        return b""
    points = [_WHITE, *_BT709]
    if chromaticity is not None and len(chromaticity) == 8:
        points = [(chromaticity[at], chromaticity[at + 1]) for at in range(0, 8, 2)]
    if not all(0 <= x <= 1 and 0 < y <= 1 for x, y in points):
        return b""
    white, *primaries = points
    try:
        return rgb_profile(primaries, white, lambda x: x ** (1 / gamma))
    except (np.linalg.LinAlgError, struct.error, ValueError, OverflowError):
        return b""


def _srgb(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def _pq(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the light of SMPTE ST 2084, 1 for the white of ordinary images."""
    power = x ** (1 / 78.84375)
    ratio = np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)
    return np.minimum(ratio ** (1 / 0.1593017578125) / _SDR_WHITE, 1)


def _hlg(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the light of ARIB STD-B67; three quarters of the signal are ordinary white (BT.2408)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    light = np.where(x <= 0.5, x * x / 3, (np.exp((x - c) / a) + b) / 12)
    return np.minimum(light / 0.2650, 1)


_CURVES: dict[int, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    4: lambda x: x**2.2,
    5: lambda x: x**2.8,
    8: lambda x: x,
    16: _pq,
    18: _hlg,
}
"""Light by signal, for code points of ITU-T H.273, table 3; the others are close to sRGB."""


def rgb_profile(
    primaries: Sequence[Point],
    white: Point,
    curve: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> bytes:
    """Return an ICC profile (version 2, ICC.1:2001-04) of three primaries and one curve.

    curve  light by signal, both 0 to 1
    """
    matrix = _to_d50(white) @ _to_xyz(primaries, white)
    steps = np.rint(65535 * np.clip(curve(np.linspace(0, 1, 1024)), 0, 1)).astype(">u2")
    table = b"curv\0\0\0\0" + struct.pack(">I", len(steps)) + steps.tobytes()
    tags = [
        (b"desc", b"desc\0\0\0\0" + struct.pack(">I", 2) + b"-\0" + bytes(78)),
        (b"cprt", b"text\0\0\0\0-\0\0\0"),
        (b"wtpt", _xyz(_D50)),
        *zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(_xyz, matrix.T), strict=True),
        *((name, table) for name in (b"rTRC", b"gTRC", b"bTRC")),
    ]
    start = 128 + 4 + 12 * len(tags)
    directory, body = struct.pack(">I", len(tags)), b""
    for name, content in tags:
        directory += name + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(
        ">I4sI4s4s4s", start + len(body), b"lcms", 0x02400000, b"mntr", b"RGB ", b"XYZ "
    )
    head += bytes(12) + b"acsp" + bytes(28) + b"".join(map(_fixed, _D50))
    return head.ljust(128, b"\0") + directory + body


_D50 = (0.9642, 1.0, 0.8249)

# Bradford's cone responses.
_CONES = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def _to_xyz(primaries: Sequence[Point], white: Point) -> NDArray[np.float64]:
    """Return (3, 3): linear RGB to XYZ, with white at luminance 1."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    return columns * np.linalg.solve(columns, _white_xyz(white))


def _to_d50(white: Point) -> NDArray[np.float64]:
    """Return (3, 3): the adaptation from this white to that of profiles."""
    scale = (_CONES @ _D50) / (_CONES @ _white_xyz(white))
    return np.asarray(np.linalg.inv(_CONES) @ np.diag(scale) @ _CONES)


def _white_xyz(white: Point) -> NDArray[np.float64]:
    x, y = white
    return np.array([x / y, 1, (1 - x - y) / y])


def _xyz(values: Any) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(map(_fixed, values))


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(float(value) * 65536))
