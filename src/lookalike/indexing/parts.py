"""The format of parts: what indexing found, as Parquet files beside a manifest a shard.

    shard-3-of-16.json                     manifest: roots, spaces, the finished parts and their checksums
    shard-3-of-16-1f0c….parquet            some thousand rows, one a file

Columns of a part:

    root, path, size, mtime_ns, inode, hash, outcome, reason, facts    as in `stores.records.Entry`
    mark, sidecar      metadata of sidecar files (JSON), and what tells whether these changed
    thumbnail          JPEG
    vector:NAME@REV    one column a space, float32

A row without an outcome has only `mark` and `sidecar`: its file is described by another row. A part that no
manifest names was not finished and does not count.
"""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike import __version__
from lookalike.errors import PARSE_ERRORS, MissingExtra, Outcome, UsageError
from lookalike.images.metadata.facts import Facts
from lookalike.images.reading import InodeState
from lookalike.indexing.shards import Shard
from lookalike.stores.interface import Entry, FileState, Space
from lookalike.stores.metadata import facts_json
from lookalike.vectors.npz import read_npz

FORMAT = 1
MANIFEST_SUFFIX = ".json"
VECTOR = "vector:"

STATE_COLUMNS = ("root", "path", "size", "mtime_ns", "inode", "hash", "outcome", "mark")
"""Columns that tell whether a library has the row already."""


@dataclass(frozen=True, slots=True)
class PartRow:
    """One row; `entry` is None where it only has the metadata of sidecars for the file at (root, path).

    values  metadata of the sidecars; None where `mark` is ""
    """

    root: int
    path: str
    entry: Entry | None
    mark: str = ""
    values: Mapping[str, Any] | None = None
    thumbnail: bytes = b""


@dataclass(frozen=True, slots=True)
class PartRecord:
    """A finished part: name, rows, bytes, SHA-256 in hexadecimal, keys of its spaces, files by outcome."""

    name: str
    rows: int
    bytes: int
    sha256: str
    spaces: tuple[str, ...]
    outcomes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PartRoot:
    """A folder or URL whose files the parts describe; rows refer to it by its place in the manifest."""

    path: str
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one shard has written so far; `complete` once all its files have a row."""

    shard: Shard
    roots: tuple[PartRoot, ...] = ()
    spaces: tuple[Space, ...] = ()
    parts: tuple[PartRecord, ...] = ()
    complete: bool = False

    @property
    def name(self) -> str:
        """Name of the manifest's file."""
        return manifest_name(self.shard)


def manifest_name(shard: Shard) -> str:
    """Return the file name of a shard's manifest."""
    return f"shard-{shard.number}-of-{shard.count}{MANIFEST_SUFFIX}"


def encode_manifest(manifest: Manifest) -> bytes:
    """Return a manifest as JSON."""
    document = {
        "lookalike-parts": FORMAT,
        "version": __version__,
        "shard": [manifest.shard.number, manifest.shard.count],
        "complete": manifest.complete,
        "roots": [asdict(root) for root in manifest.roots],
        "spaces": [_space_document(space) for space in manifest.spaces],
        "parts": [asdict(part) for part in manifest.parts],
    }
    return json.dumps(document, indent=1).encode()


def decode_manifest(data: bytes) -> Manifest:
    """Return the manifest in a JSON file. Raises UsageError that names the cause."""
    try:
        document = json.loads(data)
        version = document["lookalike-parts"]
    except PARSE_ERRORS:
        raise UsageError("is not a manifest of parts") from None
    if version != FORMAT:
        raise UsageError(
            f"has format {version}, this program reads format {FORMAT}: update Lookalike"
        )
    try:
        return Manifest(
            Shard.parse("{}/{}".format(*document["shard"])),
            tuple(PartRoot(one["path"], tuple(one["exclude"])) for one in document["roots"]),
            tuple(map(_space_from, document["spaces"])),
            tuple(
                PartRecord(**{**one, "spaces": tuple(one["spaces"])}) for one in document["parts"]
            ),
            bool(document["complete"]),
        )
    except (UsageError, OSError, zipfile.BadZipFile, *PARSE_ERRORS) as error:
        raise UsageError(f"is damaged ({error}): write the shard again") from None


