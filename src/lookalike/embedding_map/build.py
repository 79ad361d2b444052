"""The map of a library: positions, groups and colours of its images."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.embedding_map.groups import CLUSTER, groups_of
from lookalike.embedding_map.layout import Method, NeighbourhoodPreservation
from lookalike.embedding_map.stored_layout import MAX_IMAGES, Progress, layout_of
from lookalike.library import Library
from lookalike.stores.interface import Ids


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddingMap:
    """Images and their positions.

    ids           (n,) of the images
    paths         relative to their root
    files         absolute paths
    positions     (n, 2) float32: x to the right, y down, within 0..1, both axes of equal scale
    groups        (n,) indices into `names`; -1: unknown
    color         what the groups are: "cluster", "folder" or a metadata field
    levels        (n,) zoom level from which a thumbnail fits (`layout.zoom_levels`)
    preservation  how well neighbourhoods are preserved
    total         images in this space; more than n if the map shows a sample
    """

    extractor: str
    method: Method
    seed: int
    ids: Ids
    paths: tuple[str, ...]
    files: tuple[Path, ...]
    positions: NDArray[np.float32]
    groups: NDArray[np.int64]
    names: tuple[str, ...]
    color: str
    levels: NDArray[np.uint8]
    preservation: NeighbourhoodPreservation
    total: int
    seconds: Mapping[str, float]

    def __len__(self) -> int:
        return len(self.ids)

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON document; positions, groups and levels are in the order of the ids."""
        return {
            "extractor": self.extractor,
            "method": self.method,
            "seed": self.seed,
            "color": self.color,
            "names": list(self.names),
            "total": self.total,
            "preservation": asdict(self.preservation),
            "ids": self.ids.tolist(),
            "paths": list(self.paths),
            "positions": np.round(self.positions.astype(float), 5).tolist(),
            "groups": self.groups.tolist(),
            "levels": self.levels.tolist(),
        }


def build_map(
    library: Library,
    *,
    extractor: str | None = None,
    method: Method | None = None,
    color: str = CLUSTER,
    where: str = "",
    max_images: int = MAX_IMAGES,
    seed: int = 0,
    progress: Progress | None = None,
) -> EmbeddingMap:
    """Build the map of a library's images. The layout is kept in the library's folder, so that another colour
    takes no time.

    extractor   its vectors are laid out; None: the first that is not a hash
    method      None: t-SNE if openTSNE is installed, else PCA
    color       "cluster" (k-means), "folder", or a field of the metadata or of the files, such as "label" or
                "camera"
    where       a filter (docs/searching.md); "": all images
    max_images  of more images an evenly spaced sample is shown
    progress    called in this thread with the number of finished steps of the layout, and of all

    Raises UsageError for an unknown extractor, field or filter, or fewer than two images.
    """
    started = time.perf_counter()
    layout, _ = layout_of(
        library,
        extractor=extractor,
        method=method,
        where=where,
        max_images=max_images,
        seed=seed,
        progress=progress,
    )
    laid_out = time.perf_counter()
    with library.snapshot() as snapshot:
        groups = groups_of(snapshot, layout, color)
        images = snapshot.images(layout.ids.tolist())
        roots = {root.id: root.path for root in snapshot.roots()}
    ordered = [images[id] for id in layout.ids.tolist()]
    return EmbeddingMap(
        extractor=layout.extractor,
        method=layout.method,
        seed=seed,
        ids=layout.ids,
        paths=tuple(image.path for image in ordered),
        files=tuple(roots[image.root] / image.path for image in ordered),
        positions=layout.positions,
        groups=groups.groups,
        names=groups.names,
        color=color,
        levels=layout.levels,
        preservation=layout.preservation,
        total=layout.total,
        seconds={
            "layout": laid_out - started,
            "colors": time.perf_counter() - laid_out,
        },
    )
