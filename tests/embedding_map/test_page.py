"""The map as a file: what is in it, and that it needs nothing else."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from tests.library.drawing import album, draw

from lookalike import Library
from lookalike.cli.program import program
from lookalike.embedding_map.build import Atlas, draw_up
from lookalike.embedding_map.sprites import ACROSS, SIDE, sprites
from lookalike.viz.map_html import page
from lookalike.viz.map_image import brief, canvas, draw_map, sprite


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
def atlas(library: Library) -> Atlas:
    return draw_up(library, method="pca", color="folder")


def data_of(text: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    made: dict[str, object] = json.loads(found[1])
    return made


def test_the_page_holds_every_picture_and_loads_nothing(library: Library, atlas: Atlas) -> None:
    text = page(atlas, sprites(library, atlas), title="Mine & yours")
    data = data_of(text)
    assert data["paths"] == list(atlas.paths)
    places = np.frombuffer(base64.b64decode(str(data["places"])), "<u2").reshape(-1, 2) / 65535
    assert places == pytest.approx(atlas.places, abs=1e-4)
    assert not re.search(r"""(?:src|href|url\()\s*=?\s*["']?https?:""", text)
    assert "default-src 'none'" in text
    assert "<title>Mine &amp; yours</title>" in text
    assert "{{" not in re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)


def test_a_file_name_cannot_become_markup(library: Library, atlas: Atlas) -> None:
    text = page(atlas, sprites(library, atlas), title="<script>alert(2)</script>")
    assert "<script>alert" not in text
    assert any("<script>alert(1)<" in path for path in data_of(text)["paths"])  # type: ignore[attr-defined]


def test_each_sprite_is_its_picture(library: Library, atlas: Atlas) -> None:
    packed = sprites(library, atlas)
    assert packed.lost == 0
    assert sorted(packed.slots.tolist()) == list(range(13))
    sheets: dict[int, np.ndarray] = {}
    for place, id in enumerate(atlas.ids.tolist()):
        slot = int(packed.slots[place])
        found = sprite(packed, slot, sheets)
        from lookalike.images.jpeg import decode_jpeg

        truth = decode_jpeg(library.thumbnails.get(id, SIDE).data)
        assert found.shape == truth.shape
        assert np.abs(found.astype(int) - truth).mean() < 8  # WebP against JPEG
    assert sheets[0].shape[1] == ACROSS * SIDE


def test_only_so_many_thumbnails_are_packed_those_that_get_room_first(
    library: Library, atlas: Atlas
) -> None:
    packed = sprites(library, atlas, most=4)
    chosen = packed.slots >= 0
    assert chosen.sum() == 4
    assert atlas.level[chosen].max() <= atlas.level[~chosen].min()


def test_pictures_that_are_gone_are_points(tmp_path: Path) -> None:
    folder = album(tmp_path / "photos", 4)
    with Library.create(folder) as library:
        library.add([folder], extractors=["color"])
        (folder / "000.jpg").unlink()
        found = draw_up(library, method="pca")
        packed = sprites(library, found)
    assert packed.lost == 1
    assert packed.slots[found.paths.index("000.jpg")] == -1


def test_the_picture_of_a_map_shows_points_and_thumbnails(
    library: Library, atlas: Atlas, tmp_path: Path
) -> None:
    made = canvas(atlas, sprites(library, atlas))
    assert made.shape == (2048, 2048, 3)
    first = int(np.argmin(atlas.level))
    x, y = (atlas.places[first] * 2047).round().astype(int)
    around = made[y - 10 : y + 10, x - 10 : x + 10].reshape(-1, 3)
    assert len(np.unique(around, axis=0)) > 3  # a picture, not a dot of one colour
    draw_map(atlas, sprites(library, atlas), tmp_path / "map.png", title="A $map$")
    assert (tmp_path / "map.png").stat().st_size > 10_000


def test_the_command_draws_a_page_and_reports(
    photos: Path, library: Library, tmp_path: Path
) -> None:
    out = tmp_path / "map.html"
    arguments = ["map", str(photos), "--method", "pca", "-o", str(out)]
    ran = CliRunner().invoke(program, arguments)
    assert ran.exit_code == 0, ran.output
    assert "trustworthiness" in ran.stdout
    assert "Drawn:" in ran.stderr
    assert data_of(out.read_text("utf-8"))["color"] == "cluster"
    as_json = CliRunner().invoke(program, [*arguments, "--format", "json"])
    assert len(json.loads(as_json.stdout)["places"]) == 13


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "map.gif"], "into an .html or a .png"),
        (["-o", "nowhere/map.html"], "no folder nowhere"),
        (["--color", "mood"], "no picture has a field 'mood'"),
        (["--by", "shape"], "no shape vectors"),
    ],
)
def test_wrong_use_of_the_command_is_one_line(
    photos: Path, library: Library, arguments: list[str], said: str
) -> None:
    ran = CliRunner().invoke(program, ["map", str(photos), "--method", "pca", *arguments])
    assert ran.exit_code == 2
    assert said in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1


