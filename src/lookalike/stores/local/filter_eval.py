"""Evaluate filters with a few comparisons of whole columns."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from math import ceil, floor, isnan
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.files import compose
from lookalike.stores.filter_parser import parse
from lookalike.stores.filter_semantics import matching_ranges, pattern_matcher, sorted_ids
from lookalike.stores.filters import (
    And,
    Between,
    Compare,
    Expression,
    Field,
    In,
    Like,
    Missing,
    Not,
    Operator,
    Or,
    Test,
    Value,
    check_types,
    resolve_field,
    resolve_fields,
)
from lookalike.stores.local import images
from lookalike.stores.local.block_columns import Numbers
from lookalike.stores.local.column_cache import BlockTexts, Column, StateColumns, Texts
from lookalike.stores.records import Ids

Mask: TypeAlias = NDArray[np.bool_]

_ORDER: dict[str, Callable[[Numbers, float], Mask]] = {
    "=": np.equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


def select(connection: sqlite3.Connection, columns: StateColumns, where: str) -> Ids:
    """See `Snapshot.select`."""
    expression = parse(where)
    fields = resolve_fields(expression, columns.names(connection))
    if ("outcome", True) in fields.values():
        present = columns.column(connection, ("outcome", True)).present(columns.count)
    else:
        present = columns.indexed(connection)
    found = _Evaluation(connection, columns, fields).mask(expression)
    return columns.ids(found & present)


def sort(
    connection: sqlite3.Connection, columns: StateColumns, ids: Ids, field: str, *, reverse: bool
) -> Ids:
    """See `Snapshot.sort`."""
    found = resolve_field(field, columns.names(connection))
    if found == ("id", True):
        values: dict[int, Value] = {id: id for id in ids.tolist()}
    elif found in (("path", True), ("name", True)):
        paths = images.paths(connection, ids.tolist())
        last = found == ("name", True)
        values = {id: compose(p.rpartition("/")[2] if last else p) for id, p in paths}
    else:
        at, held = columns.positions(ids)
        values = smallest_values(columns.column(connection, found), at, held.tolist())
    return np.array(sorted_ids(ids.tolist(), values, reverse=reverse), np.int64)


def smallest_values(column: Column, at: NDArray[np.int64], ids: Sequence[int]) -> dict[int, Value]:
    """Return the smallest value of a column at each of these rising positions, which belong to these ids;
    those without a value are left out."""
    found: dict[int, Value] = {}

    def add(id: int, value: Value) -> None:
        before = found.setdefault(id, value)
        if (isinstance(value, str), value) < (isinstance(before, str), before):
            found[id] = value

    if column.numbers is not None:
        numbers = zip(ids, column.numbers[at].tolist(), strict=True)
        found |= {id: number for id, number in numbers if not isnan(number)}
    id_at = dict(zip(at.tolist(), ids, strict=True)) if len(ids) else {}
    for positions, more in (
        (column.more_at, column.more_numbers),
        (column.exact_at, column.exact),
    ):
        for position, number in zip(positions.tolist(), more.tolist(), strict=True):
            if position in id_at:
                add(id_at[position], number)
    for part in column.parts():
        if isinstance(part.at, slice):
            low, high = np.searchsorted(at, (part.at.start, part.at.stop))
            codes = part.codes[at[low:high] - part.at.start].tolist()
            for id, code in zip(ids[low:high], codes, strict=True):
                if code >= 0:
                    add(id, part.texts[code])
        else:
            for position, code in zip(part.at.tolist(), part.codes.tolist(), strict=True):
                if position in id_at:
                    add(id_at[position], part.texts[code])
    return found


class _Evaluation:
    """Evaluates one expression on the columns of one state."""

    def __init__(
        self, connection: sqlite3.Connection, columns: StateColumns, fields: Mapping[str, Field]
    ) -> None:
        self._connection = connection
        self._columns = columns
        self._fields = fields

    def mask(self, expression: Expression) -> Mask:
        """Return (count,) which positions satisfy an expression."""
        match expression:
            case And(parts):
                return reduce(np.logical_and, map(self.mask, parts))
            case Or(parts):
                return reduce(np.logical_or, map(self.mask, parts))
            case Not(part):
                return ~self.mask(part)
            case _:
                return satisfied(expression, self._column(expression), self._columns.count)

    def _column(self, test: Test) -> Column:
        field = self._fields[test.field]
        columns = self._columns
        if field == ("id", True):
            every = np.ones(columns.count, np.bool_)
            return Column(columns.ids(every).astype(np.float64))
        if field in (("path", True), ("name", True)):
            ordered = not isinstance(test, Like)
            return Column(
                texts=list(columns.scan_paths(self._connection, field[0], ordered=ordered))
            )
        return columns.column(self._connection, field)


def satisfied(test: Test, column: Column, count: int) -> Mask:
    """Return (count,) at which positions a value of the column satisfies the test."""
    if isinstance(test, Missing):
        return ~column.present(count)
    check_types(test, number=_example_number(column), text=_example_text(column))
    found = np.zeros(count, np.bool_)
    if column.numbers is not None:
        found |= _match_numbers(test, column.numbers)
    found[column.more_at[_match_numbers(test, column.more_numbers)]] = True
    found[column.exact_at[_match_integers(test, column.exact)]] = True
    if column.block_texts is not None and not isinstance(test, Like):
        found |= _match_blocks(test, column.block_texts).ravel()
    for part in column.parts() if isinstance(test, Like) else column.texts:
        matched = _match_texts(test, part)
        if matched is None:
            continue
        if isinstance(part.at, slice):
            found[part.at] |= matched
        else:
            found[part.at[matched]] = True
    return found


def _example_number(column: Column) -> float | None:
    if column.numbers is not None:
        present = ~np.isnan(column.numbers)
        if present.any():
            return float(column.numbers[present.argmax()])
    return int(column.exact[0]) if len(column.exact) else None


def _example_text(column: Column) -> str | None:
    return next((part.texts[0] for part in column.parts() if part.texts), None)


def _match_numbers(test: Test, numbers: Numbers) -> Mask:
    match test:
        case Compare(_, operator, value) if not isinstance(value, str):
            return _compare(operator, numbers, value)
        case Between(_, low, high) if not (isinstance(low, str) or isinstance(high, str)):
            return _compare(">=", numbers, low) & _compare("<=", numbers, high)
        case In(_, values) if wanted := [v for v in values if isinstance(v, float)]:
            return np.isin(numbers, wanted)
        case _:
            return np.zeros(len(numbers), np.bool_)


def _compare(operator: Operator, numbers: Numbers, value: float) -> Mask:
    """Compare floats with a number, exactly: an int is one that no float equals (`exact_number`)."""
    near = float(value)
    if near == value:
        return _ORDER[operator](numbers, near)
    if operator == "=":
        return np.zeros(len(numbers), np.bool_)
    if operator in ("<", "<="):
        return numbers <= near if near < value else numbers < near
    return numbers > near if near < value else numbers >= near


def _match_integers(test: Test, integers: NDArray[Any]) -> Mask:
    match test:
        case Compare(_, operator, value) if not isinstance(value, str):
            return _within(integers, operator, value)
        case Between(_, low, high) if not (isinstance(low, str) or isinstance(high, str)):
            return _within(integers, ">=", low) & _within(integers, "<=", high)
        case In(_, values):
            found = [_within(integers, "=", v) for v in values if not isinstance(v, str)]
            return reduce(np.logical_or, found, np.zeros(len(integers), np.bool_))
        case _:
            return np.zeros(len(integers), np.bool_)


def _within(integers: NDArray[Any], operator: Operator, value: float) -> Mask:
    """Compare integers with a number, as Python's integers: NumPy would compare floats."""
    if not len(integers):
        return np.zeros(0, np.bool_)
    smallest, largest = int(integers.min()), int(integers.max())
    low, high = {
        "=": (ceil(value), floor(value)),
        "<": (smallest, ceil(value) - 1),
        "<=": (smallest, floor(value)),
        ">": (floor(value) + 1, largest),
        ">=": (ceil(value), largest),
    }[operator]
    low, high = max(low, smallest), min(high, largest)
    if low > high:
        return np.zeros(len(integers), np.bool_)
    return np.asarray((integers >= low) & (integers <= high), np.bool_)


def _match_texts(test: Test, part: Texts) -> Mask | None:
    """Return which texts of a part satisfy the test; None: no text does."""
    if isinstance(test, Like):
        # By code; the last element stands for code -1, no text.
        hit = np.array([*map(pattern_matcher(test), part.texts), False])
        return hit[part.codes] if hit.any() else None
    if isinstance(test, Missing):
        return None
    codes = part.codes
    ranges = [(codes >= start) & (codes < end) for start, end in matching_ranges(test, part.texts)]
    return reduce(np.logical_or, ranges) if ranges else None


def _match_blocks(test: Compare | In | Between, texts: BlockTexts) -> Mask:
    """Return (blocks, BLOCK) which texts satisfy a comparison.

    Compares whole arrays: as often as the block with the most matching ranges has ranges.
    """
    ranges = [matching_ranges(test, own) for own in texts.texts]
    found = np.zeros(texts.codes.shape, np.bool_)
    for number in range(max(map(len, ranges), default=0)):
        edges = [own[number] if number < len(own) else (0, 0) for own in ranges]
        starts, ends = np.array(edges, np.int16).T[:, :, None]
        found |= (texts.codes >= starts) & (texts.codes < ends)
    return found
