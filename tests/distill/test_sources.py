"""Training images: read, cropped and drawn the same way in every run."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tools.distill.augment import add_frame, add_text, augment, random_view
from tools.distill.sources import (
    Photo,
    add_bars,
    choose_views,
    find_photos,
    make_view,
    random_crop,
    read_photo,
    stretch,
)

from lookalike.errors import UsageError


def png(color: tuple[int, int, int], side: int = 64) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (side, side), color).save(stream, "PNG")
    return stream.getvalue()


def test_photos_are_found_in_folders_and_zip_files_in_the_same_order_every_time(
    tmp_path: Path,
) -> None:
    for name in ("b.jpg", "a.PNG", "note.txt"):
        (tmp_path / name).write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("n01/a.png", png((255, 0, 0)))
        archive.writestr("notes.txt", "not an image")
    found = find_photos(tmp_path)
    assert [(p.file.name, p.member) for p in found] == [
        ("a.PNG", ""),
        ("b.jpg", ""),
        ("c.zip", "n01/a.png"),
    ]
    assert find_photos(tmp_path / "c.zip") == found[2:]
    assert read_photo(found[2])[5, 5].tolist() == [255, 0, 0]


def test_a_folder_without_photos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no photos in"):
        find_photos(tmp_path)


def test_transparent_photos_are_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(tmp_path / "a.png")
    assert (read_photo(Photo(tmp_path / "a.png")) == 255).all()


def test_every_photo_is_seen_before_any_is_seen_again(tmp_path: Path) -> None:
    for number in range(5):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{number}.png")
    views = choose_views([(tmp_path, 7)])
    assert sorted(number for _, number in views) == [0] * 5 + [1] * 2
    assert len({photo for photo, number in views if number == 0}) == 5
    assert views == choose_views([(tmp_path, 7)])
    assert len(choose_views([(tmp_path, None)])) == 10


def test_an_image_is_stretched_to_the_square() -> None:
    halves = np.zeros((40, 80, 3), np.uint8)
    halves[:, 40:] = 200
    small = stretch(halves, 10)
    assert small.shape == (10, 10, 3)
    assert (small[:, :5] == 0).all()
    assert (small[:, 5:] == 200).all()


def test_the_same_seed_gives_the_same_view() -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    views = [make_view(image, np.random.default_rng(seed)) for seed in range(40)]
    again = [make_view(image, np.random.default_rng(seed)) for seed in range(40)]
    assert all((a == b).all() for a, b in zip(views, again, strict=True))
    shapes = {view.shape[:2] for view in views}
    assert {(90, 120), (120, 120), (90, 90)} < shapes


def test_crops_keep_enough_pixels() -> None:
    rng = np.random.default_rng(3)
    for height, width, least in ((64, 64, 0.5), (600, 800, 0.07), (1600, 1600, 0.05)):
        image = np.zeros((height, width, 3), np.uint8)
        shares = [random_crop(image, rng).size / image.size for _ in range(200)]
        assert least < min(shares) < max(shares) <= 1


def test_bars_make_a_square() -> None:
    image = np.full((10, 30, 3), 128, np.uint8)
    square = add_bars(image, np.random.default_rng(1))
    assert square.shape == (30, 30, 3)
    assert (square[10:20] == 128).all()


def test_augmentation_keeps_the_size_and_repeats_by_seed() -> None:
    image = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    for seed in range(60):
        edited = augment(image, np.random.default_rng(seed), size=48)
        assert edited.shape == (48, 48, 3)
        assert edited.dtype == np.uint8
        np.testing.assert_array_equal(edited, augment(image, np.random.default_rng(seed), size=48))


def test_a_view_of_a_plain_image_is_plain() -> None:
    plain = np.full((64, 64, 3), (10, 120, 240), np.uint8)
    view = random_view(plain, np.random.default_rng(5), size=32)
    assert (view == (10, 120, 240)).all()


def test_a_frame_changes_the_border_and_text_only_some_pixels() -> None:
    plain = np.full((64, 64, 3), 128, np.uint8)
    edged = add_frame(plain, np.random.default_rng(0))
    assert (edged[32, 32] == 128).all()
    assert not (edged[0] == 128).all()
    lettered = add_text(plain, np.random.default_rng(0))
    assert 0 < (lettered != 128).any(axis=2).mean() < 0.6
    assert (plain == 128).all()