def encode_part(rows: Sequence[PartRow], spaces: Sequence[Space]) -> bytes:
    """Return rows as a Parquet file with a vector column for each space. Raises MissingExtra."""
    pa, parquet = pyarrow()
    entries = [row.entry for row in rows]
    columns = {
        "root": pa.array([row.root for row in rows], pa.int32()),
        "path": pa.array([row.path.encode("utf-8", "surrogatepass") for row in rows], pa.binary()),
        "size": pa.array([e and e.size for e in entries], pa.int64()),
        "mtime_ns": pa.array([e and e.mtime_ns for e in entries], pa.int64()),
        "inode": pa.array(
            [None if e is None or e.inode is None else list(e.inode) for e in entries],
            pa.list_(pa.int64(), 2),
        ),
        "hash": pa.array([e and e.hash for e in entries], pa.binary(32)),
        "outcome": pa.array([e and str(e.outcome) for e in entries], pa.string()),
        "reason": pa.array(
            [e and e.reason.encode("utf-8", "surrogatepass") for e in entries], pa.binary()
        ),
        "facts": pa.array([e and _facts_text(e.facts) for e in entries], pa.string()),
        "mark": pa.array([row.mark for row in rows], pa.string()),
        "sidecar": pa.array(
            [None if row.values is None else json.dumps(dict(row.values)) for row in rows],
            pa.string(),
        ),
        "thumbnail": pa.array([row.thumbnail or None for row in rows], pa.binary()),
    }
    for space in spaces:
        columns[VECTOR + space.key] = _vector_column(pa, entries, space)
    out = io.BytesIO()
    parquet.write_table(
        pa.table(columns), out, compression="zstd", use_dictionary=["outcome"], row_group_size=1024
    )
    return out.getvalue()


def read_states(file: Any) -> list[dict[str, Any]]:
    """Return the columns `STATE_COLUMNS`, `reason` and `facts` of a part, a dict a row.

    Raises UsageError for a file that is not a part.
    """
    with _whole():
        table = _opened(file).read([*STATE_COLUMNS, "reason", "facts"])
        return [_plain(row) for row in table.to_pylist()]


def state_of(row: Mapping[str, Any], spaces: Collection[str], id: int = 0) -> FileState:
    """Return the state of the file in a row of `read_states` that has an outcome; `spaces`: of the part."""
    outcome = Outcome(row["outcome"])
    return FileState(
        id,
        row["size"],
        row["mtime_ns"],
        row["hash"],
        outcome,
        frozenset(spaces if outcome is Outcome.INDEXED else ()),
        row["reason"],
        row["inode"],
    )


def entry_state(entry: Entry, id: int = 0) -> FileState:
    """Return the state of the file that an entry describes."""
    return FileState(
        id,
        entry.size,
        entry.mtime_ns,
        entry.hash,
        entry.outcome,
        frozenset(entry.vectors),
        entry.reason,
        entry.inode,
    )


def read_part(data: bytes) -> Iterator[list[PartRow]]:
    """Yield the rows of a part in batches of at most 1,024. Raises UsageError for a file that is none."""
    parquet = _opened(io.BytesIO(data))
    names = [name for name in parquet.schema_arrow.names if name.startswith(VECTOR)]
    with _whole():
        for batch in parquet.iter_batches(1024):
            vectors = {name.removeprefix(VECTOR): _vectors(batch.column(name)) for name in names}
            rest = batch.drop_columns(names).to_pylist()
            yield [_row(_plain(values), number, vectors) for number, values in enumerate(rest)]


def rows_of(file: Any) -> int:
    """Return the number of rows of a part. Raises UsageError for a file that is none."""
    return int(_opened(file).metadata.num_rows)


