"""Contract of every store: nearest neighbours, compared with an oracle that computes them one by one."""

from __future__ import annotations

import importlib.util
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from tests.stores.builders import Vector, clustered, entry, exact_neighbours, photos, put, space
from tests.stores.conftest import ALL_STORES, MILVUS, STORES, CreateStore

from lookalike.errors import UsageError
from lookalike.stores.interface import Neighbours, Store
from lookalike.stores.local.store import LocalStore
from lookalike.vectors.similarity import Similarity

KEY = "many@1"
DIM = 16

NEEDS_TORCH = pytest.mark.skipif(
    not importlib.util.find_spec("torch"), reason="needs PyTorch (lookalike[gpu])"
)


def on_a_device(tmp_path: Path) -> LocalStore:
    """The local store with PyTorch, on the device that every machine has."""
    folder = tmp_path / "photos" / ".lookalike"
    LocalStore.create(folder).close()
    return LocalStore.open(folder, device="cpu")


@pytest.fixture(
    scope="session", params=[*sorted(STORES), pytest.param("device", marks=NEEDS_TORCH), MILVUS]
)
def create_store(request: pytest.FixtureRequest) -> CreateStore:
    """Each store in turn, the local store with PyTorch, and PostgreSQL with Milvus."""
    return (ALL_STORES | {"device": on_a_device})[request.param]


def fill(store: Store, vectors: Vector, **changes: object) -> dict[int, Vector]:
    """Store vectors so that ids neither begin at 1 nor are contiguous, and rows are out of order.

    Returns the stored vectors by id.
    """
    with store.writer() as writer:
        writer.add_root(photos(store))
        writer.add_space(space(KEY, dim=DIM, **changes))
        old = writer.put([entry(f"old/{n}.jpg", vectors={}) for n in range(37)])
        ids: list[int] = []
        for start in range(0, len(vectors), 100):
            batch = [
                entry(f"{n}.jpg", vectors={KEY: vectors[n]})
                for n in range(start, min(start + 100, len(vectors)))
            ]
            ids += writer.put(batch)
        # Every seventh is stored again, in another order, with another vector; every ninth is removed.
        again = range(len(vectors) - 1, -1, -7)
        other = {n: (n * 13) % len(vectors) for n in again}
        writer.put([entry(f"{n}.jpg", f"new {n}", vectors={KEY: vectors[other[n]]}) for n in again])
        writer.remove([*old, *ids[::9]])
    return {id: vectors[other.get(n, n)] for n, id in enumerate(ids) if n % 9 != 0}


def assert_exact(
    found: Neighbours, stored: dict[int, Vector], queries: Vector, k: int, similarity: Similarity
) -> None:
    assert found.ids.shape == found.similarities.shape == (len(queries), k)
    assert found.ids.dtype == np.int64
    assert found.similarities.dtype == np.float32
    assert found.exact
    for ids, similarities, query in zip(found.ids, found.similarities, queries, strict=True):
        expected = exact_neighbours(stored, query, k, similarity)
        count = len(expected)
        assert np.allclose(similarities[:count], [s for _, s in expected], rtol=1e-5, atol=1e-6)
        assert (ids[count:] == -1).all()
        assert (similarities[count:] == -np.inf).all()
        assert len(set(ids[:count])) == count
        # Each id has the similarity that is returned, whichever of nearly equal ones came first.
        own = [
            exact_neighbours({id: stored[id]}, query, 1, similarity)[0][1]
            for id in ids[:count].tolist()
        ]
        assert np.allclose(similarities[:count], own, rtol=1e-5, atol=1e-6)
        # Equal similarities are ordered by rising id.
        ids, similarities = ids[:count], similarities[:count]
        equal = similarities[1:] == similarities[:-1]
        assert (ids[1:][equal] > ids[:-1][equal]).all()


def query_vectors(seed: int = 3) -> Vector:
    """Return queries that are not in the library: near it, far from it, long, short, and zero."""
    random = np.random.default_rng(seed)
    near = clustered(5, unit=False, seed=7) + 0.1 * random.normal(size=(5, DIM))
    far = random.normal(size=(3, DIM)) * np.array([[1.0], [1e3], [1e-3]])
    return np.concatenate([near, far, np.zeros((1, DIM))]).astype(np.float32)


@pytest.mark.parametrize("stored_as", ["cosine", "euclidean"])
def test_neighbours_are_those_of_the_oracle(empty: Store, stored_as: Similarity) -> None:
    unit = stored_as == "cosine"
    stored = fill(empty, clustered(600, unit=unit), similarity=stored_as, normalised=unit)
    similarities: tuple[Similarity, ...] = ("cosine", "euclidean")
    with empty.snapshot() as snapshot:
        assert snapshot.spaces()[0].count == len(stored)
        for searched, k in product(similarities, (1, 10, 1_000)):
            found = snapshot.search(KEY, query_vectors(), k, similarity=searched)
            assert_exact(found, stored, query_vectors(), k, searched)


