"""Every labelled picture asks for the others of its label."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.evaluation.metrics import (
    Ranks,
    average_precision,
    hit_rate,
    ndcg,
    precision,
    recall,
    reciprocal_rank,
)
from lookalike.vectors.similarity import Similarity, normalise, similarity_matrix

BLOCK_BYTES = 64 << 20
"""Of similarities that are held at a time."""

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Judged:
    """The metrics of every question.

    rows        rows of the matrix that were asked
    values      metric name → (questions,) float64, in the order of `rows`
    alone       pictures that nothing else shares a label with: they ask nothing, but may be found
    unlabelled  pictures without a label: the same
    """

    rows: NDArray[np.int64]
    values: Mapping[str, NDArray[np.float64]]
    alone: int
    unlabelled: int

    def means(self) -> dict[str, float]:
        """Metric name → mean over the questions."""
        return {name: float(values.mean()) for name, values in self.values.items()}


def leave_one_out(
    vectors: Vectors,
    labels: Sequence[str | None],
    *,
    similarity: Similarity = "cosine",
    cutoffs: Sequence[int] = (1, 5, 10),
) -> Judged:
    """Rank all other rows for every row of `vectors` (n, dim); those of its label are relevant.

    labels   one a row; None or "" where there is none
    cutoffs  k of P@k, R@k, nDCG@k and hit@k

    The whole ranking counts: AP, RR and nDCG are not cut off (nDCG@k is). Equal similarities rank by
    row. Memory beyond `vectors` and a copy of them is bounded by a few blocks of 64 MiB. Raises
    UsageError when no two pictures share a label.
    """
    if len(vectors) != len(labels):
        raise UsageError(f"{len(vectors)} vectors but {len(labels)} labels")
    code = _codes(labels)
    members = {label: np.flatnonzero(code == label) for label in np.unique(code[code >= 0])}
    rows = np.array([row for row in range(len(code)) if len(members.get(code[row], ())) > 1])
    if not len(rows):
        raise UsageError("no two pictures share a label: there is nothing to be found")
    asked = rows.astype(np.int64)
    gathered = []
    for row, scores in _similarities(vectors, asked, similarity):
        own = members[code[row]]
        ranks = ranks_among(scores, own[own != row], without=row)
        gathered.append(_metrics(ranks, cutoffs))
    values = {name: np.array([one[name] for one in gathered]) for name in gathered[0]}
    alone = sum(len(own) == 1 for own in members.values())
    return Judged(asked, values, alone, int((code < 0).sum()))


def ranks_among(scores: NDArray[np.float32], relevant: NDArray[np.int64], *, without: int) -> Ranks:
    """The ranks of some rows by their similarity, as a stable sort of all rows would give them; the
    row `without` (the question itself) stands in no ranking.

    Values are sorted, not rows: that is ten times as fast, and only equal ones need a closer look.
    """
    others = np.delete(scores, without)
    rising = np.sort(others)
    wanted = others[relevant - (relevant > without)]
    better = len(rising) - np.searchsorted(rising, wanted, side="right")
    same = len(rising) - np.searchsorted(rising, wanted, side="left") - better
    ranks = better.astype(np.int64) + 1
    for value in np.unique(wanted[same > 1]):
        ties = np.flatnonzero(scores == value)
        ties = ties[ties != without]
        mine = wanted == value
        ranks[mine] += np.searchsorted(ties, relevant[mine])
    return np.sort(ranks)


def _metrics(ranks: Ranks, cutoffs: Sequence[int]) -> dict[str, float]:
    total = len(ranks)
    truth = np.ones(total)
    found = {
        "AP": average_precision(ranks, total=total),
        "RR": reciprocal_rank(ranks),
        "nDCG": ndcg(ranks, int(ranks[-1]), truth=truth),
    }
    for k in cutoffs:
        found[f"P@{k}"] = precision(ranks, k)
        found[f"R@{k}"] = recall(ranks, k, total=total)
        found[f"nDCG@{k}"] = ndcg(ranks, k, truth=truth)
        found[f"hit@{k}"] = hit_rate(ranks, k)
    return found


def _codes(labels: Sequence[str | None]) -> NDArray[np.int64]:
    """A number for each label; -1 for none."""
    numbers: dict[str, int] = {}
    found = [numbers.setdefault(label, len(numbers)) if label else -1 for label in labels]
    return np.array(found, np.int64)


def _similarities(
    vectors: Vectors, rows: NDArray[np.int64], similarity: Similarity
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Row by row, the similarities (n,) to all rows, computed in blocks."""
    matrix = normalise(vectors) if similarity == "cosine" else vectors
    height = max(1, BLOCK_BYTES // (4 * len(matrix)))
    for start in range(0, len(rows), height):
        block = rows[start : start + height]
        if similarity == "cosine":
            scores = matrix[block] @ matrix.T
        else:
            scores = similarity_matrix(matrix[block], matrix, similarity="euclidean")
        yield from zip(block.tolist(), scores, strict=True)
