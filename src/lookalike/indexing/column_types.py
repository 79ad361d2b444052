"""Types of the columns of a table: one type a column, decided from all of its cells.

    boolean  true or false in all cells, as programs write them: true, True, TRUE
    date     ISO 8601 in all cells, with a blank or T before the time, or with / or : in the date
    number   a number in all cells, with decimal points or commas, thousands separators and one currency
    text     everything else, and numbers with leading zeros, which are codes

Empty cells, and those in which programs write that a value is missing, count for no type. Where points and
commas may be read in two ways, the other columns of the table decide, then its delimiter; else the column is
text.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from lookalike.indexing.number_formats import NO_NUMBER, PLAIN, Decimal, Reading, read_number
from lookalike.stores.filter_semantics import comparable, is_date

Cell: TypeAlias = str | int | float | bool | None

MISSING = frozenset({"", "NaN", "nan", "NULL", "null", "None", "<NA>", "NaT", "\\N"})
"""Cells without a value, in every column."""

MISSING_IN_TYPED = frozenset({"na", "n/a", "#n/a", "nil", "-", "–", "—"})
"""Further ones, in lower case, in columns that are not text; and MySQL's dates 0000-00-00."""

BOOLEANS = {
    word: value
    for value in (True, False)
    for word in (str(value), str(value).lower(), str(value).upper())
}

# Dates in another order, which no filter compares as dates.
_OTHER_DATE = re.compile(r"\d{1,2}(?:([./-])\d{1,2}\1\d{4}|/\d{1,2}/\d\d)(?:,? \d.*)?")

CLEARLY_TEXT = 1000
"""Cells after which a column with hardly anything but texts is looked at no further."""


@dataclass(slots=True)
class Column:
    """Types of the cells of one column, counted row by row.

    filled         cells with a value
    counts         cells that are a boolean, a date, look like a number, or are a date in another order
    others         by type, the first cell that is not of that type, and why
    point, comma   whether all cells are numbers if the decimal separator is a point, or a comma
    unit           the currency of all cells so far, "" for none; None before the first number
    example        the first cell that is written otherwise than JSON writes numbers
    ambiguous      the first cell that is another number with the other separator; `marks` of all of these
    """

    name: str
    filled: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    others: dict[str, str] = field(default_factory=dict)
    point: bool = True
    comma: bool = True
    unit: str | None = None
    example: str | None = None
    ambiguous: tuple[int, str] | None = None
    marks: set[str] = field(default_factory=set)

    def add(self, row: int, cell: str) -> None:
        """Take the next cell."""
        text = cell.strip()
        if _is_missing(text):
            return
        self.filled += 1
        if self.filled > CLEARLY_TEXT and self.counts.total() * 10 < self.filled:
            return
        self._count("boolean", text in BOOLEANS, row, text)
        is_dated = text[4:5] in ("-", "/", ":") and is_date(comparable(text))
        self._count("date", is_dated, row, text)
        read = NO_NUMBER if is_dated else read_number(text)
        looks_so = read.point is not None or read.comma is not None
        reason = self._why_no_number(row, text, read) if self.point or self.comma else ""
        self._count("number", looks_so, row, text)
        if _OTHER_DATE.fullmatch(text):
            self.counts["other date"] += 1
            self.others.setdefault(
                "other date", f"row {row} has '{shortened(text)}', not the year first"
            )
        if reason or not looks_so:
            self.point = self.comma = False
            self.others.setdefault("number", reason)

    def _count(self, kind: str, holds: bool, row: int, text: str) -> None:
        if holds:
            self.counts[kind] += 1
        else:
            self.others.setdefault(kind, f"row {row} has '{shortened(text)}'")

    def _why_no_number(self, row: int, text: str, read: Reading) -> str:
        """Return why the cell does not fit those before it; "" if it does, or is no number at all."""
        self.point = self.point and read.point is not None
        self.comma = self.comma and read.comma is not None
        has = f"row {row} has '{shortened(text)}'"
        if read.point is None and read.comma is None:
            return ""
        if read.code:
            return f"{has}, with a leading zero"
        if self.unit not in (None, read.unit):
            return f"{has}, and the rows before are {f'in {self.unit}' if self.unit else 'plain numbers'}"
        self.unit = read.unit
        if not (self.point or self.comma):
            return f"{has}, with other separators than the rows before"
        if read.point is not None and read.comma is not None and read.point != read.comma:
            self.ambiguous = self.ambiguous or (row, text)
            self.marks |= {*".,"} & {*text}
        if self.example is None and not PLAIN.fullmatch(text):
            self.example = text
        return ""

    @property
    def type(self) -> Literal["boolean", "date", "number", "text"]:
        """The type that all cells have."""
        if self.filled and self.counts["boolean"] == self.filled:
            return "boolean"
        if self.filled and self.counts["date"] == self.filled:
            return "date"
        return "number" if self.filled and (self.point or self.comma) else "text"

    @property
    def vote(self) -> Decimal | None:
        """The decimal separator, if this column alone tells it."""
        if self.type != "number" or self.point == self.comma:
            return None
        return "." if self.point else ","


