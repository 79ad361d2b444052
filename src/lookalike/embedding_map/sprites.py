"""The thumbnails of a map, packed into a few large pictures."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.embedding_map.build import Atlas
from lookalike.images.jpeg import decode_jpeg
from lookalike.images.pixel_spec import Pixels
from lookalike.library import Library

SIDE = 64
ACROSS = 32
"""Thumbnails a side of a sheet: 2,048 pixels, which every browser can hold and decodes in a moment."""

QUALITY = 75
MOST = 10_000
"""Some 15 MB of the file; the rest of the pictures are points, however far one zooms in."""


@dataclass(frozen=True, slots=True, eq=False)
class Sprites:
    """Sheets of thumbnails (WebP).

    slots  (n,) int32: which place of the sheets each picture of the map has, row by row; -1: none
    sizes  (places, 2) uint8: width and height of the thumbnail in its upper left corner
    lost   pictures that cannot be shown: their files are gone or broken
    """

    sheets: tuple[bytes, ...]
    slots: NDArray[np.int32]
    sizes: NDArray[np.uint8]
    lost: int


def sprites(
    library: Library,
    atlas: Atlas,
    *,
    most: int = MOST,
    progress: Callable[[int, int], None] | None = None,
) -> Sprites:
    """Thumbnails of the pictures that get room first, at most `most`; those that give the overview share the
    first sheet. `progress` is called with how many are done, of how many."""
    order = np.lexsort((np.arange(len(atlas)), atlas.level))[:most]
    made = library.thumbnails.many(atlas.ids[order].tolist(), SIDE)
    sheets, lost = [], 0
    sizes: list[tuple[int, int]] = []
    slots = np.full(len(atlas), -1, np.int32)
    sheet = np.zeros((SIDE * ACROSS, SIDE * ACROSS, 3), np.uint8)
    for done, (place, thumbnail) in enumerate(zip(order.tolist(), made, strict=True), start=1):
        if progress is not None:
            progress(done, len(order))
        if thumbnail is None:
            lost += 1
            continue
        pixels = decode_jpeg(thumbnail.data)
        y, x = divmod(len(sizes) % ACROSS**2, ACROSS)
        sheet[y * SIDE :, x * SIDE :][: pixels.shape[0], : pixels.shape[1]] = pixels
        slots[place] = len(sizes)
        sizes.append((pixels.shape[1], pixels.shape[0]))
        if len(sizes) % ACROSS**2 == 0:
            sheets.append(webp(sheet))
            sheet[:] = 0
    if len(sizes) % ACROSS**2:
        rows = -(-(len(sizes) % ACROSS**2) // ACROSS)
        sheets.append(webp(sheet[: rows * SIDE]))
    return Sprites(tuple(sheets), slots, np.array(sizes, np.uint8).reshape(-1, 2), lost)


def webp(pixels: Pixels) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "WEBP", quality=QUALITY, method=2)
    return content.getvalue()
