"""Colors are converted to sRGB from whatever space a file states.

The expected values are published ones: sRGB's pure colors in Adobe RGB, Display P3 and so on.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from tests.images.image_builders import encode, motif

from lookalike.images.color_profile import adobe_rgb, cicp_profile, rgb_profile
from lookalike.images.decode import decode
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.query import to_query_image

ADOBE_GREEN, P3_RED = (144, 255, 60), (234, 51, 35)
"""Pure green and red of sRGB in these spaces."""

LINEAR = cicp_profile(1, 8)
P3 = cicp_profile(12, 13)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def center(data: bytes, *specs: PixelSpec) -> tuple[int, int, int]:
    pixels = decode(data, specs=specs).pixels
    red, green, blue = pixels[pixels.shape[0] // 2, pixels.shape[1] // 2].tolist()
    return red, green, blue


def near(color: tuple[int, ...], expected: tuple[int, ...], tolerance: int = 6) -> bool:
    return max(abs(a - b) for a, b in zip(color, expected, strict=True)) <= tolerance


def plain(color: tuple[int, int, int], mode: str = "RGB") -> Image.Image:
    return Image.new("RGB", (64, 48), color).convert(mode)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
@pytest.mark.parametrize(
    ("profile", "stored", "color"),
    [
        (adobe_rgb(), ADOBE_GREEN, (0, 255, 0)),
        (P3, P3_RED, (255, 0, 0)),
        (LINEAR, (55, 55, 55), (128, 128, 128)),
    ],
)
def test_profiles_count_in_every_format(
    kind: str, profile: bytes, stored: tuple[int, int, int], color: tuple[int, int, int]
) -> None:
    data = encode(plain(stored), kind, icc_profile=profile, quality=95)
    assert near(center(data), color, 14)  # lossy formats alter the stored colors, too
    assert near(center(data, PixelSpec(min_side=12)), color, 14)
    with Image.open(io.BytesIO(data)) as image:
        pixels = to_query_image(image)
    assert isinstance(pixels, np.ndarray)
    assert near(tuple(pixels[24, 32].tolist()), color, 14)


@pytest.mark.parametrize("mode", ["P", "RGBA", "LA"])
def test_profiles_count_in_other_modes(mode: str) -> None:
    image = plain((55, 55, 55), mode)
    data = encode(image, "PNG", icc_profile=LINEAR)
    assert near(center(data), (128, 128, 128))


def test_a_grey_profile_counts_for_a_grey_image() -> None:
    data = encode(plain((55, 55, 55), "L"), "PNG", icc_profile=grey_profile(1.0))
    assert near(center(data), (128, 128, 128))
    data = encode(plain((55, 55, 55), "L"), "JPEG", icc_profile=grey_profile(1.0))
    assert near(center(data), (128, 128, 128))


def grey_profile(gamma: float) -> bytes:
    """Return an ICC profile for grey: white point and curve."""
    d50 = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    name = b"desc\0\0\0\0" + struct.pack(">I", 2) + b"-\0" + bytes(78)
    contents = [(b"desc", name), (b"wtpt", d50), (b"kTRC", curve)]
    table, body = struct.pack(">I", len(contents)), b""
    for tag, content in contents:
        table += tag + struct.pack(">II", 132 + 12 * len(contents) + len(body), len(content))
        body += content
    size = 128 + len(table) + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02400000, b"mntr", b"GRAY", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + d50[8:]
    return head.ljust(128, b"\0") + table + body


def with_chunk(png: bytes, name: bytes, content: bytes) -> bytes:
    """Return a PNG with a chunk after its header."""
    crc = zlib.crc32(name + content)
    chunk = struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)
    return png[:33] + chunk + png[33:]


def test_code_points_and_gamma_of_a_png_count() -> None:
    red, grey = encode(plain(P3_RED), "PNG"), encode(plain((55, 55, 55)), "PNG")
    assert near(center(with_chunk(red, b"cICP", bytes([12, 13, 0, 1]))), (255, 0, 0))
    assert near(center(with_chunk(grey, b"gAMA", struct.pack(">I", 100_000))), (128, 128, 128))
    adobe = struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)
    green = with_chunk(encode(plain(ADOBE_GREEN), "PNG"), b"cHRM", adobe)
    assert near(center(with_chunk(green, b"gAMA", struct.pack(">I", 45_455))), (0, 255, 0))
    srgb = with_chunk(with_chunk(grey, b"gAMA", struct.pack(">I", 100_000)), b"sRGB", b"\0")
    assert center(srgb) == (55, 55, 55)


def test_gamma_that_no_screen_has_is_ignored() -> None:
    grey = encode(plain((55, 55, 55)), "PNG")
    for gamma in (0, 1, 5_000_000):
        assert center(with_chunk(grey, b"gAMA", struct.pack(">I", gamma))) == (55, 55, 55)


def test_adobe_rgb_is_recognised_as_cameras_state_it() -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = 0xFFFF
    exif.get_ifd(0x8769)[0xA005] = {1: "R03", 2: b"0100"}
    data = encode(plain(ADOBE_GREEN), "JPEG", exif=exif, quality=95)
    assert near(center(data), (0, 255, 0), 14)


def damaged() -> dict[str, bytes]:
    adobe = adobe_rgb()
    return {
        "half": adobe[: len(adobe) // 2],
        "no tags": adobe[:128] + bytes(500),
        "of CMYK": adobe[:16] + b"CMYK" + adobe[20:],
        "of grey": grey_profile(1.0),
        "everything is white": rgb_profile(
            ((0.64, 0.33), (0.3, 0.6), (0.15, 0.06)), (0.31, 0.33), white
        ),
        "noise": np.random.default_rng(0).bytes(3000),
        "zeros": bytes(4000),
    }


def white(x: Any) -> Any:
    return np.ones_like(x)


@pytest.mark.parametrize("name", damaged())
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_a_damaged_or_absurd_profile_is_ignored(name: str, kind: str) -> None:
    data = encode(plain((200, 100, 50)), kind, icc_profile=damaged()[name], quality=95)
    assert near(center(data), (200, 100, 50), 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_srgb_and_what_comes_close_changes_no_pixel(kind: str) -> None:
    def pixels(**options: Any) -> Pixels:
        return decode(encode(Image.fromarray(motif()), kind, **options), specs=()).pixels

    close = rgb_profile(((0.64, 0.33), (0.3, 0.6), (0.15, 0.06)), (0.3127, 0.329), lambda x: x**2.2)
    for profile in (SRGB, close):
        np.testing.assert_array_equal(pixels(icc_profile=profile), pixels())
