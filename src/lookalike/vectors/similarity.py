"""Similarity of vectors, and exact search. Larger is closer, always."""

from __future__ import annotations

from typing import Literal, TypeAlias

Similarity: TypeAlias = Literal["cosine", "euclidean"]
"""The cosine, or minus the Euclidean distance."""
