"""The map as an HTML file and as an image."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner
from tests.library.image_builders import album, draw

from lookalike import Library
from lookalike.cli.program import program
from lookalike.embedding_map.build import EmbeddingMap, build_map
from lookalike.embedding_map.layout import MAX_LEVEL
from lookalike.embedding_map.sprites import ACROSS, SIDE, pack_sprites
from lookalike.viz.map_html import map_page
from lookalike.viz.map_image import COLOURS, GREY, draw_map, legend_name, render, thumbnail

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = album(tmp_path_factory.mktemp("map") / "photos", 12)
    draw(folder / "<script>alert(1)<" / "script> & “quotes”.jpg", 99)
    return folder


@pytest.fixture(scope="module")
def library(photos: Path) -> Iterator[Library]:
    with Library.create(photos) as library:
        library.add([photos], extractors=["color"])
        yield library


@pytest.fixture(scope="module")
def map_(library: Library) -> EmbeddingMap:
    return build_map(library, method="pca", color="folder")


def data_of(text: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    made: dict[str, object] = json.loads(found[1])
    return made


def test_the_page_holds_every_image_and_loads_nothing(library: Library, map_: EmbeddingMap) -> None:
    text = map_page(map_, pack_sprites(library, map_), title="Mine & yours")
    data = data_of(text)
    assert data["paths"] == list(map_.paths)
    positions = (
        np.frombuffer(base64.b64decode(str(data["positions"])), "<u2").reshape(-1, 2) / 65535
    )
    assert positions == pytest.approx(map_.positions, abs=1e-4)
    assert not re.search(r"""(?:src|href|url\()\s*=?\s*["']?https?:""", text)
    assert "default-src 'none'" in text
    assert "<title>Mine &amp; yours</title>" in text
    assert "{{" not in re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)


def test_a_file_name_cannot_become_markup(library: Library, map_: EmbeddingMap) -> None:
    text = map_page(map_, pack_sprites(library, map_), title="<script>alert(2)</script>")
    assert "<script>alert" not in text
    assert any("<script>alert(1)<" in path for path in data_of(text)["paths"])  # type: ignore[attr-defined]


def test_each_sprite_is_the_thumbnail_of_its_image(library: Library, map_: EmbeddingMap) -> None:
    sprites = pack_sprites(library, map_)
    assert sprites.lost == 0
    assert sorted(sprites.slots.tolist()) == list(range(13))
    sheets: dict[int, np.ndarray] = {}
    for row, id in enumerate(map_.ids.tolist()):
        slot = int(sprites.slots[row])
        found = thumbnail(sprites, slot, sheets)
        from lookalike.images.jpeg import decode_jpeg

        truth = decode_jpeg(library.thumbnails.get(id, SIDE).data)
        assert found.shape == truth.shape
        assert np.abs(found.astype(int) - truth).mean() < 8  # WebP against JPEG
    assert sheets[0].shape[1] == ACROSS * SIDE


def test_thumbnails_of_the_first_levels_are_packed(library: Library, map_: EmbeddingMap) -> None:
    sprites = pack_sprites(library, map_, max_thumbnails=4)
    chosen = sprites.slots >= 0
    assert chosen.sum() == 4
    assert map_.levels[chosen].max() <= map_.levels[~chosen].min()


def test_missing_files_are_points(tmp_path: Path) -> None:
    folder = album(tmp_path / "photos", 4)
    with Library.create(folder) as library:
        library.add([folder], extractors=["color"])
        (folder / "000.jpg").unlink()
        found = build_map(library, method="pca")
        sprites = pack_sprites(library, found)
    assert sprites.lost == 1
    assert sprites.slots[found.paths.index("000.jpg")] == -1


def test_the_image_of_a_map_shows_points_and_thumbnails(
    library: Library, map_: EmbeddingMap, tmp_path: Path
) -> None:
    pixels = render(map_, pack_sprites(library, map_))
    assert pixels.shape == (2048, 2048, 3)
    first = int(np.argmin(map_.levels))
    x, y = (map_.positions[first] * 2047).round().astype(int)
    around = pixels[y - 10 : y + 10, x - 10 : x + 10].reshape(-1, 3)
    assert len(np.unique(around, axis=0)) > 3  # a thumbnail, not a dot of one colour
    draw_map(map_, pack_sprites(library, map_), tmp_path / "map.png", title="A $map$")
    assert (tmp_path / "map.png").stat().st_size > 10_000


