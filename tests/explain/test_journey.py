"""How a picture becomes a vector, and the figures of explanations."""

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
from lookalike.explain.explainer import Explainer
from lookalike.explain.image_views import Look
from lookalike.explain.local_matches import Link
from lookalike.explain.match import why_words
from lookalike.explain.occlusion import CELLS
from lookalike.extractors import load
from lookalike.extractors.feature_maps import NetworkExtractor, feature_maps
from lookalike.extractors.interface import RunsIn, Vectors
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.images.resize import fit
from lookalike.vectors.similarity import Similarity
from lookalike.viz.match_figure import dimmed, spread


@pytest.fixture(scope="module")
def explainer() -> Iterator[Explainer]:
    with Explainer() as explainer:
        yield explainer


@pytest.fixture
def stripes() -> Pixels:
    """Upright red and blue stripes: all edges run up and down."""
    pixels = np.zeros((128, 128, 3), np.uint8)
    pixels[:, :, 0] = np.where(np.arange(128) % 16 < 8, 220, 0)
    pixels[:, :, 2] = 220 - pixels[:, :, 0]
    return pixels


def test_every_extractor_has_a_way_from_pixels_to_its_vector(
    explainer: Explainer, stripes: Pixels
) -> None:
    for by in ("pixels", "histogram", "color", "shape", "phash", "dhash", "lookalike"):
        stages = explainer.journey(stripes, by=by).stages
        assert (stages[0].kind, stages[-1].kind) == ("picture", "vector")
        assert stages[-1].values.shape == (load(by).dim,)
        assert np.linalg.norm(stages[-1].values) == pytest.approx(1, abs=1e-4)


def test_keypoints_have_no_vector_before_a_library_taught_them(
    explainer: Explainer, stripes: Pixels
) -> None:
    stages = explainer.journey(stripes, by="keypoints").stages
    assert [stage.kind for stage in stages] == ["picture", "keypoints"]
    assert "learnt from a library" in stages[1].caption
    assert stages[1].values.shape[1] == 4


def test_edges_of_upright_stripes_run_up_and_down(explainer: Explainer, stripes: Pixels) -> None:
    _, edges, _ = explainer.journey(stripes, by="shape").stages
    # Gradients of 0 to 20 degrees point across upright edges.
    assert (edges.values.sum(axis=(0, 1)).argmax()) == 0
    assert edges.values.shape == (15, 7, 9)


def test_colours_are_found_in_their_bins(explainer: Explainer, stripes: Pixels) -> None:
    _, colours, _ = explainer.journey(stripes, by="color").stages
    by_hue = np.asarray(colours.values[0], float).sum(axis=(1, 2))
    # Red lies between the first and the last of twelve hues, blue between the eighth and ninth.
    assert by_hue[[0, 11]].sum() == pytest.approx(0.5, abs=0.05)
    assert by_hue[[7, 8]].sum() == pytest.approx(0.5, abs=0.05)
    _, levels, _ = explainer.journey(stripes, by="histogram").stages
    assert np.asarray(levels.values[0], float)[[0, 27]] == pytest.approx([1 / 6, 1 / 6])


def test_channels_of_a_network_come_from_early_to_late(
    explainer: Explainer, stripes: Pixels
) -> None:
    stages = explainer.journey(stripes, by="lookalike").stages
    sizes = [stage.values.shape[1] for stage in stages if stage.kind == "channels"]
    assert len(sizes) == 3
    assert sizes == sorted(sizes, reverse=True)


def test_the_last_feature_map_is_what_the_vector_is_pooled_from(stripes: Pixels) -> None:
    """The way back through the graph ends where it should: the map's mean, through the layers that follow,
    changes with the map and with nothing else."""
    network = load("lookalike")
    assert isinstance(network, NetworkExtractor)
    maps = feature_maps(network, [fit(stripes, load("lookalike").pixels)] * 2)
    assert maps[-1].depth == 1
    assert np.array_equal(maps[-1].values[0], maps[-1].values[1])
    assert [each.positions[0] for each in maps] == sorted(
        (each.positions[0] for each in maps), reverse=True
    )


