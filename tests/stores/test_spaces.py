"""Contract of every store: spaces, their revisions and vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.stores.builders import entry, photos, put, space, stored_vector, vector_of
from tests.stores.conftest import TOUCHES_VECTORS

from lookalike.errors import UsageError
from lookalike.stores.interface import Store

pytestmark = TOUCHES_VECTORS


def test_a_space_is_stored_as_it_was_made(empty: Store) -> None:
    made = space("onnx:a/B c@Ä/1", dim=5, similarity="euclidean", dtype="f16", normalised=False)
    with empty.writer() as writer:
        writer.add_space(made)
        writer.add_space(made)
    with empty.snapshot() as snapshot:
        assert snapshot.spaces() == [made]


def test_fitted_arrays_come_back_bit_by_bit(empty: Store) -> None:
    fitted: dict[str, NDArray[Any]] = {
        "centres": np.arange(6, dtype=np.float32).reshape(2, 3),
        "file": np.array([1, 2], np.int16),
        "allow_pickle": np.array(True),
    }
    with empty.writer() as writer:
        writer.add_space(space("words@1", fitted=fitted))
        writer.add_space(space("plain@1"))
    with empty.snapshot() as snapshot:
        words, plain = snapshot.spaces()
    assert plain.fitted is None
    assert words.fitted is not None
    assert set(words.fitted) == set(fitted)
    for name, array in fitted.items():
        assert words.fitted[name].dtype == array.dtype
        assert np.array_equal(words.fitted[name], array)


@pytest.mark.parametrize("changes", [{"dim": 4}, {"similarity": "euclidean"}])
def test_a_space_cannot_change_its_dimension_or_similarity(
    store: Store, changes: dict[str, Any]
) -> None:
    with store.writer() as writer, pytest.raises(UsageError, match="new revision"):
        writer.add_space(space(**changes))


def test_a_new_revision_is_built_beside_the_old_one_and_then_replaces_it(store: Store) -> None:
    [id] = put(store, entry("a.jpg"))
    new = np.array([0, 1, 0], np.float32)
    with store.writer() as writer:
        writer.add_space(space("toy@2"))
        writer.add_space(space("other@1"))
        writer.put([entry("a.jpg", vectors={"toy@2": new})])
        with store.snapshot() as snapshot:
            current = {one.key: one.current for one in snapshot.spaces()}
        assert current == {"toy@1": True, "toy@2": False, "other@1": True}
        writer.promote("toy@2")
        assert writer.file_states(1, ["a.jpg"])["a.jpg"].spaces == {"toy@2"}
    with store.snapshot() as snapshot:
        assert [(one.key, one.current) for one in snapshot.spaces()] == [
            ("toy@2", True), ("other@1", True),
        ]  # fmt: skip
        with pytest.raises(UsageError, match="toy@2"):
            snapshot.search("toy@1", new[None], 1)
    vector = stored_vector(store, id, "toy@2")
    assert vector is not None
    assert vector.tolist() == [0, 1, 0]


def test_promoting_the_only_revision_changes_nothing(store: Store) -> None:
    put(store, entry("a.jpg"))
    with store.writer() as writer:
        writer.promote("toy@1")
        with pytest.raises(UsageError, match="toy@1"):
            writer.promote("toy@9")
    with store.snapshot() as snapshot:
        assert [(one.key, one.count) for one in snapshot.spaces()] == [("toy@1", 1)]


def test_a_space_that_was_promoted_away_may_come_back_empty(store: Store) -> None:
    put(store, entry("a.jpg"))
    with store.writer() as writer:
        writer.add_space(space("toy@2"))
        writer.promote("toy@2")
        writer.add_space(space("toy@1"))
    with store.snapshot() as snapshot:
        assert [(one.key, one.count, one.current) for one in snapshot.spaces()] == [
            ("toy@2", 0, True), ("toy@1", 0, False),
        ]  # fmt: skip


def test_a_normalised_space_holds_unit_vectors_and_zero_stays_zero(store: Store) -> None:
    given = np.array([[3, 0, 4], [0, 0, 0], [1e-30, 0, 0], [1e30, 0, 1e30]], np.float32)
    ids = put(store, *(entry(f"{n}.jpg", vectors={"toy@1": v}) for n, v in enumerate(given)))
    with store.snapshot() as snapshot:
        stored = snapshot.vectors("toy@1", np.array(ids))
    half = 0.5**0.5
    expected: list[list[float]] = [[0.6, 0, 0.8], [0, 0, 0], [1, 0, 0], [half, 0, half]]
    assert np.allclose(stored, expected, atol=1e-6)


def test_other_spaces_hold_vectors_exactly_as_given(empty: Store) -> None:
    given = np.array([[3, 0, 4e30], [1e-40, -0.1, 7]], np.float32)
    with empty.writer() as writer:
        writer.add_root(photos(empty))
        writer.add_space(space(similarity="euclidean", normalised=False))
        ids = writer.put([entry(f"{n}.jpg", vectors={"toy@1": v}) for n, v in enumerate(given)])
    with empty.snapshot() as snapshot:
        assert np.array_equal(snapshot.vectors("toy@1", np.array(ids)), given)


def test_float16_rounds_and_refuses_larger_numbers(empty: Store) -> None:
    given = np.array([0.1, 1000.3, -2.0], np.float32)
    with empty.writer() as writer:
        writer.add_root(photos(empty))
        writer.add_space(space(similarity="euclidean", normalised=False, dtype="f16"))
        [id] = writer.put([entry("a.jpg", vectors={"toy@1": given})])
        too_large = np.array([0, 0, 70_000], np.float32)
        with pytest.raises(UsageError, match="65504"):
            writer.put([entry("b.jpg", vectors={"toy@1": too_large})])
    with empty.snapshot() as snapshot:
        stored = snapshot.vectors("toy@1", np.array([id]))[0]
    assert stored.dtype == np.float32
    assert np.array_equal(stored, given.astype(np.float16).astype(np.float32))


def test_vectors_are_returned_in_order_with_nan_for_missing_ones(store: Store) -> None:
    first, second = put(store, entry("a.jpg"), entry("b.jpg", vectors={}))
    with store.snapshot() as snapshot:
        rows = snapshot.vectors("toy@1", np.array([second, first, 99, first, -1]))
    assert np.isnan(rows).all(axis=1).tolist() == [True, False, True, False, True]
    assert np.array_equal(rows[1], rows[3])


def test_a_block_that_fails_leaves_no_new_image_and_no_new_space(store: Store) -> None:
    [old] = put(store, entry("a.jpg"))
    with store.writer() as writer:
        with pytest.raises(KeyboardInterrupt), writer.all_or_nothing():
            writer.add_space(space("made@1"))
            writer.put([entry("b.jpg", vectors={"made@1": vector_of("x")}), entry("c.jpg")])
            raise KeyboardInterrupt
        with store.snapshot() as snapshot:
            assert [image.id for image in snapshot.iter_files()] == [old]
            assert [(one.key, one.count) for one in snapshot.spaces()] == [("toy@1", 1)]
        with writer.all_or_nothing():
            writer.add_space(space("made@1"))
            [new] = writer.put([entry("b.jpg", vectors={"made@1": vector_of("x")})])
    with store.writer():
        pass
    with store.snapshot() as snapshot:
        assert [image.id for image in snapshot.iter_files()] == [old, new]
        assert [one.key for one in snapshot.spaces()] == ["toy@1", "made@1"]
    assert store.check() == []


def test_a_space_is_dropped_with_all_its_revisions_and_images_without_a_file(store: Store) -> None:
    with store.writer() as writer:
        imported = writer.add_imported_root()
        writer.add_space(space("made@1"))
        writer.add_space(space("toy@2"))
        both, made, file = writer.put(
            [
                entry(
                    "both",
                    root=imported.id,
                    vectors=dict.fromkeys(["toy@1", "made@1"], vector_of("x")),
                ),
                entry("made", root=imported.id, vectors={"made@1": vector_of("y")}),
                entry("a.jpg", "z", vectors={"made@1": vector_of("z"), "toy@2": vector_of("z")}),
            ]
        )
        with pytest.raises(UsageError, match="no vectors of other, only of toy, made"):
            writer.drop_space("other")
        assert writer.drop_space("made") == 1
        with store.snapshot() as snapshot:
            assert [one.key for one in snapshot.spaces()] == ["toy@1", "toy@2"]
            assert snapshot.images([both, made, file]).keys() == {both, file}
        assert writer.drop_space("toy") == 1
    with store.snapshot() as snapshot:
        assert snapshot.spaces() == []
        assert [image.id for image in snapshot.iter_files()] == [file]
    assert store.check() == []


def test_a_sample_of_all_has_every_image_however_many_were_deleted(store: Store) -> None:
    ids = put(store, *(entry(f"{n}.jpg") for n in range(60)))
    with store.writer() as writer:
        writer.remove(ids[5:45])
    left = ids[:5] + ids[45:]
    with store.snapshot() as snapshot:
        assert snapshot.sample("toy@1", len(left)).tolist() == left
        few = snapshot.sample("toy@1", 6).tolist()
    assert len(few) == 6
    assert set(few) <= set(left)
