"""The stores that the contract suite runs on. A new store joins with one line in `STORES`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.stores import milvus_server
from tests.stores.ann_spaces import KEY, fill, image_vectors
from tests.stores.builders import begin
from tests.stores.postgres_server import empty_store, server

from lookalike.ann import untrusted_index
from lookalike.stores.ann_index import Index, IndexBuildOptions
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


ALL_STORES = STORES | {"milvus": in_milvus}

MILVUS = pytest.param("milvus", marks=milvus_server.MILVUS)

TOUCHES_VECTORS = pytest.mark.parametrize("create_store", [*sorted(STORES), MILVUS], indirect=True)
"""Runs tests on PostgreSQL with the vectors in Milvus, too; without them it is PostgreSQL."""


class Indexed(NamedTuple):
    """A store with an index over `image_vectors()`, and the ids of their images; tests leave it as it was."""

    store: Store
    ids: list[int]
    built: Index


@pytest.fixture(scope="session")
def with_index(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Return a function that makes a local library with an index over `image_vectors()` in a new folder."""
    original = tmp_path_factory.mktemp("with-index") / ".lookalike"
    with LocalStore.create(original) as store:
        fill(store, image_vectors())
        store.indexes.build(KEY)

    def copy(folder: Path) -> Path:
        shutil.copytree(original, folder)
        for file in folder.rglob("ann-*"):
            untrusted_index.remember(file)  # as if it had been built there
        return folder

    return copy


@pytest.fixture(scope="session", params=["local", "postgres", MILVUS])
def indexed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Indexed]:
    """Each store that has indexes, with one."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param != "local":
            patch.setattr("lookalike.stores.postgres.indexes.QUERIES", 60)
        store = ALL_STORES[request.param](tmp_path_factory.mktemp("indexed"))
        ids = fill(store, image_vectors())
        yield Indexed(store, ids, store.indexes.build(KEY, IndexBuildOptions(target=0.95)))
        store.close()


@pytest.fixture(scope="session", params=sorted(STORES))
def create_store(request: pytest.FixtureRequest) -> CreateStore:
    """Each store in turn."""
    return ALL_STORES[request.param]


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
