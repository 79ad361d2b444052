"""Contract of every store: spaces with vectors of several image regions in each row."""

from __future__ import annotations

import numpy as np
import pytest
from tests.stores.builders import begin, entry, exact_neighbours, put, space
from tests.stores.conftest import TOUCHES_VECTORS

from lookalike.errors import UsageError
from lookalike.stores.interface import Store

pytestmark = TOUCHES_VECTORS


BOXES = np.array([[0, 0, 1, 1], [0, 0, 0.5, 1], [0.5, 0, 0.5, 1]])
KEY = "toy+regions@1"


@pytest.fixture
def regions_store(empty: Store) -> Store:
    """Thirty images of three regions each; number 5 was changed, and number 9 removed."""
    begin(empty, space(KEY, dim=9, normalised=False, fitted={"boxes": BOXES}))
    draw = np.random.default_rng(2)
    rows = draw.normal(size=(31, 9)).astype(np.float32)
    ids = put(
        empty, *(entry(f"{i:02d}.png", vectors={KEY: rows[i]}) for i in range(30))
    )  # fmt: skip
    put(empty, entry("05.png", "changed", vectors={KEY: rows[30]}))
    with empty.writer() as writer:
        writer.remove([ids[9]])
    return empty


def expected(
    k: int, query: np.ndarray, among: set[int] | None = None
) -> list[tuple[int, float, int]]:
    rows = np.random.default_rng(2).normal(size=(31, 9)).astype(np.float32)
    rows[5] = rows[30]
    there = [i for i in range(30) if i != 9 and (among is None or i + 1 in among)]
    parts = {(i + 1) * 3 + p: rows[i, 3 * p : 3 * p + 3] for i in there for p in range(3)}
    found: dict[int, tuple[float, int]] = {}
    for number, similarity in exact_neighbours(parts, query, len(parts), "cosine"):
        found.setdefault(number // 3, (similarity, number % 3))
    return [(id, similarity, part) for id, (similarity, part) in list(found.items())[:k]]


@pytest.mark.parametrize("k", [1, 4, 50])
@pytest.mark.parametrize("among", [None, {2, 6, 10, 11, 28}])
def test_the_nearest_region_of_each_image_counts(
    regions_store: Store, k: int, among: set[int] | None
) -> None:
    queries = np.random.default_rng(7).normal(size=(5, 3)).astype(np.float32)
    chosen = None if among is None else np.array(sorted(among))
    with regions_store.snapshot() as snapshot:
        near = snapshot.search(KEY, queries, k, among=chosen)
    assert near.regions is not None
    for row, query in enumerate(queries):
        wanted = expected(k, query, among)
        assert near.ids[row, : len(wanted)].tolist() == [id for id, _, _ in wanted]
        assert near.regions[row, : len(wanted)].tolist() == [part for _, _, part in wanted]
        assert near.similarities[row, : len(wanted)] == pytest.approx(
            [similarity for _, similarity, _ in wanted], abs=1e-6
        )
        assert (near.ids[row, len(wanted) :] == -1).all()


def test_vectors_returns_those_of_whole_images(regions_store: Store) -> None:
    rows = np.random.default_rng(2).normal(size=(31, 9)).astype(np.float32)
    with regions_store.snapshot() as snapshot:
        (kept,) = [one for one in snapshot.spaces() if one.key == KEY]
        assert (kept.width, kept.dim) == (3, 9)
        assert kept.boxes is not None and kept.boxes.tolist() == BOXES.tolist()
        found = snapshot.vectors(KEY, np.array([1, 6, 10]))
        assert found[:2] == pytest.approx(rows[[0, 30], :3])
        assert np.isnan(found[2]).all()
        with pytest.raises(UsageError, match="do not fit"):
            snapshot.search(KEY, np.ones((1, 9), np.float32), 3)


def test_the_version_changes_with_vectors_and_metadata(regions_store: Store) -> None:
    with regions_store.snapshot() as snapshot:
        before = snapshot.version
    with regions_store.snapshot() as snapshot:
        assert snapshot.version == before
    put(regions_store, entry("new.png", vectors={KEY: np.ones(9, np.float32)}))
    with regions_store.snapshot() as snapshot:
        between = snapshot.version
        assert between != before
    with regions_store.writer() as writer:
        writer.set_metadata({1: {"kind": "shoe"}})
    with regions_store.snapshot() as snapshot:
        assert snapshot.version != between
