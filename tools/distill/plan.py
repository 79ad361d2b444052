"""The plan of a run: sizes, rates and weights over the share of its time that is spent."""

from dataclasses import dataclass, field

import numpy as np


def _weights() -> dict[str, float]:
    """Of the losses: chosen so that each moves a picture's vector about as much as the others."""
    return {"vector": 4.0, "likeness": 0.5, "label": 0.5, "kind": 0.1, "thing": 0.1}


@dataclass(frozen=True)
class Plan:
    """What a run is: its length in hours and everything that follows from the share of it spent."""

    hours: float
    batch: int = 128
    rate: float = 2.5e-3
    decay: float = 0.03
    weights: dict[str, float] = field(default_factory=_weights)
    temperature: float = 0.1
    average: float = 0.998
    threads: int = 2
    # On CPUs with AMX, convolutions in bfloat16 take 0.6 of the time; weights, sums and losses stay
    # float32.
    bfloat16: bool = False
    # (until which share of the time, pixels a side). Small pictures teach twice as many a second as
    # large ones; below 64 little is gained, since the last stages are a pixel or two wide.
    sizes: tuple[tuple[float, int], ...] = ((0.8, 64), (1.0, 96))


def learning_rate(spent: float, plan: Plan) -> float:
    """One cycle over the share `spent` of the time: a rise over the first 5 %, then a cosine to
    nothing.
    """
    if spent < 0.05:
        return plan.rate * (0.04 + 0.96 * spent / 0.05)
    return plan.rate * 0.5 * (1 + float(np.cos(np.pi * min(1.0, (spent - 0.05) / 0.95)))) + 1e-6


def side(spent: float, plan: Plan) -> int:
    """The pictures' side in pixels at this share of the time."""
    return next((pixels for until, pixels in plan.sizes if spent < until), plan.sizes[-1][1])
