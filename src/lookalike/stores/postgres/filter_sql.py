"""Filters as conditions of SQL. Values are always parameters; names of fields become numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeAlias

import numpy as np

from lookalike.stores.filter_parser import parse
from lookalike.stores.filter_semantics import date_ranges, pattern_matcher, sorted_ids
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
    Or,
    Test,
    Value,
    check_types,
    exact_number,
    field_names,
    resolve_field,
    resolve_fields,
)
from lookalike.stores.postgres.database import Connection, statement
from lookalike.stores.postgres.encoding import IdArray, decode, encode
from lookalike.stores.postgres.images import select_ids
from lookalike.stores.postgres.migrations import PREFIX
from lookalike.stores.records import Ids

Condition: TypeAlias = tuple[str, list[Any]]
"""An SQL condition written by this module, and its parameters."""

_NONE: Condition = ("false", [])

PATH = "CASE i.folder WHEN '' THEN i.name ELSE i.folder || '/' || i.name END"

FILE_NUMBERS = {"id": "i.id", "size": "i.size", "width": "i.width", "height": "i.height"}
FILE_TEXTS = {
    "path": PATH,
    "name": "i.name",
    "folder": "i.folder",
    "format": "i.format",
    "outcome": "i.outcome",
}


def number_parameter(number: float) -> Decimal | int:
    """Return a number as `numeric` holds it: exact for integers, and in the order of floats otherwise.

    The shortest decimal that a float is written as lies closer to it than to any other float.
    """
    if isinstance(number, int) or number.is_integer():
        return Decimal(int(number))
    return Decimal(repr(number))


def number_value(stored: Decimal) -> float:
    """Return the number that `number_parameter` was given."""
    return exact_number(int(stored)) if stored == stored.to_integral_value() else float(stored)


@dataclass(slots=True)
class FieldCatalogue:
    """The fields of a library's metadata: their numbers, and examples of their values."""

    connection: Connection
    numbers: Mapping[str, Sequence[int]] = field(init=False)
    names: Mapping[str, Field] = field(init=False)

    def __post_init__(self) -> None:
        rows = self.connection.execute(
            "SELECT name, id FROM fields WHERE EXISTS (SELECT FROM field_values WHERE field = fields.id "
            "AND (number IS NOT NULL OR text IS NOT NULL)) ORDER BY name"
        )
        numbers: dict[str, list[int]] = {}
        for name, id in rows:
            numbers.setdefault(decode(name), []).append(id)
        self.numbers = numbers
        self.names = field_names(numbers)

    def of(self, name: str) -> list[int]:
        """Return the numbers of a field of metadata; [] for one without values."""
        return list(self.numbers.get(name, ()))


def select(connection: Connection, where: str) -> Ids:
    """See `Snapshot.select`."""
    expression = parse(where)
    fields = resolve_fields(expression, (known := FieldCatalogue(connection)).names)
    condition, parameters = _Translation(connection, known, fields).condition(expression)
    if ("outcome", True) not in fields.values():
        condition = f"i.outcome = 'indexed' AND {condition}"
    return select_ids(connection, condition, parameters)


