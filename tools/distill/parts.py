"""Parts of the vector (network, colours): raw numbers of a picture, then their principal axes.

Axes come from unlabelled training pictures, like the teacher's; without them a few numbers that all
pictures share would decide every cosine.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tools.distill.projection import principal_axes
from tools.distill.pytorch import nn, torch

from lookalike.images.pixel_spec import Pixels


@dataclass(frozen=True)
class Axes:
    """What raw numbers are like on the whole: their mean, `(raw,)`, and axes, `(raw, dim)`."""

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]

    @classmethod
    def fit(cls, numbers: Any, pixels: Pixels, *, dim: int, evenness: float) -> "Axes":
        """From `(n, side, side, 3)` pictures: some thousands, of the kinds that will be searched."""
        with torch.no_grad():
            raw = [
                numbers(channels_first(pixels[at : at + 64])) for at in range(0, len(pixels), 64)
            ]
        return cls(*principal_axes(torch.cat(raw).numpy(), dim=dim, evenness=evenness))

    def save(self, path: Path) -> None:
        np.savez(path, mean=self.mean, axes=self.axes)

    @classmethod
    def open(cls, path: Path) -> "Axes":
        with np.load(path) as stored:
            return cls(stored["mean"], stored["axes"])


class Part(nn.Module):  # type: ignore[misc]
    """`(n, 3, side, side)` RGB in 0 … 255 to `(n, dim)` of length 1."""

    def __init__(self, numbers: Any, axes: Axes) -> None:
        super().__init__()
        self.numbers = numbers
        self.register_buffer("mean", torch.from_numpy(axes.mean))
        self.register_buffer("axes", torch.from_numpy(axes.axes))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return nn.functional.normalize((self.numbers(image) - self.mean) @ self.axes, dim=1)


class Gated(nn.Module):  # type: ignore[misc]
    """A part that fades where a picture has nothing to say to it: its length is `presence` of it."""

    def __init__(self, part: Any, presence: Any) -> None:
        super().__init__()
        self.part = part
        self.presence = presence
        self.axes = part.axes

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.part(image) * self.presence(image).unsqueeze(1)


class Unit(nn.Module):  # type: ignore[misc]
    """What another module answers, scaled to length 1: the network's vectors as raw numbers."""

    def __init__(self, inside: Any) -> None:
        super().__init__()
        self.inside = inside

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return nn.functional.normalize(self.inside(image), dim=1)


def channels_first(pixels: Pixels) -> torch.Tensor:
    """`(n, h, w, 3) uint8` as the float `(n, 3, h, w)` that networks read."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float()
