"""The stores that the contract suite runs on. A new store joins with one line in `STORES`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.stores import milvus_server
from tests.stores.builders import begin
from tests.stores.postgres_server import empty_store, server

from lookalike.stores.interface import Store
from lookalike.stores.local.store import LocalStore
from lookalike.stores.memory import MemoryStore

CreateStore = Callable[[Path], Store]
"""Makes an empty store; the argument is an empty folder for its files."""


def in_postgres(folder: Path | None = None) -> Store:
    """Return an empty library in PostgreSQL; skip the test without a server."""
    server()
    return empty_store()


STORES: dict[str, CreateStore] = {
    "local": lambda folder: LocalStore.create(folder / "photos" / ".lookalike"),
    "memory": lambda folder: MemoryStore(),
    "postgres": in_postgres,
}


def in_milvus(folder: Path | None = None) -> Store:
    """Return an empty library in PostgreSQL with its vectors in Milvus; skip the test without a server."""
    return milvus_server.empty_store()


MILVUS = pytest.param("milvus", marks=milvus_server.MILVUS)
"""PostgreSQL with the vectors in Milvus, for the tests that touch vectors: all others are of PostgreSQL."""

STORES_WITH_INDEXES = ["local"]
"""Those of them that the tests of ANN indexes run on."""


@pytest.fixture(scope="session", params=sorted(STORES))
def create_store(request: pytest.FixtureRequest) -> CreateStore:
    """Each store in turn."""
    return STORES[request.param]


@pytest.fixture
def empty(create_store: CreateStore, tmp_path: Path) -> Iterator[Store]:
    """A library without roots and spaces."""
    store = create_store(tmp_path)
    yield store
    store.close()


@pytest.fixture
def store(empty: Store) -> Store:
    """A library with root 1 and the space "toy@1" of 3 numbers."""
    begin(empty)
    return empty


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalStore]:
    """The same, in the local store."""
    with LocalStore.create(tmp_path / "photos" / ".lookalike") as store:
        begin(store)
        yield store
