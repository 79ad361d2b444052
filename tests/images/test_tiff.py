"""TIFF of many kinds, written by tifffile, shows the same image; PNG follows the same rule."""

from __future__ import annotations

import io
import struct
import tracemalloc
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image
from tests.images.image_builders import motif

from lookalike.errors import ImageError, Outcome
from lookalike.images.decode import decode, decode_frame
from lookalike.images.decode_errors import ends_early
from lookalike.images.pixel_spec import Pixels, PixelSpec

GREY = np.asarray(Image.fromarray(motif()).convert("L"))
TYPES = {
    "uint8": 1,
    "uint16": 257,
    "uint32": 16843009,
    "float16": 1 / 255,
    "float32": 1 / 255,
    "float64": 1 / 255,
}
"""Number types, and what 1 of 255 becomes in them."""


def tiff(values: NDArray[Any], photometric: str = "minisblack", **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, values, photometric=photometric, **options)
    return file.getvalue()


def pixels_of(data: bytes) -> Pixels:
    return decode(data, specs=()).pixels


def assert_shows(data: bytes, expected: NDArray[Any], tolerance: float = 1) -> None:
    pixels = pixels_of(data).astype(int)
    whole = expected if expected.ndim == 3 else np.dstack([expected] * 3)
    assert pixels.shape == whole.shape
    assert np.abs(pixels - whole).max() <= tolerance


def scaled(image: NDArray[np.uint8], kind: str) -> NDArray[Any]:
    return (image.astype(np.float64) * TYPES[kind]).astype(kind)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_grey_of_any_number_type_is_the_same(kind: str, order: str, big: bool) -> None:
    values = scaled(GREY, kind)
    inverted = values.max() - values + (scaled(GREY, kind).min() if kind.startswith("u") else 0)
    options: dict[str, Any] = {"byteorder": order, "bigtiff": big, "rowsperstrip": 7}
    assert_shows(tiff(values, **options), GREY)
    assert_shows(tiff(inverted, "miniswhite", **options), 255 - inverted / TYPES[kind], 2)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("tiled", [False, True])
def test_rgb_is_the_same_in_planes_and_tiles(kind: str, tiled: bool) -> None:
    if kind == "float16" and tiled:
        pytest.skip("one of both is enough")
    values = scaled(motif(), kind)
    options: dict[str, Any] = {"tile": (32, 48)} if tiled else {"rowsperstrip": 9}
    assert_shows(tiff(values, "rgb", **options), motif())
    planes = np.moveaxis(values, -1, 0)
    assert_shows(tiff(planes, "rgb", planarconfig="separate", **options), motif())


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("photometric", ["rgb", "minisblack"])
def test_alpha_is_composited_whether_colors_are_multiplied_by_it_or_not(
    planar: str, kind: str, photometric: str
) -> None:
    image = motif() if photometric == "rgb" else GREY[:, :, None]
    alpha = np.tile(np.linspace(60, 255, motif().shape[1]).astype(np.uint8), (motif().shape[0], 1))
    share = alpha[:, :, None] / 255
    expected = np.rint(image * share + 255 * (1 - share))
    multiplied, infrared = np.rint(image * share), GREY
    for names, channels in (
        (["unassalpha"], [image, alpha]),
        (["assocalpha"], [multiplied, alpha]),
        (["unspecified", "unassalpha"], [image, infrared, alpha]),
        (["assocalpha", "unspecified"], [multiplied, alpha, infrared]),
    ):
        layers = scaled(np.dstack(channels).astype(np.uint8), kind)
        layers = np.moveaxis(layers, -1, 0) if planar == "separate" else layers
        data = tiff(layers, photometric, planarconfig=planar, extrasamples=names)
        assert_shows(data, expected if photometric == "rgb" else expected[:, :, 0], 4)


@pytest.mark.parametrize("compression", [5, 8, 32946])
def test_compressed_floating_point_with_a_predictor_is_read(compression: int) -> None:
    options = [cv2.IMWRITE_TIFF_COMPRESSION, compression, cv2.IMWRITE_TIFF_PREDICTOR, 3]
    done, data = cv2.imencode(".tiff", scaled(GREY, "float32"), options)
    assert done
    assert_shows(data.tobytes(), GREY)


@pytest.mark.parametrize(
    ("missing", "tag"),
    [
        (np.nan, None),
        (-3.4028235e38, "-3.4e38"),
        (1e20, None),
        (-9999, "-9999"),
        (-32767, None),
        (-1, "-1"),
        (0, "0"),
    ],
)
@pytest.mark.parametrize("kind", ["float32", "int16", "float64"])
def test_heights_are_stretched_without_their_no_data_values(
    missing: float, tag: str | None, kind: str
) -> None:
    if kind == "int16" and not -40_000 < missing < 40_000:
        pytest.skip("not an integer of 16 bits")
    heights = (200 + 8 * GREY.astype(np.float64)).astype(kind)
    heights[:10, :10] = missing
    extra = [(42113, "s", 0, tag, True)] if tag else []
    pixels = pixels_of(tiff(heights, extratags=extra))[20:, 20:, 0].astype(int)
    least, most = int(GREY.min()), int(GREY.max())
    expected = (GREY[20:, 20:].astype(int) - least) * 255 / (most - least)
    assert np.abs(pixels - expected).max() <= 3


