"""What a model's own preprocessor_config.json asks for: pixels as `PixelSpec`, numbers as `Scaling`.

The sizes go into `PixelSpec`, so that the worker processes cut the picture and only the pixels that
the network sees travel to it; mean and deviation are applied here, to whole batches.
Reference: the image processors of transformers (`image_processing_*.py`), whose defaults differ by
model where the file leaves something out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.images.pixel_spec import Pixels, PixelSpec, Resample

# PIL.Image.Resampling by number. Box is what OpenCV calls area.
_RESAMPLE: dict[int, Resample] = {
    0: "nearest",
    1: "lanczos",
    2: "bilinear",
    3: "bicubic",
    4: "area",
}
_BY_NAME: dict[str, Resample] = {name: name for name in _RESAMPLE.values()} | {"box": "area"}

_HALF = [0.5, 0.5, 0.5]
_IMAGENET_MEAN = [0.485, 0.456, 0.406]
_IMAGENET_STD = [0.229, 0.224, 0.225]


@dataclass(frozen=True, slots=True)
class Scaling:
    """Pixel × factor + offset, by channel, in the order in which the network wants the channels."""

    factor: tuple[float, float, float]
    offset: tuple[float, float, float]
    bgr: bool = False

    def batch(self, images: Sequence[Pixels], out: NDArray[np.float32]) -> NDArray[np.float32]:
        """Pictures (h, w, 3) uint8 → the first rows of `out`, (n, 3, h, w) float32.

        One pass for each channel: the planes are split first, because a multiplication that reads
        every third byte takes more than twice as long (0.35 against 0.15 ms for 224×224).
        """
        import cv2

        for row, image in enumerate(images):
            planes = cv2.split(image)
            for channel, plane in enumerate(planes[::-1] if self.bgr else planes):
                target = out[row, channel]
                np.multiply(plane, np.float32(self.factor[channel]), out=target)
                target += np.float32(self.offset[channel])
        return out[: len(images)]


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """Everything between a decoded picture and the network."""

    pixels: PixelSpec
    scaling: Scaling

    def without_margin(self) -> Preprocessing:
        """The same, but the shorter side is scaled to what the network sees, not beyond it.

        The files of classifiers enlarge the picture and cut an eighth off its sides, because the
        object of an ImageNet picture is in its middle. Of a 3:2 photograph that leaves half.
        Without the margin (MobileNetV2, 1,000 photographs of Corel-1k and 891 of groceries) P@1
        rises from .972 to .981 and from .810 to .815; mean average precision rises from .887 to
        .897 and, where products are in the middle of the frame, falls from .477 to .457.
        """
        needs = self.pixels
        if needs.fit != "cover":
            return self
        return replace(self, pixels=replace(needs, shortest_edge=max(needs.height, needs.width)))


LARGEST = 4096
"""Pixels of a side: networks take some hundreds."""


def read_preprocessing(processor: Mapping[str, Any], config: Mapping[str, Any]) -> Preprocessing:
    """From a model's preprocessor_config.json and config.json.

    Raises UsageError for what is not understood: a network fed with other pixels than it was
    trained on gives worse vectors and no error.
    """
    try:
        if not processor and "pretrained_cfg" in config:
            processor = _from_timm(config["pretrained_cfg"])
        kind = str(
            processor.get("image_processor_type") or processor.get("feature_extractor_type") or ""
        )
        needs = _convnext(processor) if kind.startswith("ConvNext") else _sizes(processor, kind)
        scaling = _scaling(processor, kind)
    except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
        raise UsageError(f"preprocessor_config.json cannot be understood ({error})") from None
    sizes = [needs.height, needs.width]
    if needs.fit == "cover":
        sizes.append(needs.shortest_edge)
    if not all(0 < size <= LARGEST for size in sizes):
        raise UsageError(
            f"preprocessor_config.json asks for pictures of {needs.width}×{needs.height} pixels: at most "
            f"{LARGEST}×{LARGEST} are made"
        )
    return Preprocessing(needs, scaling)


def _sizes(processor: Mapping[str, Any], kind: str) -> PixelSpec:
    resample = _resample(processor)
    size = processor.get("size")
    crop = _pair(processor.get("crop_size"))
    cropped = bool(processor.get("do_center_crop", crop is not None)) and crop is not None
    if not processor.get("do_resize", True) and not cropped:
        raise UsageError("preprocessor_config.json neither resizes nor crops: no size to prepare")
    edge = _edge(size, kind)
    if edge is None:
        exact = _pair(size)
        if exact is None:
            raise UsageError(f"preprocessor_config.json has a size that is not understood: {size}")
        if not cropped or crop is None or crop == exact:
            return PixelSpec(fit="stretch", height=exact[0], width=exact[1], resample=resample)
        raise UsageError(
            f"preprocessor_config.json stretches to {exact} and then crops to {crop}: not supported"
        )
    if not cropped or crop is None:
        # Pictures of different shapes cannot be in one batch, so the middle square is taken.
        crop = (edge, edge)
    if max(crop) > edge:
        raise UsageError(
            f"preprocessor_config.json crops {crop} out of a shorter side of {edge}: not supported"
        )
    return _cover(edge, crop, resample)


def _convnext(processor: Mapping[str, Any]) -> PixelSpec:
    """ResNet and ConvNeXT: below 384 the picture is enlarged by 1/crop_pct and cropped, from 384 on
    it is stretched (image_processing_convnext.py)."""
    size = processor.get("size", 384)
    edge = _edge(size, "ConvNext") or (_pair(size) or (384, 384))[0]
    resample = _resample(processor, default=2)
    if edge >= 384:
        return PixelSpec(fit="stretch", height=edge, width=edge, resample=resample)
    enlarged = int(edge / float(processor.get("crop_pct") or 224 / 256))
    return _cover(enlarged, (edge, edge), resample)


def _cover(edge: int, crop: tuple[int, int], resample: Resample) -> PixelSpec:
    return PixelSpec(
        fit="cover", shortest_edge=edge, height=crop[0], width=crop[1], resample=resample
    )


def _edge(size: Any, kind: str) -> int | None:
    """The shorter side that a size stands for, or None when it is height and width.

    A bare number is the shorter side for CLIP and the convolutional networks, and a square for the
    transformers (`default_to_square` of the processors).
    """
    if isinstance(size, Mapping):
        edge = size.get("shortest_edge")
        return int(edge) if edge else None
    square = kind.startswith(("ViT", "Siglip", "DeiT", "Beit", "Efficient", "Swin"))
    return int(size) if isinstance(size, int) and not square else None


def _pair(size: Any) -> tuple[int, int] | None:
    if isinstance(size, int):
        return size, size
    if isinstance(size, Mapping) and "height" in size and "width" in size:
        return int(size["height"]), int(size["width"])
    if isinstance(size, Mapping) and size.get("shortest_edge"):
        return int(size["shortest_edge"]), int(size["shortest_edge"])
    return None


def _resample(processor: Mapping[str, Any], default: int = 2) -> Resample:
    """Pillow's number of a filter, or its name."""
    named = processor.get("resample", default)
    found = _RESAMPLE.get(named) if isinstance(named, int) else _BY_NAME.get(str(named).lower())
    if found is None:
        raise UsageError(f"preprocessor_config.json asks for resampling {named!r}: not supported")
    return found


