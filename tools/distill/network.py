"""The student: a small convolutional network that trains and runs fast on one CPU core.

Blocks mix positions with a full 3x3 convolution over a quarter of the channels, and channels with 1x1
convolutions (the partial convolution of Chen et al., "Run, Don't Walk", CVPR 2023). On a CPU they beat
depthwise convolutions, which are memory-bound: with as many multiplications they trained twice as fast
and ran a tenth faster (measured). Differences from the paper: two 3x3 convolutions as the stem instead of
one 4x4 patch, one short stage of many channels, and a pooled head that is the vector itself.
"""

from dataclasses import asdict, dataclass
from typing import Any

from tools.distill.pytorch import nn, torch

# ImageNet's usual mean and standard deviation in 0 … 255. They are part of the network, so that nobody can
# pair it with others.
MEAN = (123.7, 116.3, 103.5)
DEVIATION = (58.4, 57.1, 57.4)
# The network's vectors are centred and rotated to their principal axes but not whitened: 0.25 gained
# nothing (see `projection.WHITENING`).
WHITENING = 0.0


@dataclass(frozen=True)
class Architecture:
    """Width and depth of the student. Each stage halves the image; the first works at a quarter of its
    side.

    widths   channels of the stages
    depths   blocks of the stages
    head     channels before pooling
    dim      of the vector
    classes  of the head that learns the teacher's class probabilities; 0: there is none
    """

    widths: tuple[int, ...] = (32, 64, 160, 320)
    depths: tuple[int, ...] = (1, 2, 5, 1)
    head: int = 768
    dim: int = 256
    classes: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def convolution(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, relu: bool = True
) -> nn.Sequential:
    """Return a convolution with batch norm and, by default, ReLU."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if relu else []))


class Block(nn.Module):  # type: ignore[misc]
    """A residual block: 3x3 over the first quarter of the channels, then two 1x1 convolutions with
    twice the width between them."""

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
    """Maps (n, 3, side, side) RGB in 0 … 255 to (n, dim) vectors, not yet of unit length. `pooled` is
    what the label classifier reads."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        first = architecture.widths[0]
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(1, 3, 1, 1))
        layers: list[nn.Module] = [
            convolution(3, first // 2, 3, stride=2),
            convolution(first // 2, first, 3, stride=2),
        ]
        previous = first
        for width, depth in zip(architecture.widths, architecture.depths, strict=True):
            if width != previous:
                layers.append(convolution(previous, width, 2, stride=2, relu=False))
            layers.extend(Block(width) for _ in range(depth))
            previous = width
        layers.append(convolution(previous, architecture.head, 1))
        self.layers = nn.Sequential(*layers)
        self.vector = nn.Linear(architecture.head, architecture.dim)
        if architecture.classes:
            self.classes = nn.Linear(architecture.head, architecture.classes)

    def pooled(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the pooled features (n, head)."""
        x: torch.Tensor = self.layers((pixels - self.mean) / self.deviation)
        return x.mean((2, 3))

    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the class logits (n, classes)."""
        found: torch.Tensor = self.classes(self.pooled(pixels))
        return found

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = self.vector(self.pooled(pixels))
        return vectors
