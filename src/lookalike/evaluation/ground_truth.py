"""What is relevant to which question: the ground truth that rankings are judged against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError

EXAMPLES = 3
"""Names that a note gives."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something in the truth that could not be used, counted: `what` says it after the number."""

    count: int
    what: str
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        more = ", …" if self.count > len(self.examples) else ""
        named = f": {', '.join(self.examples)}{more}" if self.examples else ""
        return f"{self.count:,} {self.what}{named}"


def note(names: Sequence[str], one: str, many: str) -> list[Note]:
    """A note of these names, or none."""
    if not names:
        return []
    return [Note(len(names), one if len(names) == 1 else many, tuple(names[:EXAMPLES]))]


def tally(count: int, one: str, many: str) -> list[Note]:
    """A note without names, or none."""
    return [Note(count, one if count == 1 else many)] if count else []


@dataclass(frozen=True, slots=True)
class Relevant:
    """The relevant pictures of one question, or of all that share a label.

    rows    of the pictures, rising
    gains   of each, more than 0; 1 where relevant is just relevant
    absent  gains of relevant pictures that are not among the pictures: they count as not found
    """

    rows: NDArray[np.int64]
    gains: NDArray[np.float64]
    absent: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    @classmethod
    def alike(cls, rows: NDArray[np.int64]) -> Relevant:
        """All relevant in the same degree."""
        return cls(rows, np.ones(len(rows)))

    def without(self, row: int) -> Relevant:
        """The same for a question that is itself one of the pictures."""
        at = int(np.searchsorted(self.rows, row))
        if at == len(self.rows) or int(self.rows[at]) != row:
            return self
        return Relevant(np.delete(self.rows, at), np.delete(self.gains, at), self.absent)


@dataclass(frozen=True, slots=True)
class Truth:
    """Questions, and what is relevant to each.

    names   of the questions
    rows    (q,) row of the picture that asks, which stands in no ranking of its own; -1 where it is
            not one of the pictures
    groups  the relevant pictures, a group for all questions that share them
    group   (q,) which group belongs to each question; a question's own row in it does not count
    judged  by question, the rows that somebody judged, relevant or not; None: the truth is whole
    files   by question, the file that asks, where it is not one of the pictures
    notes   what could not be used
    source  what the truth comes from, in words
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

    def relevant(self, question: int) -> Relevant:
        """What is relevant to the question of that number."""
        return self.groups[int(self.group[question])].without(int(self.rows[question]))

    def some(self, count: int) -> Truth:
        """At most so many of the questions, spread evenly; always the same."""
        if count >= len(self):
            return self
        chosen = np.linspace(0, len(self) - 1, count).round().astype(np.int64)
        return Truth(
            tuple(self.names[at] for at in chosen),
            self.rows[chosen],
            self.groups,
            self.group[chosen],
            None if self.judged is None else tuple(self.judged[at] for at in chosen),
            {new: self.files[at] for new, at in enumerate(chosen.tolist()) if at in self.files},
            self.notes,
            self.source,
        )


def by_labels(labels: Sequence[str | None], names: Sequence[str] | None = None) -> Truth:
    """Every picture asks for the others of its label.

    labels  one a picture; None or "" where there is none
    names   of the pictures

    Pictures that are alone with their label, and those without one, ask nothing but may be found; both
    are noted. `UsageError` where no two pictures share a label.
    """
    named = [str(row) for row in range(len(labels))] if names is None else names
    code = codes(labels)
    members = [np.flatnonzero(code == number) for number in range(code.max(initial=-1) + 1)]
    rows = np.flatnonzero(np.isin(code, [n for n, own in enumerate(members) if len(own) > 1]))
    if not len(rows):
        raise UsageError("no two pictures share a label: there is nothing to be found")
    alone = [named[int(own[0])] for own in members if len(own) == 1]
    unlabelled = [named[row] for row in np.flatnonzero(code < 0).tolist()]
    notes = [
        *note(
            unlabelled,
            "picture has no label: it asks nothing, but may be found",
            "pictures have no label: they ask nothing, but may be found",
        ),
        *note(
            alone,
            "picture is the only one of its label: it asks nothing, but may be found",
            "pictures are the only ones of their label: they ask nothing, but may be found",
        ),
    ]
    return Truth(
        names=tuple(named[row] for row in rows.tolist()),
        rows=rows.astype(np.int64),
        groups=tuple(Relevant.alike(own.astype(np.int64)) for own in members),
        group=code[rows],
        notes=tuple(notes),
    )


def codes(labels: Sequence[str | None]) -> NDArray[np.int64]:
    """A number for each label, in the order in which they come; -1 for none."""
    numbers: dict[str, int] = {}
    found = [numbers.setdefault(label, len(numbers)) if label else -1 for label in labels]
    return np.array(found, np.int64)
