"""What a run counts: every file once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lookalike.errors import Outcome
from lookalike.images.reading import is_elsewhere
from lookalike.images.walk import Found
from lookalike.indexing.report import IndexOptions, IndexReport
from lookalike.stores.interface import Entry, FileState, Image

EMPTY = "no file in it; what the library has of it is kept (`lookalike remove` forgets it)"
NOT_A_PICTURE = "not a picture"  # how the reason begins for files that nobody would call a picture


def no_picture(image: Image) -> bool:
    """Whether a file is a picture neither by its name nor by its content: that is no failure."""
    return image.reason.startswith(NOT_A_PICTURE)


@dataclass(slots=True)
class Tally:
    """The counters of a run while it goes on; `seen` counts the files found in each source."""

    counts: Counter[str] = field(default_factory=Counter)
    failed: Counter[Outcome] = field(default_factory=Counter)
    seen: Counter[Path] = field(default_factory=Counter)
    last: str = ""

    @property
    def done(self) -> int:
        return self.counts.total() + sum(self.failed.values())

    @property
    def indexed(self) -> int:
        return sum(
            self.counts[name] for name in ("new", "changed", "added_vectors", "moved", "copied")
        )

    def added(self, removed: int, unreadable: Sequence[tuple[str, str]]) -> IndexReport:
        counts = self.counts
        return IndexReport(
            new=counts["new"],
            changed=counts["changed"],
            added_vectors=counts["added_vectors"],
            moved=counts["moved"],
            copied=counts["copied"],
            unchanged=counts["unchanged"],
            removed=removed,
            failed=dict(self.failed),
            not_pictures=counts["not_pictures"],
            known_failures=counts["known_failures"],
            unreadable=tuple(unreadable),
        )


def failed_before(reason: str) -> str:
    """The counter for an unchanged file that is not indexed: what is no picture is no failure on a
    second run either, or `--strict` would change its mind."""
    return "not_pictures" if reason.startswith(NOT_A_PICTURE) else "known_failures"


def unchanged(known: FileState, found: Found) -> bool:
    """By size and date."""
    return (known.size, known.mtime_ns) == (found.size, found.mtime_ns)


def settled(known: FileState, found: Found, keys: frozenset[str], options: IndexOptions) -> bool:
    """Whether a file needs no work: unchanged by size and date, with a vector in every space, or
    known to fail for what is in it."""
    if not unchanged(known, found):
        return False
    if known.outcome is Outcome.INDEXED:
        return keys <= known.spaces
    return not options.retry_failed and not is_elsewhere(known.outcome, known.reason)


def kind(known: FileState | None, entry: Entry) -> str:
    """The counter of an indexed file: a known one with the same content got a further space."""
    if known is None:
        return "new"
    return "added_vectors" if known.hash == entry.hash else "changed"
