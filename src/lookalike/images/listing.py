"""The entries of one folder in byte order, in bounded memory, however many there are."""

from __future__ import annotations

import heapq
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

RUN_NAMES = 10_000
"""Names sorted in memory at a time, about 1 MB. More of them go to a temporary file in sorted runs
that are merged while reading (external merge sort): a folder of a million files costs 20 MB of
disk and 100 small buffers."""

_CHUNK = 1 << 14


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a folder. A link counts as what it points to."""

    name: str
    is_folder: bool
    is_link: bool


def unordered(path: str) -> Iterator[Entry]:
    """The entries that are not hidden: regular files and folders, in the order of the disk.

    Raises OSError at once if the folder cannot be opened.
    """
    return _scan(os.scandir(path))


def in_order(path: str, run_names: int = RUN_NAMES) -> Iterator[Entry]:
    """The same in byte order, folders as if their names ended in "/".

    So the paths of a whole walk come out in the byte order of their relative paths.
    """
    names: list[bytes] = []
    spill: BinaryIO | None = None
    runs: list[tuple[int, int]] = []
    for entry in unordered(path):
        names.append(_pack(entry))
        if len(names) >= run_names:
            if spill is None:
                spill = tempfile.TemporaryFile(prefix="lookalike-names-")  # noqa: SIM115
            runs.append(_write_run(spill, names))
            names = []
    names.sort()
    if spill is None:
        return map(_unpack, names)
    return _merge(spill, runs, names)


def _scan(entries: os._ScandirIterator[str]) -> Iterator[Entry]:
    with entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            try:
                is_folder = entry.is_dir()
                # A link that leads nowhere is passed on as a file: whoever opens it reports it.
                if is_folder or entry.is_file() or entry.is_symlink():
                    yield Entry(entry.name, is_folder, entry.is_symlink())
            except OSError:  # a link that points to itself
                yield Entry(entry.name, False, True)


def _pack(entry: Entry) -> bytes:
    # NUL and "/" occur in no name. NUL ends the sort key: "a" before "a.jpg" before "a/".
    mark = b"\x00l" if entry.is_link else b"\x00"
    return os.fsencode(entry.name) + (b"/" if entry.is_folder else b"") + mark


def _unpack(packed: bytes) -> Entry:
    key, _, mark = packed.partition(b"\x00")
    is_folder = key.endswith(b"/")
    return Entry(os.fsdecode(key[:-1] if is_folder else key), is_folder, mark == b"l")


def _write_run(spill: BinaryIO, names: list[bytes]) -> tuple[int, int]:
    names.sort()
    start = spill.tell()
    for name in names:
        spill.write(len(name).to_bytes(4, "little") + name)
    return start, spill.tell()


def _merge(spill: BinaryIO, runs: list[tuple[int, int]], last: list[bytes]) -> Iterator[Entry]:
    with spill:
        spill.flush()
        streams = [_read_run(spill, start, end) for start, end in runs]
        yield from map(_unpack, heapq.merge(*streams, last))


def _read_run(spill: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    """One sorted run, read in small pieces; the file is shared, so each piece is sought."""
    rest = b""
    while start < end:
        spill.seek(start)
        piece = spill.read(min(_CHUNK, end - start))
        start += len(piece)
        rest += piece
        at = 0
        while len(rest) - at >= 4:
            size = int.from_bytes(rest[at : at + 4], "little")
            if len(rest) - at - 4 < size:
                break
            yield rest[at + 4 : at + 4 + size]
            at += 4 + size
        rest = rest[at:]
