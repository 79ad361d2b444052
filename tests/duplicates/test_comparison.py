"""What makes two images copies, and what makes them two images."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter
from tests.duplicates.image_builders import photo, save, scene

from lookalike import Library
from lookalike.duplicates.comparison import ComparedFile, Comparison, compare_files
from lookalike.duplicates.overlay import is_overlay
from lookalike.duplicates.pixel_compare import PIXELS, GreyImage
from lookalike.duplicates.registration import Registered, refine
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


def fabric(number: int) -> Pixels:
    image = Image.new("RGB", (400, 400), (235, 230, 220))
    draw = ImageDraw.Draw(image)
    colour = [(160, 30, 40), (160, 60, 120), (30, 60, 150)][number]
    for x in range(-400, 800, 40):
        draw.line([x, 0, x + 400, 400], fill=colour, width=12)
        draw.line([x, 0, x - 400, 400], fill=colour, width=5)
    return np.asarray(image)


@pytest.mark.parametrize("draw", [form, chat, clock, meme, code, shirt, panorama, camera, fabric])
@pytest.mark.parametrize("quality", [None, 60])
def test_what_differs_in_a_part_is_another_image(
    draw: Callable[[int], Pixels], quality: int | None
) -> None:
    images = [
        draw(number) if quality is None else jpeg(draw(number), quality) for number in range(3)
    ]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert compared(images[one], images[other]).kind in (None, "near")


def test_other_letters_with_some_in_common_are_another_image() -> None:
    images = []
    for top, bottom in (("TOP TEXT", "BOTTOMS UP"), ("OTHER", "BOTTOM")):
        image = Image.fromarray(scene(22, width=480, height=360))
        for text, y in ((top, 14), (bottom, 299)):
            ImageDraw.Draw(image).text(
                (91, y), text, fill="white", font_size=50, stroke_width=4, stroke_fill="black"
            )
        images.append(jpeg(np.asarray(image), 50))
    assert compared(*images).kind == "near"


def test_a_refined_alignment_moves_what_is_compared() -> None:
    """What one image shows only after the refinement is compared, too: the longer legs of trousers."""
    image = scene(3, width=320, height=240)
    moved = np.roll(image, -8, axis=0)
    moved[200:] = 0
    shown = np.zeros(image.shape[:2], bool)
    shown[:200] = True
    pair = refine(Registered(moved, image, shown, linear=np.eye(2)))
    assert pair is not None and pair.linear is not None
    rows = np.flatnonzero(pair.covered[:, 160])
    assert abs(rows[-1] - 207) <= 1 and abs(rows[0] - 8) <= 1
    assert np.allclose(pair.linear, np.eye(2), atol=0.02)


@pytest.mark.parametrize("draw", [form, chat, clock, meme, code, shirt, panorama, camera, fabric])
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
    assert found.kind == ("edit" if found.changes else "copy")


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


def sky(number: int) -> Pixels:
    """A photo most of which is one color, with some detail in a corner."""
    image = np.empty((360, 480, 3), np.float32)
    image[:] = (70, 112, 190)
    image += np.linspace(-6, 6, 360)[:, None, None]
    image[220:, :140] = scene(60 + number, width=140, height=140)
    return np.asarray(image.clip(0, 255).round(), np.uint8)


@pytest.mark.parametrize("gain", [0.7, 0.85, 1.2])
def test_a_photo_of_one_color_made_lighter_or_darker_is_an_edit(gain: float) -> None:
    image = sky(0)
    found = compared(image, jpeg(np.asarray((image * gain).clip(0, 255), np.uint8), 85))
    assert (found.kind, found.changes) == ("edit", ("lighter",))


@pytest.mark.parametrize("stops", [-2, -1, 1, 1.5])
def test_two_exposures_of_a_scene_are_two_images(stops: float) -> None:
    image = cv2.GaussianBlur(scene(5, width=480, height=360), (0, 0), 3)
    other = np.asarray((image * 2.0**stops).clip(0, 255), np.uint8)
    assert compared(jpeg(image, 90), jpeg(other, 90)).kind in (None, "near")


@pytest.mark.parametrize("quality", [None, 60])
def test_a_rotated_or_mirrored_sign_is_another_one(quality: int | None) -> None:
    image = Image.new("RGB", (200, 200), (20, 60, 160))
    ImageDraw.Draw(image).polygon(
        [(20, 100), (90, 40), (90, 80), (180, 80), (180, 120), (90, 120), (90, 160)], fill=WHITE
    )
    arrow = np.asarray(image) if quality is None else jpeg(np.asarray(image), quality)
    for other in (np.rot90(arrow), np.rot90(arrow, 2), arrow[:, ::-1]):
        assert compared(arrow, other).kind == "near"
    assert compared(arrow, jpeg(arrow, 60)).kind == "copy"
    text = sheet([(160, 40 + 45 * row, "and words of a page") for row in range(12)])
    assert compared(text, np.rot90(text)).kind == "edit"


def test_an_article_in_grey_is_an_edit_of_the_colored_one_if_it_has_just_its_values() -> None:
    red = shirt(0)
    luma = (red @ np.array([0.299, 0.587, 0.114])).round().astype(np.uint8)
    grey = luma[..., None].repeat(3, axis=2)
    found = compared(jpeg(red, 90), jpeg(grey, 85))
    assert (found.kind, found.changes) == ("edit", ("grey",))
    darker = np.where(grey < 200, grey * 0.75, grey).astype(np.uint8)
    assert compared(jpeg(red, 90), jpeg(darker, 85)).kind == "near"


def test_a_frame_of_a_video_is_no_copy_of_a_photo() -> None:
    photo = compared_file(scene(1))
    frame = replace(photo, part="frame of a video")
    assert compare_files(photo, photo).kind == "copy"
    for one, other in ((photo, frame), (frame, photo), (frame, frame)):
        found = compare_files(one, other)
        assert (found.kind, found.evidence) == ("near", "a frame of a video shows the same")


def test_a_sharpened_photo_with_saturated_detail_is_a_copy() -> None:
    image = Image.fromarray(scene(3, width=480, height=360))
    draw = ImageDraw.Draw(image)
    for number in range(6):
        x, y = 30 + 70 * number, 60 + 40 * number
        for step in range(0, 24, 4):
            draw.line([x + step, y, x + step, y + 24], fill=(255, 0, 0))
    image = image.filter(ImageFilter.GaussianBlur(1))
    sharp = image.filter(ImageFilter.UnsharpMask(3, 150, 2))
    found = compared(jpeg(np.asarray(image), 95), jpeg(np.asarray(sharp), 85))
    assert (found.kind, found.changes) == ("copy", ())


@pytest.mark.parametrize("shape", [(40, 130), (26, 90), (20, 110)])
def test_one_person_more_is_not_letters_over_an_image(shape: tuple[int, int]) -> None:
    width, height = shape
    image = Image.fromarray(scene(1, width=480, height=360))
    ImageDraw.Draw(image).rectangle([200, 150, 200 + width, 150 + height], fill=(230, 40, 200))
    assert compared(scene(1, width=480, height=360), np.asarray(image)).kind == "near"


@pytest.mark.parametrize("ground", [(255, 255, 255), (20, 20, 20)])
def test_cuts_through_which_the_ground_shows_are_not_letters_over_an_image(
    ground: tuple[int, int, int],
) -> None:
    noise = cv2.GaussianBlur(np.random.default_rng(4).normal(size=(400, 360, 3)), (0, 0), 5)
    fabric = Image.fromarray((128 + 900 * noise).clip(40, 215).astype(np.uint8))

    def article(cuts: str) -> Pixels:
        image = Image.new("RGB", (480, 480), ground)
        image.paste(fabric, (60, 40))
        for row in range(3):
            ImageDraw.Draw(image).text((90, 70 + 120 * row), cuts, fill=ground, font_size=52)
        return np.asarray(image)

    assert compared(article(""), article("lace lace")).kind == "near"


def article(*texts: tuple[int, int, str], beads: bool = False) -> Pixels:
    """An article before a white ground; texts at (x, y), or beads beside it."""
    noise = cv2.GaussianBlur(np.random.default_rng(4).normal(size=(240, 240, 3)), (0, 0), 1.5)
    image = Image.new("RGB", (480, 400), WHITE)
    image.paste(Image.fromarray((150 + 150 * noise).clip(70, 215).astype(np.uint8)), (120, 40))
    draw = ImageDraw.Draw(image)
    for x, y, text in texts:
        draw.text((x, y), text, fill=INK, font_size=30)
    for x in range(40, 440, 22) if beads else ():
        draw.ellipse([x, 320, x + 14, 334], fill=INK)
    return jpeg(np.asarray(image), 85)


def test_a_caption_of_an_article_on_white_is_an_edit_but_another_article_is_not() -> None:
    name = (100, 320, "Summer collection")
    for captioned in (article(name), article((60, 230, "Summer collection 28"))):
        found = compared(article(), captioned)
        assert (found.kind, found.changes) == ("edit", ("lettered",))
    for one, other in (
        (article(), article((130, 120, "Summer tour"))),  # printed on it
        (article(), article(beads=True)),
        (article(name), article(name, (100, 360, "reduced to 19.99"))),
        (article(name), article((100, 320, "Winter collection"))),
    ):
        assert compared(one, other).kind == "near"


def trousers(scale: float, stripes: int = 0) -> Pixels:
    image = Image.new("RGB", (218, 255), WHITE)
    right = np.array([(28, 0), (38, 225), (16, 225), (0, 70)]) * scale
    outline = np.concatenate([right, right[::-1] * (-1, 1)]) + np.array([109, 20])
    ImageDraw.Draw(image).polygon(outline.ravel().tolist(), fill=(35, 35, 38))
    pixels = np.array(image)
    striped = (np.indices(pixels.shape[:2]).sum(axis=0) // max(1, stripes)) % 2 == 1
    pixels[striped & (pixels[..., 0] < 100) & (stripes > 0)] = (220, 215, 210)
    return jpeg(pixels, 85)


def test_alignments_that_lead_to_nothing_are_no_evidence() -> None:
    assert compared(trousers(0.9, stripes=2), trousers(1.0)).kind not in ("copy", "edit")


def test_another_end_of_a_panorama_is_not_letters_over_it() -> None:
    noise = np.random.default_rng(8).normal(size=(300, 1500, 3))
    photo = (128 + 700 * cv2.GaussianBlur(noise, (0, 0), 4)).clip(20, 185).astype(np.uint8)
    other, changed = photo.copy(), np.zeros((300, 1500), bool)
    changed[:, 1260:] = True
    other[changed & (cv2.GaussianBlur(noise, (0, 0), 3)[..., 1] > -0.06)] = (215, 215, 215)
    one, two = (np.asarray(image.mean(axis=2), np.float32) for image in (photo, other))
    assert not is_overlay(photo, other, one, two, changed, np.ones_like(changed))


@pytest.mark.parametrize(("shift", "kind"), [(0, "edit"), (30, "near")])
def test_a_palette_is_an_edit_but_another_color_in_a_part_is_another_image(
    shift: int, kind: str
) -> None:
    image = np.asarray(photo())
    other = image.astype(np.int16)
    other[100:116, 60:76] += np.array([shift, -shift, shift], np.int16)
    palette = Image.fromarray(other.clip(0, 255).astype(np.uint8)).quantize(256)
    found = compared(image, np.asarray(palette.convert("RGB")))
    assert found.kind == kind


def test_a_small_part_of_another_color_makes_another_image() -> None:
    image = cv2.GaussianBlur(scene(2, width=320, height=240), (0, 0), 2)
    other = (image * 0.5 + 60).astype(np.uint8)
    image = other.copy()
    other[100:106, 60:66] += np.array([45, 225, 40], np.uint8)  # 31 less green: as light as before
    assert compared(image, other).kind == "near"
    assert compared(image, jpeg(image, 30)).kind == "copy"


def test_lines_over_an_image_are_an_edit_of_it() -> None:
    noise = np.random.default_rng(8).normal(size=(400, 600, 3))
    photo = (128 + 700 * cv2.GaussianBlur(noise, (0, 0), 4)).clip(20, 215).astype(np.uint8)
    image = Image.fromarray(photo)
    ImageDraw.Draw(image).ellipse([120, 60, 460, 330], outline=(255, 0, 0), width=9)
    found = compared(photo, np.asarray(image))
    assert (found.kind, found.changes) == ("edit", ("lettered",))


def test_small_text_that_differs_in_lossless_screenshots_makes_other_images() -> None:
    def screenshot(line: str) -> Pixels:
        image = Image.new("RGB", (1280, 720), (30, 30, 30))
        draw = ImageDraw.Draw(image)
        for row in range(36):
            text = line if row == 20 else f"value_{row} = compute({row * 37 % 100})  # step {row}"
            draw.text((40, 14 + 19 * row), text, fill=(212, 212, 212), font_size=12)
        return np.asarray(image)

    images = [screenshot(f"if x < {number}: return") for number in (10, 16, 18)]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert compared(images[one], images[other]).kind == "near"
    assert compared(images[0], images[0].copy()).kind == "copy"


@pytest.mark.parametrize(("height", "light", "kind"), [(1.0, 0.8, "edit"), (1.06, 0.8, "near")])
def test_another_view_in_another_light_is_no_edit(height: float, light: float, kind: str) -> None:
    """A crop may be darker; one that is also stretched is taken for another view of the subject."""
    image = scene(3, width=480, height=360)
    crop = image[30:330, 40:440]
    other = cv2.resize(crop, (400, round(300 * height)), interpolation=cv2.INTER_AREA)
    other = np.asarray((other * light).round(), np.uint8)
    assert compared(image, other).kind == kind
