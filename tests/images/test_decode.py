"""Every format, mode and orientation is decoded to upright 8-bit RGB, or gives an outcome."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile, PngImagePlugin
from tests.images.image_builders import encode, encode_motif, motif

from lookalike.errors import ImageError, Outcome
from lookalike.images.decode import decode, upright
from lookalike.images.metadata.facts import Facts
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.images.resize import fit
from lookalike.workers.limits import Limits

FULL: tuple[PixelSpec, ...] = ()


def pixels_of(data: bytes, *specs: PixelSpec) -> Pixels:
    return decode(data, specs=specs).pixels


def mean_difference(a: Pixels, b: Pixels) -> float:
    """Return the mean absolute difference, 0 to 255."""
    assert a.shape == b.shape
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


def refused(data: bytes, limits: Limits | None = None, name: str = "") -> ImageError:
    with pytest.raises(ImageError) as caught:
        decode(data, specs=FULL, limits=limits, name=name)
    return caught.value


@pytest.mark.parametrize(
    ("kind", "format", "tolerance"),
    [
        ("JPEG", "jpeg", 3),
        ("PNG", "png", 0),
        ("GIF", "gif", 12),
        ("BMP", "bmp", 0),
        ("WEBP", "webp", 3),
        ("TIFF", "tiff", 0),
        ("AVIF", "avif", 4),
        ("HEIF", "heic", 4),
    ],
)
def test_all_eight_formats_are_decoded(kind: str, format: str, tolerance: float) -> None:
    decoded = decode(encode_motif(kind), specs=FULL)
    assert decoded.facts == Facts(120, 80, format)
    assert mean_difference(decoded.pixels, motif()) <= tolerance
    assert decoded.pixels.dtype == np.uint8
    assert decoded.pixels.flags.c_contiguous


def test_a_png_named_jpg_is_decoded_as_png() -> None:
    assert decode(encode_motif("PNG"), specs=FULL, name="holiday.jpg").facts.format == "png"


# What a camera stores so that a viewer, undoing the tag, shows the motif (Exif 2.32, tag 274).
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("kind", "tolerance"), [("JPEG", 3), ("PNG", 0), ("WEBP", 3), ("TIFF", 0)])
def test_the_eight_orientations_come_out_upright(
    kind: str, tolerance: float, orientation: int
) -> None:
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](motif())))
    exif = Image.Exif()
    exif[274] = orientation
    decoded = decode(encode(stored, kind, exif=exif), specs=FULL)
    assert mean_difference(decoded.pixels, motif()) <= tolerance
    assert (decoded.facts.width, decoded.facts.height) == (120, 80)


@pytest.mark.parametrize("orientation", [3, 6, 8])
@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_heic_and_avif_are_not_turned_twice(kind: str, orientation: int) -> None:
    # Both writers turn the EXIF tag into the container's own rotation, which the reader undoes.
    exif = Image.Exif()
    exif[274] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](motif())))
    if kind == "HEIF":
        import pillow_heif

        file = io.BytesIO()
        pillow_heif.from_pillow(stored).save(file, quality=95, exif=exif.tobytes())
        data = file.getvalue()
    else:
        data = encode(stored, kind, exif=exif)
    assert mean_difference(pixels_of(data), motif()) < 5


def test_upright_agrees_with_pillow() -> None:
    for orientation in range(1, 9):
        image = Image.fromarray(motif(7, 5))
        exif = image.getexif()
        exif[274] = orientation
        from PIL import ImageOps

        expected = np.asarray(ImageOps.exif_transpose(image))
        assert np.array_equal(upright(motif(7, 5), orientation), expected)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_ignored(value: int) -> None:
    exif = Image.Exif()
    exif[274] = value
    assert mean_difference(pixels_of(encode_motif("JPEG", exif=exif)), motif()) < 3


def test_damaged_exif_does_not_fail_the_image() -> None:
    for exif in (b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"):
        assert mean_difference(pixels_of(encode_motif("JPEG", exif=exif)), motif()) < 3


def test_a_png_with_a_large_colour_profile_or_text_is_decoded() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "x" * (3 << 20), zip=True)
    data = encode_motif("PNG", icc_profile=bytes(3 << 20), pnginfo=text)
    np.testing.assert_array_equal(pixels_of(data), motif())


def test_transparent_pixels_are_white() -> None:
    layered = np.dstack([np.full((40, 40, 3), 100, np.uint8), np.zeros((40, 40), np.uint8)])
    layered[:, 20:, 3] = 255
    layered[:10, :, 3] = 51  # a fifth: 255 * 0.8 + 100 * 0.2 = 224
    for kind in ("PNG", "TIFF"):
        pixels = pixels_of(encode(Image.fromarray(layered), kind))
        assert tuple(pixels[30, 5]) == (255, 255, 255)
        assert tuple(pixels[30, 30]) == (100, 100, 100)
        assert np.abs(pixels[5].astype(int) - 224).max() <= 1


def test_grey_with_alpha_is_composited_on_white() -> None:
    image = Image.new("LA", (30, 30), (100, 0))
    image.putpixel((0, 0), (100, 255))
    pixels = pixels_of(encode(image, "PNG"))
    assert (pixels[1:] == 255).all()
    assert (pixels[0, 0] == 100).all()


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_an_image_whose_alpha_is_zero_everywhere_is_opaque(mode: str) -> None:
    image = Image.fromarray(motif()).convert(mode)
    image.putalpha(0)
    expected = np.asarray(image.convert("RGB"))
    assert mean_difference(pixels_of(encode(image, "PNG")), expected) == 0


def test_a_palette_with_a_transparent_colour_is_composited_on_white() -> None:
    image = Image.new("P", (30, 30), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(0, (0, 0, 30, 15))
    pixels = pixels_of(encode(image, "PNG", transparency=0))
    assert tuple(pixels[5, 5]) == (255, 255, 255)
    assert tuple(pixels[25, 5]) == (0, 0, 255)


def test_a_transparent_colour_of_an_rgb_png_is_white() -> None:
    image = Image.new("RGB", (30, 30), (10, 20, 30))
    image.putpixel((0, 0), (200, 20, 30))
    pixels = pixels_of(encode(image, "PNG", transparency=(10, 20, 30)))
    assert (pixels[1:] == 255).all()
    assert tuple(pixels[0, 0]) == (200, 20, 30)


def test_black_and_white_become_0_and_255() -> None:
    image = Image.new("1", (40, 40), 0)
    image.paste(1, (20, 0, 40, 40))
    for kind in ("PNG", "TIFF", "BMP"):
        pixels = pixels_of(encode(image, kind, compress_level=0))
        assert (pixels[:, :20] == 0).all()
        assert (pixels[:, 20:] == 255).all()


def test_16_bits_of_grey_are_scaled_not_clipped() -> None:
    values = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (32, 1))
    expected = np.rint(values / 257).astype(np.uint8)
    for kind in ("PNG", "TIFF"):
        pixels = pixels_of(encode(Image.fromarray(values), kind))
        assert np.abs(pixels[:, :, 1].astype(int) - expected).max() <= 1


def test_a_tiff_of_12_bits_in_16_is_not_black() -> None:
    values = np.tile(np.linspace(0, 4095, 64).astype(np.uint16), (32, 1))
    pixels = pixels_of(encode(Image.fromarray(values), "TIFF"))
    assert pixels.max() == 255
    assert abs(int(pixels[0, 32, 0]) - 130) <= 1  # 32/63 of 255


def test_floating_point_tiff_is_mapped_by_its_range() -> None:
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (32, 1))
    expected = np.rint(ramp * 255)
    for values in (ramp, ramp * 255, ramp * 1000 - 500):
        pixels = pixels_of(encode(Image.fromarray(values.astype(np.float32)), "TIFF"))
        assert np.abs(pixels[:, :, 0] - expected).max() <= 1
    holes = ramp.copy()
    holes[0, 0] = np.nan
    holes[0, 1] = np.inf
    assert pixels_of(encode(Image.fromarray(holes), "TIFF")).shape == (32, 64, 3)


def test_cmyk_jpeg_keeps_its_colours() -> None:
    data = encode(Image.fromarray(motif()).convert("CMYK"), "JPEG", quality=95)
    assert mean_difference(pixels_of(data), motif()) < 4


def test_cmyk_jpeg_is_scaled_while_decoding() -> None:
    data = encode(Image.fromarray(motif(1200, 800)).convert("CMYK"), "JPEG", quality=95)
    pixels = pixels_of(data, PixelSpec(min_side=100))
    assert pixels.shape == (100, 150, 3)
    assert mean_difference(pixels, np.asarray(Image.fromarray(motif(1200, 800)).reduce(8))) < 4


def test_lab_tiff_becomes_rgb() -> None:
    # CIELAB (D50) of sRGB red is about (54.3, 80.8, 69.9).
    lab = Image.new("LAB", (30, 30), (round(54.3 * 2.55), 81 + 128, 70 + 128))
    red, green, blue = pixels_of(encode(lab, "TIFF"))[15, 15].astype(int)
    assert red > 245
    assert green < 15
    assert blue < 15


def test_an_animation_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "lime", "blue")]
    for kind in ("GIF", "WEBP", "PNG"):
        data = encode(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)
        red, green, blue = pixels_of(data)[15, 20].astype(int)
        assert red > 250, kind
        assert green < 5, kind
        assert blue < 5, kind


def test_a_multi_image_jpeg_gives_its_first_image() -> None:
    first = Image.fromarray(motif())
    data = encode(first, "MPO", save_all=True, append_images=[Image.new("RGB", (120, 80))])
    assert mean_difference(pixels_of(data), motif()) < 4


def test_grey_jpeg_becomes_rgb() -> None:
    pixels = pixels_of(encode(Image.new("L", (40, 40), 77), "JPEG"))
    assert pixels.shape == (40, 40, 3)
    assert np.abs(pixels.astype(int) - 77).max() <= 1


@pytest.mark.parametrize("size", [(384, 256), (256, 384), (1000, 700), (9, 7)])
def test_jpeg_is_decoded_into_a_buffer_that_stays_in_the_caches(
    size: tuple[int, int],
) -> None:
    """libjpeg-turbo writes past them if rows begin at a multiple of 32 bytes."""
    for specs in (FULL, [PixelSpec(mode="rgb", fit="any", min_side=128)]):
        pixels = decode(encode(Image.fromarray(motif(*size)), "JPEG"), specs=specs).pixels
        assert pixels.ctypes.data % 32 == 16


@pytest.mark.parametrize(
    ("size", "kept"), [((400, 100), (300, 100)), ((100, 400), (100, 300)), ((300, 100), (300, 100))]
)
def test_an_image_beyond_3_to_1_is_cropped_to_the_centre(
    size: tuple[int, int], kept: tuple[int, int]
) -> None:
    decoded = decode(encode(Image.fromarray(motif(*size)), "PNG"), specs=FULL)
    left, top = (size[0] - kept[0]) // 2, (size[1] - kept[1]) // 2
    whole = motif(*size)
    assert np.array_equal(decoded.pixels, whole[top : top + kept[1], left : left + kept[0]])
    assert (decoded.facts.width, decoded.facts.height) == size


@pytest.mark.parametrize(
    ("specs", "expected"),
    [
        ([PixelSpec(min_side=128)], (200, 300)),
        ([PixelSpec(min_side=100)], (100, 150)),
        ([PixelSpec(min_side=101)], (200, 300)),
        ([PixelSpec(fit="stretch", height=64, width=64)], (100, 150)),
        ([PixelSpec(fit="stretch", height=64, width=64), PixelSpec(min_side=300)], (400, 600)),
        ([PixelSpec(fit="inside", max_side=300)], (200, 300)),
        ([PixelSpec(fit="cover", shortest_edge=256, height=224, width=224)], (400, 600)),
        ([PixelSpec(fit="any")], (800, 1200)),
        ([], (800, 1200)),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_the_decode_scale_is_the_smallest_that_serves_every_spec(
    kind: str, specs: list[PixelSpec], expected: tuple[int, int]
) -> None:
    data = encode(Image.fromarray(motif(1200, 800)), kind)
    height, width, _ = pixels_of(data, *specs).shape
    if kind == "JPEG":  # libjpeg halves
        assert (height, width) == expected
    else:  # other formats shrink by any whole factor
        assert height <= expected[0]
    for spec in specs:
        if spec.fit == "any":
            assert min(height, width) >= spec.min_side
        if spec.fit == "stretch":
            assert height >= spec.height
            assert width >= spec.width


def test_a_turned_jpeg_is_scaled_for_its_upright_sides() -> None:
    exif = Image.Exif()
    exif[274] = 6
    data = encode(Image.fromarray(motif(1200, 800)), "JPEG", exif=exif)
    # Upright it is 800 wide and 1200 high; 1200/8 = 150 serves a height of 150, 800/8 = 100 a width.
    assert pixels_of(data, PixelSpec(fit="stretch", height=150, width=100)).shape == (150, 100, 3)
    assert pixels_of(data, PixelSpec(fit="stretch", height=100, width=150)).shape == (300, 200, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_scaled_decode_is_close_to_the_full_one(kind: str) -> None:
    data = encode(Image.fromarray(motif(1200, 800)), kind, quality=90)
    small = PixelSpec(fit="stretch", height=64, width=64)
    assert mean_difference(fit(pixels_of(data, small), small), fit(pixels_of(data), small)) < 1.5


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that states a huge size but holds almost no data."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    start = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + start
        + chunk(b"IDAT", zlib.compress(bytes(5000), 0))
        + chunk(b"IEND", b"")
    )


def jpeg_header(width: int, height: int) -> bytes:
    """Return a small JPEG whose frame header states another size."""
    data = bytearray(encode_motif("JPEG"))
    at = data.index(b"\xff\xc0")
    struct.pack_into(">HH", data, at + 5, height, width)
    return bytes(data)


@pytest.mark.parametrize(
    "data", [png_header(40_000, 40_000), jpeg_header(60_000, 60_000)], ids=["png", "jpeg"]
)
def test_a_decompression_bomb_is_refused_by_its_header(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("decoding began")

    monkeypatch.setattr(ImageFile.ImageFile, "load", never)
    monkeypatch.setattr("simplejpeg.decode_jpeg", never)
    error = refused(data)
    assert error.outcome is Outcome.TOO_LARGE
    assert "megapixels" in error.reason
    assert "--max-pixels" in error.reason


def test_the_pixel_limit_can_be_set() -> None:
    limits = Limits(max_pixels=120 * 80)
    for kind in ("JPEG", "PNG", "HEIF"):
        assert decode(encode_motif(kind), specs=FULL, limits=limits).facts.width == 120
        low = Limits(max_pixels=120 * 80 - 1)
        assert refused(encode_motif(kind), low).outcome is Outcome.TOO_LARGE


def test_pillows_own_limit_is_neither_used_nor_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert decode(encode_motif("PNG"), specs=FULL).facts.width == 120
    assert Image.MAX_IMAGE_PIXELS == 10


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "AVIF", "HEIF"])
@pytest.mark.parametrize("share", [0.5, 0.8])
def test_half_a_file_is_truncated(kind: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (80, 120, 3), dtype=np.uint8)
    data = encode_motif(kind) if kind == "HEIF" else encode(Image.fromarray(noise), kind)
    error = refused(data[: int(len(data) * share)], name="a.jpg")
    assert error.outcome is Outcome.TRUNCATED
    assert "end of the file is missing" in error.reason


def test_a_truncated_progressive_jpeg_is_truncated() -> None:
    data = encode(Image.fromarray(motif(600, 400)), "JPEG", progressive=True, quality=95)
    assert refused(data[: len(data) * 3 // 4]).outcome is Outcome.TRUNCATED


def test_junk_after_the_end_of_a_jpeg_is_ignored() -> None:
    assert mean_difference(pixels_of(encode_motif("JPEG") + b"junk" * 100), motif()) < 3


def test_stray_bytes_inside_a_jpeg_are_ignored() -> None:
    data = encode_motif("JPEG")
    assert mean_difference(pixels_of(data[:-2] + b"\x00\x00\x00" + data[-2:]), motif()) < 3


def test_damaged_data_is_unreadable_with_a_plain_reason() -> None:
    data = bytearray(encode_motif("PNG"))
    data[60] ^= 0xFF  # within the compressed pixels: the checksum no longer agrees
    error = refused(bytes(data))
    assert error.outcome is Outcome.UNREADABLE
    assert "PNG" in error.reason
    for word in ("Error", "Traceback", "BytesIO", "PIL"):
        assert word not in error.reason


def test_running_out_of_memory_is_an_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhaust_memory(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, "load", exhaust_memory)
    monkeypatch.setattr("simplejpeg.decode_jpeg", exhaust_memory)
    for kind in ("JPEG", "PNG"):
        assert refused(encode_motif(kind)).outcome is Outcome.OUT_OF_MEMORY


def test_no_other_decoder_sees_the_bytes() -> None:
    """A GIMP file does not reach Pillow, even under the name of a JPEG."""
    error = refused(b"gimp xcf" + bytes(200), name="photo.jpg")
    assert error.outcome is Outcome.UNSUPPORTED
    assert error.reason.startswith("GIMP files are not supported")


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "BMP"])
def test_an_image_of_less_than_100_bytes_is_an_image(kind: str) -> None:
    data = encode(Image.new("RGB", (2, 2), (255, 255, 255)), kind)

    assert len(data) < 100
    assert (decode(data, specs=()).pixels == 255).all()


def jpeg_photo(**options: object) -> bytes:
    """Return a JPEG whose bytes are spread evenly over the image."""
    noise = np.random.default_rng(1).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    large = Image.fromarray(noise).resize((512, 384), Image.Resampling.BICUBIC)
    return encode(large, "JPEG", quality=90, **options)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize(("cut", "added"), [(2, b""), (1, b""), (2, bytes(500)), (60, b"")])
def test_a_jpeg_without_its_last_bytes_is_decoded_with_a_note(
    options: dict[str, object], cut: int, added: bytes
) -> None:
    whole = jpeg_photo(**options)
    decoded = decode(whole[:-cut] + added, specs=FULL)
    assert mean_difference(decoded.pixels, pixels_of(whole)) < 1
    assert decoded.facts.note is not None
    assert "missing" in decoded.facts.note
    assert ("image is complete" in decoded.facts.note) == (cut <= 2)
    assert decode(whole, specs=FULL).facts.note is None


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_jpeg_of_which_more_is_missing_is_truncated(
    options: dict[str, object], share: float
) -> None:
    data = jpeg_photo(**options)
    part = data[: int(len(data) * share)]
    for content in (part, part + bytes(len(data) - len(part)), part + b"\xff"):
        assert refused(content).outcome is Outcome.TRUNCATED


def logo(color: tuple[int, int, int], alpha: int = 255) -> Image.Image:
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    image.paste((*color, alpha), (16, 16, 48, 40))
    return image


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "GIF", "AVIF"])
@pytest.mark.parametrize("light", [255, 245, 225])
def test_light_content_on_a_transparent_ground_is_shown_on_black(kind: str, light: int) -> None:
    data = encode(logo((light, light, light)), kind, lossless=True, quality=100)
    pixels = pixels_of(data)
    assert pixels[5, 5].max() < 12
    assert pixels[30, 30].min() > light - 12


@pytest.mark.parametrize(
    ("color", "alpha", "shown"),
    [((0, 0, 0), 255, 0), ((200, 30, 30), 255, 30), ((0, 0, 0), 90, 165), ((150,) * 3, 255, 150)],
)
def test_other_content_on_a_transparent_ground_is_shown_on_white(
    color: tuple[int, int, int], alpha: int, shown: int
) -> None:
    pixels = pixels_of(encode(logo(color, alpha), "PNG"))
    assert pixels[5, 5].min() == 255
    assert abs(int(pixels[30, 30].min()) - shown) <= 1


def test_a_half_transparent_white_logo_is_shown_on_black() -> None:
    pixels = pixels_of(encode(logo((255, 255, 255), 128), "PNG"))
    assert pixels[5, 5].max() == 0
    assert pixels[30, 30].max() == 128


def test_white_goods_with_shadows_stay_on_white() -> None:
    image = logo((250, 250, 250))
    image.paste((180, 180, 185, 255), (16, 36, 48, 40))
    assert pixels_of(encode(image, "PNG"))[5, 5].min() == 255
