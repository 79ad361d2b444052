"""Copy a library into another store, and compare the two."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lookalike.errors import LibraryError, UsageError
from lookalike.images.metadata.facts import Facts
from lookalike.stores.interface import (
    Entry,
    FileState,
    Image,
    Neighbours,
    Snapshot,
    Space,
    Store,
    Writer,
)

BATCH = 1_000
"""Files that are written at a time: an interrupted copy loses at most these."""

QUERIES = 100
"""Images whose neighbours are compared in both libraries."""

NEIGHBOURS = 10

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class CopyReport:
    """Counts of a copy, for the whole library.

    files     files with any outcome
    copied    of which so many were written now; the others were there
    vectors   by space key
    queries   queries that had the same answers in both libraries
    """

    files: int
    copied: int
    vectors: Mapping[str, int]
    queries: int


def copy_library(source: Store, target: Store, *, progress: Progress | None = None) -> CopyReport:
    """Copy roots, spaces, files with their metadata and vectors, and feedback; then compare both libraries.

    What the target has already is not written again, so an interrupted copy goes on. ANN indexes,
    thumbnails and comparisons of duplicates are derived data and not copied. Images have other ids, in the
    same order.

    `UsageError` for a target with folders or files that the source does not have. `LibraryError` if the copy
    differs from the source, because the target was changed meanwhile for example.
    """
    with source.snapshot() as old:
        with target.writer() as writer:
            roots = _copy_roots(old, target, writer)
            for space in sorted(old.spaces(), key=lambda one: not one.current):
                writer.add_space(replace(space, index=None))
            files, copied = _copy_files(old, target, writer, roots, progress)
            writer.add_decisions(old.decisions())
        with target.snapshot() as new:
            _compare_files(old, new, roots)
            queries = sum(_compare_answers(old, new, roots, one) for one in old.spaces())
        vectors = {space.key: space.count for space in old.spaces()}
    return CopyReport(files, copied, vectors, queries)


def _copy_roots(old: Snapshot, target: Store, writer: Writer) -> dict[int, int]:
    """Make the roots; return their ids in the target by those in the source."""
    with target.snapshot() as before:
        there = {(root.path, root.imported) for root in before.roots() if not root.imported}
    strangers = there - {(root.path, root.imported) for root in old.roots()}
    if strangers:
        raise UsageError(
            f"the target has images of {next(iter(strangers))[0]}, which the library has not: name another"
        )
    roots: dict[int, int] = {}
    for root in old.roots():
        made = writer.add_imported_root() if root.imported else writer.add_root(root.path)
        roots[root.id] = made.id
        if root.identity:
            writer.set_root_identity(made.id, root.identity)
        if root.exclude:
            writer.set_exclude(made.id, root.exclude)
    return roots


def _copy_files(
    old: Snapshot,
    target: Store,
    writer: Writer,
    roots: Mapping[int, int],
    progress: Progress | None,
) -> tuple[int, int]:
    """Write what is missing, by rising id, so that equally similar images stay in their order.

    Returns how many files there are, and how many were written.
    """
    ids = sorted(image.id for image in old.iter_files())
    copied = 0
    for start in range(0, len(ids), BATCH):
        images = [image for _, image in sorted(old.images(ids[start : start + BATCH]).items())]
        known = _states(writer, images, roots)
        states = _states(old, images, {root: root for root in roots})
        missing = [
            image
            for image in images
            if not _same(states.get(_place(image)), known.get((roots[image.root], image.path)))
        ]
        if missing:
            writer.put(_entries(old, missing, roots, states))
            known = _states(writer, images, roots)
        _copy_metadata(old, target, writer, images, roots, known)
        copied += len(missing)
        if progress is not None:
            progress(min(start + BATCH, len(ids)), len(ids))
    return len(ids), copied


def _place(image: Image) -> tuple[int, str]:
    return image.root, image.path


def _states(
    reader: Snapshot | Writer, images: Sequence[Image], roots: Mapping[int, int]
) -> dict[tuple[int, str], FileState]:
    """Return what is stored at the places of these images; `roots`: the reader's ids."""
    found: dict[tuple[int, str], FileState] = {}
    for root in {image.root for image in images}:
        paths = [image.path for image in images if image.root == root]
        states = reader.file_states(roots[root], paths)
        found |= {(roots[root], path): state for path, state in states.items()}
    return found


def _same(one: FileState | None, other: FileState | None) -> bool:
    return one is not None and other is not None and replace(one, id=0) == replace(other, id=0)


