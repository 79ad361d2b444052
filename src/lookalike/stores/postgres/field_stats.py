"""Statistics of the fields of a library, for the filters of a user interface."""

from __future__ import annotations

from typing import Any

from lookalike.stores.filter_semantics import is_date
from lookalike.stores.filters import FieldKind, FieldStats, Value
from lookalike.stores.postgres.database import Connection, statement
from lookalike.stores.postgres.encoding import decode
from lookalike.stores.postgres.filter_sql import (
    FILE_NUMBERS,
    FILE_TEXTS,
    FieldCatalogue,
    number_value,
)

SAMPLE = 20_000
"""Images, about, whose values are counted to find the most frequent ones."""

EXAMPLES = 5


def field_stats(connection: Connection) -> dict[str, FieldStats]:
    """Return the statistics of every field by name."""
    row = connection.execute(
        "SELECT count(*), min(id), max(id) FROM images WHERE outcome = 'indexed'"
    ).fetchone()
    count, first, last = row or (0, None, None)
    step = count // SAMPLE + 1
    known = FieldCatalogue(connection)
    metadata = _of_metadata(connection, step)
    found: dict[str, FieldStats] = {}
    for name, (field, of_file) in known.names.items():
        if not of_file:
            numbers = known.of(field)
            found[name] = metadata.get(numbers[0], _NOTHING) if numbers else _NOTHING
        elif field in ("path", "name"):  # they are all different
            found[name] = FieldStats("text", count, None, None, ())
        elif field == "id":
            found[name] = FieldStats("number", count, first, last, ()) if count else _NOTHING
        else:
            found[name] = _of_file(connection, field, step)
    return found


_NOTHING = FieldStats("none", 0, None, None, ())


def _of_file(connection: Connection, field: str, step: int) -> FieldStats:
    column = FILE_NUMBERS.get(field) or FILE_TEXTS[field]
    indexed = "FROM images i WHERE outcome = 'indexed'"
    row = connection.execute(
        statement(f"SELECT count({column}), min({column}), max({column}) {indexed}")
    ).fetchone()
    examples = connection.execute(
        statement(
            f"SELECT {column} {indexed} AND {column} IS NOT NULL AND id %% %s = 0 "
            f"GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT {EXAMPLES}"
        ),
        (step,),
    ).fetchall()
    if row is None or not row[0]:
        return _NOTHING
    number = field in FILE_NUMBERS
    return FieldStats(
        "number" if number else "text",
        row[0],
        row[1],
        row[2],
        tuple(value for (value,) in examples),
    )


def _of_metadata(connection: Connection, step: int) -> dict[int, FieldStats]:
    """Return the statistics of all fields of the metadata, by number."""
    examples: dict[int, tuple[list[Value], list[Value]]] = {}
    for field, number, text in connection.execute(
        """SELECT field, number, text FROM (
             SELECT field, number, text,
                    row_number() OVER (PARTITION BY field, number IS NULL
                                       ORDER BY count(*) DESC, number, text) AS rank
             FROM field_values JOIN images ON images.id = image
             WHERE outcome = 'indexed' AND image %% %s = 0 GROUP BY field, number, text) AS counted
           WHERE rank <= %s ORDER BY field, rank""",
        (step, EXAMPLES),
    ):
        numbers, texts = examples.setdefault(field, ([], []))
        if number is not None:
            numbers.append(number_value(number))
        elif text is not None:
            texts.append(decode(text))
    rows = connection.execute(
        """SELECT field, count(DISTINCT image), min(number), max(number), min(text), max(text)
           FROM field_values JOIN images ON images.id = image WHERE outcome = 'indexed' GROUP BY field"""
    )
    return {row[0]: _stats(row[1:], *examples.get(row[0], ([], []))) for row in rows}


def _stats(row: tuple[Any, ...], numbers: list[Value], texts: list[Value]) -> FieldStats:
    count, low, high, first, last = row
    if low is not None and first is not None:
        return FieldStats("mixed", count, None, None, (*numbers, *texts)[:EXAMPLES])
    if low is not None:
        return FieldStats("number", count, number_value(low), number_value(high), tuple(numbers))
    if first is None:
        return _NOTHING
    kind: FieldKind = "date" if all(isinstance(t, str) and is_date(t) for t in texts) else "text"
    return FieldStats(kind, count, decode(first), decode(last), tuple(texts))
