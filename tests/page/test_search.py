"""Searching on the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.page.actions import address_parameters, drop, tiles, wait_for_address
from tests.page.conftest import Open

from lookalike.catalogue.generate import view_images
from lookalike.catalogue.products import make_product
from lookalike.library import Library
from lookalike.query import Query, Term


@pytest.fixture(scope="module")
def new_image() -> bytes:
    """Return an image of the shop's fourth product that is not in the shop."""
    return next(view_images(make_product(3), range(7, 8)))


@pytest.fixture(scope="module")
def first(shop: Path) -> int:
    """Return the id of an image."""
    return next(iter(ids_of(shop, "product = 'p0003'")))


def ids_of(shop: Path, where: str) -> list[int]:
    with Library.open(shop, read_only=True) as library, library.snapshot() as snapshot:
        return [int(id) for id in snapshot.select(where)]


def expected_ids(shop: Path, *terms: Term, where: str | None = None) -> list[int]:
    """Return the hits of the library itself, without the images that the query names."""
    named = {term.id for term in terms}
    with Library.open(shop, read_only=True) as library:
        hits = library.search(Query(terms, k=12, where=where)).hits
        return [hit.id for hit in hits if hit.id not in named][:8]


def test_the_first_visit_shows_the_library_and_how_to_search(open_page: Open, shop: Path) -> None:
    page = open_page()
    assert page.inner_text("h1") == "What looks like this?"
    assert set(tiles(page)) <= set(ids_of(shop, "outcome = 'indexed'"))
    assert page.inner_text(".results-bar .count") == "All 66 images"
    assert page.is_visible("text=Choose an image")


def test_a_dropped_image_is_searched_with(
    open_page: Open, new_image: bytes, shop: Path, tmp_path: Path
) -> None:
    page = open_page()
    tiles(page)
    drop(page, new_image, "new.jpg")
    wait_for_address(page, "upload=")
    page.wait_for_selector(".band")
    file = tmp_path / "new.jpg"
    file.write_bytes(new_image)
    assert tiles(page)[:8] == expected_ids(shop, Term(image=file))
    assert page.locator(".chip").count() == 1


def test_an_image_can_be_pasted_and_chosen(open_page: Open, new_image: bytes) -> None:
    page = open_page()
    tiles(page)
    with page.expect_file_chooser() as chooser:
        page.click("text=Choose an image")
    chooser.value.set_files({"name": "a.jpg", "mimeType": "image/jpeg", "buffer": new_image})
    wait_for_address(page, "upload=")
    page.evaluate(
        """bytes => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "pasted.png", {type: "image/png"}));
            dispatchEvent(new ClipboardEvent("paste", {clipboardData: data, cancelable: true}));
        }""",
        list(next(view_images(make_product(5), range(7, 8)))),
    )
    page.wait_for_selector(".chip >> nth=1")
    assert len(address_parameters(page)["upload"]) == 2


def test_more_like_this_and_less_like_this_change_the_query(
    open_page: Open, shop: Path, first: int
) -> None:
    page = open_page(f"?image={first}")
    found = tiles(page)
    other = found[5]
    page.hover(f"[data-id='{other}']")
    page.click(f"[data-id='{other}'] .minus")
    wait_for_address(page, f"not_image={other}")
    page.wait_for_selector("#results:not([aria-busy])")
    page.hover(f"[data-id='{found[3]}']")
    page.click(f"[data-id='{found[3]}'] .plus")
    wait_for_address(page, f"image={found[3]}")
    page.wait_for_selector(".chip >> nth=2")
    page.wait_for_selector(f".tile[data-id='{found[3]}']", state="detached")
    expected = expected_ids(shop, Term(id=first), Term(id=found[3]), Term(id=other, weight=-1.0))
    assert tiles(page)[:8] == expected
    page.click(".chip.less .chip-remove")
    page.wait_for_function("() => !location.search.includes('not_image')")
    assert page.locator(".chip").count() == 2


def test_a_term_of_the_query_can_have_a_weight(open_page: Open, shop: Path, first: int) -> None:
    other = ids_of(shop, "product = 'p0007'")[0]
    page = open_page(f"?image={first}&image={other}")
    tiles(page)
    page.click(".chip >> nth=1 >> .chip-button")
    page.click("[aria-label='Weight 4'] >> visible=true")
    wait_for_address(page, f"image=4:{other}")
    page.wait_for_selector(".weight")
    expected = expected_ids(shop, Term(id=first), Term(id=other, weight=4.0))
    page.wait_for_function(f"() => document.querySelector('.tile').dataset.id == {expected[0]}")
    assert tiles(page)[:8] == expected


def test_text_is_found_in_captions(open_page: Open, shop: Path) -> None:
    caption = "p0003"
    page = open_page()
    tiles(page)
    page.fill("[name=text]", caption)
    page.press("[name=text]", "Enter")
    wait_for_address(page, f"text={caption}")
    page.wait_for_selector("text=4 of 66 images")
    assert tiles(page)[:4] == expected_ids(shop, Term(text=caption))[:4]
    found = page.locator(".tile a").first.get_attribute("title")
    assert found and found.startswith("Found in: ")


