"""The map of a library: positions, groups and colours of its images."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.duplicates.similar import select_space
from lookalike.embedding_map.layout import (
    PCA_AXES,
    Method,
    NeighbourhoodPreservation,
    best_method,
    lay_out,
    measure_preservation,
    project,
    zoom_levels,
)
from lookalike.errors import UsageError
from lookalike.library import Library
from lookalike.stores.interface import Ids, Image, Snapshot, Space
from lookalike.vectors.blocks import Floats
from lookalike.vectors.kmeans import kmeans

# Distinguishable colours; the remaining groups are grey.
MAX_GROUPS = 12

OTHERS = "others"
ITERATIONS = 50
RESTARTS = 3


def cluster(points: Floats, number: int, *, seed: int = 0) -> NDArray[np.int64]:
    """Return the cluster of each point (n, dim) by k-means, numbered from the largest cluster."""
    _, found = kmeans(points, number, iterations=ITERATIONS, restarts=RESTARTS, seed=seed)
    _, labels, counts = np.unique(found, return_inverse=True, return_counts=True)
    rank = np.empty(len(counts), np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    return np.asarray(rank[labels])


def cluster_count(images: int) -> int:
    """Return the number of clusters for so many images: few enough for distinguishable colours."""
    return int(np.clip(round((images / 12) ** 0.5), 1, MAX_GROUPS))


def group_values(values: Sequence[Any]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return (n,) indices of groups, -1 for no value, and the names of the groups.

    The most frequent values are groups of their own, and the rest is "others". If there are more than
    twelve different numbers, they are divided into six ranges with about equally many images.
    """
    present = [value for value in values if value is not None and value != ""]
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in present)
    if present and numbers and len(set(present)) > MAX_GROUPS:
        return _ranges(values)
    texts = [None if value is None or value == "" else str(value) for value in values]
    counts = Counter(text for text in texts if text is not None)
    ordered = sorted(counts, key=lambda text: (-counts[text], text))
    named = ordered if len(ordered) <= MAX_GROUPS else ordered[: MAX_GROUPS - 1]
    names = (*named, OTHERS) if len(ordered) > len(named) else tuple(named)
    number = {text: min(position, len(named)) for position, text in enumerate(ordered)}
    groups = [-1 if text is None else number[text] for text in texts]
    return np.array(groups, np.int64), names


def _ranges(values: Sequence[Any], count: int = 6) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    known = np.array([np.nan if v is None or v == "" else float(v) for v in values])
    edges = np.unique(np.nanquantile(known, np.linspace(0, 1, count + 1)))
    groups = np.searchsorted(edges[1:-1], known, side="right")
    groups = np.where(np.isnan(known), -1, groups)
    names = tuple(f"{a:g} – {b:g}" for a, b in pairwise(edges))
    return groups.astype(np.int64), names


# Largest number of images on a map; a larger library is sampled evenly.
MAX_IMAGES = 100_000

CLUSTER, FOLDER = "cluster", "folder"
# Name of the group of images directly in a root.
TOP_FOLDER = "(top folder)"
# Empty border of the map, relative to its side.
MARGIN = 0.02


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
) -> EmbeddingMap:
    """Build the map of a library's images.

    extractor   its vectors are laid out; None: the first that is not a hash
    method      None: t-SNE if openTSNE is installed, else PCA
    color       "cluster" (k-means), "folder", or a field of the metadata or of the files, such as "label" or
                "camera"
    where       a filter (docs/searching.md); "": all images
    max_images  of more images an evenly spaced sample is shown

    Raises UsageError for an unknown extractor, field or filter, or fewer than two images.
    """
    method = method or best_method()
    started = time.perf_counter()
    with library.snapshot() as snapshot:
        space = select_space(snapshot, extractor)
        ids, total = _ids(snapshot, space, where, max_images)
        vectors = snapshot.vectors(space.key, ids)
        images = snapshot.images(ids.tolist())
        roots = {root.id: root.path for root in snapshot.roots()}
        values = (
            None
            if color == CLUSTER
            else _values(snapshot, [images[i] for i in ids.tolist()], color)
        )
    read = time.perf_counter()
    positions = scale_to_square(lay_out(vectors, method=method, seed=seed))
    laid_out = time.perf_counter()
    if values is None:
        # In the PCA axes that the layout used, so that colours and positions agree.
        axes = project(vectors, min(PCA_AXES, *vectors.shape), seed=seed)
        groups = cluster(axes, cluster_count(len(ids)), seed=seed)
        names = tuple(f"cluster {number + 1}" for number in range(int(groups.max()) + 1))
    else:
        groups, names = group_values(values)
    preservation = measure_preservation(vectors, positions)
    ordered = [images[id] for id in ids.tolist()]
    return EmbeddingMap(
        extractor=space.name,
        method=method,
        seed=seed,
        ids=ids,
        paths=tuple(image.path for image in ordered),
        files=tuple(roots[image.root] / image.path for image in ordered),
        positions=positions,
        groups=groups,
        names=names,
        color=color,
        levels=zoom_levels(positions),
        preservation=preservation,
        total=total,
        seconds={
            "read": read - started,
            "layout": laid_out - read,
            "rest": time.perf_counter() - laid_out,
        },
    )


def scale_to_square(positions: NDArray[np.float64]) -> NDArray[np.float32]:
    """Move and scale positions (n, 2) into 0..1 with a margin; the aspect ratio is preserved."""
    low, high = positions.min(axis=0), positions.max(axis=0)
    side = float((high - low).max()) or 1.0
    centred = (positions - (low + high) / 2) / side
    return np.asarray(centred * (1 - 2 * MARGIN) + 0.5, np.float32)


def _ids(snapshot: Snapshot, space: Space, where: str, max_images: int) -> tuple[Ids, int]:
    """Return the ids of the images to show, ascending, and the number that they are a sample of."""
    ids = snapshot.sample(space.key, space.count)
    if where:
        ids = ids[np.isin(ids, snapshot.select(where))]
    if len(ids) < 2:
        raise UsageError(
            f"a map needs at least two images with {space.name} vectors"
            + (f" where {where}" if where else "")
        )
    total = len(ids)
    if total > max_images:
        ids = ids[np.linspace(0, total - 1, max_images).astype(np.int64)]
    return ids, total


def _values(snapshot: Snapshot, images: Sequence[Image], color: str) -> list[Any]:
    """Return the value of each image. Raises UsageError for a field that no image has."""
    if color == FOLDER:
        return [image.path.rpartition("/")[0] or TOP_FOLDER for image in images]
    values = [image.metadata.get(color, image.facts.get(color)) for image in images]
    if all(value is None for value in values):
        known = ", ".join(sorted(name for name in snapshot.fields() if name != FOLDER))
        raise UsageError(
            f"no image has a field {color!r} to be coloured by; there are: cluster, folder"
            + (f", {known}" if known else "")
        )
    return values
