"""The schedule of a training run: image sizes and learning rates over the share of its time spent."""

from dataclasses import dataclass, field

import numpy as np


def _default_weights() -> dict[str, float]:
    """Return the weights of the losses, chosen so that each moves a vector about equally."""
    return {
        "vector": 4.0,
        "similarity": 0.5,
        "label": 0.5,
        "label_proxy": 0.1,
        "instance_proxy": 0.1,
    }


@dataclass(frozen=True)
class Schedule:
    """The hyperparameters of a run.

    hours         length of the run
    batch         images per step
    rate          highest learning rate
    decay         weight decay of matrices
    weights       of the losses, by name (see `losses.losses`)
    temperature   of the softmaxes over cosines
    average       decay of the running average of the weights
    threads       worker threads
    bfloat16      convolutions in bfloat16: on CPUs with AMX they take 0.6 of the time; weights, sums and
                  losses stay float32
    sizes         (until which share of the time, pixels per side). Twice as many small images are seen
                  per second; below 64 pixels little is gained, because the last stages are a pixel or two
                  wide
    """

    hours: float
    batch: int = 128
    rate: float = 2.5e-3
    decay: float = 0.03
    weights: dict[str, float] = field(default_factory=_default_weights)
    temperature: float = 0.1
    average: float = 0.998
    threads: int = 2
    bfloat16: bool = False
    sizes: tuple[tuple[float, int], ...] = ((0.8, 64), (1.0, 96))


def learning_rate(spent: float, schedule: Schedule) -> float:
    """Return the learning rate at a share `spent` of the time: a linear warm-up over the first 5 %, then
    a cosine decay to zero."""
    if spent < 0.05:
        return schedule.rate * (0.04 + 0.96 * spent / 0.05)
    decayed = 0.5 * (1 + float(np.cos(np.pi * min(1.0, (spent - 0.05) / 0.95))))
    return schedule.rate * decayed + 1e-6


def side(spent: float, schedule: Schedule) -> int:
    """Return the side of the images in pixels at this share of the time."""
    return next(
        (pixels for until, pixels in schedule.sizes if spent < until), schedule.sizes[-1][1]
    )
