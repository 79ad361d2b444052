"""Draws an explanation of a match on both images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from lookalike.explain.attribution import LocalMatch
from lookalike.explain.match import ExplainedImage, Explanation
from lookalike.explain.occlusion import CELLS
from lookalike.images.pixel_spec import Pixels
from lookalike.query import Box
from lookalike.viz.style import FAINT, INK, caption, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches: width and largest height of an image, gap, space above and below.
WIDTH, MAX_HEIGHT, GAP, TOP, BELOW = 4.6, 4.6, 0.5, 1.25, 1.3
# Brightness of what is not marked.
DIMMED = 0.32
MARK_COLOUR = "#f59e0b"
# Matches that are drawn; more lines cannot be told apart.
MAX_LINES = 10

LINE_COLOURS = ("#2563eb", "#e8743b", "#16a34a", "#c83e73", "#8a5bd1", "#c79a00", "#0891b2")
PARTS = {"network": "content", "color": "colours"}
PART_COLOURS = ("#2563eb", "#e8743b")


def draw_match(found: Explanation, names: Sequence[str], out: Path) -> None:
    """Draw each image with the marked parts bright, its heatmap, lines between matches, and the faithfulness.

    names  of the images
    """
    from matplotlib.figure import Figure

    count = len(found.images)
    width = GAP + count * (WIDTH + GAP)
    high = max(_height(image) for image in found.images)
    height = TOP + 2 * high + GAP + BELOW
    figure = Figure(figsize=(width, height), dpi=110, facecolor="white")
    _heading(figure, found, width, height)
    marked = []
    for column, (image, name) in enumerate(zip(found.images, names, strict=True)):
        left = GAP + column * (WIDTH + GAP)
        for row in range(2):
            top = TOP + row * (high + GAP / 2)
            box = (left / width, 1 - (top + high) / height, WIDTH / width, high / height)
            axes = figure.add_axes(box)
            axes.set_axis_off()
            axes.set_anchor("NW")
            if row == 0:
                axes.imshow(dimmed(image), interpolation="antialiased")
                _outline(axes, image)
                marked.append(axes)
            else:
                _heatmap(axes, image)
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


def _height(image: ExplainedImage) -> float:
    """Return the height in inches of an image of full width."""
    height, width = image.pixels.shape[:2]
    return float(min(MAX_HEIGHT, WIDTH * height / width))


def dimmed(image: ExplainedImage) -> Pixels:
    """Return the pixels with everything that is not marked darkened."""
    height, width = image.pixels.shape[:2]
    bright = np.zeros((height, width), np.bool_)
    for y, x in np.argwhere(image.marked).tolist():
        left, top, right, bottom = _pixels(
            image, (x / CELLS, y / CELLS, 1 / CELLS, 1 / CELLS), width, height
        )
        bright[round(top) : round(bottom), round(left) : round(right)] = True
    shade = np.where(bright, 1.0, DIMMED)[:, :, None]
    return np.asarray(image.pixels * shade + 255 * 0.12 * (shade < 1), np.uint8)


def _pixels(
    image: ExplainedImage, box: Box, width: int, height: int
) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom in the image, of a box within the extractor's frame."""
    x, y, wide, high = image.frame
    left, top = (x + box[0] * wide) * width, (y + box[1] * high) * height
    return left, top, left + box[2] * wide * width, top + box[3] * high * height


def _outline(axes: Axes, image: ExplainedImage) -> None:
    """Draw a line around the marked cells."""
    height, width = image.pixels.shape[:2]
    cells = np.pad(image.marked, 1)
    for y, x in np.argwhere(image.marked).tolist():
        left, top, right, bottom = _pixels(
            image, (x / CELLS, y / CELLS, 1 / CELLS, 1 / CELLS), width, height
        )
        edges = (
            (cells[y, x + 1], (left, right), (top, top)),
            (cells[y + 2, x + 1], (left, right), (bottom, bottom)),
            (cells[y + 1, x], (left, left), (top, bottom)),
            (cells[y + 1, x + 2], (right, right), (top, bottom)),
        )
        for inside, across, down in edges:
            if not inside:
                axes.plot(across, down, color=MARK_COLOUR, linewidth=1.8, solid_capstyle="round")
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))


def _heatmap(axes: Axes, image: ExplainedImage) -> None:
    """Draw the image in grey, red where it raises the similarity and blue where it lowers it."""
    height, width = image.pixels.shape[:2]
    axes.imshow(image.pixels.mean(axis=2), cmap="gray", vmin=0, vmax=255, alpha=0.55)
    left, top, right, bottom = _pixels(image, (0, 0, 1, 1), width, height)
    # A scale up to the largest value would leave the rest without colour.
    limit = float(np.quantile(np.abs(image.heatmap), 0.98)) or 1.0
    axes.imshow(
        image.heatmap,
        cmap="RdBu_r",
        vmin=-limit,
        vmax=limit,
        alpha=0.6,
        extent=(left - 0.5, right - 0.5, bottom - 0.5, top - 0.5),
        interpolation="bilinear" if min(image.heatmap.shape) < 48 else "antialiased",
    )
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))


def _lines(figure: Figure, first: Axes, second: Axes, found: Explanation) -> None:
    from matplotlib.patches import ConnectionPatch, Rectangle

    for number, match in enumerate(spread_matches(found.matches)):
        colour = LINE_COLOURS[number % len(LINE_COLOURS)]
        ends = []
        for axes, image, box in (
            (first, found.images[0], match.first),
            (second, found.images[1], match.second),
        ):
            height, width = image.pixels.shape[:2]
            left, top, right, bottom = _pixels(image, box, width, height)
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


def spread_matches(matches: Sequence[LocalMatch]) -> list[LocalMatch]:
    """Return at most ten matches, the strongest first, but preferably none that start side by side."""
    chosen: list[LocalMatch] = []
    for min_distance in (0.12, 0.0):
        for match in matches:
            if len(chosen) == MAX_LINES:
                return chosen
            distances = (
                max(abs(match.first[0] - each.first[0]), abs(match.first[1] - each.first[1]))
                for each in chosen
            )
            if match not in chosen and all(d >= min_distance for d in distances):
                chosen.append(match)
    return chosen


def _heading(figure: Figure, found: Explanation, width: float, height: float) -> None:
    name = found.extractor.rpartition("/")[2]
    number = (
        f"{found.similarity:.0f} keypoints match"
        if found.kind == "keypoints"
        else f"similarity {found.similarity:.3f} ({found.kind})"
    )
    title = f"Where “{found.text}” is, by {name}" if found.text else f"Why they match, by {name}"
    left = GAP / width
    figure.text(left, 1 - 0.4 / height, title, size=14, color=INK, parse_math=False)
    text = f"{number} · bright and outlined: {found.method}"
    figure.text(left, 1 - 0.72 / height, fill(text, int(13 * width)), size=9, color=FAINT)


def _below(figure: Figure, found: Explanation, width: float, height: float) -> None:
    """Draw the faithfulness, and the parts of the vector or the shared colours."""
    faith = found.faithfulness
    digits = 1 if found.kind == "keypoints" else 3
    verdict = "so the marks are right" if faith.faithful else "so do not trust the marks"
    text = (
        f"Covering the marked parts ({faith.marked_share:.0%} of each image) costs "
        f"{faith.marked_drop:.{digits}f}; covering as much elsewhere costs {faith.other_drop:.{digits}f} "
        f"on average, and less in {faith.win_rate:.0%} of {faith.trials} trials: {verdict}."
    )
    left = GAP / width
    figure.text(
        left,
        (BELOW - 0.35) / height,
        fill(text, int(12.5 * width)),
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
