"""Charts of benchmarks and training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lookalike.evaluation.extractor_benchmark import ExtractorBenchmark
from lookalike.evaluation.metrics import LEVELS
from lookalike.viz.style import (
    ACCENT,
    DARK_GREEN,
    FAINT,
    INK,
    MISSING,
    PALE_GREEN,
    blend,
    hide_spines,
    plain_log_ticks,
    save_figure,
    short_name,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lookalike.metric_learning.linear_metric import LearntMetric
    from lookalike.stores.ann_index import RecipeResult

ROW_HEIGHT = 0.36  # inches per extractor
MIN_RECALL = 0.8  # recall below which an index is not drawn
EDIT_HEADS = {
    "tilted-5": "rotated\n5°",
    "turned-90": "rotated\n90°",
    "brighter": "brighter",
    "crop-10": "cropped\nto 80 %",
    "jpeg-30": "JPEG\n30",
    "mirrored": "mirrored",
}
"""Column heads of the edits."""

UNRELATED = "unrelated"


def extractor_chart(results: Sequence[ExtractorBenchmark], out: Path | str, *, title: str) -> None:
    """Draw extractors side by side: ranking quality (with labels), speed and invariance.

    The suffix of `out` selects the format.
    """
    from matplotlib.figure import Figure

    labelled = any(one.quality for one in results)
    if labelled:
        results = sorted(results, key=lambda one: one.quality.get("mAP", 0.0), reverse=True)
    ratios = [*([2.0] if labelled else []), 2.0, 4.2]
    labels = max(len(short_name(one.name)) for one in results)
    width, height = 2.2 + 0.075 * labels + 1.35 * sum(ratios), 1.5 + ROW_HEIGHT * len(results)
    figure = Figure(figsize=(width, height), dpi=110, facecolor="white")
    figure.text(0.02, 1 - 0.28 / height, title, size=11, color=INK, va="center", parse_math=False)
    panels = figure.subplots(1, len(ratios), width_ratios=ratios, squeeze=False)[0]
    figure.subplots_adjust(
        left=(0.3 + 0.085 * labels) / width,
        right=1 - 0.25 / width,
        top=1 - 1.12 / height,
        bottom=0.28 / height,
        wspace=0.1,
    )
    if labelled:
        values = [one.quality.get("mAP", np.nan) for one in results]
        _bars(panels[0], "mAP\nimages of the same label", values, "{:.3f}", most=1.0)
    speeds = [one.extraction_rate for one in results]
    _speeds(panels[-2], "images per second of processor time\n(extraction only, log scale)", speeds)
    _cells(panels[-1], results)
    for axes in panels:
        axes.set_yticks([])
    panels[0].set_yticks(
        range(len(results)), [short_name(one.name) for one in results], size=9.5, color=INK
    )
    save_figure(figure, Path(out))


def _bars(axes: Axes, heading: str, values: Sequence[float], form: str, *, most: float) -> None:
    _prepare(axes, heading, len(values))
    axes.barh(range(len(values)), [most] * len(values), height=0.62, color="#f3f4f6")
    axes.barh(range(len(values)), values, height=0.62, color=ACCENT)
    axes.set_xlim(0, most * 1.02)
    for at, value in enumerate(values):
        inside = value > 0.5 * most
        axes.text(
            value + most * (-0.02 if inside else 0.02),
            at,
            form.format(value),
            va="center",
            ha="right" if inside else "left",
            size=8.5,
            color="white" if inside else INK,
        )


def _speeds(axes: Axes, heading: str, values: Sequence[float]) -> None:
    _prepare(axes, heading, len(values))
    low = 10 ** np.floor(np.log10(min(values)) - 0.3)
    axes.set_xscale("log")
    axes.set_xlim(low, max(values) * 12)
    axes.xaxis.set_visible(False)
    axes.barh(range(len(values)), values, height=0.62, color="#94a3b8", left=0)
    for at, value in enumerate(values):
        text = f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
        axes.text(value * 1.15, at, text, va="center", size=8.5, color=INK)


def _cells(axes: Axes, results: Sequence[ExtractorBenchmark]) -> None:
    """Draw cosines on colours: pale at the mean of two unrelated images, dark at 1."""
    _prepare(axes, "cosine to the image before it was …", len(results))
    columns = [*EDIT_HEADS, UNRELATED]
    for row, one in enumerate(results):
        for at, edit in enumerate(columns):
            value = one.mean_cosine if edit == UNRELATED else one.invariance.get(edit, np.nan)
            if np.isnan(value):
                continue
            # The margin over two unrelated images is what counts.
            margin = (value - one.mean_cosine) / max(1e-9, 1 - one.mean_cosine)
            shade = float(np.clip(margin, 0, 1)) if edit != UNRELATED else 0.0
            colour = blend(PALE_GREEN, DARK_GREEN, shade) if edit != UNRELATED else MISSING
            axes.barh(row, 0.94, left=at + 0.03, height=0.84, color=colour)
            dark = shade > 0.6
            axes.text(
                at + 0.5,
                row,
                f"{round(value, 2) + 0.0:.2f}",
                ha="center",
                va="center",
                size=8.5,
                color="white" if dark else INK,
            )
    axes.set_xlim(0, len(columns))
    names = [*EDIT_HEADS.values(), "two\nunrelated"]
    axes.xaxis.tick_top()
    axes.set_xticks([at + 0.5 for at in range(len(columns))], names, size=8, color=FAINT)
    axes.tick_params(length=0, pad=2)
    axes.set_title("cosine to the image before it was …", size=8.5, color=FAINT, pad=5)


def _prepare(axes: Axes, heading: str, rows: int) -> None:
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_xticks([])
    axes.set_title(heading, size=8.5, color=FAINT, pad=5)
    axes.tick_params(length=0)
    hide_spines(axes)


def learning_chart(metric: LearntMetric, out: Path | str, *, title: str) -> None:
    """Draw precision against recall on held-out images, before and after training.

    The suffix of `out` selects the format.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.6), dpi=110, facecolor="white")
    axes = figure.subplots()
    figure.subplots_adjust(left=0.1, right=0.97, top=0.88, bottom=0.12)
    figure.text(0.1, 0.94, title, size=10.5, color=INK, va="center", parse_math=False)
    for judged, colour, name in (
        (metric.before, FAINT, "before"),
        (metric.after, ACCENT, "after"),
    ):
        label = f"{name}: mAP {judged.metrics['mAP']:.3f}, P@5 {judged.metrics['P@5']:.3f}"
        axes.plot(LEVELS, judged.curve, color=colour, linewidth=2, label=label)
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.set_xlabel("recall: share of a label's images that are found", size=9, color=INK)
    axes.set_ylabel("precision", size=9, color=INK)
    axes.tick_params(labelsize=8, colors=FAINT)
    axes.grid(color=MISSING, linewidth=0.8)
    hide_spines(axes)
    axes.legend(frameon=False, fontsize=9, loc="lower left")
    save_figure(figure, Path(out))


