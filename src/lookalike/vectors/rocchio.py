"""Relevance feedback: a query vector is moved towards relevant images and away from others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lookalike.vectors.blocks import Floats

# Weights of the query, of the relevant and of the irrelevant vectors, as in Manning, Raghavan and Schütze,
# Introduction to Information Retrieval, 2008, section 9.1.1: relevant images say more than irrelevant ones.
ALPHA, BETA, GAMMA = 1.0, 0.75, 0.15


def rocchio(
    queries: Floats,
    relevant: Floats,
    irrelevant: Floats,
    *,
    alpha: float = ALPHA,
    beta: float = BETA,
    gamma: float = GAMMA,
) -> NDArray[np.float32]:
    """Return alpha · query + beta · mean(relevant) - gamma · mean(irrelevant) for each query.

    queries     (n, dim)
    relevant    (r, dim) vectors of the same space, of unit length if the space's are; r may be 0
    irrelevant  (s, dim), likewise

    Returns (n, dim) float32, not normalised, because the cosine ignores lengths. J. J. Rocchio, Relevance
    Feedback in Information Retrieval, in Salton, The SMART Retrieval System, 1971. His formula sets
    negative components to 0, because term weights have no sign; image vectors do.
    """
    moved = alpha * np.asarray(queries, np.float64)
    if len(relevant):
        moved = moved + beta * np.asarray(relevant, np.float64).mean(axis=0)
    if len(irrelevant):
        moved = moved - gamma * np.asarray(irrelevant, np.float64).mean(axis=0)
    return np.asarray(moved, np.float32)
