"""What makes two images copies, and what makes them two images."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw
from tests.duplicates.image_builders import save, scene

from lookalike import Library
from lookalike.duplicates.comparison import ComparedFile, Comparison, compare_files
from lookalike.duplicates.pixel_compare import PIXELS, GreyImage
from lookalike.evaluation.edits import EDITS, Edit
from lookalike.images.pixel_spec import Pixels
from lookalike.images.resize import fit

WHITE, INK = (255, 255, 255), (20, 20, 20)


def compared(one: Pixels, other: Pixels) -> Comparison:
    return compare_files(compared_file(one), compared_file(other))


def compared_file(pixels: Pixels) -> ComparedFile:
    pixels = np.ascontiguousarray(pixels)
    return ComparedFile(GreyImage(fit(pixels, PIXELS)), 1, lambda _: pixels)


def jpeg(pixels: Pixels, quality: int) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def sheet(texts: list[tuple[int, int, str]], *, size: int = 22) -> Pixels:
    image = Image.new("RGB", (600, 600), WHITE)
    draw = ImageDraw.Draw(image)
    for row in range(12):
        draw.text((30, 40 + 45 * row), f"Field {row}", fill=INK, font_size=20)
        draw.line([150, 64 + 45 * row, 560, 64 + 45 * row], fill=INK, width=2)
    for x, y, text in texts:
        draw.text((x, y), text, fill=INK, font_size=size)
    return np.asarray(image)


def form(number: int) -> Pixels:
    return sheet([(160, 40, "1 May 2024"), (160, 220, ["129.50", "184.25", "736.00"][number])])


def chat(number: int) -> Pixels:
    image = Image.new("RGB", (400, 640), (230, 225, 220))
    draw = ImageDraw.Draw(image)
    words = ["See you at eight", "Fine", "Bring the tent", "And the rope", "I did"][: 3 + number]
    for row, text in enumerate(words):
        draw.rounded_rectangle([20, 40 + 80 * row, 330, 96 + 80 * row], 12, fill=WHITE)
        draw.text((40, 56 + 80 * row), text, fill=INK, font_size=22)
    return np.asarray(image)


def clock(number: int) -> Pixels:
    image = Image.new("RGB", (400, 240), INK)
    ImageDraw.Draw(image).text((50, 60), f"12:0{number}", fill=(0, 255, 90), font_size=110)
    return np.asarray(image)


def meme(number: int) -> Pixels:
    image = Image.fromarray(scene(21, width=480, height=360))
    text = ["ON A FRIDAY", "A BOAT", "NOT AGAIN"][number]
    ImageDraw.Draw(image).text(
        (30, 290), text, fill="white", font_size=50, stroke_width=3, stroke_fill="black"
    )
    return np.asarray(image)


def code(number: int) -> Pixels:
    grey = cv2.QRCodeEncoder.create().encode(f"https://example.org/{number * 7919}")
    large = cv2.resize(np.asarray(grey), (360, 360), interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.cvtColor(large, cv2.COLOR_GRAY2RGB))


def shirt(number: int) -> Pixels:
    colour = [(214, 60, 60), (60, 100, 214), (200, 50, 70)][number]
    image = Image.new("RGB", (400, 400), WHITE)
    draw = ImageDraw.Draw(image)
    draw.polygon([(90, 60), (310, 60), (380, 160), (300, 180), (300, 350), (100, 350)], fill=colour)
    draw.text((130, 200), "ACME", fill=WHITE, font_size=50)
    return np.asarray(image)


def panorama(number: int) -> Pixels:
    """Three scenes side by side, of which only the one in the middle is common."""
    return np.hstack([scene(30 + number), scene(40), scene(50 + number)])


def camera(number: int) -> Pixels:
    """One place, another visitor."""
    image = Image.fromarray(scene(23, width=480, height=360))
    draw = ImageDraw.Draw(image)
    x = 60 + 130 * number
    draw.ellipse([x + 10, 120, x + 50, 165], fill=(220, 180, 150))
    draw.rectangle([x, 165, x + 60, 300], fill=[(180, 40, 40), (40, 40, 160), INK][number])
    return np.asarray(image)


@pytest.mark.parametrize("draw", [form, chat, clock, meme, code, shirt, panorama, camera])
@pytest.mark.parametrize("quality", [None, 60])
def test_what_differs_in_a_part_is_another_image(
    draw: Callable[[int], Pixels], quality: int | None
) -> None:
    images = [
        draw(number) if quality is None else jpeg(draw(number), quality) for number in range(3)
    ]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert compared(images[one], images[other]).kind in (None, "near")


@pytest.mark.parametrize("draw", [form, chat, clock, meme, code, shirt, panorama, camera])
def test_the_same_saved_again_is_a_copy(draw: Callable[[int], Pixels]) -> None:
    image = draw(0)
    smaller = cv2.resize(image, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
    for copy in (jpeg(image, 60), jpeg(np.asarray(smaller, np.uint8), 80)):
        found = compared(image, copy)
        assert (found.kind, found.changes) == ("copy", ())


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
def test_every_edit_of_an_image_is_told(edit: Edit) -> None:
    image = scene(1, width=480, height=360)
    found = compared(image, np.asarray(Image.open(io.BytesIO(edit.saved(image))).convert("RGB")))
    changes = {
        "crop-10": ("cropped",),
        "turned-90": ("rotated",),
        "mirrored": ("mirrored",),
        "brighter": ("lighter",),
        "text": ("lettered",),
        "border": ("aligned",),
        "grey": ("grey",),
        "tilted-5": ("aligned",),
    }
    assert found.changes == changes.get(edit.name, ())
    assert found.kind == ("copy" if found.changes in ((), ("lighter",), ("grey",)) else "edit")


@pytest.mark.parametrize("suffix", [".tif", ".gif"])
def test_files_with_one_first_page_and_other_ones_behind_it_are_no_copies(
    tmp_path: Path, suffix: str
) -> None:
    cover = Image.fromarray(sheet([(160, 40, "FAX COVER")]))
    photos = tmp_path / "faxes"
    save(photos / "other.png", scene(9))
    for number, pages in enumerate(([form(0)], [form(1)], [form(0), form(1)])):
        more = [Image.fromarray(page) for page in pages]
        cover.save(photos / f"{number}{suffix}", save_all=True, append_images=more)
    with Image.open(photos / f"0{suffix}") as first:  # the same pages, saved again
        first.seek(1)
        second = first.convert("RGB")
        first.seek(0)
        first.convert("RGB").save(
            photos / f"again{suffix}", save_all=True, append_images=[second], comment=b"again"
        )
    with Library.create(photos) as library:
        library.add([photos], extractors=["phash", "dhash"])
        copies = [{m.image.path for m in g.members} for g in library.duplicates().groups]
    assert copies == [{f"0{suffix}", f"again{suffix}"}]
