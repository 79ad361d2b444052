"""The simulated catalogue is deterministic, complete and well formed."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import asdict, fields, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from lookalike.catalogue.generate import Row, draw_query, write_catalogue
from lookalike.catalogue.patterns import LOGOS, PATTERNS, logo_outlines, pattern_mask
from lookalike.catalogue.products import KINDS, make_product
from lookalike.catalogue.scene import make_view, render_view
from lookalike.catalogue.shapes import draw_product


def _read(file: Path) -> npt.NDArray[np.uint8]:
    image = cv2.imread(str(file))
    return np.asarray(image, np.uint8)[..., ::-1]


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Row]]:
    """Return a small catalogue: two products of every kind in three views each."""
    folder = tmp_path_factory.mktemp("shop")
    return folder, write_catalogue(folder, products=2 * len(KINDS), views=3, size=64)


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_catalogue(tmp_path / name, products=3, views=3, seed=5, size=64)
    assert _digests(tmp_path / "one") == _digests(tmp_path / "two")


def test_writing_again_over_the_same_folder_changes_nothing(tmp_path: Path) -> None:
    write_catalogue(tmp_path, products=2, views=2, size=64)
    before = _digests(tmp_path)
    write_catalogue(tmp_path, products=2, views=2, size=64)
    assert _digests(tmp_path) == before


def test_more_products_and_more_views_change_no_earlier_image(
    tmp_path: Path, shop: tuple[Path, list[Row]]
) -> None:
    write_catalogue(tmp_path, products=2, views=2, size=64)
    fewer, more = _digests(tmp_path), _digests(shop[0])
    del fewer["products.csv"]
    assert len(fewer) == 4
    assert fewer.items() <= more.items()


def test_another_seed_gives_other_products_and_other_images(tmp_path: Path) -> None:
    rows = [
        write_catalogue(tmp_path / str(s), products=4, views=1, seed=s, size=64) for s in (0, 1)
    ]
    assert [r.caption for r in rows[0]] != [r.caption for r in rows[1]]
    images = [{v for k, v in _digests(tmp_path / s).items() if k[-3:] == "jpg"} for s in "01"]
    assert not images[0] & images[1]


def test_every_kind_appears(shop: tuple[Path, list[Row]]) -> None:
    assert {row.kind for row in shop[1]} == set(KINDS)


def test_the_table_lists_exactly_the_images_on_disk(shop: tuple[Path, list[Row]]) -> None:
    folder, rows = shop
    with (folder / "products.csv").open(newline="") as lines:
        listed = list(csv.DictReader(lines))
    assert list(listed[0]) == [f.name for f in fields(Row)]
    assert [r["path"] for r in listed] == [row.path for row in rows]
    assert sorted(r["path"] for r in listed) == sorted(
        p.relative_to(folder).as_posix() for p in folder.rglob("*.jpg")
    )
    first = {k: str(v) for k, v in asdict(rows[0]).items()}
    assert listed[0] == first | {"price": f"{rows[0].price:.2f}"}


def test_no_half_written_file_is_left(shop: tuple[Path, list[Row]]) -> None:
    assert {p.suffix for p in shop[0].rglob("*") if p.is_file()} == {".jpg", ".csv"}


def test_images_have_the_requested_size(shop: tuple[Path, list[Row]]) -> None:
    folder, rows = shop
    for row in rows[::17]:
        assert _read(folder / row.path).shape == (64, 64, 3)


def test_captions_name_the_kind_the_colours_and_the_logo() -> None:
    for number in range(3 * len(KINDS)):
        product = make_product(number)
        for word in (product.kind, product.colour, product.logo, product.logo_colour):
            assert word in product.caption
        assert (product.pattern == "plain") or product.accent in product.caption
        article, following = product.caption.split()[:2]
        assert (article == "an") == (following[0] in "aeiou")


def test_a_caption_reads_naturally() -> None:
    captions = {make_product(n).caption for n in range(200)}
    mugs = [c for c in captions if c.split(" with ")[0].endswith(" mug")]
    assert mugs
    assert all(c.startswith(("a ", "an ")) and c.count(" with ") == 1 for c in mugs)


def test_prices_lie_in_the_range_of_their_kind() -> None:
    for number in range(200):
        product = make_product(number)
        low, high, _ = KINDS[product.kind]
        assert low - 1 <= product.price <= high + 1


def test_the_first_view_is_the_plain_studio_image() -> None:
    image = draw_query(1, 0, size=64)
    assert make_view(1, 0).background == "studio"
    assert image[:8, :8].min() > 190


def _histogram(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Return the joint RGB histogram of the centre: 6 bins per channel, unit length."""
    edge = len(image) // 5
    middle = image[edge:-edge, edge:-edge].reshape(-1, 3) // 43
    counts = np.bincount(middle @ (36, 6, 1), minlength=216).astype(float) ** 0.5
    return counts / np.linalg.norm(counts)


