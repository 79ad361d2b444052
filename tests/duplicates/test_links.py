"""From links to groups, on numbers."""

from __future__ import annotations

from collections.abc import Sequence

from lookalike.duplicates.links import Pair, Sets, grouped


def refuse(pairs: Sequence[Pair]) -> set[Pair]:
    return set()


def test_sets_grow_together() -> None:
    sets = Sets()
    for pair in [(5, 3), (9, 8), (3, 9)]:
        sets.join(*pair)
    sets.join(20, 21)
    assert sets.groups() == [[3, 5, 8, 9], [20, 21]]
    assert (sets.of(8), sets.of(7)) == (3, 7)


def test_the_best_comes_first_and_the_others_rise() -> None:
    assert grouped([(1, 2), (2, 3), (1, 3)], max, refuse) == [[3, 1, 2]]


def test_a_chain_does_not_join_what_does_not_fit_the_best() -> None:
    # 1-2-3-4 are a chain; 1 is best, and only 2 is linked with it.
    assert grouped([(1, 2), (2, 3), (3, 4)], min, refuse) == [[1, 2], [3, 4]]


def test_a_link_that_nobody_had_tried_is_asked_for() -> None:
    asked: list[Pair] = []

    def fits(pairs: Sequence[Pair]) -> set[Pair]:
        asked.extend(pairs)
        return {(1, 3)} & {*pairs}

    assert grouped([(1, 2), (2, 3), (3, 4)], min, fits) == [[1, 2, 3]]
    assert asked == [(1, 3), (1, 4)]


def test_without_links_there_are_no_groups() -> None:
    assert grouped([], min, refuse) == []
