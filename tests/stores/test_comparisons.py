"""Contract of every store: results of comparisons belong to pairs of contents."""

from __future__ import annotations

from tests.stores.builders import begin, content, entry, put

from lookalike.stores.interface import Store

a, b, c = sorted("abc", key=content)
A, B, C = map(content, (a, b, c))


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


def test_comparisons_go_with_the_last_image_of_either_content(store: Store) -> None:
    begin(store)
    x, y, other_x, _ = put(
        store,
        entry("x.jpg", a),
        entry("y.jpg", b),
        entry("again/x.jpg", a),
        entry("z.jpg", c),
    )
    elsewhere = content("of another library")
    pairs = [(A, B), (A, C), (B, C), (min(A, elsewhere), max(A, elsewhere))]
    with store.writer() as writer:
        writer.put_comparisons(dict.fromkeys(pairs, "copy"), "1")

    def known() -> set[tuple[bytes, bytes]]:
        with store.snapshot() as snapshot:
            return {*snapshot.comparisons(pairs, "1")}

    with store.writer() as writer:
        writer.remove([x])
    assert known() == {*pairs}  # the other copy of it is still there
    put(store, entry("z.jpg", "d"))
    assert known() == {pairs[0], pairs[3]}
    put(store, entry("moved.jpg", a, same_as=other_x, moved=True))
    with store.writer() as writer:
        writer.remove([y])
    assert known() == {pairs[3]}
    with store.writer() as writer:
        writer.remove([other_x])
    assert known() == set()


def test_comparisons_do_not_change_the_version(store: Store) -> None:
    with store.snapshot() as snapshot:
        before = snapshot.version
    with store.writer() as writer:
        writer.put_comparisons({(A, B): "copy"}, "1")
    with store.snapshot() as snapshot:
        assert snapshot.version == before
        assert snapshot.comparisons([(A, B)], "1") == {(A, B): "copy"}
