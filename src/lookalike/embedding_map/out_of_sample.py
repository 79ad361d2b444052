"""Places on a map for images that came after it was laid out."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from lookalike.embedding_map.layout import PCA_AXES, project
from lookalike.vectors.blocks import Floats

# Images of the map by which a new one is placed.
NEIGHBOURS = 5

# New images that are compared at a time.
BLOCK = 256


def digests_of(vectors: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Return (n,) a digest of each vector (n, dim): whether it is the one that was laid out."""
    rows = np.ascontiguousarray(vectors)
    found = [hashlib.blake2b(row.data, digest_size=8).digest() for row in rows]
    return np.frombuffer(b"".join(found), np.uint64)


def place_new(
    vectors: NDArray[np.float32],
    known: NDArray[np.bool_],
    positions: Floats,
    clusters: NDArray[np.int64],
    *,
    seed: int = 0,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the positions (n, 2) and clusters (n,) of vectors (n, dim), of which those that are `known` have
    these positions and clusters. A new one is placed at the mean of its nearest known ones, weighted by the
    inverse of their squared distance, in the cluster of the nearest."""
    all_positions = np.empty((len(vectors), 2), np.float32)
    all_clusters = np.empty(len(vectors), np.int64)
    all_positions[known], all_clusters[known] = positions, clusters
    new = np.flatnonzero(~known)
    if not len(new):
        return all_positions, all_clusters
    # In the PCA axes that layouts use.
    axes = project(vectors, min(PCA_AXES, *vectors.shape), seed=seed)
    reference, k = axes[known], min(NEIGHBOURS, int(known.sum()))
    squares = np.einsum("ij,ij->i", reference, reference)
    for start in range(0, len(new), BLOCK):
        block = new[start : start + BLOCK]
        distances = squares - 2 * (axes[block] @ reference.T)
        distances += np.einsum("ij,ij->i", axes[block], axes[block])[:, None]
        nearest = np.argsort(distances, axis=1, kind="stable")[:, :k]
        weights = 1 / np.maximum(np.take_along_axis(distances, nearest, axis=1), 1e-9)
        weights /= weights.sum(axis=1, keepdims=True)
        all_positions[block] = np.einsum("ij,ijk->ik", weights, np.asarray(positions)[nearest])
        all_clusters[block] = clusters[nearest[:, 0]]
    return all_positions, all_clusters
