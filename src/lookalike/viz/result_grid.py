"""Draws a query and its hits as a grid of images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lookalike.errors import ImageError
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.query import Box, Hit, Hits, QueryImage
from lookalike.viz.style import (
    ACCENT,
    DPI,
    FAINT,
    INK,
    MISSING,
    PAPER,
    caption,
    font_families,
    save_figure,
)
from lookalike.workers.limits import Limits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

# Inches: the square that an image is fitted into, the space between tiles, the text below each, the title.
TILE, GAP, CAPTION, TITLE = 2.0, 0.22, 0.62, 0.5

# Inches that the title needs.
MIN_WIDTH = 5.5

# Pixels; twice the tile at `DPI`, for figures that are enlarged or saved as PDF.
THUMBNAIL = 440

# Height of a line about the query, in inches, and its longest text in characters.
LINE, LINE_LENGTH = 0.24, 160

AGAINST = "#b91c1c"
"""Colour of the images that hits should not be like."""

WHOLE: Box = (0.0, 0.0, 1.0, 1.0)

_RELEVANCE_COLOURS = {
    "near-copy": "#7c3aed",
    "strong": "#15803d",
    "plausible": "#b45309",
    "weak": FAINT,
}


@dataclass(frozen=True, slots=True)
class Tile:
    """One image of the grid with its text.

    pixels  None: the image cannot be shown
    region  the part of a query image that was used, or the part of a hit that matched
    """

    pixels: Pixels | None
    heading: str
    name: str
    colour: str = INK
    framed: bool = False
    region: Box | None = None


def result_grid(
    query: Sequence[QueryImage],
    hits: Hits,
    out: Path | str,
    *,
    columns: int | None = None,
    regions: Sequence[Box | None] = (),
    weights: Sequence[float] = (),
    against: Sequence[QueryImage] = (),
    words: Sequence[str] = (),
    without: Sequence[str] = (),
    options: Sequence[str] = (),
) -> None:
    """Draw a query and its hits with rank and similarity, and save the figure to `out`.

    query    the images of the query
    out      the suffix selects the format: .png, .jpg, .pdf, .svg
    columns  hits per row; by default up to five
    regions  the part of each query image that was used, in pixels or as fractions, or None
    weights  of the query images, where they are not 1
    against  the images that hits should not be like
    words    texts that hits should fit, and `without` those they should not
    options  further lines about the query, such as its filter

    The part of a hit that matched is framed where it is known. Images that are missing or broken are grey
    tiles with their name. Raises UsageError if the file cannot be written.
    """
    query_count = len(query) + len(against)
    sized = sized_thumbnails([*query, *against, *(hit.file for hit in hits.hits)])
    pixels = [None if one is None else one.pixels for one in sized]
    used = [_in_fractions(region, one) for region, one in zip(regions, sized, strict=False)]
    query_tiles = [
        Tile(shown, _query_heading(weight), _name(image), ACCENT, framed=True, region=region)
        for image, shown, region, weight in zip_longest(query, pixels[: len(query)], used, weights)
    ]
    query_tiles += [
        Tile(shown, "less like this", _name(image), AGAINST, framed=True)
        for image, shown in zip(against, pixels[len(query) : query_count], strict=True)
    ]
    hit_tiles = [
        Tile(shown, _heading(hit), hit.path, _colour(hit), region=hit.box)
        for hit, shown in zip(hits.hits, pixels[query_count:], strict=True)
    ]
    lines = [*(f"“{text}”" for text in words), *(f"not “{text}”" for text in without), *options]
    title = _title(hits, listed=not query_tiles and not words)
    figure = _draw(query_tiles, hit_tiles, title=title, lines=lines, columns=columns)
    save_figure(figure, Path(out))


def _query_heading(weight: float | None) -> str:
    return "query" if weight in (None, 1) else f"query × {weight:g}"


def _colour(hit: Hit) -> str:
    return _RELEVANCE_COLOURS.get(hit.relevance or "", INK)


def _heading(hit: Hit) -> str:
    relevance = f"  {hit.relevance}" if hit.relevance else ""
    score = "" if hit.score is None else f"   {round(hit.score, 3) + 0.0:.3f}"
    return f"{hit.rank}{score}{relevance}"


def _title(hits: Hits, *, listed: bool) -> str:
    if not hits.hits:
        return f"Nothing found by {hits.ranked_by}"
    if listed:
        return f"{len(hits):,} of {hits.searched_count:,} images, by {hits.ranked_by}"
    word = "most similar" if hits.similarity else "best"
    best = f"The {len(hits)} {word}" if len(hits) > 1 else f"The {word}"
    how = f" ({hits.similarity})" if hits.similarity else ""
    return f"{best} of {hits.searched_count:,} images, by {hits.ranked_by}{how}"


def _name(image: QueryImage) -> str:
    return image.name if isinstance(image, Path) else ""


def thumbnails(images: Sequence[QueryImage]) -> list[Pixels | None]:
    """Return images as upright RGB pixels of at most `THUMBNAIL` a side; None where one cannot be read."""
    return [None if one is None else one.pixels for one in sized_thumbnails(images)]


@dataclass(frozen=True, slots=True)
class SizedThumbnail:
    """An upright image made small, and its size in pixels before."""

    pixels: Pixels
    width: int
    height: int


def sized_thumbnails(images: Sequence[QueryImage]) -> list[SizedThumbnail | None]:
    """Return thumbnails as `thumbnails` does, with the sizes of the images.

    They are decoded in worker processes.
    """
    from lookalike.cpu import logical_cores
    from lookalike.workers.pool import Pool

    limits = Limits()
    with Pool(
        partial(_thumbnail, limits=limits),
        on_failure=lambda failure: None,
        # A worker takes a quarter of a second to start: one screen of images is not worth many.
        workers=min(4, logical_cores()),
        limits=limits,
    ) as pool:
        return list(pool.map(images))


def _in_fractions(region: Box | None, image: SizedThumbnail | None) -> Box | None:
    """Return a part of an image as fractions of its size; None where the size is not known."""
    if region is None or max(region) <= 1:
        return region
    if image is None:
        return None
    x, y, width, height = region
    return x / image.width, y / image.height, width / image.width, height / image.height


def _thumbnail(image: QueryImage, *, limits: Limits) -> SizedThumbnail | None:
    from lookalike.images.decode import decode
    from lookalike.images.reading import read
    from lookalike.images.resize import fit

    spec = PixelSpec(fit="inside", max_side=THUMBNAIL)
    if isinstance(image, np.ndarray):
        return SizedThumbnail(fit(image, spec), image.shape[1], image.shape[0])
    name = image.name if isinstance(image, Path) else ""
    try:
        data = read(image) if isinstance(image, Path) else image
        decoded = decode(data, specs=[spec], limits=limits, name=name, whole=True)
        facts = decoded.facts
        return SizedThumbnail(fit(decoded.pixels, spec), facts.width, facts.height)
    except ImageError:
        return None


def _draw(
    query: Sequence[Tile],
    hits: Sequence[Tile],
    *,
    title: str,
    lines: Sequence[str],
    columns: int | None,
) -> Figure:
    """Draw the query images in a column at the left, and the hits in rows beside them; above both the title
    and lines about the query."""
    from matplotlib.figure import Figure

    across = columns or min(5, max(1, len(hits)))
    down = max(1, math.ceil(len(hits) / across), len(query))
    step_x, step_y = TILE + GAP, TILE + CAPTION + GAP
    query_columns = bool(query)
    width = max(GAP * 3 + step_x * (across + query_columns), MIN_WIDTH)
    head = TITLE + LINE * len(lines) + 0.1 * bool(lines)
    height = head + step_y * down + GAP
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    figure.text(
        (2 * GAP) / width,
        1 - 0.3 / height,
        title,
        size=11,
        color=INK,
        va="center",
        parse_math=False,
    )
    fonts = font_families()
    for number, line in enumerate(lines):
        below = figure.text(
            (2 * GAP) / width,
            1 - (TITLE + 0.1 + LINE * number) / height,
            line if len(line) <= LINE_LENGTH else f"{line[: LINE_LENGTH - 1]}…",
            size=9.5,
            color=ACCENT,
            va="center",
            parse_math=False,
        )
        below.set_fontfamily(fonts)

    def place(tile: Tile, x: float, row: int) -> None:
        top = head + row * step_y
        box = (x / width, 1 - (top + TILE) / height, TILE / width, TILE / height)
        _draw_tile(figure.add_axes(box), tile)

    for row, tile in enumerate(query):
        place(tile, 2 * GAP, row)
    for at, tile in enumerate(hits):
        # A wider gap separates the query from its hits.
        place(
            tile, (2 + query_columns) * GAP + step_x * (query_columns + at % across), at // across
        )
    return figure


def _draw_tile(axes: Axes, tile: Tile) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[])
    axes.set_facecolor(PAPER if tile.pixels is not None else MISSING)
    for side in axes.spines.values():
        side.set_visible(tile.framed)
        side.set(color=tile.colour, linewidth=2.0)
    if tile.pixels is None:
        axes.text(0.5, 0.5, "cannot be shown", size=9, color=FAINT, ha="center", va="center")
    else:
        high, wide = tile.pixels.shape[:2]
        w, h = min(1.0, wide / high), min(1.0, high / wide)
        extent = ((1 - w) / 2, (1 + w) / 2, (1 - h) / 2, (1 + h) / 2)
        axes.imshow(tile.pixels, extent=extent, aspect="auto", interpolation="lanczos")
        axes.set(xlim=(0, 1), ylim=(0, 1))
        if tile.region is not None and tile.region != WHOLE:
            x, y, across, down = tile.region
            corner = ((1 - w) / 2 + x * w, (1 + h) / 2 - (y + down) * h)
            for colour, thick in (("white", 3.0), (ACCENT, 1.4)):  # visible on any image
                axes.add_patch(_frame(corner, across * w, down * h, colour, thick))
    heading = axes.text(0, -0.05, tile.heading, size=9.5, weight="bold", color=tile.colour)
    name = axes.text(0, -0.145, caption(tile.name), size=7.5, color=FAINT, linespacing=1.3)
    name.set_fontfamily(font_families())
    for text in (heading, name):
        text.set_verticalalignment("top")
        text.set_parse_math(False)  # "$" in a file name is not a formula


def _frame(
    corner: tuple[float, float], wide: float, tall: float, colour: str, thick: float
) -> Rectangle:
    from matplotlib.patches import Rectangle

    return Rectangle(corner, wide, tall, fill=False, edgecolor=colour, linewidth=thick)
