"""Window sizes, colour schemes, accessibility, and error messages."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.page.actions import TILES, tiles
from tests.page.conftest import Open

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
MAP = "?page=map&method=pca&lasso=0,0,100000,0,100000,100000,0,100000"
SCREENS = [
    "",
    "?image=1",
    "?image=1&open=2",
    "?page=duplicates&kind=exact",
    "?page=library",
    "?page=browse",
    MAP,
]
READY = {
    "": TILES,
    "?image=1": ".band",
    "?image=1&open=2": ".large-view .thumbnail",
    "?page=duplicates&kind=exact": ".dup-group",
    "?page=library": ".failure-list li",
    "?page=browse": ".browse-group",
    MAP: ".map-list .tile",
}

# `npm install --no-save axe-core` installs it.
AXE = Path(os.environ.get("AXE_CORE", "node_modules/axe-core/axe.min.js"))


@pytest.mark.parametrize("search", SCREENS)
def test_no_screen_is_wider_than_its_window(open_page: Open, search: str) -> None:
    page = open_page(search)
    page.wait_for_selector(READY[search])
    for width in (320, 390, 700, 1024, 1920):
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_timeout(50)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_everything_can_be_pressed_on_a_phone(open_page: Open) -> None:
    page = open_page("?image=1", **PHONE)
    tiles(page)
    assert page.is_visible("[aria-label='Take a photo']")
    button = page.locator(".tile .plus").nth(1)
    size = button.bounding_box()
    assert size and size["width"] >= 40 and size["height"] >= 40
    page.tap("#rail-button")
    panel = page.locator("#rail").bounding_box()
    assert panel and panel["x"] == 0 and panel["width"] == 390
    assert page.get_attribute("[data-action=more] >> nth=1", "aria-pressed") == "false"
    page.tap("#rail .quiet")
    button.tap()
    page.wait_for_selector(".chip >> nth=1")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_have_enough_contrast_in_light_and_dark(open_page: Open, scheme: str) -> None:
    page = open_page("?image=1", color_scheme=scheme)
    tiles(page)
    background = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    red = int(background.split("(")[1].split(",")[0])
    assert red < 60 if scheme == "dark" else red > 200
    for selector in (".band[aria-current]", ".results-bar .facts", ".brand", ".pages a"):
        assert contrast(page, selector) >= 4.5


def contrast(page: Page, selector: str) -> float:
    """Return the contrast of a text with the background of the page, by WCAG 2.2."""
    ratio: float = page.evaluate(
        """selector => {
            const luminance = (color) => {
                const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255)
                    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const text = luminance(getComputedStyle(document.querySelector(selector)).color);
            const background = luminance(getComputedStyle(document.documentElement).backgroundColor);
            return (Math.max(text, background) + 0.05) / (Math.min(text, background) + 0.05);
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
        page.click(".options summary")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    for width, dark in ((390, True), (1024, False), (1440, True), (1440, False)):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme="dark" if dark else "light")
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        serious = [
            f"{one['id']}: {node['html'][:160]}"
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"]
        ]
        assert not serious, (width, dark)


def test_nothing_moves_when_images_load(open_page: Open) -> None:
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


def test_an_unknown_image_has_an_error_of_one_sentence(open_page: Open) -> None:
    page = open_page("?image=999999")
    page.wait_for_selector("[role=alert]")
    assert page.inner_text("[role=alert] p") == "The library has no image with the id 999999."


def test_a_name_at_the_beginning_of_an_error_stays_as_it_is(open_page: Open) -> None:
    page = open_page("?text=mug&min_relevance=strong")
    page.wait_for_selector("[role=alert]")
    assert page.inner_text("[role=alert] p").startswith("min_relevance judges")


def test_a_malformed_filter_has_an_error_and_can_be_removed(open_page: Open) -> None:
    page = open_page("?where=price+<<+5")
    page.wait_for_selector(".error-message")
    assert "price" in page.inner_text(".error-message p")
    assert not page.locator("text=Try again").count(), "the same filter would be refused again"
    page.click(".facets >> text=Remove the filter")
    assert tiles(page)


def test_words_that_no_caption_has_name_the_fields_that_were_searched(
    open_page: Open,
) -> None:
    page = open_page("?text=submarine")
    page.wait_for_selector(".empty")
    assert page.inner_text(".empty p").startswith("No caption or keyword has these words.")


def test_a_broken_image_has_an_error_and_the_page_goes_on(open_page: Open) -> None:
    page = open_page()
    before = tiles(page)
    with page.expect_file_chooser() as chooser:
        page.click("text=Choose an image")
    chooser.value.set_files({"name": "a.jpg", "mimeType": "image/jpeg", "buffer": b"not an image"})
    page.wait_for_selector(".toast.error")
    assert tiles(page) == before
    page.click("[aria-label='Close this message']")
    assert not page.locator(".toast").count()


def test_a_server_that_is_gone_has_an_error_and_can_be_tried_again(open_page: Open) -> None:
    page = open_page()
    first = tiles(page)[0]

    def abort(route: Route) -> None:
        route.abort()

    page.route("**/api/search*", abort)
    page.hover(f"[data-id='{first}']")
    page.click(f"[data-id='{first}'] .plus")
    page.wait_for_selector(".error-message")
    assert "Is lookalike serve still running?" in page.inner_text(".error-message p")
    assert page.inner_text(".error-message code") == "lookalike serve"
    page.unroute("**/api/search*")
    page.click("text=Try again")
    page.wait_for_selector(".scale-bands")
