"""Draw the curves of a training run of the built-in network: `python -m docs.draw_training RUN OUT.png`."""

from __future__ import annotations

import sys
from pathlib import Path

from tools.distill.pipeline import read_curves

from lookalike.viz.charts import training_chart


def main(run: Path, out: Path) -> None:
    curves = read_curves(run)
    hours, steps = curves[-1]["hours"], int(curves[-1]["step"])
    training_chart(curves, out, title=f"Training: {steps:,} steps in {hours:.2f} hours")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
