"""Tables that describe images, one row an image: read, checked and typed before anything is stored.

A file is a CSV (commas, semicolons or tabs) in UTF-8 or UTF-16 whose first row names the columns, or has a
JSON object on each line if its name ends with .jsonl, .ndjson or .json. It is read twice: once to check it
and for the types of its columns (`column_types`), and again for its rows.
"""

from __future__ import annotations

import codecs
import csv
import datetime
import math
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, TypeAlias

import numpy as np

from lookalike.errors import UsageError
from lookalike.files import compose
from lookalike.indexing.column_types import Column, Convert, ValueType, decide, shortened
from lookalike.indexing.report import ArrowTable, DataFrame, Table
from lookalike.indexing.sidecars import strict_json

PATH_COLUMN = "path"

LINES = frozenset({".jsonl", ".ndjson", ".json"})

# Characters of a cell, at most.
MAX_CELL = 1 << 20

RawRow: TypeAlias = tuple[int, str, Mapping[str, Any]]
"""Number of the row, as a spreadsheet or an editor counts, its path, and its other cells by column."""


@dataclass(frozen=True, slots=True)
class CheckedTable:
    """A table that can be read to its end.

    folder    to which its paths are relative
    notes     what should be said about its columns, a sentence each
    repeated  `path_key` of the paths that several rows have
    """

    folder: Path
    notes: Sequence[str]
    repeated: frozenset[int]
    _read: Callable[[], Iterator[RawRow]]
    _converts: Mapping[str, Convert]

    def rows(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the rows as (path, other columns)."""
        for _, path, cells in self._read():
            yield (
                path,
                {
                    name: convert(cell) if (convert := self._converts.get(name)) else cell
                    for name, cell in cells.items()
                },
            )


def check_table(table: Table, path_column: str = PATH_COLUMN) -> CheckedTable:
    """Read a table to its end; `UsageError` names the first row that is wrong."""
    if not isinstance(table, Path | str):
        listed = list(_in_memory(table, path_column))
        return _checked_values(lambda: iter(listed), Path.cwd(), "row")
    file = Path(table)
    folder = file.absolute().parent
    if file.suffix.lower() in LINES:
        return _checked_values(lambda: _objects(file, path_column), folder, "line")
    names, path_column, delimiter, notes = _header(file, path_column)
    columns = {name: Column(name) for name in names if name}
    hashes = array("q")
    for number, path, cells in _cells(file, names, path_column):
        hashes.append(path_key(folder, path))
        for name, cell in cells.items():
            columns[name].add(number, cell)
    converts, more = decide(columns.values(), delimiter)
    by_name = dict(zip(columns, converts, strict=True))
    read = lambda: _cells(file, names, path_column)  # noqa: E731
    return CheckedTable(folder, [*notes, *more], _repeated(hashes), read, by_name)


def path_key(folder: Path, path: str) -> int:
    """Return a number that is the same for two spellings of one path: "./a.jpg" and "a.jpg"."""
    return hash(compose(os.path.normpath(folder / path.strip().replace("\\", "/"))))


def _repeated(hashes: array[int]) -> frozenset[int]:
    distinct, counts = np.unique(np.frombuffer(hashes, np.int64), return_counts=True)
    return frozenset(distinct[counts > 1].tolist())


# CSV


def _header(file: Path, path_column: str) -> tuple[list[str], str, str, list[str]]:
    """Return the names of the columns ("" for those left out), that of the paths as it is written there, the
    delimiter, and what should be said."""
    with _opened(file) as handle:
        mark = delimiter(handle, path_column)
        given = next(_records(file, handle, mark), (0, []))[1]
    names: list[str] = []
    notes: list[str] = []
    for number, name in enumerate(given, start=1):
        if not name:
            notes.append(f"column {number} has no name and is left out")
        elif name in names:
            notes.append(
                f"column {number} has the name of another, {shortened(name)}, and is left out"
            )
            name = ""
        names.append(name)
    wanted = compose(path_column)
    same = [wanted] if wanted in names else [n for n in names if n.lower() == wanted.lower()]
    if len(same) != 1:
        raise UsageError(
            f"{file} needs a column `{path_column}`; it has: "
            f"{', '.join(shortened(name) for name in names if name) or 'none'} "
            "(--path-column names the column with the paths)"
        )
    return names, same[0], mark, notes


def _cells(file: Path, names: Sequence[str], path_column: str) -> Iterator[RawRow]:
    at = names.index(path_column)
    others = [(column, name) for column, name in enumerate(names) if name and column != at]
    with _opened(file) as handle:
        rows = _records(file, handle, delimiter(handle, path_column))
        next(rows)
        for number, cells in rows:
            if len(cells) > len(names) and not any(cells[len(names) :]):
                del cells[len(names) :]
            if len(cells) != len(names):
                raise UsageError(
                    f"{file}, row {number}: the number of cells is {len(cells)}, and the header has "
                    f"{len(names)}"
                )
            yield number, cells[at], {name: cells[column] for column, name in others}


def _records(file: Path, handle: TextIO, mark: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not empty, the header first, with their numbers."""
    csv.field_size_limit(max(csv.field_size_limit(), MAX_CELL))
    number = 0
    header = True
    try:
        for cells in csv.reader(handle, delimiter=mark, strict=True):
            number += 1
            if header and cells and cells[0].startswith("sep="):  # for Excel
                continue
            if header:
                cells, header = [compose(name.strip()) for name in cells], False
            if "\0" in "".join(cells):
                raise UsageError(f"{file}, row {number}: has a zero byte: save the table as UTF-8")
            if any(cells):
                yield number, cells
    except csv.Error as error:
        long = "field limit" in str(error)
        reason = f"a cell has more than {MAX_CELL:,} characters" if long else f"not a CSV: {error}"
        raise UsageError(f"{file}, row {number + 1}: {reason}") from error


def delimiter(table: TextIO, column: str = PATH_COLUMN) -> str:
    """Return the delimiter of a CSV that has this column, read from its beginning.

    A comma, else the semicolon or tab that spreadsheets write where numbers have decimal commas.
    """
    header = table.readline()
    if header.startswith("sep="):
        header = table.readline()
    table.seek(0)
    for mark in (",", ";", "\t"):
        cells = next(csv.reader([header], delimiter=mark), [])
        if compose(column).lower() in (compose(cell.strip()).lower() for cell in cells):
            return mark
    return max(",;\t", key=header.count)


# First bytes of files that people take for tables.
_OTHER_KINDS = {
    b"PK\x03\x04": "a workbook of Excel or LibreOffice",
    b"\xd0\xcf\x11\xe0": "an old workbook of Excel",
    b"PAR1": "a Parquet file",
    b"SQLi": "an SQLite database",
}


@contextmanager
def _opened(file: Path) -> Iterator[TextIO]:
    """Open a text file in UTF-8 or, with a byte order mark, UTF-16."""
    try:
        with file.open("rb") as binary:
            start = binary.read(4)
        for mark, kind in _OTHER_KINDS.items():
            if start.startswith(mark):
                raise UsageError(f"{file} is {kind}: save the table as CSV in UTF-8")
        start = start[:2]
        utf16 = start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        with file.open(newline="", encoding="utf-16" if utf16 else "utf-8-sig") as handle:
            yield handle
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(no_utf8(file, error)) from error


def no_utf8(file: Path, error: UnicodeDecodeError) -> str:
    """Return the message for a table in another encoding."""
    return (
        f"{file} is not text in UTF-8 (byte 0x{error.object[error.start]:02x}): save it again as "
        "UTF-8; in Excel the type is called CSV UTF-8"
    )


# JSON lines and tables in memory, whose values have types


def _checked_values(
    read: Callable[[], Iterator[RawRow]], folder: Path, row_name: str
) -> CheckedTable:
    types: dict[str, ValueType] = {}
    hashes = array("q")
    for number, path, cells in read():
        hashes.append(path_key(folder, path))
        for name, cell in cells.items():
            types.setdefault(name, ValueType(name, row_name)).add(number, cell)
    converts = {name: one.convert for name, one in types.items() if one.is_mixed}
    notes = [note for one in types.values() if (note := one.note)]
    return CheckedTable(folder, notes, _repeated(hashes), read, converts)


def _objects(file: Path, path_column: str) -> Iterator[RawRow]:
    with _opened(file) as handle:
        for number, line in enumerate(handle, start=1):
            if not line.strip():
                continue
            try:
                row = strict_json(line)
            except (ValueError, RecursionError) as error:
                raise UsageError(
                    f"{file}, line {number}: not a JSON object on one line ({error})"
                ) from error
            path = row.pop(path_column, None) if isinstance(row, dict) else None
            if not isinstance(path, str):
                raise UsageError(
                    f'{file}, line {number}: needs an object with a string "{path_column}"'
                )
            yield number, path, {compose(name): value for name, value in row.items()}


def _in_memory(
    table: Iterable[Mapping[str, Any]] | DataFrame | ArrowTable, path_column: str
) -> Iterator[RawRow]:
    rows: Iterable[Any] = table  # type: ignore[assignment]
    if isinstance(table, ArrowTable):
        rows = table.to_pylist()
    elif isinstance(table, DataFrame):
        rows = table.to_dict("records")
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping) or not isinstance(row.get(path_column), str | Path):
            raise UsageError(f"metadata, row {number}: needs a mapping with a `{path_column}`")
        cells = {
            compose(str(name)): json_value(cell)
            for name, cell in row.items()
            if name != path_column
        }
        yield number, os.fspath(row[path_column]), cells


def json_value(cell: Any) -> Any:
    """Return a cell of a data frame as a JSON value: missing values are None, dates are ISO 8601."""
    if cell is None or type(cell).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(cell, bool | int | str):
        return cell
    if isinstance(cell, float):
        return cell if math.isfinite(cell) else None
    if isinstance(cell, datetime.date):
        return cell.isoformat()
    if isinstance(cell, Mapping):
        return {str(name): json_value(one) for name, one in cell.items()}
    if isinstance(cell, list | tuple):
        return [json_value(one) for one in cell]
    if hasattr(cell, "tolist"):  # numbers and arrays of NumPy
        return json_value(cell.tolist())
    return str(cell)
