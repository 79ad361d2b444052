"""The colour part of the vector: joint histograms of hue, saturation and value, in the same graph as
the network.

Joint HSV bins as in the `color` extractor. The differences were chosen by the mAP of colours alone on
corel1k / grocery (plain square-rooted 12x4x4 bins: .513 / .387):

* a pixel is shared between the two nearest bins of each axis, so that a slightly brighter copy keeps its
  histogram (.516 / .387);
* a second histogram gives more weight to the centre of the image, where the object is (.516 / .421);
* a power of 0.35 instead of the square root, and the mean over many images is subtracted (.546 / .449);
* the 384 bins are reduced to 128 principal components, partly whitened (.544 / .476);
* pixels are counted at a third of the image's side instead of half, for speed (.532 / .464).
"""

from tools.distill.pytorch import nn, torch

HUES, SATURATIONS, VALUES = 12, 4, 4
POWER = 0.35
# Colours are counted in an image smaller by this factor: 2 gives .542 / .473, for more than twice the work.
SHRINK = 3
# More whitening is worse alone (0.3: .532 / .464, 0.6: .503 / .468) but better beside the network.
WHITENING = 0.6
DIM = 128
# Standard deviation of the window over the centre, in half sides.
CENTRE_DEVIATION = 0.5
# Mean difference between the largest and the smallest of red, green and blue, as a share of 255.
COLORFUL = 0.02


class ColorHistograms(nn.Module):  # type: ignore[misc]
    """Maps (n, 3, side, side) RGB in 0 … 255 to (n, 384): both histograms, raised to the power. `side` is
    a multiple of 3."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.register_buffer("hues", (torch.arange(HUES) + 0.5).view(1, HUES, 1))
        self.register_buffer(
            "saturations", (torch.arange(SATURATIONS) + 0.5).view(1, SATURATIONS, 1, 1)
        )
        self.register_buffer("values", (torch.arange(VALUES) + 0.5).view(1, 1, VALUES, 1))
        self.register_buffer("window", centre_window(side // SHRINK).view(1, 1, -1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        pixels = nn.functional.avg_pool2d(image / 255, SHRINK).flatten(2)
        hue, saturation, value = hsv(pixels)
        distance = (hue.unsqueeze(1) * HUES - self.hues).abs()
        by_hue = nn.functional.relu(1 - torch.minimum(distance, HUES - distance))
        by_saturation = share_of_bins(saturation, SATURATIONS, self.saturations)
        by_value = share_of_bins(value, VALUES, self.values)
        rest = (by_saturation * by_value).flatten(1, 2).transpose(1, 2)
        whole = (by_hue @ rest).flatten(1) / pixels.shape[2]
        inner = ((by_hue * self.window) @ rest).flatten(1)
        return (torch.cat([whole, inner], 1) + 1e-7) ** POWER


def colorfulness(image: torch.Tensor) -> torch.Tensor:
    """Return the gate of the colour part, 0 … 1 for each image: 0 if all is grey, 1 from `COLORFUL` on.

    A grey copy is far from its original in colour; without the gate, 9 of 100 were found.
    """
    spread = (image.amax(1) - image.amin(1)).mean((1, 2)) / 255
    return (spread / COLORFUL).clamp(max=1)


def centre_window(side: int) -> torch.Tensor:
    """Return a round Gaussian window over the image, (side, side), that sums to 1."""
    position = torch.linspace(-1, 1, side)
    window = torch.exp(-(position[:, None] ** 2 + position**2) / (2 * CENTRE_DEVIATION**2))
    return window / window.sum()


def share_of_bins(level: torch.Tensor, bins: int, centers: torch.Tensor) -> torch.Tensor:
    """Return how much a level in 0 … 1 belongs to each bin: linear between centres, whole beyond the
    outermost."""
    position = (level * bins).clamp(0.5, bins - 0.5)
    return nn.functional.relu(1 - (position.unsqueeze(1).unsqueeze(1) - centers).abs())


def hsv(pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return hue, saturation and value in 0 … 1 of RGB (n, 3, pixels) in 0 … 1."""
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
