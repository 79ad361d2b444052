"""Explanations of matches, on images with a known common part."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike import Library
from lookalike.catalogue.generate import draw_query
from lookalike.errors import UsageError
from lookalike.explain.attribution import ablation_drops, shape_heatmap, shared_colours
from lookalike.explain.explainer import Explainer
from lookalike.explain.image_views import visible_frame
from lookalike.explain.match import Explanation
from lookalike.explain.occlusion import cell_means
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.vectors.similarity import cosine

SIDE = 192


def scene(seed: int, *, at: tuple[int, int], other: tuple[int, int, int]) -> Pixels:
    """Draw a patterned square, the same in all scenes, on a noisy background of another colour."""
    rng = np.random.default_rng(seed)
    pixels = np.clip(rng.normal(0, 12, (SIDE, SIDE, 3)) + other, 0, 255).astype(np.uint8)
    square = np.random.default_rng(7)
    blocks = square.integers(0, 256, (8, 8)).repeat(12, axis=0).repeat(12, axis=1)
    y, x = at
    pixels[y : y + 96, x : x + 96] = np.stack([blocks, blocks // 3, 255 - blocks], axis=-1)
    return pixels


@pytest.fixture
def scenes() -> tuple[Pixels, Pixels]:
    """Return scenes with the square in the upper left, and in the lower right."""
    return scene(1, at=(0, 0), other=(60, 150, 60)), scene(2, at=(96, 96), other=(150, 150, 60))


@pytest.fixture(scope="module")
def explainer() -> Iterator[Explainer]:
    with Explainer() as explainer:
        yield explainer


def quarters(explanation: Explanation, side: int) -> np.ndarray:
    """Count the marked cells in each quarter of an image."""
    cells = explanation.images[side].marked
    return np.array([[cells[y : y + 4, x : x + 4].sum() for x in (0, 4)] for y in (0, 4)])


def test_a_product_on_other_ground_is_marked_on_both(explainer: Explainer) -> None:
    first = scene(1, at=(0, 0), other=(60, 150, 60))
    second = scene(2, at=(96, 96), other=(150, 150, 60))
    # A network knows things, not patterns.
    first[:96, :96] = second[96:, 96:] = draw_query(2, 0, size=96)
    found = explainer.match(first, second, extractor="lookalike")
    marked = quarters(found, 0), quarters(found, 1)
    assert marked[0][0, 0] > 0.6 * marked[0].sum()
    assert marked[1][1, 1] > 0.6 * marked[1].sum()


@pytest.mark.parametrize("extractor", ["color", "keypoints"])
def test_the_common_part_is_marked_on_both(
    explainer: Explainer, scenes: tuple[Pixels, Pixels], extractor: str
) -> None:
    found = explainer.match(*scenes, extractor=extractor)
    first, second = quarters(found, 0), quarters(found, 1)
    assert first[0, 0] > 0.6 * first.sum()
    assert second[1, 1] > 0.6 * second.sum()


@pytest.mark.parametrize(
    "extractor", ["lookalike", "color", "histogram", "shape", "pixels", "dhash", "keypoints"]
)
def test_covering_the_marked_parts_costs_more_than_covering_others(
    explainer: Explainer, extractor: str
) -> None:
    first, second = (scene(n, at=(48, 20 * n), other=(60, 90, 30 * n)) for n in (1, 2))
    found = explainer.match(first, second, extractor=extractor)
    assert found.faithfulness.marked_drop > found.faithfulness.other_drop
    assert found.faithfulness.faithful
    assert found.faithfulness.marked_share <= 0.25


@pytest.mark.parametrize("extractor", ["lookalike", "color", "shape", "pixels", "dhash"])
def test_the_similarity_is_that_of_a_search(
    explainer: Explainer, scenes: tuple[Pixels, Pixels], extractor: str, tmp_path: Path
) -> None:
    for name, pixels in zip(("a.png", "b.png"), scenes, strict=True):
        Image.fromarray(pixels).save(tmp_path / name)
    with Library.create(tmp_path) as library, Explainer(library) as within:
        library.add([tmp_path], extractors=[extractor])
        hit = library.search(tmp_path / "a.png", k=2).hits[1]
        found = within.match(tmp_path / "a.png", hit.id, extractor=extractor)
    assert found.similarity == pytest.approx(hit.similarity, abs=1e-5)


def test_the_shares_of_the_built_in_model_add_up_to_the_cosine(
    explainer: Explainer, scenes: tuple[Pixels, Pixels]
) -> None:
    found = explainer.match(*scenes, extractor="lookalike")
    assert set(found.shares) == {"network", "color"}
    assert sum(found.shares.values()) == pytest.approx(found.similarity, abs=1e-5)


def test_keypoints_match_on_the_common_part(
    explainer: Explainer, scenes: tuple[Pixels, Pixels]
) -> None:
    found = explainer.match(*scenes, extractor="keypoints")
    assert len(found.matches) >= 10
    assert "agree on one transform" in found.method
    for match in found.matches:
        centres = [box[0] + box[2] / 2 for box in (match.first, match.second)]
        assert centres[1] - centres[0] == pytest.approx(0.5, abs=0.02)


def test_patches_of_a_network_match_the_same_place_of_a_copy(explainer: Explainer) -> None:
    image = scene(3, at=(30, 60), other=(90, 60, 120))
    found = explainer.match(image, image, extractor="lookalike")
    assert len(found.matches) >= 20
    assert all(match.first == match.second for match in found.matches)


def test_shared_colours_are_returned_with_their_shares() -> None:
    red, blue, green = (200, 10, 10), (10, 10, 200), (10, 150, 10)
    first, second = np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 3), np.uint8)
    first[:], second[:] = red, blue
    first[0], second[0:2] = green, green
    (shared,) = shared_colours(first, second)
    assert shared.rgb == green
    assert (shared.first, shared.second) == (0.25, 0.5)


def test_ablation_drops_are_what_the_cosine_loses() -> None:
    rng = np.random.default_rng(0)
    vector, other, offset = rng.random((3, 5))
    for common in (np.zeros(5), offset):

        def measured(a: np.ndarray, common: np.ndarray = common) -> float:
            return cosine(a / np.linalg.norm(a) - common, other)

        found = ablation_drops(vector, other, offset=common)
        for number in range(5):
            without = vector.copy()
            without[number] = 0
            assert found[number] == pytest.approx(measured(vector) - measured(without))


def test_the_shape_heatmap_is_what_the_cosine_loses_without_a_block() -> None:
    rng = np.random.default_rng(1)
    one, two = (v / np.linalg.norm(v) for v in rng.normal(size=(2, 3780)))
    heatmap = shape_heatmap(one, two)
    for block in ((0, 0), (14, 6), (7, 2)):
        without = one.reshape(15, 7, 36).copy()
        without[block] = 0
        assert heatmap[block] == pytest.approx(one @ two - cosine(without.ravel(), two), abs=1e-6)


def test_a_colour_of_only_one_image_lowers_the_similarity(
    explainer: Explainer, scenes: tuple[Pixels, Pixels]
) -> None:
    heatmap = cell_means(explainer.match(*scenes, extractor="color").images[0].heatmap)
    assert heatmap[:4, :4].mean() > 0 > heatmap[5:, 5:].mean()


def test_the_visible_frame_is_what_the_extractor_receives() -> None:
    assert visible_frame(400, 200, PixelSpec(fit="stretch", height=96, width=96)) == (0, 0, 1, 1)
    cover = PixelSpec(fit="cover", shortest_edge=100, height=100, width=100)
    assert visible_frame(400, 200, cover) == pytest.approx((0.25, 0, 0.5, 1))
    margin = PixelSpec(fit="cover", shortest_edge=128, height=96, width=96)
    assert visible_frame(200, 200, margin) == pytest.approx((0.125, 0.125, 0.75, 0.75))


def test_an_explanation_is_json(explainer: Explainer, scenes: tuple[Pixels, Pixels]) -> None:
    found = explainer.match(*scenes, extractor="color").as_dict()
    again = json.loads(json.dumps(found))
    assert again["extractor"] == "color"
    assert np.array(again["images"][1]["heatmap"]).shape == (8, 8)
    assert again["faithfulness"]["faithful"] is True


def test_wrong_arguments_are_refused(explainer: Explainer, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot explain .*gone.jpg"):
        explainer.match(tmp_path / "gone.jpg", tmp_path / "gone.jpg")
    with pytest.raises(UsageError, match="an id needs a library"):
        explainer.match(1, 2)
    with pytest.raises(UsageError, match="does not support text"):
        explainer.match_text("a cat", np.zeros((8, 8, 3), np.uint8), extractor="color")


def test_an_image_of_one_colour_can_be_explained(explainer: Explainer) -> None:
    grey = np.full((64, 64, 3), 90, np.uint8)
    for extractor in ("lookalike", "color", "shape", "phash", "keypoints"):
        found = explainer.match(grey, grey, extractor=extractor)
        assert np.isfinite(found.similarity)
        assert all(np.isfinite(image.heatmap).all() for image in found.images)
