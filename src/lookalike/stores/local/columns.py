"""The fields of all images as columns, so that a filter is a few comparisons of whole arrays.

Images are taken in blocks of 1,024 ids; the catalogue keeps, for every field and block, one packed
row (`Part`). They are derived from `images`, `metadata`, `sidecars` and `facts`: a change only
marks its block as stale, and the writer packs the stale blocks when it ends. Whoever reads a
stale block makes its parts from the source.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.stores.filters import Value
from lookalike.stores.local.database import chunks, transaction
from lookalike.stores.local.metadata_merge import fields, merged
from lookalike.stores.local.path_encoding import decode_path

SHIFT = 10
BLOCK = 1 << SHIFT
"""Images a block; part of the format. Smaller ones make a column of a million images slower to
read (one row each), larger ones make a change dearer."""

PACKED_TOGETHER = 64
"""Blocks a transaction: about a second of work that a kill may lose."""

Field: TypeAlias = tuple[str, bool]
"""A name, and whether it is one of the file's own (`filters.FILE_FIELDS`)."""

Numbers: TypeAlias = NDArray[np.float64]
Values: TypeAlias = Mapping[int, Sequence[Value]]
"""Position in the block → the values there."""


@dataclass(frozen=True, slots=True)
class Part:
    """One field in one block.

    numbers  (BLOCK,) float64, NaN where there is none; None where the block has none at all
    codes    (BLOCK,) place in `texts`, len(texts) where there is none
    texts    distinct
    more     (position, value) of further values, where an image has several
    """

    numbers: Numbers | None
    codes: NDArray[np.intp] | None
    texts: Sequence[str]
    more: Sequence[tuple[int, Value]]


def mark_stale(connection: sqlite3.Connection, ids: Iterable[int]) -> None:
    """The fields of these images have changed, or the images are new."""
    blocks = {id >> SHIFT for id in ids}
    connection.executemany(_MARK.format("VALUES (?, 1)"), ((block,) for block in blocks))
    _count_change(connection)


def mark_gone_stale(connection: sqlite3.Connection) -> None:
    """The same for the images in temp.gone."""
    connection.execute(_MARK.format("SELECT DISTINCT id >> 10, 1 FROM temp.gone WHERE 1"))
    _count_change(connection)


OWN = ("size", "width", "height", "format", "outcome", "folder")
"""What every image has, as `parts_of` reads it."""

_MARK = "INSERT INTO blocks {} ON CONFLICT DO UPDATE SET stale = 1"


