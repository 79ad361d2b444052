"""The map of a library, as data."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.duplicates.similar import select_space
from lookalike.embedding_map.coloring import cluster_count, clusters, named
from lookalike.embedding_map.layout import REDUCED, Method, best_method, lay_out, principal
from lookalike.embedding_map.level_of_detail import levels
from lookalike.embedding_map.neighbourhood import Kept, kept
from lookalike.errors import UsageError
from lookalike.library import Library
from lookalike.stores.interface import Ids, Image, Snapshot, Space

MOST = 100_000
"""Pictures on a map; of larger libraries an evenly spread sample."""

CLUSTER, FOLDER = "cluster", "folder"
TOP = "(top folder)"  # how the pictures in no folder below the root are called
MARGIN = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Atlas:
    """Pictures and where they lie.

    ids        (n,) of images
    paths      as the library shows them
    files      where they are now
    places     (n, 2) float32: x to the right, y down, all within 0..1, both axes of the same scale
    groups     (n,) into `names`; -1: nothing is known
    color      what the groups are: "cluster", "folder" or a field of the metadata
    level      (n,) from which level of zoom on a thumbnail fits (`detail.levels`)
    kept       how far neighbours stay neighbours
    total      pictures that the library has in this space; more than n where only a sample is shown
    """

    by: str
    method: Method
    seed: int
    ids: Ids
    paths: tuple[str, ...]
    files: tuple[Path, ...]
    places: NDArray[np.float32]
    groups: NDArray[np.int64]
    names: tuple[str, ...]
    color: str
    level: NDArray[np.uint8]
    kept: Kept
    total: int
    seconds: Mapping[str, float]

    def __len__(self) -> int:
        return len(self.ids)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: places and groups in the order of the ids."""
        return {
            "by": self.by,
            "method": self.method,
            "seed": self.seed,
            "color": self.color,
            "names": list(self.names),
            "total": self.total,
            "kept": {
                "trustworthiness": self.kept.trustworthiness,
                "continuity": self.kept.continuity,
                "same": self.kept.same,
                "neighbours": self.kept.neighbours,
            },
            "ids": self.ids.tolist(),
            "paths": list(self.paths),
            "places": np.round(self.places.astype(float), 5).tolist(),
            "groups": self.groups.tolist(),
            "level": self.level.tolist(),
        }


def draw_up(
    library: Library,
    *,
    by: str | None = None,
    method: Method | None = None,
    color: str = CLUSTER,
    where: str = "",
    most: int = MOST,
    seed: int = 0,
) -> Atlas:
    """The map of a library's pictures.

    by      the extractor whose vectors say what is alike; None: the first that is no hash
    method  None: t-SNE where openTSNE is installed, else PCA
    color   "cluster" (k-means), "folder", or a field of the metadata or of the files ("label", "camera")
    where   a filter (docs/searching.md); "" for all pictures
    most    pictures at most; of more an evenly spread sample

    `UsageError` for an unknown extractor, field or filter, or fewer than two pictures.
    """
    method = method or best_method()
    started = time.perf_counter()
    with library.snapshot() as snapshot:
        space = select_space(snapshot, by)
        ids, total = _ids(snapshot, space, where, most)
        vectors = snapshot.vectors(space.key, ids)
        images = snapshot.images(ids.tolist())
        folders = {root.id: root.path for root in snapshot.roots()}
        values = (
            None
            if color == CLUSTER
            else _values(snapshot, [images[i] for i in ids.tolist()], color)
        )
    read = time.perf_counter()
    places = scaled(lay_out(vectors, method=method, seed=seed))
    laid = time.perf_counter()
    if values is None:
        # In the axes that the layout used, so that colours and places tell of the same.
        axes = principal(vectors, min(REDUCED, *vectors.shape), seed=seed)
        groups = clusters(axes, cluster_count(len(ids)), seed=seed)
        names = tuple(f"cluster {number + 1}" for number in range(int(groups.max()) + 1))
    else:
        groups, names = named(values)
    report = kept(vectors, places)
    ordered = [images[id] for id in ids.tolist()]
    return Atlas(
        by=space.name,
        method=method,
        seed=seed,
        ids=ids,
        paths=tuple(image.path for image in ordered),
        files=tuple(folders[image.root] / image.path for image in ordered),
        places=places,
        groups=groups,
        names=names,
        color=color,
        level=levels(places),
        kept=report,
        total=total,
        seconds={
            "read": read - started,
            "layout": laid - read,
            "rest": time.perf_counter() - laid,
        },
    )


def scaled(places: NDArray[np.float64]) -> NDArray[np.float32]:
    """Places (n, 2) moved and scaled into 0..1 with a margin; the aspect is kept."""
    low, high = places.min(axis=0), places.max(axis=0)
    side = float((high - low).max()) or 1.0
    centred = (places - (low + high) / 2) / side
    return np.asarray(centred * (1 - 2 * MARGIN) + 0.5, np.float32)


def _ids(snapshot: Snapshot, space: Space, where: str, most: int) -> tuple[Ids, int]:
    """Ids, rising, of the pictures to show, and of how many they are a sample."""
    ids = snapshot.sample(space.key, space.count)
    if where:
        ids = ids[np.isin(ids, snapshot.select(where))]
    if len(ids) < 2:
        raise UsageError(
            f"a map needs at least two pictures with {space.name} vectors"
            + (f" where {where}" if where else "")
        )
    total = len(ids)
    if total > most:
        ids = ids[np.linspace(0, total - 1, most).astype(np.int64)]
    return ids, total


def _values(snapshot: Snapshot, images: Sequence[Image], color: str) -> list[Any]:
    """What each image is coloured by; `UsageError` for a field that nothing has."""
    if color == FOLDER:
        return [image.path.rpartition("/")[0] or TOP for image in images]
    values = [image.metadata.get(color, image.facts.get(color)) for image in images]
    if all(value is None for value in values):
        known = ", ".join(sorted(name for name in snapshot.fields() if name != FOLDER))
        raise UsageError(
            f"no picture has a field {color!r} to be coloured by; there are: cluster, folder"
            + (f", {known}" if known else "")
        )
    return values
