"""Contract of every store: decisions of people belong to contents."""

from __future__ import annotations

import pytest
from tests.stores.builders import content, entry, put

from lookalike.stores.interface import Decision, Store

A, B, C = content("a"), content("b"), content("c")


def test_decisions_are_found_by_kind_and_by_content(store: Store) -> None:
    keep = Decision("keep", A, who="Ann", when="2024-05-01T10:00:00+00:00")
    pair, mark = Decision("not-duplicate", A, B), Decision("relevant", B, C)
    with store.writer() as writer:
        assert writer.add_decisions([keep, pair, mark]) == 3
    with store.snapshot() as snapshot:
        assert snapshot.decisions() == [keep, pair, mark]
        assert snapshot.decisions(["keep", "relevant"]) == [keep, mark]
        assert snapshot.decisions(about=B) == [pair, mark]
        assert snapshot.decisions(about=C) == [mark]
        assert (snapshot.decisions()[0].who, snapshot.decisions()[0].when[:4]) == ("Ann", "2024")


def test_not_duplicate_is_unordered(store: Store) -> None:
    assert Decision("not-duplicate", A, B) == Decision("not-duplicate", B, A)
    with store.writer() as writer:
        writer.add_decisions([Decision("not-duplicate", A, B)])
        assert writer.add_decisions([Decision("not-duplicate", B, A)]) == 0
        assert writer.remove_decisions([Decision("not-duplicate", B, A)]) == 1
    with store.snapshot() as snapshot:
        assert snapshot.decisions() == []


def test_relevant_and_not_relevant_replace_each_other(store: Store) -> None:
    with store.writer() as writer:
        writer.add_decisions([Decision("relevant", A, B), Decision("relevant", B, A)])
        assert writer.add_decisions([Decision("not-relevant", A, B)]) == 1
    with store.snapshot() as snapshot:
        assert snapshot.decisions() == [Decision("not-relevant", A, B), Decision("relevant", B, A)]


def test_decisions_outlive_the_images(store: Store) -> None:
    [id] = put(store, entry("x.jpg", "a"))
    with store.writer() as writer:
        writer.add_decisions([Decision("keep", content("a"))])
        writer.remove([id])
    with store.snapshot() as snapshot:
        assert snapshot.decisions(about=content("a")) == [Decision("keep", content("a"))]


@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [("keep", A, B), ("relevant", A, None), ("keep", b"short", None), ("liked", A, B)],
)
def test_invalid_decisions_are_refused(kind: str, first: bytes, second: bytes | None) -> None:
    with pytest.raises(ValueError, match=r"decision|SHA-256"):
        Decision(kind, first, second)  # type: ignore[arg-type]


def test_exact_duplicates_are_indexed_images_with_the_same_content(store: Store) -> None:
    ids = put(
        store,
        entry("1.jpg", "same"),
        entry("2.jpg", "other"),
        entry("3.jpg", "same"),
        entry("4.jpg", "alone"),
        entry("5.jpg", "other"),
        entry("6.jpg", "same"),
    )
    with store.snapshot() as snapshot:
        assert snapshot.exact_duplicates() == [[ids[0], ids[2], ids[5]], [ids[1], ids[4]]]


def test_only_new_or_removed_decisions_change_the_version(
    store: Store,
) -> None:
    def version() -> object:
        with store.snapshot() as snapshot:
            return snapshot.version

    decision = Decision("keep", bytes(32))
    versions = [version()]
    for change in ("add_decisions", "add_decisions", "remove_decisions", "remove_decisions"):
        with store.writer() as writer:
            getattr(writer, change)([decision])
        versions.append(version())
    first, decided, again, undecided, nothing = versions
    assert len({first, decided, undecided}) == 3
    assert (decided, undecided) == (again, nothing)
