"""Two measures that disagree, pair by pair."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lookalike.explain.gap import Disagreement, Gap
from lookalike.images.pixel_spec import Pixels
from lookalike.viz.style import FAINT, INK, MISSING, caption, save_figure

TILE, GAP, TOP, BELOW = 1.7, 0.15, 1.3, 0.62  # inches
NAME = 26  # characters of a name below a picture


def draw_gap(found: Gap, pictures: Mapping[int, Pixels | None], out: Path) -> None:
    """Pairs that only the first measure finds alike at the left, those of the second at the right.

    pictures  by image id; None where one cannot be shown
    """
    from matplotlib.figure import Figure

    rows = max(1, *(len(side) for side in found.only))
    column = 2 * TILE + GAP
    width = 0.3 + column + 0.8 + column + 0.3
    height = TOP + rows * (TILE + BELOW) + 0.1
    figure = Figure(figsize=(width, height), dpi=110, facecolor="white")
    title = "What is alike? Two answers"
    figure.text(0.3 / width, 1 - 0.4 / height, title, size=14, color=INK)
    for side, pairs in enumerate(found.only):
        left = 0.3 + side * (column + 0.8)
        this, other = (_short(found.measures[number]) for number in (side, 1 - side))
        heading = f"Alike by {this}, not by {other}"
        where = (left / width, 1 - 0.95 / height)
        figure.text(*where, heading, size=10.5, color=INK, weight="bold", parse_math=False)
        if not pairs:
            figure.text(left / width, 1 - 1.3 / height, "no such pair", size=9.5, color=FAINT)
        for row, pair in enumerate(pairs):
            top = TOP + row * (TILE + BELOW)
            for number, sight in enumerate((pair.first, pair.second)):
                at = left + number * (TILE + GAP)
                box = (at / width, 1 - (top + TILE) / height, TILE / width, TILE / height)
                axes = figure.add_axes(box)
                axes.set_axis_off()
                axes.set_anchor("SW")
                pixels = pictures.get(sight.id)
                if pixels is None:
                    axes.set_facecolor(MISSING)
                    axes.text(0.5, 0.5, "cannot be shown", size=8, color=FAINT, ha="center")
                else:
                    axes.imshow(pixels)
                name = caption(sight.path, NAME).rpartition("\n")[2]
                below = 1 - (top + TILE + 0.15) / height
                figure.text(at / width, below, name, size=7.5, color=FAINT, parse_math=False)
            said = _said(found, pair)
            figure.text(
                left / width,
                1 - (top + TILE + 0.33) / height,
                said,
                size=7.5,
                color=INK,
                parse_math=False,
            )
    save_figure(figure, out)


def _said(found: Gap, pair: Disagreement) -> str:
    """How close, by both."""
    # Of 20,000 random pairs none may have been closer: that is not all of them.
    shares = (f"{min(s, 0.999):.1%}" if s > 0.9 else f"{s:.0%}" for s in pair.closer)
    (one, other), (first, second) = map(_short, found.measures), shares
    return f"closer than {first} of random pairs by {one}, {second} by {other}"


def _short(measure: str) -> str:
    """ "lookalike/network" → "network"."""
    return measure.rpartition("/")[2]
