"""Measurements as charts."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lookalike.evaluation.extractor_benchmark import ExtractorFacts
from lookalike.evaluation.metrics import LEVELS
from lookalike.viz.plots import ACCENT, FAINT, INK, MISSING, plain_log, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lookalike.metric_learning.linear_metric import Learnt
    from lookalike.stores.ann_index import RecipeResult

ROW = 0.36  # inches that one extractor takes
LOWEST = 0.8  # recall from which an index is worth drawing
EDITS = {
    "tilted-5": "turned\n5°",
    "turned-90": "turned\n90°",
    "brighter": "brighter",
    "crop-10": "cropped\nto 80 %",
    "jpeg-30": "JPEG\n30",
    "mirrored": "mirrored",
}
"""How the edits are called above their column."""


def extractor_chart(facts: Sequence[ExtractorFacts], out: Path | str, *, title: str) -> None:
    """Draw extractors side by side: how well they rank (where labels are known), how fast they are,
    and what they take for the same picture. The suffix of `out` decides the format."""
    from matplotlib.figure import Figure

    judged = any(one.quality for one in facts)
    if judged:
        facts = sorted(facts, key=lambda one: one.quality.get("mAP", 0.0), reverse=True)
    ratios = [*([2.0] if judged else []), 2.0, 4.2]
    labels = max(len(short(one.name)) for one in facts)
    width, height = 2.2 + 0.075 * labels + 1.35 * sum(ratios), 1.5 + ROW * len(facts)
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
    if judged:
        ranked = [one.quality.get("mAP", np.nan) for one in facts]
        _bars(panels[0], "mAP\nthe others of its label come first", ranked, "{:.3f}", most=1.0)
    speeds = [one.extracting for one in facts]
    _speeds(panels[-2], "images a second of processor time\n(extraction alone, log scale)", speeds)
    _cells(panels[-1], facts)
    for axes in panels:
        axes.set_yticks([])
    panels[0].set_yticks(range(len(facts)), [short(one.name) for one in facts], size=9.5, color=INK)
    save(figure, Path(out))


def short(name: str) -> str:
    """The name without the folders of a model: "onnx:/a/b/resnet" → "onnx:resnet"."""
    family, colon, text = name.partition(":")
    return f"{family}{colon}{text.rpartition('/')[2]}"


def _bars(axes: Axes, heading: str, values: Sequence[float], form: str, *, most: float) -> None:
    _plain(axes, heading, len(values))
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
    _plain(axes, heading, len(values))
    low = 10 ** np.floor(np.log10(min(values)) - 0.3)
    axes.set_xscale("log")
    axes.set_xlim(low, max(values) * 12)
    axes.xaxis.set_visible(False)
    axes.barh(range(len(values)), values, height=0.62, color="#94a3b8", left=0)
    for at, value in enumerate(values):
        text = f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
        axes.text(value * 1.15, at, text, va="center", size=8.5, color=INK)


def _cells(axes: Axes, facts: Sequence[ExtractorFacts]) -> None:
    """Cosines as numbers on colours: pale where strangers are as much alike, dark at 1."""
    _plain(axes, "cosine to the picture before it was …", len(facts))
    columns = [*EDITS, "strangers"]
    for row, one in enumerate(facts):
        for at, edit in enumerate(columns):
            value = one.background if edit == "strangers" else one.invariance.get(edit, np.nan)
            if np.isnan(value):
                continue
            # What it has above two different pictures is what counts.
            above = (value - one.background) / max(1e-9, 1 - one.background)
            shade = float(np.clip(above, 0, 1)) if edit != "strangers" else 0.0
            colour = _mixed(shade) if edit != "strangers" else MISSING
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
    names = [*EDITS.values(), "two\nstrangers"]
    axes.xaxis.tick_top()
    axes.set_xticks([at + 0.5 for at in range(len(columns))], names, size=8, color=FAINT)
    axes.tick_params(length=0, pad=2)
    axes.set_title("cosine to the picture before it was …", size=8.5, color=FAINT, pad=5)


def _mixed(share: float) -> tuple[float, float, float]:
    """From white to a dark green."""
    start, end = np.array([0.96, 0.97, 0.96]), np.array([0.08, 0.50, 0.24])
    red, green, blue = start + (end - start) * share
    return float(red), float(green), float(blue)


def _plain(axes: Axes, heading: str, rows: int) -> None:
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_xticks([])
    axes.set_title(heading, size=8.5, color=FAINT, pad=5)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def learning_chart(learnt: Learnt, out: Path | str, *, title: str) -> None:
    """Draw precision against recall on held-out pictures, before and after training. The suffix of
    `out` decides the format."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.6), dpi=110, facecolor="white")
    axes = figure.subplots()
    figure.subplots_adjust(left=0.1, right=0.97, top=0.88, bottom=0.12)
    figure.text(0.1, 0.94, title, size=10.5, color=INK, va="center", parse_math=False)
    for judged, colour, name in (
        (learnt.before, FAINT, "before"),
        (learnt.after, ACCENT, "after"),
    ):
        label = f"{name}: mAP {judged.figures['mAP']:.3f}, P@5 {judged.figures['P@5']:.3f}"
        axes.plot(LEVELS, judged.curve, color=colour, linewidth=2, label=label)
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.set_xlabel("recall: share of a label's pictures that are found", size=9, color=INK)
    axes.set_ylabel("precision", size=9, color=INK)
    axes.tick_params(labelsize=8, colors=FAINT)
    axes.grid(color=MISSING, linewidth=0.8)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="lower left")
    save(figure, Path(out))


