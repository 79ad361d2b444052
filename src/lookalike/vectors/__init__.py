"""Pure mathematics on arrays of vectors: similarity and exact top-k.

Only the names of similarities and relevances are here: the command line needs them before it loads NumPy.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

Similarity: TypeAlias = Literal["cosine", "euclidean"]
"""The cosine, or minus the Euclidean distance: larger is closer."""

Relevance: TypeAlias = Literal["weak", "plausible", "strong", "near-copy"]
RELEVANCES: tuple[Relevance, ...] = get_args(Relevance)
"""From the lowest to the highest."""
