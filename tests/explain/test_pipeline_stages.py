"""How an image becomes a vector, and the figures of explanations."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from lookalike.cli.program import program
from lookalike.errors import UsageError
from lookalike.explain.attribution import LocalMatch
from lookalike.explain.explainer import Explainer
from lookalike.explain.image_views import ImageView
from lookalike.explain.match import explain_text
from lookalike.explain.occlusion import CELLS
from lookalike.extractors import load
from lookalike.extractors.feature_maps import NetworkExtractor, feature_maps
from lookalike.extractors.interface import RunsIn, Vectors
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.images.resize import fit
from lookalike.vectors.similarity import Similarity
from lookalike.viz.match_figure import dimmed, spread_matches


@pytest.fixture(scope="module")
def explainer() -> Iterator[Explainer]:
    with Explainer() as explainer:
        yield explainer


@pytest.fixture
def stripes() -> Pixels:
    """Return upright red and blue stripes: all edges are vertical."""
    pixels = np.zeros((128, 128, 3), np.uint8)
    pixels[:, :, 0] = np.where(np.arange(128) % 16 < 8, 220, 0)
    pixels[:, :, 2] = 220 - pixels[:, :, 0]
    return pixels


def test_every_extractor_has_stages_from_pixels_to_its_vector(
    explainer: Explainer, stripes: Pixels
) -> None:
    for name in ("pixels", "histogram", "color", "shape", "phash", "dhash", "lookalike"):
        stages = explainer.pipeline(stripes, extractor=name).stages
        assert (stages[0].kind, stages[-1].kind) == ("image", "vector")
        assert stages[-1].values.shape == (load(name).dim,)
        assert np.linalg.norm(stages[-1].values) == pytest.approx(1, abs=1e-4)


def test_unfitted_keypoints_have_no_vector(explainer: Explainer, stripes: Pixels) -> None:
    stages = explainer.pipeline(stripes, extractor="keypoints").stages
    assert [stage.kind for stage in stages] == ["image", "keypoints"]
    assert "learned from a library" in stages[1].caption
    assert stages[1].values.shape[1] == 4


def test_edges_of_upright_stripes_are_vertical(explainer: Explainer, stripes: Pixels) -> None:
    _, edges, _ = explainer.pipeline(stripes, extractor="shape").stages
    # Gradients of 0 to 20 degrees point across upright edges.
    assert (edges.values.sum(axis=(0, 1)).argmax()) == 0
    assert edges.values.shape == (15, 7, 9)


def test_colours_are_counted_in_their_bins(explainer: Explainer, stripes: Pixels) -> None:
    _, colours, _ = explainer.pipeline(stripes, extractor="color").stages
    by_hue = np.asarray(colours.values[0], float).sum(axis=(1, 2))
    # Red lies between the first and the last of twelve hues, blue between the eighth and ninth.
    assert by_hue[[0, 11]].sum() == pytest.approx(0.5, abs=0.05)
    assert by_hue[[7, 8]].sum() == pytest.approx(0.5, abs=0.05)
    _, levels, _ = explainer.pipeline(stripes, extractor="histogram").stages
    assert np.asarray(levels.values[0], float)[[0, 27]] == pytest.approx([1 / 6, 1 / 6])


def test_channels_of_a_network_are_ordered_from_early_to_late(
    explainer: Explainer, stripes: Pixels
) -> None:
    stages = explainer.pipeline(stripes, extractor="lookalike").stages
    sizes = [stage.values.shape[1] for stage in stages if stage.kind == "channels"]
    assert len(sizes) == 3
    assert sizes == sorted(sizes, reverse=True)


def test_the_last_feature_map_is_the_input_of_pooling(stripes: Pixels) -> None:
    network = load("lookalike")
    assert isinstance(network, NetworkExtractor)
    maps = feature_maps(network, [fit(stripes, load("lookalike").pixels)] * 2)
    assert maps[-1].depth == 1
    assert np.array_equal(maps[-1].values[0], maps[-1].values[1])
    assert [each.positions[0] for each in maps] == sorted(
        (each.positions[0] for each in maps), reverse=True
    )


class ColourNames:
    """Supports the texts red, green and blue: vectors are mean colours, which can be computed by hand."""

    name = "colour-names"
    revision = "1"
    dim = 3
    similarity: Similarity = "cosine"
    pixels = PixelSpec(fit="stretch", height=32, width=32)
    runs_in: RunsIn = "main"

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        return np.array([i.reshape(-1, 3).mean(axis=0) for i in images], np.float32)

    def extract_text(self, texts: Sequence[str]) -> Vectors:
        return np.array([np.eye(3)[["red", "green", "blue"].index(t)] for t in texts], np.float32)


def test_a_text_is_found_where_the_image_shows_it() -> None:
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:, :, 2] = 255
    pixels[:8, 24:] = (255, 0, 0)
    found = explain_text(ColourNames(), "red", ImageView(pixels, pixels, (0, 0, 1, 1)))
    assert found.text == "red"
    assert found.images[0].marked[:2, 6:].all()
    # One pixel in 16 is red: the cosine of (1, 0, 15) and (1, 0, 0).
    assert found.similarity == pytest.approx(1 / (1 + 15**2) ** 0.5)
    assert found.faithfulness.faithful
    everything = explain_text(ColourNames(), "blue", ImageView(pixels, pixels, (0, 0, 1, 1)))
    assert not everything.images[0].marked[:2, 6:].any()


def test_marked_cells_are_bright_and_the_rest_is_dim(explainer: Explainer, stripes: Pixels) -> None:
    image = explainer.match(stripes, stripes[:, ::-1], extractor="color").images[0]
    made = dimmed(image)
    y, x = np.argwhere(image.marked)[0] * stripes.shape[0] // CELLS + 2
    assert np.array_equal(made[y, x], image.pixels[y, x])
    y, x = np.argwhere(~image.marked)[0] * stripes.shape[0] // CELLS + 2
    assert not np.array_equal(made[y, x], image.pixels[y, x])


def test_drawn_matches_are_spread_over_the_image() -> None:
    crowd = [LocalMatch((0.01 * n, 0.0, 0.1, 0.1), (0.5, 0.5, 0.1, 0.1), 1.0) for n in range(12)]
    alone = LocalMatch((0.8, 0.8, 0.1, 0.1), (0.5, 0.5, 0.1, 0.1), 0.1)
    chosen = spread_matches([*crowd, alone])
    assert len(chosen) == 10
    assert alone in chosen[:3]


@pytest.fixture
def files(tmp_path: Path, stripes: Pixels, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(stripes).save("one.png")
    Image.fromarray(stripes[::2, ::-1]).save("two.png")
    return tmp_path


def test_the_command_draws_one_image_through_every_extractor(files: Path) -> None:
    result = CliRunner().invoke(program, ["explain", "one.png"])
    assert result.exit_code == 0, result.output
    assert len(result.stdout.strip().splitlines()) == 9
    with Image.open("explained.png") as figure:
        assert figure.height > 2000


def test_the_command_explains_two_images(files: Path) -> None:
    result = CliRunner().invoke(program, ["explain", "one.png", "two.png", "-o", "why.png"])
    assert result.exit_code == 0, result.output
    assert "network" in result.stdout
    assert Path("why.png").stat().st_size > 10_000
    as_json = CliRunner().invoke(program, ["explain", "one.png", "two.png", "--format", "json"])
    assert json.loads(as_json.stdout)["extractor"] == "lookalike"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["one.png", "gone.png"], "gone.png"),
        (["one.png", "two.png", "-e", "color,shape"], "explained by one extractor"),
        (["one.png", "--text", "a cat"], "does not support text"),
        (["one.png", "-e", "magic"], "no extractor is called 'magic'"),
        (["one.png", "--format", "json"], "needs a second image"),
        (["one.png", "-o", "nowhere/x.png"], "no folder nowhere"),
    ],
)
def test_wrong_use_is_an_error_of_one_line(files: Path, arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(program, ["explain", *arguments])
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_an_unreadable_image_is_named(explainer: Explainer, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff" + bytes(300))
    with pytest.raises(UsageError, match=r"cannot explain .*broken.jpg"):
        explainer.pipeline(tmp_path / "broken.jpg", extractor="pixels")
