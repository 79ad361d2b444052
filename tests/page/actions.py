"""Actions on the page, and what it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Page

TILES = ".grid .tile"


def tiles(page: Page) -> list[int]:
    """Return the ids of the tiles in the document, in order."""
    page.wait_for_selector(TILES)
    page.wait_for_selector("#results:not([aria-busy])")
    ids: list[int] = page.eval_on_selector_all(TILES, "all => all.map(li => Number(li.dataset.id))")
    return ids


def address_parameters(page: Page) -> dict[str, list[str]]:
    """Return the parameters of the address."""
    return parse_qs(urlsplit(page.url).query)


def wait_for_address(page: Page, part: str) -> None:
    page.wait_for_function("part => decodeURIComponent(location.search).includes(part)", arg=part)


def drop(page: Page, data: bytes, name: str, *, zone: str = "replace") -> None:
    """Drag a file over the page and drop it on one of its zones."""
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
