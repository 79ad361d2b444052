"""Metrics of a ranking: pure functions of the ranks at which relevant images stand.

A judged ranking is an array of ranks, rising, 1 for the best hit: where the relevant images were
found. That is all that any of these metrics needs, and it is small however long the ranking is.
`total` is how many relevant images there are in truth, found or not. All values lie in 0..1, larger
is better; a question without relevant images (`total` = 0) has no value and is refused.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lookalike.errors import UsageError

Ranks: TypeAlias = NDArray[np.int64]
"""Ranks of the relevant hits, from 1, rising."""


def ranks_of(relevant: ArrayLike) -> Ranks:
    """A ranking judged hit by hit, best first → the ranks of its relevant hits.

    >>> ranks_of([True, False, True]).tolist()
    [1, 3]
    """
    return np.flatnonzero(np.asarray(relevant, bool)).astype(np.int64) + 1


def precision(ranks: Ranks, k: int) -> float:
    """Share of the first k hits that are relevant: |relevant ∩ first k| / k.

    Divided by k even where the ranking is shorter: what was not found cannot be right. (Manning,
    Raghavan, Schütze: Introduction to Information Retrieval, 2008, section 8.4; trec_eval's P_k.)
    """
    return _within(ranks, k) / k


def recall(ranks: Ranks, k: int, *, total: int) -> float:
    """Share of the relevant images that are among the first k hits: |relevant ∩ first k| / total.

    Cannot reach 1 where total > k. (Manning, Raghavan, Schütze 2008, section 8.4; recall_k.)
    """
    return _within(ranks, k) / _some(total)


def hit_rate(ranks: Ranks, k: int) -> float:
    """1 where at least one of the first k hits is relevant, else 0; its mean over many questions is
    the share of them that were answered at all (success@k of trec_eval)."""
    return float(_within(ranks, k) > 0)


def reciprocal_rank(ranks: Ranks) -> float:
    """1 / rank of the first relevant hit, 0 where there is none.

    Its mean over questions is MRR. (Voorhees: The TREC-8 Question Answering Track Report, 1999.)
    """
    return float(1.0 / ranks[0]) if len(ranks) else 0.0


def average_precision(ranks: Ranks, *, total: int) -> float:
    """Precision at the rank of each relevant hit, summed, divided by total: Σ_i (i / rank_i) / total.

    The step sum: no interpolation between the ranks, and relevant images that were not found count
    as 0. Its mean over questions is mAP. (Manning, Raghavan, Schütze 2008, equation 8.8; trec_eval's
    map.)
    """
    found = np.arange(1, len(ranks) + 1)
    return float((found / ranks).sum() / _some(total))


def ndcg(ranks: Ranks, k: int, *, truth: ArrayLike, gains: ArrayLike | None = None) -> float:
    """Discounted gain of the first k hits, divided by that of the best possible ranking.

    DCG@k = Σ gain_i / log2(rank_i + 1) over the relevant hits with rank ≤ k; nDCG = DCG / ideal DCG.

    truth   gains of all relevant images there are, in any order: the ideal comes from these, not
            from what happened to be found, or a ranking that misses everything but one would be
            perfect. All 1 where relevant is just relevant
    gains   of the hits at `ranks`; by default 1 each

    (Järvelin and Kekäläinen: Cumulated gain-based evaluation of IR techniques, ACM TOIS 20(4), 2002,
    with the discount log2(rank + 1) of Burges et al. 2005 and the gain as it is, as trec_eval's
    ndcg_cut; not 2^gain - 1.)
    """
    best = np.sort(np.asarray(truth, np.float64))[::-1][:k]
    ideal = float((best / np.log2(np.arange(2, len(best) + 2))).sum())
    if ideal <= 0:
        raise UsageError("no image is relevant to this question: nDCG has no meaning")
    each = np.ones(len(ranks)) if gains is None else np.asarray(gains, np.float64)
    seen = ranks <= k
    return float((each[seen] / np.log2(ranks[seen] + 1)).sum()) / ideal


LEVELS = np.linspace(0.0, 1.0, 21)
"""Recalls at which precision–recall curves are read."""


def interpolated_precision(ranks: Ranks, *, total: int) -> NDArray[np.float64]:
    """Precision at each recall of `LEVELS`, (21,): the best that is reached at that recall or later, 0
    where the recall is never reached. Averaged over questions it is the precision–recall curve.

    (Manning, Raghavan, Schütze 2008, section 8.4; with 21 levels instead of eleven.)
    """
    curve = np.zeros(len(LEVELS))
    if len(ranks):
        precisions = np.arange(1, len(ranks) + 1) / ranks
        best = np.maximum.accumulate(precisions[::-1])[::-1]
        # The least number of relevant hits that makes the recall; a tiny bit less for rounding.
        needed = np.maximum(np.ceil(LEVELS * _some(total) - 1e-9).astype(np.int64), 1)
        reached = needed <= len(ranks)
        curve[reached] = best[needed[reached] - 1]
    return curve


def _within(ranks: Ranks, k: int) -> int:
    if k < 1:
        raise UsageError(f"k is {k}: a metric looks at one hit at least")
    return int(np.searchsorted(ranks, k, side="right"))


def _some(total: int) -> int:
    if total < 1:
        raise UsageError("no image is relevant to this question: the metric has no meaning")
    return total
