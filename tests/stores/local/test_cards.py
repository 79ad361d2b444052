"""A library that a device searches, with an index; tried on the device that every PyTorch has."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.stores.builders import Vector, best
from tests.stores.test_indexes import COUNT, DIM, KEY, fill, more, pictures, recall

from lookalike.ann import gpu, gpu_ivf, ivf_lists, tuning
from lookalike.ann.faiss_index import AnnIndex
from lookalike.stores.ann_index import IndexBuildOptions
from lookalike.stores.local import LocalStore
from lookalike.stores.local.ann import ann_search
from lookalike.vectors.blocks import Rows
from lookalike.vectors.similarity import Similarity, normalise

pytest.importorskip("torch", reason="needs PyTorch (lookalike[gpu])")

WISH = IndexBuildOptions(recipe="PCAR16,IVF32,PQ8x4fs", target=0.8, threads=1)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalStore]:
    """Whose rows lie in several pieces, and whose index looks at as few lists as reach the recall."""
    monkeypatch.setattr(tuning, "milliseconds", lambda *_, **__: 1.0)
    monkeypatch.setattr(gpu, "PART_BYTES", 300 * DIM * 4)
    monkeypatch.setattr(ann_search, "FEW_BYTES", 0)
    folder = tmp_path / "photos" / ".lookalike"
    LocalStore.create(folder).close()
    with LocalStore.open(folder, device="cpu") as opened:
        yield opened


@pytest.fixture
def no_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the processor's index was asked")

    monkeypatch.setattr(ann_search, "nearest", refuse)


def index_of(store: LocalStore, *, probe: int) -> AnnIndex:
    """The index in use, which from now on looks at so many lists."""
    [facts] = store.folder.glob("spaces/*/ann.json")
    said = json.loads(facts.read_text())
    said["index"]["probe"] = probe
    facts.write_text(json.dumps(said))
    [file] = facts.parent.glob("*.faiss")
    return AnnIndex.load(file, said["index"]["recipe"], "cosine")


def one_by_one(store: LocalStore, queries: Vector, k: int = 10) -> float:
    return float(np.mean([recall(store, query[None], k) for query in queries]))


@pytest.mark.usefixtures("no_processor")
@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
@pytest.mark.parametrize("dtype", ["f32", "f16"])
def test_single_questions_are_answered_from_lists_and_exact_ones_from_everything(
    store: LocalStore, similarity: Similarity, dtype: str
) -> None:
    stored = pictures()
    unit = similarity == "cosine"
    fill(
        store,
        normalise(stored) if unit else stored,
        similarity=similarity,
        dtype=dtype,
        normalised=unit,
    )
    store.indexes.build(KEY, WISH)
    assert one_by_one(store, pictures(20, seed=9)) >= 0.8


@pytest.mark.usefixtures("no_processor")
def test_many_questions_at_once_share_one_pass_over_everything(store: LocalStore) -> None:
    fill(store, pictures())
    store.indexes.build(KEY, WISH)
    with store.snapshot() as snapshot:
        assert snapshot.search(KEY, pictures(60, seed=9), 10).exact
        assert not snapshot.search(KEY, pictures(1, seed=9), 10).exact


@pytest.mark.usefixtures("no_processor")
def test_late_pictures_are_found_and_removed_ones_are_not(store: LocalStore) -> None:
    fill(store, pictures())
    store.indexes.build(KEY, WISH)
    asked = pictures(12, seed=8)
    late = more(store, asked, "late")
    with store.writer() as writer:
        writer.remove(late[::2])
    with store.snapshot() as snapshot:
        for number, query in enumerate(asked):
            found = snapshot.search(KEY, query[None], 5)
            assert not found.exact
            assert not set(late[::2]) & set(found.ids[0].tolist())
            assert (found.ids[0, 0] == late[number]) == (number % 2 == 1)


@pytest.mark.usefixtures("no_processor")
def test_a_filter_is_kept(store: LocalStore) -> None:
    stored = pictures()
    ids = fill(store, stored)
    store.indexes.build(KEY, WISH)
    some = set(ids[::3])
    with store.snapshot() as snapshot:
        found = snapshot.search(KEY, pictures(1, seed=9), 10, among=np.array(ids[::3]))
    assert not found.exact
    assert (found.ids >= 0).all()
    assert set(found.ids[0].tolist()) <= some


@pytest.mark.usefixtures("no_processor")
def test_what_lists_miss_is_found_by_comparing_all(store: LocalStore) -> None:
    """A filter lets nothing through that stands in the five nearest lists, and two are looked at."""
    stored, query = pictures(), pictures(1, seed=9)
    ids = np.array(fill(store, stored))
    store.indexes.build(KEY, WISH)
    index = index_of(store, probe=1)
    near = index.candidates(query, COUNT, probe=5)
    far = np.setdiff1d(np.arange(COUNT), near)
    assert len(far) > COUNT // 2
    with store.snapshot() as snapshot:
        assert not snapshot.search(KEY, query, 10).exact
        found = snapshot.search(KEY, query, 10, among=ids[far])
    assert found.exact
    expected = best({int(ids[row]): stored[row] for row in far}, query[0], 10, "cosine")
    assert found.ids[0].tolist() == [id for id, _ in expected]


def test_under_a_filter_more_lists_are_looked_at(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    real = ivf_lists.probed

    def noted(index: AnnIndex, queries: Vector, probe: int) -> Rows:
        asked.append(probe)
        return real(index, queries, probe)

    monkeypatch.setattr(ivf_lists, "probed", noted)
    ids = np.array(fill(store, pictures()))
    store.indexes.build(KEY, WISH)
    index_of(store, probe=2)
    with store.snapshot() as snapshot:
        for among in (None, ids, ids[::4], ids[::100]):  # of the last, all 16 are compared
            snapshot.search(KEY, pictures(1, seed=9), 10, among=among)
        snapshot.search(KEY, pictures(1, seed=9), 40)
    assert asked == [2, 2, 8, 4]  # four times as many neighbours, twice the lists


def test_few_that_pass_a_filter_are_all_compared(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ann_search, "FEW_BYTES", 4 * DIM * COUNT // 2)
    ids = fill(store, pictures())
    store.indexes.build(KEY, WISH)
    with store.snapshot() as snapshot:
        assert snapshot.search(KEY, pictures(1, seed=9), 5, among=np.array(ids[::2])).exact
        assert not snapshot.search(
            KEY, pictures(1, seed=9), 5, among=np.array(ids[: COUNT - 9])
        ).exact


@pytest.mark.usefixtures("no_processor")
def test_an_index_of_another_similarity_is_not_asked(store: LocalStore) -> None:
    fill(store, pictures(), similarity="cosine", normalised=False)
    store.indexes.build(KEY, WISH)
    with store.snapshot() as snapshot:
        assert snapshot.search(KEY, pictures(1, seed=9), 5, similarity="euclidean").exact


def test_lists_are_taken_once_and_anew_from_an_index_that_was_built_anew(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []

    def counted(index: AnnIndex) -> ivf_lists.Lists | None:
        taken.append(index.count)
        return real(index)

    real = ivf_lists.lists_of
    monkeypatch.setattr(ivf_lists, "lists_of", counted)
    fill(store, pictures())
    store.indexes.build(KEY, WISH)
    one_by_one(store, pictures(3, seed=9))
    more(store, pictures(50, seed=8), "late")
    one_by_one(store, pictures(3, seed=9))
    assert taken == [COUNT]
    store.indexes.build(KEY, WISH)
    one_by_one(store, pictures(3, seed=9))
    assert taken == [COUNT, COUNT + 50]


@pytest.mark.parametrize(
    ("holder", "step"),
    [
        (gpu.DeviceRows, "grow"),
        (gpu.DeviceRows, "fetched"),
        (gpu_ivf.DeviceLists, "__init__"),
    ],
)
def test_where_the_memory_is_full_the_processor_answers_with_the_index(
    store: LocalStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    holder: type,
    step: str,
) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("out of memory\nand more of it")

    monkeypatch.setattr(holder, step, full)
    fill(store, pictures())
    store.indexes.build(KEY, WISH)
    with caplog.at_level(logging.WARNING):
        assert one_by_one(store, pictures(4, seed=9)) >= 0.7
    assert [record.message for record in caplog.records] == [
        "many is searched by the processor: out of memory"
    ]
