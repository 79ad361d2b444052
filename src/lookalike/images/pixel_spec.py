"""The pixels that an extractor asks for, as data shared by `extractors` and `images`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.images.metadata.facts import Facts

Pixels: TypeAlias = NDArray[np.uint8]
"""An upright image, (height, width, 3) RGB or (height, width) grey, uint8, C-contiguous."""

Mode: TypeAlias = Literal["rgb", "grey"]
Fit: TypeAlias = Literal["any", "stretch", "inside", "cover"]
Resample: TypeAlias = Literal["area", "nearest", "bilinear", "bicubic", "lanczos"]


@dataclass(frozen=True, slots=True)
class PixelSpec:
    """The pixels that an extractor asks for.

    mode      "rgb" (h, w, 3) or "grey" (h, w); grey is ITU-R 601 luma, as Pillow's convert("L")
    fit       "any"      any size, with at least `min_side` on the shorter side if the file has it;
                         0: the full size
              "stretch"  exactly (height, width), ignoring the aspect ratio
              "inside"   longer side at most `max_side`, aspect ratio kept, never enlarged
              "cover"    shorter side scaled to `shortest_edge`, then (height, width) cropped from
                         the centre
    resample  "area" is OpenCV's INTER_AREA (fast, for shrinking); the others are Pillow's filters
              of that name, which are antialiased and which most networks were trained with

    whole     keep what lies beyond the central 3:1, which otherwise is cropped

    `min_side` also limits how far a JPEG may be scaled down while it is decoded; for the other fits
    `images.decode` derives that from the sizes.
    """

    mode: Mode = "rgb"
    fit: Fit = "any"
    height: int = 0
    width: int = 0
    shortest_edge: int = 0
    max_side: int = 0
    min_side: int = 0
    resample: Resample = "area"
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded image: `pixels` (h, w, 3) uint8 sRGB, upright; `facts` of the whole file.

    pages     the further pages of the file that are images of their own (`images.pages`)
    is_short  a video that may be that of a live photo
    """

    pixels: Pixels
    facts: Facts
    pages: tuple[str, ...] = ()
    is_short: bool = False
