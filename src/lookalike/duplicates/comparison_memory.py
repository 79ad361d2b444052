"""Remembers in the library how contents compare, so that no pair is compared twice."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from lookalike.duplicates.comparison import REVISION, UNRELATED, Comparison
from lookalike.errors import LibraryBusy, LibraryReadOnly, StorageFull
from lookalike.stores.interface import Snapshot, Store

Contents: TypeAlias = tuple[bytes, bytes]
"""The hashes of two contents, the smaller one first."""


class ComparisonMemory:
    """Comparisons in a library. Where it cannot be written to, nothing new is remembered.

    scenes  those in which two shots of one scene were recognised, too
    """

    def __init__(self, store: Store, snapshot: Snapshot, *, scenes: bool = False) -> None:
        self._store = store
        self._revision = f"{REVISION}+scenes" if scenes else REVISION
        self._snapshot = snapshot
        self._unsaved: dict[Contents, Comparison] = {}

    def recall(self, pairs: Iterable[Contents]) -> dict[Contents, Comparison]:
        """Return the comparisons of those pairs that are known."""
        found = self._snapshot.comparisons(pairs, self._revision)
        return {pair: _decoded(result) for pair, result in found.items()}

    def add(self, found: Mapping[Contents, Comparison]) -> None:
        """Remember comparisons; `save` stores them."""
        self._unsaved |= found

    def save(self) -> None:
        """Store what was added. While another process writes to the library, it is kept for the next time."""
        if not self._unsaved or self._store.read_only:
            return
        encoded = {pair: _encoded(result) for pair, result in self._unsaved.items()}
        try:
            with self._store.writer() as writer:
                writer.put_comparisons(encoded, self._revision)
        except (LibraryBusy, LibraryReadOnly, StorageFull):
            return
        self._unsaved = {}


def _encoded(result: Comparison) -> str:
    if result.kind is None:
        return ""
    values = [result.kind, round(result.similarity, 4), result.evidence, list(result.changes)]
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def _decoded(text: str) -> Comparison:
    if not text:
        return UNRELATED
    kind, similarity, evidence, changes = json.loads(text)
    return Comparison(kind, similarity, evidence, tuple(changes))
