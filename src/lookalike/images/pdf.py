"""Draw a page of a PDF file with PDFium (pypdfium2). It runs no scripts and loads nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lookalike.errors import ImageError, Outcome
from lookalike.images.metadata.facts import Facts
from lookalike.images.pages import MAX_PAGES, further_pages
from lookalike.images.pixel_spec import Decoded

DPI = 150
"""Resolution at which a page counts its pixels; letters of ordinary texts can be read."""

MAX_SIDE = 4096
"""Longer side of a page in pixels: posters and plans are drawn smaller than at `DPI`."""

_PASSWORD = 4  # FPDF_ERR_PASSWORD


def decode_pdf(data: bytes, page: str, scale: Callable[[int, int], float]) -> Decoded:
    """Draw a page ("" is the first) at the scale that `scale` gives for its width and height in pixels."""
    import pypdfium2 as pdfium

    try:
        document = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        if getattr(error, "err_code", None) == _PASSWORD or "password" in str(error).lower():
            reason = "needs a password; save it without one"
            raise ImageError(Outcome.UNSUPPORTED, reason) from None
        raise
    try:
        count, number = len(document), int(page or 1)
        if not count:
            raise ImageError(Outcome.UNREADABLE, "the PDF has no pages")
        if not 1 <= number <= count:
            raise ImageError(Outcome.MISSING, f"the PDF has no page {number} (any more)")
        document.init_forms()  # draws what is filled into forms; there is no JavaScript in this PDFium
        drawn = document[number - 1]
        points = drawn.get_size()
        if not min(points) > 0:
            raise ImageError(Outcome.UNREADABLE, f"page {number} states no size: damaged")
        factor = min(DPI / 72, MAX_SIDE / max(points))
        width, height = (max(1, round(side * factor)) for side in points)
        bitmap = drawn.render(
            scale=factor * scale(width, height), rev_byteorder=True, no_smoothpath=False
        )
        pixels = np.ascontiguousarray(bitmap.to_numpy()[:, :, :3])
    finally:
        document.close()
    if page:
        return Decoded(pixels, Facts(width, height, "pdf"))
    note = f"has {count:,} pages, of which the first {MAX_PAGES:,} are read"
    facts = Facts(width, height, "pdf", frames=count, note=note if count > MAX_PAGES else None)
    return Decoded(pixels, facts, further_pages(count))
