"""Contract of every store: results of comparisons belong to pairs of contents."""

from __future__ import annotations

from tests.stores.builders import content, entry, put

from lookalike.stores.interface import Store

A, B, C = sorted(map(content, "abc"))


def test_comparisons_are_found_by_pair_and_revision(store: Store) -> None:
    with store.writer() as writer:
        writer.put_comparisons({(A, B): "copy", (B, C): ""}, "1")
        writer.put_comparisons({(A, C): "near"}, "2")
    with store.snapshot() as snapshot:
        assert snapshot.comparisons([(A, B), (B, C), (A, C)], "1") == {(A, B): "copy", (B, C): ""}
        assert snapshot.comparisons([(A, C)], "2") == {(A, C): "near"}
        assert snapshot.comparisons([], "1") == {}


def test_the_newest_comparison_of_a_pair_counts(store: Store) -> None:
    with store.writer() as writer:
        writer.put_comparisons({(A, B): "copy"}, "1")
        writer.put_comparisons({(A, B): "near"}, "2")
    with store.snapshot() as snapshot:
        assert snapshot.comparisons([(A, B)], "1") == {}
        assert snapshot.comparisons([(A, B)], "2") == {(A, B): "near"}


def test_comparisons_outlive_images_and_do_not_change_the_version(store: Store) -> None:
    [id] = put(store, entry("x.jpg", "a"))
    with store.writer() as writer:
        writer.remove([id])
    with store.snapshot() as snapshot:
        before = snapshot.version
    with store.writer() as writer:
        writer.put_comparisons({(A, B): "copy"}, "1")
    with store.snapshot() as snapshot:
        assert snapshot.version == before
        assert snapshot.comparisons([(A, B)], "1") == {(A, B): "copy"}
