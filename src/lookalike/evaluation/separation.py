"""How well similarities separate pairs that belong together from other pairs, and the best threshold."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.evaluation.collection import Collection
from lookalike.evaluation.ground_truth import GroundTruth
from lookalike.stores.interface import Snapshot, Space

# Queries for which a pair of each kind is drawn.
PAIRS = 5000

_YES = frozenset(("1", "yes", "true", "similar", "same", "relevant"))
_NO = frozenset(("0", "no", "false", "dissimilar", "different", "not-relevant"))


@dataclass(frozen=True, slots=True)
class Separation:
    """Similarities of random pairs that belong together (`same`) and of pairs that do not (`other`).

    auc  area under the ROC curve: the probability that a pair of `same` is more similar than one of
         `other`; 1 where a threshold separates them, 0.5 for chance
    """

    same: NDArray[np.float32]
    other: NDArray[np.float32]
    auc: float


def measure_separation(
    snapshot: Snapshot,
    space: Space,
    collection: Collection,
    truth: GroundTruth,
    *,
    seed: int = 0,
) -> Separation | None:
    """Draw `PAIRS` queries with a pair of each kind; None where there are no such pairs."""
    rng = np.random.default_rng(seed)
    inside = np.flatnonzero(truth.rows >= 0)
    if not len(inside) or space.boxes is not None:
        return None
    same: list[tuple[int, int]] = []
    other: list[tuple[int, int]] = []
    for at in rng.choice(inside, PAIRS).tolist():
        row, relevant = int(truth.rows[at]), truth.relevant(at).rows
        if len(relevant):
            same.append((row, int(rng.choice(relevant))))
        random = int(rng.integers(len(collection)))
        if random != row and random not in relevant:
            other.append((row, random))
    if not same or not other:
        return None
    values = [pair_similarities(snapshot, space, collection, pairs) for pairs in (same, other)]
    return Separation(values[0], values[1], auc(values[0], values[1]))


def pair_similarities(
    snapshot: Snapshot, space: Space, collection: Collection, pairs: Sequence[tuple[int, int]]
) -> NDArray[np.float32]:
    """Return the similarity of each pair of rows."""
    rows, at = np.unique(np.array(pairs, np.int64).reshape(-1, 2), return_inverse=True)
    vectors = snapshot.vectors(space.key, collection.ids[rows]).astype(np.float64)
    first, second = vectors[at.reshape(-1, 2).T]
    if space.similarity == "euclidean":
        values = -np.sqrt(((first - second) ** 2).sum(axis=1))
    else:
        lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
        values = (first * second).sum(axis=1) / np.where(lengths == 0, 1, lengths)
    return np.asarray(values, np.float32)


def auc(same: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return the probability that a value of `same` is larger than one of `other`; ties count half."""
    ascending = np.sort(other)
    left = np.searchsorted(ascending, same, side="left")
    right = np.searchsorted(ascending, same, side="right")
    return float((left + right).mean() / 2 / len(ascending))


# ---- thresholds over known pairs ----


@dataclass(frozen=True, slots=True)
class KnownPair:
    """Two images, as a table names them, and whether they are similar."""

    first: str
    second: str
    similar: bool


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Precision and recall at every threshold, from the highest similarity down.

    similarities         (t,) descending; pairs at least this similar are predicted to be similar
    precision            (t,) share of the predicted pairs that are similar
    recall               (t,) share of the similar pairs that are predicted
    average_precision    the step sum
    best                 position of the threshold with the largest F1
    held_out_f1          F1 where the threshold is chosen on one half of the pairs and tested on the
                         other, averaged over both ways: what `best` promises for unseen pairs
    similar, dissimilar  number of pairs of each kind
    """

    similarities: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    average_precision: float
    best: int
    held_out_f1: float
    similar: int
    dissimilar: int

    @property
    def f1(self) -> float:
        """F1 at the best threshold."""
        return float(_f1(self.precision, self.recall)[self.best])

    @property
    def threshold(self) -> float:
        """The best threshold: pairs at least this similar are predicted to be similar."""
        return float(self.similarities[self.best])


def read_pairs(file: Path) -> list[KnownPair]:
    """Read a table with the columns first, second and similar (1 or 0, yes or no).

    Raises UsageError that names the wrong line.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.DictReader(lines)
            have = rows.fieldnames or ()
            for wanted in ("first", "second", "similar"):
                if wanted not in have:
                    raise UsageError(
                        f"{file}: no column {wanted!r}; a table of pairs has first,second,similar"
                    )
            return [_pair(row, f"{file}, line {rows.line_num}") for row in rows]
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror or error}") from error


def _pair(row: dict[str, str], where: str) -> KnownPair:
    value = (row["similar"] or "").strip().lower()
    if value not in _YES | _NO:
        raise UsageError(f"{where}: {value!r} is neither yes nor no (1 or 0)")
    if not row["first"] or not row["second"]:
        raise UsageError(f"{where}: a pair needs two images")
    return KnownPair(row["first"], row["second"], value in _YES)


def thresholds(
    similarities: Sequence[float] | NDArray[np.float64], similar: Sequence[bool]
) -> Thresholds:
    """Evaluate every threshold over pairs. Equal similarities are one threshold.

    Raises UsageError unless there are pairs of both kinds.
    """
    scores, positive = np.asarray(similarities, np.float64), np.asarray(similar, bool)
    if not positive.any() or positive.all():
        raise UsageError("a threshold needs pairs that are similar and pairs that are not")
    levels, precision, recall = _curve(scores, positive)
    steps = np.diff(recall, prepend=0.0)
    # Two halves, each with every second pair of either kind.
    half = np.empty(len(scores), bool)
    for kind in (True, False):
        half[positive == kind] = np.arange((positive == kind).sum()) % 2 == 0
    held_out = [_held_out_f1(scores, positive, part) for part in (half, ~half)]
    return Thresholds(
        similarities=levels,
        precision=precision,
        recall=recall,
        average_precision=float((steps * precision).sum()),
        best=int(np.argmax(_f1(precision, recall))),
        held_out_f1=float(np.mean(held_out)),
        similar=int(positive.sum()),
        dissimilar=int((~positive).sum()),
    )


def _curve(
    scores: NDArray[np.float64], positive: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return thresholds (descending), precision and recall."""
    order = np.argsort(-scores, kind="stable")
    descending, hits = scores[order], np.cumsum(positive[order])
    last = np.flatnonzero(np.diff(descending, append=-np.inf) < 0)  # of equal ones
    return descending[last], hits[last] / (last + 1), hits[last] / max(1, int(positive.sum()))


def _held_out_f1(
    scores: NDArray[np.float64], positive: NDArray[np.bool_], training: NDArray[np.bool_]
) -> float:
    """Return F1 outside `training` with the threshold that is best inside it."""
    levels, precision, recall = _curve(scores[training], positive[training])
    threshold = levels[int(np.argmax(_f1(precision, recall)))]
    predicted, actual = scores[~training] >= threshold, positive[~training]
    both = int((predicted & actual).sum())
    return 2 * both / max(1, int(predicted.sum()) + int(actual.sum()))


def _f1(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> NDArray[np.float64]:
    total = precision + recall
    harmonic: NDArray[np.float64] = 2 * precision * recall / np.where(total > 0, total, 1)
    return harmonic
