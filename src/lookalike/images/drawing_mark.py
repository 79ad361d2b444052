"""The mark in the metadata of images that this program draws: grids, figures, maps, thumbnails.

Such a file often lies among the photos that it shows. Indexing leaves marked files out; otherwise every grid
would become a hit of the next search.
"""

from __future__ import annotations

from typing import Any

MARK = "Drawn by Lookalike, not a photo (x-lookalike-drawing)"

DRAWING = "drawn by Lookalike: not a photo"
"""Reason for which such a file is skipped."""

_SOUGHT = b"x-lookalike-drawing"

# Bytes that are searched at the beginning, where the metadata of PNG, JPEG, GIF, TIFF and SVG lies, and at
# the end, where that of WebP does.
_SEARCHED = 4096

# Tag of EXIF and TIFF for the program that made an image.
_SOFTWARE = 305


def is_marked_file(path: str) -> bool:
    """Return whether the file begins with the mark: for formats that are not read, such as SVG."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - any name, however long
            return is_drawing(file.read(_SEARCHED))
    except (OSError, ValueError):
        return False


def is_drawing(data: bytes) -> bool:
    """Return whether an image file carries the mark."""
    return _SOUGHT in data[:_SEARCHED] or _SOUGHT in data[-_SEARCHED:]


def marked_jpeg(data: bytes) -> bytes:
    """Return a JPEG with the mark as a comment."""
    comment = MARK.encode("ascii")
    segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
    return data[:2] + segment + data[2:]


def pillow_options(kind: str) -> dict[str, Any]:
    """Return the options with which Pillow writes the mark into a format ("jpeg", "webp" …)."""
    if kind in ("jpg", "jpeg", "gif"):
        return {"comment": MARK}
    if kind in ("tif", "tiff"):
        return {"tiffinfo": {_SOFTWARE: MARK}}
    if kind in ("webp", "avif"):
        from PIL import Image

        exif = Image.Exif()
        exif[_SOFTWARE] = MARK
        return {"exif": exif}
    if kind == "png":
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_text("Software", MARK)
        return {"pnginfo": info}
    return {}


def matplotlib_options(kind: str) -> dict[str, Any]:
    """Return the options with which Matplotlib's `savefig` writes the mark into a format."""
    if kind == "png":
        return {"metadata": {"Software": MARK}}
    if kind in ("svg", "svgz", "pdf", "ps", "eps"):
        return {"metadata": {"Creator": MARK}}
    options = pillow_options(kind)
    return {"pil_kwargs": options} if options else {}
