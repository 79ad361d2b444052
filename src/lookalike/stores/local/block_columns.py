"""Packed columns: the fields of all images, as the catalogue stores them for filters.

Images are taken in blocks of 1,024 ids. The table `columns` has one packed row (`Part`) for every field and
block. It is derived from `images`, `metadata`, `sidecars` and `facts`: a change only marks its block as
stale, and the writer packs stale blocks when it ends, or now and then (`maintenance.DerivedTables`). A reader
computes the parts of a stale block from the source tables.
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

from lookalike.files import compose
from lookalike.stores.filters import Field, Value
from lookalike.stores.local.database import chunks, transaction
from lookalike.stores.local.path_encoding import decode_path
from lookalike.stores.metadata import field_values, merge

BLOCK_BITS = 10
BLOCK = 1 << BLOCK_BITS
"""Images per block; part of the format. Smaller blocks make a column of a million images slower to read (one
row each), larger ones make a change more expensive."""

BLOCKS_PER_TRANSACTION = 64
"""About a second of packing, which a kill may lose."""

FILE_COLUMNS = ("size", "width", "height", "format", "outcome", "folder")
"""The file's own fields that are stored as columns, in the order in which `parts_of` reads them."""

Numbers: TypeAlias = NDArray[np.float64]
Values: TypeAlias = Mapping[int, Sequence[Value]]
"""Position in the block -> the values there."""


@dataclass(frozen=True, slots=True)
class Part:
    """One field in one block.

    numbers  (BLOCK,) floats, NaN where there is none; None where the whole block has none
    codes    (BLOCK,) index into `texts`, len(texts) where there is none; None without texts
    texts    distinct texts; packed (`unpack_texts`) as they are read, because many blocks share them
    more     (position, value) of further values, where an image has several, and of all integers that a
             float cannot hold
    """

    numbers: NDArray[np.floating] | None
    codes: NDArray[np.integer] | None
    texts: Sequence[str] | bytes
    more: Sequence[tuple[int, Value]]


def mark_blocks_stale(connection: sqlite3.Connection, ids: Iterable[int]) -> None:
    """Record that the fields of these images have changed, or that the images are new."""
    blocks = {id >> BLOCK_BITS for id in ids}
    connection.executemany(_MARK.format("VALUES (?, 1)"), ((block,) for block in blocks))
    _count_change(connection)


def mark_blocks_of_deleted_stale(connection: sqlite3.Connection) -> None:
    """Record that the images in temp.deleted go."""
    connection.execute(_MARK.format("SELECT DISTINCT id >> 10, 1 FROM temp.deleted WHERE 1"))
    _count_change(connection)


_MARK = "INSERT INTO blocks {} ON CONFLICT DO UPDATE SET stale = 1"


