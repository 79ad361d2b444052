"""Contract of every store: files that moved, were copied, or swapped names keep their vectors."""

from __future__ import annotations

import pytest
from tests.stores.builders import entry, failed, is_vector_of, put, space, stored_vector
from tests.stores.conftest import TOUCHES_VECTORS

from lookalike.errors import Outcome, UsageError
from lookalike.stores.interface import Entry, Store

pytestmark = TOUCHES_VECTORS


def copy_of(source: int, path: str, text: str, *, moved: bool = False) -> Entry:
    return entry(path, text, facts=None, vectors={}, same_as=source, moved=moved)


def paths(store: Store) -> dict[str, int]:
    with store.snapshot() as snapshot:
        return {image.path: image.id for image in snapshot.iter_files()}


def test_a_moved_file_keeps_id_vector_facts_and_metadata(store: Store) -> None:
    [id] = put(store, entry("a.jpg", "photo"))
    with store.writer() as writer:
        writer.set_metadata({id: {"kind": "shoe"}})
        assert writer.put([copy_of(id, "sub/b.jpg", "photo", moved=True)]) == [id]
        assert writer.sweep(1, "") == 0
    assert paths(store) == {"sub/b.jpg": id}
    with store.snapshot() as snapshot:
        image = snapshot.images([id])[id]
        assert snapshot.spaces()[0].count == 1
    assert (image.width, image.metadata) == (40, {"kind": "shoe"})
    assert is_vector_of(stored_vector(store, id), "photo")


def test_a_copied_file_gets_an_id_and_a_vector_of_its_own(store: Store) -> None:
    [id] = put(store, entry("a.jpg", "photo"))
    [copy] = put(store, copy_of(id, "b.jpg", "photo"))
    assert paths(store) == {"a.jpg": id, "b.jpg": copy}
    with store.snapshot() as snapshot:
        assert snapshot.images([copy])[copy].format == "jpeg"
        assert snapshot.spaces()[0].count == 2
    with store.writer() as writer:
        writer.remove([id])
    assert is_vector_of(stored_vector(store, copy), "photo")


def test_a_copy_over_another_image_replaces_its_vector(store: Store) -> None:
    first, second = put(store, entry("a.jpg", "one"), entry("b.jpg", "two"))
    assert put(store, copy_of(first, "b.jpg", "one")) == [second]
    assert is_vector_of(stored_vector(store, second), "one")
    assert is_vector_of(stored_vector(store, first), "one")


def test_a_move_onto_another_image_deletes_that_image(store: Store) -> None:
    first, second = put(store, entry("a.jpg", "one"), entry("b.jpg", "two"))
    assert put(store, copy_of(first, "b.jpg", "one", moved=True)) == [first]
    assert paths(store) == {"b.jpg": first}
    assert is_vector_of(stored_vector(store, first), "one")
    assert stored_vector(store, second) is None


def test_two_files_that_swapped_names_keep_their_vectors(store: Store) -> None:
    first, second = put(store, entry("a.jpg", "one"), entry("b.jpg", "two"))
    ids = put(store, copy_of(second, "a.jpg", "two"), copy_of(first, "b.jpg", "one"))
    assert ids == [first, second]
    assert is_vector_of(stored_vector(store, first), "two")
    assert is_vector_of(stored_vector(store, second), "one")


def test_files_that_moved_in_a_cycle_keep_their_ids(store: Store) -> None:
    a, b, c = put(store, *(entry(f"{name}.jpg", name) for name in "abc"))
    ring = [
        copy_of(a, "b.jpg", "a", moved=True),
        copy_of(b, "c.jpg", "b", moved=True),
        copy_of(c, "a.jpg", "c", moved=True),
    ]
    assert put(store, *ring) == [a, b, c]
    assert paths(store) == {"a.jpg": c, "b.jpg": a, "c.jpg": b}
    assert all(
        is_vector_of(stored_vector(store, id), name)
        for id, name in zip((a, b, c), "abc", strict=True)
    )


def test_a_new_file_may_take_the_path_of_a_moved_one(store: Store) -> None:
    [old] = put(store, entry("a.jpg", "old"))
    new, moved = put(store, entry("a.jpg", "new"), copy_of(old, "b.jpg", "old", moved=True))
    assert moved == old != new
    assert paths(store) == {"a.jpg": new, "b.jpg": old}
    assert is_vector_of(stored_vector(store, new), "new")
    assert is_vector_of(stored_vector(store, old), "old")


