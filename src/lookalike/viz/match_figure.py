"""Why two pictures match, drawn on both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from lookalike.explain.local_matches import Link
from lookalike.explain.match import Explanation, Side
from lookalike.explain.occlusion import CELLS
from lookalike.images.pixel_spec import Pixels
from lookalike.query import Box
from lookalike.viz.style import FAINT, INK, caption, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE, HIGHEST, GAP, TOP, BELOW = 4.6, 4.6, 0.5, 1.25, 1.3  # inches
DIMMED = 0.32
MARK = "#f59e0b"
LINKS = 10
"""Lines that an eye can follow."""

LINE_COLOURS = ("#2563eb", "#e8743b", "#16a34a", "#c83e73", "#8a5bd1", "#c79a00", "#0891b2")
PARTS = {"network": "what it shows", "color": "colours"}
PART_COLOURS = ("#2563eb", "#e8743b")


def draw_match(found: Explanation, names: Sequence[str], out: Path) -> None:
    """The marked parts of each picture bright, the rest dimmed; below, where it comes from place by place;
    lines between places that go together; and what covering the marked parts costs."""
    from matplotlib.figure import Figure

    count = len(found.sides)
    width = GAP + count * (WIDE + GAP)
    high = max(_high(side) for side in found.sides)
    height = TOP + 2 * high + GAP + BELOW
    figure = Figure(figsize=(width, height), dpi=110, facecolor="white")
    _heading(figure, found, width, height)
    marked = []
    for column, (side, name) in enumerate(zip(found.sides, names, strict=True)):
        left = GAP + column * (WIDE + GAP)
        for row in range(2):
            top = TOP + row * (high + GAP / 2)
            box = (left / width, 1 - (top + high) / height, WIDE / width, high / height)
            axes = figure.add_axes(box)
            axes.set_axis_off()
            axes.set_anchor("NW")
            if row == 0:
                axes.imshow(dimmed(side), interpolation="antialiased")
                _outline(axes, side)
                marked.append(axes)
            else:
                _heat(axes, side)
        figure.text(
            left / width,
            1 - (TOP - 0.12) / height,
            caption(name).replace("\n", ""),
            size=9,
            color=FAINT,
            parse_math=False,
        )
    if count == 2:
        _lines(figure, marked[0], marked[1], found)
    _below(figure, found, width, height)
    save_figure(figure, out)


def _high(side: Side) -> float:
    """Inches of a picture that is as wide as there is room."""
    height, width = side.pixels.shape[:2]
    return float(min(HIGHEST, WIDE * height / width))


def dimmed(side: Side) -> Pixels:
    """The picture with all that is not marked darkened."""
    height, width = side.pixels.shape[:2]
    bright = np.zeros((height, width), np.bool_)
    for y, x in np.argwhere(side.marked).tolist():
        left, top, right, bottom = _pixels(
            side, (x / CELLS, y / CELLS, 1 / CELLS, 1 / CELLS), width, height
        )
        bright[round(top) : round(bottom), round(left) : round(right)] = True
    shade = np.where(bright, 1.0, DIMMED)[:, :, None]
    return np.asarray(side.pixels * shade + 255 * 0.12 * (shade < 1), np.uint8)


def _pixels(side: Side, box: Box, width: int, height: int) -> tuple[float, float, float, float]:
    """Left, top, right and bottom in the picture of a box of the part that the extractor saw."""
    x, y, wide, high = side.frame
    left, top = (x + box[0] * wide) * width, (y + box[1] * high) * height
    return left, top, left + box[2] * wide * width, top + box[3] * high * height


def _outline(axes: Axes, side: Side) -> None:
    """A line around the marked cells."""
    height, width = side.pixels.shape[:2]
    cells = np.pad(side.marked, 1)
    for y, x in np.argwhere(side.marked).tolist():
        left, top, right, bottom = _pixels(
            side, (x / CELLS, y / CELLS, 1 / CELLS, 1 / CELLS), width, height
        )
        edges = (
            (cells[y, x + 1], (left, right), (top, top)),
            (cells[y + 2, x + 1], (left, right), (bottom, bottom)),
            (cells[y + 1, x], (left, left), (top, bottom)),
            (cells[y + 1, x + 2], (right, right), (top, bottom)),
        )
        for inside, across, down in edges:
            if not inside:
                axes.plot(across, down, color=MARK, linewidth=1.8, solid_capstyle="round")
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))


def _heat(axes: Axes, side: Side) -> None:
    """The picture in grey, with warm colours where it speaks for the match and cold ones against."""
    height, width = side.pixels.shape[:2]
    axes.imshow(side.pixels.mean(axis=2), cmap="gray", vmin=0, vmax=255, alpha=0.55)
    left, top, right, bottom = _pixels(side, (0, 0, 1, 1), width, height)
    # The largest values alone would leave the rest without colour.
    limit = float(np.quantile(np.abs(side.heat), 0.98)) or 1.0
    axes.imshow(
        side.heat,
        cmap="RdBu_r",
        vmin=-limit,
        vmax=limit,
        alpha=0.6,
        extent=(left - 0.5, right - 0.5, bottom - 0.5, top - 0.5),
        interpolation="bilinear" if min(side.heat.shape) < 48 else "antialiased",
    )
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))


def _lines(figure: Figure, first: Axes, second: Axes, found: Explanation) -> None:
    from matplotlib.patches import ConnectionPatch, Rectangle

    for number, link in enumerate(spread(found.links)):
        colour = LINE_COLOURS[number % len(LINE_COLOURS)]
        ends = []
        for axes, side, box in (
            (first, found.sides[0], link.first),
            (second, found.sides[1], link.second),
        ):
            height, width = side.pixels.shape[:2]
            left, top, right, bottom = _pixels(side, box, width, height)
            ends.append(((left + right) / 2, (top + bottom) / 2))
            axes.add_patch(
                Rectangle(
                    (left, top),
                    right - left,
                    bottom - top,
                    fill=False,
                    edgecolor=colour,
                    linewidth=1.2,
                )
            )
        figure.add_artist(
            ConnectionPatch(
                ends[0],
                ends[1],
                "data",
                "data",
                axesA=first,
                axesB=second,
                color=colour,
                linewidth=0.9,
                alpha=0.85,
            )
        )


def spread(links: Sequence[Link]) -> list[Link]:
    """At most ten of the links: strongest first, but none that starts beside one already chosen, as long as
    there are others."""
    chosen: list[Link] = []
    for near in (0.12, 0.0):
        for link in links:
            if len(chosen) == LINKS:
                return chosen
            apart = (
                max(abs(link.first[0] - each.first[0]), abs(link.first[1] - each.first[1]))
                for each in chosen
            )
            if link not in chosen and all(distance >= near for distance in apart):
                chosen.append(link)
    return chosen


def _heading(figure: Figure, found: Explanation, width: float, height: float) -> None:
    name = found.by.rpartition("/")[2]
    number = (
        f"{found.similarity:.0f} keypoints go together"
        if found.kind == "keypoints"
        else f"similarity {found.similarity:.3f} ({found.kind})"
    )
    title = f"Where “{found.words}” is, by {name}" if found.words else f"Why they match, by {name}"
    left = GAP / width
    figure.text(left, 1 - 0.4 / height, title, size=14, color=INK, parse_math=False)
    said = f"{number} · bright and outlined: {found.method}"
    figure.text(left, 1 - 0.72 / height, fill(said, int(13 * width)), size=9, color=FAINT)


def _below(figure: Figure, found: Explanation, width: float, height: float) -> None:
    """What covering costs, and the parts of the vector or the shared colours."""
    faith = found.faithfulness
    digits = 1 if found.kind == "keypoints" else 3
    verdict = "so the marks are right" if faith.faithful else "so do not trust the marks"
    text = (
        f"Covering what is marked ({faith.share:.0%} of each picture) costs {faith.marked:.{digits}f}; "
        f"covering as much elsewhere costs {faith.others:.{digits}f} on average, and less in "
        f"{faith.beaten:.0%} of {faith.trials} trials: {verdict}."
    )
    left = GAP / width
    said = fill(text, int(12.5 * width))
    figure.text(
        left,
        (BELOW - 0.35) / height,
        said,
        size=9,
        color=INK if faith.faithful else "#b91c1c",
        va="top",
    )
    box = (left, 0.16 / height, 1 - 2 * left, 0.34 / height)
    if found.shares:
        _shares(figure.add_axes(box), found)
    elif found.colours:
        _colours(figure.add_axes(box), found)


def _shares(axes: Axes, found: Explanation) -> None:
    axes.set_axis_off()
    total = sum(max(0.0, value) for value in found.shares.values()) or 1.0
    start = 0.0
    for (name, value), colour in zip(found.shares.items(), PART_COLOURS, strict=False):
        wide = max(0.0, value) / total
        axes.barh(0, wide, left=start, color=colour, height=0.9)
        text = f"{PARTS.get(name, name)} {value:.3f}"
        if wide > 0.14:
            axes.text(start + wide / 2, 0, text, size=8.5, color="white", ha="center", va="center")
        else:
            axes.text(1.0, 0.85, text, size=8, color=colour, ha="right", va="bottom")
        start += wide
    axes.set(xlim=(0, 1), ylim=(-0.5, 1.4))


def _colours(axes: Axes, found: Explanation) -> None:
    axes.set_axis_off()
    axes.text(0, 0.25, "shared", size=8.5, color=FAINT, va="center")
    at = 0.075
    for each in found.colours[:6]:
        axes.barh(0.25, 0.05, left=at, height=1.0, color=[c / 255 for c in each.rgb])
        text = f"{each.first:.0%} · {each.second:.0%}"
        axes.text(at + 0.056, 0.25, text, size=8, color=INK, va="center")
        at += 0.135
    axes.set(xlim=(0, 1), ylim=(-0.4, 1.2))
