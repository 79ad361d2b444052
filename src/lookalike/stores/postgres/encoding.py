"""How texts, ids and vectors travel to the database and back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from psycopg.adapt import Dumper
from psycopg.pq import Format

from lookalike.stores.records import DType, Ids

if TYPE_CHECKING:
    from psycopg.abc import AdaptContext, Buffer

_ESCAPE = "\U0010ffff"
"""A code point that is no character. Followed by four hexadecimal digits it stands for another one."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff\U0010ffff]")
_ESCAPED = re.compile(f"{_ESCAPE}([0-9a-f]{{4,6}});")

COPY_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
COPY_TRAILER = b"\xff\xff"

INT8_ARRAY = 1016
"""Type of bigint[] in PostgreSQL."""


def encode(text: str) -> str:
    """Return a text as PostgreSQL can hold it: NUL and lone surrogates (from file names) become escapes.

    Encodes character by character, so that the beginning of a text is encoded as the text's beginning.
    """
    if text.isascii() and "\x00" not in text:
        return text
    return _UNSTORABLE.sub(lambda found: f"{_ESCAPE}{ord(found[0]):04x};", text)


def decode(stored: str) -> str:
    """Return the text that `encode` was given."""
    if _ESCAPE not in stored:
        return stored
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), stored)


class IdArray:
    """Ids as a parameter of type bigint[]."""

    def __init__(self, ids: Iterable[int] | Ids) -> None:
        given = (
            ids if isinstance(ids, np.ndarray) else np.fromiter((int(id) for id in ids), np.int64)
        )
        self.ids = np.ascontiguousarray(given, np.int64)


class IdArrayDumper(Dumper):
    """Writes an `IdArray` in PostgreSQL's binary form, a thousand times faster than one id after another."""

    format = Format.BINARY
    oid = INT8_ARRAY

    def __init__(self, cls: type, context: AdaptContext | None = None) -> None:
        super().__init__(cls, context)

    def dump(self, obj: Any) -> Buffer:
        """Return the array in the format of `array_send`."""
        ids: Ids = obj.ids
        head = np.array([1 if len(ids) else 0, 0, 20], ">i4").tobytes()
        if not len(ids):
            return head
        elements = np.empty(len(ids), [("length", ">i4"), ("id", ">i8")])
        elements["length"], elements["id"] = 8, ids
        return head + np.array([len(ids), 1], ">i4").tobytes() + elements.tobytes()


def ids_from(packed: bytes | None) -> Ids:
    """Return the ids of `string_agg(int8send(id), '')`."""
    return np.frombuffer(packed or b"", ">i8").astype(np.int64)


def column_type(dtype: DType) -> str:
    """Return pgvector's type for stored vectors."""
    return "halfvec" if dtype == "f16" else "vector"


def _row_type(dim: int, dtype: DType) -> np.dtype[Any]:
    """Return the layout of a row (image, vector) in binary COPY."""
    return np.dtype(
        [
            ("fields", ">i2"),
            ("id_length", ">i4"),
            ("id", ">i8"),
            ("length", ">i4"),
            ("dim", ">i2"),
            ("unused", ">i2"),
            ("numbers", ">f2" if dtype == "f16" else ">f4", (dim,)),
        ]
    )


def copy_rows(ids: Ids, vectors: NDArray[np.float32], dtype: DType) -> bytes:
    """Return rows (image, vector) for COPY … FROM STDIN (FORMAT BINARY)."""
    dim = vectors.shape[1]
    rows = np.empty(len(ids), _row_type(dim, dtype))
    size = 2 if dtype == "f16" else 4
    rows["fields"], rows["id_length"], rows["length"] = 2, 8, 4 + size * dim
    rows["dim"], rows["unused"] = dim, 0
    rows["id"], rows["numbers"] = ids, vectors
    return COPY_HEADER + rows.tobytes() + COPY_TRAILER


def rows_from_copy(data: bytes, dim: int, dtype: DType) -> tuple[Ids, NDArray[np.floating[Any]]]:
    """Return ids (n,) and vectors (n, dim) of whole rows of COPY … TO STDOUT (FORMAT BINARY), without its
    header and trailer."""
    rows = np.frombuffer(data, _row_type(dim, dtype))
    kept = np.float16 if dtype == "f16" else np.float32
    return rows["id"].astype(np.int64), rows["numbers"].astype(kept)


def row_bytes(dim: int, dtype: DType) -> int:
    """Return the size of a row in binary COPY."""
    return _row_type(dim, dtype).itemsize


def vectors_from(packed: list[bytes], dim: int, dtype: DType) -> NDArray[np.floating[Any]]:
    """Return (n, dim) of vectors in the format of `vector_send` or `halfvec_send`."""
    layout = np.dtype([("head", ">i4"), ("numbers", ">f2" if dtype == "f16" else ">f4", (dim,))])
    kept = np.float16 if dtype == "f16" else np.float32
    return np.frombuffer(b"".join(packed), layout)["numbers"].astype(kept)


def vector_literal(vector: NDArray[np.float32]) -> str:
    """Return a vector as text that pgvector reads back to the same float32 numbers."""
    return "[" + ",".join(map(repr, vector.tolist())) + "]"