def recall_chart(compared: Sequence[RecipeResult], out: Path | str, *, title: str) -> None:
    """Draw the recall of each ANN index against the time of a query; further right and lower is better."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.8), dpi=110, facecolor="white", layout="constrained")
    axes = figure.subplots()
    curves = [one for one in compared if len(one.points) > 1]
    for number, one in enumerate(curves):
        points = [(recall, ms) for _, recall, ms in one.points if recall >= MIN_RECALL]
        axes.plot(
            [recall for recall, _ in points],
            [ms for _, ms in points],
            marker="o",
            markersize=3.5,
            linewidth=1.6,
            color=f"C{number}",
            label=one.recipe,
        )
    for one in compared:
        if len(one.points) == 1:
            [(_, _, ms)] = one.points
            axes.axhline(ms, color=FAINT, linewidth=1, linestyle="--")
            axes.text(MIN_RECALL, ms, f" {one.recipe}", size=8, color=INK, va="bottom")
    axes.set_xlim(MIN_RECALL, 1.002)
    axes.set_yscale("log")
    plain_log_ticks(axes.yaxis)
    axes.set_xlabel("recall@10", color=INK)
    axes.set_ylabel("milliseconds per query, one thread (log scale)", color=INK)
    axes.set_title(title, size=11, color=INK, loc="left", parse_math=False)
    axes.grid(alpha=0.25, which="both")
    hide_spines(axes, ("top", "right"))
    axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    save_figure(figure, Path(out))
