"""Rankings of all queries of a ground truth, and their metrics.

Rankings come from vectors, from the hits of a search, or from a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.evaluation.ground_truth import GroundTruth, Relevant, truth_by_labels
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

# Bytes of similarities that are held at a time.
BLOCK_BYTES = 64 << 20

# Hits of every query that are kept by default.
KEEP = 10

Vectors: TypeAlias = NDArray[np.float32]
Progress: TypeAlias = Callable[[int, int], None]
"""Called with the number of finished items and their total."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """The ranking of one query.

    ranks   of the relevant images that were found, in the order of `Relevant.rows`
    gains   of each of them
    best    rows of the first hits, best first
    scores  of these hits
    """

    ranks: Ranks
    gains: NDArray[np.float64]
    best: NDArray[np.int64]
    scores: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class RankingMetrics:
    """Metrics of the rankings of all queries.

    values  metric → (queries,) float64
    curve   (21,) mean precision at the recalls `metrics.LEVELS`
    best    (queries, keep) rows of the first hits, -1 where there are fewer
    scores  (queries, keep) their similarities, -inf where there are fewer
    """

    values: Mapping[str, NDArray[np.float64]]
    curve: NDArray[np.float64]
    best: NDArray[np.int64]
    scores: NDArray[np.float32]

    def means(self) -> dict[str, float]:
        """Return the mean of each metric over the queries."""
        return {name: float(values.mean()) for name, values in self.values.items()}


def measure_rankings(
    rankings: Iterable[Ranking],
    truth: GroundTruth,
    *,
    cutoffs: Sequence[int] = (1, 5, 10),
    keep: int = KEEP,
    progress: Progress | None = None,
) -> RankingMetrics:
    """Return the metrics of rankings that come in the order of the queries.

    cutoffs  k of P@k, R@k, nDCG@k and hit@k; AP, RR and nDCG use the whole ranking
    keep     number of hits to keep of each query
    """
    columns: dict[str, list[float]] = {}
    curve = np.zeros(len(LEVELS))
    best = np.full((len(truth), keep), -1, np.int64)
    scores = np.full((len(truth), keep), -np.inf, np.float32)
    for at, ranking in enumerate(rankings):
        relevant = truth.relevant(at)
        order = np.argsort(ranking.ranks, kind="stable")
        ranks, gains = ranking.ranks[order], ranking.gains[order]
        for name, value in query_metrics(ranks, gains, relevant, cutoffs).items():
            columns.setdefault(name, []).append(value)
        curve += interpolated_precision(ranks, total=relevant.total)
        best[at, : len(ranking.best)] = ranking.best[:keep]
        scores[at, : len(ranking.scores)] = ranking.scores[:keep]
        if truth.judged is not None:
            for k in cutoffs:
                share = np.isin(ranking.best[:k], truth.judged[at]).sum() / k
                columns.setdefault(f"judged@{k}", []).append(float(share))
        if progress is not None:
            progress(at + 1, len(truth))
    values = {name: np.array(column) for name, column in columns.items()}
    return RankingMetrics(values, curve / max(1, len(truth)), best, scores)


def query_metrics(
    ranks: Ranks, gains: NDArray[np.float64], relevant: Relevant, cutoffs: Sequence[int]
) -> dict[str, float]:
    """Return all metrics of one query from the ascending ranks of its relevant hits and their gains."""
    total = relevant.total
    truth = np.concatenate([relevant.gains, relevant.absent])
    depth = max(int(ranks[-1]) if len(ranks) else 1, total)
    found = {
        "AP": average_precision(ranks, total=total),
        "RR": reciprocal_rank(ranks),
        "nDCG": ndcg(ranks, depth, truth=truth, gains=gains),
    }
    for k in cutoffs:
        found[f"P@{k}"] = precision(ranks, k)
        found[f"R@{k}"] = recall(ranks, k, total=total)
        found[f"nDCG@{k}"] = ndcg(ranks, k, truth=truth, gains=gains)
        found[f"hit@{k}"] = hit_rate(ranks, k)
    return found


# ---- sources of rankings ----


def rank_by_vectors(
    vectors: Vectors,
    truth: GroundTruth,
    *,
    similarity: Similarity,
    outside: Mapping[int, NDArray[np.float32]] | None = None,
    unit: bool = False,
    keep: int = KEEP,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[Ranking]:
    """Yield the ranking of all rows of `vectors` (n, dim) for every query, by exact comparison.

    outside  by query, the vector (dim,) of a query image outside the collection
    unit     the vectors have length 1 already, so no copy of them is made

    Equal similarities rank by row. Memory beyond `vectors` (and a copy of them if not `unit`) is a few
    times `block_bytes`.
    """
    matrix = vectors if unit or similarity != "cosine" else normalise_blocks(vectors)
    given = outside or {}
    height = max(1, block_bytes // (4 * len(matrix)))
    for start in range(0, len(truth), height):
        rows = truth.rows[start : start + height]
        queries = matrix[rows]
        for at in np.flatnonzero(rows < 0).tolist():
            vector = given[start + at]
            queries[at] = normalise(vector) if similarity == "cosine" else vector
        if similarity == "cosine":
            block = queries @ matrix.T
        else:
            block = similarity_matrix(queries, matrix, similarity="euclidean")
        for at, scores in enumerate(block):
            relevant = truth.relevant(start + at)
            ranks, best = ranks_of_rows(scores, relevant.rows, exclude=int(rows[at]), keep=keep)
            yield Ranking(ranks, relevant.gains, best, scores[best])


def rank_hits(
    hits: Iterable[tuple[NDArray[np.int64], NDArray[np.float32]]], truth: GroundTruth
) -> Iterator[Ranking]:
    """Yield the rankings of limited depth that a search or a file returned.

    hits  by query, the rows of its hits, best first, and their similarities

    A hit outside the collection is a negative row and keeps its rank; the query itself is removed.
    """
    for at, (rows, scores) in enumerate(hits):
        others = (rows != truth.rows[at]) | (truth.rows[at] < 0)
        rows, scores = rows[others], scores[others]
        relevant = truth.relevant(at)
        where = np.searchsorted(relevant.rows, rows).clip(max=max(0, len(relevant.rows) - 1))
        right = relevant.rows[where] == rows if len(relevant.rows) else np.zeros(len(rows), bool)
        ranks = np.flatnonzero(right).astype(np.int64) + 1
        yield Ranking(ranks, relevant.gains[where[right]], rows, scores)


def ranks_of_rows(
    scores: NDArray[np.float32],
    relevant: NDArray[np.int64],
    *,
    exclude: int = -1,
    keep: int = 0,
) -> tuple[Ranks, NDArray[np.int64]]:
    """Return the ranks of the rows `relevant` (ascending), and the first `keep` rows of the ranking.

    exclude  row of the query, which takes no rank; -1: none

    The result equals that of a stable sort of all rows by score. Sorting values instead of rows is several
    times as fast, and only ties need a closer look.
    """
    ascending = np.sort(scores if exclude < 0 else np.delete(scores, exclude))
    wanted = scores[relevant]
    better = len(ascending) - np.searchsorted(ascending, wanted, side="right")
    same = len(ascending) - np.searchsorted(ascending, wanted, side="left") - better
    ranks = better.astype(np.int64) + 1
    for value in np.unique(wanted[same > 1]):
        ties = np.flatnonzero(scores == value)
        ties = ties[ties != exclude]
        equal = wanted == value
        ranks[equal] += np.searchsorted(ties, relevant[equal])
    depth = min(keep, len(ascending))
    if not depth:
        return ranks, np.empty(0, np.int64)
    front = np.flatnonzero(scores >= ascending[-depth])
    front = front[front != exclude]
    return ranks, front[np.argsort(-scores[front], kind="stable")][:depth]


def normalise_blocks(vectors: Vectors) -> Vectors:
    """Return the rows at length 1, computed in blocks: `normalise` needs several times its input."""
    made = np.empty_like(vectors)
    height = max(1, BLOCK_BYTES // (8 * max(1, vectors.shape[1])))
    for start in range(0, len(vectors), height):
        made[start : start + height] = normalise(vectors[start : start + height])
    return made


# ---- leave-one-out evaluation of a labelled matrix ----


def leave_one_out(
    vectors: Vectors,
    labels: Sequence[str | None],
    *,
    similarity: Similarity = "cosine",
    cutoffs: Sequence[int] = (1, 5, 10),
) -> RankingMetrics:
    """Rank all other rows for every row of `vectors` (n, dim); rows of the same label are relevant.

    labels   one per row; None or "" for no label: such a row, and the only one of a label, is no query
    cutoffs  k of P@k, R@k, nDCG@k and hit@k; AP, RR and nDCG use the whole ranking

    Raises UsageError if no two images share a label.
    """
    if len(vectors) != len(labels):
        raise UsageError(f"{len(vectors)} vectors but {len(labels)} labels")
    truth = truth_by_labels(labels)
    rankings = rank_by_vectors(vectors, truth, similarity=similarity)
    return measure_rankings(rankings, truth, cutoffs=cutoffs)
