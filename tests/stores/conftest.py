"""The stores that the contract suite runs on: a new one is one line here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.stores.builders import begin

from lookalike.stores.interface import Store
from lookalike.stores.local import LocalStore

STORES: dict[str, Callable[[Path], Store]] = {
    "local": lambda folder: LocalStore.create(folder / "photos" / ".lookalike"),
}


@pytest.fixture(params=sorted(STORES))
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A library without roots and spaces."""
    store = STORES[request.param](tmp_path)
    yield store
    store.close()


@pytest.fixture
def store(empty: Store) -> Store:
    """A library with root 1 and the space "toy@1" of 3 numbers."""
    begin(empty)
    return empty


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalStore]:
    """The same, and surely the local one."""
    with LocalStore.create(tmp_path / "photos" / ".lookalike") as store:
        begin(store)
        yield store