class _Translation:
    """Translates one expression for one snapshot."""

    def __init__(
        self, connection: Connection, known: FieldCatalogue, fields: Mapping[str, Field]
    ) -> None:
        self._connection = connection
        self._known = known
        self._fields = fields

    def condition(self, expression: Expression) -> Condition:
        """Return the condition on an image `i`."""
        match expression:
            case And(parts):
                return _joined(" AND ", map(self.condition, parts))
            case Or(parts):
                return _joined(" OR ", map(self.condition, parts))
            case Not(part):
                text, parameters = self.condition(part)
                return f"NOT {text}", parameters
            case _:
                name, of_file = self._fields[expression.field]
                return (
                    self._of_file(expression, name)
                    if of_file
                    else self._of_metadata(expression, name)
                )

    def _of_file(self, test: Test, name: str) -> Condition:
        column = FILE_NUMBERS.get(name) or FILE_TEXTS[name]
        if isinstance(test, Missing):
            return f"({column} IS NULL)", []
        row = self._connection.execute(
            statement(f"SELECT {column} FROM images i WHERE {column} IS NOT NULL LIMIT 1")
        ).fetchone()
        if name in FILE_NUMBERS:
            check_types(test, number=None if row is None else row[0], text=None)
            text, parameters = _number_condition(test, f"{column}::numeric")
        else:
            check_types(test, number=None, text=None if row is None else decode(row[0]))
            text, parameters = self._text_condition(
                test, column, lambda: statement(f"SELECT DISTINCT {column} FROM images i"), []
            )
        return f"coalesce({text}, false)", parameters

    def _of_metadata(self, test: Test, name: str) -> Condition:
        numbers = self._known.of(name)
        # With one number an index is read in its order; several have been made only by mistake.
        own, first = (
            ("v.field = %s", numbers[0]) if len(numbers) == 1 else ("v.field = ANY(%s)", numbers)
        )
        here = f"EXISTS (SELECT FROM field_values v WHERE v.image = i.id AND {own}"
        if isinstance(test, Missing):
            return f"NOT {here})", [first]
        check_types(
            test, number=self._example(own, first, "number"), text=self._example(own, first, "text")
        )
        condition, parameters = _joined(
            " OR ",
            [
                _number_condition(test, "v.number"),
                self._text_condition(
                    test,
                    "v.text",
                    lambda: statement(f"SELECT DISTINCT text FROM field_values v WHERE {own}"),
                    [first],
                    prefix=f"left(v.text, {PREFIX})",
                ),
            ],
        )
        return f"{here} AND {condition})", [first, *parameters]

    def _example(self, own: str, field: Any, column: str) -> Any:
        row = self._connection.execute(
            statement(
                f"SELECT {column} FROM field_values v WHERE {own} AND {column} IS NOT NULL LIMIT 1"
            ),
            (field,),
        ).fetchone()
        if row is None:
            return None
        return decode(row[0]) if column == "text" else number_value(row[0])

    def _text_condition(
        self,
        test: Test,
        column: str,
        distinct: Callable[[], Any],
        parameters: list[Any],
        prefix: str = "",
    ) -> Condition:
        """Return the condition on a column of texts.

        distinct  the statement that lists all its texts; patterns are compared with each of them here,
                  because PostgreSQL folds case in its own way
        prefix    expression that is indexed
        """
        if isinstance(test, Like):
            match = pattern_matcher(test)
            texts = self._connection.execute(distinct(), parameters)
            found = [text for (text,) in texts if text is not None and match(decode(text))]
            return _one_of(column, found, prefix)
        if isinstance(test, Missing):
            return _NONE
        conditions: list[Condition] = []
        equal = list(dict.fromkeys(low for low, high in date_ranges(test) if high == low))
        if equal:
            conditions.append(
                _one_of(column, [encode(text) for text in equal if text is not None], prefix)
            )
        for low, high in date_ranges(test):
            if high != low:
                conditions.append(_range(column, low, high, prefix))
        return _joined(" OR ", conditions)


def _range(column: str, low: str | None, high: str | None, prefix: str) -> Condition:
    """Return the condition: not below `low`, below `high`; None: no limit."""
    parts: list[str] = [f"{column} IS NOT NULL"]
    parameters: list[Any] = []
    above = low is not None and low.endswith("\0")  # "not below" the next text of all is "above"
    low = low[:-1] if low is not None and above else low
    for operator, loose, end in ((">" if above else ">=", ">=", low), ("<", "<=", high)):
        if end is not None:
            parts.append(f"{column} {operator} %s")
            parameters.append(encode(end))
            if prefix:
                parts.append(f"{prefix} {loose} left(%s, {PREFIX})")
                parameters.append(encode(end))
    return f"({' AND '.join(parts)})", parameters


def _one_of(column: str, texts: list[str], prefix: str) -> Condition:
    if not texts:
        return _NONE
    if prefix:
        return f"({prefix} = ANY(%s) AND {column} = ANY(%s))", [
            [one[:PREFIX] for one in texts],
            texts,
        ]
    return f"({column} = ANY(%s))", [texts]


def _number_condition(test: Test, column: str) -> Condition:
    match test:
        case Compare(_, operator, value) if not isinstance(value, str):
            return f"({column} {operator} %s)", [number_parameter(value)]
        case In(_, values):
            numbers = [number_parameter(value) for value in values if not isinstance(value, str)]
            return (f"({column} = ANY(%s::numeric[]))", [numbers]) if numbers else _NONE
        case Between(_, low, high) if not isinstance(low, str) and not isinstance(high, str):
            return f"({column} BETWEEN %s AND %s)", [number_parameter(low), number_parameter(high)]
        case _:
            return _NONE


def _joined(word: str, conditions: Iterable[Condition]) -> Condition:
    kept = [one for one in conditions if word != " OR " or one != _NONE]
    if not kept:
        return _NONE
    return f"({word.join(text for text, _ in kept)})", [value for _, own in kept for value in own]


def sort(connection: Connection, ids: Ids, name: str, *, reverse: bool) -> Ids:
    """See `Snapshot.sort`."""
    known = FieldCatalogue(connection)
    field, of_file = resolve_field(name, known.names)
    wanted = IdArray(ids)
    if of_file:
        column = FILE_NUMBERS.get(field) or FILE_TEXTS[field]
        rows = connection.execute(
            statement(
                f"SELECT i.id, {column} FROM images i WHERE id = ANY(%s) AND {column} IS NOT NULL"
            ),
            (wanted,),
        )
        values: dict[int, Value] = {
            id: decode(value) if isinstance(value, str) else value for id, value in rows
        }
    else:
        rows = connection.execute(
            "SELECT image, min(number), min(text) FROM field_values "
            "WHERE image = ANY(%s) AND field = ANY(%s) GROUP BY image",
            (wanted, known.of(field)),
        )
        values = {
            id: decode(text) if number is None else number_value(number)
            for id, number, text in rows
        }
    return np.array(sorted_ids(ids.tolist(), values, reverse=reverse), np.int64)