def training_chart(curves: Sequence[Mapping[str, float]], out: Path | str, *, title: str) -> None:
    """Draw how the built-in network learnt: each loss against the steps, a panel each, a dashed line
    where pictures became larger. The suffix of `out` decides the format.

    curves  lines of `curves.jsonl` that training wrote, in order
    """
    from matplotlib.figure import Figure

    known = ("step", "hours", "side", "images_per_second", "rate")
    losses = [name for name in curves[0] if name not in known]
    steps = [line["step"] for line in curves]
    grown = [
        after["step"]
        for before, after in itertools.pairwise(curves)
        if after["side"] > before["side"]
    ]
    figure = Figure(figsize=(2.4 * (len(losses) + 1), 2.9), dpi=110, facecolor="white")
    panels = figure.subplots(1, len(losses) + 1, squeeze=False)[0]
    figure.subplots_adjust(left=0.04, right=0.99, top=0.78, bottom=0.12, wspace=0.3)
    figure.text(0.04, 0.93, title, size=10.5, color=INK, va="center", parse_math=False)
    for axes, name in zip(panels, [*losses, "rate"], strict=True):
        values = [line.get(name, np.nan) for line in curves]
        axes.plot(steps, values, color=FAINT if name == "rate" else ACCENT, linewidth=1.6)
        axes.set_title("learning rate" if name == "rate" else f"{name} loss", size=9, color=INK)
        axes.tick_params(labelsize=7.5, colors=FAINT)
        axes.grid(color=MISSING, linewidth=0.8)
        for step in grown:
            axes.axvline(step, color=FAINT, linewidth=0.9, linestyle="--")
        for side in axes.spines.values():
            side.set_visible(False)
    save(figure, Path(out))


def recall_chart(compared: Sequence[RecipeResult], out: Path | str, *, title: str) -> None:
    """Draw what each index finds against what a query takes; further right and lower is better."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.8), dpi=110, facecolor="white", layout="constrained")
    axes = figure.subplots()
    curves = [one for one in compared if len(one.points) > 1]
    for number, one in enumerate(curves):
        points = [(recall, ms) for _, recall, ms in one.points if recall >= LOWEST]
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
            axes.text(LOWEST, ms, f" {one.recipe}", size=8, color=INK, va="bottom")
    axes.set_xlim(LOWEST, 1.002)
    axes.set_yscale("log")
    plain_log(axes.yaxis)
    axes.set_xlabel("recall@10", color=INK)
    axes.set_ylabel("milliseconds a query, one thread (log scale)", color=INK)
    axes.set_title(title, size=11, color=INK, loc="left", parse_math=False)
    axes.grid(alpha=0.25, which="both")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    save(figure, Path(out))
