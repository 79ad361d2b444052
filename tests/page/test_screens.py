"""The large view, duplicates, failures, the map, and keyboard use."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from tests.library.image_builders import album
from tests.page.actions import address_parameters, drop, tiles, wait_for_address
from tests.page.conftest import Open, serving

from lookalike.catalogue.generate import view_images
from lookalike.catalogue.products import make_product
from lookalike.library import Library

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


def stored_feedback(shop: Path) -> list[str]:
    with Library.open(shop, read_only=True) as library:
        return [one.decision.kind for one in library.feedback.all()]


@pytest.fixture
def no_feedback(shop: Path) -> Iterator[None]:
    """Remove the feedback of a test."""
    yield
    with Library.open(shop) as library:
        for one in library.feedback.all():
            library.feedback.remove(
                one.decision.kind, *[p[0] for p in (one.first, one.second) if p]
            )


def test_the_large_view_shows_properties_and_neighbours(open_page: Open) -> None:
    page = open_page()
    first, second = tiles(page)[:2]
    page.click(f"[data-id='{first}'] a")
    wait_for_address(page, f"open={first}")
    page.wait_for_selector(".large-view .properties >> text=Caption")
    page.wait_for_selector(".large-view .thumbnail >> nth=11")
    page.keyboard.press("ArrowRight")
    wait_for_address(page, f"open={second}")
    page.keyboard.press("Escape")
    page.wait_for_selector(".large-view", state="hidden")
    assert "open=" not in page.url


def test_the_back_button_closes_the_large_view(open_page: Open) -> None:
    page = open_page()
    first = tiles(page)[0]
    page.click(f"[data-id='{first}'] a")
    page.wait_for_selector(".large-view .properties")
    page.go_back()
    page.wait_for_selector(".large-view", state="hidden")
    assert tiles(page)[0] == first


def test_going_back_does_not_reopen_a_closed_image(open_page: Open) -> None:
    page = open_page()
    start, other = tiles(page)[:2]
    page.click(f"[data-id='{start}'] a")
    page.wait_for_selector(".large-view .thumbnail >> nth=11")
    page.keyboard.press("ArrowRight")
    wait_for_address(page, f"open={other}")
    page.click(".large-view .thumbnail >> nth=0")  # a neighbour: a new entry in the history
    page.wait_for_function(f"() => !location.search.includes('open={other}')")
    page.keyboard.press("Escape")
    page.wait_for_selector(".large-view", state="hidden")
    assert tiles(page)[0] == start and "open=" not in page.url
    page.hover(f"[data-id='{other}']")
    page.click(f"[data-id='{other}'] .plus")
    wait_for_address(page, f"image={other}")
    tiles(page)
    page.go_back()
    page.wait_for_selector("h1:has-text('What looks like this?')")
    assert page.locator(".large-view[open]").count() == 0
    # An image that was opened by its address has no entry before it in the history.
    shared = open_page(f"?image={start}&open={other}")
    shared.wait_for_selector(".large-view .properties")
    shared.keyboard.press("Escape")
    shared.wait_for_selector(".large-view", state="hidden")
    assert address_parameters(shared) == {"image": [str(start)]}


def test_an_explanation_is_drawn_on_both_images(open_page: Open) -> None:
    page = open_page("?image=1")
    other = tiles(page)[1]
    page.click(f"[data-id='{other}'] a")
    page.click("text=Why did it match?")
    page.wait_for_selector(".heatmap >> nth=1")
    page.wait_for_selector(".swatches li")
    assert "the similarity falls by" in page.inner_text(".explanation")
    drawn = page.eval_on_selector_all(
        ".heatmap canvas",
        """all => all.map(canvas => canvas.getContext("2d")
            .getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean))""",
    )
    assert drawn == [True, True]


def review(open_page: Open, kind: str) -> Page:
    page = open_page(f"?page=duplicates&kind={kind}")
    page.wait_for_selector(".dup-group", timeout=60_000)
    return page


def wait_until_still(page: Page) -> None:
    page.wait_for_selector(".dup-group.busy", state="detached", timeout=60_000)


def test_duplicates_are_reviewed_with_the_keyboard(
    open_page: Open, shop: Path, no_feedback: None
) -> None:
    page = review(open_page, "copies")
    groups = page.locator(".dup-group")
    assert groups.count() >= 2
    assert groups.first.locator(".best .dup-why").inner_text()
    page.keyboard.press("ArrowDown")
    wait_for_address(page, "group=1")
    page.keyboard.press("ArrowUp")
    page.wait_for_function("() => !location.search.includes('group')")
    # Feedback is about contents, so files with the same bytes cannot be told apart by it.
    other = page.locator(".dup-group:has(button:has-text('Keep this')) .dup-member >> nth=1")
    chosen = other.locator(".dup-name").get_attribute("title")
    for _ in range(groups.count()):
        if page.locator("[aria-current] button:has-text('Keep this')").count():
            break
        page.keyboard.press("ArrowDown")
    page.keyboard.press("2")
    page.wait_for_selector("text=is the one to keep")
    wait_until_still(page)
    kept = page.locator(f".dup-member.best .dup-name[title='{chosen}']")
    assert kept.count() == 1 and stored_feedback(shop) == ["keep"]
    page.keyboard.press("u")
    page.wait_for_selector("text=Undone")
    assert stored_feedback(shop) == []
    page.keyboard.press(" ")
    page.wait_for_selector("dialog.pair-dialog .compare-images")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog.pair-dialog", state="detached")
    page.click(".dup-member a >> nth=0", modifiers=["Control"])
    page.click(".dup-member .tick >> nth=1")
    assert page.inner_text(".action-bar b") == "2 selected"
    page.keyboard.press("Escape")
    page.dispatch_event(".dup-member a >> nth=0", "touchstart")
    page.click(".tile-menu >> text=Select, and choose others")
    page.click(".dup-member a >> nth=2", modifiers=["Shift"])
    assert page.inner_text(".action-bar b") == "3 selected"
    page.keyboard.press("Control+a")
    assert page.inner_text(".action-bar b") == f"{page.locator('.dup-member').count()} selected"


def test_a_pair_that_is_not_duplicate_is_removed_and_undo_restores_it(
    open_page: Open, shop: Path, no_feedback: None
) -> None:
    page = review(open_page, "copies")
    before = page.locator(".dup-group").count()
    page.click(".dup-group:not(:has(.dup-member:nth-child(3))) button:has-text('Not a duplicate')")
    page.wait_for_selector("text=is not a duplicate of")
    wait_until_still(page)
    assert page.locator(".dup-group").count() == before - 1
    assert stored_feedback(shop) == ["not-duplicate"]
    page.click(".toast >> text=Undo")
    page.wait_for_selector("text=Undone")
    page.wait_for_function(f"() => document.querySelectorAll('.dup-group').length === {before}")


def test_groups_are_accepted_by_kind_come_back_after_a_restart_and_done_ones_are_left_out(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    folder = album(tmp_path / "photos", 6)
    shutil.copy2(folder / "000.jpg", folder / "copy.jpg")
    original, copy = folder / "product.jpg", folder / "smaller.jpg"
    original.write_bytes(next(view_images(make_product(2), range(1))))
    with Image.open(original) as image:
        image.resize((128, 128)).save(copy, quality=80)
    with Library.create(folder) as library:
        library.add([folder], extractors=["color"])
    page = browser.new_page()
    with serving(folder, "--writable") as address:
        page.goto(f"{address}?page=duplicates&kind=copies")
        page.click("button:has-text('Accept 1 group of copies')", timeout=60_000)
        page.click("button:has-text('Move to trash')")
        page.click(".toast:has-text('1 file moved to the trash') >> text=Undo", timeout=60_000)
        page.wait_for_selector("text=1 file put back", timeout=60_000)
        assert original.exists() and copy.exists()
        page.click("button:has-text('Accept 1 exact group')", timeout=60_000)
        page.click("button:has-text('Move to trash')")
        page.wait_for_selector("text=/1 file moved to the trash/", timeout=60_000)
        assert copy.exists() and len([*folder.glob("copy.jpg"), *folder.glob("000.jpg")]) == 1
    with serving(folder, "--writable") as address:
        page.goto(f"{address}?page=duplicates&kind=exact")
        page.wait_for_selector("h2:has-text('No duplicates')", timeout=60_000)
        page.click("[popovertarget=trash-menu]")
        page.click(".trash-list >> text=Put 1 file back")
        page.wait_for_selector("text=1 file put back", timeout=60_000)
        assert (folder / "000.jpg").exists() and (folder / "copy.jpg").exists()
        page.click(".dup-group button:has-text('Done')", timeout=60_000)
        page.wait_for_selector("h2:has-text('All groups are done')")
        page.reload()
        page.wait_for_selector("h2:has-text('All groups are done')", timeout=60_000)
        page.click(".segments button:has-text('done')")
        page.wait_for_selector(".dup-group.done")
        page.close()


def test_failures_are_listed_with_their_reason(open_page: Open) -> None:
    page = open_page("?page=library")
    page.wait_for_selector(".failure-list li")
    row = page.inner_text(".failure-list li:has-text('broken.jpg')")
    assert "copies/broken.jpg" in row and len(row.splitlines()) >= 3
    page.click("text=/^truncated/")
    wait_for_address(page, "outcome=truncated")
    page.wait_for_function("() => document.querySelectorAll('.failure-list li').length === 1")


def test_everything_works_without_a_mouse(open_page: Open) -> None:
    page = open_page()
    found = tiles(page)
    page.keyboard.press("Tab")
    assert page.inner_text(":focus") == "Skip to the images"
    page.keyboard.press("Enter")
    assert page.evaluate("Number(document.activeElement.closest('.tile').dataset.id)") == found[0]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("Number(document.activeElement.closest('.tile').dataset.id)") == found[2]
    page.keyboard.press("+")
    wait_for_address(page, f"image={found[2]}")
    page.wait_for_selector(".scale-bands")
    page.wait_for_selector(".tile a:focus")
    page.keyboard.press("/")
    page.keyboard.type("mug")
    page.keyboard.press("Enter")
    wait_for_address(page, "text=mug")
    page.wait_for_selector(".chip >> nth=1")
    page.keyboard.press("Backspace")
    page.wait_for_function("() => !location.search.includes('text=')")


def test_a_region_is_moved_with_the_keys(open_page: Open) -> None:
    page = open_page("?image=1")
    tiles(page)
    page.click("text=Search a region")
    wait_for_address(page, "region=0.2500,0.2500,0.5000,0.5000")
    page.focus(".region-box")
    page.keyboard.press("ArrowRight")
    wait_for_address(page, "region=0.2700,0.2500")
    page.keyboard.press("Shift+ArrowDown")
    wait_for_address(page, "region=0.2700,0.2500,0.5000,0.5200")
    page.keyboard.press("Escape")
    page.wait_for_function("() => !location.search.includes('region')")


def open_map(open_page: Open, more: str = "", **options: object) -> Page:
    page = open_page("?page=map&method=pca" + more, **options)
    page.wait_for_selector(".map-stage canvas", timeout=60_000)
    return page


def tiles_of_map(page: Page) -> list[int]:
    page.wait_for_selector(".map-list .tile")
    ids: list[int] = page.eval_on_selector_all(
        ".map-list .tile", "all => all.map(li => Number(li.dataset.id))"
    )
    return ids


def draw_lasso(page: Page, left: float, top: float, right: float, bottom: float) -> None:
    """Draw a lasso around a rectangle, in shares of the canvas."""
    box = page.locator(".map-stage canvas").bounding_box()
    assert box
    xs = [box["x"] + share * box["width"] for share in (left, right, right, left)]
    ys = [box["y"] + share * box["height"] for share in (top, top, bottom, bottom)]
    page.click(".lasso")
    page.mouse.move(xs[0], ys[0])
    page.mouse.down()
    for x, y in zip(xs[1:], ys[1:], strict=True):
        page.mouse.move(x, y, steps=3)
    page.mouse.up()


def test_a_lasso_selects_the_images_inside_for_all_screens(open_page: Open) -> None:
    page = open_map(open_page)
    assert page.inner_text(".counts").startswith("66 images")
    assert "trustworthiness" in page.inner_text(".counts")
    page.click("text=Select what is in view")
    page.wait_for_selector(".map-list h2:text-is('66 selected')")
    page.keyboard.press("Escape")
    page.wait_for_function("() => !location.search.includes('lasso')")
    draw_lasso(page, 0.01, 0.01, 0.5, 0.99)
    page.wait_for_selector(".map-list .tile")
    found = int(page.inner_text(".map-list h2").split()[0])
    assert 0 < found < 66
    assert page.inner_text(".action-bar b") == page.inner_text(".map-list h2")
    page.hover(".map-list .tile >> nth=0")
    page.wait_for_selector(".map-stage.pointing")
    page.click(".pages a >> nth=0")
    page.wait_for_selector(".grid .tile.selected")
    page.go_back()
    page.wait_for_selector(f".map-list h2:text-is('{found} selected')")
    page.click("text=/^More like these/")
    page.wait_for_selector(".scale-bands")
    assert page.locator(".chip").count() == min(found, 8)


def test_a_lasso_stays_where_it_was_drawn_on_a_zoomed_map(open_page: Open) -> None:
    page = open_map(open_page)
    page.focus(".map-stage canvas")
    for _ in range(4):
        page.keyboard.press("+")
    wait_for_address(page, "viewport=")
    draw_lasso(page, 0.3, 0.2, 0.7, 0.8)
    page.wait_for_selector(".map-list .tile")
    found = sorted(tiles_of_map(page))
    corners = [float(n) / 100_000 for n in address_parameters(page)["lasso"][0].split(",")]
    layout = page.evaluate("fetch('api/map?method=pca').then((found) => found.json())")
    inside = [
        id
        for id, x, y in zip(layout["ids"], layout["x"], layout["y"], strict=True)
        if min(corners[::2]) < x < max(corners[::2]) and min(corners[1::2]) < y < max(corners[1::2])
    ]
    assert found == inside
    page.keyboard.press("0")
    page.reload()
    page.wait_for_selector(".map-list .tile")
    assert sorted(tiles_of_map(page)) == found


def test_a_lasso_is_as_precise_as_the_places_of_images(open_page: Open) -> None:
    page = open_map(open_page)
    layout = page.evaluate("fetch('api/map?method=pca').then((found) => found.json())")
    x, y = (round(layout[axis][0] * 100_000) for axis in "xy")
    corners = [x - 0.5, y - 0.5, x + 0.5, y - 0.5, x + 0.5, y + 0.5, x - 0.5, y + 0.5]
    page.goto(page.url + "&lasso=" + ",".join(map(str, corners)))
    assert tiles_of_map(page) == [layout["ids"][0]]


def test_filters_and_the_legend_reach_the_map(open_page: Open) -> None:
    page = open_map(open_page, "&color=kind")
    value = page.locator(".facet[data-field=kind] .facet-values label >> nth=0")
    kind, images = value.locator(".value").inner_text(), value.locator(".muted").inner_text()
    value.click()
    page.wait_for_selector(".counts:has-text('of 66 images')")
    assert page.inner_text(".counts").split()[0] == images
    entry = page.locator(".legend-entry")
    assert entry.count() == 1
    assert entry.inner_text().splitlines() == [kind, images]
    page.click("text=Select what is in view")
    page.wait_for_selector(f".map-list h2:text-is('{images} selected')")
    page.keyboard.press("Escape")
    entry.click()
    assert entry.get_attribute("aria-pressed") == "false"
    page.click("text=Select what is in view")
    page.wait_for_selector(".toast:has-text('There is no image inside')")


def test_another_color_of_the_map_is_shown_without_another_layout(open_page: Open) -> None:
    page = open_map(open_page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.split("/api/")[-1]))
    page.locator(".option:has-text('Colours') select").select_option("kind")
    page.wait_for_selector(".legend-entry:has-text('mug')")
    assert [url for url in asked if url.startswith("map")] == ["map/groups?method=pca&color=kind"]
    assert page.is_visible("text=Show the more exact map")


def test_the_map_is_used_with_the_keys(open_page: Open) -> None:
    page = open_map(open_page)
    page.focus(".map-stage canvas")
    page.keyboard.press("+")
    page.keyboard.press("ArrowLeft")
    wait_for_address(page, "viewport=")
    page.wait_for_selector(".map-card b:not(:text-is('…'))")
    page.wait_for_function("() => document.getElementById('announcement').textContent !== ''")
    page.keyboard.press("x")
    page.wait_for_selector(".map-list h2:text-is('1 selected')")
    selected = tiles_of_map(page)
    address = page.url
    page.reload()
    page.wait_for_selector(".map-stage canvas")
    assert page.url == address
    page.focus(".map-stage canvas")
    page.keyboard.press("Enter")
    wait_for_address(page, f"open={selected[0]}")


def test_images_are_added_and_removed_on_a_writable_server(open_page: Open, shop: Path) -> None:
    uploads = shop / "Uploads"
    try:
        page = open_page("?page=library")
        page.wait_for_selector(".figures dd:text-is('66')")
        first, second = view_images(make_product(2), range(9, 11))
        with page.expect_file_chooser() as chooser:
            page.click("text=Add images to the library")
        chooser.value.set_files({"name": "n.jpg", "mimeType": "image/jpeg", "buffer": first})
        page.wait_for_selector(".figures dd:text-is('67')")
        drop(page, second, "m.jpg", zone="library")
        page.wait_for_selector(".figures dd:text-is('68')")
        failed = page.inner_text(".figures div:has-text('could not be read') dd")
        page.wait_for_selector(f".toast >> text=68 images, {failed} file could not be read")
        page.goto(page.url.split("?")[0] + "?where=path+glob+'*Uploads/n*'")
        added = tiles(page)[0]
        page.click(f"[data-id='{added}'] a")
        page.click("text=Remove from the library")
        page.click(".removal .danger")
        page.wait_for_selector("text=is removed from the library; its file stays where it is")
        page.wait_for_selector("text=No image passes the filter")
        assert len(list(uploads.iterdir())) == 2
    finally:
        shutil.rmtree(uploads, ignore_errors=True)
        with Library.open(shop) as library:
            library.add([shop])


def test_a_folder_without_a_library_is_indexed_by_a_button_and_a_large_image_read(
    browser: Browser, tmp_path: Path
) -> None:
    folder = album(tmp_path / "photos", 5)
    Image.effect_noise((1400, 1050), 90).save(folder / "large.png")
    with serving(folder) as address:
        page = browser.new_page()
        page.goto(address)
        page.click("button:has-text('Index 6 images')", timeout=60_000)
        page.wait_for_selector(".grid .tile >> nth=5", timeout=60_000)
        page.click("nav a:has-text('Library')")
        page.wait_for_selector(".jobs .job:has-text('Indexing') >> text=/6 new/")
        page.wait_for_selector(".figures dd:text-is('6')")
        page.goto(f"{address}?where=name+=+'large.png'&open={id_of(folder, 'large.png')}")
        page.wait_for_selector(".pswp__img")
        page.dblclick(".stage")
        page.wait_for_function(
            "() => [...document.querySelectorAll('.image-tiles img')].some((one) => one.naturalWidth === 512)"
        )
        page.close()


def id_of(folder: Path, name: str) -> int:
    with Library.open(folder, read_only=True) as library:
        return next(image.id for image in library.files() if image.path == name)


def test_images_are_browsed_by_folder_and_value_and_a_search_is_saved(open_page: Open) -> None:
    page = open_page("?page=browse")
    page.click(".browse-head button:has-text('kind')")
    wait_for_address(page, "by=kind")
    group = page.locator(".browse-group:has-text('mug')")
    group.wait_for()
    number = int(group.locator(".muted").inner_text().split()[0])
    group.click()
    wait_for_address(page, "where=kind+=+'mug'")
    assert len(tiles(page)) == number
    page.click("nav a:has-text('Browse')")
    page.fill(".saved input", "All mugs")
    page.click("button:has-text('Save this search')")
    page.goto(page.url.split("?")[0] + "?page=browse")
    page.click(".saved a:has-text('All mugs')")
    assert len(tiles(page)) == number
    page.go_back()
    page.click(".saved button[aria-label^='Delete']")
    page.wait_for_selector(".saved", state="detached")