def test_a_region_drawn_on_the_query_image_is_searched_at_once(
    open_page: Open, shop: Path, first: int
) -> None:
    page = open_page(f"?image={first}")
    tiles(page)
    box = page.locator(".region-image").bounding_box()
    assert box and box["width"] > 200
    left, top = box["x"] + 2, box["y"] + 2
    page.mouse.move(left, top)
    page.mouse.down()
    page.mouse.move(left + box["width"] / 2, top + box["height"] / 2, steps=4)
    wait_for_address(page, "region=")  # before the button is released
    page.mouse.up()
    x, y, width, height = map(float, address_parameters(page)["region"][0].split(","))
    assert 0 <= x < 0.02 and 0 <= y < 0.02
    assert abs(width - 0.5) < 0.02 and abs(height - 0.5) < 0.02
    page.wait_for_selector(".chip .region")
    expected = expected_ids(shop, Term(id=first, region=(x, y, width, height)))
    page.wait_for_function(f"() => document.querySelector('.tile').dataset.id == {expected[0]}")
    assert tiles(page)[:8] == expected
    page.click("text=Search the whole image")
    page.wait_for_function("() => !location.search.includes('region')")


def test_filters_give_the_images_of_the_library(open_page: Open, shop: Path, first: int) -> None:
    page = open_page(f"?image={first}")
    tiles(page)
    price = page.locator("[data-field=price] .bounds input")
    price.nth(1).fill("50")
    price.nth(1).press("Enter")
    wait_for_address(page, "where=price+<=+50")
    cheap = set(ids_of(shop, "price <= 50"))
    page.wait_for_function(
        "cheap => [...document.querySelectorAll('.tile')].every(li => cheap.includes(Number(li.dataset.id)))",
        arg=sorted(cheap),
    )
    kind = page.locator("[data-field=kind] .value").first
    name = kind.inner_text()
    kind.click()
    wait_for_address(page, f"price+<=+50+and+kind+=+'{name}'")
    both = set(ids_of(shop, f"price <= 50 and kind = '{name}'"))
    page.wait_for_function(
        "both => [...document.querySelectorAll('.tile')].every(li => both.includes(Number(li.dataset.id)))",
        arg=sorted(both),
    )
    assert page.get_attribute("#rail-button", "aria-label") == "Filters: 2 set"


def test_images_are_shown_in_the_order_of_a_field(open_page: Open, shop: Path) -> None:
    page = open_page("?order=-price")
    with Library.open(shop) as library, library.snapshot() as snapshot:
        rising = snapshot.sort(snapshot.select("price > 0"), "price").tolist()
        falling = snapshot.sort(snapshot.select("price > 0"), "price", reverse=True).tolist()
    assert tiles(page)[:5] == falling[:5]
    page.click("button:has-text('View')")
    page.select_option("#view-menu select >> nth=1", "price")
    page.wait_for_function(
        "first => Number(document.querySelector('.tile').dataset.id) === first", arg=rising[0]
    )
    wait_for_address(page, "order=price")
    assert tiles(page)[:5] == rising[:5]


def test_an_address_can_be_shared_and_the_back_button_works(open_page: Open, first: int) -> None:
    page = open_page()
    start = tiles(page)
    page.hover(f"[data-id='{start[0]}']")
    page.click(f"[data-id='{start[0]}'] .plus")
    page.wait_for_selector(".scale-bands")
    page.click(".options summary")
    page.click("text=phash")
    wait_for_address(page, "extractor=phash")
    page.wait_for_selector("text=by color + phash")
    shared, found = page.url, tiles(page)
    other = open_page(shared[shared.index("?") :])
    other.wait_for_selector("text=by color + phash")
    assert tiles(other) == found
    page.go_back()
    page.wait_for_function("() => !location.search.includes('extractor=')")
    page.go_back()
    page.wait_for_selector("h1:has-text('What looks like this?')")
    assert tiles(page)[:10] == start[:10]
    page.go_forward()
    page.go_forward()
    page.wait_for_selector("text=by color + phash")
    assert tiles(page) == found


def test_hits_flow_in_one_grid_and_the_scale_counts_and_jumps(open_page: Open, shop: Path) -> None:
    copied = ids_of(shop, "path = 'copies/same.jpg'")[0]
    page = open_page(f"?image={copied}")
    tiles(page)
    named = page.locator(".band").all_inner_texts()
    assert re.match(r"(copies|strong)\s+\d+$", named[0]) and named[-1].strip() == "rest"
    relevant = sum(int(text.split()[-1]) for text in named[:-1])
    lines = page.eval_on_selector_all(
        ".tile", "all => all.map(li => li.querySelector('.relevance').className.split(' ')[1])"
    )
    assert [line != "weak" for line in lines[: relevant + 3]] == [True] * relevant + [False] * 3
    assert page.inner_text(".divider").replace("\n", " ") == "Less certain from here"
    tops = page.eval_on_selector_all(
        ".tile", "all => all.map(li => li.getBoundingClientRect().top)"
    )
    assert len(set(tops[:3])) == 1, "a few good hits share their row with others"
    page.set_viewport_size({"width": 500, "height": 300})
    page.click(".band.weak")
    page.wait_for_function("() => scrollY > 0")


def test_a_query_of_only_negative_terms_asks_for_a_positive_one(
    open_page: Open, first: int
) -> None:
    page = open_page(f"?not_image={first}")
    page.wait_for_selector("text=Less like this, but more like what?")


def test_all_hits_are_reached_by_scrolling_and_few_are_in_the_document(
    open_page: Open, first: int
) -> None:
    page = open_page(f"?image={first}", viewport={"width": 400, "height": 240})
    tiles(page)
    seen: set[int] = set()
    most = 0
    for _ in range(60):
        there = tiles(page)
        seen.update(there)
        most = max(most, len(there))
        page.mouse.wheel(0, 220)
        page.wait_for_timeout(30)
        if page.evaluate("scrollY + innerHeight >= document.body.scrollHeight - 2"):
            break
    seen.update(tiles(page))
    assert len(seen) == 65  # all but the query itself
    assert first not in seen
    assert most < 62
