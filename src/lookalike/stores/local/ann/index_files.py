"""The files of a space's ANN index. All of them are derived; the catalogue knows nothing of them.

    spaces/<directory>/ann.json          manifest: which index is in use and its measurements; replaced whole
    spaces/<directory>/ann-<n>.faiss     the index, memory-mapped when read
    spaces/<directory>/ann-<n>.trained   the same without vectors, to start the delta index from
    spaces/<directory>/ann-<n>-delta-<rows>.faiss  the delta index, of so many vectors
    spaces/<directory>/ann-delta.json    manifest of the delta index in use; replaced whole
    spaces/<directory>/ann-checks.jsonl  one measurement of `check` a line

The manifests are written last. A process that is killed before leaves the older index in use, and files
that the next build removes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lookalike.errors import PARSE_ERRORS
from lookalike.files import atomic_path, atomic_write, keep_private
from lookalike.stores.ann_index import Index, IndexCheck
from lookalike.stores.local.database import SpaceRow
from lookalike.stores.local.vector_file import SPACES, space_folder
from lookalike.vectors.blocks import Floats

if TYPE_CHECKING:
    from lookalike.ann.faiss_index import AnnIndex

MANIFEST = "ann.json"
DELTA_MANIFEST = "ann-delta.json"
CHECKS = "ann-checks.jsonl"
# Delta indexes were called "late" at first; such files are no longer read, only removed.
INDEX_FILE = re.compile(r"ann-(\d+)(?:-(?:delta|late)-(\d+))?\.(?:faiss|trained)(?:\.part)?")
OLD_DELTA_MANIFEST = "ann-late.json"

# Fields that had other names at first, in manifests and checks.
RENAMED = {"probe": "nprobe", "width": "candidates", "tail": "unindexed"}

# Numbers in manifests and checks are smaller: they count bytes, vectors and seconds.
MAX_NUMBER = 1 << 53

# Positions of a file, and rows of the vectors, that a fingerprint samples: it recognises a changed or
# truncated file within a millisecond, whatever its size.
SAMPLES = 64
SAMPLE_BYTES = 4096

# Bytes that a checksum reads at a time.
CHECKSUM_BYTES = 1 << 20

# Changes when a file is replaced: modification time, size, inode.
Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class IndexManifest:
    """An index in use: its measurements, and the files and vectors that it belongs to.

    number       in the names of its files
    generation   of the vector files whose rows it covers
    fingerprint  of the index's file
    vectors      fingerprint of the rows it was built from
    trained      fingerprint of the file without vectors; "" if an older version wrote the manifest
    checksum     CRC-32 of the index's file, for `check`: a fingerprint samples; "" likewise
    """

    index: Index
    number: int
    generation: int
    fingerprint: str
    vectors: str
    trained: str = ""
    checksum: str = ""


@dataclass(frozen=True, slots=True)
class DeltaManifest:
    """A delta index of the first `count` rows after those of the main index.

    of           fingerprint of the main index: its number may be used again after it was removed
    fingerprint  of the delta index's file
    vectors      fingerprint of the rows it was built from
    checksum     CRC-32 of the delta index's file; "" if an older version wrote the manifest
    """

    number: int
    count: int
    of: str
    fingerprint: str
    vectors: str
    checksum: str = ""


def manifest_file(library: Path, space: SpaceRow) -> Path:
    """Return the path of the manifest."""
    return space_folder(library, space) / MANIFEST


def index_file(library: Path, space: SpaceRow, number: int, ending: str = "faiss") -> Path:
    """Return the path of an index file."""
    return space_folder(library, space) / f"ann-{number}.{ending}"


def delta_file(library: Path, space: SpaceRow, number: int, count: int) -> Path:
    """Return the path of a delta index."""
    return space_folder(library, space) / f"ann-{number}-delta-{count}.faiss"


def stamp(library: Path, space: SpaceRow) -> Stamp | None:
    """Return a value that changes when another index comes into use; None without an index."""
    return _stamp(library, space, MANIFEST)


def delta_stamp(library: Path, space: SpaceRow) -> Stamp | None:
    """Return a value that changes when another delta index comes into use; None without one."""
    return _stamp(library, space, DELTA_MANIFEST)


def _stamp(library: Path, space: SpaceRow, name: str) -> Stamp | None:
    try:
        # As text: on every search, and pathlib takes longer than the system call.
        status = os.stat(f"{library}/{SPACES}/{space.directory}/{name}")  # noqa: PTH116
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def read_manifest(library: Path, space: SpaceRow) -> IndexManifest | None:
    """Read the manifest, without looking at the index itself; None if there is none.

    If it cannot be read, the index it describes has a `disabled_reason`.
    """
    try:
        document = json.loads(manifest_file(library, space).read_text("utf-8"))
        return IndexManifest(
            Index(**_known_fields(Index, document["index"])),
            int(document["number"]),
            int(document["generation"]),
            str(document["fingerprint"]),
            str(document["vectors"]),
            str(document.get("trained", "")),
            str(document.get("checksum", "")),
        )
    except FileNotFoundError:
        return None
    except (OSError, *PARSE_ERRORS):
        unknown = Index(
            "?", 0.0, 0.0, 0.0, 0, 0.0, 0, 0, 0, "", disabled_reason="its manifest cannot be read"
        )
        return IndexManifest(unknown, 0, -1, "", "")


def _known_fields(
    kind: type[Index] | type[IndexCheck], document: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the fields of a stored record that this version knows, by their present names. `ValueError` for
    values that no version has written: they would cause a traceback in a search."""
    types = {field.name: str(field.type) for field in fields(kind)}
    renamed = {RENAMED.get(name, name): value for name, value in document.items()}
    known = {name: value for name, value in renamed.items() if name in types}
    for name, value in known.items():
        if not _is_valid(types[name], value):
            raise ValueError(f"{name} is {value!r}")
    return known