def test_the_similarity_of_the_space_is_the_default(empty: Store) -> None:
    stored = fill(empty, clustered(200, unit=False), similarity="euclidean", normalised=False)
    with empty.snapshot() as snapshot:
        assert_exact(
            snapshot.search(KEY, query_vectors(), 5), stored, query_vectors(), 5, "euclidean"
        )


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
def test_float16_vectors_are_compared_as_they_are_stored(
    empty: Store, similarity: Similarity
) -> None:
    vectors = clustered(300, unit=True)
    stored = fill(empty, vectors, similarity=similarity, dtype="f16")
    rounded = {id: vector.astype(np.float16).astype(np.float32) for id, vector in stored.items()}
    with empty.snapshot() as snapshot:
        assert_exact(
            snapshot.search(KEY, query_vectors(), 20), rounded, query_vectors(), 20, similarity
        )


def test_only_chosen_images_are_found(empty: Store) -> None:
    stored = fill(empty, clustered(500, unit=True))
    random = np.random.default_rng(1)
    for share in (0.0, 0.01, 0.5, 1.0):
        chosen = [id for id in stored if random.random() < share]
        unknown = [0, -4, 10**12, 1, 2]  # 1 and 2 were removed
        among = np.array(random.permutation([*chosen, *chosen[:5], *unknown]), np.int64)
        with empty.snapshot() as snapshot:
            found = snapshot.search(KEY, query_vectors(), 12, among=among)
        assert_exact(found, {id: stored[id] for id in chosen}, query_vectors(), 12, "cosine")


def test_a_stored_vector_finds_itself_first(store: Store) -> None:
    ids = put(store, *(entry(f"{n}.jpg") for n in range(50)))
    with store.snapshot() as snapshot:
        vectors = snapshot.vectors("toy@1", np.array(ids))
        found = snapshot.search("toy@1", vectors, 1)
    assert found.ids[:, 0].tolist() == ids
    assert np.allclose(found.similarities, 1.0, atol=1e-6)


def test_equal_vectors_are_ordered_by_id(store: Store) -> None:
    same = {"toy@1": np.array([1, 2, 3], np.float32)}
    ids = put(store, *(entry(f"{n}.jpg", vectors=same) for n in range(40)))
    # The first of them changes, so that its row is the last.
    put(store, entry("0.jpg", "changed", vectors=same))
    with store.snapshot() as snapshot:
        found = snapshot.search("toy@1", np.array([[1, 2, 3]], np.float32), 40)
        some = snapshot.search("toy@1", np.array([[3, 2, 1]], np.float32), 7)
    assert found.ids[0].tolist() == ids
    assert sorted(some.ids[0].tolist()) == some.ids[0].tolist()


def test_the_cosine_with_a_zero_vector_is_zero(store: Store) -> None:
    zero = np.zeros(3, np.float32)
    ids = put(store, entry("a.jpg"), entry("black.jpg", vectors={"toy@1": zero}))
    with store.snapshot() as snapshot:
        assert snapshot.search("toy@1", zero[None], 2).similarities.tolist() == [[0.0, 0.0]]
        found = snapshot.search("toy@1", np.array([[1, 0, 0]], np.float32), 2)
    assert found.similarities[0][found.ids[0].tolist().index(ids[1])] == 0.0


def test_a_search_in_an_empty_space_finds_nothing(store: Store) -> None:
    with store.snapshot() as snapshot:
        found = snapshot.search("toy@1", np.ones((2, 3), np.float32), 3)
        chosen = snapshot.search("toy@1", np.ones((1, 3), np.float32), 3, among=np.array([1, 2]))
        assert snapshot.vectors("toy@1", np.array([1])).shape == (1, 3)
    assert found.ids.tolist() == [[-1] * 3] * 2
    assert (found.similarities == -np.inf).all()
    assert chosen.ids.tolist() == [[-1] * 3]


def test_no_queries_have_no_neighbours(store: Store) -> None:
    put(store, entry("a.jpg"))
    with store.snapshot() as snapshot:
        assert snapshot.search("toy@1", np.empty((0, 3), np.float32), 3).ids.shape == (0, 3)


def test_invalid_queries_are_refused(store: Store) -> None:
    put(store, entry("a.jpg"))
    cases: tuple[tuple[list[object], int, str], ...] = (
        ([[1.0, 2.0]], 1, "3 dimensions"),
        ([1.0, 2.0, 3.0], 1, "3 dimensions"),
        ([[1.0, 2.0, np.nan]], 1, "NaN"),
        ([[1.0, 2.0, 3.0]], 0, "at least one"),
    )
    with store.snapshot() as snapshot:
        for query, k, says in cases:
            with pytest.raises(UsageError, match=says):
                snapshot.search("toy@1", np.array(query, np.float32), k)


def test_an_unknown_space_lists_the_known_ones(store: Store) -> None:
    with store.snapshot() as snapshot, pytest.raises(UsageError, match="toy@1"):
        snapshot.search("color@1", np.ones((1, 3), np.float32), 1)