def test_the_second_of_two_files_that_moved_from_one_is_a_copy(store: Store) -> None:
    [old] = put(store, entry("a.jpg", "old"))
    moved, copy = put(
        store, copy_of(old, "b.jpg", "old", moved=True), copy_of(old, "c.jpg", "old", moved=True)
    )
    assert moved == old != copy
    assert paths(store) == {"b.jpg": old, "c.jpg": copy}
    assert is_vector_of(stored_vector(store, copy), "old")


def test_a_source_that_changed_meanwhile_is_not_copied(store: Store) -> None:
    [id] = put(store, entry("a.jpg", "one"))
    put(store, entry("a.jpg", "two"))
    with store.writer() as writer:
        [copy] = writer.put([copy_of(id, "b.jpg", "one", moved=True)])
        assert writer.file_states(1, ["b.jpg"])["b.jpg"].spaces == set()
    assert copy != id
    assert stored_vector(store, copy) is None
    assert is_vector_of(stored_vector(store, id), "two")


def test_another_image_with_the_same_content_replaces_a_removed_source(store: Store) -> None:
    first, second = put(store, entry("a.jpg", "one"), entry("b.jpg", "one"))
    with store.writer() as writer:
        writer.remove([first])
        [copy] = writer.put([copy_of(first, "c.jpg", "one", moved=True)])
    assert copy not in (first, second)
    assert is_vector_of(stored_vector(store, copy), "one")


def test_a_copy_has_the_vectors_of_every_space(store: Store) -> None:
    with store.writer() as writer:
        writer.add_space(space("other@1"))
        text = entry("x", "one").vectors["toy@1"]
        [id] = writer.put([entry("a.jpg", "one", vectors={"toy@1": text, "other@1": -text})])
        [copy] = writer.put([copy_of(id, "b.jpg", "one")])
    other = stored_vector(store, copy, "other@1")
    assert other is not None
    assert is_vector_of(-other, "one")
    assert is_vector_of(stored_vector(store, copy), "one")


def test_a_copy_of_a_failed_file_fails(store: Store) -> None:
    [id] = put(store, failed("a.jpg", text="broken"))
    copy = failed("b.jpg", text="broken", same_as=id)
    moved = failed("c.jpg", text="broken", same_as=id, moved=True)
    ids = put(store, copy, moved)
    assert ids[1] == id != ids[0]
    with store.snapshot() as snapshot:
        assert snapshot.counts() == {Outcome.TRUNCATED: 2}


def test_a_copy_needs_a_hash(store: Store) -> None:
    with store.writer() as writer, pytest.raises(UsageError, match="hash"):
        writer.put([entry("b.jpg", hash=None, vectors={}, same_as=1)])


def test_metadata_of_removed_images_is_given_to_new_ones_with_their_content(store: Store) -> None:
    first, copy, _ = put(store, entry("a.jpg", "x"), entry("b.jpg", "x"), entry("c.jpg", "y"))
    with store.writer() as writer:
        writer.set_metadata({first: {"n": 1}, copy: {"n": 2}})
    with store.writer() as writer:
        assert writer.remove([first, copy]) == 2
    again = put(store, entry("b.jpg", "x"), entry("d.jpg", "y"), entry("moved.jpg", "x"))
    with store.snapshot() as snapshot:
        images = snapshot.images(again)
        assert [dict(images[id].metadata) for id in again] == [{"n": 2}, {}, {"n": 1}]
        assert snapshot.select("n = 2").tolist() == [again[0]]


def test_metadata_is_replaced_or_added_to(store: Store) -> None:
    a, b = put(store, entry("a.jpg"), entry("b.jpg"))
    with store.writer() as writer:
        writer.sidecars.put({a: ("mark", {"kind": "mug"})})
        writer.set_metadata({a: {"n": 1, "colour": "red"}})
        writer.set_metadata({a: {"n": 2, "colour": None, "x": None}, b: {"n": 3}}, merge=True)
    with store.snapshot() as snapshot:
        assert dict(snapshot.images([a])[a].metadata) == {
            "kind": "mug", "n": 2, "colour": "red", "x": None,
        }  # fmt: skip
        assert dict(snapshot.images([b])[b].metadata) == {"n": 3}
    with store.writer() as writer:
        writer.set_metadata({a: {"x": 5}})
    with store.snapshot() as snapshot:
        assert dict(snapshot.images([a])[a].metadata) == {"kind": "mug", "x": 5}