def _is_valid(type_: str, value: object) -> bool:
    if type_ == "str":
        return isinstance(value, str)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return type_ == "bool" and isinstance(value, bool)
    return 0 <= value < MAX_NUMBER and (isinstance(value, int) or type_ == "float")


def write_manifest(library: Path, space: SpaceRow, manifest: IndexManifest) -> None:
    """Put an index into use whose files are in place."""
    _write_json(manifest_file(library, space), asdict(manifest))


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    with atomic_write(path, durable=True) as file:
        file.write(json.dumps(document, indent=1).encode())


def save(index: AnnIndex, path: Path) -> None:
    """Write the file of an index, whole or not at all."""
    from lookalike.ann.untrusted_index import remember  # it imports FAISS, which `save` has

    with atomic_path(path, durable=True) as part:
        index.save(part)
    remember(path)


def read_delta_manifest(library: Path, space: SpaceRow) -> DeltaManifest | None:
    """Read which delta index is in use; None if there is none, or its manifest cannot be read."""
    try:
        path = space_folder(library, space) / DELTA_MANIFEST
        document = json.loads(path.read_text("utf-8"))
        return DeltaManifest(
            int(document["number"]),
            int(document["count"]),
            str(document["of"]),
            str(document["fingerprint"]),
            str(document["vectors"]),
            str(document.get("checksum", "")),
        )
    except (OSError, *PARSE_ERRORS):
        return None


def save_delta(
    library: Path, space: SpaceRow, manifest: IndexManifest, index: AnnIndex, rows: Floats
) -> None:
    """Put a delta index of these rows into use. The one before it stays, because a reader may be about to
    open it; older ones are removed."""
    path = delta_file(library, space, manifest.number, index.count)
    save(index, path)
    before = read_delta_manifest(library, space)
    delta = DeltaManifest(
        manifest.number,
        index.count,
        manifest.fingerprint,
        fingerprint_file(path),
        fingerprint_rows(rows, index.count),
        checksum_file(path),
    )
    _write_json(path.with_name(DELTA_MANIFEST), asdict(delta))
    kept = {path}
    if before is not None and before.of == manifest.fingerprint:
        kept.add(delta_file(library, space, before.number, before.count))
    for file in path.parent.iterdir():
        match = INDEX_FILE.fullmatch(file.name)
        if match and match[2] and file not in kept:
            with suppress(OSError):
                file.unlink()


