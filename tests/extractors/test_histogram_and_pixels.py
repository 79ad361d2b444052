"""Tests of `pixels` and `histogram` against the plain formulas on the full-size image."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from lookalike.extractors import load
from lookalike.images.decode import decode
from lookalike.images.resize import fit
from lookalike.vectors.similarity import cosine


def vector_of(name: str, data: bytes) -> NDArray[np.float32]:
    extractor = load(name)
    decoded = decode(data, specs=[extractor.pixels])
    (vector,) = extractor.extract([fit(decoded.pixels, extractor.pixels)])
    return np.asarray(vector, np.float32)


def in_srgb(data: bytes) -> Image.Image:
    """Return an image in sRGB, converted from its profile by LittleCMS."""
    image = Image.open(BytesIO(data))
    if profile := image.info.get("icc_profile"):
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), inPlace=True)
    return image


def plain_pixels(data: bytes) -> NDArray[np.float64]:
    upright = ImageOps.exif_transpose(in_srgb(data))
    return np.asarray(upright.convert("L").resize((64, 64)), np.float64).ravel() / 255


def plain_histogram(data: bytes) -> NDArray[np.float64]:
    pixels = np.asarray(in_srgb(data).convert("RGB"))
    counts = [np.histogram(pixels[..., c], bins=32, range=(0, 256))[0] for c in range(3)]
    return np.asarray(np.concatenate(counts) / np.sum(counts), np.float64)


PLAIN = {"pixels": plain_pixels, "histogram": plain_histogram}


def png(pixels: NDArray[np.uint8]) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_the_histogram_by_hand() -> None:
    # Two pixels: (0, 8, 255) and (7, 8, 248); bins are 8 levels wide.
    (vector,) = load("histogram").extract([np.array([[[0, 8, 255], [7, 8, 248]]], np.uint8)])
    assert np.flatnonzero(vector).tolist() == [0, 32 + 1, 64 + 31]
    np.testing.assert_allclose(vector[[0, 33, 95]], 1 / 3)


def test_pixels_by_hand() -> None:
    grey = np.repeat(np.linspace(0, 255, 64).round().astype(np.uint8)[:, None], 64, axis=1)
    vector = vector_of("pixels", png(np.stack([grey] * 3, axis=-1)))
    np.testing.assert_allclose(vector, grey.ravel() / 255, atol=1e-7)


def test_without_scaling_the_histogram_is_the_plain_formula() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    np.testing.assert_allclose(
        vector_of("histogram", png(pixels)), plain_histogram(png(pixels)), atol=1e-7
    )


@pytest.mark.parametrize("period", [1, 2, 3, 5, 8, 13])
@pytest.mark.parametrize("upright", [False, True])
@pytest.mark.parametrize("size", [(400, 500), (256, 384), (420, 420), (1025, 990)])
def test_the_sample_of_a_large_image_does_not_coincide_with_its_lines(
    size: tuple[int, int], upright: bool, period: int
) -> None:
    pixels = np.zeros((*size, 3), np.uint8)
    if upright:
        pixels[:, ::period] = (255, 128, 0)
    else:
        pixels[::period] = (255, 128, 0)
    share = float((pixels[..., 0] == 255).mean())
    plain = np.zeros(96)
    plain[[31, 32 + 16]] = share
    plain[[0, 32]] = 1 - share
    plain[64] = 1
    (made,) = load("histogram").extract([pixels])
    np.testing.assert_allclose(made, plain / 3, atol=0.004)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize(
    ("pattern", "step"),
    [("corel1k/images/*.jpg", 50), ("coco-mini/*/*.jpg", 8), ("camera/IMG*", 1)],
)
def test_scaled_decoding_stays_within_a_hundredth_of_the_full_size_formula(
    shared_folder: Path, name: str, pattern: str, step: int
) -> None:
    files = sorted((shared_folder / "data").glob(pattern))[::step]
    assert files
    for file in files:
        data = file.read_bytes()
        assert cosine(vector_of(name, data), PLAIN[name](data)) >= 0.99, file
