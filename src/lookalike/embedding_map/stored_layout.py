"""The layout of a library's images, kept in its folder: it takes long, and colors do not change it."""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.duplicates.similar import select_space
from lookalike.embedding_map.clusters import cluster, cluster_count, typical_images
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
from lookalike.embedding_map.out_of_sample import digests_of, place_new
from lookalike.errors import PARSE_ERRORS, UsageError
from lookalike.files import atomic_write, make_folder
from lookalike.library import Library
from lookalike.stores.interface import Ids, Snapshot, Space
from lookalike.vectors.npz import read_npz

# Largest number of images on a map; a larger library is sampled evenly.
MAX_IMAGES = 100_000

# Empty border of the map, relative to its side.
MARGIN = 0.02

# Folder of the layouts, and how many of them are kept: one for each state of a space, method and filter.
FOLDER, MAX_FILES = "maps", 16
FILE_NAME = re.compile(r"[0-9a-f]{32}\.npz")

# Share of the images that may come and go until a layout that is kept up to date is computed anew.
MAX_CHANGED = 0.1

# Changes whenever a layout of the same vectors would be another one, or is stored in another way.
REVISION = "2"

# Arrays in a file, and their kinds of numbers.
ARRAYS, KINDS = ("ids", "digests", "positions", "levels", "clusters", "typical"), "iufuii"

Progress = Callable[[int, int], None]
"""Called with the number of finished steps and of all."""


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """The positions of images on a map.

    ids           (n,) of the images, rising
    positions     (n, 2) float32: x to the right, y down, within 0..1, both axes of equal scale
    levels        (n,) uint8: zoom level from which a thumbnail fits (`layout.zoom_levels`)
    clusters      (n,) of each image by k-means, numbered from the largest
    typical       (clusters, at most 3) ids of the images nearest to the centre of each cluster; 0 for none
    preservation  how well neighbourhoods are preserved
    total         images of which the map shows n
    seed          of the random numbers
    digests       (n,) uint64 of the vectors
    changed       images that came or went since the layout was computed
    """

    extractor: str
    method: Method
    seed: int
    ids: Ids
    digests: NDArray[np.uint64]
    positions: NDArray[np.float32]
    levels: NDArray[np.uint8]
    clusters: NDArray[np.int64]
    typical: Ids
    preservation: NeighbourhoodPreservation
    total: int
    changed: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    def save(self, file: Path) -> None:
        """Write the layout to a file. Raises OSError."""
        make_folder(file.parent)
        scalars = [self.extractor, self.method, str(self.total), str(self.seed), str(self.changed)]
        kept = [float(value) for value in asdict(self.preservation).values()]
        with atomic_write(file, shared=True) as out:
            np.savez(
                out,
                scalars=np.array(scalars),
                preservation=np.array(kept),
                **{name: getattr(self, name) for name in ARRAYS},
            )

    @classmethod
    def load(cls, file: Path) -> Layout | None:
        """Return the layout in a file; None if there is none, or another file."""
        try:
            found = read_npz(file)
            extractor, method, total, seed, changed = found["scalars"].tolist()
            trust, continuity, overlap, neighbours, sampled = found["preservation"].tolist()
            arrays: dict[str, Any] = {name: found[name] for name in ARRAYS}
            shapes = [array.shape for array in arrays.values()]
            (count,), (groups, _) = shapes[0], shapes[-1]
            clusters = arrays["clusters"]
            if (
                shapes[:-1] != [(count,), (count,), (count, 2), (count,), (count,)]
                or "".join(array.dtype.kind for array in arrays.values()) != KINDS
                or not 0 <= clusters.min() <= clusters.max() < groups
            ):
                raise ValueError("arrays that do not fit together")
            return cls(
                extractor=extractor,
                method=method,
                seed=int(seed),
                **arrays,
                preservation=NeighbourhoodPreservation(
                    trust, continuity, overlap, int(neighbours), int(sampled)
                ),
                total=int(total),
                changed=int(changed),
            )
        except (OSError, zipfile.BadZipFile, *PARSE_ERRORS):
            return None


