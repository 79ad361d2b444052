"""The parts of the vector (network, colours): raw features of an image, projected and normalised.

The projections are fitted to unlabelled training images. Without them, a few features that all images
share would dominate every cosine.
"""

from typing import Any

import numpy as np
from tools.distill.projection import Projection
from tools.distill.pytorch import nn, torch

from lookalike.images.pixel_spec import Pixels


def fit_projection(features: Any, pixels: Pixels, *, dim: int, whitening: float) -> Projection:
    """Fit a projection to the features of images (n, side, side, 3): some thousands, of the kinds that
    will be searched."""
    with torch.no_grad():
        raw = [features(channels_first(pixels[at : at + 64])) for at in range(0, len(pixels), 64)]
    return Projection.fit(torch.cat(raw).numpy(), dim=dim, whitening=whitening)


class Part(nn.Module):  # type: ignore[misc]
    """Maps (n, 3, side, side) RGB in 0 … 255 to (n, dim) of length 1."""

    def __init__(self, features: Any, projection: Projection) -> None:
        super().__init__()
        self.features = features
        self.register_buffer("mean", torch.from_numpy(projection.mean))
        self.register_buffer("axes", torch.from_numpy(projection.axes))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return nn.functional.normalize((self.features(image) - self.mean) @ self.axes, dim=1)


class Gated(nn.Module):  # type: ignore[misc]
    """A part that is scaled by `gate(image)`, from 0 to 1: small where the part says little."""

    def __init__(self, part: Any, gate: Any) -> None:
        super().__init__()
        self.part = part
        self.gate = gate
        self.axes = part.axes

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.part(image) * self.gate(image).unsqueeze(1)


class Unit(nn.Module):  # type: ignore[misc]
    """The output of another module, scaled to length 1."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return nn.functional.normalize(self.inner(image), dim=1)


def channels_first(pixels: Pixels) -> torch.Tensor:
    """Convert (n, h, w, 3) uint8 to the float (n, 3, h, w) that networks take."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float()