class WordsOfColour:
    """Knows the words red, green and blue: a vector is the mean colour, so all can be worked out."""

    name = "words-of-colour"
    revision = "1"
    dim = 3
    similarity: Similarity = "cosine"
    pixels = PixelSpec(fit="stretch", height=32, width=32)
    runs_in: RunsIn = "main"

    def extract(self, images: Sequence[Pixels]) -> Vectors:
        return np.array([i.reshape(-1, 3).mean(axis=0) for i in images], np.float32)

    def extract_text(self, texts: Sequence[str]) -> Vectors:
        return np.array([np.eye(3)[["red", "green", "blue"].index(t)] for t in texts], np.float32)


def test_words_are_found_where_the_picture_shows_them() -> None:
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:, :, 2] = 255
    pixels[:8, 24:] = (255, 0, 0)
    found = why_words(WordsOfColour(), "red", Look(pixels, pixels, (0, 0, 1, 1)))
    assert found.words == "red"
    assert found.sides[0].marked[:2, 6:].all()
    # One pixel in 16 is red: the cosine of (1, 0, 15) and (1, 0, 0).
    assert found.similarity == pytest.approx(1 / (1 + 15**2) ** 0.5)
    assert found.faithfulness.faithful
    everything = why_words(WordsOfColour(), "blue", Look(pixels, pixels, (0, 0, 1, 1)))
    assert not everything.sides[0].marked[:2, 6:].any()


def test_what_is_marked_is_bright_and_the_rest_dim(explainer: Explainer, stripes: Pixels) -> None:
    side = explainer.match(stripes, stripes[:, ::-1], by="color").sides[0]
    made = dimmed(side)
    y, x = np.argwhere(side.marked)[0] * stripes.shape[0] // CELLS + 2
    assert np.array_equal(made[y, x], side.pixels[y, x])
    y, x = np.argwhere(~side.marked)[0] * stripes.shape[0] // CELLS + 2
    assert not np.array_equal(made[y, x], side.pixels[y, x])


def test_lines_are_spread_over_the_picture() -> None:
    crowd = [Link((0.01 * n, 0.0, 0.1, 0.1), (0.5, 0.5, 0.1, 0.1), 1.0) for n in range(12)]
    alone = Link((0.8, 0.8, 0.1, 0.1), (0.5, 0.5, 0.1, 0.1), 0.1)
    chosen = spread([*crowd, alone])
    assert len(chosen) == 10
    assert alone in chosen[:3]


@pytest.fixture
def files(tmp_path: Path, stripes: Pixels, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(stripes).save("one.png")
    Image.fromarray(stripes[::2, ::-1]).save("two.png")
    return tmp_path


def test_the_command_draws_one_picture_through_every_extractor(files: Path) -> None:
    ran = CliRunner().invoke(program, ["explain", "one.png"])
    assert ran.exit_code == 0, ran.output
    assert len(ran.stdout.strip().splitlines()) == 9
    with Image.open("explained.png") as figure:
        assert figure.height > 2000


def test_the_command_explains_two_pictures(files: Path) -> None:
    ran = CliRunner().invoke(program, ["explain", "one.png", "two.png", "-o", "why.png"])
    assert ran.exit_code == 0, ran.output
    assert "network" in ran.stdout
    assert Path("why.png").stat().st_size > 10_000
    as_json = CliRunner().invoke(program, ["explain", "one.png", "two.png", "--format", "json"])
    assert json.loads(as_json.stdout)["by"] == "lookalike"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["one.png", "gone.png"], "gone.png"),
        (["one.png", "two.png", "--by", "color,shape"], "one extractor at a time"),
        (["one.png", "--text", "a cat"], "knows no words"),
        (["one.png", "--by", "magic"], "no extractor is called 'magic'"),
        (["one.png", "--format", "json"], "needs a second picture"),
        (["one.png", "-o", "nowhere/x.png"], "no folder nowhere"),
    ],
)
def test_wrong_use_is_one_line(files: Path, arguments: list[str], said: str) -> None:
    ran = CliRunner().invoke(program, ["explain", *arguments])
    assert ran.exit_code == 2
    assert said in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1


def test_a_picture_that_cannot_be_read_is_named(explainer: Explainer, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff" + bytes(300))
    with pytest.raises(UsageError, match=r"cannot explain .*broken.jpg"):
        explainer.journey(tmp_path / "broken.jpg", by="pixels")
