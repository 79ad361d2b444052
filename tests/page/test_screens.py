"""The large view, duplicates, failures, and going through all of it without a mouse."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.page.conftest import Open
from tests.page.looking import asked, tiles, wait_for_address

from lookalike.catalogue.generate import view_images
from lookalike.catalogue.products import make_product
from lookalike.library import Library

if TYPE_CHECKING:
    from playwright.sync_api import Page


def decided(shop: Path) -> list[str]:
    with Library.open(shop, read_only=True) as library:
        return [one.decision.kind for one in library.feedback.all()]


@pytest.fixture
def undecided(shop: Path) -> Iterator[None]:
    """Takes back what a test decided."""
    yield
    with Library.open(shop) as library:
        for one in library.feedback.all():
            library.feedback.remove(
                one.decision.kind, *[p[0] for p in (one.first, one.second) if p]
            )


def test_a_picture_opens_large_with_facts_and_neighbours(open_page: Open) -> None:
    page = open_page()
    first, second = tiles(page)[:2]
    page.click(f"[data-id='{first}'] a")
    wait_for_address(page, f"open={first}")
    page.wait_for_selector(".large .facts >> text=Caption")
    page.wait_for_selector(".large .near >> nth=11")
    page.keyboard.press("ArrowRight")
    wait_for_address(page, f"open={second}")
    page.keyboard.press("Escape")
    page.wait_for_selector(".large", state="hidden")
    assert "open=" not in page.url


def test_the_back_button_closes_the_large_view(open_page: Open) -> None:
    page = open_page()
    first = tiles(page)[0]
    page.click(f"[data-id='{first}'] a")
    page.wait_for_selector(".large .facts")
    page.go_back()
    page.wait_for_selector(".large", state="hidden")
    assert tiles(page)[0] == first


def test_what_was_closed_is_not_opened_again_by_going_back(open_page: Open) -> None:
    page = open_page()
    start, other = tiles(page)[:2]
    page.click(f"[data-id='{start}'] a")
    page.wait_for_selector(".large .near >> nth=11")
    page.keyboard.press("ArrowRight")
    wait_for_address(page, f"open={other}")
    page.click(".large .near >> nth=0")  # and from there to a neighbour, which is a step forth
    page.wait_for_function(f"() => !location.search.includes('open={other}')")
    page.keyboard.press("Escape")
    page.wait_for_selector(".large", state="hidden")
    assert tiles(page)[0] == start and "open=" not in page.url
    page.hover(f"[data-id='{other}']")
    page.click(f"[data-id='{other}'] .plus")
    wait_for_address(page, f"image={other}")
    tiles(page)
    page.go_back()
    page.wait_for_selector("h1:has-text('What looks like this?')")
    assert page.locator(".large[open]").count() == 0
    # What was opened by its address has no page before it to go back to.
    shared = open_page(f"?image={start}&open={other}")
    shared.wait_for_selector(".large .facts")
    shared.keyboard.press("Escape")
    shared.wait_for_selector(".large", state="hidden")
    assert asked(shared) == {"image": [str(start)]}


def test_why_it_matched_is_drawn_on_both_pictures(open_page: Open) -> None:
    page = open_page("?image=1")
    other = tiles(page)[1]
    page.click(f"[data-id='{other}'] a")
    page.click("text=Why did it match?")
    page.wait_for_selector(".heated >> nth=1")
    page.wait_for_selector(".swatches li")
    assert "Covering what is outlined lowers the similarity by" in page.inner_text(".why")
    painted = page.eval_on_selector_all(
        ".heated canvas",
        """all => all.map(canvas => canvas.getContext("2d")
            .getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean))""",
    )
    assert painted == [True, True]


def review(open_page: Open, kind: str) -> Page:
    page = open_page(f"?page=duplicates&kind={kind}")
    page.wait_for_selector(".compared")
    return page


def test_duplicates_are_reviewed_with_the_keyboard(
    open_page: Open, shop: Path, undecided: None
) -> None:
    page = review(open_page, "copies")
    groups = page.locator(".rail-of-groups li").count()
    assert groups >= 2
    page.keyboard.press("ArrowDown")
    wait_for_address(page, "group=1")
    page.keyboard.press("ArrowUp")
    page.wait_for_function("() => !location.search.includes('group')")
    page.keyboard.press("2")
    page.wait_for_selector("text=is the one to keep")
    page.wait_for_selector(".left .kept")
    assert decided(shop) == ["keep"]
    page.keyboard.press("u")
    page.wait_for_selector("text=Taken back")
    assert decided(shop) == []
    page.keyboard.press(" ")
    page.wait_for_selector(".laid.over")


def test_what_is_no_duplicate_leaves_the_list_and_can_come_back(
    open_page: Open, shop: Path, undecided: None
) -> None:
    page = review(open_page, "copies")
    refuse = page.locator("button:has-text('Not duplicates')")
    while refuse.is_disabled() or page.locator(".others").count():
        page.keyboard.press("ArrowDown")  # to a pair of two files that differ
    before = page.locator(".rail-of-groups li").count()
    page.keyboard.press("n")
    page.wait_for_selector("text=is no duplicate of")
    assert page.locator(".rail-of-groups li").count() == before - 1
    assert decided(shop) == ["not-duplicate"]
    page.click(".notice >> text=Undo")
    page.wait_for_selector("text=Taken back")
    assert page.locator(".rail-of-groups li").count() == before


def test_failures_say_what_is_wrong_with_which_file(open_page: Open) -> None:
    page = open_page("?page=library")
    page.wait_for_selector(".rows li")
    row = page.inner_text(".rows li:has-text('broken.jpg')")
    assert "copies/broken.jpg" in row and len(row.splitlines()) >= 3
    page.click("text=/^cut off/")
    wait_for_address(page, "outcome=truncated")
    page.wait_for_function("() => document.querySelectorAll('.rows li').length === 1")


def test_everything_is_done_without_a_mouse(open_page: Open) -> None:
    page = open_page()
    found = tiles(page)
    page.keyboard.press("Tab")
    assert page.inner_text(":focus") == "Go to the pictures"
    page.keyboard.press("Enter")
    for _ in range(6):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('.tile') !== null"):
            break
    assert page.evaluate("Number(document.activeElement.closest('.tile').dataset.id)") == found[0]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("Number(document.activeElement.closest('.tile').dataset.id)") == found[2]
    page.keyboard.press("+")
    wait_for_address(page, f"image={found[2]}")
    page.wait_for_selector("text=The most alike of")
    page.keyboard.press("/")
    page.keyboard.type("mug")
    page.keyboard.press("Enter")
    wait_for_address(page, "text=mug")
    page.wait_for_selector(".chip >> nth=1")
    page.keyboard.press("Backspace")
    page.wait_for_function("() => !location.search.includes('text=')")


def test_a_box_is_moved_with_the_keys(open_page: Open) -> None:
    page = open_page("?image=1")
    tiles(page)
    page.focus(".chip .face")
    page.keyboard.press("Enter")
    page.focus(".menu button:has-text('Search a part of it')")
    page.keyboard.press("Enter")
    page.wait_for_selector(".mark:focus")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Enter")
    wait_for_address(page, "region=0.2700,0.2500,0.5000,0.5200")


def test_a_line_on_the_map_lists_what_it_encloses(open_page: Open) -> None:
    page = open_page("?page=map&method=pca")
    page.wait_for_selector(".plane canvas", timeout=60_000)
    assert page.inner_text(".tally").startswith("66 pictures")
    page.click("text=List what is in view")
    wait_for_address(page, "lasso=")
    page.wait_for_selector("text=66 pictures within the line")
    assert set(tiles_of_map(page))
    page.click("text=Take the line away")
    page.wait_for_function("() => !location.search.includes('lasso')")
    canvas = page.locator(".plane canvas").bounding_box()
    assert canvas
    page.click(".lasso")
    left, top = canvas["x"] + 4, canvas["y"] + 4
    right, bottom = canvas["x"] + canvas["width"] / 2, canvas["y"] + canvas["height"] - 4
    page.mouse.move(left, top)
    page.mouse.down()
    for x, y in ((right, top), (right, bottom), (left, bottom)):
        page.mouse.move(x, y, steps=3)
    page.mouse.up()
    page.wait_for_selector(".lassoed h2")
    found = int(page.inner_text(".lassoed h2").split()[0])
    assert 0 < found < 66
    page.click("text=/^More like these/")
    page.wait_for_selector("text=The most alike of")
    assert page.locator(".chip").count() == min(found, 8)
    page.go_back()
    page.wait_for_selector(f"text={found} pictures within the line")


def tiles_of_map(page: Page) -> list[int]:
    page.wait_for_selector(".lassoed .tile")
    ids: list[int] = page.eval_on_selector_all(
        ".lassoed .tile", "all => all.map(li => Number(li.dataset.id))"
    )
    return ids


def test_the_map_is_zoomed_with_the_keys_and_its_look_is_in_the_address(open_page: Open) -> None:
    page = open_page("?page=map&method=pca")
    page.focus(".plane canvas")
    page.keyboard.press("+")
    page.keyboard.press("ArrowLeft")
    wait_for_address(page, "at=")
    look = page.url
    page.reload()
    page.wait_for_selector(".plane canvas")
    assert page.url == look


def test_pictures_are_added_and_removed_where_the_server_may_write(
    open_page: Open, shop: Path
) -> None:
    uploads = shop / "Uploads"
    try:
        page = open_page("?page=library")
        page.wait_for_selector(".figures dd:text-is('66')")
        with page.expect_file_chooser() as chooser:
            page.click("text=Add pictures to the library")
        picture = next(view_images(make_product(2), range(9, 10)))
        chooser.value.set_files({"name": "n.jpg", "mimeType": "image/jpeg", "buffer": picture})
        page.wait_for_selector(".figures dd:text-is('67')")
        page.goto(page.url.split("?")[0] + "?where=path+glob+'*Uploads*'")
        added = tiles(page)[0]
        page.click(f"[data-id='{added}'] a")
        page.click("text=Remove from the library")
        page.click(".removal .danger")
        page.wait_for_selector("text=is forgotten by the library; the file stays where it is")
        page.wait_for_selector("text=No picture passes the filter")
        assert len(list(uploads.iterdir())) == 1
    finally:
        shutil.rmtree(uploads, ignore_errors=True)
        with Library.open(shop) as library:
            library.add([shop])
