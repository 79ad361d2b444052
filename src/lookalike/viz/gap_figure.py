"""Draws the pairs of images on which two measures of similarity disagree."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lookalike.explain.gap import Disagreement, Gap
from lookalike.images.pixel_spec import Pixels
from lookalike.viz.style import FAINT, INK, MISSING, caption, save_figure

# Inches: side of an image, gap, space above, space below each image.
TILE, GAP, TOP, BELOW = 1.7, 0.15, 1.3, 0.62
NAME_WIDTH = 26  # characters below an image


def draw_gap(gap: Gap, images: Mapping[int, Pixels | None], out: Path) -> None:
    """Draw the pairs that are similar only by the first measure at the left, by the second at the right.

    images  by id; None where one cannot be shown
    """
    from matplotlib.figure import Figure

    rows = max(1, *(len(side) for side in gap.only))
    column = 2 * TILE + GAP
    width = 0.3 + column + 0.8 + column + 0.3
    height = TOP + rows * (TILE + BELOW) + 0.1
    figure = Figure(figsize=(width, height), dpi=110, facecolor="white")
    title = "What is similar? Two answers"
    figure.text(0.3 / width, 1 - 0.4 / height, title, size=14, color=INK)
    for side, pairs in enumerate(gap.only):
        left = 0.3 + side * (column + 0.8)
        this, other = (_short(gap.measures[number]) for number in (side, 1 - side))
        heading = f"Similar by {this}, not by {other}"
        where = (left / width, 1 - 0.95 / height)
        figure.text(*where, heading, size=10.5, color=INK, weight="bold", parse_math=False)
        if not pairs:
            figure.text(left / width, 1 - 1.3 / height, "no such pair", size=9.5, color=FAINT)
        for row, pair in enumerate(pairs):
            top = TOP + row * (TILE + BELOW)
            for number, image in enumerate((pair.first, pair.second)):
                at = left + number * (TILE + GAP)
                box = (at / width, 1 - (top + TILE) / height, TILE / width, TILE / height)
                axes = figure.add_axes(box)
                axes.set_axis_off()
                axes.set_anchor("SW")
                pixels = images.get(image.id)
                if pixels is None:
                    axes.set_facecolor(MISSING)
                    axes.text(0.5, 0.5, "cannot be shown", size=8, color=FAINT, ha="center")
                else:
                    axes.imshow(pixels)
                name = caption(image.path, NAME_WIDTH).rpartition("\n")[2]
                below = 1 - (top + TILE + 0.15) / height
                figure.text(at / width, below, name, size=7.5, color=FAINT, parse_math=False)
            figure.text(
                left / width,
                1 - (top + TILE + 0.33) / height,
                _closeness(gap, pair),
                size=7.5,
                color=INK,
                parse_math=False,
            )
    save_figure(figure, out)


def _closeness(gap: Gap, pair: Disagreement) -> str:
    """Return how close a pair is by both measures."""
    # If none of the random pairs is closer, "100 %" would still claim too much.
    shares = (f"{min(s, 0.999):.1%}" if s > 0.9 else f"{s:.0%}" for s in pair.closer)
    (one, other), (first, second) = map(_short, gap.measures), shares
    return f"closer than {first} of random pairs by {one}, {second} by {other}"


def _short(measure: str) -> str:
    """Return the last part of a name: "lookalike/network" → "network"."""
    return measure.rpartition("/")[2]
