"""Geometric verification finds the image that a part was cut from, and where."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike import Library, Query
from lookalike.errors import UsageError
from lookalike.query import Term


def textured(seed: int) -> Image.Image:
    """Draw an image full of corners, different for each seed, all with the same colours."""
    rng = np.random.default_rng(seed)
    tiles = rng.integers(0, 2, (24, 32), np.uint8) * 200 + rng.integers(0, 40, (24, 32), np.uint8)
    return Image.fromarray(tiles).resize((480, 360), Image.Resampling.BICUBIC).convert("RGB")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder = tmp_path_factory.mktemp("verifying") / "photos"
    folder.mkdir()
    for seed in range(12):
        textured(seed).save(folder / f"{seed:02d}.jpg", quality=92)
    with Library.create(folder) as library:
        library.add([folder], extractors=["histogram"])
        yield library


def verified(image: Image.Image, **flags: object) -> Query:
    pixels = np.asarray(image)
    return Query((Term(image=pixels),), k=3, verify="orb", **flags)  # type: ignore[arg-type]


def test_a_rotated_and_shrunk_part_finds_its_image_first_and_locates_it(library: Library) -> None:
    part = textured(7).crop((120, 90, 420, 330)).rotate(15, expand=True).resize((260, 220))
    hit = library.search(verified(part)).hits[0]
    assert hit.path == "07.jpg" and hit.inliers >= 10
    assert hit.box is not None
    x, y, width, height = hit.box
    # The part lies at (0.25, 0.25), 0.625 wide and 0.667 tall; keypoints end a little inside of it.
    assert (x, y) == pytest.approx((0.25, 0.25), abs=0.1)
    assert (x + width, y + height) == pytest.approx((0.875, 0.917), abs=0.1)


def test_unverified_images_follow_in_their_order_without_a_box(
    library: Library,
) -> None:
    plain = library.search(Query.of(np.asarray(textured(7)), k=12))
    hits = library.search(verified(textured(7))).hits
    assert [hit.path for hit in hits[1:]] == [h.path for h in plain.hits if h.path != "07.jpg"][:2]
    assert all(hit.box is None and hit.inliers == 0 for hit in hits[1:])


def test_a_mirrored_image_is_verified_only_with_any_orientation(
    library: Library,
) -> None:
    mirrored = textured(3).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert all(hit.inliers == 0 for hit in library.search(verified(mirrored)).hits)
    hit = library.search(verified(mirrored, any_orientation=True)).hits[0]
    assert hit.path == "03.jpg" and hit.inliers >= 10


def test_a_missing_image_is_not_verified_and_stays_a_hit(tmp_path: Path) -> None:
    for seed in range(2):
        textured(seed).save(tmp_path / f"{seed}.png")
    with Library.create(tmp_path) as library:
        library.add([tmp_path], extractors=["histogram"])
        (tmp_path / "0.png").unlink()
        hits = library.search(verified(textured(0))).hits
        assert {hit.path for hit in hits} == {"0.png", "1.png"}
        assert all(hit.inliers == 0 for hit in hits)


def test_text_alone_cannot_be_verified(library: Library) -> None:
    with pytest.raises(UsageError, match=r"captions|needs an image"):
        library.search(Query((Term(text="red"),), verify="orb"))
