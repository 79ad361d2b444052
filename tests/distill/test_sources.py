"""Training images: read, cropped and drawn the same way in every run."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tools.distill.augment import add_frame, add_text, augment, random_view
from tools.distill.cutouts import cutout
from tools.distill.sources import photo_paths, photo_views, random_crop, stretch, tiny_imagenet


def png(color: tuple[int, int, int], side: int = 64) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (side, side), color).save(stream, "PNG")
    return stream.getvalue()


def test_tiny_imagenet_is_read_from_zip_files_with_sorted_classes(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "train-0.zip", "w") as archive:
        archive.writestr("n02/b.png", png((0, 0, 255)))
    with zipfile.ZipFile(tmp_path / "train-1.zip", "w") as archive:
        archive.writestr("n01/a.png", png((255, 0, 0)))
        archive.writestr("notes.txt", "not an image")
    pixels, labels, names = tiny_imagenet(tmp_path)
    assert names == ["n01", "n02"]
    assert labels.tolist() == [1, 0]
    assert pixels[:, 5, 5].tolist() == [[0, 0, 255], [255, 0, 0]]


def test_a_folder_without_zip_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no zip file of Tiny ImageNet"):
        tiny_imagenet(tmp_path)


def test_zip_files_without_images_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "train-0.zip", "w") as archive:
        archive.writestr("notes.txt", "not an image")
    with pytest.raises(FileNotFoundError, match="no images in the zip files"):
        tiny_imagenet(tmp_path)


def test_photos_are_found_in_the_same_order_every_time(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.PNG", "note.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [p.name for p in photo_paths([tmp_path])] == ["a.PNG", "b.jpg"]


def test_an_image_is_stretched_to_the_square() -> None:
    halves = np.zeros((40, 80, 3), np.uint8)
    halves[:, 40:] = 200
    small = stretch(halves, 10)
    assert small.shape == (10, 10, 3)
    assert (small[:, :5] == 0).all()
    assert (small[:, 5:] == 200).all()


def test_the_same_seed_gives_the_same_views(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "p.png")
    first = list(photo_views(tmp_path / "p.png", views=4, seed=7))
    again = list(photo_views(tmp_path / "p.png", views=4, seed=7))
    assert [v.shape for v in first] == [(260, 260, 3)] * 4
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert not (first[2] == first[3]).all()


def test_random_crops_have_the_share_of_the_area() -> None:
    rng = np.random.default_rng(3)
    image = np.zeros((200, 200, 3), np.uint8)
    shares = [
        random_crop(image, rng, smallest=0.1, largest=0.5).size / image.size for _ in range(100)
    ]
    assert 0.09 < min(shares) < max(shares) < 0.51


def test_cutouts_repeat_by_seed() -> None:
    texture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    drawn = [cutout(texture, np.random.default_rng(seed)) for seed in range(20)]
    assert all(image.shape == (260, 260, 3) and image.dtype == np.uint8 for image in drawn)
    assert all(image.std() > 1 for image in drawn)
    np.testing.assert_array_equal(drawn[4], cutout(texture, np.random.default_rng(4)))


def test_augmentation_keeps_the_size_and_repeats_by_seed() -> None:
    image = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    for seed in range(60):
        edited = augment(image, np.random.default_rng(seed), size=48)
        assert edited.shape == (48, 48, 3)
        assert edited.dtype == np.uint8
        np.testing.assert_array_equal(edited, augment(image, np.random.default_rng(seed), size=48))


def test_a_view_of_a_plain_image_is_plain() -> None:
    plain = np.full((64, 64, 3), (10, 120, 240), np.uint8)
    view = random_view(plain, np.random.default_rng(5), size=32, smallest=0.4)
    assert (view == (10, 120, 240)).all()


def test_a_frame_changes_the_border_and_text_only_some_pixels() -> None:
    plain = np.full((64, 64, 3), 128, np.uint8)
    edged = add_frame(plain, np.random.default_rng(0))
    assert (edged[32, 32] == 128).all()
    assert not (edged[0] == 128).all()
    lettered = add_text(plain, np.random.default_rng(0))
    assert 0 < (lettered != 128).any(axis=2).mean() < 0.6
    assert (plain == 128).all()
