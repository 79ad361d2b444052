"""Reports and hits as figures."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lookalike.errors import ImageError, UsageError
from lookalike.files import output_file
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.query import Box, Hit, Hits, QueryImage
from lookalike.workers.limits import Limits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

TILE = 2.0  # inches, the side of the square that a picture is fitted into
GAP = 0.22
CAPTION = 0.62  # below each tile: rank and similarity, and two lines of file name
TITLE = 0.5
DPI = 110  # 220 pixels a tile: enough to judge a hit by
THUMBNAIL = 440  # pixels; twice the tile, for figures that are enlarged or saved as PDF
NAME_WIDTH = 32  # characters a line of caption
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)

INK, FAINT, PAPER, MISSING, ACCENT = "#1b1f24", "#6b7280", "#f3f4f6", "#e5e7eb", "#2563eb"
_OF_RELEVANCE = {"near-copy": "#7c3aed", "strong": "#15803d", "plausible": "#b45309", "weak": FAINT}
_MORE_SCRIPTS = (
    "Noto Sans CJK JP",
    "Hiragino Sans",
    "Yu Gothic",
    "Microsoft YaHei",
    "PingFang HK",
    "Arial Unicode MS",
    "Noto Sans Arabic",
    "Noto Sans Devanagari",
)


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture of the grid: its pixels (None: it cannot be shown), what stands below it, and the
    part that was asked with or that matched."""

    pixels: Pixels | None
    heading: str
    name: str
    colour: str = INK
    framed: bool = False
    part: Box | None = None


def result_grid(
    query: Sequence[QueryImage],
    hits: Hits,
    out: Path | str,
    *,
    columns: int | None = None,
    regions: Sequence[Box | None] = (),
) -> None:
    """Draw a question and its hits, with rank and similarity, and save it to `out`.

    query    the pictures that were asked for
    out      the suffix decides: .png, .jpg, .pdf, .svg
    columns  hits in a row; by default up to five
    regions  the part of each picture of the query that was asked with, as fractions, or None

    The part of a hit that matched is framed where it is known. Pictures that are gone or broken are
    grey tiles with their name. `UsageError` where the file cannot be written.
    """
    shown = thumbnails([*query, *(hit.file for hit in hits.hits)])
    asked = [
        Tile(pixels, "query", _name(picture), ACCENT, framed=True, part=part)
        for picture, pixels, part in zip_longest(query, shown[: len(query)], regions)
    ]
    found = [
        Tile(pixels, _heading(hit), hit.path, _colour(hit), part=hit.box)
        for hit, pixels in zip(hits.hits, shown[len(query) :], strict=True)
    ]
    figure = _draw(asked, found, title=_title(hits), columns=columns)
    save(figure, Path(out))


def _colour(hit: Hit) -> str:
    return _OF_RELEVANCE.get(hit.relevance or "", INK)


def _heading(hit: Hit) -> str:
    judged = f"  {hit.relevance}" if hit.relevance else ""
    return f"{hit.rank}   {round(hit.similarity, 3) + 0.0:.3f}{judged}"


def _title(hits: Hits) -> str:
    if not hits.hits:
        return f"Nothing found by {hits.ranked_by}"
    best = f"The {len(hits)} most similar" if len(hits) > 1 else "The most similar"
    how = f" ({hits.similarity})" if hits.similarity else ""
    return f"{best} of {hits.searched_count:,} pictures, by {hits.ranked_by}{how}"


def _name(picture: QueryImage) -> str:
    return picture.name if isinstance(picture, Path) else ""


def thumbnails(
    pictures: Sequence[QueryImage], *, limits: Limits | None = None
) -> list[Pixels | None]:
    """Pictures as upright RGB pixels of at most `THUMBNAIL` a side; None where one cannot be shown.

    Decoded by guarded workers, like everything that comes from a file.
    """
    from lookalike.cpu import logical_cores
    from lookalike.workers.pool import Pool

    limits = limits or Limits()
    with Pool(
        partial(_thumbnail, limits=limits),
        on_failure=lambda failure: None,
        # A worker costs a quarter of a second to start: a screen of pictures is not worth many.
        workers=min(4, logical_cores()),
        limits=limits,
    ) as pool:
        return list(pool.map(pictures))