def test_a_held_out_view_is_new_but_nearer_to_its_own_product_than_to_most(
    shop: tuple[Path, list[Row]],
) -> None:
    folder, rows = shop
    stored = [_read(folder / row.path) for row in rows]
    vectors = np.stack([_histogram(image) for image in stored])
    products = np.array([row.product for row in rows])
    better = []
    for number in range(2 * len(KINDS)):
        query = draw_query(number, 3, size=64)
        assert not any(np.array_equal(query, image) for image in stored)
        near = vectors @ _histogram(query)
        own = near[products == f"p{number:04d}"].max()
        others = [near[products == p].max() for p in set(products) if p != f"p{number:04d}"]
        better.append(np.mean(own > np.array(others)))
    # Backgrounds and light make single queries hard; without structure the mean would be 0.5.
    assert np.mean(better) > 0.8


def test_views_of_one_product_differ_from_each_other() -> None:
    images = [draw_query(3, view, size=64).astype(int) for view in range(5)]
    for i, one in enumerate(images):
        for other in images[:i]:
            assert np.abs(one - other).mean() > 3


@pytest.mark.parametrize("number", range(len(KINDS)))
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_product_fills_a_reasonable_part_of_its_canvas_and_is_not_cut_off(
    number: int, seed: int
) -> None:
    sprite = draw_product(make_product(number, seed=seed), size=64)
    assert 32 < max(sprite.alpha.shape) < 64
    assert 0.04 < float(sprite.alpha.sum()) / 64**2 < 0.75
    assert np.isfinite(sprite.colour).all()
    np.testing.assert_allclose((sprite.normal**2).sum(0), 1, atol=0.1)


def test_images_can_be_rendered_at_other_sizes_from_the_same_decisions() -> None:
    small = draw_query(2, 1, size=64).astype(float)
    large = draw_query(2, 1, size=128)
    shrunk = cv2.resize(large, (64, 64), interpolation=cv2.INTER_AREA).astype(float)
    # Grain and noise differ, but the scene is the same.
    assert np.corrcoef(small.ravel(), shrunk.ravel())[0, 1] > 0.8


def test_light_from_the_left_makes_the_left_brighter() -> None:
    sprite = draw_product(make_product(1), size=64)
    view = make_view(1, 0)
    left = render_view(sprite, view, size=64).astype(int)
    right = render_view(
        sprite, replace(view, light=(-view.light[0], *view.light[1:])), size=64
    ).astype(int)
    change = (left - right)[24:40]
    body = change[:, 12:46].mean(axis=(0, 2))
    assert body[:10].mean() > body[-10:].mean()


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_pattern_but_plain_shows_both_colours(pattern: str) -> None:
    ink = pattern_mask(pattern, 96, pitch=0.12, phase=0.3, turn=0.0)
    assert ink.shape == (96, 96)
    assert 0 <= ink.min() <= ink.max() <= 1
    assert (0.05 < ink.mean() < 0.95) == (pattern != "plain")


@pytest.mark.parametrize("logo", LOGOS)
def test_every_logo_fits_its_circle(logo: str) -> None:
    for outline in logo_outlines(logo, 0.5, 0.5, 0.25):
        assert np.linalg.norm(outline - 0.5, axis=1).max() <= 0.25 * 1.45
        assert np.abs(outline - 0.5).max() <= 0.25 * 1.05


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"products": 0}, "at least 1 product"),
        ({"views": 0}, "at least 1 view"),
        ({"size": 31}, "31"),
        ({"size": 100_000}, "100000"),
        ({"seed": -1}, "seed"),
    ],
)
def test_invalid_arguments_are_refused_before_anything_is_written(
    tmp_path: Path, arguments: dict[str, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        write_catalogue(tmp_path / "shop", **arguments)  # type: ignore[arg-type]
    assert not (tmp_path / "shop").exists()


def test_negative_product_and_view_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="product number"):
        make_product(-1)
    with pytest.raises(ValueError, match="view number"):
        draw_query(0, -1)


def test_progress_is_reported_for_every_image(tmp_path: Path) -> None:
    reported: list[tuple[int, int]] = []
    write_catalogue(
        tmp_path, products=2, views=2, size=32, progress=lambda *now: reported.append(now)
    )
    assert reported == [(1, 4), (2, 4), (3, 4), (4, 4)]
