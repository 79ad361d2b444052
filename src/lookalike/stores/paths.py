"""The images that paths on the disk mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lookalike.errors import UsageError
from lookalike.stores.contract import Ids, Image, View


def among(view: View, paths: Sequence[Path | str]) -> Ids:
    """Ids, rising, of the images at or below these paths that can be compared; of all without any."""
    everything = [view.sample(space.key, space.count) for space in view.spaces() if space.current]
    ids = np.unique(np.concatenate(everything)) if everything else np.empty(0, np.int64)
    if not paths:
        return ids
    below = [image.id for path in paths for image in images_below(view, Path(path))]
    return ids[np.isin(ids, below)]


def images_below(view: View, path: Path) -> list[Image]:
    """The images that a path means: one file, or all below a folder, whether or not they still exist.
    `UsageError` where the library has none there."""
    whole = path.absolute()
    images = [
        image
        for root in view.roots()
        if whole.is_relative_to(root.path)
        for image in view.below(root.id, whole.relative_to(root.path).as_posix())
    ]
    if not images:
        raise UsageError(f"the library has no picture at {path}")
    return images