def _thumbnail(picture: QueryImage, *, limits: Limits) -> Pixels | None:
    from lookalike.images.decode import decode
    from lookalike.images.reading import read
    from lookalike.images.resize import fit

    needs = PixelSpec(fit="inside", max_side=THUMBNAIL)
    if isinstance(picture, np.ndarray):
        return fit(picture, needs)
    name = picture.name if isinstance(picture, Path) else ""
    try:
        data = read(picture).data if isinstance(picture, Path) else picture
        return fit(decode(data, specs=[needs], limits=limits, name=name).pixels, needs)
    except ImageError:
        return None


def _draw(
    asked: Sequence[Tile], found: Sequence[Tile], *, title: str, columns: int | None
) -> Figure:
    """The questions in a column at the left, the hits in rows beside them."""
    from matplotlib.figure import Figure

    across = columns or min(5, max(1, len(found)))
    down = max(1, math.ceil(len(found) / across), len(asked))
    step_x, step_y = TILE + GAP, TILE + CAPTION + GAP
    width = GAP * 3 + step_x * (across + 1)
    height = TITLE + step_y * down + GAP
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

    def place(tile: Tile, x: float, row: int) -> None:
        top = TITLE + row * step_y
        box = (x / width, 1 - (top + TILE) / height, TILE / width, TILE / height)
        _tile(figure.add_axes(box), tile)

    for row, tile in enumerate(asked):
        place(tile, 2 * GAP, row)
    for at, tile in enumerate(found):
        # One gap more between the question and its answers.
        place(tile, 3 * GAP + step_x * (1 + at % across), at // across)
    return figure


def _tile(axes: Axes, tile: Tile) -> None:
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
        if tile.part is not None and tile.part != WHOLE:
            x, y, across, down = tile.part
            corner = ((1 - w) / 2 + x * w, (1 + h) / 2 - (y + down) * h)
            for colour, thick in (("white", 3.0), (ACCENT, 1.4)):  # to be seen on any picture
                axes.add_patch(_frame(corner, across * w, down * h, colour, thick))
    heading = axes.text(0, -0.05, tile.heading, size=9.5, weight="bold", color=tile.colour)
    name = axes.text(0, -0.145, caption(tile.name), size=7.5, color=FAINT, linespacing=1.3)
    name.set_fontfamily(_fonts())
    for text in (heading, name):
        text.set_verticalalignment("top")
        text.set_parse_math(False)  # "$" in a file name is no formula


def _frame(
    corner: tuple[float, float], wide: float, tall: float, colour: str, thick: float
) -> Rectangle:
    from matplotlib.patches import Rectangle

    return Rectangle(corner, wide, tall, fill=False, edgecolor=colour, linewidth=thick)


def caption(path: str, width: int = NAME_WIDTH) -> str:
    """The path in at most two lines of `width` (at least 20) characters: its folders, then the file's
    own name, each cut if need be."""
    clean = "".join(c if c.isprintable() else "\ufffd" for c in path)
    if len(clean) <= width:
        return clean
    folders, slash, name = clean.rpartition("/")
    if len(name) > width:
        name = name[: width - 17] + "…" + name[-16:]
    if len(folders) >= width:
        folders = "…" + folders[-(width - 2) :]
    return f"{folders}{slash}\n{name}" if slash else name


def _fonts() -> list[str]:
    """Matplotlib's own font, then those of this machine that know more scripts than Latin."""
    from matplotlib import font_manager

    here = {font.name for font in font_manager.fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in _MORE_SCRIPTS if name in here)]


def plain_log(axis: Axis) -> None:
    """Ticks of a logarithmic axis at 1, 2 and 5 times the powers of ten, as plain numbers: times of 3 and
    8 ms lie between two powers."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_formatter(NullFormatter())


def save(figure: Figure, out: Path) -> None:
    """Into a file whose suffix decides the format. `UsageError` where it cannot be written."""
    known = sorted(figure.canvas.get_supported_filetypes())
    kind = out.suffix.lstrip(".").lower()
    if kind not in known:
        raise UsageError(f"cannot draw into '{out}': name a .png, .jpg, .pdf or .svg file")
    with output_file(out) as file, warnings.catch_warnings():
        # A file name in a script that the font does not have is drawn as boxes; that is no
        # reason to write warnings between the results.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(file, format=kind)
