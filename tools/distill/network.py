"""The student: a small convolutional network that is fast on one CPU core, both to train and to
run.

Blocks mix space with a full 3x3 convolution over a quarter of the channels and mix channels with
1x1 convolutions (the partial convolution of Chen et al., "Run, Don't Walk", CVPR 2023). On a CPU
they beat depthwise convolutions, which are bound by memory: at equal cost in multiplications they
trained twice as fast and ran a tenth faster (measured). Our difference from the paper: two 3x3
convolutions as the stem instead of one 4x4 patch, one short stage of many channels, and a pooled
head that is the vector itself.
"""

from dataclasses import asdict, dataclass
from typing import Any

from tools.distill.pytorch import nn, torch

# ImageNet's usual mean and spread in 0 … 255; they live inside the network, so nobody can pair it
# with others.
MEAN = (123.7, 116.3, 103.5)
SPREAD = (58.4, 57.1, 57.4)
# The finished network's vectors are centred and turned to their axes, but not evened out: 0.25 won
# nothing (see projection.principal_axes).
EVENNESS = 0.0


@dataclass(frozen=True)
class Shape:
    """How wide and deep the student is. Stages halve the picture; the first works at a quarter of
    its side.
    """

    widths: tuple[int, ...] = (32, 64, 160, 320)
    depths: tuple[int, ...] = (1, 2, 5, 1)
    head: int = 768
    dim: int = 256

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def convolution(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, active: bool = True
) -> nn.Sequential:
    """Convolution, batch norm, and ReLU unless told otherwise."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if active else []))


class Block(nn.Module):  # type: ignore[misc]
    """Residual: 3x3 over the first quarter of the channels, then two 1x1 convolutions through twice
    the width.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mixed = width // 4
        self.rest = width - self.mixed
        self.space = nn.Conv2d(self.mixed, self.mixed, 3, 1, 1, bias=False)
        self.channels = nn.Sequential(
            convolution(width, 2 * width, 1), nn.Conv2d(2 * width, width, 1, bias=False)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed, rest = torch.split(x, [self.mixed, self.rest], 1)
        return x + self.channels(torch.cat([self.space(mixed), rest], 1))


class Student(nn.Module):  # type: ignore[misc]
    """`(n, 3, side, side)` RGB in 0 … 255 to `(n, dim)` vectors, not yet of unit length; `pooled`
    is what labels see.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        first = shape.widths[0]
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("spread", torch.tensor(SPREAD).view(1, 3, 1, 1))
        layers: list[nn.Module] = [
            convolution(3, first // 2, 3, stride=2),
            convolution(first // 2, first, 3, stride=2),
        ]
        previous = first
        for width, depth in zip(shape.widths, shape.depths, strict=True):
            if width != previous:
                layers.append(convolution(previous, width, 2, stride=2, active=False))
            layers.extend(Block(width) for _ in range(depth))
            previous = width
        layers.append(convolution(previous, shape.head, 1))
        self.layers = nn.Sequential(*layers)
        self.vector = nn.Linear(shape.head, shape.dim)

    def pooled(self, pixels: torch.Tensor) -> torch.Tensor:
        x: torch.Tensor = self.layers((pixels - self.mean) / self.spread)
        return x.mean((2, 3))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = self.vector(self.pooled(pixels))
        return vectors
