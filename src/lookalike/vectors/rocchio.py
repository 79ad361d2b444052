"""A question that learns: moved towards what was called relevant, away from what was not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lookalike.vectors.blocks import Floats

ALPHA, BETA, GAMMA = 1.0, 0.75, 0.15
"""The weights of the question, of the relevant and of the others; those of Manning, Raghavan and
Schütze, Introduction to Information Retrieval, 2008, section 9.1.1: what was liked says more than
what was not."""


def rocchio(
    queries: Floats,
    relevant: Floats,
    irrelevant: Floats,
    *,
    alpha: float = ALPHA,
    beta: float = BETA,
    gamma: float = GAMMA,
) -> NDArray[np.float32]:
    """alpha · query + beta · mean(relevant) - gamma · mean(irrelevant), for each query.

    queries     (n, dim); all are moved alike
    relevant    (r, dim) vectors of the same space, at unit length where the space is; r may be 0
    irrelevant  (s, dim), likewise

    Returns (n, dim) float32, not brought to unit length: the cosine does not mind. J. J. Rocchio,
    Relevance Feedback in Information Retrieval, in Salton, The SMART Retrieval System, 1971. His
    formula sets negative numbers to 0, because term weights have no sign; vectors of pictures do.
    """
    moved = alpha * np.asarray(queries, np.float64)
    if len(relevant):
        moved = moved + beta * np.asarray(relevant, np.float64).mean(axis=0)
    if len(irrelevant):
        moved = moved - gamma * np.asarray(irrelevant, np.float64).mean(axis=0)
    return np.asarray(moved, np.float32)
