"""Draw the curves of a training run of the built-in network: `python -m docs.draw_training RUN OUT.png`."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from lookalike.viz.style import ACCENT, FAINT, INK, MISSING, hide_spines, save_figure


def draw(curves: Sequence[Mapping[str, float]], out: Path | str, *, title: str) -> None:
    """Draw the losses of the built-in network against the training steps, one panel each.

    curves  lines of the training's `curves.jsonl`, in order
    out     the suffix selects the format

    A dashed line marks where the image size was increased.
    """
    other = ("step", "hours", "side", "images_per_second", "rate")
    losses = [name for name in curves[0] if name not in other]
    steps = [line["step"] for line in curves]
    size_changes = [
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
        for step in size_changes:
            axes.axvline(step, color=FAINT, linewidth=0.9, linestyle="--")
        hide_spines(axes)
    save_figure(figure, Path(out))


def main(run: Path, out: Path) -> None:
    lines = (run / "curves.jsonl").read_text(encoding="utf-8").splitlines()
    curves = [json.loads(line) for line in lines]
    hours, steps = curves[-1]["hours"], int(curves[-1]["step"])
    draw(curves, out, title=f"Training: {steps:,} steps in {hours:.2f} hours")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
