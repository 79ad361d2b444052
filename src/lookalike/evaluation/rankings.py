"""Rankings judged: every question of a truth against vectors, against a search, or against a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.evaluation.ground_truth import Relevant, Truth
from lookalike.evaluation.metrics import (
    LEVELS,
    Ranks,
    average_precision,
    hit_rate,
    interpolated_precision,
    ndcg,
    precision,
    recall,
    reciprocal_rank,
)
from lookalike.vectors.similarity import Similarity, normalise, similarity_matrix

BLOCK_BYTES = 64 << 20
"""Of similarities that are held at a time."""

KEPT = 10
"""Hits of every question that are kept, at least."""

Vectors: TypeAlias = NDArray[np.float32]
Advance: TypeAlias = Callable[[int, int], None]
"""Called with the questions done and their number."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """The ranking of one question.

    ranks   of its relevant pictures that were found, in the order of `Relevant.rows` less those that
            were not
    gains   of each
    best    rows of the first hits, best first
    scores  of these
    """

    ranks: Ranks
    gains: NDArray[np.float64]
    best: NDArray[np.int64]
    scores: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Judged:
    """The rankings of all questions of a truth, judged.

    values  metric → (questions,) float64
    curve   (21,) precision at the recalls `metrics.LEVELS`, the mean over the questions
    best    (questions, kept) rows of the first hits, -1 where there are fewer
    scores  (questions, kept) their similarities, -inf where there are fewer
    """

    values: Mapping[str, NDArray[np.float64]]
    curve: NDArray[np.float64]
    best: NDArray[np.int64]
    scores: NDArray[np.float32]

    def means(self) -> dict[str, float]:
        """Metric → mean over the questions."""
        return {name: float(values.mean()) for name, values in self.values.items()}


def judge(
    rankings: Iterable[Ranked],
    truth: Truth,
    *,
    cutoffs: Sequence[int] = (1, 5, 10),
    kept: int = KEPT,
    advance: Advance | None = None,
) -> Judged:
    """The metrics of rankings that come in the order of the questions.

    cutoffs  k of P@k, R@k, nDCG@k and hit@k; AP, RR and nDCG take the ranking as long as it is
    kept     hits of each question that are kept
    """
    columns: dict[str, list[float]] = {}
    curve = np.zeros(len(LEVELS))
    best = np.full((len(truth), kept), -1, np.int64)
    scores = np.full((len(truth), kept), -np.inf, np.float32)
    for at, ranked in enumerate(rankings):
        relevant = truth.relevant(at)
        order = np.argsort(ranked.ranks, kind="stable")
        ranks, gains = ranked.ranks[order], ranked.gains[order]
        for name, value in metrics(ranks, gains, relevant, cutoffs).items():
            columns.setdefault(name, []).append(value)
        curve += interpolated_precision(ranks, total=_total(relevant))
        best[at, : len(ranked.best)] = ranked.best[:kept]
        scores[at, : len(ranked.scores)] = ranked.scores[:kept]
        if truth.judged is not None:
            for k in cutoffs:
                share = np.isin(ranked.best[:k], truth.judged[at]).sum() / k
                columns.setdefault(f"judged@{k}", []).append(float(share))
        if advance is not None:
            advance(at + 1, len(truth))
    values = {name: np.array(column) for name, column in columns.items()}
    return Judged(values, curve / max(1, len(truth)), best, scores)


def metrics(
    ranks: Ranks, gains: NDArray[np.float64], relevant: Relevant, cutoffs: Sequence[int]
) -> dict[str, float]:
    """All metrics of one question. `ranks` rising, of what was found; `gains` of each."""
    total = _total(relevant)
    truth = np.concatenate([relevant.gains, relevant.absent])
    deep = max(int(ranks[-1]) if len(ranks) else 1, total)
    found = {
        "AP": average_precision(ranks, total=total),
        "RR": reciprocal_rank(ranks),
        "nDCG": ndcg(ranks, deep, truth=truth, gains=gains),
    }
    for k in cutoffs:
        found[f"P@{k}"] = precision(ranks, k)
        found[f"R@{k}"] = recall(ranks, k, total=total)
        found[f"nDCG@{k}"] = ndcg(ranks, k, truth=truth, gains=gains)
        found[f"hit@{k}"] = hit_rate(ranks, k)
    return found


def _total(relevant: Relevant) -> int:
    return len(relevant.rows) + len(relevant.absent)


# ---- where rankings come from ----


def by_vectors(
    vectors: Vectors,
    truth: Truth,
    *,
    similarity: Similarity,
    outside: Mapping[int, NDArray[np.float32]] | None = None,
    unit: bool = False,
    kept: int = KEPT,
) -> Iterator[Ranked]:
    """The whole ranking of all rows of `vectors` (n, dim) for every question, by exact comparison.

    outside  by question, the vector (dim,) of what asks where it is none of the rows
    unit     the vectors have length 1 already: no copy is made of them

    Equal similarities rank by row. Memory beyond `vectors`, and a copy of them that is not `unit`, is
    a few blocks of 64 MiB.
    """
    matrix = vectors if unit or similarity != "cosine" else normalised(vectors)
    given = outside or {}
    height = max(1, BLOCK_BYTES // (4 * len(matrix)))
    for start in range(0, len(truth), height):
        rows = truth.rows[start : start + height]
        asked = matrix[rows]
        for at in np.flatnonzero(rows < 0).tolist():
            made = given[start + at]
            asked[at] = normalise(made) if similarity == "cosine" else made
        if similarity == "cosine":
            block = asked @ matrix.T
        else:
            block = similarity_matrix(asked, matrix, similarity="euclidean")
        for at, scores in enumerate(block):
            relevant = truth.relevant(start + at)
            ranks, best = places(scores, relevant.rows, without=int(rows[at]), kept=kept)
            yield Ranked(ranks, relevant.gains, best, scores[best])


def by_hits(
    hits: Iterable[tuple[NDArray[np.int64], NDArray[np.float32]]], truth: Truth
) -> Iterator[Ranked]:
    """Rankings that end somewhere: for every question the rows of its hits, best first, and their
    similarities. A hit that is no picture of the truth is a row below 0 and keeps its place; the
    question itself loses it."""
    for at, (rows, scores) in enumerate(hits):
        others = (rows != truth.rows[at]) | (truth.rows[at] < 0)
        rows, scores = rows[others], scores[others]
        relevant = truth.relevant(at)
        where = np.searchsorted(relevant.rows, rows).clip(max=max(0, len(relevant.rows) - 1))
        right = relevant.rows[where] == rows if len(relevant.rows) else np.zeros(len(rows), bool)
        ranks = np.flatnonzero(right).astype(np.int64) + 1
        yield Ranked(ranks, relevant.gains[where[right]], rows, scores)


def places(
    scores: NDArray[np.float32],
    relevant: NDArray[np.int64],
    *,
    without: int = -1,
    kept: int = 0,
) -> tuple[Ranks, NDArray[np.int64]]:
    """The ranks of the rows `relevant` (rising) by their scores, as a stable sort of all rows would
    give them, in the order of `relevant`; and the first `kept` rows of that ranking.

    without  the row of the question, which stands in no ranking; -1: none

    Values are sorted, not rows: that is several times as fast, and only equal ones need a closer look.
    """
    rising = np.sort(scores if without < 0 else np.delete(scores, without))
    wanted = scores[relevant]
    better = len(rising) - np.searchsorted(rising, wanted, side="right")
    same = len(rising) - np.searchsorted(rising, wanted, side="left") - better
    ranks = better.astype(np.int64) + 1
    for value in np.unique(wanted[same > 1]):
        ties = np.flatnonzero(scores == value)
        ties = ties[ties != without]
        mine = wanted == value
        ranks[mine] += np.searchsorted(ties, relevant[mine])
    depth = min(kept, len(rising))
    if not depth:
        return ranks, np.empty(0, np.int64)
    front = np.flatnonzero(scores >= rising[-depth])
    front = front[front != without]
    return ranks, front[np.argsort(-scores[front], kind="stable")][:depth]


def normalised(vectors: Vectors) -> Vectors:
    """The rows at length 1, a block at a time: `normalise` needs several times a block's memory."""
    made = np.empty_like(vectors)
    height = max(1, BLOCK_BYTES // (8 * max(1, vectors.shape[1])))
    for start in range(0, len(vectors), height):
        made[start : start + height] = normalise(vectors[start : start + height])
    return made
