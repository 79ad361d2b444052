"""The spaces of an open library in the memory of a graphics card, each brought there when it is searched."""

from __future__ import annotations

import logging
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.stores.local.catalogue import SpaceRow
from lookalike.stores.local.matrix import Matrix
from lookalike.vectors.blocks import Rows
from lookalike.vectors.device import DeviceRows, torch_device
from lookalike.vectors.similarity import Similarity

log = logging.getLogger(__name__)

MOST = 4096
"""Neighbours of a question: for more, as little is saved as the comparing here costs."""


class Cards:
    """For any number of threads, which take turns."""

    def __init__(self, device: str) -> None:
        self._torch, self._device = torch_device(device)
        self._held: dict[int, tuple[int, DeviceRows | None]] = {}
        self._lock = threading.Lock()

    def nearest(
        self,
        row: SpaceRow,
        matrix: Matrix,
        queries: NDArray[np.float32],
        k: int,
        *,
        similarity: Similarity,
        rows: Rows | None,
    ) -> tuple[Rows, NDArray[np.float32]] | None:
        """As `top_k`; None where the processor must be asked: the space does not fit in the card's memory,
        the question is odd, or the card is not sure."""
        fits = queries.ndim == 2 and queries.shape[1] == matrix.vectors.shape[1]
        if not fits or not 1 <= k <= MOST or not np.isfinite(queries).all():
            return None
        if not len(matrix.ids) or not bool(queries.any(axis=1).all()):
            return None  # to the zero vector, all are equal
        with self._lock:
            held = self._grown(row, matrix)
            if held is None:
                return None
            try:
                return held.nearest(
                    matrix.vectors,
                    queries,
                    k,
                    similarity=similarity,
                    rows=rows,
                    dead=matrix.dead,
                    normalised=bool(row.normalised),
                )
            except RuntimeError as error:
                self._give_up(row, error)
                return None

    def clear(self) -> None:
        with self._lock:
            self._held.clear()

    def _grown(self, row: SpaceRow, matrix: Matrix) -> DeviceRows | None:
        generation, held = self._held.get(row.id, (-1, None))
        if row.generation < generation:
            return None  # an old view, of rows that were compacted since
        if row.generation > generation:
            held = DeviceRows(self._torch, self._device, row.dim, matrix.vectors.dtype)
            self._held[row.id] = row.generation, held
        if held is not None and held.count < len(matrix.vectors):
            try:
                held.grow(matrix.vectors)
            except RuntimeError as error:
                self._give_up(row, error)
                return None
        return held

    def _give_up(self, row: SpaceRow, error: Any) -> None:
        """Of this generation, no more is tried: most likely, the card's memory is full."""
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        log.warning("%s is searched by the processor: %s", row.name, reason)
        self._held[row.id] = row.generation, None
