"""Why two pictures match, on pictures of which one knows what they have in common."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike import Library
from lookalike.errors import UsageError
from lookalike.explain.color_attribution import shared_colours, worth_of_each
from lookalike.explain.explainer import Explainer
from lookalike.explain.image_views import frame_of
from lookalike.explain.local_matches import shape_heat
from lookalike.explain.match import Explanation
from lookalike.explain.occlusion import in_cells
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.vectors.similarity import cosine

SIDE = 192


def scene(seed: int, *, at: tuple[int, int], other: tuple[int, int, int]) -> Pixels:
    """A patterned square at a place, the same in all scenes, on a ground with noise of its own colour."""
    rng = np.random.default_rng(seed)
    pixels = np.clip(rng.normal(0, 12, (SIDE, SIDE, 3)) + other, 0, 255).astype(np.uint8)
    thing = np.random.default_rng(7)
    blocks = thing.integers(0, 256, (8, 8)).repeat(12, axis=0).repeat(12, axis=1)
    y, x = at
    pixels[y : y + 96, x : x + 96] = np.stack([blocks, blocks // 3, 255 - blocks], axis=-1)
    return pixels


@pytest.fixture
def scenes() -> tuple[Pixels, Pixels]:
    """The thing in the upper left, and in the lower right."""
    return scene(1, at=(0, 0), other=(60, 150, 60)), scene(2, at=(96, 96), other=(150, 150, 60))


@pytest.fixture(scope="module")
def explainer() -> Iterator[Explainer]:
    with Explainer() as explainer:
        yield explainer


def quarters(explanation: Explanation, side: int) -> np.ndarray:
    """How many cells are marked in each quarter of a picture."""
    cells = explanation.sides[side].marked
    return np.array([[cells[y : y + 4, x : x + 4].sum() for x in (0, 4)] for y in (0, 4)])


@pytest.mark.parametrize("by", ["lookalike", "color", "keypoints"])
def test_what_both_show_is_marked_on_both(
    explainer: Explainer, scenes: tuple[Pixels, Pixels], by: str
) -> None:
    found = explainer.match(*scenes, by=by)
    first, second = quarters(found, 0), quarters(found, 1)
    assert first[0, 0] > 0.6 * first.sum()
    assert second[1, 1] > 0.6 * second.sum()


@pytest.mark.parametrize(
    "by", ["lookalike", "color", "histogram", "shape", "pixels", "dhash", "keypoints"]
)
def test_covering_the_marked_parts_costs_more_than_covering_others(
    explainer: Explainer, by: str
) -> None:
    first, second = (scene(n, at=(48, 20 * n), other=(60, 90, 30 * n)) for n in (1, 2))
    found = explainer.match(first, second, by=by)
    assert found.faithfulness.marked > found.faithfulness.others
    assert found.faithfulness.faithful
    assert found.faithfulness.share <= 0.25


@pytest.mark.parametrize("by", ["lookalike", "color", "shape", "pixels", "dhash"])
def test_the_similarity_is_that_of_a_search(
    explainer: Explainer, scenes: tuple[Pixels, Pixels], by: str, tmp_path: Path
) -> None:
    for name, pixels in zip(("a.png", "b.png"), scenes, strict=True):
        Image.fromarray(pixels).save(tmp_path / name)
    with Library.create(tmp_path) as library, Explainer(library) as within:
        library.add([tmp_path], extractors=[by])
        hit = library.search(tmp_path / "a.png", k=2).hits[1]
        found = within.match(tmp_path / "a.png", hit.id, by=by)
    assert found.similarity == pytest.approx(hit.similarity, abs=1e-5)


def test_the_parts_of_the_built_in_model_add_up_to_the_cosine(
    explainer: Explainer, scenes: tuple[Pixels, Pixels]
) -> None:
    found = explainer.match(*scenes, by="lookalike")
    assert set(found.shares) == {"network", "color"}
    assert sum(found.shares.values()) == pytest.approx(found.similarity, abs=1e-5)


def test_keypoints_are_linked_where_the_thing_is(
    explainer: Explainer, scenes: tuple[Pixels, Pixels]
) -> None:
    found = explainer.match(*scenes, by="keypoints")
    assert len(found.links) >= 10
    assert "agree on one movement" in found.method
    for link in found.links:
        centres = [box[0] + box[2] / 2 for box in (link.first, link.second)]
        assert centres[1] - centres[0] == pytest.approx(0.5, abs=0.02)


def test_patches_of_a_network_are_linked_to_the_same_place_of_a_copy(explainer: Explainer) -> None:
    picture = scene(3, at=(30, 60), other=(90, 60, 120))
    found = explainer.match(picture, picture, by="lookalike")
    assert len(found.links) >= 20
    assert all(link.first == link.second for link in found.links)


def test_shared_colours_are_named_with_their_shares() -> None:
    red, blue, green = (200, 10, 10), (10, 10, 200), (10, 150, 10)
    first, second = np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 3), np.uint8)
    first[:], second[:] = red, blue
    first[0], second[0:2] = green, green
    (shared,) = shared_colours(first, second)
    assert shared.rgb == green
    assert (shared.first, shared.second) == (0.25, 0.5)


def test_the_worth_of_a_number_is_what_the_cosine_loses_without_it() -> None:
    rng = np.random.default_rng(0)
    vector, other, less = rng.random((3, 5))
    for common in (np.zeros(5), less):

        def measured(a: np.ndarray, common: np.ndarray = common) -> float:
            return cosine(a / np.linalg.norm(a) - common, other)

        found = worth_of_each(vector, other, less=common)
        for number in range(5):
            without = vector.copy()
            without[number] = 0
            assert found[number] == pytest.approx(measured(vector) - measured(without))


def test_the_heat_of_edges_is_what_the_cosine_loses_without_a_block() -> None:
    rng = np.random.default_rng(1)
    one, two = (v / np.linalg.norm(v) for v in rng.normal(size=(2, 3780)))
    heat = shape_heat(one, two)
    for block in ((0, 0), (14, 6), (7, 2)):
        without = one.reshape(15, 7, 36).copy()
        without[block] = 0
        assert heat[block] == pytest.approx(one @ two - cosine(without.ravel(), two), abs=1e-6)


def test_a_colour_that_only_one_has_speaks_against_the_match(
    explainer: Explainer, scenes: tuple[Pixels, Pixels]
) -> None:
    heat = in_cells(explainer.match(*scenes, by="color").sides[0].heat)
    assert heat[:4, :4].mean() > 0 > heat[5:, 5:].mean()


def test_the_frame_is_what_the_extractor_is_given() -> None:
    assert frame_of(400, 200, PixelSpec(fit="stretch", height=96, width=96)) == (0, 0, 1, 1)
    cover = PixelSpec(fit="cover", shortest_edge=100, height=100, width=100)
    assert frame_of(400, 200, cover) == pytest.approx((0.25, 0, 0.5, 1))
    margin = PixelSpec(fit="cover", shortest_edge=128, height=96, width=96)
    assert frame_of(200, 200, margin) == pytest.approx((0.125, 0.125, 0.75, 0.75))


def test_an_explanation_is_json(explainer: Explainer, scenes: tuple[Pixels, Pixels]) -> None:
    found = explainer.match(*scenes, by="color").as_dict()
    again = json.loads(json.dumps(found))
    assert again["by"] == "color"
    assert np.array(again["pictures"][1]["heat"]).shape == (8, 8)
    assert again["faithfulness"]["faithful"] is True


def test_bad_questions_are_answered_in_a_line(explainer: Explainer, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot explain .*gone.jpg"):
        explainer.match(tmp_path / "gone.jpg", tmp_path / "gone.jpg")
    with pytest.raises(UsageError, match="an id needs a library"):
        explainer.match(1, 2)
    with pytest.raises(UsageError, match="knows no words"):
        explainer.words("a cat", np.zeros((8, 8, 3), np.uint8), by="color")


def test_a_picture_of_one_colour_can_be_explained(explainer: Explainer) -> None:
    grey = np.full((64, 64, 3), 90, np.uint8)
    for by in ("lookalike", "color", "shape", "phash", "keypoints"):
        found = explainer.match(grey, grey, by=by)
        assert np.isfinite(found.similarity)
        assert all(np.isfinite(side.heat).all() for side in found.sides)
