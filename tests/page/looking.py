"""What the tests of the page look at."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Page

TILES = ".gallery .tile"


def tiles(page: Page) -> list[int]:
    """Ids of the pictures in the document, in the order in which they stand there."""
    page.wait_for_selector(TILES)
    page.wait_for_selector("#found:not([aria-busy])")
    ids: list[int] = page.eval_on_selector_all(TILES, "all => all.map(li => Number(li.dataset.id))")
    return ids


def asked(page: Page) -> dict[str, list[str]]:
    """What the address asks."""
    return parse_qs(urlsplit(page.url).query)


def wait_for_address(page: Page, part: str) -> None:
    page.wait_for_function("part => decodeURIComponent(location.search).includes(part)", arg=part)


def drop(page: Page, data: bytes, name: str, *, zone: str = "ask") -> None:
    """Drag a file over the page and let it fall on one of its zones."""
    page.evaluate(
        """([bytes, name]) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], name, {type: "image/jpeg"}));
            globalThis.dragged = data;
            const event = (type) => new DragEvent(
                type, {dataTransfer: data, bubbles: true, cancelable: true});
            document.body.dispatchEvent(event("dragenter"));
            document.body.dispatchEvent(event("dragover"));
        }""",
        [list(data), name],
    )
    page.wait_for_selector(f"[data-zone='{zone}']")
    page.eval_on_selector(
        f"[data-zone='{zone}']",
        """zone => zone.dispatchEvent(
            new DragEvent("drop", {dataTransfer: globalThis.dragged, bubbles: true, cancelable: true}))""",
    )