def layout_of(
    library: Library,
    *,
    extractor: str | None = None,
    method: Method | None = None,
    where: str = "",
    max_images: int = MAX_IMAGES,
    seed: int = 0,
    folder: Path | None = None,
    update: bool = False,
    progress: Progress | None = None,
) -> tuple[Layout, Path]:
    """Return the layout of a library's images and the file that keeps it: read from there if the vectors are
    the same, otherwise computed, which takes seconds to minutes, and written if possible.

    extractor   its vectors are laid out; None: the first that is not a hash
    method      None: t-SNE if openTSNE is installed, else PCA
    where       a filter (docs/searching.md); "": all images
    max_images  of more images an evenly spaced sample is laid out
    folder      where layouts are kept; None: in the library's folder, if that can be changed
    update      while at most a tenth of the images have come or gone, the others keep their places, and new
                ones are placed among them. The layout then depends on what was laid out before
    progress    called in this thread

    Raises UsageError for an unknown extractor or filter, or fewer than two images.
    """
    method = method or best_method()
    with library.snapshot() as snapshot:
        space = select_space(snapshot, extractor)
        ids, total = _ids(snapshot, space, where, max_images)
        vectors = snapshot.vectors(space.key, ids)
    where_kept = folder or library.folder / FOLDER
    file = where_kept / f"{_fingerprint(space, method, seed, ids, vectors)}.npz"
    layout = Layout.load(file)
    if layout is not None:
        with suppress(OSError):
            file.touch()
        return layout, file
    digests = digests_of(vectors)
    if update:
        layout = _updated(where_kept, space, method, seed, ids, vectors, digests, total)
    layout = layout or _compute(space, method, seed, ids, vectors, digests, total, progress)
    if folder is not None or not library.read_only:
        with suppress(OSError):
            layout.save(file)
            _delete_old(where_kept)
    return layout, file


def _compute(
    space: Space,
    method: Method,
    seed: int,
    ids: Ids,
    vectors: NDArray[np.float32],
    digests: NDArray[np.uint64],
    total: int,
    progress: Progress | None,
) -> Layout:
    positions = scale_to_square(lay_out(vectors, method=method, seed=seed, progress=progress))
    # In the PCA axes that the layout used, so that clusters and positions agree.
    axes = project(vectors, min(PCA_AXES, *vectors.shape), seed=seed)
    clusters = cluster(axes, cluster_count(len(ids)), seed=seed)
    return Layout(
        extractor=space.name,
        method=method,
        seed=seed,
        ids=ids,
        digests=digests,
        positions=positions,
        levels=zoom_levels(positions),
        clusters=clusters,
        typical=typical_images(axes, clusters, ids),
        preservation=measure_preservation(vectors, positions),
        total=total,
    )


def _updated(
    folder: Path,
    space: Space,
    method: Method,
    seed: int,
    ids: Ids,
    vectors: NDArray[np.float32],
    digests: NDArray[np.uint64],
    total: int,
) -> Layout | None:
    """Return the latest stored layout with these images instead of its own; None if too many have changed."""
    for file in sorted(folder.glob("*.npz"), key=lambda file: file.stat().st_mtime, reverse=True):
        last = Layout.load(file)
        if last is None or (last.extractor, last.method, last.seed) != (space.name, method, seed):
            continue
        at = np.searchsorted(last.ids, ids).clip(max=len(last) - 1)
        known = (last.ids[at] == ids) & (last.digests[at] == digests)
        changed = last.changed + len(ids) + len(last) - 2 * int(known.sum())
        if changed > MAX_CHANGED * len(last):
            continue
        rows = at[known]
        positions, clusters = place_new(
            vectors, known, last.positions[rows], last.clusters[rows], seed=seed
        )
        return replace(
            last,
            ids=ids,
            digests=digests,
            positions=positions,
            levels=last.levels[rows] if known.all() else zoom_levels(positions),
            clusters=clusters,
            typical=np.where(np.isin(last.typical, ids), last.typical, 0),
            preservation=measure_preservation(vectors, positions),
            total=total,
            changed=changed,
        )
    return None


def _fingerprint(
    space: Space, method: Method, seed: int, ids: Ids, vectors: NDArray[np.float32]
) -> str:
    """Return a name for the layout of these vectors."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{REVISION} {space.key} {method} {seed} {len(ids)}\n".encode())
    digest.update(ids.tobytes())
    digest.update(np.ascontiguousarray(vectors).data)
    return digest.hexdigest()


def _delete_old(folder: Path) -> None:
    """Delete the layouts that were not used for longest. The folder may be a link: others' files stay."""
    own = (file for file in folder.iterdir() if FILE_NAME.fullmatch(file.name))
    files = sorted(own, key=lambda file: file.lstat().st_mtime)
    for file in files[:-MAX_FILES]:
        file.unlink(missing_ok=True)


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


def scale_to_square(positions: NDArray[np.float64]) -> NDArray[np.float32]:
    """Move and scale positions (n, 2) into 0..1 with a margin; the aspect ratio is preserved."""
    low, high = positions.min(axis=0), positions.max(axis=0)
    side = float((high - low).max()) or 1.0
    centred = (positions - (low + high) / 2) / side
    return np.asarray(centred * (1 - 2 * MARGIN) + 0.5, np.float32)
