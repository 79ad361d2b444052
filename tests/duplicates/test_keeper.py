"""Which of several copies is kept: the original, not what was made of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image
from tests.duplicates.image_builders import photo

from lookalike import Library
from lookalike.duplicates.detail import measure
from lookalike.duplicates.report import Group
from lookalike.errors import UsageError

Make = Callable[[Image.Image], Image.Image]


def exif() -> Image.Exif:
    tags = Image.Exif()
    tags[271], tags[272] = "Canon", "Canon EOS"
    tags.get_ifd(0x8769)[36867] = "2019:07:14 12:20:56"
    return tags


def enlarged(image: Image.Image) -> Image.Image:
    return image.resize((image.width * 2, image.height * 2), Image.Resampling.BICUBIC)


def repeated(image: Image.Image) -> Image.Image:
    return image.resize((image.width * 2, image.height * 2), Image.Resampling.NEAREST)


def halved(image: Image.Image) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2))


def same(image: Image.Image) -> Image.Image:
    return image


def blurred(image: Image.Image) -> Image.Image:
    return halved(halved(image)).resize(image.size, Image.Resampling.BICUBIC)


def grey(image: Image.Image) -> Image.Image:
    return image.convert("L").convert("RGB")


def reduced(image: Image.Image) -> Image.Image:
    return image.quantize(256)


def dithered(image: Image.Image) -> Image.Image:
    return image.convert("P")


def group_of(folder: Path, *, prefer: tuple[Path, ...] = ()) -> Group:
    with Library.create(folder) as library:
        library.add([folder], extractors=["phash", "dhash"])
        [group] = library.duplicates(prefer=prefer).groups
    return group


@pytest.mark.parametrize(
    ("original", "copy", "make", "reason"),
    [
        ("a.jpg", "b.jpg", halved, "more detail"),
        ("a.jpg", "b.png", blurred, "more detail"),
        ("a.jpg", "b.jpg", grey, "in color"),
        ("a.jpg", "b.png", enlarged, "others were enlarged from it"),
        ("a.jpg", "b.jpg", repeated, "others were enlarged from it"),
        ("b.png", "a.jpg", same, "lossless"),
        ("a.jpg", "b.png", same, "JPEG, from which others were converted"),
        ("a.jpg", "b.bmp", same, "JPEG, from which others were converted"),
        ("a.jpg", "b.png", reduced, "JPEG, from which others were converted"),
        ("a.jpg", "b.png", dithered, "JPEG, from which others were converted"),
        ("a.jpg", "b.gif", reduced, "JPEG, from which others were converted"),
    ],
)
def test_the_source_is_kept(
    tmp_path: Path, original: str, copy: str, make: Make, reason: str
) -> None:
    photo().save(tmp_path / original, quality=92)
    with Image.open(tmp_path / original) as image:
        make(image.convert("RGB")).save(tmp_path / copy, quality=95)
    for file in (original, copy):
        os.utime(tmp_path / file, (1.5e9, 1.5e9))
    group = group_of(tmp_path)
    assert (group.best.image.path, group.best.reason) == (original, reason)
    assert [member.image.path for member in group.spare] == (
        [] if make in (grey, reduced) else [copy]
    )


def test_a_lossless_edit_is_not_kept_before_its_older_source(tmp_path: Path) -> None:
    photo().save(tmp_path / "source.jpg", quality=90)
    os.utime(tmp_path / "source.jpg", (1e9, 1e9))
    photo().point(lambda value: round(value * 0.8)).save(tmp_path / "darker.png")
    group = group_of(tmp_path)
    assert (group.best.image.path, group.best.reason) == ("source.jpg", "the older file")


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_the_camera_file_is_kept(tmp_path: Path, suffix: str) -> None:
    pillow_heif.from_pillow(photo()).save(tmp_path / "b.heic", quality=80, exif=exif().tobytes())
    photo().save(tmp_path / f"a{suffix}")
    group = group_of(tmp_path)
    assert group.best.image.path == "b.heic"
    assert group.best.reason == "the camera's original (Canon EOS, 2019-07-14)"


def test_the_older_file_is_kept_and_a_preferred_folder_comes_first(tmp_path: Path) -> None:
    photo().save(tmp_path / "new.jpg")
    (tmp_path / "old").mkdir()
    shutil.copy(tmp_path / "new.jpg", tmp_path / "old" / "a.jpg")
    os.utime(tmp_path / "old" / "a.jpg", (1e9, 1e9))
    halved(photo()).save(tmp_path / "small.jpg")
    group = group_of(tmp_path)
    assert group.best.image.path == "old/a.jpg"
    assert group.best.reason == "more detail; the older file"
    (tmp_path / "picked").mkdir()
    (tmp_path / "small.jpg").rename(tmp_path / "picked" / "small.jpg")
    group = group_of(tmp_path, prefer=(tmp_path / "picked",))
    assert group.best.image.path == "picked/small.jpg"
    assert "as preferred" in group.best.reason and len(group.spare) == 2
    with pytest.raises(UsageError, match="pickt"):
        group_of(tmp_path, prefer=(tmp_path / "pickt",))


def test_a_file_with_more_detail_than_the_camera_file_stays(tmp_path: Path) -> None:
    photo().save(tmp_path / "a.jpg", quality=95)
    halved(photo()).save(tmp_path / "b.jpg", quality=95, exif=exif())
    group = group_of(tmp_path)
    assert group.best.image.path == "b.jpg" and not group.spare
    assert group.members[1].reason == "stays: more detail"


def test_enlarging_adds_pixels_but_no_detail() -> None:
    detail = measure(np.asarray(photo()))
    larger = measure(np.asarray(enlarged(photo())))
    assert detail.filled == 1 and larger.filled <= 0.5
    assert larger.pixels == pytest.approx(detail.pixels, rel=0.2)
