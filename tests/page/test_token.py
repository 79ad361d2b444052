"""A server that wants a token, as somebody meets it who has only its address."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.page.conftest import serving
from tests.page.looking import tiles

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

TOKEN = "correct-horse"


@pytest.fixture(scope="module")
def guarded(shop: Path) -> Iterator[str]:
    with serving(shop, "--token", TOKEN) as address:
        yield address


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A browser that was never here before."""
    context = browser.new_context(reduced_motion="reduce")
    context.set_default_timeout(20_000)
    yield context.new_page()
    context.close()


def test_the_page_asks_for_the_token_and_then_answers_what_was_asked(
    page: Page, guarded: str
) -> None:
    page.goto(guarded + "?image=1")
    page.wait_for_selector("dialog.token[open]")
    assert page.evaluate("document.activeElement.name") == "token"
    assert page.locator(".tile").count() == 0
    page.keyboard.press("Escape")
    assert page.locator("dialog.token[open]").count() == 1, "there is nothing behind it to see"
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog.token .wrong:has-text('token is wrong')")
    page.fill("[name=token]", f" {TOKEN} ")
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog.token", state="detached")
    assert tiles(page)[0] == 1
    page.reload()  # the browser is known from now on
    assert tiles(page)[0] == 1 and page.locator("dialog.token").count() == 0


def test_the_address_that_was_shown_opens_by_itself_and_loses_the_token(
    page: Page, guarded: str
) -> None:
    page.goto(f"{guarded}?image=1&token={TOKEN}")
    assert tiles(page)[0] == 1
    assert page.url == f"{guarded}?image=1"
