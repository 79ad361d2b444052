"""Contract of every store: files that moved, were copied, or swapped names cost no extraction."""

from __future__ import annotations

import pytest
from tests.stores.builders import entry, failed, put, same, space, stored_vector

from lookalike.errors import Outcome, UsageError
from lookalike.stores.interface import Entry, Store


def from_(source: int, path: str, text: str, *, moved: bool = False) -> Entry:
    return entry(path, text, facts=None, vectors={}, same_as=source, moved=moved)


def paths(store: Store) -> dict[str, int]:
    with store.snapshot() as snapshot:
        return {image.path: image.id for image in snapshot.iter_files()}


def test_a_moved_file_keeps_id_vector_facts_and_metadata(store: Store) -> None:
    [id] = put(store, entry("a.jpg", "picture"))
    with store.writer() as writer:
        writer.set_metadata({id: {"kind": "shoe"}})
        assert writer.put([from_(id, "sub/b.jpg", "picture", moved=True)]) == [id]
        assert writer.sweep(1, "") == 0
    assert paths(store) == {"sub/b.jpg": id}
    with store.snapshot() as snapshot:
        image = snapshot.images([id])[id]
        assert snapshot.spaces()[0].count == 1
    assert (image.width, image.metadata) == (40, {"kind": "shoe"})
    assert same(stored_vector(store, id), "picture")


def test_a_copied_file_gets_an_id_and_a_vector_of_its_own(store: Store) -> None:
    [id] = put(store, entry("a.jpg", "picture"))
    [copy] = put(store, from_(id, "b.jpg", "picture"))
    assert paths(store) == {"a.jpg": id, "b.jpg": copy}
    with store.snapshot() as snapshot:
        assert snapshot.images([copy])[copy].format == "jpeg"
        assert snapshot.spaces()[0].count == 2
    with store.writer() as writer:
        writer.remove([id])
    assert same(stored_vector(store, copy), "picture")


def test_a_copy_over_another_picture_replaces_its_vector(store: Store) -> None:
    first, second = put(store, entry("a.jpg", "one"), entry("b.jpg", "two"))
    assert put(store, from_(first, "b.jpg", "one")) == [second]
    assert same(stored_vector(store, second), "one")
    assert same(stored_vector(store, first), "one")


def test_a_move_onto_another_picture_forgets_that_one(store: Store) -> None:
    first, second = put(store, entry("a.jpg", "one"), entry("b.jpg", "two"))
    assert put(store, from_(first, "b.jpg", "one", moved=True)) == [first]
    assert paths(store) == {"b.jpg": first}
    assert same(stored_vector(store, first), "one")
    assert stored_vector(store, second) is None


def test_two_files_that_swapped_names_keep_their_vectors(store: Store) -> None:
    first, second = put(store, entry("a.jpg", "one"), entry("b.jpg", "two"))
    ids = put(store, from_(second, "a.jpg", "two"), from_(first, "b.jpg", "one"))
    assert ids == [first, second]
    assert same(stored_vector(store, first), "two")
    assert same(stored_vector(store, second), "one")


def test_files_that_moved_in_a_ring_keep_their_ids(store: Store) -> None:
    a, b, c = put(store, *(entry(f"{name}.jpg", name) for name in "abc"))
    ring = [
        from_(a, "b.jpg", "a", moved=True),
        from_(b, "c.jpg", "b", moved=True),
        from_(c, "a.jpg", "c", moved=True),
    ]
    assert put(store, *ring) == [a, b, c]
    assert paths(store) == {"a.jpg": c, "b.jpg": a, "c.jpg": b}
    assert all(
        same(stored_vector(store, id), name) for id, name in zip((a, b, c), "abc", strict=True)
    )


def test_a_new_file_may_take_the_place_that_a_moved_one_left(store: Store) -> None:
    [old] = put(store, entry("a.jpg", "old"))
    new, moved = put(store, entry("a.jpg", "new"), from_(old, "b.jpg", "old", moved=True))
    assert moved == old != new
    assert paths(store) == {"a.jpg": new, "b.jpg": old}
    assert same(stored_vector(store, new), "new")
    assert same(stored_vector(store, old), "old")


def test_of_two_files_that_moved_from_one_the_second_is_a_copy(store: Store) -> None:
    [old] = put(store, entry("a.jpg", "old"))
    moved, copy = put(
        store, from_(old, "b.jpg", "old", moved=True), from_(old, "c.jpg", "old", moved=True)
    )
    assert moved == old != copy
    assert paths(store) == {"b.jpg": old, "c.jpg": copy}
    assert same(stored_vector(store, copy), "old")


def test_a_source_that_changed_meanwhile_is_not_taken_over(store: Store) -> None:
    [id] = put(store, entry("a.jpg", "one"))
    put(store, entry("a.jpg", "two"))
    with store.writer() as writer:
        [copy] = writer.put([from_(id, "b.jpg", "one", moved=True)])
        assert writer.file_states(1, ["b.jpg"])["b.jpg"].spaces == set()
    assert copy != id
    assert stored_vector(store, copy) is None
    assert same(stored_vector(store, id), "two")


def test_another_image_with_that_content_serves_when_the_source_is_gone(store: Store) -> None:
    first, second = put(store, entry("a.jpg", "one"), entry("b.jpg", "one"))
    with store.writer() as writer:
        writer.remove([first])
        [copy] = writer.put([from_(first, "c.jpg", "one", moved=True)])
    assert copy not in (first, second)
    assert same(stored_vector(store, copy), "one")


def test_a_copy_takes_over_every_space(store: Store) -> None:
    with store.writer() as writer:
        writer.add_space(space("other@1"))
        text = entry("x", "one").vectors["toy@1"]
        [id] = writer.put([entry("a.jpg", "one", vectors={"toy@1": text, "other@1": -text})])
        [copy] = writer.put([from_(id, "b.jpg", "one")])
    other = stored_vector(store, copy, "other@1")
    assert other is not None
    assert same(-other, "one")
    assert same(stored_vector(store, copy), "one")


def test_a_copy_of_a_file_that_failed_fails_as_well(store: Store) -> None:
    [id] = put(store, failed("a.jpg", text="broken"))
    copy = failed("b.jpg", text="broken", same_as=id)
    moved = failed("c.jpg", text="broken", same_as=id, moved=True)
    ids = put(store, copy, moved)
    assert ids[1] == id != ids[0]
    with store.snapshot() as snapshot:
        assert snapshot.counts() == {Outcome.TRUNCATED: 2}


def test_to_be_the_same_as_another_needs_a_hash(store: Store) -> None:
    with store.writer() as writer, pytest.raises(UsageError, match="hash"):
        writer.put([entry("b.jpg", hash=None, vectors={}, same_as=1)])
