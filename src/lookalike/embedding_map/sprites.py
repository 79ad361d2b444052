"""The thumbnails of a map, packed into a few large sheets."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.embedding_map.build import EmbeddingMap
from lookalike.images.drawing_mark import pillow_options
from lookalike.images.jpeg import decode_jpeg
from lookalike.images.pixel_spec import Pixels
from lookalike.library import Library

# Largest side of a thumbnail, in pixels.
SIDE = 64
# Thumbnails per side of a sheet of 2,048 pixels, which every browser can hold and decodes quickly.
ACROSS = 32

# WebP quality.
QUALITY = 75

# Largest number of thumbnails, about 15 MB of the file; the other images are points at every zoom level.
MAX_THUMBNAILS = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Sprites:
    """Sheets of thumbnails (WebP).

    slots  (n,) int32: index of each image's thumbnail in the sheets, row by row; -1: none
    sizes  (thumbnails, 2) uint8: width and height of the thumbnail in the upper left of its slot
    lost   number of images that cannot be shown: their files are missing or broken
    """

    sheets: tuple[bytes, ...]
    slots: NDArray[np.int32]
    sizes: NDArray[np.uint8]
    lost: int


def pack_sprites(
    library: Library,
    map_: EmbeddingMap,
    *,
    max_thumbnails: int = MAX_THUMBNAILS,
    progress: Callable[[int, int], None] | None = None,
) -> Sprites:
    """Pack the thumbnails of the images with the lowest zoom levels, which share the first sheets.

    progress  called with the number of finished thumbnails and their total
    """
    order = np.lexsort((np.arange(len(map_)), map_.levels))[:max_thumbnails]
    thumbnails = library.thumbnails.many(map_.ids[order].tolist(), SIDE)
    sheets, lost = [], 0
    sizes: list[tuple[int, int]] = []
    slots = np.full(len(map_), -1, np.int32)
    sheet = np.zeros((SIDE * ACROSS, SIDE * ACROSS, 3), np.uint8)
    for done, (row, thumbnail) in enumerate(zip(order.tolist(), thumbnails, strict=True), start=1):
        if progress is not None:
            progress(done, len(order))
        if thumbnail is None:
            lost += 1
            continue
        pixels = decode_jpeg(thumbnail.data)
        y, x = divmod(len(sizes) % ACROSS**2, ACROSS)
        sheet[y * SIDE :, x * SIDE :][: pixels.shape[0], : pixels.shape[1]] = pixels
        slots[row] = len(sizes)
        sizes.append((pixels.shape[1], pixels.shape[0]))
        if len(sizes) % ACROSS**2 == 0:
            sheets.append(_webp(sheet))
            sheet[:] = 0
    if len(sizes) % ACROSS**2:
        rows = -(-(len(sizes) % ACROSS**2) // ACROSS)
        sheets.append(_webp(sheet[: rows * SIDE]))
    return Sprites(tuple(sheets), slots, np.array(sizes, np.uint8).reshape(-1, 2), lost)


def _webp(pixels: Pixels) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    options = pillow_options("webp")
    Image.fromarray(pixels).save(content, "WEBP", quality=QUALITY, method=2, **options)
    return content.getvalue()
