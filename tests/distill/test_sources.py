"""Training pictures: read in place, cut and drawn the same way in every run."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tools.distill.augment import damaged, framed, turned_crop, written_over
from tools.distill.cutouts import cutout
from tools.distill.sources import fitted, photo_paths, photo_views, random_piece, tiny_imagenet


def encoded(color: tuple[int, int, int], side: int = 64) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (side, side), color).save(stream, "PNG")
    return stream.getvalue()


def test_tiny_imagenet_is_read_from_its_zips_with_sorted_classes(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "train-0.zip", "w") as archive:
        archive.writestr("n02/b.png", encoded((0, 0, 255)))
    with zipfile.ZipFile(tmp_path / "train-1.zip", "w") as archive:
        archive.writestr("n01/a.png", encoded((255, 0, 0)))
        archive.writestr("notes.txt", "not a picture")
    pixels, labels, names = tiny_imagenet(tmp_path)
    assert names == ["n01", "n02"]
    assert labels.tolist() == [1, 0]
    assert pixels[:, 5, 5].tolist() == [[0, 0, 255], [255, 0, 0]]


def test_a_folder_without_zips_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no zip of Tiny ImageNet"):
        tiny_imagenet(tmp_path)


def test_zips_without_pictures_say_so(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "train-0.zip", "w") as archive:
        archive.writestr("notes.txt", "not a picture")
    with pytest.raises(FileNotFoundError, match="no pictures in the zips"):
        tiny_imagenet(tmp_path)


def test_photos_are_found_in_the_same_order_every_time(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.PNG", "note.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [p.name for p in photo_paths([tmp_path])] == ["a.PNG", "b.jpg"]


def test_a_picture_is_squeezed_whole_into_the_square() -> None:
    halves = np.zeros((40, 80, 3), np.uint8)
    halves[:, 40:] = 200
    small = fitted(halves, 10)
    assert small.shape == (10, 10, 3)
    assert (small[:, :5] == 0).all()
    assert (small[:, 5:] == 200).all()


def test_the_same_seed_cuts_the_same_views(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "p.png")
    first = list(photo_views(tmp_path / "p.png", views=4, seed=7))
    again = list(photo_views(tmp_path / "p.png", views=4, seed=7))
    assert [v.shape for v in first] == [(224, 224, 3)] * 4
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert not (first[2] == first[3]).all()


def test_random_pieces_keep_to_their_share_of_the_area() -> None:
    rng = np.random.default_rng(3)
    picture = np.zeros((200, 200, 3), np.uint8)
    shares = [
        random_piece(picture, rng, smallest=0.1, largest=0.5).size / picture.size
        for _ in range(100)
    ]
    assert 0.09 < min(shares) < max(shares) < 0.51


def test_cutouts_are_pictures_of_one_thing_on_a_ground_and_repeat_by_seed() -> None:
    texture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    drawn = [cutout(texture, np.random.default_rng(seed)) for seed in range(20)]
    assert all(picture.shape == (224, 224, 3) and picture.dtype == np.uint8 for picture in drawn)
    assert all(picture.std() > 1 for picture in drawn)
    np.testing.assert_array_equal(drawn[4], cutout(texture, np.random.default_rng(4)))


def test_damage_keeps_the_size_and_repeats_by_seed() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    for seed in range(60):
        edited = damaged(picture, np.random.default_rng(seed), size=48)
        assert edited.shape == (48, 48, 3)
        assert edited.dtype == np.uint8
        np.testing.assert_array_equal(
            edited, damaged(picture, np.random.default_rng(seed), size=48)
        )


def test_a_crop_of_a_plain_picture_is_plain() -> None:
    plain = np.full((64, 64, 3), (10, 120, 240), np.uint8)
    snapshot = turned_crop(plain, np.random.default_rng(5), size=32, smallest=0.4)
    assert (snapshot == (10, 120, 240)).all()


def test_a_frame_lies_outside_and_text_changes_only_some_pixels() -> None:
    plain = np.full((64, 64, 3), 128, np.uint8)
    edged = framed(plain, np.random.default_rng(0))
    assert (edged[32, 32] == 128).all()
    assert not (edged[0] == 128).all()
    lettered = written_over(plain, np.random.default_rng(0))
    assert 0 < (lettered != 128).any(axis=2).mean() < 0.6
    assert (plain == 128).all()