Convert: TypeAlias = Callable[[str], Cell]


def decide(columns: Collection[Column], delimiter: str) -> tuple[list[Convert], list[str]]:
    """Return how the cells of each column become values, and what should be said about it."""
    votes = {vote for column in columns if (vote := column.vote)}
    converts: list[Convert] = []
    notes: list[str] = []
    for column in columns:
        convert, note = _decide(column, votes, delimiter)
        converts.append(convert)
        notes += [note] if note else []
    return converts, notes


def _decide(column: Column, votes: set[Decimal], delimiter: str) -> tuple[Convert, str]:
    if column.type == "boolean":
        return lambda cell: BOOLEANS.get(cell.strip()), ""
    if column.type == "date":
        return lambda cell: None if _is_missing(cell) else comparable(cell.strip()), ""
    if column.type == "text":
        return _text, _text_note(column)
    decimal = column.vote
    if decimal is None and column.ambiguous is not None:
        decimal = next(iter(votes)) if len(votes) == 1 else _usual(column.marks, delimiter)
        if decimal is None:
            row, text = column.ambiguous
            read = read_number(text)
            return _text, (
                f"{shortened(column.name)} is text: row {row} has '{shortened(text)}', which may be "
                f"{read.point} or {read.comma}; write it as one of these"
            )
    example = column.example
    if column.ambiguous is not None and (example or decimal == ","):
        example = column.ambiguous[1]
    note = ""
    if example is not None:
        value = _number(decimal or ".")(example)
        note = f"{shortened(column.name)} holds numbers: '{shortened(example)}' is {value}"
    return _number(decimal or "."), note


def _text_note(column: Column) -> str:
    """Return why a column is text most of whose cells have another type; "" if they have none."""
    kind, count = max(column.counts.items(), key=lambda pair: pair[1], default=("", 0))
    if not count or 2 * count < column.filled:
        return ""
    return f"{shortened(column.name)} is text: {column.others[kind]}"


def _usual(marks: set[str], delimiter: str) -> Decimal | None:
    """Return the decimal separator of a table with this delimiter, whose numbers are 1.234 or 1,234 only."""
    if delimiter == ",":
        return "."
    if delimiter == ";" and marks == {","}:
        return ","
    return "." if delimiter == "\t" and marks == {"."} else None


def _number(decimal: Decimal) -> Convert:
    def convert(cell: str) -> Cell:
        text = cell.strip()
        if _is_missing(text):
            return None
        read = read_number(text)
        number = read.comma if decimal == "," else read.point
        return cell if number is None else number  # the file has changed since

    return convert


def _text(cell: str) -> Cell:
    return None if cell in MISSING else cell


def _is_missing(cell: str) -> bool:
    text = cell.strip()
    return text in MISSING or text.casefold() in MISSING_IN_TYPED or text.startswith("0000-00-00")


def shortened(text: str) -> str:
    """Return a cell or the name of a column on one line of at most 41 characters."""
    line = " ".join(text.splitlines())
    return line if len(line) <= 40 else f"{line[:40]}…"


@dataclass(slots=True)
class ValueType:
    """The type of a column of JSON values: text where some are texts and others numbers or booleans.

    row_name  "row" or "line", as messages count
    """

    name: str
    row_name: str = "row"
    _first_text: tuple[int, str] | None = None
    _first_other: tuple[int, str] | None = None

    def add(self, row: int, value: Any) -> None:
        """Take the next value."""
        if isinstance(value, str):
            if self._first_text is None and not _is_missing(value):
                self._first_text = row, value
        elif isinstance(value, int | float) and self._first_other is None:
            self._first_other = row, json.dumps(value)

    @property
    def is_mixed(self) -> bool:
        """Whether there are numbers or booleans, and texts beside them or in place of missing ones."""
        return self._first_other is not None

    @property
    def note(self) -> str:
        """A note for the user about the type of the column; empty if there is nothing to say."""
        if self._first_text is None or self._first_other is None:
            return ""
        (at, text), (other_at, other) = self._first_text, self._first_other
        return (
            f"{shortened(self.name)} is text: {self.row_name} {at} has '{shortened(text)}', "
            f"and {self.row_name} {other_at} has {other}"
        )

    def convert(self, value: Any) -> Any:
        """Return a value of the column in its type."""
        if isinstance(value, str) and (
            value in MISSING or (self._first_text is None and _is_missing(value))
        ):
            return None
        if self._first_text is not None and isinstance(value, int | float):
            return json.dumps(value)
        return value