@pytest.fixture(scope="module")
def tab(library: Library, atlas: Atlas, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The page in a real browser, with what it asked for and complained of."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("Chromium is not installed (Debian's package `chromium`)")
    file = tmp_path_factory.mktemp("page") / "map.html"
    file.write_text(page(atlas, sprites(library, atlas), title="Shop"), "utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync", "--no-first-run"]
    with playwright.sync_playwright() as run:
        browser = run.chromium.launch(executable_path=chromium, args=flags)
        made = browser.new_page(viewport={"width": 900, "height": 700})
        made.asked, made.said = [], []
        made.on("request", lambda request: made.asked.append(request.url.partition(":")[0]))
        made.on("console", lambda message: made.said.append(message.text))
        made.on("pageerror", lambda error: made.said.append(str(error)))
        made.goto(file.as_uri())
        # Functions, for an expression that is not true at once would be evaluated again inside the page,
        # which the page's own policy forbids.
        made.wait_for_function("() => sheets.length > 0 && sheets[0].bitmap !== null")
        made.wait_for_function("() => drawn.length > 0")
        yield made
        browser.close()


def test_the_page_works_in_a_browser_without_asking_anybody(tab: Any, atlas: Atlas) -> None:
    assert set(tab.asked) == {"file"}
    assert tab.said == []
    assert tab.evaluate("count") == len(atlas)
    assert "13 pictures by color" in tab.inner_text("#facts")


def test_zooming_in_shows_more_pictures_and_keeps_the_point_under_the_pointer(tab: Any) -> None:
    tab.evaluate("whole(); draw()")
    before = tab.evaluate("[drawn.length, view.scale]")
    place = "[(300 - wide / 2) / view.scale + view.x, (200 - high / 2) / view.scale + view.y]"
    under = tab.evaluate(place)
    tab.mouse.move(300, 200)
    tab.mouse.wheel(0, -400)
    tab.wait_for_function(f"() => view.scale > {before[1]} * 1.5")
    assert tab.evaluate(place) == pytest.approx(under, abs=1e-6)
    tab.evaluate("whole(); zoom(6); view.x = X[0]; view.y = Y[0]; draw()")
    assert tab.evaluate("drawnSize") > 0


def test_pointing_names_the_picture_and_keys_move(tab: Any, atlas: Atlas) -> None:
    tab.evaluate("whole(); draw()")
    x, y = tab.evaluate("[screenX(X[3]) / ratio, screenY(Y[3]) / ratio]")
    tab.mouse.move(x, y)
    tab.wait_for_selector("#tip:not([hidden])")
    assert tab.inner_text("#tip b") in atlas.paths
    tab.focus("#map")
    before = tab.evaluate("view.x")
    tab.keyboard.press("ArrowRight")
    assert tab.evaluate("view.x") > before
    tab.keyboard.press("Home")
    tab.keyboard.press("Enter")
    assert tab.inner_text("#live").split(", ")[0] in atlas.paths
    tab.keyboard.press("Escape")
    assert tab.is_hidden("#tip")


def test_the_filter_and_the_legend_hide_pictures(tab: Any) -> None:
    tab.fill("#find", "odd/")
    assert tab.inner_text("#found") == "6 found"
    tab.fill("#find", "")
    button = tab.query_selector("#legend button")
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert tab.evaluate("hiddenGroups.size") == 1
    button.click()
    assert tab.evaluate("hiddenGroups.size") == 0


def test_dark_and_light_change_the_paper(tab: Any) -> None:
    light = tab.evaluate("draw(), [...pen.getImageData(450, 2, 1, 1).data]")
    tab.click("#theme")
    dark = tab.evaluate("draw(), [...pen.getImageData(450, 2, 1, 1).data]")
    tab.click("#theme")
    assert sum(light[:3]) > 600 > 200 > sum(dark[:3])


def test_a_long_name_in_the_legend_keeps_both_ends() -> None:
    assert brief("2024/Norway, in summer") == "2024/Norway, in summer"
    assert brief("odd shapes/deep/er/and/deeper/here") == "odd sha…nd/deeper/here"
