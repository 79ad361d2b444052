"""Figures of an evaluation with labels, of the self-test, and of thresholds over pairs."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from lookalike.evaluation.copy_retrieval import SelfTest
from lookalike.evaluation.evaluate import Evaluation
from lookalike.evaluation.metrics import LEVELS
from lookalike.evaluation.separation import Separation, Thresholds
from lookalike.evaluation.systems import System
from lookalike.viz.style import (
    DARK_GREEN,
    DPI,
    FAINT,
    INK,
    MISSING,
    blend,
    hide_spines,
    plain_log_ticks,
    short_name,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, FigureBase

# Distinguishable with colour vision deficiencies (Okabe and Ito, 2008), strongest first.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#1b1f24")

FIGURE_WIDTH = 11.0  # inches
MAX_PANEL_NAME = 24  # characters of a name above a small panel
MAX_SEPARATIONS = 9  # systems whose similarities are drawn
PALE_RED, PALE_GREY = (0.98, 0.86, 0.84), (0.95, 0.96, 0.94)

EDIT_NAMES = {
    "jpeg-30": "JPEG, quality 30",
    "half-size": "half the size",
    "crop-10": "cropped by 10 % at every edge",
    "turned-90": "rotated by 90°",
    "mirrored": "mirrored",
    "brighter": "brighter by 35 %",
    "blurred": "blurred",
    "text": "text over it",
    "border": "white frame",
    "grey": "grey",
    "tilted-5": "rotated by 5°",
    "png": "saved as PNG",
    "warmer": "warmer light",
}
"""The edits of the self-test, for people."""

Draw = Callable[["FigureBase"], None]


# ---- whole figures ----


def evaluation_panels(evaluation: Evaluation) -> list[tuple[str, float, Draw]]:
    """Return the panels of an evaluation: heading, height in inches, and a function that draws it."""
    systems = evaluation.systems
    panels: list[tuple[str, float, Draw]] = [
        ("Systems compared", max(3.4, 1.4 + 0.42 * len(systems)), partial(_draw_metrics, systems))
    ]
    if any(one.latency is not None for one in systems):
        panels.append(("Quality and latency", 3.8, partial(_draw_latencies, systems)))
    separated = [(at, one) for at, one in enumerate(systems) if one.separation is not None]
    separated = separated[:MAX_SEPARATIONS]
    if separated:
        height = 2.6 * ceil(len(separated) / 3)
        panels.append(("Similarities of pairs", height, partial(_draw_separations, separated)))
    return panels


def evaluation_figure(evaluation: Evaluation) -> Figure:
    """Draw all panels of an evaluation into one figure."""
    panels = evaluation_panels(evaluation)
    figure = new_figure(FIGURE_WIDTH, sum(height for _, height, _ in panels))
    rows = figure.subfigures(len(panels), 1, height_ratios=[height for _, height, _ in panels])
    for row, (_, _, draw) in zip(np.ravel(np.array(rows, object)), panels, strict=True):
        draw(row)
    return figure


def _draw_metrics(systems: Sequence[System], figure: FigureBase) -> None:
    left, right = figure.subplots(1, 2)
    metric_bars(left, systems, "AP", "mAP with its 95 % interval")
    precision_recall(right, systems)


def _draw_latencies(systems: Sequence[System], figure: FigureBase) -> None:
    deepest = max(int(name[2:]) for name in systems[0].intervals if name.startswith("R@"))
    for axes, metric in zip(
        figure.subplots(1, 2), (f"R@{deepest}", f"nDCG@{deepest}"), strict=True
    ):
        quality_by_latency(axes, systems, metric)


def _draw_separations(systems: Sequence[tuple[int, System]], figure: FigureBase) -> None:
    panels = figure.subplots(ceil(len(systems) / 3), 3, squeeze=False).ravel()
    for axes, (at, one) in zip(panels, systems, strict=False):
        assert one.separation is not None
        similarity_histograms(axes, one.separation, one.name, at)
    for axes in panels[len(systems) :]:
        axes.set_visible(False)


def self_test_figure(result: SelfTest) -> Figure:
    """Draw the share of originals found first as a table of coloured cells, one row per edit."""
    across, down = len(result.extractors), len(result.edits) + 1
    figure = new_figure(3.2 + 1.15 * across, 1.2 + 0.34 * down)
    axes = figure.subplots()
    for column, one in enumerate(result.extractors):
        for row, edit in enumerate([*result.edits, ""]):
            value = one.recall(edit, 1) if edit else one.overall(1)
            y = row + (0.25 if not edit else 0)
            axes.barh(y, 0.96, left=column + 0.02, height=0.9, color=_share_colour(value))
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
    positions = [*range(len(result.edits)), len(result.edits) + 0.25]
    names = [*(EDIT_NAMES.get(edit, edit) for edit in result.edits), "all"]
    axes.set_yticks(positions, names, size=9, color=INK)
    axes.xaxis.tick_top()
    heads = [short_name(one.extractor) for one in result.extractors]
    axes.set_xticks([at + 0.5 for at in range(across)], heads, size=9.5, color=INK)
    axes.tick_params(length=0)
    hide_spines(axes)
    # The title belongs to the figure: the cells may be narrower than the text.
    figure.suptitle(
        f"originals found first,\n{result.edited:,} edited images among {result.searched:,}",
        x=0.02,
        ha="left",
        size=9.5,
        color=FAINT,
    )
    return figure


def pairs_figure(thresholds: Mapping[str, Thresholds]) -> Figure:
    """Draw the thresholds over known pairs: all extractors, and the best one in detail."""
    ordered = dict(sorted(thresholds.items(), key=lambda item: -item[1].average_precision))
    name, best = next(iter(ordered.items()))
    figure = new_figure(FIGURE_WIDTH, 3.9)
    left, right = figure.subplots(1, 2)
    threshold_curves(left, ordered)
    threshold_choice(right, name, best)
    return figure


def as_svg(figure: Figure) -> str:
    """Return the figure as an SVG element for a page; equal figures give equal text."""
    import matplotlib

    file = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "lookalike", "svg.fonttype": "path"}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    return text[text.index("<svg") :]


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    figure.set_layout_engine("constrained", h_pad=0.1, w_pad=0.12)
    return figure


def _share_colour(share: float) -> tuple[float, float, float]:
    """Return a colour from pale red over pale grey to dark green."""
    if share < 0.5:
        return blend(PALE_RED, PALE_GREY, share * 2)
    return blend(PALE_GREY, DARK_GREEN, share * 2 - 1)


# ---- single panels, drawn on given axes ----


def system_colour(number: int) -> str:
    """Return the colour of a system by its position."""
    return PALETTE[number % len(PALETTE)]


def metric_bars(axes: Axes, systems: Sequence[System], metric: str, title: str) -> None:
    """Draw one metric of every system with its interval."""
    _prepare(axes, title)
    for at, one in enumerate(systems):
        found = one.intervals[metric]
        axes.barh(at, found.mean, height=0.62, color=system_colour(at))
        axes.plot([found.low, found.high], [at, at], color=INK, linewidth=1.2)
        axes.text(found.high + 0.012, at, f"{found.mean:.3f}", va="center", size=8.5, color=INK)
    names = [short_name(one.name) for one in systems]
    axes.set_yticks(range(len(systems)), names, size=9, color=INK)
    axes.set_ylim(len(systems) - 0.5, -0.5)
    axes.set_xlim(0, 1.1)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    axes.tick_params(axis="y", length=0)


def precision_recall(axes: Axes, systems: Sequence[System]) -> None:
    """Draw the mean precision–recall curve of every system."""
    _prepare(axes, "mean precision at every recall")
    for at, one in enumerate(systems):
        style = "--" if one.kind == "index" else "-"
        name = short_name(one.name)
        axes.plot(LEVELS, one.metrics.curve, style, color=system_colour(at), label=name, lw=1.8)
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    _label(axes, "recall", "precision")
    axes.legend(fontsize=8, frameon=False, labelcolor=INK)


def quality_by_latency(axes: Axes, systems: Sequence[System], metric: str) -> None:
    """Draw a metric against the time of a query, from the median to the 95th percentile."""
    _prepare(axes, f"{metric} and time of a query (dot: median, line: to p95)")
    for at, one in enumerate(systems):
        if one.latency is None:
            continue
        value = one.intervals[metric].mean
        times = [1e3 * one.latency.median, 1e3 * one.latency.p95]
        axes.plot(times, [value, value], color=system_colour(at), linewidth=1, alpha=0.6)
        marker = "s" if one.kind == "index" else "o"
        axes.plot(times[0], value, marker, color=system_colour(at), markersize=7)
        # Names alternate between above and below, because good systems lie close together.
        offset = (0, 9) if at % 2 == 0 else (0, -15)
        axes.annotate(
            short_name(one.name),
            (times[0], value),
            offset,
            textcoords="offset points",
            size=8,
            color=INK,
            ha="center",
        )
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.set_xlim(low / 1.6, high * 1.6)
    bottom, top = axes.get_ylim()
    margin = max(0.02, 0.18 * (top - bottom))
    axes.set_ylim(bottom - margin, top + margin)
    plain_log_ticks(axes.xaxis)
    _label(axes, "milliseconds", metric)


def similarity_histograms(axes: Axes, separation: Separation, name: str, number: int) -> None:
    """Draw histograms of the similarities of pairs that belong together, and of other pairs."""
    brief = short_name(name)
    brief = brief if len(brief) <= MAX_PANEL_NAME else brief[: MAX_PANEL_NAME - 1] + "…"
    _prepare(axes, f"{brief}: AUC {separation.auc:.3f}")
    low = float(min(separation.same.min(), separation.other.min()))
    high = float(max(separation.same.max(), separation.other.max()))
    edges = np.linspace(low, high if high > low else low + 1, 41)
    for values, colour, label in (
        (separation.other, MISSING, "others"),
        (separation.same, system_colour(number), "same label"),
    ):
        heights, _ = np.histogram(values, edges)
        axes.stairs(
            heights / max(1, len(values)), edges, fill=True, color=colour, alpha=0.75, label=label
        )
    axes.set_yticks([])
    axes.set_xlim(edges[0], edges[-1])
    axes.legend(fontsize=7.5, frameon=False, labelcolor=INK)
    _label(axes, "similarity", "share of pairs")


def threshold_curves(axes: Axes, thresholds: Mapping[str, Thresholds]) -> None:
    """Draw precision against recall over all thresholds, with a dot at the best one."""
    _prepare(axes, "pairs: precision and recall at every threshold")
    for at, (name, one) in enumerate(thresholds.items()):
        axes.step(
            [0, *one.recall],
            [one.precision[0], *one.precision],
            where="pre",
            color=system_colour(at),
            lw=1.8,
            label=f"{short_name(name)} (best {one.threshold:.3f})",
        )
        best = one.recall[one.best], one.precision[one.best]
        axes.plot(*best, "o", color=system_colour(at), ms=7)
    axes.set(xlim=(0, 1.01), ylim=(0, 1.03))
    _label(axes, "recall", "precision")
    axes.legend(fontsize=8, frameon=False, labelcolor=INK, loc="lower left")


def threshold_choice(axes: Axes, name: str, one: Thresholds) -> None:
    """Draw precision, recall and F1 of one extractor against the threshold."""
    _prepare(axes, f"{short_name(name)}: metrics by threshold")
    total = one.precision + one.recall
    f1 = 2 * one.precision * one.recall / np.where(total > 0, total, 1)
    for values, colour, label in (
        (one.precision, PALETTE[0], "precision"),
        (one.recall, PALETTE[1], "recall"),
        (f1, INK, "F1"),
    ):
        axes.plot(one.similarities, values, color=colour, lw=1.8, label=label)
    axes.axvline(one.threshold, color=FAINT, lw=1, ls=":")
    axes.set_ylim(0, 1.03)
    _label(axes, "threshold (similarity)", "")
    axes.legend(fontsize=8, frameon=False, labelcolor=INK, loc="lower left")


def _prepare(axes: Axes, title: str) -> None:
    axes.set_title(title, size=9.5, color=INK, loc="left", pad=8)
    hide_spines(axes, ("top", "right"))
    for side in ("left", "bottom"):
        axes.spines[side].set_color(MISSING)
    axes.tick_params(colors=FAINT, labelsize=8)


def _label(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x, size=8.5, color=FAINT)
    axes.set_ylabel(y, size=8.5, color=FAINT)
