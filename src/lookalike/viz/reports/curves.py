"""The curves of an evaluation, drawn on axes that are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lookalike.evaluation.metrics import LEVELS
from lookalike.evaluation.separation import Spread
from lookalike.evaluation.systems import System
from lookalike.evaluation.thresholds import Thresholds
from lookalike.viz.charts import short
from lookalike.viz.plots import FAINT, INK, MISSING, plain_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Told apart by people who see colours differently too (Okabe and Ito, 2008), strongest first.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#1b1f24")
NAME = 24  # characters of a name above a small panel


def colour(at: int) -> str:
    """Of the system at that place."""
    return COLOURS[at % len(COLOURS)]


def bars(axes: Axes, systems: Sequence[System], metric: str, title: str) -> None:
    """One metric of every system, with its interval."""
    _plain(axes, title)
    for at, one in enumerate(systems):
        found = one.intervals[metric]
        axes.barh(at, found.mean, height=0.62, color=colour(at))
        axes.plot([found.low, found.high], [at, at], color=INK, linewidth=1.2)
        axes.text(found.high + 0.012, at, f"{found.mean:.3f}", va="center", size=8.5, color=INK)
    axes.set_yticks(range(len(systems)), [short(one.name) for one in systems], size=9, color=INK)
    axes.set_ylim(len(systems) - 0.5, -0.5)
    axes.set_xlim(0, 1.1)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    axes.tick_params(axis="y", length=0)


def precision_recall(axes: Axes, systems: Sequence[System]) -> None:
    """The mean precision at every recall."""
    _plain(axes, "precision at every recall, mean over the questions")
    for at, one in enumerate(systems):
        style = "--" if one.kind == "index" else "-"
        axes.plot(LEVELS, one.judged.curve, style, color=colour(at), label=short(one.name), lw=1.8)
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    _labels(axes, "recall", "precision")
    axes.legend(fontsize=8, frameon=False, labelcolor=INK)


def against_latency(axes: Axes, systems: Sequence[System], metric: str) -> None:
    """Quality against the time of a question, median to 95th percentile; what takes least and finds most
    is at the top left."""
    _plain(axes, f"{metric} against the time of a question (dot: median, line: to p95)")
    for at, one in enumerate(systems):
        if one.latency is None:
            continue
        value = one.intervals[metric].mean
        times = [1e3 * one.latency.median, 1e3 * one.latency.p95]
        axes.plot(times, [value, value], color=colour(at), linewidth=1, alpha=0.6)
        marker = "s" if one.kind == "index" else "o"
        axes.plot(times[0], value, marker, color=colour(at), markersize=7)
        # Names stand above and below in turn, because good systems lie close together.
        place = (0, 9) if at % 2 == 0 else (0, -15)
        axes.annotate(
            short(one.name),
            (times[0], value),
            place,
            textcoords="offset points",
            size=8,
            color=INK,
            ha="center",
        )
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.set_xlim(low / 1.6, high * 1.6)
    bottom, top = axes.get_ylim()
    room = max(0.02, 0.18 * (top - bottom))
    axes.set_ylim(bottom - room, top + room)
    plain_log(axes.xaxis)
    _labels(axes, "milliseconds", metric)


def similarities(axes: Axes, spread: Spread, name: str, at: int) -> None:
    """Similarities of pairs that belong together, and of others."""
    brief = short(name) if len(short(name)) <= NAME else short(name)[: NAME - 1] + "…"
    _plain(axes, f"{brief}: AUC {spread.above:.3f}")
    low = float(min(spread.same.min(), spread.other.min()))
    high = float(max(spread.same.max(), spread.other.max()))
    edges = np.linspace(low, high if high > low else low + 1, 41)
    for values, shade, label in (
        (spread.other, MISSING, "others"),
        (spread.same, colour(at), "same label"),
    ):
        heights, _ = np.histogram(values, edges)
        axes.stairs(
            heights / max(1, len(values)), edges, fill=True, color=shade, alpha=0.75, label=label
        )
    axes.set_yticks([])
    axes.set_xlim(edges[0], edges[-1])
    axes.legend(fontsize=7.5, frameon=False, labelcolor=INK)
    _labels(axes, "similarity", "share of pairs")


def threshold_curves(axes: Axes, found: Mapping[str, Thresholds]) -> None:
    """Precision against recall over all thresholds; a dot at the best one."""
    _plain(axes, "pairs: precision and recall of every threshold")
    for at, (name, one) in enumerate(found.items()):
        axes.step(
            [0, *one.recall],
            [one.precision[0], *one.precision],
            where="pre",
            color=colour(at),
            lw=1.8,
            label=f"{short(name)} (best {one.threshold:.3f})",
        )
        axes.plot(one.recall[one.best], one.precision[one.best], "o", color=colour(at), ms=7)
    axes.set(xlim=(0, 1.01), ylim=(0, 1.03))
    _labels(axes, "recall", "precision")
    axes.legend(fontsize=8, frameon=False, labelcolor=INK, loc="lower left")


def threshold_choice(axes: Axes, name: str, one: Thresholds) -> None:
    """What each threshold gives, for one extractor."""
    _plain(axes, f"{short(name)}: what each threshold gives")
    total = one.precision + one.recall
    f1 = 2 * one.precision * one.recall / np.where(total > 0, total, 1)
    for values, shade, label in (
        (one.precision, COLOURS[0], "precision"),
        (one.recall, COLOURS[1], "recall"),
        (f1, INK, "F1"),
    ):
        axes.plot(one.similarities, values, color=shade, lw=1.8, label=label)
    axes.axvline(one.threshold, color=FAINT, lw=1, ls=":")
    axes.set_ylim(0, 1.03)
    _labels(axes, "threshold (similarity)", "")
    axes.legend(fontsize=8, frameon=False, labelcolor=INK, loc="lower left")


def _plain(axes: Axes, title: str) -> None:
    axes.set_title(title, size=9.5, color=INK, loc="left", pad=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(MISSING)
    axes.tick_params(colors=FAINT, labelsize=8)


def _labels(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x, size=8.5, color=FAINT)
    axes.set_ylabel(y, size=8.5, color=FAINT)
