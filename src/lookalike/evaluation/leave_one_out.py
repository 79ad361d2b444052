"""Every labelled picture asks for the others of its label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.evaluation.ground_truth import by_labels, codes
from lookalike.evaluation.rankings import Vectors, by_vectors, judge
from lookalike.vectors.similarity import Similarity


@dataclass(frozen=True, slots=True)
class LeftOut:
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
) -> LeftOut:
    """Rank all other rows for every row of `vectors` (n, dim); those of its label are relevant.

    labels   one a row; None or "" where there is none
    cutoffs  k of P@k, R@k, nDCG@k and hit@k

    The whole ranking counts: AP, RR and nDCG are not cut off (nDCG@k is). Equal similarities rank by
    row. Memory beyond `vectors` and a copy of them is bounded by a few blocks of 64 MiB. Raises
    UsageError when no two pictures share a label.
    """
    if len(vectors) != len(labels):
        raise UsageError(f"{len(vectors)} vectors but {len(labels)} labels")
    truth = by_labels(labels)
    judged = judge(by_vectors(vectors, truth, similarity=similarity), truth, cutoffs=cutoffs)
    code = codes(labels)
    sizes = np.bincount(code[code >= 0])
    return LeftOut(truth.rows, judged.values, int((sizes == 1).sum()), int((code < 0).sum()))