def _count_change(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE settings SET value = value + 1 WHERE key = 'changes'")


def pack_stale(connection: sqlite3.Connection) -> None:
    """Pack all stale blocks, some in each transaction."""
    stale = [
        b for (b,) in connection.execute("SELECT block FROM blocks WHERE stale ORDER BY block")
    ]
    for chunk in chunks(stale, BLOCKS_PER_TRANSACTION):
        with transaction(connection):
            ids = field_ids(connection)
            for block in chunk:
                _pack(connection, block, parts_of(connection, block), ids)
    if stale:
        with transaction(connection):
            # Fields that no image has any more. The key of a part begins with the id of its field.
            connection.execute(
                """DELETE FROM fields WHERE NOT EXISTS (SELECT 1 FROM columns
                     WHERE key >= fields.id << 40 AND key < (fields.id + 1) << 40)"""
            )


def field_ids(connection: sqlite3.Connection) -> dict[Field, int]:
    """Return the ids of all fields that have packed parts."""
    return {
        (name, bool(of_file)): id
        for id, name, of_file in connection.execute("SELECT id, name, of_file FROM fields")
    }


def parts_of(connection: sqlite3.Connection, block: int) -> dict[Field, Part]:
    """Return all fields of a block, computed from the source tables."""
    start = block << BLOCK_BITS
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
    ids, paths, *own, facts, sidecars, metadata = zip(*rows, strict=True)
    folders = [compose(decode_path(path)).rpartition("/")[0] for path in paths]
    found: dict[Field, dict[int, Sequence[Value]]] = {
        (name, True): {
            id - start: (value,) for id, value in zip(ids, values, strict=True) if value is not None
        }
        for name, values in zip(FILE_COLUMNS, (*own, folders), strict=True)
    }
    for id, fact, *given in zip(ids, facts, sidecars, metadata, strict=True):
        if fact or any(given):
            for name, values in field_values(fact, merge(*given)).items():
                found.setdefault((name, False), {})[id - start] = values
    return {field: part_of(values) for field, values in found.items() if values}


def part_of(values: Values) -> Part:
    """Return the part that holds these values of one field."""
    numbers = np.full(BLOCK, np.nan)
    first: dict[int, str] = {}
    more: list[tuple[int, Value]] = []
    single: dict[int, float] = {}
    for position, several in values.items():
        for value in several:
            if isinstance(value, str):
                if first.setdefault(position, value) is not value:
                    more.append((position, value))
            elif type(value) is int:  # not a float: see `exact_number`
                more.append((position, value))
            elif single.setdefault(position, value) is not value:
                more.append((position, float(value)))
    numbers[list(single)] = list(single.values())
    texts = sorted(set(first.values()))
    codes = None
    if first:
        code_of = {text: code for code, text in enumerate(texts)}
        codes = np.full(BLOCK, len(texts), np.intp)
        codes[list(first)] = [code_of[text] for text in first.values()]
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
        ((keys[field], *_packed_columns(part)) for field, part in parts.items()),
    )
    if parts:
        connection.execute("UPDATE blocks SET stale = 0 WHERE block = ?", (block,))
    else:
        connection.execute("DELETE FROM blocks WHERE block = ?", (block,))


def _packed_columns(part: Part) -> tuple[bytes | None, bytes | None, bytes | None, bytes | None]:
    numbers = codes = texts = more = None
    if part.numbers is not None:
        numbers = _smallest_type(part.numbers).tobytes()
    if part.codes is not None:
        codes = part.codes.astype("<u1" if len(part.texts) < 256 else "<u2").tobytes()
        texts = _compress(part.texts)
    if part.more:
        more = _compress(part.more)
    return numbers, codes, texts, more


def _smallest_type(numbers: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Return the same numbers in the smallest type that holds them exactly."""
    with np.errstate(over="ignore"):
        for kind in ("<f2", "<f4"):
            narrow = numbers.astype(kind)
            if np.array_equal(narrow, numbers, equal_nan=True):
                return narrow
    return numbers.astype("<f8")


def _compress(value: Sequence[object]) -> bytes:
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 1)


def unpack_texts(packed: bytes) -> list[str]:
    """Return the `texts` of a packed part."""
    texts: list[str] = json.loads(zlib.decompress(packed))
    return texts


def packed_parts(connection: sqlite3.Connection, field: int) -> Iterator[tuple[int, Part]]:
    """Yield block and part of a field, as they are stored, by rising block. Sizes in bytes tell the types."""
    for key, numbers, codes, texts, more in connection.execute(
        "SELECT key, numbers, codes, texts, more FROM columns WHERE key >= ? AND key < ?",
        (field << 40, (field + 1) << 40),
    ):
        part = Part(
            None if numbers is None else np.frombuffer(numbers, f"<f{len(numbers) // BLOCK}"),
            None if codes is None else np.frombuffer(codes, f"<u{len(codes) // BLOCK}"),
            texts or (),
            json.loads(zlib.decompress(more)) if more else (),
        )
        yield key & ((1 << 40) - 1), part
