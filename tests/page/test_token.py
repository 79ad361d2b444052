"""The page of a server that requires a token."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.page.actions import tiles
from tests.page.conftest import serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

TOKEN = "correct-horse-battery"


@pytest.fixture(scope="module")
def protected(shop: Path) -> Iterator[str]:
    with serving(shop, "--token", TOKEN) as address:
        yield address


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Open a page in a browser without cookies."""
    context = browser.new_context(reduced_motion="reduce")
    context.set_default_timeout(20_000)
    yield context.new_page()
    context.close()


def test_the_page_asks_for_the_token_and_then_runs_the_query(page: Page, protected: str) -> None:
    page.goto(protected + "?image=1")
    page.wait_for_selector("dialog.token[open]")
    assert page.evaluate("document.activeElement.name") == "token"
    assert page.locator(".tile").count() == 0
    page.keyboard.press("Escape")
    assert page.locator("dialog.token[open]").count() == 1, "there is nothing to see without it"
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog.token .token-error:has-text('token is wrong')")
    page.fill("[name=token]", f" {TOKEN} ")
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog.token", state="detached")
    assert tiles(page) and page.locator(".chip").count() == 1
    page.reload()  # the browser has a cookie now
    assert (
        tiles(page)
        and page.locator(".chip").count() == 1
        and page.locator("dialog.token").count() == 0
    )


def test_an_address_with_the_token_opens_the_page_and_loses_the_token(
    page: Page, protected: str
) -> None:
    page.goto(f"{protected}?image=1&token={TOKEN}")
    assert tiles(page) and page.locator(".chip").count() == 1
    assert page.url == f"{protected}?image=1"
