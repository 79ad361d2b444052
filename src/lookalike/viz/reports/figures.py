"""Whole figures: of an evaluation with labels, of the self test, of thresholds over pairs."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from lookalike.evaluation.copy_retrieval import SelfTest
from lookalike.evaluation.evaluate import Evaluation
from lookalike.evaluation.systems import System
from lookalike.evaluation.thresholds import Thresholds
from lookalike.viz.charts import short
from lookalike.viz.plots import DPI, FAINT, INK
from lookalike.viz.reports import curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure, FigureBase

WIDE = 11.0  # inches
MOST = 9  # systems of which similarities are drawn

EDITS = {
    "jpeg-30": "JPEG, quality 30",
    "half-size": "half the size",
    "crop-10": "cropped by 10 % at every edge",
    "turned-90": "turned by 90°",
    "mirrored": "mirrored",
    "brighter": "brighter by 35 %",
    "blurred": "blurred",
    "text": "text over it",
    "border": "white frame",
    "grey": "grey",
    "tilted-5": "turned by 5°",
    "png": "saved as PNG",
    "warmer": "warmer light",
}
"""The edits of the self test, for people."""


Part = Callable[["FigureBase"], None]


def parts(found: Evaluation) -> list[tuple[str, float, Part]]:
    """What there is to see: a heading, the height in inches, and what draws it."""
    systems = found.systems
    drawn: list[tuple[str, float, Part]] = [
        ("Systems compared", max(3.4, 1.4 + 0.42 * len(systems)), partial(_compared, systems))
    ]
    if any(one.latency is not None for one in systems):
        drawn.append(("Quality against time", 3.8, partial(_latency, systems)))
    shown = [(at, one) for at, one in enumerate(systems) if one.spread is not None][:MOST]
    if shown:
        height = 2.6 * ceil(len(shown) / 3)
        drawn.append(("Similarities of pairs", height, partial(_similarities, shown)))
    return drawn


def whole(found: Evaluation) -> Figure:
    """All of it in one figure, for a file."""
    drawn = parts(found)
    figure = figure_of(WIDE, sum(height for _, height, _ in drawn))
    rows = figure.subfigures(len(drawn), 1, height_ratios=[height for _, height, _ in drawn])
    for row, (_, _, draw) in zip(np.ravel(np.array(rows, object)), drawn, strict=True):
        draw(row)
    return figure


def _compared(systems: Sequence[System], figure: FigureBase) -> None:
    left, right = figure.subplots(1, 2)
    curves.bars(left, systems, "AP", "mAP, with its 95 % interval")
    curves.precision_recall(right, systems)


def _latency(systems: Sequence[System], figure: FigureBase) -> None:
    deepest = max(int(name[2:]) for name in systems[0].intervals if name.startswith("R@"))
    for axes, metric in zip(
        figure.subplots(1, 2), (f"R@{deepest}", f"nDCG@{deepest}"), strict=True
    ):
        curves.against_latency(axes, systems, metric)


def _similarities(shown: Sequence[tuple[int, System]], figure: FigureBase) -> None:
    panels = figure.subplots(ceil(len(shown) / 3), 3, squeeze=False).ravel()
    for axes, (at, one) in zip(panels, shown, strict=False):
        assert one.spread is not None
        curves.similarities(axes, one.spread, one.name, at)
    for axes in panels[len(shown) :]:
        axes.set_visible(False)


def self_test(found: SelfTest) -> Figure:
    """Edits down, extractors across: what is found first, as numbers on colours."""
    across, down = len(found.extractors), len(found.edits) + 1
    figure = figure_of(3.2 + 1.15 * across, 1.2 + 0.34 * down)
    axes = figure.subplots()
    for column, one in enumerate(found.extractors):
        for row, edit in enumerate([*found.edits, ""]):
            value = one.recall(edit, 1) if edit else one.overall(1)
            shade = _mixed(value)
            y = row + (0.25 if not edit else 0)
            axes.barh(y, 0.96, left=column + 0.02, height=0.9, color=shade)
            axes.text(
                column + 0.5,
                y,
                f"{100 * value:.0f} %" if value in (0, 1) else f"{100 * value:.1f} %",
                ha="center",
                va="center",
                size=9,
                color="white" if value > 0.6 else INK,
                weight="normal" if edit else "bold",
            )
    axes.set(xlim=(0, across), ylim=(down - 0.2, -0.55))
    places = [*range(len(found.edits)), len(found.edits) + 0.25]
    names = [*(EDITS.get(edit, edit) for edit in found.edits), "all"]
    axes.set_yticks(places, names, size=9, color=INK)
    axes.xaxis.tick_top()
    heads = [short(one.extractor) for one in found.extractors]
    axes.set_xticks([at + 0.5 for at in range(across)], heads, size=9.5, color=INK)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    # Of the figure, not of its cells, which may be fewer than the words are wide.
    figure.suptitle(
        f"originals found first,\nof {found.edited:,} edited pictures among {found.searched:,}",
        x=0.02,
        ha="left",
        size=9.5,
        color=FAINT,
    )
    return figure


def pairs(found: Mapping[str, Thresholds]) -> Figure:
    """Thresholds over known pairs: all extractors, and the best of them closely."""
    ordered = dict(sorted(found.items(), key=lambda item: -item[1].average))
    name, best = next(iter(ordered.items()))
    figure = figure_of(WIDE, 3.9)
    left, right = figure.subplots(1, 2)
    curves.threshold_curves(left, ordered)
    curves.threshold_choice(right, name, best)
    return figure


def as_svg(figure: Figure) -> str:
    """The figure as an SVG element to stand in a page; the same figure gives the same text."""
    import matplotlib

    file = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "lookalike", "svg.fonttype": "path"}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    return text[text.index("<svg") :]


def figure_of(width: float, height: float) -> Figure:
    """An empty one, that size in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    figure.set_layout_engine("constrained", h_pad=0.1, w_pad=0.12)
    return figure


def _mixed(share: float) -> tuple[float, float, float]:
    """From a pale red by white to a dark green."""
    low, middle, high = np.array([[0.98, 0.86, 0.84], [0.95, 0.96, 0.94], [0.08, 0.50, 0.24]])
    start, end, part = (low, middle, share * 2) if share < 0.5 else (middle, high, share * 2 - 1)
    red, green, blue = start + (end - start) * part
    return float(red), float(green), float(blue)
