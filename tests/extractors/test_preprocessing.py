"""Tests of all dialects of preprocessor_config.json against the formulas of transformers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.extractors.preprocessing import Scaling, read_preprocessing
from lookalike.images.pixel_spec import PixelSpec

IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


def cover(edge: int, crop: int, resample: Any = "bicubic") -> PixelSpec:
    return PixelSpec(fit="cover", shortest_edge=edge, height=crop, width=crop, resample=resample)


def stretch(side: int, resample: Any = "bilinear") -> PixelSpec:
    return PixelSpec(fit="stretch", height=side, width=side, resample=resample)


# The files as the hub has them, shortened to what matters.
DIALECTS: dict[str, tuple[dict[str, Any], PixelSpec]] = {
    "dinov2": (
        {
            "image_processor_type": "BitImageProcessor",
            "size": {"shortest_edge": 256},
            "do_center_crop": True,
            "crop_size": {"height": 224, "width": 224},
            "resample": 3,
        },
        cover(256, 224),
    ),
    "resnet": (
        {
            "image_processor_type": "ConvNextImageProcessor",
            "crop_pct": 0.875,
            "size": {"shortest_edge": 224},
            "resample": 3,
        },
        cover(256, 224),
    ),
    "resnet, old": (
        {"feature_extractor_type": "ConvNextFeatureExtractor", "crop_pct": 0.875, "size": 224},
        cover(256, 224, "bilinear"),
    ),
    "convnext 384": (
        {"feature_extractor_type": "ConvNextFeatureExtractor", "size": 384, "resample": 3},
        stretch(384, "bicubic"),
    ),
    "clip": (
        {
            "image_processor_type": "CLIPImageProcessor",
            "size": {"shortest_edge": 224},
            "crop_size": {"height": 224, "width": 224},
            "do_center_crop": True,
            "resample": 3,
        },
        cover(224, 224),
    ),
    "clip, old": (
        {
            "feature_extractor_type": "CLIPFeatureExtractor",
            "size": 224,
            "crop_size": 224,
            "do_center_crop": True,
            "resample": 3,
        },
        cover(224, 224),
    ),
    "siglip": (
        {
            "image_processor_type": "SiglipImageProcessor",
            "size": {"height": 256, "width": 256},
            "resample": 2,
        },
        stretch(256),
    ),
    "vit, old": ({"feature_extractor_type": "ViTFeatureExtractor", "size": 224}, stretch(224)),
    "efficientnet": (
        {
            "image_processor_type": "EfficientNetImageProcessor",
            "size": {"height": 224, "width": 224},
            "crop_size": {"height": 289, "width": 289},
            "do_center_crop": False,
            "resample": 0,
        },
        stretch(224, "nearest"),
    ),
    "a shorter side without a crop": (
        {"size": {"shortest_edge": 224}},
        cover(224, 224, "bilinear"),
    ),
}


@pytest.mark.parametrize("name", DIALECTS)
def test_sizes_are_read_as_the_processor_of_that_name_reads_them(name: str) -> None:
    processor, expected = DIALECTS[name]
    assert read_preprocessing(processor, {}).pixels == expected


@pytest.mark.parametrize(
    ("crop_mode", "expected"), [("center", cover(235, 224)), ("squash", stretch(224, "bicubic"))]
)
def test_timms_own_description_is_understood(crop_mode: str, expected: PixelSpec) -> None:
    described = {
        "input_size": [3, 224, 224],
        "interpolation": "bicubic",
        "crop_pct": 0.95,
        "crop_mode": crop_mode,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.25, 0.25, 0.25],
    }
    found = read_preprocessing({}, {"pretrained_cfg": described})
    assert found.pixels == expected
    assert found.scaling.factor == pytest.approx((4 / 255,) * 3)
    assert found.scaling.offset == pytest.approx((-2.0,) * 3)


IMAGE = np.random.default_rng(5).integers(0, 256, (4, 6, 3), np.uint8)


def scaled(scaling: Scaling) -> Any:
    out = np.full((2, 3, 4, 6), np.nan, np.float32)
    return scaling.batch([IMAGE], out)[0]


def processed(**settings: Any) -> Any:
    return scaled(read_preprocessing({"size": {"height": 4, "width": 6}, **settings}, {}).scaling)


def test_mean_and_deviation_are_applied_by_channel() -> None:
    expected = (IMAGE / 255 - IMAGENET["image_mean"]) / IMAGENET["image_std"]
    found = processed(**IMAGENET)
    assert found.shape == (3, 4, 6)
    np.testing.assert_allclose(found, expected.transpose(2, 0, 1), atol=1e-5)


def test_only_rescaled_when_nothing_is_normalised() -> None:
    expected = (IMAGE / 255).transpose(2, 0, 1)
    np.testing.assert_allclose(processed(do_normalize=False), expected, atol=1e-6)


def test_channels_are_reversed_for_networks_trained_on_bgr() -> None:
    expected = (IMAGE[:, :, ::-1] / 255).transpose(2, 0, 1)
    found = processed(do_normalize=False, do_flip_channel_order=True)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_efficientnet_shifts_and_divides_by_the_deviation_twice() -> None:
    mean, std = np.array([0.1, 0.2, 0.3]), np.array([0.4, 0.5, 0.6])
    expected = ((IMAGE / 127.5 - 1 - mean) / std) / std
    found = processed(
        image_processor_type="EfficientNetImageProcessor",
        rescale_factor=1 / 127.5,
        rescale_offset=True,
        image_mean=list(mean),
        image_std=list(std),
        include_top=True,
    )
    np.testing.assert_allclose(found, expected.transpose(2, 0, 1), atol=1e-5)


@pytest.mark.parametrize(
    ("processor", "message"),
    [
        ({"size": {"longest_edge": 300}}, "size that is not understood"),
        ({"size": {"height": 224, "width": 224}, "resample": 5}, "resampling 5"),
        ({"size": {"shortest_edge": 224}, "crop_size": 256, "do_center_crop": True}, "crops"),
        ({"size": {"height": 9, "width": 9}, "image_mean": [0.5], "image_std": [1.0]}, "three"),
        ({"do_resize": False}, "neither resizes nor crops"),
    ],
)
def test_unknown_preprocessing_is_refused_rather_than_guessed(
    processor: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        read_preprocessing(processor, {})


@pytest.mark.parametrize(
    "processor",
    [
        {"size": {"height": 1 << 40, "width": 1 << 40}},
        {"size": {"height": 100_000, "width": 1}},
        {"size": {"height": -4, "width": 4}},
        {"size": {"shortest_edge": 5000}, "crop_size": 224},
        {"size": {"height": "many", "width": 4}},
        {"size": 224, "image_processor_type": "ConvNextImageProcessor", "crop_pct": "x"},
    ],
)
def test_absurd_sizes_and_values_are_refused_in_one_line(processor: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"preprocessor_config\.json (asks for|cannot be)"):
        read_preprocessing(processor, {})


def test_an_invalid_description_of_timm_is_refused() -> None:
    for described in (None, {}, {"input_size": [3, 8, 8], "crop_pct": 0}, {"input_size": 7}):
        with pytest.raises(UsageError, match="cannot be understood"):
            read_preprocessing({}, {"pretrained_cfg": described})


def test_the_recipe_in_revisions_does_not_depend_on_names_in_the_code() -> None:
    """A changed recipe would change the revision of every network, and stored vectors with it."""
    processor = {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": 224},
        "crop_size": 224,
        "resample": 3,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "rescale_factor": 0.25,
    }
    assert read_preprocessing(processor, {}).recipe() == (
        "Preprocessing(needs=Needs(mode='rgb', fit='cover', height=224, width=224, shortest_edge=224, "
        "max_side=0, min_side=0, resample='bicubic'), scaling=Scaling(factor=(0.5, 0.5, 0.5), "
        "offset=(-1.0, -1.0, -1.0), bgr=False))"
    )
