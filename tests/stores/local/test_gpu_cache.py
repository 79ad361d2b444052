"""Searching an indexed library on a device, tried on the one that every PyTorch has: the CPU."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.stores.ann_spaces import COUNT, DIM, KEY, add, fill, image_vectors, recall
from tests.stores.builders import Vector, exact_neighbours

from lookalike.ann import gpu, gpu_ivf, ivf_lists, tuning
from lookalike.ann.faiss_index import AnnIndex, prepare
from lookalike.stores.ann_index import IndexBuildOptions
from lookalike.stores.local.ann import ann_search
from lookalike.stores.local.store import LocalStore
from lookalike.vectors.blocks import Rows
from lookalike.vectors.similarity import Similarity, normalise

pytest.importorskip("torch", reason="needs PyTorch (lookalike[gpu])")

OPTIONS = IndexBuildOptions(recipe="PCAR16,IVF32,PQ8x4fs", target=0.8, threads=1)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalStore]:
    """A store whose index probes as few lists as possible."""
    monkeypatch.setattr(tuning, "milliseconds", lambda *_, **__: 1.0)
    monkeypatch.setattr(ann_search, "EXACT_BYTES", 0)
    folder = tmp_path / "photos" / ".lookalike"
    LocalStore.create(folder).close()
    with LocalStore.open(folder, device="cpu") as opened:
        yield opened


@pytest.fixture
def no_cpu_search(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the index was searched on the CPU")

    monkeypatch.setattr(ann_search, "nearest", refuse)


def index_of(store: LocalStore, *, nprobe: int) -> AnnIndex:
    """Return the index in use, after setting how many lists it probes."""
    [manifest] = store.folder.glob("spaces/*/ann.json")
    document = json.loads(manifest.read_text())
    document["index"]["nprobe"] = nprobe
    manifest.write_text(json.dumps(document))
    [file] = manifest.parent.glob("*.faiss")
    return AnnIndex.load(file, document["index"]["recipe"], "cosine")


def one_by_one(store: LocalStore, queries: Vector, k: int = 10) -> float:
    return float(np.mean([recall(store, query[None], k) for query in queries]))


@pytest.mark.usefixtures("no_cpu_search")
@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
@pytest.mark.parametrize("dtype", ["f32", "f16"])
def test_single_queries_probe_lists_and_exact_ones_compare_all(
    store: LocalStore, similarity: Similarity, dtype: str
) -> None:
    stored = image_vectors()
    unit = similarity == "cosine"
    fill(
        store,
        normalise(stored) if unit else stored,
        similarity=similarity,
        dtype=dtype,
        normalised=unit,
    )
    store.indexes.build(KEY, OPTIONS)
    assert one_by_one(store, image_vectors(20, seed=9)) >= 0.8


@pytest.mark.usefixtures("no_cpu_search")
def test_many_queries_share_one_pass_over_all_vectors(store: LocalStore) -> None:
    fill(store, image_vectors())
    store.indexes.build(KEY, OPTIONS)
    with store.snapshot() as snapshot:
        assert snapshot.search(KEY, image_vectors(60, seed=9), 10).exact
        assert not snapshot.search(KEY, image_vectors(1, seed=9), 10).exact


@pytest.mark.usefixtures("no_cpu_search")
def test_unindexed_vectors_are_found_and_removed_ones_are_not(store: LocalStore) -> None:
    fill(store, image_vectors())
    store.indexes.build(KEY, OPTIONS)
    queries = image_vectors(12, seed=8)
    new_ids = add(store, queries, "new")
    with store.writer() as writer:
        writer.remove(new_ids[::2])
    with store.snapshot() as snapshot:
        for number, query in enumerate(queries):
            found = snapshot.search(KEY, query[None], 5)
            assert not found.exact
            assert not set(new_ids[::2]) & set(found.ids[0].tolist())
            assert (found.ids[0, 0] == new_ids[number]) == (number % 2 == 1)


@pytest.mark.usefixtures("no_cpu_search")
def test_only_images_that_pass_the_filter_are_found(store: LocalStore) -> None:
    stored = image_vectors()
    ids = fill(store, stored)
    store.indexes.build(KEY, OPTIONS)
    some = set(ids[::3])
    with store.snapshot() as snapshot:
        found = snapshot.search(KEY, image_vectors(1, seed=9), 10, among=np.array(ids[::3]))
    assert not found.exact
    assert (found.ids >= 0).all()
    assert set(found.ids[0].tolist()) <= some


@pytest.mark.usefixtures("no_cpu_search")
def test_if_the_lists_hold_too_few_hits_all_vectors_are_compared(store: LocalStore) -> None:
    """The filter excludes everything in the five nearest lists, of which two are probed."""
    stored, query = image_vectors(), image_vectors(1, seed=9)
    ids = np.array(fill(store, stored))
    store.indexes.build(KEY, OPTIONS)
    index = index_of(store, nprobe=1)
    near = index.candidates(prepare(query, index.similarity), COUNT, nprobe=5)
    far = np.setdiff1d(np.arange(COUNT), near)
    assert len(far) > COUNT // 2
    with store.snapshot() as snapshot:
        assert not snapshot.search(KEY, query, 10).exact
        found = snapshot.search(KEY, query, 10, among=ids[far])
    assert found.exact
    expected = exact_neighbours({int(ids[row]): stored[row] for row in far}, query[0], 10, "cosine")
    assert found.ids[0].tolist() == [id for id, _ in expected]


def test_under_a_filter_more_lists_are_probed(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    real = ivf_lists.probed_lists

    def noted(index: AnnIndex, queries: Vector, nprobe: int) -> Rows:
        asked.append(nprobe)
        return real(index, queries, nprobe)

    monkeypatch.setattr(ivf_lists, "probed_lists", noted)
    ids = np.array(fill(store, image_vectors()))
    store.indexes.build(KEY, OPTIONS)
    index_of(store, nprobe=2)
    with store.snapshot() as snapshot:
        for among in (None, ids, ids[::4], ids[::100]):  # of the last, all 16 are compared
            snapshot.search(KEY, image_vectors(1, seed=9), 10, among=among)
        snapshot.search(KEY, image_vectors(1, seed=9), 40)
    assert asked == [2, 2, 8, 4]  # four times as many neighbours, twice the lists


def test_if_few_images_pass_the_filter_all_are_compared(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ann_search, "EXACT_BYTES", 4 * DIM * COUNT // 2)
    ids = fill(store, image_vectors())
    store.indexes.build(KEY, OPTIONS)
    with store.snapshot() as snapshot:
        assert snapshot.search(KEY, image_vectors(1, seed=9), 5, among=np.array(ids[::2])).exact
        assert not snapshot.search(
            KEY, image_vectors(1, seed=9), 5, among=np.array(ids[: COUNT - 9])
        ).exact


@pytest.mark.usefixtures("no_cpu_search")
def test_an_index_of_another_similarity_is_not_used(store: LocalStore) -> None:
    fill(store, image_vectors(), similarity="cosine", normalised=False)
    store.indexes.build(KEY, OPTIONS)
    with store.snapshot() as snapshot:
        assert snapshot.search(KEY, image_vectors(1, seed=9), 5, similarity="euclidean").exact


def test_lists_are_copied_once_for_each_index(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[int] = []

    def counted(index: AnnIndex) -> ivf_lists.InvertedLists | None:
        copied.append(index.count)
        return real(index)

    real = ivf_lists.read_lists
    monkeypatch.setattr(ivf_lists, "read_lists", counted)
    fill(store, image_vectors())
    store.indexes.build(KEY, OPTIONS)
    one_by_one(store, image_vectors(3, seed=9))
    add(store, image_vectors(50, seed=8), "new")
    one_by_one(store, image_vectors(3, seed=9))
    assert copied == [COUNT]
    store.indexes.build(KEY, OPTIONS)
    one_by_one(store, image_vectors(3, seed=9))
    assert copied == [COUNT, COUNT + 50]


@pytest.mark.parametrize(
    ("owner", "method"),
    [
        (gpu.GpuVectors, "append"),
        (gpu.GpuVectors, "gather_scores"),
        (gpu_ivf.GpuLists, "__init__"),
    ],
)
def test_if_the_devices_memory_is_full_the_cpu_searches_with_the_index(
    store: LocalStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    owner: type,
    method: str,
) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("out of memory\nand more of it")

    monkeypatch.setattr(owner, method, full)
    fill(store, image_vectors())
    store.indexes.build(KEY, OPTIONS)
    with caplog.at_level(logging.WARNING):
        assert one_by_one(store, image_vectors(4, seed=9)) >= 0.7
    assert [record.message for record in caplog.records] == [
        "many is searched on the CPU: out of memory"
    ]
