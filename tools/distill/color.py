"""The colour part of the vector: joint histograms of hue, saturation and value, inside the same
graph as the network.

Joint HSV bins follow the project's colour extractor. Where we differ, chosen by the mAP of colours
alone on corel1k / grocery (plain square-rooted 12x4x4 bins: .513 / .387):

* a pixel is shared between the two nearest bins of each axis (.516 / .387; a little brighter copy
  keeps its histogram);
* a second histogram in which the middle of the picture counts most, for there the thing lies (.516
  / .421);
* a power of 0.35 instead of the square root, then the mean of many pictures taken away (.546 /
  .449);
* of these 384 numbers the 128 principal axes, partly evened out (.544 / .476);
* all of it counted on a third of the picture's side instead of half, for speed (.532 / .464).
"""

from tools.distill.pytorch import nn, torch

HUES, SATURATIONS, VALUES = 12, 4, 4
POWER = 0.35
# Colours are counted on a picture smaller by this factor: 2 gives .542 / .473, but more than twice
# the work.
SHRINK = 3
# Evener axes are worse alone (0.3: .532 / .464, 0.6: .503 / .468) but better beside the network.
EVENNESS = 0.6
DIM = 128
# Standard deviation of the window over the middle, in half sides.
MIDDLE = 0.5
# Mean difference between the largest and the smallest of red, green and blue, as a share of 255.
COLORFUL = 0.02


class ColorNumbers(nn.Module):  # type: ignore[misc]
    """`(n, 3, side, side)` RGB in 0 … 255 to `(n, 384)`: both histograms, evened by the power;
    `side` is a multiple of 3.
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        self.register_buffer("hues", (torch.arange(HUES) + 0.5).view(1, HUES, 1))
        self.register_buffer(
            "saturations", (torch.arange(SATURATIONS) + 0.5).view(1, SATURATIONS, 1, 1)
        )
        self.register_buffer("values", (torch.arange(VALUES) + 0.5).view(1, 1, VALUES, 1))
        self.register_buffer("middle", middle(side // SHRINK).view(1, 1, -1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        pixels = nn.functional.avg_pool2d(image / 255, SHRINK).flatten(2)
        hue, saturation, value = hsv(pixels)
        away = (hue.unsqueeze(1) * HUES - self.hues).abs()
        by_hue = nn.functional.relu(1 - torch.minimum(away, HUES - away))
        by_saturation = between(saturation, SATURATIONS, self.saturations)
        by_value = between(value, VALUES, self.values)
        rest = (by_saturation * by_value).flatten(1, 2).transpose(1, 2)
        whole = (by_hue @ rest).flatten(1) / pixels.shape[2]
        inner = ((by_hue * self.middle) @ rest).flatten(1)
        return (torch.cat([whole, inner], 1) + 1e-7) ** POWER


def colorfulness(image: torch.Tensor) -> torch.Tensor:
    """How far colours count, 0 … 1 for each picture: 0 where all is grey, 1 from `COLORFUL` on.

    A grey copy lies far from its original in colour; without this, 9 of 100 were found again.
    """
    spread = (image.amax(1) - image.amin(1)).mean((1, 2)) / 255
    return (spread / COLORFUL).clamp(max=1)


def middle(side: int) -> torch.Tensor:
    """A round Gaussian window over the picture, `(side, side)`, summing to 1."""
    place = torch.linspace(-1, 1, side)
    window = torch.exp(-(place[:, None] ** 2 + place**2) / (2 * MIDDLE**2))
    return window / window.sum()


def between(level: torch.Tensor, bins: int, centers: torch.Tensor) -> torch.Tensor:
    """How much a level in 0 … 1 belongs to each bin: linear between centres, all of it beyond the
    outermost.
    """
    place = (level * bins).clamp(0.5, bins - 0.5)
    return nn.functional.relu(1 - (place.unsqueeze(1).unsqueeze(1) - centers).abs())


def hsv(pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Hue (share of the circle), saturation and value in 0 … 1 of `(n, 3, pixels)` RGB in 0 … 1."""
    red, green, blue = pixels.unbind(1)
    value, least = pixels.amax(1), pixels.amin(1)
    spread = value - least
    safe = spread.clamp(min=1e-6)
    sixth = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    hue = torch.where(sixth < 0, sixth + 6, sixth) / 6
    return hue, spread / value.clamp(min=1e-6), value