def pyarrow() -> tuple[Any, Any]:
    """Return the modules pyarrow and pyarrow.parquet. Raises MissingExtra."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtra(
            "parts are Parquet files, which need pyarrow: pip install 'lookalike[parquet]'"
        ) from None
    return pa, pq


@contextmanager
def _whole() -> Iterator[None]:
    """Raise UsageError for what pyarrow, and reading its values, raise where a file is damaged."""
    pa, _ = pyarrow()
    try:
        yield
    except (pa.ArrowException, OSError, *PARSE_ERRORS) as error:
        raise UsageError(f"is damaged ({_first_line(error)})") from None


def _opened(file: Any) -> Any:
    pa, parquet = pyarrow()
    try:
        opened = parquet.ParquetFile(file)
        names = opened.schema_arrow.names
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UsageError(f"is not a whole Parquet file ({_first_line(error)})") from None
    missing = [name for name in STATE_COLUMNS if name not in names]
    if missing:
        raise UsageError(f"is not a part: it has no column {missing[0]}")
    return opened


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]


def _vector_column(pa: Any, entries: Sequence[Entry | None], space: Space) -> Any:
    """Return the vectors of a space, null for rows that have none."""
    found = [None if entry is None else entry.vectors.get(space.key) for entry in entries]
    known = [vector is not None for vector in found]
    numbers = np.zeros((len(found), space.dim), np.float32)
    for number, vector in enumerate(found):
        if vector is not None:
            numbers[number] = vector
    values = pa.array(numbers.reshape(-1), pa.float32())
    mask = pa.array(np.logical_not(np.asarray(known, bool)), pa.bool_())
    return pa.FixedSizeListArray.from_arrays(values, space.dim, mask=mask)


def _vectors(column: Any) -> list[NDArray[np.float32] | None]:
    """Return the vector of each row of a column, None for null."""
    dim = column.type.list_size
    values = np.asarray(column.values, np.float32)[column.offset * dim :]
    rows = values[: len(column) * dim].reshape(len(column), dim)
    valid = column.is_valid().to_pylist()
    return [row if known else None for row, known in zip(rows, valid, strict=True)]


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a row with its texts as Python's."""
    for name in ("path", "reason"):
        if values[name] is not None:
            values[name] = values[name].decode("utf-8", "surrogatepass")
    if values["inode"] is not None:
        values["inode"] = InodeState(*values["inode"])
    return values


def _row(
    values: Mapping[str, Any],
    number: int,
    vectors: Mapping[str, Sequence[NDArray[np.float32] | None]],
) -> PartRow:
    entry = None
    if values["outcome"] is not None:
        entry = Entry(
            values["root"],
            values["path"],
            values["size"],
            values["mtime_ns"],
            values["hash"],
            Outcome(values["outcome"]),
            values["reason"],
            _facts(values["facts"]),
            {key: found for key, rows in vectors.items() if (found := rows[number]) is not None},
            inode=values["inode"],
        )
    sidecar = None if values["sidecar"] is None else json.loads(values["sidecar"])
    return PartRow(
        values["root"],
        values["path"],
        entry,
        values["mark"],
        sidecar,
        values["thumbnail"] or b"",
    )


def stated_facts(facts: Facts | str | None) -> Mapping[str, Any]:
    """Return what a file says about itself, as `Image.facts` has it, from the column or the record."""
    record = _facts(facts) if isinstance(facts, str) else facts
    text = None if record is None else facts_json(record)
    stated: Mapping[str, Any] = {} if text is None else json.loads(text)
    return stated


def _facts_text(facts: Facts | None) -> str | None:
    return None if facts is None else json.dumps(asdict(facts))


def _facts(text: str | None) -> Facts | None:
    return None if text is None else Facts.of(json.loads(text))


def _space_document(space: Space) -> dict[str, Any]:
    names = ("key", "name", "revision", "dim", "similarity", "normalised")
    document = {name: getattr(space, name) for name in names}
    if space.fitted is not None:
        out = io.BytesIO()
        arrays: dict[str, Any] = dict(space.fitted)
        np.savez(out, **arrays)
        document["fitted"] = base64.b64encode(out.getvalue()).decode()
    return document


def _space_from(document: dict[str, Any]) -> Space:
    document = dict(document)
    fitted = document.pop("fitted", None)
    space = Space(**document)
    if fitted is None:
        return space
    return replace(space, fitted=read_npz(io.BytesIO(base64.b64decode(fitted))))
