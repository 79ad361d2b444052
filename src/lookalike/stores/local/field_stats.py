"""Statistics of the fields of a library, for the filters of a user interface."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lookalike.stores.filter_semantics import is_date
from lookalike.stores.filters import Field, FieldKind, FieldStats
from lookalike.stores.local.block_columns import Numbers
from lookalike.stores.local.column_cache import Column, StateColumns

SAMPLE = 20_000
"""Images whose values are counted to find the most frequent ones."""

EXAMPLES = 5


def field_stats(columns: StateColumns, connection: sqlite3.Connection) -> dict[str, FieldStats]:
    """Return the statistics of every field by name; computed once per state."""
    names = columns.names(connection)
    for field in names.values():
        if field not in columns.stats:
            columns.stats[field] = stats_of(columns, connection, field)
    return {name: columns.stats[field] for name, field in names.items()}


def stats_of(columns: StateColumns, connection: sqlite3.Connection, field: Field) -> FieldStats:
    """Return the statistics of one field; without values for `path` and `name`, which are all different."""
    indexed = columns.indexed(connection)
    if field in (("path", True), ("name", True)):
        return FieldStats("text", int(indexed.sum()), None, None, ())
    if field == ("id", True):
        ids = columns.ids(indexed)
        if not len(ids):
            return FieldStats("none", 0, None, None, ())
        return FieldStats("number", len(ids), float(ids[0]), float(ids[-1]), ())
    column = columns.column(connection, field)
    numbers = _numbers(column, indexed)
    integers = [int(one) for one in column.exact[indexed[column.exact_at]].tolist()]
    texts, first, last = _texts(column, indexed)
    count = int((column.present(columns.count) & indexed).sum())
    held = len(numbers) + len(integers)
    examples = _most_frequent(numbers, integers)
    if held and texts:
        return FieldStats("mixed", count, None, None, (*examples, *texts))
    if held:
        edges = [*integers, *((float(numbers.min()), float(numbers.max())) if len(numbers) else ())]
        return FieldStats("number", count, min(edges), max(edges), examples)
    kind: FieldKind = "date" if all(map(is_date, texts)) else "text"
    return FieldStats(kind if texts else "none", count, first, last, texts)


def _numbers(column: Column, indexed: NDArray[np.bool_]) -> Numbers:
    more = column.more_numbers[indexed[column.more_at]]
    first = column.numbers[indexed] if column.numbers is not None else more[:0]
    both: Numbers = np.concatenate([first, more])
    return both[~np.isnan(both)]


def _most_frequent(values: Numbers, integers: Sequence[int]) -> tuple[float, ...]:
    """Return the most frequent values; equally frequent ones rising."""
    distinct, counts = np.unique(values[:: len(values) // SAMPLE + 1], return_counts=True)
    found: Counter[float] = Counter(dict(zip(distinct.tolist(), counts.tolist(), strict=True)))
    found.update(integers[:: len(integers) // SAMPLE + 1])
    return tuple(sorted(found, key=lambda value: (-found[value], value))[:EXAMPLES])


def _texts(
    column: Column, indexed: NDArray[np.bool_]
) -> tuple[tuple[str, ...], str | None, str | None]:
    """Return the most frequent texts (equally frequent ones in order), the first and the last text."""
    counts: Counter[str] = Counter()
    edges: list[str] = []
    step = len(indexed) // SAMPLE + 1
    for part in column.parts():
        codes = part.codes[indexed[part.at] & (part.codes >= 0)]
        if not len(codes):
            continue
        edges += [part.texts[int(codes.min())], part.texts[int(codes.max())]]
        for code, count in zip(*np.unique(codes[::step], return_counts=True), strict=True):
            counts[part.texts[int(code)]] += int(count)
    ranked = sorted(counts, key=lambda text: (-counts[text], text))
    return tuple(ranked[:EXAMPLES]), min(edges, default=None), max(edges, default=None)
