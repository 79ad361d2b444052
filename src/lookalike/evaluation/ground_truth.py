"""Ground truth: which images are relevant to which query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError

# Names listed in a note.
EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Note:
    """Counts input that could not be used. `what` describes it and follows the number."""

    count: int
    what: str
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        more = ", …" if self.count > len(self.examples) else ""
        listed = f": {', '.join(self.examples)}{more}" if self.examples else ""
        return f"{self.count:,} {self.what}{listed}"


def names_note(names: Sequence[str], one: str, many: str) -> list[Note]:
    """Return a note with examples, or an empty list if there are no names."""
    if not names:
        return []
    return [Note(len(names), one if len(names) == 1 else many, tuple(names[:EXAMPLES]))]


def count_note(count: int, one: str, many: str) -> list[Note]:
    """Return a note without examples, or an empty list if the count is 0."""
    return [Note(count, one if count == 1 else many)] if count else []


@dataclass(frozen=True, slots=True)
class Relevant:
    """The relevant images of one query, or of all queries that share a label.

    rows    rows of the images, ascending
    gains   graded relevance of each, above 0; 1 for binary relevance
    absent  gains of relevant images outside the collection; they count as not found
    """

    rows: NDArray[np.int64]
    gains: NDArray[np.float64]
    absent: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    @classmethod
    def binary(cls, rows: NDArray[np.int64]) -> Relevant:
        """Return rows of equal relevance."""
        return cls(rows, np.ones(len(rows)))

    @property
    def total(self) -> int:
        """The number of relevant images, inside and outside the collection."""
        return len(self.rows) + len(self.absent)

    def without(self, row: int) -> Relevant:
        """Return the same without one row, for a query that is itself an image of the collection."""
        at = int(np.searchsorted(self.rows, row))
        if at == len(self.rows) or int(self.rows[at]) != row:
            return self
        return Relevant(np.delete(self.rows, at), np.delete(self.gains, at), self.absent)


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """Queries and the images relevant to each.

    names   of the queries
    rows    (q,) row of the query image, which is excluded from its own ranking; -1 where it is not in
            the collection
    groups  relevant images, shared by all queries of a group
    group   (q,) the group of each query; the query's own row in it does not count
    judged  by query, the rows that people judged, relevant or not; None: the truth is complete
    files   by query, the file of a query image outside the collection
    notes   input that could not be used
    source  where the truth comes from, for people
    """

    names: tuple[str, ...]
    rows: NDArray[np.int64]
    groups: tuple[Relevant, ...]
    group: NDArray[np.int64]
    judged: tuple[NDArray[np.int64], ...] | None = None
    files: Mapping[int, Path] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[Note, ...] = ()
    source: str = ""

    def __len__(self) -> int:
        return len(self.names)

    def relevant(self, query: int) -> Relevant:
        """Return the images relevant to a query, by its number."""
        return self.groups[int(self.group[query])].without(int(self.rows[query]))

    def subset(self, count: int) -> GroundTruth:
        """Return at most `count` evenly spaced queries; always the same ones."""
        if count >= len(self):
            return self
        chosen = np.linspace(0, len(self) - 1, count).round().astype(np.int64)
        return GroundTruth(
            tuple(self.names[at] for at in chosen),
            self.rows[chosen],
            self.groups,
            self.group[chosen],
            None if self.judged is None else tuple(self.judged[at] for at in chosen),
            {new: self.files[at] for new, at in enumerate(chosen.tolist()) if at in self.files},
            self.notes,
            self.source,
        )


def truth_by_labels(
    labels: Sequence[str | None], names: Sequence[str] | None = None
) -> GroundTruth:
    """Return the ground truth in which every image is a query for the others of its label.

    labels  one per image; None or "" for no label
    names   of the images

    Images without a label, and the only image of a label, are no queries but may be retrieved; both are
    noted. Raises UsageError if no two images share a label.
    """
    named = [str(row) for row in range(len(labels))] if names is None else names
    code = label_codes(labels)
    members = [np.flatnonzero(code == number) for number in range(code.max(initial=-1) + 1)]
    rows = np.flatnonzero(np.isin(code, [n for n, own in enumerate(members) if len(own) > 1]))
    if not len(rows):
        raise UsageError("no two images share a label: there is nothing to retrieve")
    alone = [named[int(own[0])] for own in members if len(own) == 1]
    unlabelled = [named[row] for row in np.flatnonzero(code < 0).tolist()]
    notes = [
        *names_note(
            unlabelled,
            "image has no label: it is not a query, but may be retrieved",
            "images have no label: they are not queries, but may be retrieved",
        ),
        *names_note(
            alone,
            "image is the only one with its label: it is not a query, but may be retrieved",
            "images are the only ones with their label: they are not queries, but may be retrieved",
        ),
    ]
    return GroundTruth(
        names=tuple(named[row] for row in rows.tolist()),
        rows=rows.astype(np.int64),
        groups=tuple(Relevant.binary(own.astype(np.int64)) for own in members),
        group=code[rows],
        notes=tuple(notes),
    )


def label_codes(labels: Sequence[str | None]) -> NDArray[np.int64]:
    """Return a number for each label in order of appearance; -1 for no label."""
    numbers: dict[str, int] = {}
    found = [numbers.setdefault(label, len(numbers)) if label else -1 for label in labels]
    return np.array(found, np.int64)
