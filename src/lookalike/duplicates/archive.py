"""Which images are compared with an archive, whose files always stay."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lookalike.duplicates.joined_snapshot import OFFSET
from lookalike.errors import UsageError
from lookalike.stores.interface import Ids, Snapshot
from lookalike.stores.paths import ids_below


def split(snapshot: Snapshot, paths: Sequence[Path], archive: Sequence[Path]) -> tuple[Ids, Ids]:
    """Return the ids of the images at or below the paths, and of those in the archive.

    Without paths, the first are all images outside the archive. Where one contains the other, an image
    belongs to the inner one. Raises UsageError where one has no images, or both are the same folder.
    """
    if not paths:
        kept_ids = ids_below(snapshot, archive)
        return _own(np.setdiff1d(ids_below(snapshot, ()), kept_ids)), kept_ids
    places, kept = ([path.resolve() for path in some] for some in (paths, archive))
    if same := {*places} & {*kept}:
        raise UsageError(f"{same.pop()} cannot be compared with itself: name another archive")
    inside = [path for path in kept if any(path.is_relative_to(place) for place in places)]
    inner = ids_below(snapshot, inside) if inside else np.empty(0, np.int64)
    searched = np.setdiff1d(ids_below(snapshot, paths), inner)
    kept_ids = np.union1d(np.setdiff1d(ids_below(snapshot, archive), searched), inner)
    return _own(searched), kept_ids


def _own(ids: Ids) -> Ids:
    """Return the ids of images of the first of two joined libraries."""
    return ids[ids < OFFSET]
