"""What a library has in one field: for error messages and for the filters of a page."""

from __future__ import annotations

import sqlite3

import numpy as np
from numpy.typing import NDArray

from lookalike.stores.filters import FieldFacts, FieldKind, Value, is_date
from lookalike.stores.local.columns import Field, Numbers
from lookalike.stores.local.snapshot import Column, Snapshot

SAMPLE = 20_000
"""Images whose values are counted to find the most frequent ones."""

EXAMPLES = 5


def field_facts(snapshot: Snapshot, connection: sqlite3.Connection) -> dict[str, FieldFacts]:
    """Facts of every field by name; found out once a snapshot."""
    names = snapshot.names(connection)
    for field in names.values():
        if field not in snapshot.facts:
            snapshot.facts[field] = facts_of(snapshot, connection, field)
    return {name: snapshot.facts[field] for name, field in names.items()}


def facts_of(snapshot: Snapshot, connection: sqlite3.Connection, field: Field) -> FieldFacts:
    """See `FieldFacts`. Of `path` and `name`, which are long and all different, no values."""
    indexed = snapshot.indexed(connection)
    if field[1] and field[0] in ("path", "name"):
        return FieldFacts("text", int(indexed.sum()), None, None, ())
    if field[1] and field[0] == "id":
        ids = snapshot.ids(indexed)
        low, high = (float(ids[0]), float(ids[-1])) if len(ids) else (None, None)
        return FieldFacts("number" if len(ids) else "none", len(ids), low, high, ())
    column = snapshot.column(connection, field)
    numbers = _numbers(column, indexed)
    codes = _codes(column, indexed)
    count = int((column.present(snapshot.count) & indexed).sum())
    if len(numbers) and len(codes):
        return FieldFacts("mixed", count, None, None, (*_often(numbers), *_texts(column, codes)))
    if len(numbers):
        return FieldFacts(
            "number", count, float(numbers.min()), float(numbers.max()), _often(numbers)
        )
    if len(codes):
        used = np.unique(codes)
        kind = _kind(column, used)
        first, last = column.texts[int(used[0])], column.texts[int(used[-1])]
        return FieldFacts(kind, count, first, last, _texts(column, codes))
    return FieldFacts("none", 0, None, None, ())


def _numbers(column: Column, indexed: NDArray[np.bool_]) -> Numbers:
    more = column.more_numbers[indexed[column.more_at]]
    first = column.numbers[indexed] if column.numbers is not None else more[:0]
    both: Numbers = np.concatenate([first, more])
    return both[~np.isnan(both)]


def _codes(column: Column, indexed: NDArray[np.bool_]) -> NDArray[np.int32]:
    more = column.more_codes[indexed[column.more_at]]
    first = column.codes[indexed] if column.codes is not None else more[:0]
    both = np.concatenate([first, more])
    return both[both >= 0]


def _often(values: NDArray[np.generic]) -> tuple[Value, ...]:
    """The most frequent of them, equally frequent ones by size."""
    distinct, counts = np.unique(values[:: len(values) // SAMPLE + 1], return_counts=True)
    return tuple(distinct[np.argsort(-counts, kind="stable")[:EXAMPLES]].tolist())


def _texts(column: Column, codes: NDArray[np.int32]) -> tuple[Value, ...]:
    return tuple(column.texts[int(code)] for code in _often(codes))


def _kind(column: Column, used: NDArray[np.int32]) -> FieldKind:
    """ "date" if a sample of the distinct texts are dates."""
    sample = used[:: len(used) // SAMPLE + 1]
    return "date" if all(is_date(column.texts[int(code)]) for code in sample) else "text"
