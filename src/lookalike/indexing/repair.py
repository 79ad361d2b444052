"""The images behind vectors that were lost to damage: which can be read again, and which are lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from lookalike.object_storage import is_url, shown
from lookalike.stores.interface import Snapshot
from lookalike.stores.records import IMPORTED, Ids

CHUNK = 1024
"""Vectors that are looked up at a time."""


def present_files(snapshot: Snapshot, lost: Mapping[str, Ids]) -> list[Path]:
    """Return the files on this machine of images that lost vectors of an extractor (ids by space)."""
    spaces = {space.key for space in snapshot.spaces() if space.revision != IMPORTED}
    ids = {int(id) for key, some in lost.items() if key in spaces for id in some}
    paths = sorted(_locations(snapshot, ids))
    return [path for path in paths if not is_url(path) and path.exists()]


def missing_lines(snapshot: Snapshot, lost: Mapping[str, Ids]) -> Iterator[str]:
    """Yield a line for each space that still lacks vectors of these images."""
    known = {space.key: space for space in snapshot.spaces()}
    for key, ids in lost.items():
        if key not in known:
            continue
        missing = [
            int(id)
            for start in range(0, len(ids), CHUNK)
            for id, vector in zip(
                ids[start : start + CHUNK],
                snapshot.vectors(key, ids[start : start + CHUNK]),
                strict=True,
            )
            if np.isnan(vector[0])
        ]
        for path in _locations(snapshot, set(missing[:1])):
            remedy = "import" if known[key].revision == IMPORTED else "index"
            yield (
                f"lost: {len(missing)} vectors of {known[key].name}, the first of {shown(path)}: "
                f"`lookalike {remedy}` makes them again where their source is"
            )


def _locations(snapshot: Snapshot, ids: set[int]) -> Iterator[Path]:
    roots = {root.id: root.path for root in snapshot.roots()}
    for image in snapshot.images(ids).values():
        yield roots[image.root] / image.path