def test_the_command_draws_a_page_and_reports(
    photos: Path, library: Library, tmp_path: Path
) -> None:
    out = tmp_path / "map.html"
    arguments = ["map", str(photos), "--method", "pca", "-o", str(out)]
    result = CliRunner().invoke(program, arguments)
    assert result.exit_code == 0, result.output
    assert "trustworthiness" in result.stdout
    assert "Drawn:" in result.stderr
    assert data_of(out.read_text("utf-8"))["color"] == "cluster"
    as_json = CliRunner().invoke(program, [*arguments, "--format", "json"])
    assert len(json.loads(as_json.stdout)["positions"]) == 13


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "map.gif"], "name an .html or .png file"),
        (["-o", "nowhere/map.html"], "no folder nowhere"),
        (["--color", "mood"], "no image has a field 'mood'"),
        (["-e", "shape"], "no vectors of shape"),
    ],
)
def test_wrong_use_of_the_command_is_an_error_of_one_line(
    photos: Path, library: Library, arguments: list[str], message: str
) -> None:
    result = CliRunner().invoke(program, ["map", str(photos), "--method", "pca", *arguments])
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.fixture(scope="module")
def tab(
    browser: Browser,
    library: Library,
    map_: EmbeddingMap,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Any]:
    """Open the page in a browser, and record its requests and messages."""
    file = tmp_path_factory.mktemp("page") / "map.html"
    file.write_text(map_page(map_, pack_sprites(library, map_), title="Shop"), "utf-8")
    made: Any = browser.new_page(viewport={"width": 900, "height": 700})
    made.requests, made.messages = [], []
    made.on("request", lambda request: made.requests.append(request.url.partition(":")[0]))
    made.on("console", lambda message: made.messages.append(message.text))
    made.on("pageerror", lambda error: made.messages.append(str(error)))
    made.goto(file.as_uri())
    # A function: Playwright evaluates other expressions with eval, which the policy of the file forbids.
    made.wait_for_function("() => renderer.drawnCount() > 0")
    yield made
    made.close()


def test_the_page_works_in_a_browser_without_requests(tab: Any, map_: EmbeddingMap) -> None:
    assert set(tab.requests) == {"file"}
    assert tab.messages == []
    assert tab.evaluate("points.count") == len(map_)
    assert "13 images by color" in tab.inner_text("#summary")


def test_zooming_shows_the_images_that_fit_and_keeps_the_point_under_the_pointer(
    tab: Any, map_: EmbeddingMap
) -> None:
    tab.click("#show-all")
    # The map is 0.92 · 700 pixels wide, which is 2⁴ thumbnails of at least 32 pixels.
    assert tab.evaluate("renderer.draw(), renderer.drawnCount()") == (map_.levels <= 4).sum()
    position = "toMap(view.viewport, canvas.clientWidth, canvas.clientHeight, 300, 200)"
    under = tab.evaluate(position)
    tab.mouse.move(300, 200)
    tab.mouse.wheel(0, -400)
    tab.wait_for_function("() => view.viewport.zoom > 1.5")
    assert tab.evaluate(position) == pytest.approx(under, abs=1e-6)


def test_pointing_names_the_image_and_keys_move_the_map(tab: Any, map_: EmbeddingMap) -> None:
    tab.click("#show-all")
    x, y = tab.evaluate(
        "toScreen(view.viewport, canvas.clientWidth, canvas.clientHeight, points.x[3], points.y[3])"
    )
    tab.mouse.move(x, y)
    tab.wait_for_selector("#tooltip:not([hidden])")
    assert tab.inner_text("#tooltip b") in map_.paths
    tab.focus("#map")
    before = tab.evaluate("view.viewport.x")
    tab.keyboard.press("ArrowRight")
    assert tab.evaluate("view.viewport.x") > before
    tab.keyboard.press("Home")
    tab.keyboard.press("Enter")
    assert tab.inner_text("#announcement").split(", ")[0] in map_.paths
    tab.keyboard.press("Escape")
    assert tab.is_hidden("#tooltip")


def test_the_filter_and_the_legend_hide_images(tab: Any) -> None:
    tab.fill("#find", "odd/")
    assert tab.inner_text("#found") == "6 found"
    tab.fill("#find", "")
    button = tab.query_selector("#legend button")
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert tab.evaluate("view.visibility.includes(HIDDEN)")
    button.click()
    assert tab.evaluate("view.visibility") is None


def test_the_theme_changes_the_background(tab: Any) -> None:
    light = tab.evaluate(
        "renderer.draw(), [...canvas.getContext('2d').getImageData(450, 2, 1, 1).data]"
    )
    tab.click("#theme")
    dark = tab.evaluate(
        "renderer.draw(), [...canvas.getContext('2d').getImageData(450, 2, 1, 1).data]"
    )
    tab.click("#theme")
    assert sum(light[:3]) > 600 > 200 > sum(dark[:3])


def test_the_renderer_has_the_colours_and_levels_of_the_program(tab: Any) -> None:
    assert tab.evaluate("GROUP_COLORS") == list(COLOURS)
    assert tab.evaluate("groupColor(-1, [])") == GREY
    assert tab.evaluate("MAX_LEVEL") == MAX_LEVEL


def test_a_long_legend_name_keeps_both_ends() -> None:
    assert legend_name("2024/Norway, in summer") == "2024/Norway, in summer"
    assert legend_name("odd shapes/deep/er/and/deeper/here") == "odd sha…nd/deeper/here"


def test_a_plain_layout_that_keeps_few_neighbours_names_a_better_one(tmp_path: Path) -> None:
    folder = album(tmp_path / "photos", 60)
    with Library.create(folder) as library:
        library.add([folder], extractors=["color"])
    arguments = ["map", str(folder), "--output", str(tmp_path / "map.html"), "--method"]
    run = CliRunner().invoke(program, [*arguments, "pca"])
    assert run.exit_code == 0, run.output
    assert "keeps few neighbours" in run.stderr and "--method tsne" in run.stderr
    if importlib.util.find_spec("openTSNE") is not None:
        better = CliRunner().invoke(program, [*arguments, "tsne"])
        assert better.exit_code == 0 and "keeps few" not in better.stderr
