"""A space with what the database knows about it beside the facts that every store has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from lookalike.stores.postgres.milvus import Collection
from lookalike.stores.records import Ids, Space

Floats: TypeAlias = NDArray[np.floating[Any]]
Matrix: TypeAlias = tuple[Ids, Floats]
"""Rising ids (n,) and their vectors (n, dim) as they are stored."""


@dataclass(frozen=True, slots=True)
class SpaceRow:
    """A space, the id of its table, and a value that changes with its vectors.

    collection  where its vectors are, whose rows the table then names; None: in the table itself
    """

    id: int
    space: Space
    changed: UUID
    collection: Collection | None = None

    @property
    def table(self) -> str:
        """Name of the table of its vectors."""
        return table_of(self.id)

    @property
    def regions(self) -> int:
        """Vectors in each row, of which the nearest one counts."""
        return self.space.dim // self.space.width


def table_of(space: int) -> str:
    """Return the name of the table of a space's vectors."""
    return f"vectors_{space}"


def by_rising_id(matrix: Matrix) -> Matrix:
    """Return the same vectors by rising id."""
    ids, vectors = matrix
    if (np.diff(ids) > 0).all():
        return matrix
    order = np.argsort(ids)
    return ids[order], vectors[order]