def next_number(library: Path, space: SpaceRow) -> int:
    """Return a number for the files of a new index that is not in use and never was."""
    found = [
        int(match[1])
        for file in space_folder(library, space).iterdir()
        if (match := INDEX_FILE.fullmatch(file.name))
    ]
    manifest = read_manifest(library, space)
    return 1 + max([*found, manifest.number if manifest else 0], default=0)


def has_leftovers(library: Path, space: SpaceRow) -> bool:
    """Return whether there are files of an index that is not in use: one that is being built, or whose
    build was killed."""
    manifest = read_manifest(library, space)
    with suppress(FileNotFoundError):
        for file in space_folder(library, space).iterdir():
            match = INDEX_FILE.fullmatch(file.name)
            if match and (
                file.suffix == ".part" or manifest is None or int(match[1]) != manifest.number
            ):
                return True
    return False


def remove_others(library: Path, space: SpaceRow, number: int | None) -> None:
    """Delete the files of all other indexes; all with None. On Windows, mapped files stay until next time."""
    folder = space_folder(library, space)
    for file in folder.iterdir():
        match = INDEX_FILE.fullmatch(file.name)
        if match and (number is None or int(match[1]) != number or file.suffix == ".part"):
            with suppress(OSError):
                file.unlink()
    (folder / OLD_DELTA_MANIFEST).unlink(missing_ok=True)
    if number is None:
        (folder / DELTA_MANIFEST).unlink(missing_ok=True)


def fingerprint_file(path: Path) -> str:
    """Return a hash of the size and of 4 KiB at 64 positions, the first and the last among them."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        digest.update(str(size).encode())
        last = max(0, size - SAMPLE_BYTES)
        for number in range(SAMPLES):
            file.seek(last * number // (SAMPLES - 1))
            digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()


def checksum_file(path: Path) -> str:
    """Return the CRC-32 of a file, in hexadecimal digits."""
    checksum = 0
    with path.open("rb") as file:
        while part := file.read(CHECKSUM_BYTES):
            checksum = zlib.crc32(part, checksum)
    return f"{checksum:08x}"


def damaged_index_files(library: Path, space: SpaceRow) -> Iterator[str]:
    """Yield what is wrong with the index in use and its delta index, a line each. Reads them completely."""
    manifest = read_manifest(library, space)
    if manifest is None or manifest.generation not in (space.generation, -1):
        return  # without an index, or with one that is not used since the vectors were compacted
    if manifest.index.disabled_reason:
        yield f"the ANN index is not used: {manifest.index.disabled_reason}"
        return
    used = [(index_file(library, space, manifest.number), manifest.checksum)]
    delta = read_delta_manifest(library, space)
    if delta is not None and (delta.number, delta.of) == (manifest.number, manifest.fingerprint):
        used.append((delta_file(library, space, delta.number, delta.count), delta.checksum))
    for path, expected in used:
        try:
            if checksum_file(path) != expected != "":
                yield f"the ANN index {path.name} is not what was written"
        except OSError:
            if read_manifest(library, space) == manifest:  # not replaced just now
                yield f"the ANN index {path.name} is missing or cannot be read"


def fingerprint_rows(vectors: Floats, count: int) -> str:
    """Return a hash of 64 of the first `count` rows, the first and the last among them."""
    digest = hashlib.sha256(f"{count} {vectors.shape[1]} {vectors.dtype}".encode())
    for row in np.linspace(0, max(count - 1, 0), min(SAMPLES, count)).astype(np.int64):
        digest.update(vectors[row].tobytes())
    return digest.hexdigest()


def append_check(library: Path, space: SpaceRow, check: IndexCheck) -> None:
    """Add a measurement to the history, in one write, so that concurrent checks do not mix their lines."""
    path = space_folder(library, space) / CHECKS
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(check)) + "\n")
    keep_private(path)


def read_checks(library: Path, space: SpaceRow) -> list[IndexCheck]:
    """Read the history of measurements; lines that a killed process left incomplete are skipped."""
    found: list[IndexCheck] = []
    with suppress(FileNotFoundError):
        for line in (space_folder(library, space) / CHECKS).read_text("utf-8").splitlines():
            with suppress(*PARSE_ERRORS):
                found.append(IndexCheck(**_known_fields(IndexCheck, json.loads(line))))
    return found
