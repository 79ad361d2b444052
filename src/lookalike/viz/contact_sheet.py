"""Draws thumbnails as a sheet with numbers, for programs that look at images and name them by number."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from lookalike.images.jpeg import encode_jpeg
from lookalike.viz.style import INK, MISSING, PAPER

TILE, GAP, COLUMNS = 220, 8, 5
"""Pixels of the square that an image is fitted into, and between tiles; tiles of a row."""


def contact_sheet(thumbnails: Sequence[bytes | None]) -> bytes:
    """Return a JPEG with these thumbnails (JPEG; None: cannot be shown), numbered from 1 in rows of five."""
    from PIL import Image, ImageDraw, ImageFont

    columns = max(1, min(COLUMNS, len(thumbnails)))
    rows = max(1, -(-len(thumbnails) // columns))
    step = TILE + GAP
    sheet = Image.new("RGB", (columns * step + GAP, rows * step + GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(20)
    for at, data in enumerate(thumbnails):
        x, y = GAP + at % columns * step, GAP + at // columns * step
        if data is None:
            draw.rectangle((x, y, x + TILE, y + TILE), fill=MISSING)
        else:
            with Image.open(io.BytesIO(data)) as image:
                image.thumbnail((TILE, TILE))
                place = x + (TILE - image.width) // 2, y + (TILE - image.height) // 2
                sheet.paste(image.convert("RGB"), place)
        number = str(at + 1)
        width = int(font.getlength(number)) + 12
        draw.rectangle((x, y, x + width, y + 26), fill="white", outline=INK)
        draw.text((x + 6, y + 2), number, font=font, fill=INK)
    return encode_jpeg(np.asarray(sheet))
