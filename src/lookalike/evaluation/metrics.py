"""Ranking metrics: pure functions of the ranks of the relevant hits.

`ranks` is the ascending array of the ranks at which relevant images were found, 1 for the best hit. That is
all these metrics need, and it is small however long the ranking is. `total` is the number of relevant images,
found or not. All values lie in 0..1, larger is better. A query without relevant images (`total` = 0) has no
value and raises UsageError.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lookalike.errors import UsageError

Ranks: TypeAlias = NDArray[np.int64]
"""Ranks of the relevant hits, from 1, ascending."""


def precision(ranks: Ranks, k: int) -> float:
    """Return the share of the first k hits that are relevant: |relevant ∩ first k| / k.

    Divided by k even where the ranking is shorter: missing hits are not relevant. (Manning,
    Raghavan, Schütze: Introduction to Information Retrieval, 2008, section 8.4; trec_eval's P_k.)
    """
    return _within(ranks, k) / k


def recall(ranks: Ranks, k: int, *, total: int) -> float:
    """Return the share of the relevant images among the first k hits: |relevant ∩ first k| / total.

    It cannot reach 1 where total > k. (Manning, Raghavan, Schütze 2008, section 8.4; recall_k.)
    """
    return _within(ranks, k) / _positive(total)


def hit_rate(ranks: Ranks, k: int) -> float:
    """Return 1 if at least one of the first k hits is relevant, else 0 (trec_eval's success_k)."""
    return float(_within(ranks, k) > 0)


def reciprocal_rank(ranks: Ranks) -> float:
    """Return 1 / rank of the first relevant hit, 0 if there is none.

    Its mean over queries is MRR. (Voorhees: The TREC-8 Question Answering Track Report, 1999.)
    """
    return float(1.0 / ranks[0]) if len(ranks) else 0.0


def average_precision(ranks: Ranks, *, total: int) -> float:
    """Return the sum of the precisions at the ranks of the relevant hits / total: Σ_i (i / rank_i) / total.

    The step sum: there is no interpolation between the ranks, and relevant images that were not found
    count as 0. Its mean over queries is mAP. (Manning, Raghavan, Schütze 2008, equation 8.8; trec_eval's
    map.)
    """
    found = np.arange(1, len(ranks) + 1)
    return float((found / ranks).sum() / _positive(total))


def ndcg(ranks: Ranks, k: int, *, truth: ArrayLike, gains: ArrayLike | None = None) -> float:
    """Return the discounted gain of the first k hits divided by that of the ideal ranking.

    DCG@k = Σ gain_i / log2(rank_i + 1) over the relevant hits with rank ≤ k; nDCG = DCG / ideal DCG.

    truth   gains of all relevant images, in any order. The ideal is computed from these and not from the
            hits, or a ranking that misses all but one would be perfect. All 1 for binary relevance
    gains   of the hits at `ranks`; by default 1 each

    (Järvelin and Kekäläinen: Cumulated gain-based evaluation of IR techniques, ACM TOIS 20(4), 2002,
    with the discount log2(rank + 1) of Burges et al. 2005 and the gain as it is, as trec_eval's
    ndcg_cut; not 2^gain - 1.)
    """
    best = np.sort(np.asarray(truth, np.float64))[::-1][:k]
    ideal = float((best / np.log2(np.arange(2, len(best) + 2))).sum())
    if ideal <= 0:
        raise UsageError("no image is relevant to this query: nDCG is undefined")
    each = np.ones(len(ranks)) if gains is None else np.asarray(gains, np.float64)
    seen = ranks <= k
    return float((each[seen] / np.log2(ranks[seen] + 1)).sum()) / ideal


# Recalls at which precision–recall curves are sampled.
LEVELS = np.linspace(0.0, 1.0, 21)


def interpolated_precision(ranks: Ranks, *, total: int) -> NDArray[np.float64]:
    """Return (21,) the precision at each recall of `LEVELS`.

    It is the best precision at that recall or a higher one, 0 where the recall is never reached. Averaged
    over queries it is the precision–recall curve. (Manning, Raghavan, Schütze 2008, section 8.4; with 21
    levels instead of eleven.)
    """
    curve = np.zeros(len(LEVELS))
    if len(ranks):
        precisions = np.arange(1, len(ranks) + 1) / ranks
        best = np.maximum.accumulate(precisions[::-1])[::-1]
        # The smallest number of relevant hits that reaches the recall, with a margin for rounding.
        needed = np.maximum(np.ceil(LEVELS * _positive(total) - 1e-9).astype(np.int64), 1)
        reached = needed <= len(ranks)
        curve[reached] = best[needed[reached] - 1]
    return curve


def _within(ranks: Ranks, k: int) -> int:
    if k < 1:
        raise UsageError(f"k is {k}: a metric needs at least one hit")
    return int(np.searchsorted(ranks, k, side="right"))


def _positive(total: int) -> int:
    if total < 1:
        raise UsageError("no image is relevant to this query: the metric is undefined")
    return total
