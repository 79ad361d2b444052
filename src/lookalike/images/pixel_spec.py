"""What pixels an extractor wants, as data: the words in which `extractors` and `images` speak."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]
"""Upright picture, (height, width, 3) RGB or (height, width) grey, uint8, C-contiguous."""

Mode: TypeAlias = Literal["rgb", "grey"]
Fit: TypeAlias = Literal["any", "stretch", "inside", "cover"]
Resample: TypeAlias = Literal["area", "nearest", "bilinear", "bicubic", "lanczos"]


@dataclass(frozen=True, slots=True)
class PixelSpec:
    """The pixels that an extractor wants.

    mode      "rgb" (h, w, 3) or "grey" (h, w); grey is ITU-R 601 luma, as Pillow's convert("L").
    fit       "any"      whatever size comes, at least `min_side` on the shorter side if the file
                         has it; 0: the full size
              "stretch"  exactly (height, width), aspect ratio given up
              "inside"   longer side at most `max_side`, aspect kept, never enlarged
              "cover"    shorter side scaled to `shortest_edge`, then (height, width) cut from the
                         centre
    resample  "area" is OpenCV's INTER_AREA (fast, for shrinking); the others are Pillow's filters
              of that name, which are antialiased and are what most networks were trained with.

    `min_side` also says how far a JPEG may be scaled while it is decoded: for the other fits
    `images.decode` derives it from the sizes.
    """

    mode: Mode = "rgb"
    fit: Fit = "any"
    height: int = 0
    width: int = 0
    shortest_edge: int = 0
    max_side: int = 0
    min_side: int = 0
    resample: Resample = "area"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a picture file says of itself: upright size in pixels, and the format that its content
    has ("jpeg", "png", "gif", "bmp", "webp", "tiff", "avif", "heic"), whatever its name says.

    The rest is what was written into it (EXIF, IPTC, XMP), where it is there and makes sense:
    taken                local time, "2024-05-01T12:30:00", with "+02:00" behind it if that is known
    camera, lens         as the maker calls them
    latitude, longitude  degrees, north and east; both or neither
    caption, keywords    in somebody's words
    """

    width: int
    height: int
    format: str
    taken: str | None = None
    camera: str | None = None
    lens: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    caption: str | None = None
    keywords: tuple[str, ...] = ()
