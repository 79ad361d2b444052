"""Answers: query vectors against one consistent state of the library."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from lookalike.errors import UsageError
from lookalike.query import Hit, Hits, Query
from lookalike.searching.asking import Askers, query_vector
from lookalike.stores.contract import Neighbours, Space, View


def answer(view: View, askers: Askers, queries: Sequence[Query]) -> list[Hits]:
    """The hits of every query, in order. Queries that share a space and a similarity are answered by
    one matrix product; the number of hits may differ between them."""
    chosen = [space_for(view, query) for query in queries]
    answers: dict[int, Hits] = {}
    for group in groups(queries, chosen):
        space = chosen[group[0]]
        answers.update(answer_group(view, askers, space, {i: queries[i] for i in group}))
    return [answers[i] for i in range(len(queries))]


def groups(queries: Sequence[Query], spaces: Sequence[Space]) -> list[list[int]]:
    together: dict[tuple[object, ...], list[int]] = {}
    for i, (query, space) in enumerate(zip(queries, spaces, strict=True)):
        together.setdefault((space.key, query.similarity, query.exact), []).append(i)
    return list(together.values())


def answer_group(
    view: View, askers: Askers, space: Space, queries: dict[int, Query]
) -> dict[int, Hits]:
    started = time.perf_counter()
    stack = np.stack([query_vector(view, askers, space, query) for query in queries.values()])
    extracted = time.perf_counter()
    first = next(iter(queries.values()))
    similarity = first.similarity or space.similarity
    near = view.search(
        space.key,
        stack,
        max(query.k for query in queries.values()),
        similarity=similarity,
        exact=first.exact,
    )
    searched = time.perf_counter()
    found = hits(view, near)
    seconds = {
        "extract": (extracted - started) / len(queries),
        "search": (searched - extracted) / len(queries),
        "total": (time.perf_counter() - started) / len(queries),
    }
    return {
        i: Hits(
            hits=found[n][: query.k],
            by=space.name,
            similarity=similarity,
            exact=near.exact,
            searched=space.count,
            seconds=seconds,
        )
        for n, (i, query) in enumerate(queries.items())
    }


def hits(view: View, near: Neighbours) -> list[tuple[Hit, ...]]:
    """Ids and similarities (n, k) as n rankings."""
    images = view.images({int(i) for i in near.ids.ravel() if i >= 0})
    folders = {root.id: root.path for root in view.roots()}

    def hit(rank: int, id: int, similarity: float) -> Hit:
        image = images[id]
        return Hit(
            rank=rank,
            id=id,
            path=image.path,
            file=folders[image.root] / image.path,
            similarity=similarity,
            metadata=image.metadata,
        )

    return [
        tuple(
            hit(rank, id, similarity)
            for rank, (id, similarity) in enumerate(zip(ids, similarities, strict=True), start=1)
            if id in images
        )
        for ids, similarities in zip(near.ids.tolist(), near.similarities.tolist(), strict=True)
    ]


def space_for(view: View, query: Query) -> Space:
    """The space that answers; `UsageError` for an impossible question."""
    if query.k < 1:
        raise UsageError(f"k is {query.k}; ask for at least 1 hit")
    if not query.pictures:
        raise UsageError("an empty question: give at least one picture")
    spaces = [space for space in view.spaces() if space.current]
    if not spaces:
        raise UsageError("the library is empty: index a folder first (`lookalike index FOLDER`)")
    if query.by is None:
        return spaces[0]
    for space in spaces:
        if query.by in (space.name, space.key):
            return space
    names = ", ".join(space.name for space in spaces)
    raise UsageError(
        f"the library has no {query.by} vectors, only {names}; "
        f"add them with `lookalike index --with {query.by}`"
    )