def test_a_raster_without_any_data_is_black() -> None:
    assert not pixels_of(tiff(np.full((30, 40), np.nan, np.float32))).any()


@pytest.mark.parametrize("channels", [1, 3])
def test_12_bits_in_16_are_bright_in_png_as_in_tiff(channels: int) -> None:
    image = GREY if channels == 1 else motif()
    values = (image.astype(np.uint16) << 4) + (image >> 4)
    values[0, 0] = 4095
    done, png = cv2.imencode(".png", values if channels == 1 else values[:, :, ::-1])
    assert done
    as_tiff = pixels_of(tiff(values, "minisblack" if channels == 1 else "rgb"))
    np.testing.assert_array_equal(pixels_of(png.tobytes()), as_tiff)
    expected = image if channels == 3 else np.dstack([image] * 3)
    assert np.abs(as_tiff[1:].astype(int) - expected[1:]).max() <= 1


@pytest.mark.parametrize("tile", [None, (32, 48)])
def test_of_many_channels_the_first_ones_are_shown(tile: tuple[int, int] | None) -> None:
    bands = np.dstack([scaled(motif(), "uint16"), scaled(GREY, "uint16"), scaled(GREY, "uint16")])
    assert_shows(tiff(bands, "rgb", tile=tile, extrasamples=["unspecified"] * 2), motif())
    grey = tiff(bands[:, :, ::-1][:, :, :3], planarconfig="contig", tile=tile)
    assert_shows(grey, GREY)
    predicted = tiff(bands, "rgb", compression="zlib", predictor=True, extrasamples=[0, 0])
    with pytest.raises(ImageError, match="5 channels of 16 bits") as caught:
        pixels_of(predicted)
    assert caught.value.outcome is Outcome.UNSUPPORTED


@pytest.mark.parametrize("kind", ["uint16", "float32"])
def test_a_raster_that_ends_early_is_truncated(kind: str) -> None:
    data = tiff(scaled(GREY, kind))
    with pytest.raises(ImageError) as caught:
        pixels_of(data[: len(data) * 2 // 3])
    assert caught.value.outcome is Outcome.TRUNCATED


@pytest.mark.parametrize("kind", ["tiff", "raw"])
def test_tags_that_all_have_the_whole_file_as_their_value_are_not_read(kind: str) -> None:
    size, tags = 1 << 20, [*range(256, 340), *[273, 279] * 40]
    values = [(tag, 4, *((1, 9) if tag < 258 else (size // 4 - 999, 3000))) for tag in tags]
    entries = b"".join(struct.pack("<HHII", *value) for value in values)
    data = (b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries).ljust(size, b"\0")
    tracemalloc.start()
    try:
        ends_early(kind, data)
        with pytest.raises(ImageError):
            decode(data, specs=())
        assert tracemalloc.get_traced_memory()[1] < 20 * size
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("offset", [1 << 62, (1 << 64) - 1])
def test_a_big_tiff_whose_first_directory_lies_beyond_the_end_is_truncated(offset: int) -> None:
    with pytest.raises(ImageError) as caught:
        pixels_of(b"II+\0\x08\0\0\0" + struct.pack("<Q", offset) + bytes(99))
    assert caught.value.outcome is Outcome.TRUNCATED


def test_pyramids_and_masks_are_no_pages() -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for kind in (0, 1, 0, 4):
            values = GREY > 99 if kind == 4 else GREY
            writer.write(values, photometric="minisblack", subfiletype=kind, metadata=None)
    assert decode(file.getvalue(), specs=()).facts.frames == 2


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("big", [False, True])
def test_every_page_of_a_document_is_decoded(kind: str, big: bool) -> None:
    file = io.BytesIO()
    pages = [np.roll(GREY, 20 * number, axis=1) for number in range(3)]
    with tifffile.TiffWriter(file, bigtiff=big) as writer:
        for page in pages:
            writer.write(scaled(page, kind), photometric="minisblack", metadata=None)
            small = scaled(page, kind)[::2, ::2]
            writer.write(small, photometric="minisblack", subfiletype=1, metadata=None)
    assert decode(file.getvalue(), specs=()).facts.frames == 3
    for number, page in enumerate(pages):
        found = decode_frame(file.getvalue(), number, spec=PixelSpec())
        assert np.abs(found[:, :, 0].astype(int) - page).max() <= 1
    with pytest.raises(ImageError):
        decode_frame(file.getvalue(), 3, spec=PixelSpec())