def _scaling(processor: Mapping[str, Any], kind: str) -> Scaling:
    rescales = bool(processor.get("do_rescale", True))
    factor = float(processor.get("rescale_factor", 1 / 255)) if rescales else 1.0
    shift = -1.0 if processor.get("rescale_offset") else 0.0
    mean, std = np.zeros(3), np.ones(3)
    if processor.get("do_normalize", True):
        mean = np.asarray(processor.get("image_mean") or _default_mean(kind), np.float64)
        std = np.asarray(processor.get("image_std") or _default_std(kind), np.float64)
    if mean.shape != (3,) or std.shape != (3,):
        raise UsageError("preprocessor_config.json is not for three channels: not supported")
    by = factor / std
    plus = (shift - mean) / std
    if processor.get("include_top") and kind.startswith("EfficientNet"):
        # Its processor divides by the deviation a second time (image_processing_efficientnet.py).
        by, plus = by / std, plus / std
    return Scaling(
        (float(by[0]), float(by[1]), float(by[2])),
        (float(plus[0]), float(plus[1]), float(plus[2])),
        bool(processor.get("do_flip_channel_order", False)),
    )


def _default_mean(kind: str) -> list[float]:
    return _HALF if kind.startswith(("ViT", "Siglip", "MobileNet")) else _IMAGENET_MEAN


def _default_std(kind: str) -> list[float]:
    return _HALF if kind.startswith(("ViT", "Siglip", "MobileNet")) else _IMAGENET_STD


def _from_timm(pretrained: Mapping[str, Any]) -> dict[str, Any]:
    """timm's description of a model in the words of a preprocessor_config.json.

    Reference: timm/data/transforms_factory.py: the shorter side is the input size over crop_pct.
    """
    height, width = (int(n) for n in pretrained["input_size"][1:])
    described: dict[str, Any] = {
        "image_mean": list(pretrained.get("mean", _IMAGENET_MEAN)),
        "image_std": list(pretrained.get("std", _IMAGENET_STD)),
        "resample": pretrained.get("interpolation", "bicubic"),
    }
    if pretrained.get("crop_mode") == "squash":
        return {**described, "size": {"height": height, "width": width}}
    edge = int(min(height, width) / float(pretrained.get("crop_pct", 0.875)))
    return {
        **described,
        "size": {"shortest_edge": edge},
        "do_center_crop": True,
        "crop_size": {"height": height, "width": width},
    }