def _count_change(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE settings SET value = value + 1 WHERE key = 'changes'")


def pack_stale(connection: sqlite3.Connection) -> None:
    """Bring the packed parts up to date, a few blocks a transaction."""
    stale = [
        b for (b,) in connection.execute("SELECT block FROM blocks WHERE stale ORDER BY block")
    ]
    for chunk in chunks(stale, PACKED_TOGETHER):
        with transaction(connection):
            numbers = field_ids(connection)
            for block in chunk:
                _pack(connection, block, parts_of(connection, block), numbers)
    if stale:
        with transaction(connection):
            # Names that no image has any more. The key of a part begins with its field.
            connection.execute(
                """DELETE FROM fields WHERE NOT EXISTS (SELECT 1 FROM columns
                     WHERE key >= fields.id << 40 AND key < (fields.id + 1) << 40)"""
            )


def field_ids(connection: sqlite3.Connection) -> dict[Field, int]:
    """The numbers of all fields that have packed parts."""
    return {
        (name, bool(of_file)): id
        for id, name, of_file in connection.execute("SELECT id, name, of_file FROM fields")
    }


def parts_of(connection: sqlite3.Connection, block: int) -> dict[Field, Part]:
    """All fields of a block, made from the source."""
    start = block << SHIFT
    rows = connection.execute(
        """SELECT images.id, path, size, width, height, format, outcome, facts.json, sidecars.json,
             metadata.json FROM images LEFT JOIN facts ON facts.image = images.id
             LEFT JOIN sidecars ON sidecars.image = images.id
             LEFT JOIN metadata ON metadata.image = images.id
           WHERE images.id >= ? AND images.id < ?""",
        (start, start + BLOCK),
    ).fetchall()
    if not rows:
        return {}
    ids, paths, *own, said, sidecars, metadata = zip(*rows, strict=True)
    folders = [decode_path(path).rpartition("/")[0] for path in paths]
    found: dict[Field, dict[int, Sequence[Value]]] = {
        (name, True): {
            id - start: (value,) for id, value in zip(ids, values, strict=True) if value is not None
        }
        for name, values in zip(OWN, (*own, folders), strict=True)
    }
    for id, facts, *given in zip(ids, said, sidecars, metadata, strict=True):
        if facts or any(given):
            for name, values in fields(facts, merged(*given)).items():
                found.setdefault((name, False), {})[id - start] = values
    return {field: part_of(values) for field, values in found.items() if values}


def part_of(values: Values) -> Part:
    """The values of one field in one block."""
    numbers = np.full(BLOCK, np.nan)
    first: dict[int, str] = {}
    more: list[tuple[int, Value]] = []
    single: dict[int, float] = {}
    for position, several in values.items():
        for value in several:
            if isinstance(value, str):
                if first.setdefault(position, value) is not value:
                    more.append((position, value))
            elif single.setdefault(position, value) is not value:
                more.append((position, float(value)))
    numbers[list(single)] = list(single.values())
    texts = sorted(set(first.values()))
    codes = None
    if first:
        place = {text: number for number, text in enumerate(texts)}
        codes = np.full(BLOCK, len(texts), np.intp)
        codes[list(first)] = [place[text] for text in first.values()]
    return Part(numbers if single else None, codes, texts, more)


def _pack(
    connection: sqlite3.Connection, block: int, parts: Mapping[Field, Part], ids: dict[Field, int]
) -> None:
    for field in parts.keys() - ids.keys():
        cursor = connection.execute("INSERT INTO fields (name, of_file) VALUES (?, ?)", field)
        ids[field] = cursor.lastrowid or 0
    keys = {field: ids[field] << 40 | block for field in ids}
    connection.executemany("DELETE FROM columns WHERE key = ?", ((key,) for key in keys.values()))
    connection.executemany(
        "INSERT INTO columns VALUES (?, ?, ?, ?, ?)",
        ((keys[field], *_packed(part)) for field, part in parts.items()),
    )
    if parts:
        connection.execute("UPDATE blocks SET stale = 0 WHERE block = ?", (block,))
    else:
        connection.execute("DELETE FROM blocks WHERE block = ?", (block,))


def _packed(part: Part) -> tuple[bytes | None, bytes | None, bytes | None, bytes | None]:
    numbers = codes = texts = more = None
    if part.numbers is not None:
        numbers = _narrow(part.numbers).tobytes()
    if part.codes is not None:
        codes = part.codes.astype("<u1" if len(part.texts) < 256 else "<u2").tobytes()
        texts = _deflated(part.texts)
    if part.more:
        more = _deflated(part.more)
    return numbers, codes, texts, more


def _narrow(numbers: Numbers) -> NDArray[np.floating[Any]]:
    """The same numbers in the smallest type that holds them exactly."""
    with np.errstate(over="ignore"):
        for kind in ("<f2", "<f4"):
            narrow = numbers.astype(kind)
            if np.array_equal(narrow, numbers, equal_nan=True):
                return narrow
    return numbers.astype("<f8")


def _deflated(value: Sequence[object]) -> bytes:
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 1)


def unpack_texts(packed: bytes) -> list[str]:
    """The `texts` of a packed part."""
    texts: list[str] = json.loads(zlib.decompress(packed))
    return texts


def packed_parts(
    connection: sqlite3.Connection, field: int
) -> Iterator[tuple[int, bytes | None, bytes | None, bytes | None, bytes | None]]:
    """(block, numbers, codes, texts, more) as packed, by rising block."""
    for key, *columns in connection.execute(
        "SELECT key, numbers, codes, texts, more FROM columns WHERE key >= ? AND key < ?",
        (field << 40, (field + 1) << 40),
    ):
        yield key & ((1 << 40) - 1), *columns


def unpack_numbers(packed: bytes) -> NDArray[np.floating[Any]]:
    """(BLOCK,) numbers; their width tells their type."""
    return np.frombuffer(packed, f"<f{len(packed) // BLOCK}")


def unpack_codes(packed: bytes) -> NDArray[np.unsignedinteger[Any]]:
    """(BLOCK,) codes; their width tells their type."""
    return np.frombuffer(packed, f"<u{len(packed) // BLOCK}")


def unpack_more(packed: bytes) -> list[tuple[int, Value]]:
    """The `more` of a packed part."""
    return [(position, value) for position, value in json.loads(zlib.decompress(packed))]
