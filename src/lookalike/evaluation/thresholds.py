"""From which similarity on two pictures are alike: pairs that are known, and a threshold.

A held-out list of pairs says what is alike and what is not; every similarity is a threshold that one
could choose, with a precision and a recall.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError

_YES = frozenset(("1", "yes", "true", "similar", "same", "relevant"))
_NO = frozenset(("0", "no", "false", "dissimilar", "different", "not-relevant"))


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures, as a table names them, and whether they are alike."""

    first: str
    second: str
    alike: bool


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Precision and recall at every threshold, from the highest similarity down.

    similarities  (t,) falling: pairs at least so similar are called alike
    precision     (t,) share of these that are
    recall        (t,) share of the alike pairs that are among them
    average       average precision, the step sum
    best          position of the threshold with the largest F1
    held_out      F1 where the threshold is chosen on one half of the pairs and tried on the other,
                  both ways, the mean: what `best` promises for pairs that it has not seen
    alike, other  pairs of each kind
    """

    similarities: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    average: float
    best: int
    held_out: float
    alike: int
    other: int

    @property
    def f1(self) -> float:
        """At the best threshold."""
        return float(_f1(self.precision, self.recall)[self.best])

    @property
    def threshold(self) -> float:
        """The best one: similarities from here on mean alike."""
        return float(self.similarities[self.best])


def read_pairs(file: Path) -> list[Pair]:
    """A table with the columns first, second and similar (1 or 0, yes or no). `UsageError` names the
    line that is wrong."""
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


def _pair(row: dict[str, str], where: str) -> Pair:
    said = (row["similar"] or "").strip().lower()
    if said not in _YES | _NO:
        raise UsageError(f"{where}: {said!r} is neither yes nor no (1 or 0)")
    if not row["first"] or not row["second"]:
        raise UsageError(f"{where}: a pair needs two pictures")
    return Pair(row["first"], row["second"], said in _YES)


def thresholds(
    similarities: Sequence[float] | NDArray[np.float64], alike: Sequence[bool]
) -> Thresholds:
    """All thresholds over pairs. Equal similarities are one threshold. `UsageError` unless there are
    pairs of both kinds."""
    scores, right = np.asarray(similarities, np.float64), np.asarray(alike, bool)
    if not right.any() or right.all():
        raise UsageError("a threshold needs pairs that are alike and pairs that are not")
    levels, precision, recall = _curve(scores, right)
    steps = np.diff(recall, prepend=0.0)
    # Two halves, each with every second pair of either kind.
    half = np.empty(len(scores), bool)
    for kind in (True, False):
        half[right == kind] = np.arange((right == kind).sum()) % 2 == 0
    tried = [_tried(scores, right, half), _tried(scores, right, ~half)]
    return Thresholds(
        similarities=levels,
        precision=precision,
        recall=recall,
        average=float((steps * precision).sum()),
        best=int(np.argmax(_f1(precision, recall))),
        held_out=float(np.mean(tried)),
        alike=int(right.sum()),
        other=int((~right).sum()),
    )


def _curve(
    scores: NDArray[np.float64], right: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    order = np.argsort(-scores, kind="stable")
    falling, hits = scores[order], np.cumsum(right[order])
    last = np.flatnonzero(np.diff(falling, append=-np.inf) < 0)  # of equal ones
    return falling[last], hits[last] / (last + 1), hits[last] / max(1, int(right.sum()))


def _tried(
    scores: NDArray[np.float64], right: NDArray[np.bool_], chosen: NDArray[np.bool_]
) -> float:
    """F1 on the pairs that are not `chosen`, with the threshold that is best for those that are."""
    levels, precision, recall = _curve(scores[chosen], right[chosen])
    bar = levels[int(np.argmax(_f1(precision, recall)))]
    said, is_so = scores[~chosen] >= bar, right[~chosen]
    both = int((said & is_so).sum())
    return 2 * both / max(1, int(said.sum()) + int(is_so.sum()))


def _f1(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> NDArray[np.float64]:
    total = precision + recall
    harmonic: NDArray[np.float64] = 2 * precision * recall / np.where(total > 0, total, 1)
    return harmonic
