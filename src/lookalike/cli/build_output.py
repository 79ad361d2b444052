"""Describes an ANN index that was built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lookalike.cli import format, output

if TYPE_CHECKING:
    from lookalike.stores.ann_index import Index


def put_built(name: str, index: Index) -> None:
    """Print what was built; warn where the recall target was missed."""
    output.put(
        f"{name}: {format.number(index.rows)} vectors in {format.duration(index.seconds)}, "
        f"recall@10 {index.recall:.3f} in {index.milliseconds:.2f} ms, "
        f"{format.number(index.bytes_per_vector)} bytes a vector ({index.recipe})."
    )
    if index.recall < index.target:
        output.complain(
            f"{name}: the index reaches a recall of {index.recall:.3f}, not {index.target:.3f}: another "
            "--recipe may reach more; search --exact finds all"
        )
