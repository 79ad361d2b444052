"""Small and large windows, light and dark, screen readers, and what goes wrong."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.page.conftest import Open
from tests.page.looking import TILES, tiles

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
MAP = "?page=map&method=pca&lasso=0,0,1000,0,1000,1000,0,1000"
SCREENS = ["", "?image=1", "?image=1&open=2", "?page=duplicates&kind=exact", "?page=library", MAP]
READY = {
    "": TILES,
    "?image=1": ".band",
    "?image=1&open=2": ".large .near",
    "?page=duplicates&kind=exact": ".compared",
    "?page=library": ".rows li",
    MAP: ".lassoed .tile",
}

AXE = Path(os.environ.get("AXE_CORE", "node_modules/axe-core/axe.min.js"))
"""Where axe-core lies: `npm install --no-save axe-core` puts it there."""


@pytest.mark.parametrize("search", SCREENS)
def test_no_screen_is_wider_than_its_window(open_page: Open, search: str) -> None:
    page = open_page(search)
    page.wait_for_selector(READY[search])
    for width in (320, 390, 700, 1024, 1920):
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_timeout(50)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_phone_shows_everything_that_can_be_pressed(open_page: Open) -> None:
    page = open_page("?image=1", **PHONE)
    tiles(page)
    assert page.is_visible("[aria-label='Take a photo']")
    button = page.locator(".tile .plus").nth(1)
    size = button.bounding_box()
    assert size and size["width"] >= 40 and size["height"] >= 40
    page.tap("#refine-button")
    panel = page.locator("#refine").bounding_box()
    assert panel and panel["x"] == 0 and panel["width"] == 390
    assert page.get_attribute("[data-does=more] >> nth=1", "aria-pressed") == "false"
    page.tap("#refine .quiet")
    button.tap()
    page.wait_for_selector(".chip >> nth=1")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_the_ground_in_light_and_dark(open_page: Open, scheme: str) -> None:
    page = open_page("?image=1", color_scheme=scheme)
    tiles(page)
    ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    red = int(ground.split("(")[1].split(",")[0])
    assert red < 60 if scheme == "dark" else red > 200
    for selector in (".summary", ".summary .soft", ".brand", ".pages a"):
        assert contrast(page, selector) >= 4.5


def contrast(page: Page, selector: str) -> float:
    """Of a text against the ground of the page, after WCAG 2.2."""
    ratio: float = page.evaluate(
        """selector => {
            const light = (colour) => {
                const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255)
                    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const text = light(getComputedStyle(document.querySelector(selector)).color);
            const ground = light(getComputedStyle(document.documentElement).backgroundColor);
            return (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
        }""",
        selector,
    )
    return ratio


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed: AXE_CORE names no file")
@pytest.mark.parametrize("search", SCREENS)
def test_axe_finds_nothing_serious(open_page: Open, search: str) -> None:
    page = open_page(search)
    page.wait_for_selector(READY[search])
    if search == "?image=1":
        page.click("#refine-button")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        serious = [
            f"{one['id']}: {node['html'][:160]}"
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"]
        ]
        assert not serious, scheme


def test_nothing_moves_when_pictures_arrive(open_page: Open) -> None:
    page = open_page()
    tiles(page)
    page.evaluate(
        """() => {
            globalThis.moved = 0;
            new PerformanceObserver((list) => {
                for (const entry of list.getEntries()) globalThis.moved += entry.value;
            }).observe({type: "layout-shift", buffered: true});
        }"""
    )
    for _ in range(5):
        page.mouse.wheel(0, 300)
        page.wait_for_timeout(60)
    assert page.evaluate("globalThis.moved") < 0.1


def test_an_unknown_picture_is_said_in_one_sentence(open_page: Open) -> None:
    page = open_page("?image=999999")
    page.wait_for_selector("[role=alert]")
    assert page.inner_text("[role=alert] p") == "The library has no image with the id 999999."


def test_a_malformed_filter_is_said_and_can_be_taken_away(open_page: Open) -> None:
    page = open_page("?where=price+<<+5")
    page.wait_for_selector(".refusal")
    assert "price" in page.inner_text(".refusal p")
    assert not page.locator("text=Try again").count(), "the same filter is refused again"
    page.click("#refine >> text=Take the filter away")
    assert tiles(page)


def test_words_that_no_caption_has_are_answered_with_where_they_were_looked_up(
    open_page: Open,
) -> None:
    page = open_page("?text=submarine")
    page.wait_for_selector(".empty")
    assert page.inner_text(".empty p").startswith("No caption or keyword has these words.")


def test_a_broken_picture_is_said_and_the_page_goes_on(open_page: Open) -> None:
    page = open_page()
    before = tiles(page)
    with page.expect_file_chooser() as chooser:
        page.click("text=Choose a picture")
    chooser.value.set_files({"name": "a.jpg", "mimeType": "image/jpeg", "buffer": b"no picture"})
    page.wait_for_selector(".notice.error")
    assert tiles(page) == before
    page.click("[aria-label='Close this message']")
    assert not page.locator(".notice").count()


def test_a_server_that_is_gone_is_said_and_tried_again(open_page: Open) -> None:
    page = open_page()
    first = tiles(page)[0]

    def cut(route: Route) -> None:
        route.abort()

    page.route("**/api/search*", cut)
    page.hover(f"[data-id='{first}']")
    page.click(f"[data-id='{first}'] .plus")
    page.wait_for_selector(".refusal")
    assert "Is lookalike serve still running?" in page.inner_text(".refusal p")
    assert page.inner_text(".refusal code") == "lookalike serve"
    page.unroute("**/api/search*")
    page.click("text=Try again")
    page.wait_for_selector("text=The most alike of")
