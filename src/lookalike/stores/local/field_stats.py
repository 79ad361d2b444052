"""What a library has in one field: for error messages and for the filters of a page."""

from __future__ import annotations

import sqlite3
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from lookalike.stores.filters import FieldKind, FieldStats, is_date
from lookalike.stores.local.column_assembly import Column
from lookalike.stores.local.column_cache import Snapshot
from lookalike.stores.local.columns import Field, Numbers

SAMPLE = 20_000
"""Images whose values are counted to find the most frequent ones."""

EXAMPLES = 5


def field_facts(snapshot: Snapshot, connection: sqlite3.Connection) -> dict[str, FieldStats]:
    """Facts of every field by name; found out once a snapshot."""
    names = snapshot.names(connection)
    for field in names.values():
        if field not in snapshot.facts:
            snapshot.facts[field] = facts_of(snapshot, connection, field)
    return {name: snapshot.facts[field] for name, field in names.items()}


def facts_of(snapshot: Snapshot, connection: sqlite3.Connection, field: Field) -> FieldStats:
    """See `FieldStats`. Of `path` and `name`, which are long and all different, no values."""
    indexed = snapshot.indexed(connection)
    if field[1] and field[0] in ("path", "name"):
        return FieldStats("text", int(indexed.sum()), None, None, ())
    if field[1] and field[0] == "id":
        ids = snapshot.ids(indexed)
        if not len(ids):
            return FieldStats("none", 0, None, None, ())
        return FieldStats("number", len(ids), float(ids[0]), float(ids[-1]), ())
    column = snapshot.column(connection, field)
    numbers = _numbers(column, indexed)
    often, low, high = _texts(column, indexed)
    count = int((column.present(snapshot.count) & indexed).sum())
    if len(numbers) and often:
        return FieldStats("mixed", count, None, None, (*_often(numbers), *often))
    if len(numbers):
        least, most = float(numbers.min()), float(numbers.max())
        return FieldStats("number", count, least, most, _often(numbers))
    kind: FieldKind = "date" if all(map(is_date, often)) else "text"
    return FieldStats(kind if often else "none", count, low, high, often)


def _numbers(column: Column, indexed: NDArray[np.bool_]) -> Numbers:
    more = column.more_numbers[indexed[column.more_at]]
    first = column.numbers[indexed] if column.numbers is not None else more[:0]
    both: Numbers = np.concatenate([first, more])
    return both[~np.isnan(both)]


def _often(values: Numbers) -> tuple[float, ...]:
    """The most frequent of them, equally frequent ones by size."""
    distinct, counts = np.unique(values[:: len(values) // SAMPLE + 1], return_counts=True)
    return tuple(distinct[np.argsort(-counts, kind="stable")[:EXAMPLES]].tolist())


def _texts(
    column: Column, indexed: NDArray[np.bool_]
) -> tuple[tuple[str, ...], str | None, str | None]:
    """The most frequent texts, equally frequent ones in order, the least and the greatest."""
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
