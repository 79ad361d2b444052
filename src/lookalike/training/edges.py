"""The edge part of the vector: how strong edges of each direction are in each cell of the picture.

Histograms of oriented gradients (Dalal and Triggs, CVPR 2005), made of what networks are made of,
so that they run inside the same graph. Where we differ: directions are fixed filters, and a pixel's
vote for one is its gradient times the eighth power of the cosine between them (no arctangent, and
soft like sharing between two bins; with the square instead, corel1k fell from .31 to .25 mAP); the
square root of the grey value is filtered; cells are divided by the strength of the 3x3 around them.
"""

import math

from lookalike.training.pytorch import nn, torch

DIRECTIONS = 8
CELLS = 6
# Numbers of the part after its principal axes, and how evenly those count.
DIM = 64
EVENNESS = 0.3
# Strength, of at most about 1, below which a cell counts as empty rather than as faint edges.
FAINT = 0.02
LUMA = (0.299, 0.587, 0.114)


class EdgeNumbers(nn.Module):  # type: ignore[misc]
    """`(n, 3, side, side)` RGB in 0 … 255 to `(n, 288)`; `side` is a multiple of 12."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.cell = side // 2 // CELLS
        self.register_buffer("luma", torch.tensor(LUMA).view(1, 3, 1, 1))
        self.register_buffer("filters", oriented_filters())

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        small = nn.functional.avg_pool2d(image / 255, 2)
        grey = nn.functional.conv2d(small, self.luma).clamp(min=1e-4).sqrt()
        along = nn.functional.relu(nn.functional.conv2d(grey, self.filters))
        squares = along * along
        # The squared cosines of evenly spaced directions sum to a quarter of their number.
        strength = squares.sum(1, keepdim=True) * (4 / DIRECTIONS) + 1e-8
        cosines = squares / strength
        # Twice squared by multiplying: a general power took half of the whole file's time.
        cosines = cosines * cosines
        cosines = cosines * cosines
        # A rim of one pixel is lost to the filters; the frame of the picture is no edge.
        votes = nn.functional.pad(strength.sqrt() * cosines, (1, 1, 1, 1))
        cells = nn.functional.avg_pool2d(votes, self.cell)
        around = nn.functional.avg_pool2d((cells * cells).sum(1, keepdim=True), 3, 1, 1).sqrt()
        return ((cells / (around + FAINT) + 1e-6) ** 0.5).flatten(1)


def oriented_filters() -> torch.Tensor:
    """Central differences in evenly spaced directions: `(directions, 1, 3, 3)`."""
    angles = [2 * math.pi * i / DIRECTIONS for i in range(DIRECTIONS)]
    filters = torch.zeros(DIRECTIONS, 1, 3, 3)
    for number, angle in enumerate(angles):
        filters[number, 0, 1, 2], filters[number, 0, 1, 0] = math.cos(angle), -math.cos(angle)
        filters[number, 0, 2, 1], filters[number, 0, 0, 1] = math.sin(angle), -math.sin(angle)
    return filters
