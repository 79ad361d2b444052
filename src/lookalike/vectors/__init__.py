"""Pure functions on arrays of vectors: similarity, exact top-k, PCA, k-means, fusion and others.

This module itself has only the names of similarities and relevances, because the command line needs them
before it loads NumPy.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

# The cosine, or minus the Euclidean distance: larger is closer.
Similarity: TypeAlias = Literal["cosine", "euclidean"]

# Bands of similarities judged against calibration, from the lowest to the highest.
Relevance: TypeAlias = Literal["weak", "plausible", "strong", "near-copy"]
RELEVANCES: tuple[Relevance, ...] = get_args(Relevance)
