"""Which images satisfy a filter: a few comparisons of whole columns."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import reduce
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.stores.filter_parser import parse
from lookalike.stores.filters import (
    FILE_FIELDS,
    And,
    Between,
    Compare,
    Expression,
    In,
    Like,
    Missing,
    Not,
    Or,
    Test,
    Value,
    fields_of,
    fits,
    matching_ranges,
    resolve_field,
    shown,
)
from lookalike.stores.interface import Ids
from lookalike.stores.local.column_assembly import Apart, Column, Texts
from lookalike.stores.local.column_cache import Snapshot
from lookalike.stores.local.columns import Field, Numbers

Mask: TypeAlias = NDArray[np.bool_]

_ORDER: dict[str, Callable[[Numbers, float], Mask]] = {
    "=": np.equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


def select(connection: sqlite3.Connection, snapshot: Snapshot, text: str) -> Ids:
    """Ids of the images that satisfy a filter, rising; only indexed ones unless it mentions the
    outcome. `UsageError` for what cannot be read and for unknown fields."""
    expression = parse(text)
    names = snapshot.names(connection)
    meant = {name: _meant(name, names) for name in set(fields_of(expression))}
    if ("outcome", True) in meant.values():
        exists = snapshot.column(connection, ("outcome", True)).present(snapshot.count)
    else:
        exists = snapshot.indexed(connection)
    found = _Evaluation(connection, snapshot, meant).mask(expression)
    return snapshot.ids(found & exists)


def _meant(name: str, names: dict[str, Field]) -> Field:
    prefix, _, own = name.partition("file.")
    if name not in names and not prefix and own in FILE_FIELDS:
        return own, True
    return names[resolve_field(name, names)]


class _Evaluation:
    """One expression on one snapshot."""

    def __init__(
        self, connection: sqlite3.Connection, snapshot: Snapshot, meant: dict[str, Field]
    ) -> None:
        self._connection = connection
        self._snapshot = snapshot
        self._meant = meant

    def mask(self, expression: Expression) -> Mask:
        match expression:
            case And(parts):
                return reduce(np.logical_and, map(self.mask, parts))
            case Or(parts):
                return reduce(np.logical_or, map(self.mask, parts))
            case Not(part):
                return ~self.mask(part)
            case _:
                return self._test(expression)

    def _test(self, test: Test) -> Mask:
        field = self._meant[test.field]
        snapshot = self._snapshot
        if field == ("id", True):
            every = np.ones(snapshot.count, np.bool_)
            column = Column(snapshot.ids(every).astype(np.float64))
        elif field in (("path", True), ("name", True)):
            ordered = not isinstance(test, Like)
            pieces = snapshot.scanned(self._connection, field[0], ordered=ordered)
            column = Column(texts=list(pieces))
        else:
            column = snapshot.column(self._connection, field)
        return satisfied(test, column, snapshot.count)


def satisfied(test: Test, column: Column, count: int) -> Mask:
    """(count,) at which positions of a column a value satisfies the test."""
    if isinstance(test, Missing):
        return ~column.present(count)
    _refuse_other_kind(test, column)
    found = np.zeros(count, np.bool_)
    if column.numbers is not None:
        found |= _by_number(test, column.numbers)
    found[column.more_at[_by_number(test, column.more_numbers)]] = True
    if column.apart is not None and not isinstance(test, Like):
        found |= _block_by_block(test, column.apart).ravel()
    for part in column.parts() if isinstance(test, Like) else column.texts:
        holds = _by_text(test, part)
        if holds is None:
            continue
        if isinstance(part.at, slice):
            found[part.at] |= holds
        else:
            found[part.at[holds]] = True
    return found


def _by_number(test: Test, numbers: Numbers) -> Mask:
    match test:
        case Compare(_, operator, float() as value):
            return _ORDER[operator](numbers, value)
        case Between(_, float() as low, float() as high):
            return (numbers >= low) & (numbers <= high)
        case In(_, values) if wanted := [v for v in values if isinstance(v, float)]:
            return np.isin(numbers, wanted)
        case _:
            return np.zeros(len(numbers), np.bool_)


def _by_text(test: Test, part: Texts) -> Mask | None:
    """Where the texts of a part satisfy the test; None: nowhere."""
    if isinstance(test, Like):
        # By code; the last one stands for -1, which is no text.
        hit = np.array([*map(fits(test), part.texts), False])
        return hit[part.codes] if hit.any() else None
    if isinstance(test, Missing):
        return None
    codes = part.codes
    runs = [
        (codes >= start) & (codes < end)
        for start, end in matching_ranges(test, part.texts)
        if start < end
    ]
    return reduce(np.logical_or, runs) if runs else None


def _block_by_block(test: Compare | In | Between, apart: Apart) -> Mask:
    """(blocks, BLOCK) where the texts satisfy a comparison: one of whole arrays for each interval
    of the block that has most."""
    runs = [matching_ranges(test, texts) for texts in apart.texts]
    found = np.zeros(apart.codes.shape, np.bool_)
    for number in range(max(map(len, runs), default=0)):
        edges = [own[number] if number < len(own) else (0, 0) for own in runs]
        starts, ends = np.array(edges, np.int16).T[:, :, None]
        found |= (apart.codes >= starts) & (apart.codes < ends)
    return found


def _refuse_other_kind(test: Test, column: Column) -> None:
    """A field with numbers alone, asked for texts, or the other way round: surely a slip."""
    values = _asked(test)
    numbers = column.numbers is not None
    texts = bool(column.texts) or column.apart is not None
    if texts and not numbers and not any(isinstance(value, str) for value in values):
        held, remedy = "texts", f"compare it with a text: '{values[0]:g}'"
    elif numbers and not texts and not any(isinstance(value, float) for value in values):
        held, remedy = "numbers", "compare it with a number, without quotes"
    else:
        return
    raise UsageError(f"the field {shown(test.field)} holds {held}: {remedy}")


def _asked(test: Test) -> tuple[Value, ...]:
    match test:
        case Compare(_, _, value):
            return (value,)
        case In(_, values):
            return values
        case Between(_, low, high):
            return (low, high)
        case Like(_, pattern):
            return (pattern,)
        case _:
            return ()
