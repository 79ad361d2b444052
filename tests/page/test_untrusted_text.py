"""Names, captions and metadata with markup or scripts are shown as text and never run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from tests.library.image_builders import album
from tests.page.conftest import serving

from lookalike.library import Library

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

MARKUP = "<img src=nothing onerror=window.ran=1>"
SCRIPT = '"></title></script><script>window.ran=1</script>'
LINK = "javascript:window.ran=1"

# What a script or markup that is run would leave behind.
EFFECTS = """() => [
    window.ran,
    Object.prototype.ran,
    document.querySelectorAll("img[src=nothing], svg[onload], body script:not([src])").length,
    [...document.querySelectorAll("a[href]")].filter((a) => !/^https?:/.test(a.href)).length,
]"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = album(tmp_path_factory.mktemp("hostile") / "photos", 34)
    names = [f'"><{MARKUP[1:]}.jpg', "'-window.ran=1-'.jpg", f"{LINK}.jpg", "</b><i>.jpg"]
    for image, name in zip(sorted(folder.glob("*.jpg")), names, strict=False):
        image.rename(folder / name.replace("/", "∕"))
    for number, image in enumerate(sorted(folder.rglob("*.jpg"))):
        metadata = {
            "caption": MARKUP + SCRIPT,
            "keywords": [MARKUP, SCRIPT],
            MARKUP: SCRIPT,
            "url": LINK,
            "kind": MARKUP if number % 2 else LINK,
            "__proto__": {"ran": 1},
            "constructor": MARKUP,
            "made": {"by": ["Ada", "Bo"], "in": {"city": "Turin"}},
        }
        image.with_name(f"{image.name}.json").write_text(json.dumps(metadata))
    (folder / f"broken {MARKUP}.jpg").write_bytes(b"\xff\xd8\xff" + bytes(500))
    with Library.create(folder) as library:
        library.add([folder], extractors=["color", "phash"])
    with serving(folder, "--writable") as found:
        yield found


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(reduced_motion="reduce")
    context.set_default_timeout(20_000)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize(
    ("search", "shown"),
    [
        ({}, "img[alt]"),
        ({"open": "1"}, "text=onerror"),
        ({"text": MARKUP}, "text=onerror"),
        ({"image": "1", "where": f"kind = '{MARKUP}'"}, "text=onerror"),
        ({"image": "1", "extractor": MARKUP}, "text=onerror"),
        ({"page": "library", "outcome": MARKUP}, "main"),
        ({"page": "map", "color": "kind"}, "text=onerror"),
        ({"page": "map", "color": MARKUP}, "main"),
        ({"page": "duplicates", "kind": MARKUP}, "main"),
        ({"upload": SCRIPT}, "main"),
    ],
)
def test_text_of_a_library_or_an_address_is_never_run(
    page: Page, address: str, search: dict[str, str], shown: str
) -> None:
    page.goto(f"{address}?{urlencode(search)}")
    page.wait_for_selector(shown, state="attached")
    page.wait_for_load_state("networkidle")
    assert page.evaluate(EFFECTS) == [None, None, 0, 0]


def test_nested_metadata_is_shown_as_text(page: Page, address: str) -> None:
    page.goto(f"{address}?open=1")
    page.wait_for_selector("text=by: Ada, Bo, in: city: Turin")
