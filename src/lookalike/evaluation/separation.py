"""How far similarities tell pictures that belong together from those that do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.evaluation.collection import Collection
from lookalike.evaluation.ground_truth import Truth
from lookalike.stores.interface import Snapshot, Space


@dataclass(frozen=True, slots=True)
class Spread:
    """Similarities of pairs that belong together and of pairs that do not, drawn at random.

    above  chance that one of the first is more similar than one of the second (the area under the ROC
           curve): 1 where a threshold separates them, 0.5 where they cannot be told apart
    """

    same: NDArray[np.float32]
    other: NDArray[np.float32]
    above: float


def spread(
    snapshot: Snapshot,
    space: Space,
    pictures: Collection,
    truth: Truth,
    *,
    seed: int = 0,
    count: int = 5000,
) -> Spread | None:
    """Similarities of `count` pairs of either kind, drawn by question; None where there are none."""
    rng = np.random.default_rng(seed)
    inside = np.flatnonzero(truth.rows >= 0)
    if not len(inside) or space.boxes is not None:
        return None
    same: list[tuple[int, int]] = []
    other: list[tuple[int, int]] = []
    for at in rng.choice(inside, count).tolist():
        row, relevant = int(truth.rows[at]), truth.relevant(at).rows
        if len(relevant):
            same.append((row, int(rng.choice(relevant))))
        stranger = int(rng.integers(len(pictures)))
        if stranger != row and stranger not in relevant:
            other.append((row, stranger))
    if not same or not other:
        return None
    values = [pair_similarities(snapshot, space, pictures, pairs) for pairs in (same, other)]
    return Spread(values[0], values[1], above(values[0], values[1]))


def pair_similarities(
    snapshot: Snapshot, space: Space, pictures: Collection, pairs: Sequence[tuple[int, int]]
) -> NDArray[np.float32]:
    """The similarity of each pair of rows."""
    rows, at = np.unique(np.array(pairs, np.int64).reshape(-1, 2), return_inverse=True)
    vectors = snapshot.vectors(space.key, pictures.ids[rows]).astype(np.float64)
    first, second = vectors[at.reshape(-1, 2).T]
    if space.similarity == "euclidean":
        values = -np.sqrt(((first - second) ** 2).sum(axis=1))
    else:
        lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
        values = (first * second).sum(axis=1) / np.where(lengths == 0, 1, lengths)
    return np.asarray(values, np.float32)


def above(same: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Chance that one of `same` is larger than one of `other`; equal ones count half."""
    rising = np.sort(other)
    left = np.searchsorted(rising, same, side="left")
    right = np.searchsorted(rising, same, side="right")
    return float((left + right).mean() / 2 / len(rising))
