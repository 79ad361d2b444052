"""Disjoint sets, and groups made from links."""

from __future__ import annotations

from collections.abc import Sequence

from lookalike.duplicates.grouping import DisjointSets, Pair, group_links


def no_links(pairs: Sequence[Pair]) -> set[Pair]:
    return set()


def test_sets_are_joined() -> None:
    sets = DisjointSets()
    for pair in [(5, 3), (9, 8), (3, 9)]:
        sets.join(*pair)
    sets.join(20, 21)
    assert sets.groups() == [[3, 5, 8, 9], [20, 21]]
    assert (sets.find(8), sets.find(7)) == (3, 7)


def test_the_best_comes_first_and_the_others_ascend() -> None:
    assert group_links([(1, 2), (2, 3), (1, 3)], max, no_links) == [[3, 1, 2]]


def test_a_chain_does_not_join_images_that_are_not_linked_with_the_best() -> None:
    # 1-2-3-4 are a chain; 1 is best, and only 2 is linked with it.
    assert group_links([(1, 2), (2, 3), (3, 4)], min, no_links) == [[1, 2], [3, 4]]


def test_unknown_links_with_the_best_are_requested() -> None:
    requested: list[Pair] = []

    def find_links(pairs: Sequence[Pair]) -> set[Pair]:
        requested.extend(pairs)
        return {(1, 3)} & {*pairs}

    assert group_links([(1, 2), (2, 3), (3, 4)], min, find_links) == [[1, 2, 3]]
    assert requested == [(1, 3), (1, 4)]


def test_without_links_there_are_no_groups() -> None:
    assert group_links([], min, no_links) == []
