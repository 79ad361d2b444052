"""Images are resized to exactly the pixels that an extractor asks for."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from tests.images.image_builders import motif

from lookalike.images.pixel_spec import Pixels, PixelSpec, Resample
from lookalike.images.resize import crop_box, decode_scale, fit, grey

NOISE = np.random.default_rng(1).integers(0, 256, (90, 130, 3), dtype=np.uint8)


def max_difference(a: Pixels, b: Pixels) -> int:
    """Return the largest absolute difference."""
    assert a.shape == b.shape
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def test_grey_is_pillows_luma() -> None:
    assert max_difference(grey(NOISE), np.asarray(Image.fromarray(NOISE).convert("L"))) <= 1
    assert fit(NOISE, PixelSpec(mode="grey")).shape == (90, 130)


def test_any_returns_its_input() -> None:
    assert fit(NOISE, PixelSpec(fit="any", min_side=10)) is NOISE
    assert fit(NOISE[::2, ::2], PixelSpec(fit="any")).flags.c_contiguous


def test_stretch_gives_exactly_the_size() -> None:
    for mode, shape in (("rgb", (20, 30, 3)), ("grey", (20, 30))):
        pixels = fit(NOISE, PixelSpec(mode=mode, fit="stretch", height=20, width=30))  # type: ignore[arg-type]
        assert pixels.shape == shape
        assert pixels.dtype == np.uint8
        assert pixels.flags.c_contiguous


def test_area_averages_blocks() -> None:
    means = NOISE[:90, :130].reshape(9, 10, 13, 10, 3).mean(axis=(1, 3))
    pixels = fit(NOISE, PixelSpec(fit="stretch", height=9, width=13))
    assert np.abs(pixels - means).max() <= 0.51


def test_area_averages_the_side_that_shrinks_while_the_other_grows() -> None:
    stripes = np.zeros((10, 100, 3), np.uint8)
    stripes[:, ::2] = 200  # any filter that skips columns sees 0 or 200 instead of 100
    pixels = fit(stripes, PixelSpec(fit="stretch", height=20, width=10))
    assert pixels.shape == (20, 10, 3)
    assert np.abs(pixels.astype(int) - 100).max() <= 1


@pytest.mark.parametrize("name", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_the_other_filters_are_pillows(name: Resample) -> None:
    pixels = fit(NOISE, PixelSpec(fit="stretch", height=40, width=50, resample=name))
    expected = Image.fromarray(NOISE).resize((50, 40), Image.Resampling[name.upper()])
    assert np.array_equal(pixels, np.asarray(expected))


def test_inside_keeps_the_shape_and_never_enlarges() -> None:
    assert fit(NOISE, PixelSpec(fit="inside", max_side=65)).shape == (45, 65, 3)
    assert fit(NOISE.transpose(1, 0, 2), PixelSpec(fit="inside", max_side=65)).shape == (65, 45, 3)
    assert fit(NOISE, PixelSpec(fit="inside", max_side=1000)).shape == (90, 130, 3)
    assert fit(NOISE[:1], PixelSpec(fit="inside", max_side=10)).shape == (1, 10, 3)


@pytest.mark.parametrize("size", [(90, 130), (130, 90), (77, 211), (224, 224), (50, 50)])
@pytest.mark.parametrize("name", ["bilinear", "bicubic"])
def test_cover_is_resize_and_centre_crop(size: tuple[int, int], name: Resample) -> None:
    """Compared with the two steps one after the other, as networks were trained."""
    height, width = size
    pixels = np.random.default_rng(2).integers(0, 256, (height, width, 3), dtype=np.uint8)
    spec = PixelSpec(fit="cover", shortest_edge=64, height=56, width=56, resample=name)
    new = (64, int(64 * width / height)) if height < width else (int(64 * height / width), 64)
    whole = np.asarray(
        Image.fromarray(pixels).resize((new[1], new[0]), Image.Resampling[name.upper()])
    )
    top, left = round((new[0] - 56) / 2), round((new[1] - 56) / 2)
    made, expected = fit(pixels, spec), whole[top : top + 56, left : left + 56]
    assert max_difference(made, expected) <= 1
    assert (made != expected).mean() < 0.003


def test_cover_by_area_crops_the_centre() -> None:
    image = motif(300, 100)
    spec = PixelSpec(fit="cover", shortest_edge=50, height=40, width=40)
    halved = image.reshape(50, 2, 150, 2, 3).mean(axis=(1, 3))
    assert np.abs(fit(image, spec) - halved[5:45, 55:95]).max() <= 0.51


def test_cover_of_more_than_the_shortest_edge_is_enlarged_to_cover() -> None:
    assert fit(NOISE, PixelSpec(fit="cover", shortest_edge=10, height=40, width=60)).shape == (
        40,
        60,
        3,
    )


@pytest.mark.parametrize("fit_name", ["stretch", "cover", "inside"])
def test_a_spec_without_a_size_is_refused(fit_name: str) -> None:
    with pytest.raises(ValueError, match="needs"):
        fit(NOISE, PixelSpec(fit=fit_name))  # type: ignore[arg-type]


def test_the_decode_scale_serves_the_most_demanding_spec() -> None:
    assert decode_scale(1000, 500, [PixelSpec(min_side=100)]) == pytest.approx(0.2)
    assert decode_scale(
        1000, 500, [PixelSpec(fit="stretch", height=50, width=200)]
    ) == pytest.approx(0.2)
    assert decode_scale(1000, 500, [PixelSpec(fit="inside", max_side=100)]) == pytest.approx(0.1)
    both = [
        PixelSpec(min_side=100),
        PixelSpec(fit="cover", shortest_edge=250, height=224, width=224),
    ]
    assert decode_scale(1000, 500, both) == pytest.approx(0.5)
    assert decode_scale(100, 50, [PixelSpec(min_side=100)]) == 1.0
    assert decode_scale(1000, 500, [PixelSpec()]) == 1.0
    assert decode_scale(1000, 500, []) == 1.0


def test_the_crop_to_3_to_1_is_centred() -> None:
    assert crop_box(100, 100) == (0, 0, 100, 100)
    assert crop_box(301, 100) == (0, 0, 300, 100)
    assert crop_box(500, 100) == (100, 0, 300, 100)
    assert crop_box(100, 500) == (0, 100, 100, 300)
