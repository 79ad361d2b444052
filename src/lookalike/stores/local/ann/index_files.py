"""The files of a space's index. All of it is derived; nothing of it is in the catalogue.

    spaces/<directory>/ann.json          which index is in use, and what is known of it; replaced whole
    spaces/<directory>/ann-<n>.faiss     the index, mapped to read
    spaces/<directory>/ann-<n>.trained   the same without vectors, to index those that came later
    spaces/<directory>/ann-<n>-late-<rows>.faiss  an index of so many vectors that came later
    spaces/<directory>/ann-late.json     which of those is in use; replaced whole
    spaces/<directory>/ann-checks.jsonl  what `check` measured, a line each

`ann.json` and `ann-late.json` are written last. Whatever is killed before leaves the older index in use,
and files that the next building removes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lookalike.files import atomic_path, atomic_write
from lookalike.stores.ann_index import Index, IndexCheck
from lookalike.stores.local.database import SpaceRow
from lookalike.stores.local.vector_file import space_folder
from lookalike.vectors.blocks import Floats

if TYPE_CHECKING:
    from lookalike.ann.faiss_index import AnnIndex

FACTS = "ann.json"
LATE_FACTS = "ann-late.json"
CHECKS = "ann-checks.jsonl"
INDEX_FILE = re.compile(r"ann-(\d+)(?:-late-(\d+))?\.(?:faiss|trained)(?:\.part)?")

SAMPLED = 64
"""Positions of a file, and rows of the vectors, that fingerprints look at: a changed or cut file is told
from a whole one in a millisecond, whatever its size."""

SAMPLED_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Filed:
    """An index as its files say, and what they belong to.

    number       in the names of its files
    generation   of the vector files whose rows it names
    fingerprint  of the index's file
    vectors      fingerprint of the rows it was built of
    trained      of the file without vectors; "" where an older version wrote the facts
    """

    index: Index
    number: int
    generation: int
    fingerprint: str
    vectors: str
    trained: str = ""


@dataclass(frozen=True, slots=True)
class LateFiled:
    """An index of the first `count` rows behind those of another one.

    of           fingerprint of that index: its number may come again when it was removed
    fingerprint  of this index's file
    vectors      fingerprint of the rows it was built of
    """

    number: int
    count: int
    of: str
    fingerprint: str
    vectors: str


Stamp = tuple[int, int, int]


def facts_file(library: Path, space: SpaceRow) -> Path:
    return space_folder(library, space) / FACTS


def index_file(library: Path, space: SpaceRow, number: int, ending: str = "faiss") -> Path:
    return space_folder(library, space) / f"ann-{number}.{ending}"


def stamp(library: Path, space: SpaceRow) -> Stamp | None:
    """Changes when another index comes into use; None without one."""
    return _stamp(facts_file(library, space))


def late_stamp(library: Path, space: SpaceRow) -> Stamp | None:
    """The same of the index of what came later."""
    return _stamp(space_folder(library, space) / LATE_FACTS)


def _stamp(path: Path) -> Stamp | None:
    try:
        status = os.stat(path)  # noqa: PTH116 -- twice as fast, on every search
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def read(library: Path, space: SpaceRow) -> Filed | None:
    """What the files say, without looking at the index itself; None where there is none. One whose
    facts cannot be read has its `disabled_reason` said."""
    try:
        said = json.loads(facts_file(library, space).read_text("utf-8"))
        known = {field.name for field in fields(Index)}
        index = Index(**{name: value for name, value in said["index"].items() if name in known})
        return Filed(
            index,
            int(said["number"]),
            int(said["generation"]),
            str(said["fingerprint"]),
            str(said["vectors"]),
            str(said.get("trained", "")),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        nothing = Index(
            "?", 0.0, 0.0, 0.0, 0, 0.0, 0, 0, 0, "", disabled_reason="its facts cannot be read"
        )
        return Filed(nothing, 0, -1, "", "")


def write(library: Path, space: SpaceRow, filed: Filed) -> None:
    """Put an index into use, whose file is in place."""
    _write_facts(facts_file(library, space), asdict(filed))


def _write_facts(path: Path, facts: Mapping[str, Any]) -> None:
    with atomic_write(path, durable=True) as file:
        file.write(json.dumps(facts, indent=1).encode())


def save(index: AnnIndex, path: Path) -> None:
    """Write the file of an index, whole or not at all."""
    with atomic_path(path, durable=True) as part:
        index.save(part)


def late_file(library: Path, space: SpaceRow, number: int, count: int) -> Path:
    return space_folder(library, space) / f"ann-{number}-late-{count}.faiss"


def read_late(library: Path, space: SpaceRow) -> LateFiled | None:
    """Which index of what came later is in use; None where there is none, or none that can be read."""
    try:
        said = json.loads((space_folder(library, space) / LATE_FACTS).read_text("utf-8"))
        return LateFiled(
            int(said["number"]),
            int(said["count"]),
            str(said["of"]),
            str(said["fingerprint"]),
            str(said["vectors"]),
        )
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None


def put_late(library: Path, space: SpaceRow, filed: Filed, index: AnnIndex, rows: Floats) -> None:
    """Put an index of the `rows` that came later into use. The one before it stays: somebody may be
    about to open it."""
    path = late_file(library, space, filed.number, index.count)
    save(index, path)
    before = read_late(library, space)
    facts = LateFiled(
        filed.number,
        index.count,
        filed.fingerprint,
        fingerprint_file(path),
        fingerprint_rows(rows, index.count),
    )
    _write_facts(path.with_name(LATE_FACTS), asdict(facts))
    kept = {path}
    if before is not None and before.of == filed.fingerprint:
        kept.add(late_file(library, space, before.number, before.count))
    for file in path.parent.iterdir():
        match = INDEX_FILE.fullmatch(file.name)
        if match and match[2] and file not in kept:
            with suppress(OSError):
                file.unlink()


def next_number(library: Path, space: SpaceRow) -> int:
    """For the files of a new index: never one that is or was in use."""
    found = [
        int(match[1])
        for file in space_folder(library, space).iterdir()
        if (match := INDEX_FILE.fullmatch(file.name))
    ]
    filed = read(library, space)
    return 1 + max([*found, filed.number if filed else 0], default=0)


def abandoned(library: Path, space: SpaceRow) -> bool:
    """Whether files of another index than the one in use lie here: one is being built, or its building was
    killed."""
    filed = read(library, space)
    with suppress(FileNotFoundError):
        for file in space_folder(library, space).iterdir():
            match = INDEX_FILE.fullmatch(file.name)
            if match and (file.suffix == ".part" or filed is None or int(match[1]) != filed.number):
                return True
    return False


def remove_others(library: Path, space: SpaceRow, number: int | None) -> None:
    """Delete the files of all other indexes. On Windows those that are mapped stay until next time."""
    for file in space_folder(library, space).iterdir():
        match = INDEX_FILE.fullmatch(file.name)
        if match and (number is None or int(match[1]) != number or file.suffix == ".part"):
            with suppress(OSError):
                file.unlink()
    if number is None:
        (space_folder(library, space) / LATE_FACTS).unlink(missing_ok=True)


def fingerprint_file(path: Path) -> str:
    """Of the size and of 4 KiB at 64 places, the first and the last among them."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        digest.update(str(size).encode())
        last = max(0, size - SAMPLED_BYTES)
        for number in range(SAMPLED):
            file.seek(last * number // (SAMPLED - 1))
            digest.update(file.read(SAMPLED_BYTES))
    return digest.hexdigest()


def fingerprint_rows(vectors: Floats, count: int) -> str:
    """Of 64 of the first `count` rows, the first and the last among them."""
    digest = hashlib.sha256(f"{count} {vectors.shape[1]} {vectors.dtype}".encode())
    for row in np.linspace(0, max(count - 1, 0), min(SAMPLED, count)).astype(np.int64):
        digest.update(vectors[row].tobytes())
    return digest.hexdigest()


def keep_check(library: Path, space: SpaceRow, check: IndexCheck) -> None:
    """One write, so that two checks at once do not mix their lines."""
    path = space_folder(library, space) / CHECKS
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(check)) + "\n")


def checks(library: Path, space: SpaceRow) -> list[IndexCheck]:
    """Those that can be read: a line that was cut by a kill is left out."""
    found: list[IndexCheck] = []
    with suppress(FileNotFoundError):
        for line in (space_folder(library, space) / CHECKS).read_text("utf-8").splitlines():
            with suppress(ValueError, TypeError):
                found.append(IndexCheck(**json.loads(line)))
    return found
