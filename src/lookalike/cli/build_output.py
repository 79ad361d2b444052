"""What commands show while they build an index or move vectors, and afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lookalike.cli import format, output
from lookalike.cli.progress import ProgressLine

if TYPE_CHECKING:
    from lookalike.stores.ann_index import Index

_STAGES = {
    "ask": "Asking exact search",
    "train": "Learning",
    "add": "Filling the index",
    "tune": "Tuning",
    "check": "Checking",
    "import": "Importing",
    "export": "Exporting",
}


def say(name: str, index: Index) -> None:
    """What was built, in a line; what it misses, in another."""
    output.put(
        f"{name}: {format.number(index.rows)} vectors in {format.duration(index.seconds)}, "
        f"finds {index.recall:.1%} of the true ten nearest in {index.milliseconds:.2f} ms, "
        f"{format.number(index.bytes_per_vector)} bytes a vector ({index.recipe})."
    )
    if index.recall < index.target:
        output.complain(
            f"{name}: the index finds {index.recall:.1%}, not {index.target:.1%}: another --recipe may "
            "find more, search --exact finds all"
        )


class BuildingLine:
    """The progress of building, redrawn in place; a line for each stage."""

    def __init__(self) -> None:
        self._stage = ""
        self._line: ProgressLine | None = None

    def __enter__(self) -> BuildingLine:
        return self

    def __exit__(self, *error: object) -> None:
        if self._line is not None:
            self._line.__exit__(None, None, None)

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage != self._stage:
            self.__exit__()
            self._stage, self._line = stage, ProgressLine(_STAGES[stage])
            self._line.__enter__()
        if self._line is not None and total > 1:
            self._line.count(done, total)
