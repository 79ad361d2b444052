"""Selecting images and what is done with them; the large view; settings of the browser."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING

from tests.page.actions import tiles, wait_for_address
from tests.page.conftest import Open

from lookalike.library import Library

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route


def select(page: Page, id: int, **options: object) -> None:
    page.hover(f"[data-id='{id}']")
    page.click(f"[data-id='{id}'] .tick", **options)  # type: ignore[arg-type]


def selected(page: Page) -> str:
    return page.inner_text(".action-bar b")


def test_images_are_selected_by_tick_click_and_key(open_page: Open) -> None:
    page = open_page("?image=1")
    found = tiles(page)
    select(page, found[0])
    assert selected(page) == "1 selected"
    page.click(f"[data-id='{found[3]}'] a", modifiers=["Shift"])
    assert selected(page) == "4 selected"
    page.click(f"[data-id='{found[1]}'] a", modifiers=["Control"])
    assert selected(page) == "3 selected"
    page.focus(f"[data-id='{found[5]}'] a")
    page.keyboard.press("x")
    assert selected(page) == "4 selected"
    assert "open=" not in page.url
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Control+a")
    assert selected(page) == "65 selected"
    page.keyboard.press("Escape")
    assert not page.locator(".action-bar").count()


def test_images_are_selected_by_a_drag(open_page: Open) -> None:
    page = open_page("?image=1")
    found = tiles(page)
    select(page, found[0])
    first, last = (page.locator(".tile").nth(place).bounding_box() for place in (0, 2))
    assert first and last and first["y"] == last["y"]
    page.mouse.move(first["x"] + 50, first["y"] + 50)
    page.mouse.down()
    page.mouse.move(last["x"] + 20, last["y"] + 60, steps=4)
    page.mouse.up()
    assert selected(page) == "3 selected"
    assert "open=" not in page.url


def test_a_long_press_opens_a_menu_and_selects_on_a_phone(open_page: Open) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    page = open_page("?image=1", **phone)
    found = tiles(page)
    page.dispatch_event(f"[data-id='{found[0]}'] a", "touchstart")
    page.tap(".tile-menu >> text=Less like this")
    wait_for_address(page, f"not_image={found[0]}")
    page.go_back()
    assert tiles(page)[0] == found[0] and not page.locator(".action-bar").count()
    page.dispatch_event(f"[data-id='{found[0]}'] a", "touchstart")
    page.tap(".tile-menu >> text=Select, and choose others")
    page.wait_for_selector(".action-bar")
    page.tap(f"[data-id='{found[2]}'] a")
    assert selected(page) == "2 selected" and "open=" not in page.url


def test_the_selection_is_searched_with(open_page: Open) -> None:
    page = open_page("?image=1")
    found = tiles(page)
    for id in found[1:3]:
        select(page, id)
    page.click("text=More like these")
    wait_for_address(page, f"image={found[1]}&image={found[2]}")
    page.wait_for_selector(".chip >> nth=1")
    assert not page.locator(".action-bar").count()


def test_the_selection_is_exported(open_page: Open, tmp_path: Path) -> None:
    page = open_page()
    found = tiles(page)[:2]
    for id in found:
        select(page, id)
    for label in ("Table (CSV)", "JSON"):
        page.click("text=Export")
        with page.expect_download() as download:
            page.click(f".menu-item:has-text('{label}')")
        file = tmp_path / download.value.suggested_filename
        download.value.save_as(file)
        text = file.read_text(encoding="utf-8-sig")
        rows = json.loads(text)["images"] if label == "JSON" else csv.DictReader(text.splitlines())
        assert [int(row["id"]) for row in rows] == found


def test_tags_are_added_filtered_and_removed(open_page: Open, shop: Path) -> None:
    page = open_page()
    found = tiles(page)[:2]
    for id in found:
        select(page, id)
    page.click(".action-bar >> text=Tag")
    page.wait_for_selector("[name=tag]:focus")
    page.keyboard.type("good\n")
    page.wait_for_selector("text=2 images are tagged good.")
    try:
        page.keyboard.press("Escape")
        page.goto(page.url.split("?")[0] + "?where=tags+%3D+'good'")
        assert sorted(tiles(page)) == sorted(found)
        page.click(f"[data-id='{found[0]}'] a")
        page.click("[aria-label='Remove good']")
        page.wait_for_selector(".tags li:has-text('good')", state="detached")
        with Library.open(shop, read_only=True) as library, library.snapshot() as snapshot:
            assert snapshot.select("tags = 'good'").tolist() == [found[1]]
    finally:
        with Library.open(shop) as library:
            library.set_metadata([Path(f"id:{id}") for id in found], remove_tags=["good"])


def test_metadata_is_edited_in_the_large_view_and_undone(open_page: Open, shop: Path) -> None:
    page = open_page("?image=1")
    id = tiles(page)[1]
    with Library.open(shop, read_only=True) as library, library.snapshot() as snapshot:
        before = snapshot.images([id])[id].metadata
    page.click(f"[data-id='{id}'] a")
    page.click("dialog >> text=Edit")
    page.fill("[name='field caption']", "A rare thing")
    page.fill("[name='name']", "shelf")
    page.fill("[name='value']", "12")
    page.click("dialog >> text=Save")
    page.wait_for_selector(".details h2:text-is('A rare thing')")
    with Library.open(shop, read_only=True) as library, library.snapshot() as snapshot:
        saved = snapshot.images([id])[id].metadata
        assert saved == {**before, "caption": "A rare thing", "shelf": 12}
        assert snapshot.select("shelf > 11").tolist() == [id]
    page.click(".toast >> text=Undo")
    page.wait_for_selector(f".details h2:text-is('{before['caption']}')")
    with Library.open(shop, read_only=True) as library, library.snapshot() as snapshot:
        assert snapshot.images([id])[id].metadata == before


def test_the_large_view_is_swiped_and_pinched(open_page: Open) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    page = open_page("?image=1", **phone)
    first, second = tiles(page)[:2]
    page.goto(page.url + f"&open={first}")
    image = ".pswp__item[aria-hidden=false] .pswp__img:not(.pswp__img--placeholder)"
    page.wait_for_selector(image)
    neighbor = image.replace("false", "true")  # comes when the view has opened, and not before
    page.wait_for_selector(neighbor, state="attached")
    touch(page, [[(370 - 50 * step, 300)] for step in range(7)])  # far enough for a slow finger
    wait_for_address(page, f"open={second}")
    page.wait_for_function(
        "id => document.querySelector('.pswp__item[aria-hidden=false] img').src.includes(`/${id}/`)",
        arg=second,
    )
    width = page.eval_on_selector(image, "image => image.getBoundingClientRect().width")
    touch(page, [[(195 - 20 - 25 * step, 250), (195 + 20 + 25 * step, 250)] for step in range(5)])
    page.wait_for_function(
        "([image, width]) => document.querySelector(image).getBoundingClientRect().width > 1.5 * width",
        arg=[image, width],
    )


def touch(page: Page, places: list[list[tuple[int, int]]]) -> None:
    """Move fingers over the screen: where each of them is, one step after the other."""
    session = page.context.new_cdp_session(page)

    def send(kind: str, points: list[tuple[int, int]]) -> None:
        at = [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

    send("touchStart", places[0])
    for points in places[1:]:
        page.evaluate(
            "() => new Promise(requestAnimationFrame)"
        )  # else a busy page takes all as one
        send("touchMove", points)
    page.evaluate("() => new Promise(requestAnimationFrame)")
    send("touchEnd", [])


def test_the_large_view_zooms_compares_and_says_the_key(open_page: Open) -> None:
    page = open_page("?image=1")
    other = tiles(page)[1]
    page.click(f"[data-id='{other}'] a")
    image = ".pswp__item[aria-hidden=false] .pswp__img:not(.pswp__img--placeholder)"
    page.wait_for_selector(image)
    width = page.eval_on_selector(image, "image => image.getBoundingClientRect().width")
    page.keyboard.press("z")
    page.wait_for_function(
        "([image, width]) => document.querySelector(image).getBoundingClientRect().width > 1.5 * width",
        arg=[image, width],
    )
    page.keyboard.press("c")
    page.wait_for_selector(".compare.by-slider .split")
    page.click(".compare >> text=Difference")
    page.wait_for_selector(".compare.by-difference")
    page.keyboard.press("c")
    assert not page.locator(".compare").count()


def test_a_color_is_searched_without_an_image_and_others_are_painted(open_page: Open) -> None:
    page = open_page()
    tiles(page)
    page.click("[popovertarget=color-menu]")
    page.click(".palette button >> nth=0")
    wait_for_address(page, "upload=")
    page.wait_for_selector(".scale-bands")
    first = page.url
    page.click(".palette button >> nth=7")
    page.click(".sketch button >> nth=47")
    page.wait_for_function("before => location.href !== before", arg=first)
    assert page.locator(".chip").count() == 1
    page.go_back()
    page.wait_for_selector("h1:has-text('What looks like this?')")


def test_help_lists_the_keys_and_settings_last(open_page: Open) -> None:
    page = open_page()
    tiles(page)
    page.keyboard.press("?")
    page.wait_for_selector("dialog.help[open]")
    assert page.locator("dialog.help kbd").count() > 20
    page.keyboard.press("Escape")
    page.click(".main-menu")
    page.click("#main-menu >> text=Dark")
    page.click("#main-menu >> text=Deutsch")
    page.wait_for_selector("h1:has-text('Was sieht so ähnlich aus?')")
    assert page.evaluate("document.documentElement.lang") == "de"
    background = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert int(background.split("(")[1].split(",")[0]) < 60


def test_a_reload_keeps_the_place(open_page: Open) -> None:
    page = open_page(viewport={"width": 500, "height": 400})
    tiles(page)
    page.evaluate("scrollTo(0, 900)")
    page.wait_for_function("() => history.state?.scroll > 880")
    page.reload()
    page.wait_for_function("() => Math.abs(scrollY - 900) < 5")


def test_hits_stay_while_the_server_is_away(open_page: Open) -> None:
    page = open_page("?image=1")
    found = tiles(page)

    def abort(route: Route) -> None:
        route.abort()

    page.route("**/api/search*", abort)
    page.hover(f"[data-id='{found[0]}']")
    page.click(f"[data-id='{found[0]}'] .plus")
    page.wait_for_selector(".error-message")
    assert page.locator(".tile").count() > 5
    page.unroute("**/api/search*")
    page.click("text=Try again")
    page.wait_for_selector(".error-message", state="detached")


def test_a_missing_image_is_not_tried_again(open_page: Open) -> None:
    page = open_page("?open=999999")
    page.wait_for_selector(".large-view [role=alert]")
    assert not page.locator("text=Try again").count()