def _entries(
    old: Snapshot,
    images: Sequence[Image],
    roots: Mapping[int, int],
    states: Mapping[tuple[int, str], FileState],
) -> list[Entry]:
    ids = np.array([image.id for image in images], np.int64)
    vectors = {space.key: old.vectors(space.key, ids, whole_rows=True) for space in old.spaces()}
    return [
        Entry(
            roots[image.root],
            image.path,
            image.size,
            image.mtime_ns,
            image.hash,
            image.outcome,
            image.reason,
            _facts(image),
            {key: rows[at] for key, rows in vectors.items() if not np.isnan(rows[at, 0])},
            inode=states[_place(image)].inode,
        )
        for at, image in enumerate(images)
    ]


def _facts(image: Image) -> Facts | None:
    if image.width is None or image.height is None or image.format is None:
        return None
    return Facts.of(
        {
            "width": image.width,
            "height": image.height,
            "format": image.format,
            "dominant_color": image.dominant_color,
            **image.facts,
        }
    )


def _copy_metadata(
    old: Snapshot,
    target: Store,
    writer: Writer,
    images: Sequence[Image],
    roots: Mapping[int, int],
    known: Mapping[tuple[int, str], FileState],
) -> None:
    """Write metadata of sidecars and tables where it differs."""
    ids = {image.id: known[roots[image.root], image.path].id for image in images}
    wanted = {ids[id]: given for id, given in old.metadata_sources(list(ids)).items()}
    with target.snapshot() as new:
        there = new.metadata_sources(list(wanted))
    tables = {id: one.table for id, one in wanted.items() if one.table != there[id].table}
    if tables:
        writer.set_metadata(tables)
    marked = {
        id: (one.mark, one.sidecar)
        for id, one in wanted.items()
        if (one.mark, one.sidecar) != (there[id].mark, there[id].sidecar)
    }
    if marked:
        writer.sidecars.put(marked)


def _compare_files(old: Snapshot, new: Snapshot, roots: Mapping[int, int]) -> None:
    """Raise `LibraryError` unless both libraries have the same files, metadata, vectors and feedback."""
    counts = [
        {one.key: (one.count, one.dim, one.current) for one in s.spaces()} for s in (old, new)
    ]
    if old.counts() != new.counts() or counts[0] != counts[1]:
        raise _difference("other numbers of files or vectors")
    if _digest(old, roots) != _digest(new, {root: root for root in roots.values()}):
        raise _difference("other files or other metadata")
    if old.decisions() != new.decisions():
        raise _difference("other feedback")


def _digest(snapshot: Snapshot, roots: Mapping[int, int]) -> str:
    """Return a hash of all files, whatever their order and the ids of their roots."""
    total = 0
    for image in snapshot.iter_files():
        text = json.dumps(
            [
                *(roots[image.root], image.path, image.size, image.mtime_ns, str(image.outcome)),
                *(image.reason, image.width, image.height, image.format),
                *(image.hash and image.hash.hex(), dict(image.metadata), dict(image.facts)),
            ],
            sort_keys=True,
        )
        total += int.from_bytes(hashlib.sha256(text.encode("ascii")).digest(), "little")
    return f"{total % (1 << 256):064x}"


def _compare_answers(old: Snapshot, new: Snapshot, roots: Mapping[int, int], space: Space) -> int:
    """Compare the neighbours of some images; return how many. `LibraryError` if they differ."""
    ids = old.sample(space.key, QUERIES)
    if not len(ids):
        return 0
    queries = old.vectors(space.key, ids)
    found = [one.search(space.key, queries, NEIGHBOURS, exact=True) for one in (old, new)]
    equal = np.array_equal(found[0].similarities, found[1].similarities)
    answers = [
        _answers(neighbours, one.images(np.unique(neighbours.ids).tolist()), own)
        for neighbours, one, own in zip(
            found, (old, new), (roots, {root: root for root in roots.values()}), strict=True
        )
    ]
    if not equal or answers[0] != answers[1]:
        raise _difference(f"other neighbours in the vectors of {space.name}")
    return len(ids)


def _answers(
    found: Neighbours, images: Mapping[int, Image], roots: Mapping[int, int]
) -> list[set[tuple[int, str, float]]]:
    """Return the neighbours of each query by place, without those that compete for the last rank."""
    return [
        {
            (roots[images[id].root], images[id].path, similarity)
            for id, similarity in zip(ids, similarities, strict=True)
            if id in images and similarity > similarities[-1]
        }
        for ids, similarities in zip(found.ids.tolist(), found.similarities.tolist(), strict=True)
    ]


def _difference(what: str) -> LibraryError:
    return LibraryError(
        f"the copy has {what} than the library: it was changed meanwhile, or held images before; run the "
        "same again, or copy into a new one"
    )
